//! The limits on clients: sizes of requests, their number, and what may wait to be sent. Each is reached on kvasm and
//! on redis-server.

use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server, line};

const MEBIBYTE: usize = 1 << 20;

/// Runs `test` on kvasm and on redis-server with these options.
fn check(options: &Options, test: impl Fn(&Server)) {
    for server in [Server::kvasm(options), Server::redis(options)] {
        test(&server);
        assert_eq!(server.connect().run("PING").to_string(), "+PONG", "{:?}", server.program());
    }
}

/// Sends what the server may cut off, and everything that it said before it closed the connection.
fn until_closed(connection: &mut Raw, bytes: &[u8]) -> String {
    let _ = connection.try_send(bytes);
    String::from_utf8_lossy(&connection.read_to_end()).into_owned()
}

#[test]
fn a_bulk_string_is_at_most_proto_max_bulk_len() {
    check(&Options::new().with("proto-max-bulk-len", "1mb"), |server| {
        let mut connection = server.connect();
        let largest = "x".repeat(MEBIBYTE);
        assert_eq!(connection.command(&["ECHO", &largest]).bytes(), largest.as_bytes());
        assert_eq!(connection.command(&["SET", "full", &largest]).to_string(), "+OK");
        let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        assert_eq!(connection.run("APPEND full x").to_string(), too_long);
        assert_eq!(connection.run("SETRANGE full 1048576 x").to_string(), too_long);
        assert_eq!(connection.run("SETRANGE full 1048575 x").to_string(), ":1048576");
        let refused = until_closed(&mut connection, b"*1\r\n$1048577\r\n");
        assert_eq!(refused, "-ERR Protocol error: invalid bulk length\r\n");
    });
}

#[test]
fn a_request_is_at_most_client_query_buffer_limit() {
    check(&Options::new().with("client-query-buffer-limit", "1mb"), |server| {
        let mut one_argument = b"*2\r\n$4\r\nECHO\r\n$4000000\r\n".to_vec();
        one_argument.resize(3 * MEBIBYTE, b'x');
        assert_eq!(until_closed(&mut server.connect(), &one_argument), "");
    });
}

#[test]
fn connections_are_at_most_maxclients() {
    check(&Options::new().with("maxclients", "10"), |server| {
        let mut connections = Vec::new();
        // The connections that watched the start may still be closing.
        wait_for("ten free connections", || {
            connections = (0..10).map(|_| server.connect()).collect();
            connections
                .iter_mut()
                .all(|connection| connection.try_command(&["PING"]).is_ok_and(|reply| !reply.is_error()))
        });
        let refused = until_closed(&mut server.connect(), b"");
        assert_eq!(refused, "-ERR max number of clients reached\r\n");
        drop(connections.pop());
        wait_for("a freed connection", || {
            server.connect().try_command(&["PING"]).is_ok_and(|reply| reply.to_string() == "+PONG")
        });
    });
}

#[test]
fn maxclients_does_not_depend_on_how_many_files_a_process_has_at_first() {
    check(&Options::new().with("maxclients", "200").with_few_files(60), |server| {
        let mut connections: Vec<Raw> = (0..150).map(|_| server.connect()).collect();
        for connection in &mut connections {
            assert_eq!(connection.run("PING").to_string(), "+PONG");
        }
        assert_eq!(connections[0].run("CONFIG GET maxclients").elements()[1].text(), "200");
    });
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off() {
    check(&Options::new().with("client-output-buffer-limit", "pubsub 1mb 0 0"), |server| {
        let mut subscriber = server.connect();
        subscriber.run("SUBSCRIBE news");
        let mut publisher = server.connect();
        let message = "x".repeat(100_000);
        // What the sockets hold is not the server's and not limited by it.
        wait_for("the end of the subscriber", || {
            publisher.command(&["PUBLISH", "news", &message]).integer() == Some(0)
        });
    });
}

#[test]
fn a_client_that_does_not_read_cannot_fill_the_memory() {
    const REPLIES: usize = 200;
    let limit = Options::new().with("client-output-buffer-limit", "normal 1mb 0 0");
    check(&limit, |server| {
        let mut connection = server.connect();
        connection.command(&["SET", "large", &"x".repeat(MEBIBYTE / 2)]);
        let before = server.resident_bytes();
        connection.send(&line::encode(&["GET", "large"]).repeat(REPLIES));
        let mut observer = server.connect();
        // Redis closes the connection, kvasm takes no more of its requests until it reads.
        for _ in 0..REPLIES {
            assert_eq!(observer.run("PING").to_string(), "+PONG");
            let grown = server.resident_bytes().saturating_sub(before);
            assert!(
                grown < (REPLIES * MEBIBYTE / 4) as u64,
                "{grown} bytes wait for a client that does not read"
            );
        }
    });
}

#[test]
fn the_replies_of_one_transaction_are_limited_too() {
    const READS: usize = 600;
    let limit = Options::new().with("client-output-buffer-limit", "normal 2mb 0 0");
    check(&limit, |server| {
        let mut connection = server.connect();
        connection.command(&["SET", "large", &"x".repeat(MEBIBYTE)]);
        connection.command(&["RPUSH", "list", &"x".repeat(MEBIBYTE / 2), &"y".repeat(MEBIBYTE / 2)]);
        let before = server.peak_resident_bytes();
        connection.run("MULTI");
        for number in 0..READS {
            let read = ["GET large", "LRANGE list 0 -1"][number % 2];
            assert_eq!(connection.run(read).to_string(), "+QUEUED");
        }
        assert_eq!(until_closed(&mut connection, b"EXEC\r\n"), "");
        let grown = server.peak_resident_bytes() - before;
        assert!(grown < (READS * MEBIBYTE / 4) as u64, "{grown} bytes for replies that nobody may have");
    });
}

#[test]
fn an_idle_client_is_closed_after_timeout() {
    check(&Options::new().with("timeout", "1"), |server| {
        let mut idle = server.connect();
        let mut subscriber = server.connect();
        subscriber.run("SUBSCRIBE news");
        let mut monitor = server.connect();
        monitor.run("MONITOR");
        assert_eq!(until_closed(&mut idle, b""), "");
        assert!(subscriber.drain("still there").is_ok(), "a subscriber may be idle");
        assert!(monitor.drain("still there").is_ok(), "a monitor may be idle");
    });
}

#[test]
fn exec_is_refused_while_memory_is_short_if_what_is_queued_needs_some() {
    check(&Options::new(), |server| {
        let (mut connection, mut other) = (server.connect(), server.connect());
        for (queued, reply) in [
            ("GET key", "[$-1]"),
            (
                "SET key value",
                "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
            ),
        ] {
            connection.run("MULTI");
            assert_eq!(connection.run(queued).to_string(), "+QUEUED");
            other.run("CONFIG SET maxmemory 1");
            assert_eq!(connection.run("EXEC").to_string(), reply, "{queued}");
            other.run("CONFIG SET maxmemory 0");
        }
    });
}

#[test]
fn a_client_whose_command_has_to_wait_is_not_idle() {
    check(&Options::new().with("timeout", "1"), |server| {
        let mut writer = server.connect();
        writer.run("PING");
        server.connect().run("CLIENT PAUSE 3500 WRITE");
        assert_eq!(writer.run("SET k v").to_string(), "+OK");
    });
}
