//! Messages: each arrives, once, in its place among the replies, however many come at once and however slowly the
//! client reads.

use kvasm_tests::{Options, Raw, Server, line};
use std::time::Duration;

fn subscriber(server: &Server) -> Raw {
    let mut subscriber = server.connect();
    assert_eq!(subscriber.run("SUBSCRIBE news").to_string(), "[\"subscribe\", \"news\", :1]");
    subscriber
}

/// Publishes messages of `bytes` bytes in one packet.
fn publish(server: &Server, count: usize, bytes: usize) {
    let mut publisher = server.connect();
    let message = "x".repeat(bytes);
    publisher.send(&line::encode(&["PUBLISH", "news", &message]).repeat(count));
    for _ in 0..count {
        assert_eq!(publisher.read().integer(), Some(1));
    }
}

#[test]
fn messages_that_do_not_fit_into_one_packet_all_arrive() {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        for (count, bytes) in [(10, 100_000), (40, 200_000), (20_000, 100)] {
            let mut subscriber = subscriber(&server);
            publish(&server, count, bytes);
            for number in 0..count {
                let message = subscriber.read().elements();
                assert_eq!(message[2].bytes().len(), bytes, "message {number} of {count}");
            }
        }
    }
}

#[test]
fn a_message_comes_before_the_reply_that_ends_the_subscription() {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        let mut subscriber = subscriber(&server);
        let mut sleeper = server.connect();
        let mut publisher = server.connect();
        publisher.run("PING");
        // Both requests wait when the server looks at its sockets again.
        sleeper.send(&line::encode(&["DEBUG", "SLEEP", "0.2"]));
        std::thread::sleep(Duration::from_millis(50));
        publisher.send(&line::encode(&["PUBLISH", "news", "last"]));
        std::thread::sleep(Duration::from_millis(50));
        subscriber.send(&[line::encode(&["UNSUBSCRIBE", "news"]), line::encode(&["PING"])].concat());
        assert_eq!(publisher.read().integer(), Some(1));
        let expected = ["[\"message\", \"news\", \"last\"]", "[\"unsubscribe\", \"news\", :0]", "+PONG"];
        assert_eq!(expected.map(|_| subscriber.read().to_string()), expected);
    }
}
