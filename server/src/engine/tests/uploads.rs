//! Uploads that wait for the gate, and what others may do meanwhile.

use super::super::limits::{MAX_INLINE_MODULE_BYTES, MAX_WAITING_UPLOADS};
use super::*;

/// A module that takes long enough to compile for whatever a test does meanwhile.
fn slow_module() -> Vec<u8> {
    let functions = "(func (local i32) (local.set 0 (i32.add (local.get 0) (i32.const 1))))".repeat(9000);
    format!("(module (func (export \"run\")) {functions})").into_bytes()
}

#[track_caller]
fn upload(rig: &Rig, client: &Client, module: &[u8]) -> Wait {
    rig.execute(client, &[b"WASM", b"LOAD", module]).expect_err("the gate has to look at it")
}

#[test]
fn others_are_served_while_an_upload_is_compiled() {
    on_large_stack(|| {
        let mut rig = Rig::new();
        let (uploader, other) = (rig.connect(), rig.connect());
        for command in ["WASM LOAD", "EVALWASM", "FUNCTION LOAD"] {
            let code = match command {
                "FUNCTION LOAD" => b"#!wasm name=slow\n".to_vec(),
                _ => format!(";; {command}\n").into_bytes(),
            };
            let code = [code, slow_module()].concat();
            let mut words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            words.extend([&code, b"0".as_slice()].iter().take(if command == "EVALWASM" { 2 } else { 1 }));
            let wait = rig.execute(&uploader, &words).expect_err("the gate has to look at it");
            rig.check(&other, &[("INCR served", ":1"), ("DEL served", ":1")]);
            assert!(!rig.engine.borrow().is_over(&wait), "{command}");
            rig.wait(&wait);
            assert!(
                !rig.execute(&uploader, &words).expect("there is a verdict").starts_with('-'),
                "{command}"
            );
        }
    });
}

#[test]
fn the_first_call_of_a_large_module_keeps_nobody_waiting() {
    let mut rig = Rig::new();
    let (caller, other) = (rig.connect(), rig.connect());
    let data = "x".repeat(MAX_INLINE_MODULE_BYTES);
    let large = format!("(module (memory 17) (data (i32.const 0) \"{data}\") (func (export \"run\")))");
    let wait =
        rig.execute(&caller, &[b"EVALWASM", large.as_bytes(), b"0"]).expect_err("the gate comes first");
    rig.wait(&wait);
    assert_eq!(rig.execute(&caller, &[b"EVALWASM", large.as_bytes(), b"0"]).expect("it has begun"), "");
    rig.engine.borrow_mut().dispatch_jobs();
    rig.check(&other, &[("PING", "+PONG")]);
    while !caller.mailbox.is_answered() {
        rig.take_event();
    }
    assert_eq!(rig.execute(&caller, &[b"EVALWASM", large.as_bytes(), b"0"]).expect("it has ended"), "$-1");
}

#[test]
fn a_transaction_with_an_upload_runs_whole_when_the_gate_has_its_verdict() {
    on_large_stack(|| {
        let mut rig = Rig::new();
        let (client, other) = (rig.connect(), rig.connect());
        rig.check(&client, &[("MULTI", "+OK"), ("INCR a", "+QUEUED")]);
        let code = [b"#!wasm name=slow\n".to_vec(), slow_module()].concat();
        assert_eq!(rig.command(&client, &[b"FUNCTION", b"LOAD", &code]), "+QUEUED");
        rig.check(&client, &[("FCALL run 0", "+QUEUED"), ("INCR a", "+QUEUED")]);
        let wait = rig.try_line(&client, "EXEC").expect_err("the gate has to look at it");
        rig.check(&other, &[("EXISTS a", ":0"), ("FUNCTION LIST", "*0")]);
        rig.wait(&wait);
        rig.check(&client, &[("EXEC", "*4 :1 $4 slow $-1 :2")]);
    });
}

#[test]
fn the_limits_that_count_are_those_when_the_upload_takes_effect() {
    let mut rig = Rig::new();
    let (client, other) = (rig.connect(), rig.connect());
    let module = slow_module();
    let wait = upload(&rig, &client, &module);
    rig.check(&other, &[("CONFIG SET wasm-max-functions 100", "+OK")]);
    rig.wait(&wait);
    let again = upload(&rig, &client, &module);
    rig.wait(&again);
    let refused = rig.execute(&client, &[b"WASM", b"LOAD", &module]).expect("there is a verdict");
    assert!(refused.starts_with("-WASMLIMIT ") && refused.contains("wasm-max-functions"), "{refused}");
}

#[test]
fn what_several_clients_upload_at_the_same_time_is_compiled_once() {
    let rig = Rig::new();
    let module = slow_module();
    let waits = [(); 2].map(|()| upload(&rig, &rig.connect(), &module));
    let [Wait::Compiled(one), Wait::Compiled(other)] = &waits else { panic!("they wait for something else") };
    assert!(Arc::ptr_eq(&one[0], &other[0]));
}

#[test]
fn uploads_that_wait_are_bounded_and_those_of_clients_that_have_gone_do_not_count() {
    let mut rig = Rig::new();
    let module = |number: usize| format!("(module (func (export \"run\")) ;; {number}\n)").into_bytes();
    // Nobody gets a verdict before this one has passed.
    let slow = rig.connect();
    upload(&rig, &slow, &slow_module());
    let clients: Vec<Client> = (1..MAX_WAITING_UPLOADS).map(|_| rig.connect()).collect();
    for (number, client) in clients.iter().enumerate() {
        upload(&rig, client, &module(number));
    }
    let last = rig.connect();
    let refused = rig.execute(&last, &[b"WASM", b"LOAD", &module(MAX_WAITING_UPLOADS)]);
    assert_eq!(refused.expect("refused"), "-BUSY too many uploaded modules wait to be compiled");
    rig.engine.borrow_mut().disconnect(clients[0].id);
    let wait = upload(&rig, &last, &module(MAX_WAITING_UPLOADS));
    rig.wait(&wait);
    let reply = rig.command(&last, &[b"WASM", b"LOAD", &module(MAX_WAITING_UPLOADS)]);
    assert!(reply.starts_with("$40 "), "{reply}");
}
