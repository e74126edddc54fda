//! Directories that earlier versions wrote open, and hold what was written. `tests/fixtures/README.md` tells how they
//! were made.

use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A server that has just been started on the directory of an archive.
fn open(archive: &str) -> Server {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(archive);
    let mut server = Server::kvasm(&Options::new());
    server.terminate();
    let directory = server.data_directory();
    for file in ["data.redb", "log.redb"] {
        fs::remove_file(directory.join(file)).expect("remove the empty file");
    }
    let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&directory).status();
    assert!(status.expect("run tar").success(), "{} unpacks", archive.display());
    server.restart();
    server
}

#[track_caller]
fn check(connection: &mut Raw, session: &[(&str, &str)]) {
    for (line, expected) in session {
        assert_eq!(connection.run(line).to_string(), *expected, "{line}");
    }
}

/// What both hold, apart from what the questions themselves change.
const STRINGS: &[(&str, &str)] = &[
    ("GET text", r#""hello world""#),
    ("GET number", r#""43""#),
    ("GET negative", r#""-9223372036854775808""#),
    ("GET empty", r#""""#),
    (r#"GET "\x00\r\n\xff""#, r#""\xff\x00""#),
    ("GET short", r#""0123456789""#),
    ("STRLEN gap", ":100003"),
    ("GETRANGE gap 99999 -1", r#""\x00end""#),
    ("STRLEN long", ":70004"),
    ("GETRANGE long 65277 65282", r#""\x000123\x00""#),
    ("GETRANGE long 69999 -1", r#""\x004567""#),
    ("PEXPIRETIME later", ":4102444800123"),
    ("PTTL number-later", ":-1"),
    ("GET number-later", r#""5""#),
    ("EXISTS going flushed flushed-later", ":0"),
    ("MGET seen seen-again fresh user:1 user:2", r#"["2", $-1, "1", "x", "x"]"#),
    ("SELECT 3", "+OK"),
    ("GET drei", r#""3""#),
    ("DBSIZE", ":1"),
    ("SELECT 8", "+OK"),
    ("GET seven", r#""7""#),
    ("SELECT 7", "+OK"),
    ("DBSIZE", ":0"),
    ("SELECT 0", "+OK"),
    ("TRIGGER LIST", r#"["later-rule", "rule"]"#),
];

/// What format 2 holds beside that.
const COLLECTIONS: &[(&str, &str)] = &[
    ("LRANGE list 0 -1", r#"["z", "a", "b", "c"]"#),
    ("SMEMBERS numbers", r#"["1", "2", "3"]"#),
    ("SMEMBERS words", r#"["two"]"#),
    ("ZRANGE scores 0 -1 WITHSCORES", r#"["a", "1.5", "b", "2", "c", "3"]"#),
    ("HGETALL hash", r#"["field", "value"]"#),
    ("XRANGE stream - +", r#"[["5-1", ["field", "value"]], ["5-2", ["field", "again"]]]"#),
];

/// Opens a directory, and goes on with it as with a new one: what came with later formats works in it.
fn check_format(archive: &str, content: &[&[(&str, &str)]], keys: &str) {
    let mut server = open(archive);
    let mut connection = server.connect();
    let groups = |info: &str, name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{info}"));
        line.trim().parse::<u64>().expect("a number")
    };
    let info = connection.run("INFO persistence").text();
    assert!(groups(&info, "kvasm_last_group:") >= 32, "the log was replayed: {info}");
    for _ in 0..2 {
        let mut connection = server.connect();
        check(&mut connection, &[("DBSIZE", keys)]);
        for session in content {
            check(&mut connection, session);
        }
        server.terminate();
        server.restart();
    }
    let mut connection = server.connect();
    check(
        &mut connection,
        &[
            ("SET user:3 x", "+OK"),
            ("GET seen", r#""3""#),
            ("FCALL count 0", "$-1"),
            ("GET seen", r#""4""#),
            ("TRIGGER ENABLE later-rule", "+OK"),
            ("DEL user:3", ":1"),
            ("GET seen-again", r#""1""#),
            ("TRIGGER CREATE queued ASYNC ON del KEYS user:* CALL count", "+OK"),
            ("DEL user:2", ":1"),
        ],
    );
    wait_for("the delivery", || connection.run("GET seen").to_string() == r#""5""#);
    server.terminate();
    server.restart();
    let mut connection = server.connect();
    check(&mut connection, &[("DEL user:1", ":1")]);
    wait_for("the delivery", || connection.run("GET seen").to_string() == r#""6""#);
}

#[test]
fn a_directory_of_format_1_opens_with_all_that_was_written() {
    check_format("format-1.tar.gz", &[STRINGS], ":14");
}

#[test]
fn a_directory_of_format_2_opens_with_all_that_was_written() {
    check_format("format-2.tar.gz", &[STRINGS, COLLECTIONS], ":20");
}
