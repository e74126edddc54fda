//! The volatile cache of modules and the durable libraries: names, versions, what survives a restart, what the lists
//! show.

use kvasm_tests::guest::{self, call, data, eval, fcall, library, load, module, procedure, slice};
use kvasm_tests::{Options, Raw, Server, Value};
use std::collections::BTreeMap;

/// A module, and the SHA-1 of its bytes as they are uploaded.
const EMPTY: &str = "(module (func (export \"run\")))";
const EMPTY_SHA: &str = "8147ae6de64b346439c09a79556bb95c04eeaa8e";

fn server() -> Server {
    Server::kvasm(&Options::new().with("appendfsync", "always"))
}

/// A library's module whose function `name` replies `number`.
fn constant(name: &str, number: i64) -> String {
    module("reply_integer", &format!("(func (export \"{name}\") (call $reply_integer (i64.const {number})))"))
}

fn check(connection: &mut Raw, session: &[(&[&str], &str)]) {
    for (command, expected) in session {
        let reply = connection.command(command).to_string();
        assert!(reply.starts_with(expected), "{command:?}: {reply} instead of {expected}");
    }
}

#[test]
fn modules_are_cached_by_the_hash_of_their_bytes() {
    let server = server();
    let mut connection = server.connect();
    let unknown = "0".repeat(40);
    let upper = EMPTY_SHA.to_uppercase();
    check(
        &mut connection,
        &[
            (&["EVALWASMSHA", EMPTY_SHA, "0"], "-NOSCRIPT "),
            (&["WASM", "LOAD", EMPTY], &format!("\"{EMPTY_SHA}\"")),
            (&["EVALWASMSHA", EMPTY_SHA, "0"], "$-1"),
            (&["EVALWASMSHA_RO", EMPTY_SHA, "0"], "$-1"),
            (&["EVALWASMSHA", &upper, "0"], "$-1"),
            (&["WASM", "EXISTS", EMPTY_SHA, &unknown], "[:1, :0]"),
            (&["WASM", "FLUSH"], "+OK"),
            (&["WASM", "EXISTS", EMPTY_SHA], "[:0]"),
            (&["EVALWASM", EMPTY, "0"], "$-1"),
            (&["EVALWASMSHA", EMPTY_SHA, "0"], "$-1"),
            (&["WASM", "LOAD", "(module"], "-WASMINVALID"),
            (&["WASM", "NOSUCH"], "-ERR unknown subcommand 'NOSUCH'. Try WASM HELP."),
        ],
    );
    assert!(connection.run("WASM LIST").to_string().contains(EMPTY_SHA));
    let mut server = server;
    server.kill_nine();
    server.restart();
    check(&mut server.connect(), &[(&["EVALWASMSHA", EMPTY_SHA, "0"], "-NOSCRIPT")]);
}

#[test]
fn the_least_recently_used_module_leaves_the_cache() {
    let server = Server::kvasm(&Options::new().with("wasm-cache-max-len", "3"));
    let mut connection = server.connect();
    let hashes: Vec<String> = (0..4)
        .map(|number| {
            if number == 3 {
                // The first is used once more before the fourth comes.
                assert!(!eval(&mut connection, &constant("run", 0), "", "").is_error());
            }
            connection.command(&["WASM", "LOAD", &constant("run", number)]).text()
        })
        .collect();
    let mut command = vec!["WASM", "EXISTS"];
    command.extend(hashes.iter().map(String::as_str));
    assert_eq!(connection.command(&command).to_string(), "[:1, :0, :1, :1]");
}

#[test]
fn libraries_are_loaded_listed_replaced_and_deleted() {
    let server = server();
    let mut connection = server.connect();
    let [first, second, clash] = [constant("one", 1), constant("two", 2), constant("one", 3)];
    check(
        &mut connection,
        &[
            (&["FCALL", "one", "0"], "-ERR Function not found"),
            (&["FUNCTION", "LOAD", &library("lib1", &first)], "\"lib1\""),
            (&["FUNCTION", "LOAD", &library("lib2", &second)], "\"lib2\""),
            (&["FCALL", "one", "0"], ":1"),
            (&["FCALL_RO", "two", "0"], ":2"),
            (&["FUNCTION", "LOAD", &library("lib1", &clash)], "-ERR Library 'lib1' already exists"),
            (
                &["FUNCTION", "LOAD", &library("lib3", &clash)],
                "-ERR Function one already exists in library 'lib1'",
            ),
            (
                &["FUNCTION", "LOAD", "REPLACE", &library("lib2", &clash)],
                "-ERR Function one already exists in library 'lib1'",
            ),
            (&["FCALL", "two", "0"], ":2"),
            (&["FUNCTION", "LOAD", "REPLACE", &library("lib1", &clash)], "\"lib1\""),
            (&["FCALL", "one", "0"], ":3"),
            (&["FUNCTION", "LOAD", &first], "-ERR Missing library metadata"),
            (&["FUNCTION", "LOAD", "#!wasm\n(module)"], "-ERR Library name was not given"),
            (&["FUNCTION", "LOAD", "#!nosuch name=x\n"], "-ERR Engine 'nosuch' not found"),
            (&["FUNCTION", "LOAD", "#!wasm name=x\n(module"], "-"),
            (&["FUNCTION", "LOAD", "NOSUCH", &library("x", &first)], "-ERR Unknown option given: NOSUCH"),
            (&["FCALL", "one", "x"], "-ERR Bad number of keys provided"),
            (&["FCALL", "one", "-1"], "-ERR Number of keys can't be negative"),
            (&["FCALL", "one", "1"], "-ERR Number of keys can't be greater than number of args"),
            (&["FUNCTION", "DELETE", "nosuch"], "-ERR Library not found"),
            (&["FUNCTION", "DELETE", "lib1"], "+OK"),
            (&["FCALL", "one", "0"], "-ERR Function not found"),
            (&["FCALL", "two", "0"], ":2"),
            (
                &["FUNCTION", "FLUSH", "SYNC", "ASYNC"],
                "-ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.",
            ),
            (&["FUNCTION", "FLUSH"], "+OK"),
            (&["FUNCTION", "LIST"], "[]"),
        ],
    );
}

/// Library, its function, and the function's flags, as `FUNCTION LIST` tells them.
fn listed(connection: &mut Raw, pattern: &str) -> BTreeMap<(String, String), String> {
    let libraries = connection.command(&["FUNCTION", "LIST", "LIBRARYNAME", pattern]).elements();
    let mut functions = BTreeMap::new();
    for library in &libraries {
        let text = |value: &Value, field: &str| {
            value.field(field).unwrap_or_else(|| panic!("no {field}: {value}")).text()
        };
        assert_eq!(text(library, "engine").to_uppercase(), "WASM");
        for function in library.field("functions").expect("functions").elements() {
            let flags = function.field("flags").expect("flags").elements();
            let flags: Vec<String> = flags.iter().map(Value::text).collect();
            functions.insert((text(library, "library_name"), text(&function, "name")), flags.join(" "));
        }
    }
    functions
}

#[test]
fn the_list_proves_which_functions_cannot_write() {
    let server = server();
    let mut connection = server.connect();
    let fields = "(type $plain (func))
        (table 2 funcref) (elem (i32.const 0) $reads $writes)
        (func $helper (drop (call $delete (i32.const 0) (i32.const 1))))
        (func $reads (export \"reads\") (drop (call $get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))))
        (func $writes (export \"writes\") (call $helper))
        (func (export \"indirect\") (call_indirect (type $plain) (i32.const 0)))
        (func (export \"nothing\"))
        (func (export \"not_a_procedure\") (param i32))";
    load(&mut connection, "mixed", &module("get delete", fields));
    load(&mut connection, "other", &constant("other", 1));
    let mut expected = BTreeMap::new();
    for (function, flags) in
        [("reads", "no-writes"), ("writes", ""), ("indirect", ""), ("nothing", "no-writes")]
    {
        expected.insert(("mixed".to_owned(), function.to_owned()), flags.to_owned());
    }
    assert_eq!(listed(&mut connection, "mix*"), expected);
    for (function, allowed) in [("reads", true), ("nothing", true), ("writes", false), ("indirect", false)] {
        let reply = call(&mut connection, "FCALL_RO", function, "", "");
        assert_eq!(!reply.is_error(), allowed, "FCALL_RO {function}: {reply}");
    }
    connection.run("HELLO 3");
    let code = connection.run("FUNCTION LIST LIBRARYNAME other WITHCODE").elements();
    let code = code[0].field("library_code").expect("library_code").text();
    assert_eq!(code, library("other", &constant("other", 1)));
    let statistics = connection.run("FUNCTION STATS");
    assert!(statistics.field("running_script").is_some_and(|running| running.is_null()), "{statistics}");
    let engines = statistics.field("engines").expect("engines");
    assert!(engines.to_string().to_uppercase().contains("WASM"), "{engines}");
}

#[test]
fn libraries_survive_every_kind_of_restart() {
    let mut server = server();
    load(&mut server.connect(), "kept", &constant("kept", 1));
    load(&mut server.connect(), "deleted", &constant("deleted", 1));
    server.connect().run("FUNCTION DELETE deleted");
    for end in [Server::terminate, Server::kill_nine] {
        end(&mut server);
        server.restart();
        let mut connection = server.connect();
        assert_eq!(fcall(&mut connection, "kept", "", "").to_string(), ":1");
        assert_eq!(listed(&mut connection, "*").len(), 1);
    }
    let mut connection = server.connect();
    connection.command(&["FUNCTION", "LOAD", "REPLACE", &library("kept", &constant("kept", 2))]);
    server.kill_nine();
    server.restart();
    assert_eq!(fcall(&mut server.connect(), "kept", "", "").to_string(), ":2");
    server.connect().run("FUNCTION FLUSH");
    server.kill_nine();
    server.restart();
    assert_eq!(server.connect().run("FUNCTION LIST").to_string(), "[]");
}

#[test]
fn a_flush_deletes_libraries_that_exceed_lowered_limits_too() {
    let mut first = server();
    load(&mut first.connect(), "large", &constant("large", 1));
    first.terminate();
    let mut narrow = Server::kvasm(&Options::new().with("wasm-max-functions", "1").in_directory_of(&first));
    assert_eq!(narrow.connect().run("FUNCTION LIST").to_string(), "[]", "it is stored but not loaded");
    assert_eq!(narrow.connect().run("FUNCTION FLUSH").to_string(), "+OK");
    narrow.terminate();
    first.restart();
    assert_eq!(first.connect().run("FUNCTION LIST").to_string(), "[]");
}

#[test]
fn procedures_find_cold_keys() {
    let mut server = server();
    server.connect().run("MSET cold:1 40 cold:2 x");
    let get = format!(
        "(call $reply_bulk (i32.const 200) (i32.wrap_i64 (call $get {} (i32.const 200) (i32.const 99))))",
        slice(0, "cold:2")
    );
    let undeclared = guest::module(
        "get increment reply_bulk",
        &format!(
            "{}{}(func (export \"run\") (drop (call $increment {} (i64.const 2))) {get})",
            data(0, "cold:2"),
            data(16, "cold:1"),
            slice(16, "cold:1")
        ),
    );
    server.restart_cold();
    let mut connection = server.connect();
    assert_eq!(eval(&mut connection, &undeclared, "", "").to_string(), "\"x\"");
    assert_eq!(connection.run("GET cold:1").to_string(), "\"42\"", "run again after loading, but done once");
}

#[test]
fn what_procedures_log_is_shown() {
    let server = server();
    let mut connection = server.connect();
    let text = "seen by a procedure";
    let fields =
        format!("{}(func (export \"run\") (call $log (i32.const 2) {}))", data(0, text), slice(0, text));
    assert!(!eval(&mut connection, &module("log", &fields), "", "").is_error());
    let shown = connection.run("FUNCTION LOG").to_string();
    assert!(shown.contains(text), "{shown}");
    assert!(server.log().contains(text));
    assert!(!eval(&mut connection, &procedure("", ""), "", "").is_error());
}

#[test]
fn libraries_are_restored_from_a_dump_all_or_none() {
    let server = server();
    let mut connection = server.connect();
    for (name, function, number) in [("one", "f", 1), ("two", "g", 2)] {
        assert!(!load(&mut connection, name, &constant(function, number)).is_error());
    }
    let dump = connection.run("FUNCTION DUMP").bytes().to_vec();
    let restore = |connection: &mut Raw, dump: &[u8], policy: &[&str]| {
        let words = ["FUNCTION", "RESTORE"].map(str::as_bytes);
        let policy = policy.iter().map(|word| word.as_bytes());
        connection.command(&words.into_iter().chain([dump]).chain(policy).collect::<Vec<_>>()).to_string()
    };
    let names = |connection: &mut Raw| -> Vec<String> {
        let libraries = connection.run("FUNCTION LIST").elements();
        libraries.iter().map(|library| library.elements()[1].text()).collect()
    };
    let exists = "-ERR Library 'one' already exists";
    assert_eq!(restore(&mut connection, &dump, &[]), exists);
    assert_eq!(restore(&mut connection, &dump, &["append"]), exists);
    connection.run("FUNCTION DELETE one");
    let library = library("two", &constant("changed", 3));
    assert_eq!(connection.command(&["FUNCTION", "LOAD", "REPLACE", &library]).to_string(), "\"two\"");
    assert_eq!(restore(&mut connection, &dump, &[]), "-ERR Library 'two' already exists");
    assert_eq!(names(&mut connection), ["two"], "nothing was restored");
    assert_eq!(restore(&mut connection, &dump, &["REPLACE"]), "+OK");
    assert_eq!(names(&mut connection), ["one", "two"]);
    assert_eq!(fcall(&mut connection, "g", "", "").to_string(), ":2");
    assert!(fcall(&mut connection, "changed", "", "").is_error());
    load(&mut connection, "three", &constant("h", 3));
    // What a trigger calls must stay.
    connection.run("TRIGGER CREATE t ON set KEYS k CALL h");
    assert_eq!(
        restore(&mut connection, &dump, &["FLUSH"]),
        "-ERR Libraries are in use: trigger 't' calls their function 'h'"
    );
    connection.run("TRIGGER DROP t");
    assert_eq!(restore(&mut connection, &dump, &["FLUSH"]), "+OK");
    assert_eq!(names(&mut connection), ["one", "two"]);
    load(&mut connection, "three", &constant("h", 3));
    let other = self::server();
    assert_eq!(restore(&mut other.connect(), &dump, &[]), "+OK");
    let holder = guest::library("holder", &constant("f", 9));
    let mut other = other.connect();
    other.run("FUNCTION FLUSH");
    other.command(&["FUNCTION", "LOAD", &holder]);
    assert_eq!(restore(&mut other, &dump, &[]), "-ERR Function f already exists in library 'holder'");
    assert_eq!(names(&mut other), ["holder"]);
    let mut server = server;
    server.kill_nine();
    server.restart();
    let mut connection = server.connect();
    assert_eq!(names(&mut connection), ["one", "three", "two"]);
    assert_eq!(fcall(&mut connection, "f", "", "").to_string(), ":1");
}

#[test]
fn what_is_no_dump_is_refused() {
    let server = server();
    let mut connection = server.connect();
    let damaged = "-ERR DUMP payload version or checksum are wrong";
    load(&mut connection, "one", &constant("f", 1));
    let mut dump = connection.run("FUNCTION DUMP").bytes().to_vec();
    dump[20] ^= 1;
    assert_eq!(connection.command(&[b"FUNCTION", &b"RESTORE"[..], &dump]).to_string(), damaged);
    check(
        &mut connection,
        &[
            (&["FUNCTION", "RESTORE", ""], damaged),
            (&["FUNCTION", "RESTORE", "x", "FLUSH"], damaged),
            (
                &["FUNCTION", "RESTORE", "x", "keep"],
                "-ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ),
            (
                &["FUNCTION", "RESTORE", "x", "FLUSH", "y"],
                "-ERR unknown subcommand or wrong number of arguments for 'RESTORE'. Try FUNCTION HELP.",
            ),
        ],
    );
    assert_eq!(fcall(&mut connection, "f", "", "").to_string(), ":1");
}

#[test]
fn a_restored_library_brings_its_triggers() {
    let server = server();
    let mut connection = server.connect();
    let declaration = "fill ON set KEYS source CALL fill";
    let fields = format!(
        "{}(func (export \"fill\") (call $put {1} {1}))(@custom \"kvasm.triggers\" \"{declaration}\")",
        data(0, "filled"),
        slice(0, "filled")
    );
    assert_eq!(load(&mut connection, "filler", &module("put", &fields)).to_string(), "\"filler\"");
    let dump = connection.run("FUNCTION DUMP").bytes().to_vec();
    let mut other = self::server();
    let mut restored = other.connect();
    let restore = [b"FUNCTION", &b"RESTORE"[..], &dump, b"REPLACE"];
    for _ in 0..2 {
        assert_eq!(restored.command(&restore).to_string(), "+OK");
    }
    other.kill_nine();
    other.restart();
    let mut restored = other.connect();
    restored.run("SET source 1");
    assert_eq!(restored.run("GET filled").to_string(), "\"filled\"");
    restored.run("FUNCTION DELETE filler");
    assert_eq!(restored.run("TRIGGER LIST").elements().len(), 0);
}
