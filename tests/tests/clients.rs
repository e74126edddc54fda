//! Programs that know only Redis, unmodified: redis-cli, redis-benchmark, and the `redis` crate.

use kvasm_tests::{Options, Server, line};
use redis::{Client, Commands, Connection, PushKind, RedisResult};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

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

fn connect(server: &Server, protocol: &str) -> Connection {
    let url = format!("redis://127.0.0.1:{}/?protocol={protocol}", server.port());
    let connection = Client::open(url).expect("a URL").get_connection_with_timeout(TIMEOUT).expect("connect");
    connection.set_read_timeout(Some(TIMEOUT)).expect("set the time limit");
    connection
}

#[test]
fn the_redis_crate_pipelines_and_transacts() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&server, protocol);
        let [count, list] = ["count", "list"].map(|name| format!("crate:{protocol}:{name}"));
        let (set, value, missing): (String, i64, Option<i64>) =
            redis::pipe().set(&count, 41).get(&count).get("crate:nokey").query(&mut connection)?;
        assert_eq!((set.as_str(), value, missing), ("OK", 41, None));
        let (first, second): (i64, i64) =
            redis::pipe().atomic().incr(&count, 1).incr(&count, 1).query(&mut connection)?;
        assert_eq!((first, second), (42, 43));
        let doubled = redis::transaction(&mut connection, &[&count], |connection, pipe| {
            let value: i64 = connection.get(&count)?;
            pipe.set(&count, value * 2).ignore().get(&count).query::<Option<(i64,)>>(connection)
        })?;
        assert_eq!(doubled, (86,));
        let failed: RedisResult<i64> =
            connection.set::<_, _, ()>(&list, "text").and_then(|()| connection.incr(&list, 1));
        assert_eq!(failed.expect_err("an error").detail(), Some("value is not an integer or out of range"));
        let bytes = vec![0u8, 255, b'\r', b'\n'];
        connection.set::<_, _, ()>(&list, &bytes)?;
        assert_eq!(connection.get::<_, Vec<u8>>(&list)?, bytes);
    }
    Ok(())
}

#[test]
fn the_redis_crate_scans() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    let mut connection = connect(&server, "resp3");
    for number in 0..100 {
        connection.set::<_, _, ()>(format!("crate:scan:{number}"), number)?;
    }
    let mut keys: Vec<String> = connection.scan_match("crate:scan:*")?.collect::<RedisResult<_>>()?;
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 100);
    Ok(())
}

#[test]
fn the_redis_crate_subscribes_in_resp2() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    let mut subscriber = connect(&server, "resp2");
    let mut messages = subscriber.as_pubsub();
    messages.subscribe("crate:news")?;
    messages.psubscribe("crate:n*")?;
    assert_eq!(connect(&server, "resp2").publish::<_, _, i64>("crate:news", "hello")?, 2);
    let (first, second) = (messages.get_message()?, messages.get_message()?);
    assert_eq!((first.get_channel_name(), first.get_payload::<String>()?.as_str()), ("crate:news", "hello"));
    assert_eq!(second.get_pattern::<String>()?, "crate:n*");
    Ok(())
}

#[test]
fn the_redis_crate_gets_pushes_in_resp3() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    let mut subscriber = connect(&server, "resp3");
    let (sender, pushed) = std::sync::mpsc::channel();
    subscriber.set_push_sender(sender);
    subscriber.subscribe_resp3("crate:resp3")?;
    // In RESP3 other commands go on working.
    assert_eq!(subscriber.publish::<_, _, i64>("crate:resp3", "hello")?, 1);
    redis::cmd("PING").query::<String>(&mut subscriber)?;
    let kinds: Vec<PushKind> = pushed.try_iter().map(|push| push.kind).collect();
    assert_eq!(kinds, [PushKind::Subscribe, PushKind::Message]);
    Ok(())
}
