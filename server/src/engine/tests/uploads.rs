//! Uploads that wait for the gate, and what others may do meanwhile.

use super::super::limits::{HABIT, MAX_COLD_MODULE_BYTES, MAX_WAITING_UPLOADS, TURN_HABIT};
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
fn a_large_module_is_called_in_the_background_until_its_calls_are_known_to_be_short() {
    on_large_stack(|| {
        let mut rig = Rig::new();
        let client = rig.connect();
        let data = "x".repeat(MAX_COLD_MODULE_BYTES);
        let large = format!("(module (memory 2) (data (i32.const 0) \"{data}\") (func (export \"run\")))");
        let sha = rig.command(&client, &[b"WASM", b"LOAD", large.as_bytes()]).split_off("$40 ".len());
        let mut ran_in_background = || {
            let call: &[&[u8]] = &[b"EVALWASMSHA", sha.as_bytes(), b"0"];
            let answer = rig.execute(&client, call).expect("nothing is missing");
            let is_in_background = answer.is_empty();
            if is_in_background {
                rig.engine.borrow_mut().dispatch_jobs();
                while !client.mailbox.is_answered() {
                    rig.take_event();
                }
                assert_eq!(rig.execute(&client, call).expect("it has ended"), "$-1");
            }
            is_in_background
        };
        let in_background = (0..1000).take_while(|_| ran_in_background()).count();
        assert_eq!(in_background, usize::from(TURN_HABIT - HABIT) + 1);
        assert!(!ran_in_background(), "it is warm now");
    });
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
fn all_uploads_of_a_transaction_pass_the_gate_before_it_runs() {
    on_large_stack(|| {
        let mut rig = Rig::new();
        let client = rig.connect();
        rig.check(&client, &[("MULTI", "+OK")]);
        for name in ["one", "two"] {
            let code = format!("#!wasm name={name}\n(module (func (export \"{name}\")))");
            assert_eq!(rig.command(&client, &[b"FUNCTION", b"LOAD", code.as_bytes()]), "+QUEUED");
        }
        rig.check(&client, &[("EVALWASM '(module (func (export \"run\")))' 0", "+QUEUED")]);
        let wait = rig.try_line(&client, "EXEC").expect_err("the gate has to look at them");
        let Wait::Compiled(compilations) = &wait else { panic!("it waits for something else") };
        assert_eq!(compilations.len(), 3);
        rig.wait(&wait);
        assert_eq!(rig.try_line(&client, "EXEC").expect("nothing is missing"), "*3 $3 one $3 two $-1");
    });
}

#[test]
fn the_cache_of_modules_is_asked_and_changed_once_however_often_exec_runs() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        let (kept, new) = ("(module (func (export \"run\")))", "(module)");
        let [kept_sha, new_sha] = [kept, new].map(|module| {
            let digest = crate::state::digest_of(module.as_bytes());
            digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        });
        assert_eq!(rig.line(&client, &format!("WASM LOAD '{kept}'")), format!("$40 {kept_sha}"));
        rig.check(&client, &[("MULTI", "+OK")]);
        for line in [
            format!("WASM EXISTS {kept_sha} {new_sha}"),
            format!("WASM LOAD {new}"),
            "WASM FLUSH".to_owned(),
            format!("WASM EXISTS {kept_sha} {new_sha}"),
            "FCALL cold 0".to_owned(),
        ] {
            assert_eq!(rig.line(&client, &line), "+QUEUED", "{line}");
        }
        let expected = format!("*5 *2 :1 :0 $40 {new_sha} +OK *2 :0 :0 $5 value");
        assert_eq!(rig.line(&client, "EXEC"), expected);
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
    // What waits already may be waited for.
    upload(&rig, &rig.connect(), &module(0));
    rig.engine.borrow_mut().disconnect(clients[1].id);
    let wait = upload(&rig, &last, &module(MAX_WAITING_UPLOADS));
    rig.wait(&wait);
    let reply = rig.command(&last, &[b"WASM", b"LOAD", &module(MAX_WAITING_UPLOADS)]);
    assert!(reply.starts_with("$40 "), "{reply}");
}
