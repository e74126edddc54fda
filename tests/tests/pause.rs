//! CLIENT PAUSE: who has to wait does, until it is over, and nothing changes meanwhile; proved against redis-server too.

use kvasm_tests::guest::{data, procedure, slice};
use kvasm_tests::{Options, Raw, Server, line};
use std::time::Duration;

/// Longer than any test: what ends before has not waited for it.
const LONG_MS: u64 = 600_000;
/// How long one listens to be sure that no reply comes.
const SILENCE: Duration = Duration::from_millis(100);

/// Sends a request that is expected to wait.
fn send(connection: &mut Raw, request: &str) {
    connection.send(&line::encode(&line::arguments(request)));
}

#[track_caller]
fn check_silent(connection: &mut Raw) {
    connection.set_reply_timeout(SILENCE);
    assert!(connection.try_read().is_err(), "a reply came");
    connection.set_reply_timeout(Duration::from_secs(20));
}

fn servers() -> [Server; 2] {
    [Server::kvasm(&Options::new()), Server::redis(&Options::new())]
}

#[test]
fn writers_wait_and_readers_do_not() {
    for server in servers() {
        let [mut control, mut writer, mut transaction, mut reader] = [(); 4].map(|()| server.connect());
        reader.run("SET k 1");
        transaction.run("MULTI");
        transaction.run("INCR k");
        control.run(&format!("CLIENT PAUSE {LONG_MS} WRITE"));
        send(&mut writer, "INCR k");
        send(&mut transaction, "EXEC");
        let mut publisher = server.connect();
        send(&mut publisher, "PUBLISH channel message");
        for waiting in [&mut writer, &mut transaction, &mut publisher] {
            check_silent(waiting);
        }
        assert_eq!(reader.run("GET k").to_string(), "\"1\"");
        for request in ["MULTI", "GET k"] {
            reader.run(request);
        }
        assert_eq!(reader.run("EXEC").to_string(), "[\"1\"]");
        assert_eq!(control.run("CLIENT UNPAUSE").to_string(), "+OK");
        let mut counts = [writer.read().to_string(), transaction.read().to_string()];
        counts.sort();
        assert!(counts == [":2", "[:3]"] || counts == [":3", "[:2]"], "{counts:?}");
        assert_eq!(publisher.read().to_string(), ":0");
    }
}

#[test]
fn everybody_waits_until_the_time_is_over_and_is_answered_in_order() {
    for server in servers() {
        let [mut control, mut client] = [(); 2].map(|()| server.connect());
        client.run("PING");
        let start = std::time::Instant::now();
        control.run("CLIENT PAUSE 300");
        client
            .send(&["PING", "INCR k", "GET k"].map(|request| format!("{request}\r\n")).concat().into_bytes());
        let replies: Vec<String> = (0..3).map(|_| client.read().to_string()).collect();
        assert_eq!(replies, ["+PONG", ":1", "\"1\""]);
        assert!(start.elapsed() >= Duration::from_millis(290), "{:?}", start.elapsed());
    }
}

#[test]
fn keys_whose_time_has_come_are_not_seen_but_go_only_after_the_pause() {
    for server in servers() {
        let [mut control, mut reader, mut subscriber] = [(); 3].map(|()| server.connect());
        control.run("CONFIG SET notify-keyspace-events Ex");
        subscriber.run("SUBSCRIBE __keyevent@0__:expired");
        reader.run("SET k 1 PX 50");
        control.run(&format!("CLIENT PAUSE {LONG_MS} WRITE"));
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(reader.run("GET k").to_string(), "$-1");
        assert_eq!(reader.run("DBSIZE").to_string(), ":1");
        check_silent(&mut subscriber);
        control.run("CLIENT UNPAUSE");
        assert_eq!(
            subscriber.read().to_string(),
            "[\"message\", \"__keyevent@0__:expired\", \"k\"]",
            "{:?}",
            server.program()
        );
        assert_eq!(reader.run("DBSIZE").to_string(), ":0");
    }
}

#[test]
fn keys_expire_again_when_the_time_is_over_though_nobody_asks() {
    let server = Server::kvasm(&Options::new());
    let [mut control, mut reader, mut subscriber] = [(); 3].map(|()| server.connect());
    control.run("CONFIG SET notify-keyspace-events Ex");
    subscriber.run("SUBSCRIBE __keyevent@0__:expired");
    reader.run("SET k 1 PX 20");
    control.run("CLIENT PAUSE 200 WRITE");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(reader.run("GET k").to_string(), "$-1");
    assert_eq!(subscriber.read().to_string(), "[\"message\", \"__keyevent@0__:expired\", \"k\"]");
}

#[test]
fn procedures_that_may_write_wait_and_those_that_may_not_do_not() {
    let server = Server::kvasm(&Options::new());
    let [mut control, mut writer, mut reader] = [(); 3].map(|()| server.connect());
    let k = slice(0, "k");
    let putting = procedure("put", &format!("(call $put {k} {k})"));
    let reads = procedure("exists", &format!("(drop (call $exists {k}))")).replacen(
        "(memory",
        &format!("{}(memory", data(0, "k")),
        1,
    );
    control.run(&format!("CLIENT PAUSE {LONG_MS} WRITE"));
    writer.send(&line::encode(&["EVALWASM", &putting, "0"]));
    check_silent(&mut writer);
    assert_eq!(reader.command(&["EVALWASM_RO", &reads, "0"]).to_string(), "$-1");
    control.run("CLIENT UNPAUSE");
    assert_eq!(writer.read().to_string(), "$-1");
}
