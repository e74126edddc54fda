//! The examples on a real server: their scenarios, which also run natively, must have the same results there, and what
//! the SDK says of a procedure (`&Db` cannot write) must be what the server finds.

use kvasm_sdk::testing::{Backend, Scenario, check};
use kvasm_sdk::{Error, Reply};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server, Value, guest};
use std::collections::BTreeSet;

/// Each example that has scenarios.
const EXAMPLES: &[(&str, &[&[Scenario]])] = &[
    ("bank", &[bank::scenarios::SCENARIOS]),
    ("conformance", conformance::scenarios::SCENARIOS),
    ("counter", &[counter::scenarios::SCENARIOS]),
    ("dedup-queue", &[dedup_queue::scenarios::SCENARIOS]),
    ("index", &[index::scenarios::SCENARIOS]),
    ("json-validator", &[json_validator::scenarios::SCENARIOS]),
    ("leaderboard", &[leaderboard::scenarios::SCENARIOS]),
    ("outbox", &[outbox::scenarios::SCENARIOS]),
    ("rate-limiter", &[rate_limiter::scenarios::SCENARIOS]),
    ("session-store", &[session_store::scenarios::SCENARIOS]),
    ("shopping-cart", &[shopping_cart::scenarios::SCENARIOS]),
    ("time-series", &[time_series::scenarios::SCENARIOS]),
    ("top-list", &[top_list::scenarios::SCENARIOS]),
];

/// The imports that can change data.
const WRITING_IMPORTS: &[&str] = &["put", "delete", "increment", "command"];

/// A server with an example's library, reached in RESP3, which keeps all types of replies apart.
struct Remote {
    connection: Raw,
    _server: Server,
}

impl Remote {
    fn new(example: &str) -> Remote {
        let server = Server::kvasm(&Options::new());
        let mut connection = server.connect();
        connection.run("HELLO 3");
        // Names of libraries have no hyphens.
        let name = example.replace('-', "_");
        let code = [format!("#!wasm name={name}\n").as_bytes(), &guest::example(example)].concat();
        assert_eq!(connection.command(&[&b"FUNCTION"[..], b"LOAD", &code]), Value::Bulk(name.into()));
        Remote { connection, _server: server }
    }

    /// The functions that `FUNCTION LIST` shows: all, and those that are marked `no-writes`.
    fn functions(&mut self) -> (BTreeSet<String>, BTreeSet<String>) {
        let library = self.connection.run("FUNCTION LIST").elements().remove(0);
        let functions = library.field("functions").expect("the functions").elements();
        let name = |function: &Value| function.field("name").expect("a name").text();
        let is_read_only = |function: &&Value| {
            let flags = function.field("flags").expect("the flags").elements();
            flags.iter().any(|flag| flag.bytes() == b"no-writes")
        };
        (functions.iter().map(name).collect(), functions.iter().filter(is_read_only).map(name).collect())
    }
}

impl Backend for Remote {
    fn reset(&mut self) {
        assert_eq!(self.connection.run("FLUSHALL"), Value::Simple("OK".into()));
    }

    fn call(&mut self, function: &str, keys: &[&[u8]], args: &[&[u8]]) -> kvasm_sdk::Result<Reply> {
        let count = keys.len().to_string();
        let words: [&[u8]; 3] = [b"FCALL", function.as_bytes(), count.as_bytes()];
        self.command(&[&words[..], keys, args].concat())
    }

    fn command(&mut self, words: &[&[u8]]) -> kvasm_sdk::Result<Reply> {
        match reply(self.connection.command(words)) {
            Reply::Error(error) => {
                // The server adds which procedure its own error ended; natively that is plain to see.
                let text = error.to_string();
                let reason = text.split(" (procedure '").next().unwrap_or(&text);
                Err(Error::new(reason.to_owned()))
            }
            reply => Ok(reply),
        }
    }
}

fn reply(value: Value) -> Reply {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a reply that is text");
    let replies = |values: Vec<Value>| values.into_iter().map(reply).collect();
    match value {
        Value::Simple(bytes) => Reply::Status(text(bytes).into()),
        Value::Error(bytes) | Value::BulkError(bytes) => Reply::Error(Error::new(text(bytes))),
        Value::Integer(number) => Reply::Integer(number),
        Value::Bulk(bytes) | Value::Verbatim(bytes) => Reply::Bulk(bytes),
        Value::NullBulk | Value::NullArray | Value::Null => Reply::Nil,
        Value::Boolean(boolean) => Reply::Boolean(boolean),
        Value::Double(bytes) => Reply::Double(text(bytes)),
        Value::BigNumber(bytes) => Reply::BigNumber(text(bytes)),
        Value::Array(values) | Value::Push(values) => Reply::Array(replies(values)),
        Value::Set(values) => Reply::Set(replies(values)),
        Value::Map(pairs) => {
            Reply::Map(pairs.into_iter().map(|(key, value)| (reply(key), reply(value))).collect())
        }
    }
}

#[test]
fn the_examples_do_on_the_server_what_they_do_natively() {
    for (example, tables) in EXAMPLES {
        let mut remote = Remote::new(example);
        for scenarios in *tables {
            assert!(!scenarios.is_empty(), "{example} has no scenarios");
            check(&mut remote, scenarios);
        }
    }
}

#[test]
fn the_server_proves_of_the_same_functions_as_the_sdk_that_they_cannot_write() {
    let table: &[(&str, &[&str])] = &[
        ("bank", &["balances"]),
        ("conformance", conformance::scenarios::READ_ONLY),
        ("counter", &["left"]),
        ("json-validator", &["is_json", "validate_user"]),
        ("index", &["people_in"]),
        ("dedup-queue", &["waiting"]),
        ("leaderboard", &["standing", "top"]),
        ("outbox", &[]),
        ("session-store", &[]),
        ("shopping-cart", &["cart"]),
        ("thumbnail", &[]),
        ("time-series", &["minutes"]),
        ("top-list", &["best_players"]),
    ];
    for (example, expected) in table {
        let (all, read_only) = Remote::new(example).functions();
        assert_eq!(read_only, expected.iter().copied().map(String::from).collect(), "{example}: {all:?}");
    }
}

#[test]
fn the_rule_guards_a_key_from_every_command_that_makes_a_string() {
    let mut remote = Remote::new("json-validator");
    assert_eq!(remote.command(&[b"SET", b"text", b"no JSON"]), Ok(Reply::OK));
    let Ok(Reply::Bulk(payload)) = remote.command(&[b"DUMP", b"text"]) else { panic!("no payload") };
    for words in [
        &[&b"SET"[..], b"user:1", b"no JSON"][..],
        &[b"APPEND", b"user:1", b"no JSON"],
        &[b"SETRANGE", b"user:1", b"0", b"no JSON"],
        &[b"SETBIT", b"user:1", b"0", b"1"],
        &[b"PFADD", b"user:1", b"a"],
        &[b"RESTORE", b"user:1", b"0", &payload],
        &[b"RENAME", b"text", b"user:1"],
        &[b"COPY", b"text", b"user:1"],
    ] {
        let refused = remote.command(words).expect_err("a change that is refused").to_string();
        assert!(refused.starts_with("INVALID trigger 'validate_user'"), "{refused}");
        assert_eq!(remote.command(&[b"EXISTS", b"user:1"]), Ok(Reply::Integer(0)));
    }
}

#[test]
fn thumbnails_on_the_server_are_those_that_are_made_natively() {
    let mut remote = Remote::new("thumbnail");
    let picture = include_bytes!("../../procs/thumbnail/example.jpg").as_slice();
    let thumbnail = Ok(Reply::Bulk(thumbnail::thumbnail(picture).expect("a picture")));
    assert_eq!(remote.command(&[b"SET", b"img:42", picture]), Ok(Reply::OK));
    wait_for("the thumbnail is made", || remote.command(&[b"EXISTS", b"thumb:42"]) == Ok(Reply::Integer(1)));
    assert_eq!(remote.command(&[b"GET", b"thumb:42"]), thumbnail);
    assert_eq!(remote.command(&[b"SET", b"photo", picture]), Ok(Reply::OK));
    remote.call("make_thumbnail", &[b"photo", b"small"], &[]).expect("a thumbnail");
    assert_eq!(remote.command(&[b"GET", b"small"]), thumbnail);

    assert_eq!(remote.command(&[b"SET", b"img:7", b"text"]), Ok(Reply::OK));
    let text = "PICTURE img:7 is no JPEG or PNG picture: it begins like neither";
    let letters = "TRIGGER DEADLETTER LIST keep_thumbnail";
    wait_for("a person can read why", || remote.connection.run(letters).to_string().contains(text));
    assert_eq!(remote.command(&[b"DEL", b"img:42"]), Ok(Reply::Integer(1)));
    wait_for("the thumbnail is gone", || remote.command(&[b"EXISTS", b"thumb:42"]) == Ok(Reply::Integer(0)));
}

#[test]
fn a_module_without_mutable_databases_links_nothing_that_writes() {
    // As an import stands in a module: length and text of module and name.
    let imports = |module: &[u8], name: &str| {
        let entry = [b"\x07kvasm_1", &[name.len() as u8][..], name.as_bytes()].concat();
        module.windows(entry.len()).any(|window| window == entry)
    };
    let (reading, writing) = (guest::example("json-validator"), guest::example("bank"));
    assert!(imports(&reading, "arg") && imports(&writing, "increment"));
    for name in WRITING_IMPORTS {
        assert!(!imports(&reading, name), "{name}");
    }
}

#[test]
fn an_attribute_declares_an_asynchronous_trigger() {
    let mut remote = Remote::new("conformance");
    let connection = &mut remote.connection;
    let info = |connection: &mut Raw, field: &str| {
        let info = connection.run("TRIGGER INFO observe");
        info.field(field).unwrap_or_else(|| panic!("no {field} in {info}")).to_string()
    };
    for (field, expected) in [
        ("mode", "\"async\""),
        ("concurrency", ":2"),
        ("tries", ":2"),
        ("backoff_ms", ":1"),
        ("fuel", ":1000000"),
        ("coalesce", "#t"),
        ("on_full", "\"refuse\""),
    ] {
        assert_eq!(info(connection, field), expected, "{field}");
    }
    connection.run("MSET observed:1 12345 observed:2 \"\" observed:3 1234567");
    wait_for("the deliveries", || {
        info(connection, "dead_letters") == ":1" && info(connection, "queued") == ":0"
    });
    assert_eq!(connection.run("GET observed").to_string(), "\"12\"");
    assert_eq!(info(connection, "last_error"), "\"EMPTY value\"");
}
