//! Moving from Redis and back: values by DUMP and RESTORE, whole files by `kvasm import`.

use std::fs;
use std::process::{Command, Output};

use kvasm_tests::binary::kvasm;
use kvasm_tests::{Options, Raw, Server, Value};

/// Fills a server with a value of every type in its small and its big form; gives the names of the keys.
fn fill(connection: &mut Raw) -> Vec<String> {
    let mut script: Vec<String> = [
        "SET text hello",
        "SET number -12345",
        "SETBIT bits 70000 1",
        "RPUSH list a 1 -300 70000 9000000000",
        "SADD integers 1 -2 300000 9000000000",
        "SADD set a b 1",
        "HSET hash field value number 100 empty \"\"",
        "ZADD zset 1.5 a -inf b 3 c inf d 0.5 e",
        "PFADD cardinality a b c",
        "GEOADD places 13.361389 38.115556 Palermo",
        "XADD stream 1-1 a 1 b 2",
        "XADD stream 1-2 a 3 b 4",
        "XADD stream 5-0 c 5",
        "XADD stream 6-0 c 5",
        "XDEL stream 1-2",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group alice COUNT 2 STREAMS stream >",
        "XREADGROUP GROUP group bob COUNT 1 STREAMS stream >",
        "XACK stream group 1-1",
        "XADD emptied 7-7 a b",
        "XDEL emptied 7-7",
    ]
    .map(str::to_owned)
    .to_vec();
    for index in 0..1000 {
        let long = "x".repeat(index % 300);
        script.push(format!("RPUSH biglist {index} {long}y"));
        script.push(format!("SADD bigset member:{index}{long}"));
        script.push(format!("HSET bighash field:{index} {long}y"));
        script.push(format!("ZADD bigzset {index}.25 member:{index}"));
        script.push(format!("XADD bigstream {index}-1{index} temperature {index} place {}", index % 3));
    }
    for line in &script {
        assert!(!connection.run(line).is_error(), "{line}");
    }
    let mut keys: Vec<String> = connection.run("KEYS *").elements().iter().map(Value::text).collect();
    keys.sort_unstable();
    keys
}

/// Everything that can be seen of a key, the same on both servers.
fn look(connection: &mut Raw, key: &str) -> Vec<String> {
    let sorted = |connection: &mut Raw, line: &str| {
        let mut elements: Vec<String> =
            connection.run(line).elements().iter().map(Value::to_string).collect();
        elements.sort_unstable();
        elements.join(" ")
    };
    let kind = connection.run(&format!("TYPE {key}")).text();
    let seen = match kind.as_str() {
        "string" => vec![connection.run(&format!("GET {key}")).to_string()],
        "list" => vec![connection.run(&format!("LRANGE {key} 0 -1")).to_string()],
        "set" => vec![sorted(connection, &format!("SMEMBERS {key}"))],
        "hash" => {
            let fields = connection.run(&format!("HGETALL {key}")).elements();
            let mut pairs: Vec<String> =
                fields.chunks(2).map(|pair| format!("{}={}", pair[0], pair[1])).collect();
            pairs.sort_unstable();
            pairs
        }
        "zset" => vec![connection.run(&format!("ZRANGE {key} 0 -1 WITHSCORES")).to_string()],
        "stream" => {
            let info = connection.run(&format!("XINFO STREAM {key}"));
            let field = |name: &str| info.field(name).map(|value| value.to_string()).unwrap_or_default();
            let mut seen = vec![connection.run(&format!("XRANGE {key} - +")).to_string()];
            seen.extend(["last-generated-id", "max-deleted-entry-id", "entries-added", "groups"].map(field));
            for group in connection.run(&format!("XINFO GROUPS {key}")).elements() {
                let name = group.field("name").expect("a name").text();
                seen.push(group.to_string());
                // The idle time is left out.
                for pending in connection.run(&format!("XPENDING {key} {name} - + 100")).elements() {
                    let pending = pending.elements();
                    seen.push(format!("{} {} {}", pending[0], pending[1], pending[3]));
                }
            }
            seen
        }
        other => panic!("{key} is a {other}"),
    };
    let ttl = connection.run(&format!("PEXPIRETIME {key}")).to_string();
    [vec![kind, ttl], seen].concat()
}

/// A value's bytes are whatever they are: they go as an argument of their own.
fn restore(connection: &mut Raw, key: &str, payload: &Value) {
    let reply =
        connection.command(&[b"RESTORE".as_slice(), key.as_bytes(), b"0", payload.bytes(), b"REPLACE"]);
    assert_eq!(reply.to_string(), "+OK", "{key}");
}

#[test]
fn values_go_from_redis_to_kvasm_and_back() {
    let options = Options::new();
    let (kvasm, redis) = (Server::kvasm(&options), Server::redis(&options));
    let (mut kvasm, mut redis) = (kvasm.connect(), redis.connect());
    for key in fill(&mut redis) {
        let expected = look(&mut redis, &key);
        restore(&mut kvasm, &key, &redis.run(&format!("DUMP {key}")));
        assert_eq!(look(&mut kvasm, &key), expected, "{key} in kvasm");
        let payload = kvasm.run(&format!("DUMP {key}"));
        redis.run(&format!("DEL {key}"));
        restore(&mut redis, &key, &payload);
        assert_eq!(look(&mut redis, &key), expected, "{key} back in redis-server");
    }
}

fn import(file: &std::path::Path, directory: &std::path::Path) -> Output {
    let mut command = Command::new(kvasm());
    command.arg("import").arg(file).arg("--dir").arg(directory);
    command.output().expect("kvasm runs")
}

#[test]
fn a_file_of_redis_is_imported_whole() {
    let redis = Server::redis(&Options::new());
    let mut connection = redis.connect();
    let keys = fill(&mut connection);
    for line in ["PEXPIREAT text 4102444800123", "SELECT 3", "SET third 3", "SELECT 0", "SAVE"] {
        assert!(!connection.run(line).is_error(), "{line}");
    }
    let file = redis.data_directory().join("dump.rdb");
    let mut kvasm = Server::kvasm(&Options::new());
    kvasm.terminate();
    let directory = kvasm.data_directory();
    let output = import(&file, &directory);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.starts_with(&format!("{} keys are in the data directory now", keys.len() + 1)), "{told}");
    kvasm.restart();
    let mut imported = kvasm.connect();
    for key in keys {
        assert_eq!(look(&mut imported, &key), look(&mut connection, &key), "{key}");
    }
    imported.run("SELECT 3");
    assert_eq!(imported.run("GET third").text(), "3");
    kvasm.terminate();
    let again = import(&file, &directory);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("the data directory has keys already"));
}

#[test]
fn what_is_no_file_of_redis_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("dump.rdb");
    let table: [(&[u8], &str); 3] = [
        (b"REDIS0099xxxx", "a file of a newer version cannot be read"),
        (b"hello, this is no such file", "this is not a database file of Redis"),
        (b"REDIS0010\xfe\x00\x00\x01a", "it ends too early\nthe data directory '"),
    ];
    for (content, reason) in table {
        fs::write(&file, content).expect("it can be written");
        let output = import(&file, &directory.path().join("data"));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(reason), "{told}");
    }
}
