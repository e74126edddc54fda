//! Triggers as a client sees them: what their procedures are given, that they belong to the transaction that fired
//! them, that a failing one guards the data, and that they last.

use kvasm_tests::guest::{data, escape, eval, fcall, library, load, module, put_then, slice};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server};

fn server() -> Server {
    Server::kvasm(&Options::new().with("appendfsync", "always"))
}

/// The library of these tests.
///
/// - `record` puts what it was given under `seen:key`, `seen:event`, `seen:before`, `seen:after`, `seen:db`, and what
///   `get` says of the key under `seen:now`; what was absent is deleted.
/// - `trace` appends the last letter of its key to `trace`.
/// - `guard` refuses values that begin with `-`.
/// - `forever` increments its own key.
/// - `trap` puts `trapped` and traps.
fn rules() -> String {
    let names = [
        "seen:key",
        "seen:event",
        "seen:before",
        "seen:after",
        "seen:db",
        "seen:now",
        "trace",
        "trapped",
        "INVALID negative",
    ];
    let offset = |name: &str| names.iter().position(|other| *other == name).expect("a name") as u32 * 32;
    let segments: String = names.iter().map(|name| data(offset(name), name)).collect();
    let text = |name: &str| slice(offset(name), name);
    let save = |index: usize, name: &str| {
        format!(
            "(call $save {} (call $arg (i32.const {index}) (i32.const 1000) (i32.const 1000)))\n",
            text(name)
        )
    };
    let save_arguments =
        [save(0, "seen:event"), save(1, "seen:before"), save(2, "seen:after"), save(3, "seen:db")].concat();
    let key = "(call $key (i32.const 0) (i32.const 1000) (i32.const 1000))";
    module(
        "key arg get put delete increment abort",
        &format!(
            "{segments}
             (func $save (param $name i32) (param $name_length i32) (param $length i32)
               (if (i32.lt_s (local.get $length) (i32.const 0))
                 (then (drop (call $delete (local.get $name) (local.get $name_length))))
                 (else (call $put (local.get $name) (local.get $name_length) (i32.const 1000) (local.get $length)))))
             (func (export \"record\")
               {save_arguments}
               (call $save {} {key})
               (call $save {} (i32.wrap_i64 (call $get (i32.const 1000) {key} (i32.const 1000) (i32.const 1000)))))
             (func (export \"trace\") (local $length i32)
               (local.set $length (i32.wrap_i64 (call $get {trace} (i32.const 2000) (i32.const 1000))))
               (if (i32.lt_s (local.get $length) (i32.const 0)) (then (local.set $length (i32.const 0))))
               (i32.store8 (i32.add (i32.const 2000) (local.get $length))
                 (i32.load8_u (i32.add (i32.const 999) {key})))
               (call $put {trace} (i32.const 2000) (i32.add (local.get $length) (i32.const 1))))
             (func (export \"guard\")
               (drop (call $arg (i32.const 2) (i32.const 1000) (i32.const 1000)))
               (if (i32.eq (i32.load8_u (i32.const 1000)) (i32.const 45)) (then (call $abort {}))))
             (func (export \"forever\") (drop (call $increment (i32.const 1000) {key} (i64.const 1))))
             (func (export \"trap\") (call $put {} (i32.const 0) (i32.const 1)) (unreachable))",
            text("seen:key"),
            text("seen:now"),
            text("INVALID negative"),
            text("trapped"),
            trace = text("trace"),
        ),
    )
}

/// A server with the library and these triggers.
fn with_triggers(triggers: &[&str]) -> (Server, Raw) {
    let server = server();
    let mut connection = server.connect();
    assert_eq!(load(&mut connection, "rules", &rules()).to_string(), "\"rules\"");
    for trigger in triggers {
        assert_eq!(connection.run(&format!("TRIGGER CREATE {trigger}")).to_string(), "+OK", "{trigger}");
    }
    (server, connection)
}

/// Runs a session, and compares how its replies begin.
fn check(connection: &mut Raw, session: &[(&str, &str)]) {
    for (line, expected) in session {
        let reply = connection.run(line).to_string();
        assert!(reply.starts_with(expected), "{line}: {reply} instead of {expected}");
    }
}

#[test]
fn a_trigger_gets_key_event_database_and_the_values_before_and_after() {
    let (_server, mut connection) = with_triggers(&[
        "recorder ON set,append,incrby,incrbyfloat,setrange,setbit,del,rename_from,rename_to,expire,persist,copy_to \
         KEYS user:* CALL record",
    ]);
    let seen = "MGET seen:key seen:event seen:before seen:after seen:now seen:db";
    let table = [
        ("SET user:1 a", r#"["user:1", "set", $-1, "a", "a", "0"]"#),
        ("SET user:1 b", r#"["user:1", "set", "a", "b", "b", "0"]"#),
        ("APPEND user:1 c", r#"["user:1", "append", "b", "bc", "bc", "0"]"#),
        ("SETRANGE user:1 0 x", r#"["user:1", "setrange", "bc", "xc", "xc", "0"]"#),
        ("INCRBY user:2 5", r#"["user:2", "incrby", $-1, "5", "5", "0"]"#),
        ("INCRBYFLOAT user:2 0.5", r#"["user:2", "incrbyfloat", "5", "5.5", "5.5", "0"]"#),
        ("SETBIT user:3 1 1", r#"["user:3", "setbit", $-1, "@", "@", "0"]"#),
        ("EXPIRE user:3 1000", r#"["user:3", "expire", "@", "@", "@", "0"]"#),
        ("PERSIST user:3", r#"["user:3", "persist", "@", "@", "@", "0"]"#),
        ("DEL user:3", r#"["user:3", "del", "@", $-1, $-1, "0"]"#),
        ("RENAME user:2 elsewhere", r#"["user:2", "rename_from", "5.5", $-1, $-1, "0"]"#),
        ("RENAME elsewhere user:4", r#"["user:4", "rename_to", $-1, "5.5", "5.5", "0"]"#),
        ("COPY user:4 user:5", r#"["user:5", "copy_to", $-1, "5.5", "5.5", "0"]"#),
        ("GETDEL user:4", r#"["user:4", "del", "5.5", $-1, $-1, "0"]"#),
        ("SET other:1 x", r#"["user:4", "del", "5.5", $-1, $-1, "0"]"#),
        ("SET user:1 y NX", r#"["user:4", "del", "5.5", $-1, $-1, "0"]"#),
    ];
    for (line, expected) in table {
        connection.run(line);
        assert_eq!(connection.run(seen).to_string(), expected, "{line}");
    }
    check(
        &mut connection,
        &[("SELECT 5", "+OK"), ("SET user:1 a", "+OK"), (seen, r#"["user:1", "set", $-1, "a", "a", "5"]"#)],
    );
}

#[test]
fn triggers_run_in_the_order_of_the_changes() {
    let (_server, mut connection) = with_triggers(&["tracer ON set,del KEYS t:* CALL trace"]);
    check(
        &mut connection,
        &[
            ("MSET t:c 1 t:a 1 t:b 1", "+OK"),
            ("GET trace", "\"cab\""),
            ("DEL t:b t:none t:c", ":2"),
            ("GET trace", "\"cabbc\""),
            ("MULTI", "+OK"),
            ("SET t:x 1", "+QUEUED"),
            ("GET trace", "+QUEUED"),
            ("SET t:y 1", "+QUEUED"),
            ("EXEC", "[+OK, \"cabbcx\", +OK]"),
            ("GET trace", "\"cabbcxy\""),
            ("FLUSHDB", "+OK"),
            ("EXISTS trace", ":0"),
        ],
    );
}

#[test]
fn a_trigger_works_for_one_database_where_it_says_so_and_only_while_enabled() {
    let (_server, mut connection) = with_triggers(&["tracer ON set KEYS t:* DB 1 CALL trace DISABLED"]);
    check(
        &mut connection,
        &[
            ("SELECT 1", "+OK"),
            ("SET t:a 1", "+OK"),
            ("TRIGGER ENABLE tracer", "+OK"),
            ("SET t:b 1", "+OK"),
            ("SELECT 0", "+OK"),
            ("SET t:c 1", "+OK"),
            ("EXISTS trace", ":0"),
            ("SELECT 1", "+OK"),
            ("TRIGGER DISABLE tracer", "+OK"),
            ("SET t:d 1", "+OK"),
            ("GET trace", "\"b\""),
            ("TRIGGER DROP tracer", "+OK"),
            ("TRIGGER ENABLE tracer", "-"),
            ("TRIGGER DROP tracer", "-"),
            ("TRIGGER INFO tracer", "-"),
        ],
    );
}

#[test]
fn a_guard_undoes_the_command_that_it_refuses() {
    let (_server, mut connection) = with_triggers(&["positive ON set,incrby KEYS account:* CALL guard"]);
    check(
        &mut connection,
        &[
            ("SET account:1 10 EX 1000", "+OK"),
            ("SET account:1 -5", "-INVALID trigger 'positive': negative"),
            ("DECRBY account:1 11", "-INVALID trigger 'positive': negative"),
            ("GET account:1", "\"10\""),
            ("MSET other 1 account:2 5 account:3 -1", "-INVALID"),
            ("EXISTS other account:2 account:3", ":0"),
            ("MULTI", "+OK"),
            ("SET first 1", "+QUEUED"),
            ("MSET inside 1 account:1 -1", "+QUEUED"),
            ("INCR account:1", "+QUEUED"),
            ("EXEC", "[+OK, -INVALID trigger 'positive': negative, :11]"),
            ("MGET first inside account:1", "[\"1\", $-1, \"11\"]"),
        ],
    );
    assert!(connection.run("TTL account:1").integer() > Some(900));
    // A procedure's writes are guarded with it.
    let module = put_then(
        "key arg increment",
        "account:1",
        &format!("(drop (call $increment {} (i64.const -99)))", slice(1000, "account:1")),
    );
    let reply = eval(&mut connection, &module, "", "").to_string();
    assert!(reply.starts_with("-INVALID trigger 'positive'"), "{reply}");
    check(&mut connection, &[("EXISTS written", ":0"), ("GET account:1", "\"11\"")]);
}

#[test]
fn a_failing_trigger_takes_its_own_effects_along() {
    let (server, mut connection) =
        with_triggers(&["bad ON set KEYS t:* CALL trap", "tracer ON set KEYS t:* CALL trace"]);
    let mut subscriber = server.connect();
    connection.run("CONFIG SET notify-keyspace-events KEA");
    subscriber.run("PSUBSCRIBE *");
    check(
        &mut connection,
        &[("SET t:a 1", "-WASMTRAP trigger 'bad': "), ("EXISTS t:a trapped trace", ":0"), ("DBSIZE", ":0")],
    );
    assert!(subscriber.drain("nothing").expect("the subscriber").is_empty());
}

#[test]
fn cascades_run_and_are_bounded() {
    let (_server, mut connection) = with_triggers(&[
        "chain ON incrby KEYS chain:* CALL forever",
        "tracer ON set KEYS t:* CALL trace",
        "second ON set KEYS trace CALL record",
    ]);
    check(
        &mut connection,
        &[
            ("SET t:a 1", "+OK"),
            ("MGET trace seen:key seen:after", r#"["a", "trace", "a"]"#),
            ("INCR chain:1", "-"),
            ("EXISTS chain:1", ":0"),
            ("SET chain:1 5", "+OK"),
            ("INCR chain:1", "-"),
            ("GET chain:1", "\"5\""),
        ],
    );
}

#[test]
fn on_an_expiry_the_deletion_stands() {
    let (server, mut connection) = with_triggers(&[
        "tracer ON expired KEYS t:* CALL trace",
        "bad ON expired KEYS b:* CALL trap",
        "recorder ON expired KEYS r:* CALL record",
    ]);
    connection.run("SET t:a 1 PX 20");
    connection.run("SET b:a 1 PX 20");
    connection.run("SET r:a value PX 20");
    // Nobody touches the keys.
    wait_for("the expiries", || connection.run("MGET trace seen:event").to_string() == r#"["a", "expired"]"#);
    wait_for("the failed one", || server.log().contains("bad"));
    check(
        &mut connection,
        &[
            ("MGET seen:key seen:before seen:after", r#"["r:a", "value", $-1]"#),
            ("EXISTS t:a b:a r:a trapped", ":0"),
            ("SET b:b 1 PX 1", "+OK"),
            ("PING", "+PONG"),
        ],
    );
    let information = connection.run("TRIGGER INFO bad").to_string();
    assert!(information.contains("WASMTRAP"), "{information}");
}

#[test]
fn a_library_brings_its_triggers_and_takes_them_along() {
    let server = server();
    let mut connection = server.connect();
    let declaring = |declarations: &str| {
        let escaped = escape(declarations);
        let module = rules();
        format!(
            "{}(@custom \"kvasm.triggers\" \"{escaped}\"))",
            module.strip_suffix(')').expect("the end of the module")
        )
    };
    let good = library(
        "rules",
        &declaring("tracer ON set KEYS t:* CALL trace\nguard ON set KEYS g:* DB 0 CALL guard\n"),
    );
    let other = library("rules", &declaring("other ON set KEYS t:* CALL trace DISABLED"));
    let bad =
        library("rules", &declaring("good ON set KEYS t:* CALL trace\nbad ON nosuch KEYS t:* CALL trace"));
    let session: &[(&[&str], &str)] = &[
        (&["FUNCTION", "LOAD", &bad], "-"),
        (&["FUNCTION", "LIST"], "[]"),
        (&["TRIGGER", "LIST"], "[]"),
        (&["FUNCTION", "LOAD", &good], "\"rules\""),
        (&["SET", "t:a", "1"], "+OK"),
        (&["GET", "trace"], "\"a\""),
        (&["SET", "g:a", "-1"], "-INVALID"),
        (&["FUNCTION", "LOAD", "REPLACE", &bad], "-"),
        (&["SET", "g:a", "-1"], "-INVALID"),
        (&["FUNCTION", "LOAD", "REPLACE", &other], "\"rules\""),
        (&["SET", "g:a", "-1"], "+OK"),
        (&["TRIGGER", "INFO", "tracer"], "-"),
        (&["FUNCTION", "DELETE", "rules"], "+OK"),
        (&["TRIGGER", "LIST"], "[]"),
        (&["SET", "t:b", "1"], "+OK"),
        (&["GET", "trace"], "\"a\""),
    ];
    for (command, expected) in session {
        let reply = connection.command(command).to_string();
        assert!(reply.starts_with(expected), "{command:?}: {reply} instead of {expected}");
    }
}

#[test]
fn a_library_that_a_trigger_uses_cannot_be_deleted() {
    let (_server, mut connection) = with_triggers(&["tracer ON set KEYS t:* CALL trace"]);
    check(
        &mut connection,
        &[
            ("FUNCTION DELETE rules", "-"),
            ("FUNCTION FLUSH", "-"),
            ("SET t:a 1", "+OK"),
            ("GET trace", "\"a\""),
        ],
    );
    let without_trace = library("rules", &module("", "(func (export \"record\"))"));
    assert!(
        connection.command(&["FUNCTION", "LOAD", "REPLACE", &without_trace]).is_error(),
        "the function is in use"
    );
    check(
        &mut connection,
        &[
            ("TRIGGER DROP tracer", "+OK"),
            ("FUNCTION DELETE rules", "+OK"),
            ("FUNCTION LIST", "[]"),
            ("SET t:b 1", "+OK"),
        ],
    );
}

#[test]
fn triggers_survive_every_kind_of_restart() {
    let (mut server, mut connection) = with_triggers(&[
        "tracer ON set KEYS t:* CALL trace",
        "off ON set KEYS t:* CALL trap DISABLED",
        "gone ON set KEYS t:* CALL trap",
    ]);
    connection.run("TRIGGER DROP gone");
    let restarts: [fn(&mut Server); 3] = [
        |server| (server.kill_nine(), server.restart()).1,
        |server| (server.terminate(), server.restart()).1,
        // The trigger needs the value before and the key `trace`, and both are on disk only.
        Server::restart_cold,
    ];
    for (restart, expected) in restarts.into_iter().zip(["\"aa\"", "\"aaaa\"", "\"aaaaaa\""]) {
        check(&mut server.connect(), &[("SET t:a 1", "+OK")]);
        restart(&mut server);
        check(&mut server.connect(), &[("SET t:a 2", "+OK"), ("GET trace", expected)]);
    }
    let mut connection = server.connect();
    assert_eq!(connection.run("TRIGGER LIST").elements().len(), 2);
    check(&mut connection, &[("TRIGGER ENABLE off", "+OK"), ("SET t:a 1", "-WASMTRAP trigger 'off': ")]);
    assert!(!fcall(&mut connection, "trace", "t:z", "").is_error());
}

#[test]
fn a_trigger_must_make_sense() {
    let (_server, mut connection) = with_triggers(&["tracer ON set KEYS t:* CALL trace"]);
    let wrong = [
        "",
        "new",
        "new ON set KEYS a*",
        "new ON set KEYS a* CALL nosuch",
        "new ON nosuch KEYS a* CALL trace",
        "new ON set,,del KEYS a* CALL trace",
        "new ON set KEYS a* DB 16 CALL trace",
        "new ON set KEYS a* DB x CALL trace",
        "new ON set KEYS a* CALL trace MAYBE",
        "new ON set KEYS a* CALL trace ENABLED more",
        "new WHEN set KEYS a* CALL trace",
        "\"\" ON set KEYS a* CALL trace",
        "tracer ON del KEYS a* CALL trace",
    ];
    for definition in wrong {
        let reply = connection.run(&format!("TRIGGER CREATE {definition}"));
        assert!(reply.is_error(), "{definition}: {reply}");
    }
    assert_eq!(connection.run("TRIGGER LIST").elements().len(), 1);
}
