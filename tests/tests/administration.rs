//! What administrators ask a server, and the tools of redis-cli that ask for them.

use kvasm_tests::{Options, Server};
use std::process::Command;

/// What redis-cli prints when it is run with these words.
fn redis_cli(server: &Server, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &server.port().to_string()]).args(words).output();
    let output = output.expect("run redis-cli");
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn redis_cli_finds_the_big_keys_and_measures_latency() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    connection.run("SET small 1");
    connection.command(&["SET", "big", &"x".repeat(100_000)]);
    for (words, expected) in [
        (&["--bigkeys", "-i", "0.001"][..], "Biggest string found '\"big\"'"),
        (&["--memkeys", "-i", "0.001"], "Biggest string found '\"big\"'"),
        (&["--latency", "--raw"], " "),
    ] {
        let printed = redis_cli(&server, words);
        assert!(printed.contains(expected), "{words:?}:\n{printed}");
    }
}

#[test]
fn what_takes_long_is_noted_by_kind() {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        let mut connection = server.connect();
        connection.run("DEBUG SLEEP 0.05");
        assert_eq!(connection.run("LATENCY LATEST").to_string(), "[]", "nobody watches");
        connection.run("CONFIG SET latency-monitor-threshold 40");
        connection.run("DEBUG SLEEP 0.05");
        connection.run("PING");
        let latest = connection.run("LATENCY LATEST").elements();
        let [event] = &latest[..] else { panic!("{latest:?}") };
        let event = event.elements();
        assert_eq!(event[0].bytes(), b"command");
        let latency_ms = event[2].integer().expect("milliseconds");
        assert!((50..10_000).contains(&latency_ms), "{latency_ms}");
        let history = connection.run("LATENCY HISTORY command").elements();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].elements()[1].integer(), Some(latency_ms));
        let graph = connection.run("LATENCY GRAPH command").text();
        assert!(graph.starts_with(&format!("command - high {latency_ms} ms, low ")), "{graph}");
        let histogram = connection.run("LATENCY HISTOGRAM debug").elements();
        assert_eq!(histogram[0].bytes(), if server.is_kvasm() { &b"debug|sleep"[..] } else { b"debug" });
        let levels = histogram[1].elements()[3].elements();
        let (level_us, calls) = (levels[levels.len() - 2].integer(), levels[levels.len() - 1].integer());
        assert!(level_us >= Some(50_000) && calls == Some(2), "{levels:?}");
        assert_eq!(connection.run("LATENCY RESET").to_string(), ":1");
    }
}

#[test]
fn memory_is_told_in_the_fields_of_redis() {
    let servers = [Server::kvasm(&Options::new()), Server::redis(&Options::new())];
    let names = servers.each_ref().map(|server| {
        let mut connection = server.connect();
        connection.run("SET k 1");
        assert_eq!(connection.run("MEMORY PURGE").to_string(), "+OK");
        assert!(!connection.run("MEMORY DOCTOR").text().is_empty());
        assert!(connection.run("MEMORY MALLOC-STATS").text().contains("Allocated: "));
        assert!(connection.run("MEMORY USAGE k").integer() > Some(40));
        let fields = connection.run("MEMORY STATS").elements();
        fields.chunks(2).map(|field| field[0].text()).collect::<Vec<_>>()
    });
    assert_eq!(names[0], names[1]);
}
