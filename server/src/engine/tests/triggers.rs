//! Triggers and their queues, with the disk and the time in the hand of the test.

use super::*;

#[test]
fn the_triggers_of_one_command_share_their_fuel() {
    on_large_stack(|| {
        let mut rig = Rig::new();
        let client = rig.connect();
        // Each run takes some 100,000 units, and puts the key `next`, whose trigger runs next.
        let spin = r#"(import "kvasm_1" "put" (func $put (param i32 i32 i32 i32)))
            (memory 1) (data (i32.const 0) "next")
            (func $spin (local $i i32)
                (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 15000)))))
            (func (export "first") (call $spin) (call $put (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 1)))
            (func (export "second") (call $spin))"#;
        rig.load_library(&client, "spin", spin);
        rig.check(
            &client,
            &[
                ("TRIGGER CREATE one ON set KEYS start CALL first", "+OK"),
                ("TRIGGER CREATE two ON set KEYS next CALL second", "+OK"),
                ("CONFIG SET trigger-max-fuel 1000000", "+OK"),
                ("SET start 1", "+OK"),
                ("DEL start next", ":2"),
                ("CONFIG SET trigger-max-fuel 150000", "+OK"),
                (
                    "SET start 1",
                    "-WASMFUEL trigger 'two': the triggers of one command used up their fuel (trigger-max-fuel)",
                ),
                ("EXISTS start next", ":0"),
                ("CONFIG SET trigger-max-fuel 50000", "+OK"),
                (
                    "SET start 1",
                    "-WASMFUEL trigger 'one': the triggers of one command used up their fuel (trigger-max-fuel)",
                ),
                ("SET other 1", "+OK"),
            ],
        );
    });
}

/// A server with an option set, and with triggers, which may call the function `nothing`.
fn with_triggers(option: &str, triggers: &[&str]) -> (Rig, Client) {
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.load_library(&client, "nothing", "(func (export \"nothing\"))");
    rig.check(&client, &[(&format!("CONFIG SET {option}"), "+OK")]);
    for trigger in triggers {
        rig.check(&client, &[(&format!("TRIGGER CREATE {trigger}"), "+OK")]);
    }
    (rig, client)
}

#[test]
fn nobody_waits_for_room_that_its_own_changes_have_taken() {
    let full = "-QUEUEFULL the queue of trigger 't' is full (trigger-queue-max-len, trigger-queue-max-bytes)";
    // What it enables is disabled again when it is undone, and then nothing is full.
    let triggers = ["t ASYNC ON set KEYS x:* CALL nothing", "other ON set KEYS other CALL nothing"];
    let (mut rig, client) = with_triggers("trigger-queue-max-len 1", &triggers);
    rig.check(
        &client,
        &[
            ("SET x:1 v", "+OK"),
            ("TRIGGER DISABLE t", "+OK"),
            ("MULTI", "+OK"),
            ("TRIGGER ENABLE t", "+QUEUED"),
            ("SET x:2 v", "+QUEUED"),
        ],
    );
    assert_eq!(rig.try_line(&client, "EXEC").expect("it need not wait"), full);
    rig.check(&client, &[("SET x:2 v", "+OK"), ("EXISTS x:1 x:2", ":2")]);
}

#[test]
fn what_is_replaced_in_a_queue_by_something_longer_counts_for_the_room_that_is_waited_for() {
    let triggers = ["t ASYNC ON set KEYS x:* CALL nothing COALESCE"];
    let (mut rig, client) = with_triggers("trigger-queue-max-bytes 10kb", &triggers);
    rig.check(&client, &[("SET x:1 v", "+OK")]);
    let (long, short) = ("v".repeat(9000), "v".repeat(2000));
    let wait = rig.try_line(&client, &format!("MSET x:1 {long} x:2 {short}")).expect_err("it is full");
    assert!(!rig.engine.borrow().is_over(&wait), "it would be undone again");
    rig.check(&rig.connect(), &[("TRIGGER DROP t FORCE", "+OK")]);
    assert!(rig.engine.borrow().is_over(&wait));
}

#[test]
fn who_waits_for_room_is_told_when_the_disk_fails() {
    let triggers = ["t ASYNC ON set,keymiss KEYS x:* CALL nothing"];
    let (mut rig, client) = with_triggers("trigger-queue-max-len 1", &triggers);
    rig.check(&client, &[("SET x:1 v", "+OK")]);
    let wait = rig.try_line(&client, "SET x:2 v").expect_err("it is full");
    assert!(!rig.engine.borrow().is_over(&wait));
    let signals = rig.engine.borrow().signals();
    let mut woken = std::pin::pin!(signals.room.notified());
    assert!(!woken.as_mut().enable());
    let failed = StoreEvent::CommitFailed { sequence: 1, error: "the disk is full".into() };
    rig.engine.borrow_mut().on_store_event(failed);
    assert!(woken.as_mut().enable() && rig.engine.borrow().is_over(&wait));
    let failure = "-MISCONF Errors writing to the AOF file: the disk is full";
    for line in ["SET x:2 v", "GET x:3"] {
        assert_eq!(rig.try_line(&client, line).expect("it need not wait"), failure, "{line}");
    }
}

#[test]
fn the_triggers_of_a_key_that_has_expired_run_although_a_client_waits_for_it() {
    on_large_stack(|| {
        let (mut rig, client) = with_triggers("hz 10", &["t ON expired KEYS list CALL nothing"]);
        let waiting = rig.connect();
        rig.check(&waiting, &[("BLPOP list 0", "")]);
        {
            let mut engine = rig.engine.borrow_mut();
            let long_ago_us = engine.clock.unix_us() - 1_000_000;
            let keyspace = &mut engine.core().keyspace;
            keyspace.begin(long_ago_us);
            let expiry = Expiry::At(long_ago_us / 1000 + 1);
            keyspace.set(0, b"list", Content::String(b"v"), expiry, events::SET).expect("in memory");
            keyspace.commit();
            engine.serve_waiting(None);
            engine.expire_due();
        }
        let info = rig.line(&client, "TRIGGER INFO t");
        assert!(info.contains("$4 runs :1 "), "{info}");
        rig.check(&client, &[("DBSIZE", ":0")]);
        assert!(!waiting.mailbox.is_answered());
    });
}
