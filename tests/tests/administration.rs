//! What administrators ask a server, and the tools of redis-cli that ask for them.

use kvasm_tests::{Options, Server, Value};
use std::collections::{BTreeMap, BTreeSet};
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
fn the_log_tells_what_its_present_level_asks_for() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    for (level, text) in [("warning", "unheard"), ("notice", "audible"), ("warning", "silenced")] {
        connection.run(&format!("CONFIG SET loglevel {level}"));
        let module = format!(
            "(module (import \"kvasm_1\" \"log\" (func $log (param i32 i32 i32))) (memory 1)
              (data (i32.const 0) \"{text}\")
              (func (export \"run\") (call $log (i32.const 2) (i32.const 0) (i32.const {}))))",
            text.len()
        );
        assert_eq!(connection.command(&["EVALWASM", &module, "0"]), Value::NullBulk);
    }
    let log = server.log();
    for (text, is_told) in [("unheard", false), ("audible", true), ("silenced", false)] {
        assert_eq!(log.contains(text), is_told, "{text} in:\n{log}");
    }
}

#[test]
fn what_takes_long_is_noted_by_kind() {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        let mut connection = server.connect();
        connection.run("DEBUG SLEEP 0.05");
        assert_eq!(connection.run("LATENCY LATEST").to_string(), "[]", "nobody watches");
        // Nothing else takes that long, unless the machine is very busy.
        connection.run("CONFIG SET latency-monitor-threshold 900");
        connection.run("DEBUG SLEEP 1");
        connection.run("PING");
        let latest = connection.run("LATENCY LATEST").elements();
        let event = latest.iter().map(Value::elements).find(|event| event[0].bytes() == b"command");
        let event = event.unwrap_or_else(|| panic!("{latest:?}"));
        let [latency_ms, highest_ms] =
            [2, 3].map(|index: usize| event[index].integer().expect("milliseconds"));
        assert!(highest_ms >= 1000, "{highest_ms}");
        let history = connection.run("LATENCY HISTORY command").elements();
        let last = history.last().expect("what LATENCY LATEST tells").elements();
        assert_eq!(last[1].integer(), Some(latency_ms));
        let graph = connection.run("LATENCY GRAPH command").text();
        assert!(graph.starts_with(&format!("command - high {highest_ms} ms, low ")), "{graph}");
        let histogram = connection.run("LATENCY HISTOGRAM debug").elements();
        assert_eq!(histogram[0].bytes(), if server.is_kvasm() { &b"debug|sleep"[..] } else { b"debug" });
        let levels = histogram[1].elements()[3].elements();
        let (level_us, calls) = (levels[levels.len() - 2].integer(), levels[levels.len() - 1].integer());
        assert!(level_us >= Some(1_000_000) && calls == Some(2), "{levels:?}");
        assert!(connection.run("LATENCY RESET").integer() >= Some(1));
        assert_eq!(connection.run("LATENCY LATEST").to_string(), "[]");
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

#[test]
fn info_has_every_field_of_redis() {
    let options = [Options::new(), Options::new().with("appendonly", "yes")];
    let servers = [Server::kvasm(&options[0]), Server::redis(&options[1])];
    let [ours, theirs] = servers.each_ref().map(|server| {
        let mut connection = server.connect();
        connection.run("SET k 1");
        let report = connection.run("INFO everything").text();
        let names = report.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned());
        names.collect::<BTreeSet<String>>()
    });
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn who_exceeds_a_limit_is_counted() {
    let options = Options::new()
        .with("client-query-buffer-limit", "1mb")
        .with("client-output-buffer-limit", "normal 1mb 0 0");
    let server = Server::kvasm(&options);
    let mut observer = server.connect();
    observer.run("SETRANGE large 2097151 x");
    for (request, field) in [
        (&b"GET large\r\n"[..], "client_output_buffer_limit_disconnections:1"),
        (
            &[b"*1\r\n$3000000\r\n".as_slice(), &vec![b'x'; 2 << 20]].concat(),
            "client_query_buffer_limit_disconnections:1",
        ),
    ] {
        let mut client = server.connect();
        let _ = client.try_send(request);
        assert!(client.read_to_end().is_empty(), "{field}");
        let report = observer.run("INFO stats").text();
        assert!(report.lines().any(|line| line == field), "{field}: {report}");
    }
}

/// What is told of a command, in an order and without what is for people.
fn facts(command: &Value) -> Vec<(&'static str, String)> {
    let parts = command.elements();
    let sorted = |list: &Value| {
        let mut words: Vec<String> = list.elements().iter().map(Value::text).collect();
        words.sort();
        format!("{words:?}")
    };
    let specification = |specification: &Value| {
        let field = |name| specification.field(name).map(|value| value.to_string());
        let flags = specification.field("flags").map(|flags| sorted(&flags));
        format!("{flags:?} {:?} {:?}", field("begin_search"), field("find_keys"))
    };
    let specifications: Vec<String> = parts[8].elements().iter().map(specification).collect();
    vec![
        ("arity", parts[1].to_string()),
        ("flags", sorted(&parts[2])),
        ("keys", format!("{:?}", parts[3..6].iter().map(Value::integer).collect::<Vec<_>>())),
        ("categories", sorted(&parts[6])),
        ("key specifications", specifications.join("\n")),
    ]
}

/// All that `COMMAND` tells, by the full names of commands and subcommands.
fn commands(server: &Server) -> BTreeMap<String, Vec<(&'static str, String)>> {
    let mut found = BTreeMap::new();
    for command in server.connect().run("COMMAND").elements() {
        for subcommand in command.elements()[9].elements() {
            found.insert(subcommand.elements()[0].text(), facts(&subcommand));
        }
        found.insert(command.elements()[0].text(), facts(&command));
    }
    found
}

#[test]
fn commands_are_described_as_redis_describes_them() {
    /// Where kvasm is as Redis 7.2 is, or takes one word more.
    const NEWER: &[(&str, &str)] = &[
        ("command|getkeys", "arity"),
        ("command|getkeysandflags", "arity"),
        ("function|kill", "arity"),
        ("monitor", "flags"),
        ("zrank", "arity"),
        ("zrevrank", "arity"),
    ];
    let [ours, theirs] =
        [Server::kvasm(&Options::new()), Server::redis(&Options::new())].map(|server| commands(&server));
    assert!(ours.len() > 250, "{}", ours.len());
    let mut differences = Vec::new();
    for (name, facts) in &ours {
        let Some(expected) = theirs.get(name) else { continue };
        for ((fact, ours), (_, theirs)) in facts.iter().zip(expected) {
            if ours != theirs && !NEWER.contains(&(name, fact)) {
                differences.push(format!("{name}: {fact}: {ours}, in Redis {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
