//! Commands that wait for a key: who is served, with what, in which order, and what ends a wait otherwise.
//!
//! `KVASM_BIN=redis-server` runs what does not concern procedures against redis-server.

use std::time::{Duration, Instant};

use kvasm_tests::guest::{data, eval, load, module, slice};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server, line};

fn server() -> Server {
    Server::kvasm(&Options::new())
}

/// How many clients wait. Whoever is served does not wait any more when the command that serves is answered.
fn waiting(connection: &mut Raw) -> i64 {
    let info = connection.run("INFO clients").text();
    let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")).expect("the number");
    line.parse().expect("a number")
}

/// A connection that has sent a command and waits, and nobody came between.
fn waiter(server: &Server, command: &str) -> Raw {
    let mut watcher = server.connect();
    let before = waiting(&mut watcher);
    let mut connection = server.connect();
    connection.send(&line::encode(&line::arguments(command)));
    wait_for("the command to wait", || waiting(&mut watcher) == before + 1);
    connection
}

#[track_caller]
fn check(connection: &mut Raw, session: &[(&str, &str)]) {
    for (line, expected) in session {
        assert_eq!(connection.run(line).to_string(), *expected, "{line}");
    }
}

#[test]
fn what_is_there_is_taken_without_waiting() {
    let server = server();
    check(
        &mut server.connect(),
        &[
            ("RPUSH l a b c d", ":4"),
            ("BLPOP none l 0", r#"["l", "a"]"#),
            ("BRPOP l 0", r#"["l", "d"]"#),
            ("BLMOVE l m LEFT RIGHT 0", "\"b\""),
            ("BRPOPLPUSH l m 0", "\"c\""),
            ("BLMPOP 0 2 none m RIGHT COUNT 9", r#"["m", ["b", "c"]]"#),
            ("EXISTS l m", ":0"),
        ],
    );
}

#[test]
fn each_command_is_served_with_what_was_pushed() {
    let server = server();
    let mut pusher = server.connect();
    for (command, push, expected) in [
        ("BLPOP a l 0", "RPUSH l 1 2 3", r#"["l", "1"]"#),
        ("BRPOP l a 0", "RPUSH l 1 2 3", r#"["l", "3"]"#),
        ("BLMOVE l other LEFT LEFT 0", "RPUSH l 1 2 3", "\"1\""),
        ("BRPOPLPUSH l other 0", "RPUSH l 1 2 3", "\"3\""),
        ("BLMPOP 0 2 a l LEFT COUNT 2", "RPUSH l 1 2 3", r#"["l", ["1", "2"]]"#),
        ("BLPOP l 0", "LPUSH l 1 2 3", r#"["l", "3"]"#),
        ("BLPOP l l 0", "RPUSH l 1", r#"["l", "1"]"#),
    ] {
        let mut waiter = waiter(&server, command);
        let length = line::arguments(push).len() as i64 - 2;
        assert_eq!(
            pusher.run(push).integer(),
            Some(length),
            "{push} tells the length before anybody is served"
        );
        assert_eq!(waiter.read().to_string(), expected, "{command}, {push}");
        // And it serves further commands.
        assert_eq!(waiter.run("PING").to_string(), "+PONG");
        pusher.run("FLUSHALL");
    }
}

#[test]
fn those_who_wait_for_sorted_sets_get_the_ends_of_what_was_added() {
    let server = server();
    let mut adder = server.connect();
    for (command, expected) in [
        ("BZPOPMIN a z 0", r#"["z", "one", "1"]"#),
        ("BZPOPMAX z a 0", r#"["z", "three", "3"]"#),
        ("BZMPOP 0 2 a z MAX COUNT 2", r#"["z", [["three", "3"], ["two", "2"]]]"#),
    ] {
        let mut waiter = waiter(&server, command);
        check(&mut adder, &[("SET z x", "+OK"), ("DEL z", ":1"), ("RPUSH z x", ":1"), ("DEL z", ":1")]);
        check(&mut adder, &[("ZADD z 2 two 3 three 1 one", ":3")]);
        assert_eq!(waiter.read().to_string(), expected, "{command}");
        adder.run("FLUSHALL");
    }
    let mut waiter = waiter(&server, "BZPOPMIN z 0");
    check(&mut adder, &[("ZADD other 1 a", ":1"), ("ZUNIONSTORE z 1 other", ":1"), ("EXISTS z", ":0")]);
    assert_eq!(waiter.read().to_string(), r#"["z", "a", "1"]"#);
}

#[test]
fn clients_are_served_in_the_order_of_waiting() {
    let server = server();
    let mut waiters: Vec<Raw> = (0..5).map(|_| waiter(&server, "BLPOP l 0")).collect();
    let mut other = waiter(&server, "BLPOP other l 0");
    let mut pusher = server.connect();
    check(&mut pusher, &[("RPUSH l 0 1 2", ":3"), ("EXISTS l", ":0")]);
    for (number, waiter) in waiters[..3].iter_mut().enumerate() {
        assert_eq!(waiter.read().to_string(), format!(r#"["l", "{number}"]"#));
    }
    // Whoever waits again is the last.
    waiters[0].send(&line::encode(&["BLPOP", "l", "0"]));
    wait_for("the first to wait again", || waiting(&mut pusher) == 4);
    check(&mut pusher, &[("RPUSH l 3 4 5 6 7", ":5"), ("LRANGE l 0 -1", r#"["7"]"#)]);
    for (waiter, number) in [3, 4].into_iter().zip([3, 4]) {
        assert_eq!(waiters[waiter].read().to_string(), format!(r#"["l", "{number}"]"#));
    }
    assert_eq!(other.read().to_string(), r#"["l", "5"]"#);
    assert_eq!(waiters[0].read().to_string(), r#"["l", "6"]"#);
}

#[test]
fn a_pipeline_waits_where_its_command_waits() {
    let server = server();
    let mut connection = server.connect();
    let requests = ["SET before 1", "BLPOP l 0", "SET after 1"];
    let bytes: Vec<u8> =
        requests.iter().flat_map(|request| line::encode(&line::arguments(request))).collect();
    connection.send(&bytes);
    assert_eq!(connection.read().to_string(), "+OK");
    let mut pusher = server.connect();
    wait_for("the command to wait", || waiting(&mut pusher) == 1);
    // What comes while it waits waits, too.
    connection.send(&line::encode(&["GET", "after"]));
    check(&mut pusher, &[("EXISTS before after", ":1"), ("RPUSH l x", ":1")]);
    for expected in [r#"["l", "x"]"#, "+OK", "\"1\""] {
        assert_eq!(connection.read().to_string(), expected);
    }
}

#[test]
fn a_wait_ends_in_time_with_a_null() {
    let server = server();
    for (protocol, null) in [("2", "*-1"), ("3", "_")] {
        for command in
            ["BLPOP a b 0.05", "BLMOVE a b LEFT LEFT 0.05", "BRPOPLPUSH a b 0.05", "BLMPOP 0.05 1 a LEFT"]
        {
            let mut connection = server.connect();
            connection.run(&format!("HELLO {protocol}"));
            let start = Instant::now();
            assert_eq!(connection.run(command).to_string(), null, "{command}");
            assert!(start.elapsed() >= Duration::from_millis(50), "{command}: {:?}", start.elapsed());
        }
    }
    let mut connection = server.connect();
    check(&mut connection, &[("RPUSH a x", ":1"), ("LRANGE a 0 -1", r#"["x"]"#)]);
    assert_eq!(waiting(&mut connection), 0);
}

#[test]
fn in_a_transaction_nobody_waits() {
    let server = server();
    let mut connection = server.connect();
    check(&mut connection, &[("MULTI", "+OK")]);
    for command in [
        "BLPOP a 0",
        "BRPOP a 0",
        "BLMOVE a b LEFT LEFT 0",
        "BRPOPLPUSH a b 0",
        "BLMPOP 0 1 a LEFT",
        "RPUSH a 1",
        "BLPOP a 0",
    ] {
        check(&mut connection, &[(command, "+QUEUED")]);
    }
    check(&mut connection, &[("EXEC", r#"[*-1, *-1, $-1, $-1, *-1, :1, ["a", "1"]]"#)]);
}

#[test]
fn a_transaction_is_over_before_anybody_is_served() {
    let server = server();
    let (mut first, mut second) = (waiter(&server, "BLPOP a b 0"), waiter(&server, "BLPOP a 0"));
    let mut pusher = server.connect();
    // Pushed and taken away again: there is nothing for those who wait.
    check(
        &mut pusher,
        &[("MULTI", "+OK"), ("RPUSH a 1", "+QUEUED"), ("DEL a", "+QUEUED"), ("EXEC", "[:1, :1]")],
    );
    assert_eq!(waiting(&mut pusher), 2);
    // The key that was written first serves first, and what the list is at the end counts.
    check(
        &mut pusher,
        &[
            ("MULTI", "+OK"),
            ("RPUSH b x", "+QUEUED"),
            ("RPUSH a 1", "+QUEUED"),
            ("LPUSH a 0", "+QUEUED"),
            ("LLEN a", "+QUEUED"),
            ("EXEC", "[:1, :1, :2, :2]"),
            ("LRANGE a 0 -1", r#"["1"]"#),
        ],
    );
    assert_eq!(first.read().to_string(), r#"["b", "x"]"#);
    assert_eq!(second.read().to_string(), r#"["a", "0"]"#);
}

#[test]
fn a_list_wakes_whatever_brought_it() {
    let server = server();
    for (before, write) in [
        ("RPUSH source x", "RENAME source l"),
        ("RPUSH source x", "COPY source l"),
        ("RPUSH source x", "LMOVE source l LEFT LEFT"),
        ("RPUSH source y x", "RPOPLPUSH source l"),
    ] {
        let mut pusher = server.connect();
        pusher.run(before);
        let mut waiter = waiter(&server, "BLPOP l 0");
        assert!(!pusher.run(write).is_error(), "{write}");
        assert_eq!(waiter.read().to_string(), r#"["l", "x"]"#, "{write}");
        pusher.run("FLUSHALL");
    }
    let mut pusher = server.connect();
    check(&mut pusher, &[("SELECT 1", "+OK"), ("RPUSH l x", ":1")]);
    let mut first = waiter(&server, "BLPOP l 0");
    check(&mut pusher, &[("MOVE l 0", ":1")]);
    assert_eq!(first.read().to_string(), r#"["l", "x"]"#);
    // Clients wait in a database of a number, whatever its content.
    check(&mut pusher, &[("RPUSH l y", ":1")]);
    let mut second = waiter(&server, "BLPOP l 0");
    check(&mut pusher, &[("SWAPDB 0 1", "+OK")]);
    assert_eq!(second.read().to_string(), r#"["l", "y"]"#);
}

#[test]
fn those_who_wait_serve_others() {
    let server = server();
    let mut last = waiter(&server, "BLPOP c 0");
    let mut second = waiter(&server, "BLMOVE b c LEFT LEFT 0");
    let mut first = waiter(&server, "BLMOVE a b LEFT LEFT 0");
    let mut pusher = server.connect();
    check(&mut pusher, &[("RPUSH a x", ":1"), ("EXISTS a b c", ":0")]);
    assert_eq!(first.read().to_string(), "\"x\"");
    assert_eq!(second.read().to_string(), "\"x\"");
    assert_eq!(last.read().to_string(), r#"["c", "x"]"#);
    // A list that is turned round wakes those who wait for it until nobody does.
    let mut turner = waiter(&server, "BLMOVE l l LEFT RIGHT 0");
    let mut taker = waiter(&server, "BLPOP l 0");
    check(&mut pusher, &[("RPUSH l 1 2", ":2"), ("LRANGE l 0 -1", r#"["1"]"#)]);
    assert_eq!(turner.read().to_string(), "\"1\"");
    assert_eq!(taker.read().to_string(), r#"["l", "2"]"#);
}

#[test]
fn a_key_of_another_type_wakes_nobody_but_a_wrong_target_is_told() {
    let server = server();
    let mut pusher = server.connect();
    let mut popper = waiter(&server, "BLPOP l other 0");
    check(&mut pusher, &[("SET l x", "+OK")]);
    assert_eq!(waiting(&mut pusher), 1);
    check(&mut pusher, &[("RPUSH other y", ":1")]);
    assert_eq!(popper.read().to_string(), r#"["other", "y"]"#);
    check(
        &mut pusher,
        &[("BLPOP l 0", "-WRONGTYPE Operation against a key holding the wrong kind of value")],
    );
    let mut mover = waiter(&server, "BLMOVE source l LEFT LEFT 0");
    check(&mut pusher, &[("RPUSH source 1", ":1")]);
    assert_eq!(
        mover.read().to_string(),
        "-WRONGTYPE Operation against a key holding the wrong kind of value"
    );
    check(&mut pusher, &[("LRANGE source 0 -1", r#"["1"]"#)]);
}

#[test]
fn a_wait_is_ended_by_others() {
    let server = server();
    let mut other = server.connect();
    let mut connection = server.connect();
    let id = connection.run("CLIENT ID").integer().expect("a number");
    for (reason, expected) in
        [("", "*-1"), (" TIMEOUT", "*-1"), (" error", "-UNBLOCKED client unblocked via CLIENT UNBLOCK")]
    {
        connection.send(&line::encode(&["BLPOP", "l", "0"]));
        wait_for("the command to wait", || waiting(&mut other) == 1);
        let list = other.run(&format!("CLIENT LIST ID {id}")).text();
        assert!(list.contains(" flags=b ") && list.contains(" cmd=blpop "), "{list}");
        check(&mut other, &[(&format!("CLIENT UNBLOCK {id}{reason}"), ":1")]);
        assert_eq!(connection.read().to_string(), expected, "{reason}");
        check(&mut other, &[(&format!("CLIENT UNBLOCK {id}{reason}"), ":0")]);
    }
    let list = other.run(&format!("CLIENT LIST ID {id}")).text();
    assert!(list.contains(" flags=N "), "{list}");
    check(
        &mut other,
        &[
            ("CLIENT UNBLOCK x", "-ERR value is not an integer or out of range"),
            (&format!("CLIENT UNBLOCK {id} soon"), "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        ],
    );
}

#[test]
fn a_client_that_has_gone_takes_nothing() {
    let server = server();
    let mut pusher = server.connect();
    let gone = waiter(&server, "BLPOP l 0");
    let mut killed = waiter(&server, "BLPOP l 0");
    let mut left = waiter(&server, "BLPOP l 0");
    drop(gone);
    wait_for("the first to go", || waiting(&mut pusher) == 2);
    let list = pusher.run("CLIENT LIST").text();
    let id =
        list.lines().find(|line| line.contains("flags=b")).and_then(|line| line.split([' ', '=']).nth(1));
    check(&mut pusher, &[(&format!("CLIENT KILL ID {}", id.expect("one that waits")), ":1")]);
    assert!(killed.read_to_end().is_empty());
    wait_for("the second to go", || waiting(&mut pusher) == 1);
    check(&mut pusher, &[("RPUSH l x", ":1")]);
    assert_eq!(left.read().to_string(), r#"["l", "x"]"#);
}

#[test]
fn messages_reach_a_client_that_waits() {
    let server = server();
    let mut connection = server.connect();
    connection.run("HELLO 3");
    connection.run("SUBSCRIBE news");
    connection.send(&line::encode(&["BLPOP", "l", "0"]));
    let mut other = server.connect();
    wait_for("the command to wait", || waiting(&mut other) == 1);
    check(&mut other, &[("PUBLISH news hello", ":1")]);
    assert_eq!(connection.read().to_string(), r#">["message", "news", "hello"]"#);
    check(&mut other, &[("RPUSH l x", ":1")]);
    assert_eq!(connection.read().to_string(), r#"["l", "x"]"#);
}

#[test]
fn who_is_served_raises_events_and_touches_watched_keys() {
    let server = Server::kvasm(&Options::new().with("notify-keyspace-events", "AKE"));
    let mut listener = server.connect();
    listener.run("PSUBSCRIBE __keyevent@0__:*");
    let mut watcher = server.connect();
    check(&mut watcher, &[("WATCH target", "+OK"), ("MULTI", "+OK"), ("PING", "+QUEUED")]);
    let mut mover = waiter(&server, "BLMOVE source target LEFT LEFT 0");
    check(&mut server.connect(), &[("RPUSH source x", ":1")]);
    assert_eq!(mover.read().to_string(), "\"x\"");
    check(&mut watcher, &[("EXEC", "*-1")]);
    let events: Vec<String> = listener
        .drain("end")
        .expect("events")
        .iter()
        .map(|event| {
            let parts = event.elements();
            let name = parts[2].text();
            format!("{} {}", name.rsplit(':').next().unwrap_or_default(), parts[3].text())
        })
        .collect();
    assert_eq!(events, ["rpush source", "lpush target", "lpop source", "del source"]);
}

#[test]
fn who_caches_is_told_of_a_push_and_of_what_was_served_for_it() {
    let server = server();
    if !server.is_kvasm() {
        // Redis tells of both together.
        return;
    }
    let mut popper = waiter(&server, "BLPOP q 0");
    let mut pusher = server.connect();
    pusher.run("HELLO 3");
    check(&mut pusher, &[("CLIENT TRACKING ON BCAST", "+OK"), ("RPUSH q x", ":1")]);
    assert_eq!(popper.read().to_string(), r#"["q", "x"]"#);
    for _ in 0..2 {
        assert_eq!(pusher.read().to_string(), r#">["invalidate", ["q"]]"#);
    }
}

#[test]
fn many_wait_for_one_key_and_each_push_serves_one() {
    const WAITERS: usize = 300;
    let server = server();
    let mut pusher = server.connect();
    let mut waiters: Vec<Raw> = (0..WAITERS).map(|_| server.connect()).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        waiter.send(&line::encode(&["BLPOP", "queue", "other", "0"]));
        wait_for("it to wait", || waiting(&mut pusher) == number as i64 + 1);
    }
    for number in 0..WAITERS {
        pusher.send(&line::encode(&["RPUSH", "queue", &number.to_string()]));
    }
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert_eq!(pusher.read().to_string(), ":1");
        assert_eq!(waiter.read().to_string(), format!(r#"["queue", "{number}"]"#));
    }
}

/// A module with a function `run` that sends this request and then does something, and a function `refuse` that traps.
fn sender(request: &str, then: &str) -> String {
    let encoded = line::encode(&line::arguments(request));
    let fields = format!(
        "{} (func (export \"run\") (drop (call $command {} (i32.const 4096) (i32.const 1024))) {then})
         (func (export \"refuse\") unreachable)",
        data(0, &encoded),
        slice(0, &encoded)
    );
    module("command", &fields)
}

#[test]
fn a_procedure_wakes_those_who_wait_once_it_has_ended_well() {
    let server = server();
    if !server.is_kvasm() {
        return;
    }
    let mut waiter = waiter(&server, "BLPOP l 0");
    let mut caller = server.connect();
    assert!(eval(&mut caller, &sender("RPUSH l lost", "unreachable"), "", "").is_error());
    assert_eq!(waiting(&mut caller), 1);
    assert!(!eval(&mut caller, &sender("RPUSH l kept", ""), "", "").is_error());
    assert_eq!(waiter.read().to_string(), r#"["l", "kept"]"#);
    // A procedure that would have to wait does not.
    assert!(!eval(&mut caller, &sender("BLMPOP 0 1 l LEFT", ""), "", "").is_error());
}

#[test]
fn a_trigger_wakes_those_who_wait_and_may_refuse_who_is_served() {
    let server = server();
    if !server.is_kvasm() {
        return;
    }
    let mut connection = server.connect();
    load(&mut connection, "jobs", &sender("RPUSH jobs job", ""));
    check(
        &mut connection,
        &[
            ("TRIGGER CREATE queue ON set KEYS order:* CALL run", "+OK"),
            ("TRIGGER CREATE guard ON lpop KEYS guarded CALL refuse", "+OK"),
        ],
    );
    let mut worker = waiter(&server, "BLPOP jobs 0");
    let mut refused = waiter(&server, "BLPOP guarded 0");
    let mut other = waiter(&server, "BRPOP guarded 0");
    check(&mut connection, &[("SET order:1 x", "+OK")]);
    assert_eq!(worker.read().to_string(), r#"["jobs", "job"]"#);
    // What a trigger refuses has not happened, and the next is served.
    check(&mut connection, &[("RPUSH guarded x", ":1")]);
    let error = refused.read().to_string();
    assert!(error.starts_with("-WASMTRAP trigger 'guard'"), "{error}");
    assert_eq!(other.read().to_string(), r#"["guarded", "x"]"#);
}

#[test]
fn what_was_served_is_kept_and_lists_on_disk_are_served_too() {
    let mut server = Server::kvasm(&Options::new().with("appendfsync", "always"));
    let mut taker = waiter(&server, "BLPOP l 0");
    let mut connection = server.connect();
    check(&mut connection, &[("RPUSH l a b", ":2"), ("SELECT 1", "+OK"), ("RPUSH cold 1 2", ":2")]);
    assert_eq!(taker.read().to_string(), r#"["l", "a"]"#);
    if !server.is_kvasm() {
        return;
    }
    server.kill_nine();
    server.restart();
    server.restart_cold();
    // The list comes from disk while the client waits.
    let mut waiting = waiter(&server, "BLPOP cold 0");
    let mut connection = server.connect();
    check(&mut connection, &[("SWAPDB 0 1", "+OK")]);
    assert_eq!(waiting.read().to_string(), r#"["cold", "1"]"#);
    check(
        &mut connection,
        &[
            ("SELECT 1", "+OK"),
            ("BLPOP l 0", r#"["l", "b"]"#),
            ("EXISTS l", ":0"),
            ("SELECT 0", "+OK"),
            ("LLEN cold", ":1"),
        ],
    );
}

#[test]
fn readers_of_streams_get_what_is_added_behind_the_ids_they_know() {
    let server = server();
    let mut adder = server.connect();
    for (command, expected) in [
        ("XREAD BLOCK 0 STREAMS none s $ $", r#"[["s", [["1-3", ["c", "3"]]]]]"#),
        ("XREAD COUNT 1 BLOCK 0 STREAMS s 1-2", r#"[["s", [["1-3", ["c", "3"]]]]]"#),
        ("XREADGROUP GROUP g alice BLOCK 0 STREAMS s >", r#"[["s", [["1-3", ["c", "3"]]]]]"#),
        ("XREADGROUP GROUP g alice BLOCK 0 NOACK STREAMS s s > >", r#"[["s", [["1-3", ["c", "3"]]]]]"#),
    ] {
        check(&mut adder, &[("XADD s 1-1 a 1", "\"1-1\""), ("XADD s 1-2 b 2", "\"1-2\"")]);
        check(&mut adder, &[("XGROUP CREATE s g $", "+OK")]);
        let mut reader = waiter(&server, command);
        // These are no new entries.
        check(&mut adder, &[("XDEL s 1-1", ":1"), ("XTRIM s MAXLEN 0", ":1"), ("EXPIRE s 100", ":1")]);
        check(&mut adder, &[("XGROUP CREATE s h 0", "+OK"), ("XACK s g 1-2", ":0")]);
        check(&mut adder, &[("XADD s 1-3 c 3", "\"1-3\"")]);
        assert_eq!(reader.read().to_string(), expected, "{command}");
        let pending = if command.contains("NOACK") || command.starts_with("XREAD ") { ":0" } else { ":1" };
        assert!(adder.run("XPENDING s g").to_string().starts_with(&format!("[{pending}")), "{command}");
        adder.run("FLUSHALL");
    }
    // One who waits behind an id that is still to come goes on waiting.
    let mut reader = waiter(&server, "XREAD BLOCK 0 STREAMS s 9");
    check(&mut adder, &[("XADD s 5-1 a 1", "\"5-1\"")]);
    assert_eq!(waiting(&mut adder), 1);
    check(&mut adder, &[("XADD s 9-1 a 1", "\"9-1\"")]);
    assert_eq!(reader.read().to_string(), r#"[["s", [["9-1", ["a", "1"]]]]]"#);
}

#[test]
fn all_who_read_a_stream_get_its_entries_and_one_of_each_group() {
    let server = server();
    let mut adder = server.connect();
    check(&mut adder, &[("XGROUP CREATE s g 0 MKSTREAM", "+OK"), ("XGROUP CREATE s h 0", "+OK")]);
    let mut readers: Vec<Raw> = [
        "XREAD BLOCK 0 STREAMS s 0",
        "XREADGROUP GROUP g alice BLOCK 0 STREAMS s >",
        "XREADGROUP GROUP g bob BLOCK 0 STREAMS s >",
        "XREADGROUP GROUP h alice BLOCK 0 STREAMS s >",
        "XREAD BLOCK 0 STREAMS s $",
    ]
    .into_iter()
    .map(|command| waiter(&server, command))
    .collect();
    let mut late = readers.remove(2);
    check(&mut adder, &[("XADD s 1-1 a 1", "\"1-1\"")]);
    for reader in &mut readers {
        assert_eq!(reader.read().to_string(), r#"[["s", [["1-1", ["a", "1"]]]]]"#);
    }
    assert_eq!(waiting(&mut adder), 1);
    check(&mut adder, &[("XADD s 1-2 a 2", "\"1-2\"")]);
    assert_eq!(late.read().to_string(), r#"[["s", [["1-2", ["a", "2"]]]]]"#);
    check(&mut adder, &[("XPENDING s g", r#"[:2, "1-1", "1-2", [["alice", "1"], ["bob", "1"]]]"#)]);
}

#[test]
fn readers_of_a_group_are_told_when_it_goes() {
    const NO_KEY: &str = "-UNBLOCKED the stream key no longer exists";
    const NO_GROUP: &str = "-NOGROUP the consumer group this client was blocked on no longer exists";
    let server = server();
    for (write, expected) in [
        ("DEL s", NO_KEY),
        ("SET s x", NO_KEY),
        ("RENAME s t", NO_KEY),
        ("FLUSHALL", NO_KEY),
        ("XGROUP DESTROY s g", NO_GROUP),
    ] {
        let mut writer = server.connect();
        check(&mut writer, &[("XGROUP CREATE s g 0 MKSTREAM", "+OK")]);
        let mut reader = waiter(&server, "XREADGROUP GROUP g alice BLOCK 0 STREAMS s >");
        assert!(!writer.run(write).is_error(), "{write}");
        assert_eq!(reader.read().to_string(), expected, "{write}");
        writer.run("FLUSHALL");
    }
    // Readers without a group wait for another stream.
    let mut writer = server.connect();
    check(&mut writer, &[("XADD s 1-1 a 1", "\"1-1\"")]);
    let mut reader = waiter(&server, "XREAD BLOCK 0 STREAMS s $");
    check(&mut writer, &[("DEL s", ":1"), ("SET s x", "+OK"), ("DEL s", ":1")]);
    check(&mut writer, &[("XADD s 1-2 b 2", "\"1-2\"")]);
    assert_eq!(reader.read().to_string(), r#"[["s", [["1-2", ["b", "2"]]]]]"#);
}

#[test]
fn waiting_for_a_stream_ends_in_time_and_not_in_a_transaction() {
    let server = server();
    let mut connection = server.connect();
    check(
        &mut connection,
        &[
            ("XGROUP CREATE s g 0 MKSTREAM", "+OK"),
            ("XREAD BLOCK 20 STREAMS s $", "*-1"),
            ("XREADGROUP GROUP g alice BLOCK 20 STREAMS s >", "*-1"),
            ("XREADGROUP GROUP g alice BLOCK 0 STREAMS s 0", r#"[["s", []]]"#),
            ("MULTI", "+OK"),
            ("XREAD BLOCK 0 STREAMS s $", "+QUEUED"),
            ("XREADGROUP GROUP g bob BLOCK 0 STREAMS s >", "+QUEUED"),
            ("EXEC", "[*-1, *-1]"),
        ],
    );
}
