//! Asynchronous triggers as a client sees them: order, tries and dead letters, full queues, coalescing, expiry, and what
//! a restart finds. `exactly_once.rs` kills servers.

use kvasm_tests::guest::{data, load, module, slice};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server, Value};
use std::time::{Duration, Instant};

/// The library of these tests. Each function adds something to the value of a key that is named like its own, with this
/// before it:
///
/// - `log`: `log:`, the value after; `events`: `events:`, the event and a comma; `states`: `states:`, the value before,
///   a `>`, the value after and a comma; `elements`: `elements:`, the elements, each with a comma,
/// - `picky`: as `log`, but it refuses values that begin with an `x`,
/// - `gated`: as `log`, but it fails while there is a key `closed`,
/// - `twice`: sets the keys `copy:1` and `copy:2`; `endless`: runs until its fuel is spent.
fn rules() -> String {
    let texts = [
        "log:",
        "events:",
        "states:",
        "elements:",
        ",",
        ">",
        "INVALID x",
        "CLOSED for now",
        "closed",
        "copy:1",
        "copy:2",
    ];
    let offset = |text: &str| texts.iter().position(|other| *other == text).expect("a text") as u32 * 16;
    let segments: String = texts.iter().map(|text| data(offset(text), text)).collect();
    let text = |text: &str| slice(offset(text), text);
    module(
        "key arg arg_count get put exists abort",
        &format!(
            "{segments}
             ;; What is to be added, from 2000 on, has that length.
             (global $length (mut i32) (i32.const 0))
             (func $add_argument (param $index i32) (local $more i32)
               (local.set $more (call $arg (local.get $index)
                 (i32.add (i32.const 2000) (global.get $length)) (i32.const 1000)))
               (if (i32.gt_s (local.get $more) (i32.const 0))
                 (then (global.set $length (i32.add (global.get $length) (local.get $more))))))
             (func $add (param $text i32) (param $more i32)
               (memory.copy (i32.add (i32.const 2000) (global.get $length)) (local.get $text) (local.get $more))
               (global.set $length (i32.add (global.get $length) (local.get $more))))
             (func $finish (param $prefix i32) (param $prefix_length i32) (local $key_length i32) (local $old i32)
               (memory.copy (i32.const 1000) (local.get $prefix) (local.get $prefix_length))
               (local.set $key_length (i32.add (local.get $prefix_length)
                 (call $key (i32.const 0) (i32.add (i32.const 1000) (local.get $prefix_length)) (i32.const 900))))
               (local.set $old (i32.wrap_i64
                 (call $get (i32.const 1000) (local.get $key_length) (i32.const 8000) (i32.const 30000))))
               (if (i32.lt_s (local.get $old) (i32.const 0)) (then (local.set $old (i32.const 0))))
               (memory.copy (i32.add (i32.const 8000) (local.get $old)) (i32.const 2000) (global.get $length))
               (call $put (i32.const 1000) (local.get $key_length)
                 (i32.const 8000) (i32.add (local.get $old) (global.get $length))))
             (func $log (export \"log\") (call $add_argument (i32.const 2)) (call $finish {log}))
             (func (export \"events\")
               (call $add_argument (i32.const 0)) (call $add {comma}) (call $finish {events}))
             (func (export \"states\")
               (call $add_argument (i32.const 1)) (call $add {arrow})
               (call $add_argument (i32.const 2)) (call $add {comma}) (call $finish {states}))
             (func (export \"elements\") (local $index i32)
               (local.set $index (i32.const 4))
               (loop $next
                 (if (i32.lt_u (local.get $index) (call $arg_count)) (then
                   (call $add_argument (local.get $index)) (call $add {comma})
                   (local.set $index (i32.add (local.get $index) (i32.const 1)))
                   (br $next))))
               (call $finish {elements}))
             (func (export \"picky\")
               (drop (call $arg (i32.const 2) (i32.const 2000) (i32.const 1)))
               (if (i32.eq (i32.load8_u (i32.const 2000)) (i32.const 120)) (then (call $abort {invalid})))
               (call $log))
             (func (export \"gated\")
               (if (call $exists {closed}) (then (call $abort {closed_now})))
               (call $log))
             (func (export \"twice\") (call $put {copy1} {comma}) (call $put {copy2} {comma}))
             (func (export \"endless\") (loop $again (br $again)))",
            log = text("log:"),
            events = text("events:"),
            states = text("states:"),
            elements = text("elements:"),
            comma = text(","),
            arrow = text(">"),
            invalid = text("INVALID x"),
            closed = text("closed"),
            closed_now = text("CLOSED for now"),
            copy1 = text("copy:1"),
            copy2 = text("copy:2"),
        ),
    )
}

/// A server with the library and these triggers.
fn with_triggers(options: &Options, triggers: &[&str]) -> (Server, Raw) {
    let server = Server::kvasm(options);
    let mut connection = server.connect();
    assert_eq!(load(&mut connection, "rules", &rules()).to_string(), "\"rules\"");
    for trigger in triggers {
        assert_eq!(connection.run(&format!("TRIGGER CREATE {trigger}")).to_string(), "+OK", "{trigger}");
    }
    (server, connection)
}

/// Runs a session, and compares how its replies begin.
#[track_caller]
fn check(connection: &mut Raw, session: &[(&str, &str)]) {
    for (line, expected) in session {
        let reply = connection.run(line).to_string();
        assert!(reply.starts_with(expected), "{line}: {reply} instead of {expected}");
    }
}

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a command is answered so.
#[track_caller]
fn eventually(connection: &mut Raw, line: &str, expected: &str) {
    let mut reply = String::new();
    let deadline = Instant::now() + PATIENCE;
    while reply != expected {
        assert!(Instant::now() < deadline, "{line}: {reply} instead of {expected}");
        std::thread::sleep(Duration::from_millis(2));
        reply = connection.run(line).to_string();
    }
}

/// One field of `TRIGGER INFO`.
fn info(connection: &mut Raw, trigger: &str, field: &str) -> String {
    field_of(&connection.run(&format!("TRIGGER INFO {trigger}")), field)
}

/// A field of a reply that is names and values in turn.
#[track_caller]
fn field_of(reply: &Value, name: &str) -> String {
    reply.field(name).unwrap_or_else(|| panic!("no {name} in {reply}")).to_string()
}

fn drained(connection: &mut Raw, trigger: &str) {
    wait_for("the queue to be empty", || info(connection, trigger, "queued") == ":0");
}

/// A connection that has sent requests, of which the server has come to `command`: if that waits, it does now.
fn sender(server: &Server, requests: &str, command: &str) -> (Raw, i64) {
    let (mut connection, mut watcher) = (server.connect(), server.connect());
    let id = connection.run("CLIENT ID").integer().expect("a number");
    connection.send(requests.as_bytes());
    wait_for("the request to arrive", || {
        watcher.run(&format!("CLIENT LIST ID {id}")).text().contains(&format!(" cmd={command} "))
    });
    (connection, id)
}

/// The server's time in milliseconds.
fn now_ms(connection: &mut Raw) -> i64 {
    let time = connection.run("TIME").elements();
    let [seconds, micros] = [0, 1].map(|index: usize| time[index].integer().expect("a number"));
    seconds * 1000 + micros / 1000
}

#[test]
fn an_event_is_delivered_after_its_transaction_with_what_a_synchronous_trigger_gets() {
    let (_server, mut connection) = with_triggers(
        &Options::new(),
        &[
            "events ASYNC ON set,append,del,new,expire,rename_from,rename_to KEYS user:* CALL events",
            "states ASYNC ON set,append,del KEYS user:* CALL states",
            "elements ASYNC ON hset,hdel,rpush KEYS user:* CALL elements",
        ],
    );
    check(
        &mut connection,
        &[
            ("SET user:1 a", "+OK"),
            ("APPEND user:1 b", ":2"),
            ("DEL user:1", ":1"),
            ("HSET user:2 x 1 y 2", ":2"),
            ("HDEL user:2 x nosuch", ":1"),
            ("SELECT 3", "+OK"),
            ("SET user:1 in-3 EX 1000", "+OK"),
            ("SELECT 0", "+OK"),
        ],
    );
    eventually(&mut connection, "GET events:user:1", r#""new,set,append,del,""#);
    eventually(&mut connection, "GET states:user:1", r#"">a,a>ab,ab>,""#);
    eventually(&mut connection, "GET elements:user:2", r#""x,y,x,""#);
    check(&mut connection, &[("SELECT 3", "+OK")]);
    eventually(&mut connection, "GET events:user:1", r#""new,set,expire,""#);
}

#[test]
fn values_that_are_long_are_left_out() {
    let (_server, mut connection) =
        with_triggers(&Options::new(), &["states ASYNC ON set KEYS user:* CALL states"]);
    let long = "x".repeat(16 * 1024 + 1);
    connection.command(&["SET", "user:1", "short"]);
    connection.command(&["SET", "user:1", &long]);
    connection.command(&["SET", "user:1", "end"]);
    eventually(&mut connection, "GET states:user:1", r#"">short,short>,>end,""#);
}

#[test]
fn what_is_undone_is_not_queued_and_what_triggers_and_transactions_do_is() {
    let (_server, mut connection) = with_triggers(&Options::new(), &[]);
    check(
        &mut connection,
        &[
            ("TRIGGER CREATE sync ON set KEYS source:* CALL twice", "+OK"),
            ("TRIGGER CREATE guard ON set KEYS guarded:* CALL picky", "+OK"),
            ("TRIGGER CREATE queued ASYNC ON set KEYS [scgu]*:* DB 0 CALL events CONCURRENCY 8", "+OK"),
            ("SET source:1 x", "+OK"),
            ("SET guarded:1 x", "-INVALID"),
            ("MULTI", "+OK"),
            ("SET user:1 a", "+QUEUED"),
            ("SET guarded:2 x", "+QUEUED"),
            ("SET user:1 b", "+QUEUED"),
            ("EXEC", "[+OK, -INVALID"),
        ],
    );
    drained(&mut connection, "queued");
    check(
        &mut connection,
        &[
            ("GET events:user:1", r#""set,set,""#),
            ("MGET events:source:1 events:copy:1 events:copy:2", r#"["set,", "set,", "set,"]"#),
            ("EXISTS events:guarded:1 events:guarded:2", ":0"),
        ],
    );
}

#[test]
fn each_key_sees_its_events_in_order_however_many_run() {
    let (_server, mut connection) =
        with_triggers(&Options::new(), &["log ASYNC ON set KEYS user:* CALL log CONCURRENCY 16"]);
    let values: Vec<String> = (0..50).map(|number| format!("{number},")).collect();
    for value in &values {
        for key in 0..20 {
            let key = format!("user:{key}");
            assert_eq!(connection.command(&["SET", &key, value]).to_string(), "+OK");
        }
    }
    drained(&mut connection, "log");
    for key in 0..20 {
        assert_eq!(connection.run(&format!("GET log:user:{key}")).text(), values.concat());
    }
    assert_eq!(info(&mut connection, "log", "done"), ":1000");
}

#[test]
fn a_delivery_that_fails_holds_up_its_key_alone() {
    let (_server, mut connection) = with_triggers(
        &Options::new(),
        &["log ASYNC ON set KEYS user:* CALL picky TRIES 100000 BACKOFF 10 CONCURRENCY 2"],
    );
    let began = Instant::now();
    check(
        &mut connection,
        &[("SET user:bad x", "+OK"), ("SET user:bad 2", "+OK"), ("SET user:good 3", "+OK")],
    );
    eventually(&mut connection, "GET log:user:good", "\"3\"");
    wait_for("some tries", || {
        info(&mut connection, "log", "retried")[1..].parse().is_ok_and(|tries: u64| tries > 2)
    });
    check(&mut connection, &[("EXISTS log:user:bad", ":0")]);
    assert_eq!(info(&mut connection, "log", "queued"), ":2");
    let age_ms: u128 = info(&mut connection, "log", "oldest_age_ms")[1..].parse().expect("a number");
    // The clocks of the two are not the same.
    assert!(age_ms <= began.elapsed().as_millis() + 60_000, "{age_ms}");
}

#[test]
fn a_delivery_that_fails_is_tried_again_and_in_the_end_is_a_dead_letter() {
    let (_server, mut connection) = with_triggers(
        &Options::new(),
        &["log ASYNC ON set KEYS user:* CALL picky TRIES 4 BACKOFF 200 CONCURRENCY 2"],
    );
    let began = Instant::now();
    check(&mut connection, &[("SET user:bad x", "+OK"), ("SET user:bad 2", "+OK")]);
    eventually(&mut connection, "GET log:user:bad", "\"2\"");
    // Three pauses, of which the shortest are 100, 200 and 400 ms.
    assert!(began.elapsed() >= Duration::from_millis(690), "{:?}", began.elapsed());
    let letters = connection.run("TRIGGER DEADLETTER LIST log");
    let letter = &letters.elements()[0];
    for (field, expected) in [
        ("event", "\"set\""),
        ("key", "\"user:bad\""),
        ("db", ":0"),
        ("tries", ":4"),
        ("error", "\"INVALID x\""),
    ] {
        assert_eq!(field_of(letter, field), expected, "{field}");
    }
    for (field, expected) in
        [("done", ":1"), ("failed", ":4"), ("retried", ":3"), ("dead_letters", ":1"), ("queued", ":0")]
    {
        assert_eq!(info(&mut connection, "log", field), expected, "{field}");
    }
    let told = connection.run("INFO wasm").text();
    assert!(
        told.contains("kvasm_trigger_dead_letters:1") && told.contains("kvasm_trigger_retries:3"),
        "{told}"
    );
}

#[test]
fn dead_letters_are_listed_tried_again_and_dropped() {
    let (server, mut connection) = with_triggers(
        &Options::new(),
        &["log ASYNC ON set KEYS user:* CALL gated TRIES 1", "other ASYNC ON set KEYS x CALL log"],
    );
    connection.run("SET closed 1");
    for key in 0..15 {
        connection.run(&format!("SET user:{key} {key}"));
    }
    wait_for("the dead letters", || info(&mut connection, "log", "dead_letters") == ":15");
    assert_eq!(connection.run("TRIGGER DEADLETTER LIST log").elements().len(), 10);
    assert_eq!(connection.run("TRIGGER DEADLETTER LIST log COUNT 100").elements().len(), 15);
    let second = connection.run("TRIGGER DEADLETTER LIST log COUNT 2").elements()[1].clone();
    assert_eq!(field_of(&second, "key"), "\"user:1\"");
    let id = field_of(&second, "id").replace('"', "");
    check(
        &mut connection,
        &[
            ("DEL closed", ":1"),
            (&format!("TRIGGER DEADLETTER RETRY log {id}"), ":1"),
            (&format!("TRIGGER DEADLETTER RETRY log {id}"), "-ERR no such dead letter"),
            ("TRIGGER DEADLETTER DROP log nonsense", "-ERR no such dead letter"),
            ("TRIGGER DEADLETTER DROP nosuch", "-ERR no such trigger"),
            ("TRIGGER DEADLETTER SHOW log", "-ERR syntax error"),
            ("TRIGGER DEADLETTER LIST other", "[]"),
            ("TRIGGER DEADLETTER RETRY other ALL", ":0"),
        ],
    );
    eventually(&mut connection, "GET log:user:1", "\"1\"");
    let third = connection.run("TRIGGER DEADLETTER LIST log COUNT 2").elements()[1].clone();
    let id = field_of(&third, "id").replace('"', "");
    // What is dead stays so over a restart, and what is dropped does not come back.
    check(&mut connection, &[(&format!("TRIGGER DEADLETTER DROP log {id}"), ":1")]);
    let mut server = server;
    server.terminate();
    server.restart();
    let mut connection = server.connect();
    check(
        &mut connection,
        &[
            ("TRIGGER DROP log", "-ERR trigger 'log' still has 0 queued and 13 dead deliveries"),
            ("TRIGGER DEADLETTER RETRY log", ":13"),
        ],
    );
    drained(&mut connection, "log");
    check(
        &mut connection,
        &[
            ("MGET log:user:0 log:user:2 log:user:14", r#"["0", $-1, "14"]"#),
            ("TRIGGER DEADLETTER LIST log", "[]"),
            ("TRIGGER DROP log", "+OK"),
        ],
    );
}

#[test]
fn a_delivery_for_which_there_is_no_room_among_the_dead_letters_stays() {
    let (_server, mut connection) = with_triggers(
        &Options::new().with("trigger-max-dead-letters", "1"),
        &["log ASYNC ON set KEYS user:* CALL picky TRIES 1"],
    );
    check(&mut connection, &[("SET user:1 x", "+OK"), ("SET user:2 x", "+OK"), ("SET user:3 3", "+OK")]);
    eventually(&mut connection, "GET log:user:3", "\"3\"");
    wait_for("both tries", || info(&mut connection, "log", "failed") == ":2");
    assert_eq!(
        (info(&mut connection, "log", "queued"), info(&mut connection, "log", "dead_letters")),
        (":1".into(), ":1".into())
    );
}

#[test]
fn a_write_that_finds_the_queue_full_is_refused_if_the_trigger_says_so() {
    let options = Options::new().with("trigger-queue-max-len", "3");
    let (_server, mut connection) = with_triggers(
        &options,
        &["log ASYNC ON set KEYS user:* CALL gated TRIES 100000 BACKOFF 30 ONFULL REFUSE"],
    );
    check(
        &mut connection,
        &[
            ("SET closed 1", "+OK"),
            ("MSET user:1 a user:2 b user:3 c user:4 d", "-QUEUEFULL the queue of trigger 'log' is full"),
            ("EXISTS user:1 user:2 user:3 user:4", ":0"),
            ("MSET user:1 a user:2 b", "+OK"),
            ("SET user:3 c", "+OK"),
            ("SET user:4 d", "-QUEUEFULL"),
            ("MULTI", "+OK"),
            ("SET other 1", "+QUEUED"),
            ("SET user:4 d", "+QUEUED"),
            ("EXEC", "[+OK, -QUEUEFULL"),
            ("MGET user:3 user:4 other", r#"["c", $-1, "1"]"#),
            ("DEL closed", ":1"),
        ],
    );
    drained(&mut connection, "log");
    check(
        &mut connection,
        &[("SET user:4 e", "+OK"), ("MGET log:user:1 log:user:2 log:user:3", r#"["a", "b", "c"]"#)],
    );
}

#[test]
fn a_write_that_finds_the_queue_full_waits_if_the_trigger_says_so() {
    let options = Options::new().with("trigger-queue-max-len", "3");
    let (server, mut connection) = with_triggers(
        &options,
        &["log ASYNC ON set,lpop KEYS user:* CALL gated TRIES 100000 BACKOFF 30 CONCURRENCY 8"],
    );
    check(
        &mut connection,
        &[
            ("SET closed 1", "+OK"),
            ("MSET user:1 a user:2 b", "+OK"),
            // It could never be done.
            ("MSET user:5 a user:6 a user:7 a user:8 a", "-QUEUEFULL"),
        ],
    );
    let (mut popping, _) = sender(&server, "BLPOP user:list 0\r\n", "blpop");
    let (mut waiting, _) = sender(&server, "MSET user:3 c user:4 d\r\n", "mset");
    let requests = "MULTI\r\nINCR count\r\nSET user:1 e EX 100\r\nSET user:2 f\r\nEXEC\r\n";
    let (mut transaction, _) = sender(&server, requests, "exec");
    let sent_ms = now_ms(&mut connection);
    let (_killed, id) = sender(&server, "MSET user:gone x user:more x\r\n", "mset");
    check(
        &mut connection,
        &[
            (&format!("CLIENT KILL ID {id}"), ":1"),
            ("MGET user:1 user:3 count", r#"["a", $-1, $-1]"#),
            ("SET user:3 x", "+OK"),
            // It serves who waits for the list, but that raises an event for which there is no room.
            ("RPUSH user:list x", ":1"),
            ("LLEN user:list", ":1"),
        ],
    );
    wait_for("a later time", || now_ms(&mut connection) > sent_ms);
    let room_ms = now_ms(&mut connection);
    check(&mut connection, &[("DEL closed", ":1")]);
    assert_eq!(waiting.read().to_string(), "+OK");
    let replies: Vec<String> = (0..5).map(|_| transaction.read().to_string()).collect();
    assert_eq!(replies[4], "[:1, +OK, +OK]");
    assert_eq!(popping.read().to_string(), r#"["user:list", "x"]"#);
    drained(&mut connection, "log");
    check(
        &mut connection,
        &[
            ("MGET log:user:1 log:user:2 log:user:4", r#"["ae", "bf", "d"]"#),
            ("GET count", "\"1\""),
            ("EXISTS user:list log:user:gone user:gone", ":0"),
        ],
    );
    let end_ms = connection.run("PEXPIRETIME user:1").integer().expect("a time");
    assert!(end_ms >= room_ms + 100_000, "it was done when there was room: {end_ms}, {room_ms}");
}

#[test]
fn who_waits_for_room_goes_on_when_the_limit_or_the_trigger_changes() {
    for change in ["CONFIG SET trigger-queue-max-len 10", "TRIGGER DISABLE log", "TRIGGER DROP log FORCE"] {
        let options = Options::new().with("trigger-queue-max-len", "1");
        let (server, mut connection) =
            with_triggers(&options, &["log ASYNC ON set KEYS user:* CALL gated TRIES 100000"]);
        check(&mut connection, &[("SET closed 1", "+OK"), ("SET user:1 a", "+OK")]);
        let (mut waiting, _) = sender(&server, "SET user:2 b\r\n", "set");
        check(&mut connection, &[("EXISTS user:2", ":0"), (change, "+OK")]);
        assert_eq!(waiting.read().to_string(), "+OK", "{change}");
    }
}

#[test]
fn bytes_bound_a_queue_too() {
    let options = Options::new().with("trigger-queue-max-bytes", "4kb");
    let (_server, mut connection) =
        with_triggers(&options, &["log ASYNC ON set KEYS user:* CALL gated TRIES 100000 ONFULL REFUSE"]);
    let value = "x".repeat(1500);
    connection.run("SET closed 1");
    for (key, expected) in
        [("user:1", "+OK"), ("user:2", "+OK"), ("user:3", "-QUEUEFULL"), ("user:4", "-QUEUEFULL")]
    {
        let reply = connection.command(&["SET", key, &value]).to_string();
        assert!(reply.starts_with(expected), "{key}: {reply}");
    }
    check(&mut connection, &[("SET user:5 short", "+OK")]);
}

#[test]
fn an_expiry_is_queued_even_when_the_queue_is_full() {
    let options = Options::new().with("trigger-queue-max-len", "1").with("hz", "100");
    let (server, mut connection) = with_triggers(
        &options,
        &[
            "log ASYNC ON set,expired,hexpired,del KEYS user:* CALL events CONCURRENCY 4 ONFULL REFUSE DISABLED",
        ],
    );
    check(
        &mut connection,
        &[
            ("SET user:seen 1", "+OK"),
            ("SET user:unseen 1", "+OK"),
            ("HSET user:hash f v", ":1"),
            ("TRIGGER ENABLE log", "+OK"),
            ("PEXPIRE user:seen 60", ":1"),
            ("PEXPIRE user:unseen 60", ":1"),
            ("HPEXPIRE user:hash 60 FIELDS 1 f", "[:1]"),
            ("TRIGGER CREATE stuck ASYNC ON set KEYS stuck CALL gated TRIES 100000", "+OK"),
            ("SET closed 1", "+OK"),
        ],
    );
    wait_for("the expiry", || connection.run("GET user:seen").is_null());
    eventually(
        &mut connection,
        "MGET events:user:seen events:user:unseen events:user:hash",
        r#"["expired,", "expired,", "hexpired,del,"]"#,
    );
    // A queue that stays full.
    check(
        &mut connection,
        &[
            ("TRIGGER DROP log FORCE", "+OK"),
            (
                "TRIGGER CREATE log ASYNC ON set,expired KEYS user:* CALL gated TRIES 100000 ONFULL REFUSE",
                "+OK",
            ),
            ("SET user:1 a", "+OK"),
            ("SET user:2 b", "-QUEUEFULL"),
            ("MSET other:1 c other:2 d", "+OK"),
            ("PEXPIRE user:1 30", ":1"),
        ],
    );
    wait_for("the event", || info(&mut connection, "log", "queued") == ":2");
    check(&mut connection, &[("EXISTS user:1", ":0"), ("DEL closed", ":1")]);
    drained(&mut connection, "log");
    check(&mut connection, &[("GET log:user:1", "\"a\"")]);
    drop(server);
}

#[test]
fn only_the_latest_state_is_delivered_where_only_that_matters() {
    let (_server, mut connection) = with_triggers(
        &Options::new(),
        &["states ASYNC ON set KEYS user:* CALL states COALESCE", "gate ASYNC ON set KEYS user:* CALL gated"],
    );
    check(
        &mut connection,
        &[
            ("SET user:1 a", "+OK"),
            ("MULTI", "+OK"),
            ("SET user:1 b", "+QUEUED"),
            ("SET user:1 c", "+QUEUED"),
            ("SET user:1 d", "+QUEUED"),
            ("SET user:2 e", "+QUEUED"),
            ("EXEC", "[+OK, +OK, +OK, +OK]"),
        ],
    );
    eventually(&mut connection, "GET states:user:2", r#"">e,""#);
    drained(&mut connection, "states");
    let states = connection.run("GET states:user:1").text();
    assert!(states == ">d," || states == ">a,a>d,", "{states}");
}

#[test]
fn a_restart_finds_the_queue_as_it_was() {
    let ends: [fn(&mut Server); 2] = [Server::kill_nine, Server::terminate];
    let options = Options::new().with("appendfsync", "always");
    let (mut server, mut connection) = with_triggers(
        &options,
        &["log ASYNC ON set KEYS user:* CALL gated TRIES 100000 BACKOFF 10 CONCURRENCY 4"],
    );
    connection.run("SET closed 1");
    for (round, end) in ends.into_iter().enumerate() {
        let mut connection = server.connect();
        for key in 0..500 {
            connection.run(&format!("SET user:{key} {round}"));
        }
        let queued = format!(":{}", 500 * (round + 1));
        assert_eq!(info(&mut connection, "log", "queued"), queued);
        // The values and names of the queue are nobody's business.
        check(
            &mut connection,
            &[
                ("DBSIZE", &*format!(":{}", 501 + round)),
                ("KEYS queue*", "[]"),
                ("SELECT 16", "-ERR DB index is out of range"),
            ],
        );
        end(&mut server);
        server.restart();
        let mut connection = server.connect();
        assert_eq!(info(&mut connection, "log", "queued"), queued);
        // Writes go on at once, behind what there is.
        assert_eq!(connection.run("SET other x").to_string(), "+OK");
    }
    let mut connection = server.connect();
    check(
        &mut connection,
        &[
            ("MULTI", "+OK"),
            ("FLUSHALL", "+QUEUED"),
            ("SWAPDB 0 1", "+QUEUED"),
            ("EXEC", "[+OK, +OK]"),
            ("SET user:3 2", "+OK"),
        ],
    );
    drained(&mut connection, "log");
    check(
        &mut connection,
        &[("MGET log:user:0 log:user:3 log:user:499", r#"["01", "012", "01"]"#), ("DBSIZE", ":501")],
    );
}

#[test]
fn a_disabled_trigger_queues_and_delivers_nothing_and_keeps_what_it_has() {
    let (_server, mut connection) =
        with_triggers(&Options::new(), &["log ASYNC ON set KEYS user:* CALL gated TRIES 100000 BACKOFF 10"]);
    check(
        &mut connection,
        &[
            ("SET closed 1", "+OK"),
            ("SET user:1 a", "+OK"),
            ("TRIGGER DISABLE log", "+OK"),
            ("SET user:1 b", "+OK"),
            ("DEL closed", ":1"),
        ],
    );
    std::thread::sleep(Duration::from_millis(100));
    check(
        &mut connection,
        &[("EXISTS log:user:1", ":0"), ("TRIGGER ENABLE log", "+OK"), ("SET user:1 c", "+OK")],
    );
    drained(&mut connection, "log");
    check(&mut connection, &[("GET log:user:1", "\"ac\"")]);
}

#[test]
fn a_trigger_goes_only_with_what_it_has_to_deliver() {
    let options = Options::new();
    let (server, mut connection) = with_triggers(&options, &[]);
    let declaring = |declarations: &str| {
        let module = rules();
        let section = kvasm_tests::guest::escape(declarations);
        let open = module.strip_suffix(')').expect("the end of the module");
        format!("{open}(@custom \"kvasm.triggers\" \"{section}\"))")
    };
    let line = "log ASYNC ON set KEYS user:* CALL gated TRIES 100000 BACKOFF 10";
    let declared = kvasm_tests::guest::library("rules", &declaring(line));
    let without = kvasm_tests::guest::library("rules", &rules());
    let loaded = connection.command(&["FUNCTION", "LOAD", "REPLACE", &declared]);
    assert_eq!(loaded.to_string(), "\"rules\"");
    check(&mut connection, &[("SET closed 1", "+OK"), ("SET user:1 a", "+OK")]);
    let refused = "-ERR trigger 'log' still has 1 queued and 0 dead deliveries";
    let replaced = connection.command(&["FUNCTION", "LOAD", "REPLACE", &without]).to_string();
    assert!(replaced.starts_with(refused), "{replaced}");
    check(
        &mut connection,
        &[
            ("FUNCTION DELETE rules", refused),
            ("FUNCTION FLUSH", refused),
            ("TRIGGER DROP log", refused),
            ("TRIGGER DROP log now", "-ERR syntax error"),
        ],
    );
    // The same trigger of the next version of the library goes on with the queue.
    assert_eq!(connection.command(&["FUNCTION", "LOAD", "REPLACE", &declared]).to_string(), "\"rules\"");
    assert_eq!(info(&mut connection, "log", "queued"), ":1");
    check(
        &mut connection,
        &[
            ("MULTI", "+OK"),
            ("TRIGGER DROP log FORCE", "+QUEUED"),
            ("TRIGGER CREATE log ASYNC ON set KEYS user:* CALL gated", "+QUEUED"),
            ("SET user:1 b", "+QUEUED"),
            ("EXEC", "[+OK, +OK, +OK]"),
            ("DEL closed", ":1"),
        ],
    );
    drained(&mut connection, "log");
    check(&mut connection, &[("GET log:user:1", "\"b\""), ("TRIGGER DROP log", "+OK")]);
    drop(server);
}

#[test]
fn a_delivery_without_an_end_takes_its_fuel_and_fails() {
    let (_server, mut connection) = with_triggers(
        &Options::new(),
        &["long ASYNC ON set KEYS user:* CALL endless TRIES 2 BACKOFF 1 FUEL 1000"],
    );
    connection.run("SET user:1 a");
    wait_for("the dead letter", || info(&mut connection, "long", "dead_letters") == ":1");
    let error = info(&mut connection, "long", "last_error");
    assert!(error.contains("WASMFUEL"), "{error}");
}

#[test]
fn an_asynchronous_trigger_must_make_sense() {
    let (_server, mut connection) = with_triggers(&Options::new(), &[]);
    check(
        &mut connection,
        &[
            (
                "TRIGGER CREATE t ASYNC ON set KEYS * CALL log TRIES 0",
                "-ERR TRIES is a number from 1 to 1000000",
            ),
            (
                "TRIGGER CREATE t ON set KEYS * CALL log COALESCE",
                "-ERR COALESCE is an option of ASYNC triggers",
            ),
            ("TRIGGER CREATE t ASYNC ON set KEYS * CALL log ONFULL drop", "-ERR syntax error"),
            ("TRIGGER CREATE t ASYNC ON set KEYS * CALL nosuch", "-ERR Function not found"),
            ("TRIGGER LIST", "[]"),
        ],
    );
}

#[test]
fn a_call_that_has_run_and_waits_for_room_can_still_be_stopped() {
    let options = Options::new().with("trigger-queue-max-len", "1");
    let (server, mut connection) =
        with_triggers(&options, &["log ASYNC ON set KEYS user:* CALL gated TRIES 100000"]);
    let put = format!(
        "(@custom \"kvasm.placement\" \"put background\")
         {}(func (export \"put\") (call $put {key} {key}))",
        data(0, "user:2"),
        key = slice(0, "user:2")
    );
    assert_eq!(load(&mut connection, "put", &module("put", &put)).to_string(), "\"put\"");
    check(&mut connection, &[("SET closed 1", "+OK"), ("SET user:1 a", "+OK")]);
    let running = |connection: &mut Raw| {
        let told = connection.run("INFO").text();
        told.contains("kvasm_background_running:1")
    };
    for stop in ["kill", "disconnect"] {
        let mut caller = server.connect();
        caller.send(b"FCALL put 0\r\n");
        wait_for("it runs", || running(&mut connection));
        // Most likely it has run by then, and waits.
        std::thread::sleep(Duration::from_millis(100));
        if stop == "kill" {
            check(&mut connection, &[("FUNCTION KILL put", "+OK")]);
            let reply = caller.read().to_string();
            assert!(reply.starts_with("-WASMKILLED"), "{reply}");
        }
        drop(caller);
        wait_for("it has ended", || !running(&mut connection));
    }
    check(&mut connection, &[("TRIGGER DROP log FORCE", "+OK"), ("EXISTS user:2", ":0")]);
}
