//! Programs that know only Redis, unmodified: redis-cli and redis-benchmark.

use kvasm_tests::{Options, Server, line};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// What redis-cli prints for these arguments and this input.
fn redis_cli(server: &Server, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("redis-cli")
        .args(["-p", &server.port().to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start redis-cli");
    child.stdin.take().expect("its input").write_all(input).expect("write its input");
    let output = child.wait_with_output().expect("wait for redis-cli");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "redis-cli {arguments:?}: {printed}{complaint}");
    printed
}

#[test]
fn redis_cli_prints_replies() {
    let server = Server::kvasm(&Options::new());
    let table: &[(&[&str], &str)] = &[
        (&["ping"], "PONG\n"),
        (&["-n", "1", "set", "cli", "a b"], "OK\n"),
        (&["-n", "1", "get", "cli"], "a b\n"),
        (&["-3", "-n", "1", "--no-raw", "get", "nokey"], "(nil)\n"),
        (&["--no-raw", "-n", "1", "mget", "cli", "nokey"], "1) \"a b\"\n2) (nil)\n"),
        (&["--json", "-n", "1", "mget", "cli", "nokey"], "[\"a b\",null]\n"),
        (&["-r", "3", "-n", "1", "incr", "cli:count"], "1\n2\n3\n"),
        (&["-n", "1", "-X", "tag", "set", "cli:x", "tag"], "OK\n"),
        (&["-n", "1", "--no-raw", "get", "cli:x"], "\"from\\ninput\"\n"),
        (&["-n", "1", "-x", "set", "cli:x"], "OK\n"),
        (&["-n", "1", "strlen", "cli:x"], "10\n"),
    ];
    for (arguments, printed) in table {
        let input: &[u8] = if arguments.iter().any(|argument| argument.starts_with("-X") || *argument == "-x")
        {
            b"from\ninput"
        } else {
            b""
        };
        assert_eq!(redis_cli(&server, arguments, input), *printed, "{arguments:?}");
    }
}

#[test]
fn redis_cli_scans_loads_and_measures() {
    let server = Server::kvasm(&Options::new());
    let mut requests = Vec::new();
    for number in 0..1000 {
        requests.extend(line::encode(&["SET", &format!("key:{number}"), &"x".repeat(number)]));
    }
    let printed = redis_cli(&server, &["--pipe"], &requests);
    assert!(printed.ends_with("errors: 0, replies: 1000\n"), "{printed}");
    let mut keys: Vec<String> = redis_cli(&server, &["--scan"], b"").lines().map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 1000);
    let some = redis_cli(&server, &["--scan", "--pattern", "key:99?"], b"");
    assert_eq!(some.lines().count(), 10);
    let printed = redis_cli(&server, &["--bigkeys"], b"");
    assert!(printed.contains("Sampled 1000 keys") && printed.contains("key:999"), "{printed}");
}

#[test]
fn redis_cli_shows_statistics() {
    let server = Server::kvasm(&Options::new());
    let mut child = Command::new("redis-cli")
        .args(["-p", &server.port().to_string(), "--stat", "-i", "0.05"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start redis-cli");
    let mut printed = Vec::new();
    let mut output = child.stdout.take().expect("its output");
    let mut buffer = [0; 1024];
    // A title of two lines, and then a line for each interval.
    while printed.split(|byte| *byte == b'\n').count() <= 4 {
        let length = output.read(&mut buffer).expect("read its output");
        assert!(length > 0, "redis-cli ended after {}", String::from_utf8_lossy(&printed));
        printed.extend_from_slice(&buffer[..length]);
    }
    child.kill().expect("stop redis-cli");
    child.wait().expect("wait for redis-cli");
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let line = printed.lines().nth(2).expect("a line of figures");
    let figures: Vec<&str> = line.split_whitespace().collect();
    assert!(figures.len() >= 6 && figures[0].parse::<u64>().is_ok(), "{printed}");
}

#[test]
fn redis_cli_completes_commands_from_their_description() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    connection.run("HELLO 3");
    for name in ["set", "getex", "client", "bitfield", "expire", "publish"] {
        let documents = connection.command(&["COMMAND", "DOCS", name]);
        let document = documents.field(name).unwrap_or_else(|| panic!("COMMAND DOCS {name}: {documents}"));
        for field in ["summary", "since", "group"] {
            assert!(document.field(field).is_some(), "{name} has no {field}: {document}");
        }
        assert!(
            document.field("arguments").is_some() || document.field("subcommands").is_some(),
            "{name}: {document}"
        );
    }
    // Every command that there is is described, or tab completion would not know it.
    let count = connection.run("COMMAND COUNT").integer().expect("a number") as usize;
    assert_eq!(connection.run("COMMAND DOCS").elements().len() / 2, count);
    assert_eq!(connection.run("COMMAND").elements().len(), count);
}

#[test]
fn redis_benchmark_runs_without_errors() {
    let server = Server::kvasm(&Options::new());
    for (options, rows) in [("-P 16 -c 20", 6), ("-c 5", 6), ("-P 4 -c 8 --threads 2", 6), ("-3 -c 2", 6)] {
        let output = Command::new("redis-benchmark")
            .args([
                "-p",
                &server.port().to_string(),
                "-t",
                "ping,set,get,incr,mset",
                "-n",
                "4000",
                "-r",
                "1000",
                "--csv",
            ])
            .args(options.split(' '))
            .output()
            .expect("run redis-benchmark");
        let printed = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options}: {printed}{complaint}");
        assert!(
            !format!("{printed}{complaint}").to_lowercase().contains("err"),
            "{options}: {printed}{complaint}"
        );
        let measured = printed.lines().skip(1).filter(|line| line.starts_with('"')).count();
        assert_eq!(measured, rows, "{options}: {printed}{complaint}");
    }
}
