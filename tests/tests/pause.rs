//! CLIENT PAUSE: who has to wait does, until it is over, and nothing changes meanwhile; proved against redis-server too.

use kvasm_tests::guest::{data, procedure, slice};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server, line};
use std::time::{Duration, Instant};

/// Longer than any test: what ends before has not waited for it.
const LONG_MS: u64 = 600_000;
/// How long keys must stay whose time has come: long enough for the server to have looked for such keys many times.
const STAY: Duration = Duration::from_millis(100);

/// A client, and its number.
struct Client(Raw, i64);

impl Client {
    fn connect(server: &Server) -> Client {
        let mut connection = server.connect();
        let id = connection.run("CLIENT ID").integer().expect("a number");
        Client(connection, id)
    }

    /// Whether it waits with that command.
    fn waits(&self, server: &Server, command: &str) -> bool {
        let list = server.connect().run(&format!("CLIENT LIST ID {}", self.1)).text();
        let field =
            |name: &str| list.split(' ').find_map(|field| field.strip_prefix(name)).unwrap_or_default();
        // kvasm keeps the request, Redis calls the client blocked.
        let waits = if server.is_kvasm() { field("qbuf=") != "0" } else { field("flags=").contains('b') };
        waits && field("cmd=") == command
    }

    /// Sends a request and waits until it waits.
    fn send(&mut self, server: &Server, request: &[u8], command: &str) {
        self.0.send(request);
        wait_for("the request to wait", || self.waits(server, command));
    }
}

/// A request as redis-cli takes it.
fn request(line: &str) -> Vec<u8> {
    line::encode(&line::arguments(line))
}

/// Sends requests together, so that no time passes in between, and checks that all are done.
#[track_caller]
fn run_together(connection: &mut Raw, requests: [&str; 2]) {
    connection.send(&requests.map(request).concat());
    assert_eq!(requests.map(|_| connection.read().to_string()), ["+OK", "+OK"]);
}

fn servers() -> [Server; 2] {
    [Server::kvasm(&Options::new()), Server::redis(&Options::new())]
}

#[test]
fn writers_wait_and_readers_do_not() {
    for server in servers() {
        let [mut control, mut reader] = [(); 2].map(|()| server.connect());
        let [mut writer, mut transaction, mut publisher] = [(); 3].map(|()| Client::connect(&server));
        reader.run("SET k 1");
        transaction.0.run("MULTI");
        transaction.0.run("INCR k");
        control.run(&format!("CLIENT PAUSE {LONG_MS} WRITE"));
        let waiting = [
            (&mut writer, "INCR k", "incr"),
            (&mut transaction, "EXEC", "exec"),
            (&mut publisher, "PUBLISH channel message", "publish"),
        ]
        .map(|(client, line, command)| {
            client.send(&server, &request(line), command);
            (client, command)
        });
        assert_eq!(reader.run("GET k").to_string(), "\"1\"");
        for request in ["MULTI", "GET k"] {
            reader.run(request);
        }
        assert_eq!(reader.run("EXEC").to_string(), "[\"1\"]");
        for (client, command) in waiting {
            assert!(client.waits(&server, command), "{command} ({:?})", server.program());
        }
        assert_eq!(control.run("CLIENT UNPAUSE").to_string(), "+OK");
        let mut counts = [writer.0.read().to_string(), transaction.0.read().to_string()];
        counts.sort();
        assert!(counts == [":2", "[:3]"] || counts == [":3", "[:2]"], "{counts:?}");
        assert_eq!(publisher.0.read().to_string(), ":0");
    }
}

#[test]
fn everybody_waits_until_the_time_is_over_and_is_answered_in_order() {
    for server in servers() {
        let [mut control, mut client] = [(); 2].map(|()| server.connect());
        client.run("PING");
        let start = Instant::now();
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
        control.run("CONFIG SET notify-keyspace-events Ex hz 100");
        subscriber.run("SUBSCRIBE __keyevent@0__:expired");
        run_together(&mut control, ["SET k 1 PX 500", &format!("CLIENT PAUSE {LONG_MS} WRITE")]);
        wait_for("the key's end", || reader.run("GET k").is_null());
        std::thread::sleep(STAY);
        assert_eq!(reader.run("DBSIZE").to_string(), ":1");
        assert!(subscriber.drain("nonce").expect("an answer to PING").is_empty());
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
    let [mut control, mut subscriber] = [(); 2].map(|()| server.connect());
    control.run("CONFIG SET notify-keyspace-events Ex");
    subscriber.run("SUBSCRIBE __keyevent@0__:expired");
    run_together(&mut control, ["SET k 1 PX 20", "CLIENT PAUSE 200 WRITE"]);
    assert_eq!(subscriber.read().to_string(), "[\"message\", \"__keyevent@0__:expired\", \"k\"]");
}

#[test]
fn procedures_that_may_write_wait_and_those_that_may_not_do_not() {
    let server = Server::kvasm(&Options::new());
    let [mut control, mut reader] = [(); 2].map(|()| server.connect());
    let mut writer = Client::connect(&server);
    let k = slice(0, "k");
    let putting = procedure("put", &format!("(call $put {k} {k})"));
    let reads = procedure("exists", &format!("(drop (call $exists {k}))")).replacen(
        "(memory",
        &format!("{}(memory", data(0, "k")),
        1,
    );
    control.run(&format!("CLIENT PAUSE {LONG_MS} WRITE"));
    writer.send(&server, &line::encode(&["EVALWASM", &putting, "0"]), "evalwasm");
    assert_eq!(reader.command(&["EVALWASM_RO", &reads, "0"]).to_string(), "$-1");
    assert!(writer.waits(&server, "evalwasm"));
    control.run("CLIENT UNPAUSE");
    assert_eq!(writer.0.read().to_string(), "$-1");
}
