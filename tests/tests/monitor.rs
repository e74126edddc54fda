//! MONITOR: a client sees every command that runs, in order, with passwords hidden; what does not name kvasm's own
//! commands is proved against redis-server too.

use kvasm_tests::guest::{data, eval, procedure, slice};
use kvasm_tests::recorder::{PAUSE, call, recorder};
use kvasm_tests::{Options, Raw, Server, line};

fn monitor(server: &Server) -> Raw {
    let mut monitor = server.connect();
    assert_eq!(monitor.run("MONITOR").to_string(), "+OK");
    monitor
}

/// The lines that a monitor has been sent, without times and ports.
fn seen(monitor: &mut Raw) -> Vec<String> {
    let told = monitor.drain("nonce").expect("an answer to PING");
    let lines = told.iter().map(|line| {
        let line = line.text();
        let (time, rest) = line.split_once(' ').expect("a time");
        let (seconds, micros) = time.split_once('.').expect("a fraction of a second");
        assert!(seconds.parse::<u64>().is_ok() && micros.len() == 6, "{line}");
        let (source, command) = rest.split_once("] ").expect("a source");
        let source = source.split_once(" 127.0.0.1:").map_or(source, |(database, _)| database);
        format!("{source}] {command}")
    });
    lines.filter(|line| !line.ends_with("\"PING\" \"nonce\"")).collect()
}

#[test]
fn every_command_is_shown_as_redis_shows_it() {
    let table: &[(&str, &[&str])] = &[
        ("SET k \"x \\\"\\n\\x01y\"", &[r#"[0] "SET" "k" "x \"\n\x01y""#]),
        ("SELECT 3", &[r#"[3] "SELECT" "3""#]),
        ("SELECT 0", &[r#"[0] "SELECT" "0""#]),
        ("AUTH secret", &[r#"[0] "AUTH" "(redacted)""#]),
        ("HELLO 3 AUTH default secret", &[r#"[0] "HELLO" "3" "AUTH" "(redacted)" "(redacted)""#]),
        ("CONFIG SET requirepass secret", &[]),
        ("CONFIG GET hz", &[]),
        ("GET", &[]),
        ("nosuch command", &[]),
        ("INCR k", &[r#"[0] "INCR" "k""#]),
        ("EXEC", &[r#"[0] "EXEC""#]),
        ("CLIENT ID", &[r#"[0] "CLIENT" "ID""#]),
        ("MULTI", &[r#"[0] "MULTI""#]),
        ("SET q 1", &[]),
        ("GET q", &[]),
        ("EXEC", &[r#"[0] "SET" "q" "1""#, r#"[0] "GET" "q""#, r#"[0] "EXEC""#]),
    ];
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        let mut monitor = monitor(&server);
        let mut client = server.connect();
        for (request, expected) in table {
            client.run(request);
            assert_eq!(seen(&mut monitor), *expected, "{request} ({:?})", server.program());
        }
    }
}

#[test]
fn a_monitor_only_looks_on_until_it_is_reset() {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        let mut monitor = monitor(&server);
        for request in ["GET k", "SET k 1", "PUBLISH c m", "DBSIZE"] {
            assert_eq!(monitor.run(request).to_string(), "-ERR Replica can't interact with the keyspace");
        }
        let info = monitor.run("CLIENT INFO").text();
        assert!(info.contains(" flags=O "), "{info}");
        monitor.read();
        assert_eq!(monitor.run("RESET").to_string(), "+RESET");
        server.connect().run("GET k");
        assert_eq!(monitor.run("GET k").to_string(), "$-1", "nothing came before it");
    }
}

#[test]
fn what_a_procedure_does_is_shown_behind_its_call_even_when_it_fails() {
    let server = Server::kvasm(&Options::new());
    let mut monitor = monitor(&server);
    let mut client = server.connect();
    let request = "*2\r\n$6\r\nSTRLEN\r\n$1\r\nk\r\n";
    let k = slice(0, "k");
    let body = format!(
        "(call $put {k} {k}) (drop (call $exists {k})) (drop (call $get {k} (i32.const 99) (i32.const 9))) (drop (call \
         $command {} (i32.const 99) (i32.const 9))) (drop (call $delete {k})) (drop (call $increment {k} (i64.const \
         -2))) unreachable",
        slice(16, request),
    );
    let module = procedure("put exists get command delete increment", &body).replacen(
        "(memory",
        &format!("{}{}(memory", data(0, "k"), data(16, request)),
        1,
    );
    assert!(eval(&mut client, &module, "", "").is_error());
    let seen = seen(&mut monitor);
    assert!(seen[0].starts_with("[0] \"EVALWASM\" \"(module"), "{}", seen[0]);
    let expected = [
        r#"[0 lua] "SET" "k" "k""#,
        r#"[0 lua] "EXISTS" "k""#,
        r#"[0 lua] "GET" "k""#,
        r#"[0 lua] "STRLEN" "k""#,
        r#"[0 lua] "DEL" "k""#,
        r#"[0 lua] "INCRBY" "k" "-2""#,
    ];
    assert_eq!(seen[1..], expected);
}

#[test]
fn what_is_run_again_because_a_key_was_on_disk_is_shown_once() {
    let mut server = Server::kvasm(&Options::new().with("appendfsync", "always"));
    let mut client = server.connect();
    for number in 0..4 {
        client.run(&format!("SET key:{number} 1"));
    }
    server.restart_cold();
    let mut monitor = monitor(&server);
    let mut client = server.connect();
    client.send(&[line::encode(&["MULTI"]), line::encode(&["MGET", "key:0", "key:1"])].concat());
    let request = "*2\r\n$3\r\nGET\r\n$5\r\nkey:2\r\n";
    let body = format!("(drop (call $command {} (i32.const 99) (i32.const 9)))", slice(16, request));
    let module = procedure("command", &body).replacen("(memory", &format!("{}(memory", data(16, request)), 1);
    client.send(&[line::encode(&["EVALWASM", &module, "0"]), line::encode(&["EXEC"])].concat());
    let replies: Vec<String> = (0..4).map(|_| client.read().to_string()).collect();
    assert_eq!(replies[3], "[[\"1\", \"1\"], $-1]");
    let seen = seen(&mut monitor);
    let words: Vec<&str> = seen.iter().filter_map(|line| line.split('"').nth(1)).collect();
    assert_eq!(words, ["MULTI", "MGET", "EVALWASM", "GET", "EXEC"]);
}

#[test]
fn what_a_procedure_in_the_background_does_is_shown_once() {
    let server = Server::kvasm(&Options::new());
    let mut client = server.connect();
    client.run("MSET a 1 b 2");
    let mut monitor = monitor(&server);
    let requests = ["GET a", "MGET a b", "SET c 3", "INCR b"];
    // The second one begins on the thread of all clients, and is too long for that.
    let long = [&requests[..], &[PAUSE; 20]].concat();
    for (module, requests) in
        [(recorder(Some("background"), false, ""), &requests[..]), (recorder(None, false, ""), &long)]
    {
        assert!(!client.command(&call(&module, requests)).is_error());
    }
    let seen = seen(&mut monitor);
    let words: Vec<&str> = seen.iter().filter_map(|line| line.split('"').nth(1)).collect();
    let once = ["EVALWASM", "GET", "MGET", "SET", "INCR"];
    assert_eq!(words, [once, once].concat());
}
