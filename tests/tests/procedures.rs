//! Procedures as a client sees them: what the guest interface does, that a failed call leaves nothing behind, that a
//! call sees nothing of an earlier one, and that every limit is an error and not an accident.

use kvasm_tests::guest::{call, data, eval, module, procedure, put_then, slice};
use kvasm_tests::{Options, Raw, Server, line};

/// Runs a module with keys and arguments, and compares the reply.
fn check(connection: &mut Raw, module: &str, keys: &str, arguments: &str, reply: &str) {
    let answer = eval(connection, module, keys, arguments).to_string();
    assert_eq!(answer, reply, "with keys {keys:?} and arguments {arguments:?}:\n{module}");
}

#[test]
fn the_guest_interface_does_what_it_says() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    connection.run("SET abi:text hello");
    connection.run("SET abi:number 40");
    // The name of the first key is put at 0, and its length is left on the stack.
    let key = "(call $key (i32.const 0) (i32.const 0) (i32.const 100))";
    let named = format!("(i32.const 0) {key}");
    let reply = |instructions: &str| format!("(call $reply_integer {instructions})");
    let extend = |instructions: &str| reply(&format!("(i64.extend_i32_s {instructions})"));
    let table: &[(&str, String, &str, &str, &str)] = &[
        ("", String::new(), "", "", "$-1"),
        ("key_count", extend("(call $key_count)"), "a b c", "x", ":3"),
        ("arg_count", extend("(call $arg_count)"), "a b c", "x", ":1"),
        ("key", extend("(call $key (i32.const 1) (i32.const 0) (i32.const 9))"), "a bcd", "", ":3"),
        ("key", extend("(call $key (i32.const 2) (i32.const 0) (i32.const 9))"), "a bcd", "", ":-1"),
        ("key", extend("(call $key (i32.const -1) (i32.const 0) (i32.const 9))"), "a bcd", "", ":-1"),
        ("arg", extend("(call $arg (i32.const 0) (i32.const 0) (i32.const 2))"), "", "long", ":4"),
        ("arg", extend("(call $arg (i32.const 1) (i32.const 0) (i32.const 2))"), "", "long", ":-1"),
        (
            "arg reply_bulk",
            "(drop (call $arg (i32.const 0) (i32.const 0) (i32.const 2))) (call $reply_bulk (i32.const 0) (i32.const 4))"
                .into(),
            "",
            "long",
            "\"lo\\x00\\x00\"",
        ),
        ("key exists", extend(&format!("(call $exists {named})")), "abi:text", "", ":1"),
        ("key exists", extend(&format!("(call $exists {named})")), "abi:none", "", ":0"),
        ("key get", reply(&format!("(call $get {named} (i32.const 200) (i32.const 2))")), "abi:text", "", ":5"),
        ("key get", reply(&format!("(call $get {named} (i32.const 200) (i32.const 2))")), "abi:none", "", ":-1"),
        (
            "key get reply_bulk",
            format!("(call $reply_bulk (i32.const 200) (i32.wrap_i64 (call $get {named} (i32.const 200) (i32.const 9))))"),
            "abi:text",
            "",
            "\"hello\"",
        ),
        (
            "key get_range reply_bulk",
            format!(
                "(drop (call $get_range {named} (i64.const 3) (i32.const 200) (i32.const 9)))
                 (call $reply_bulk (i32.const 200) (i32.const 3))"
            ),
            "abi:text",
            "",
            "\"lo\\x00\"",
        ),
        (
            "key get_range",
            reply(&format!("(call $get_range {named} (i64.const 99) (i32.const 200) (i32.const 9))")),
            "abi:text",
            "",
            ":5",
        ),
        ("key increment", reply(&format!("(call $increment {named} (i64.const 2))")), "abi:number", "", ":42"),
        ("key increment", reply(&format!("(call $increment {named} (i64.const -2))")), "abi:number", "", ":40"),
        (
            "key put delete",
            format!("(call $put {named} (i32.const 0) (i32.const 1)) {}", extend(&format!("(call $delete {named})"))),
            "abi:none",
            "",
            ":1",
        ),
        ("key delete", extend(&format!("(call $delete {named})")), "abi:none", "", ":0"),
        (
            "reply_integer reply_bulk",
            "(call $reply_integer (i64.const 1)) (call $reply_bulk (i32.const 0) (i32.const 0))".into(),
            "",
            "",
            "\"\"",
        ),
        (
            "time_us",
            reply("(i64.sub (call $time_us) (call $time_us))"),
            "",
            "",
            ":0",
        ),
    ];
    for (imports, body, keys, arguments, expected) in table {
        let imports = if imports.contains("reply") {
            (*imports).to_owned()
        } else {
            format!("{imports} reply_integer")
        };
        check(&mut connection, &procedure(&imports, body), keys, arguments, expected);
    }
    let random = procedure("random reply_integer", "(call $reply_integer (call $random))");
    assert_ne!(eval(&mut connection, &random, "", ""), eval(&mut connection, &random, "", ""));
}

#[test]
fn a_reply_may_be_any_value_of_the_protocol() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    let table = [
        ("*2\r\n:1\r\n$1\r\nx\r\n", "[:1, \"x\"]", "[:1, \"x\"]"),
        ("+FINE\r\n", "+FINE", "+FINE"),
        ("-NOPE no\r\n", "-NOPE no", "-NOPE no"),
        ("$-1\r\n", "$-1", "_"),
        ("_\r\n", "$-1", "_"),
        ("%1\r\n+a\r\n:1\r\n", "[+a, :1]", "{+a: :1}"),
    ];
    for (text, resp2, resp3) in table {
        let fields =
            [data(0, text), format!("(func (export \"run\") (call $reply_resp {}))", slice(0, text))]
                .concat();
        let module = module("reply_resp", &fields);
        for (hello, reply) in [("HELLO 2", resp2), ("HELLO 3", resp3)] {
            connection.run(hello);
            check(&mut connection, &module, "", "", reply);
        }
    }
    for text in ["", "+OK", ":x\r\n", "*1\r\n", ":1\r\n:2\r\n", "nonsense\r\n"] {
        let body = format!("(call $reply_resp {})", slice(1000, text));
        let reply = eval(&mut connection, &put_then("reply_resp", text, &body), "", "");
        assert!(reply.is_error(), "{text:?} was taken for a reply: {reply}");
    }
}

/// A procedure that runs `request` through the import `import` and replies what it replied.
fn running(import: &str, request: &[&str]) -> String {
    let bytes = line::encode(request);
    let call = format!("(call ${import} {} (i32.const 20000) (i32.const 9000))", slice(1000, &bytes));
    put_then(
        &format!("{import} reply_resp"),
        &bytes,
        &format!("(call $reply_resp (i32.const 20000) (i32.wrap_i64 {call}))"),
    )
}

#[test]
fn procedures_run_commands_and_get_their_errors_as_replies() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    let not_allowed = "-ERR This Redis command is not allowed from script";
    let table: &[(&str, &[&str], &str)] = &[
        ("command", &["SET", "cmd:a", "1", "EX", "100"], "+OK"),
        ("command", &["APPEND", "cmd:a", "23"], ":3"),
        ("command_ro", &["MGET", "cmd:a", "cmd:none"], "[\"123\", $-1]"),
        ("command_ro", &["GET", "cmd:none"], "$-1"),
        ("command", &["INCR"], "-ERR Wrong number of args calling command from script"),
        ("command", &["SET", "cmd:a", "x", "NX"], "$-1"),
        ("command", &["MULTI"], not_allowed),
        ("command", &["SUBSCRIBE", "x"], not_allowed),
        ("command", &["EVALWASM", "x", "0"], not_allowed),
        ("command_ro", &["CONFIG", "GET", "x"], not_allowed),
    ];
    for (import, request, reply) in table {
        check(&mut connection, &running(import, request), "", "", reply);
    }
    let unknown = eval(&mut connection, &running("command", &["NOSUCH"]), "", "").to_string();
    assert!(unknown.starts_with("-ERR"), "{unknown}");
    connection.run("SET cmd:a kept");
    let reply = eval(&mut connection, &running("command_ro", &["SET", "cmd:a", "lost"]), "", "");
    assert!(reply.is_error(), "a write through command_ro: {reply}");
    assert_eq!(connection.run("GET cmd:a").to_string(), "\"kept\"");
}

/// Ways to fail after a write: imports, text at 1000, instructions, and how the error begins.
const FAILURES: &[(&str, &str, &str, &str)] = &[
    ("", "", "(unreachable)", "-WASMTRAP"),
    ("", "", "(drop (i32.div_s (i32.const 1) (i32.const 0)))", "-WASMTRAP"),
    ("", "", "(drop (i32.load (i32.const 65536)))", "-WASMTRAP"),
    ("", "", "(call $put (i32.const 65530) (i32.const 7) (i32.const 0) (i32.const 1))", "-WASMTRAP"),
    ("", "", "(call $put (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 1))", "-WASMTRAP"),
    ("", "", "(call $put (i32.const -1) (i32.const 1) (i32.const 0) (i32.const 1))", "-WASMTRAP"),
    ("", "", "(loop $again (br $again))", "-WASMFUEL"),
    ("abort", "NOFUNDS only 3 left", "(call $abort (i32.const 1000) (i32.const 19))", "-NOFUNDS only 3 left"),
    ("abort", "only 3 left", "(call $abort (i32.const 1000) (i32.const 11))", "-ERR only 3 left"),
    ("abort", "line\r\n+OK", "(call $abort (i32.const 1000) (i32.const 9))", "-ERR line  +OK"),
    (
        "increment",
        "text",
        "(call $put (i32.const 0) (i32.const 7) (i32.const 1000) (i32.const 4))
         (drop (call $increment (i32.const 0) (i32.const 7) (i64.const 1)))",
        "-ERR value is not an integer or out of range",
    ),
];

#[test]
fn a_failed_procedure_leaves_nothing_behind() {
    let options = Options::new()
        .with("notify-keyspace-events", "KEA")
        // So that what never ends runs out of fuel, and soon, on a machine with little time for it.
        .with("wasm-fuel", "20000000")
        .with("wasm-deadline-ms", "3600000");
    let server = Server::kvasm(&options);
    let (mut connection, mut subscriber) = (server.connect(), server.connect());
    subscriber.run("PSUBSCRIBE *");
    for (imports, text, body, error) in FAILURES {
        connection.run("SET written before EX 1000");
        subscriber.drain("before").expect("the subscriber");
        let publish = line::encode(&["PUBLISH", "news", "lost"]);
        let rename = line::encode(&["RENAME", "written", "elsewhere"]);
        let extra = format!(
            "(drop (call $command {} (i32.const 0) (i32.const 0))) (drop (call $command {} (i32.const 0) (i32.const 0)))",
            slice(2000, &publish),
            slice(2100, &rename)
        );
        let module = put_then(&format!("{imports} command"), text, &format!("{extra} {body}"));
        let segments = [data(2000, &publish), data(2100, &rename)].concat();
        let module = format!("{}{segments})", module.strip_suffix(')').expect("the end of the module"));
        let reply = eval(&mut connection, &module, "", "").to_string();
        assert!(reply.starts_with(error), "{reply} instead of {error}");
        assert_eq!(connection.run("MGET written elsewhere").to_string(), "[\"before\", $-1]", "{error}");
        assert!(connection.run("TTL written").integer() > Some(900), "{error}");
        assert!(subscriber.drain("after").expect("the subscriber").is_empty(), "{error}: messages were sent");
    }
    check(&mut connection, &put_then("", "", ""), "", "", "$-1");
    assert_eq!(subscriber.drain("after").expect("the subscriber").len(), 2, "a success is announced");
    assert_eq!(connection.run("MGET written elsewhere").to_string(), "[\"1\", $-1]");
}

#[test]
fn inside_multi_a_failed_procedure_undoes_itself_alone() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    connection.run("DEL written");
    connection.run("MULTI");
    connection.run("SET multi:a 1");
    eval(&mut connection, &put_then("", "", "(unreachable)"), "", "");
    eval(&mut connection, &procedure("reply_integer", "(call $reply_integer (i64.const 7))"), "", "");
    connection.run("SET multi:b 1");
    let replies = connection.run("EXEC").elements();
    assert_eq!(
        (replies[0].to_string(), replies[2].to_string(), replies[3].to_string()),
        ("+OK".into(), ":7".into(), "+OK".into())
    );
    assert!(replies[1].to_string().starts_with("-WASMTRAP"), "{}", replies[1]);
    assert_eq!(connection.run("EXISTS written multi:a multi:b").to_string(), ":2");
}

#[test]
fn read_only_calls_cannot_write() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    connection.run("SET written before");
    for module in [
        put_then("", "", ""),
        running("command", &["DEL", "written"]),
        running("command_ro", &["DEL", "written"]),
    ] {
        let reply = call(&mut connection, "EVALWASM_RO", &module, "", "");
        assert!(reply.is_error(), "{reply}");
        assert_eq!(connection.run("GET written").to_string(), "\"before\"");
    }
    let reading = procedure("command_ro reply_integer", "(call $reply_integer (i64.const 1))");
    assert_eq!(call(&mut connection, "EVALWASM_RO", &reading, "", "").to_string(), ":1");
}

#[test]
fn no_call_sees_what_an_earlier_one_left() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    let module = module(
        "reply_integer",
        "(global $count (mut i64) (i64.const 5))
         (data (i32.const 8) \"\\07\")
         (func (export \"run\")
           (drop (memory.grow (i32.const 1)))
           (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1)))
           (i32.store8 (i32.const 65600) (i32.add (i32.load8_u (i32.const 65600)) (i32.const 1)))
           (global.set $count (i64.add (global.get $count) (i64.const 1)))
           (call $reply_integer (i64.add (i64.mul (global.get $count) (i64.const 1000000))
             (i64.extend_i32_u (i32.add (i32.mul (memory.size) (i32.const 10000))
               (i32.add (i32.mul (i32.load8_u (i32.const 8)) (i32.const 100)) (i32.load8_u (i32.const 65600))))))))",
    );
    // The sixth count, two pages, an eight and a one; again and again.
    for _ in 0..5 {
        check(&mut connection, &module, "", "", ":6020801");
    }
}

#[test]
fn wrong_calls_are_refused_as_eval_refuses_them() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    let module = procedure("", "");
    let table: &[(&[&str], &str)] = &[
        (&["EVALWASM", &module], "-ERR wrong number of arguments for 'evalwasm' command"),
        (&["EVALWASM", &module, "x"], "-ERR value is not an integer or out of range"),
        (&["EVALWASM", &module, "-1"], "-ERR Number of keys can't be negative"),
        (&["EVALWASM", &module, "2", "a"], "-ERR Number of keys can't be greater than number of args"),
        (&["EVALWASM", "(module)", "0"], "-ERR the module has no export 'run' of type () -> ()"),
        (&["EVALWASM", "(module", "0"], "-WASMINVALID"),
        (&["EVALWASM", "", "0"], "-WASMINVALID"),
        (&["EVALWASM", "\0asm\x01\0\0\0\x01", "0"], "-WASMINVALID"),
        (
            &["EVALWASM", "(module (func (export \"run\") (param i32)))", "0"],
            "-ERR its export 'run' has the type (i32) -> (), not () -> ()",
        ),
        (&["EVALWASM", "(module (import \"kvasm_1\" \"nosuch\" (func)))", "0"], "-WASMINVALID"),
        (&["EVALWASM", "(module (import \"kvasm_1\" \"put\" (func)))", "0"], "-WASMINVALID"),
        (&["EVALWASM", "(module (import \"env\" \"memory\" (memory 1)))", "0"], "-WASMINVALID"),
        (&["EVALWASMSHA", "0000000000000000000000000000000000000000", "0"], "-NOSCRIPT"),
        (&["EVALWASMSHA", "short", "0"], "-NOSCRIPT"),
    ];
    for (command, error) in table {
        let reply = connection.command(command).to_string();
        assert!(reply.starts_with(error), "{command:?}: {reply}");
    }
}

#[test]
fn every_limit_names_itself() {
    let server = Server::kvasm(&Options::new().with("wasm-fuel", "100000"));
    let mut connection = server.connect();
    let deep = "(func $deep (export \"deep\") (call $deep)) (func (export \"run\") (call $deep))";
    let reply = format!("(call $reply_bulk (i32.const 0) (i32.const {}))", 65536);
    let many = "(func)".repeat(200);
    let growing = "(func (export \"run\") (loop $again (drop (memory.grow (i32.const 1))) (br $again)))";
    let table: &[(&str, &str, String, &str, &str)] = &[
        ("wasm-fuel", "1000", procedure("", "(loop $again (br $again))"), "-WASMFUEL", "wasm-fuel"),
        ("wasm-fuel", "100000000", module("", deep), "-WASMSTACK", ""),
        ("wasm-fuel", "1000000", module("", growing), "-WASMFUEL", "wasm-fuel"),
        ("wasm-max-reply-size", "1kb", procedure("reply_bulk", &reply), "-WASMLIMIT", "wasm-max-reply-size"),
        (
            "wasm-max-module-size",
            "1kb",
            format!("{};;{}", procedure("", ""), " ".repeat(3000)),
            "-WASMLIMIT",
            "wasm-max-module-size",
        ),
        ("wasm-max-functions", "100", module("", &many), "-WASMLIMIT", "wasm-max-functions"),
    ];
    for (option, value, module, code, named) in table {
        let before = connection.command(&["CONFIG", "GET", option]).elements()[1].text();
        assert_eq!(
            connection.command(&["CONFIG", "SET", option, value]).to_string(),
            "+OK",
            "{option} {value}"
        );
        let reply = eval(&mut connection, module, "", "").to_string();
        assert!(reply.starts_with(code) && reply.contains(named), "{option} {value}: {reply}");
        assert_eq!(
            connection.command(&["CONFIG", "SET", option, &before]).to_string(),
            "+OK",
            "{option} {before}"
        );
        assert_eq!(connection.run("PING").to_string(), "+PONG");
    }
}

#[test]
fn nobody_waits_for_what_others_upload() {
    let server = Server::kvasm(&Options::new());
    let (mut uploader, mut other) = (server.connect(), server.connect());
    let module = module("", &format!("(func (export \"run\")) {}", "(func)".repeat(9_900)));
    // Of a text this long, reading it takes longer than the other client needs for all that it does.
    let module = format!("{module};;{}", " ".repeat(3 << 20));
    uploader.send(&line::encode(&[b"WASM".as_slice(), b"LOAD", module.as_bytes()]));
    uploader.send(&line::encode(&["INCR", "uploaded"]));
    let mut requests = 0;
    while other.run("EXISTS uploaded").integer() == Some(0) {
        requests += 1;
    }
    assert!(!uploader.read().is_error());
    assert_eq!(uploader.read().to_string(), ":1");
    assert!(requests > 20, "{requests} requests were served meanwhile");
}

#[test]
fn who_sends_an_upload_and_then_no_more_gets_everything_done() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    let module = module("", &"(func)".repeat(9_900));
    connection.send(&line::encode(&[b"WASM".as_slice(), b"LOAD", module.as_bytes()]));
    connection.send(&line::encode(&["INCR", "after"]));
    connection.finish_sending();
    assert!(!connection.read().is_error());
    assert_eq!(connection.read().to_string(), ":1");
}

#[test]
fn each_procedure_of_a_transaction_draws_its_own_random_numbers() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    let module = procedure("random reply_integer", "(call $reply_integer (call $random))");
    connection.run("MULTI");
    for _ in 0..3 {
        eval(&mut connection, &module, "", "");
    }
    let mut drawn: Vec<String> = connection.run("EXEC").elements().iter().map(ToString::to_string).collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 3, "{drawn:?}");
}
