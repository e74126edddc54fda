//! Procedures in the background: they block nobody, run as if they had run alone, and can be stopped at any moment with
//! nothing left of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use kvasm_tests::guest::{data, eval, fcall, load, module, procedure, put_then, slice};
use kvasm_tests::history::{Transaction, contradiction};
use kvasm_tests::recorder::{PAUSE, call, recorder};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server, rounds};

const FOREVER: &str = "(loop $again (br $again))";

/// A server on which nothing ends because it takes too long.
fn patient(options: Options) -> Server {
    Server::kvasm(&options.with("wasm-fuel", &i64::MAX.to_string()).with("wasm-deadline-ms", "3600000"))
}

/// A number that the server tells in INFO.
fn told(connection: &mut Raw, field: &str) -> u64 {
    let info = connection.run("INFO").text();
    let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {field} in:\n{info}"))
}

fn background() -> String {
    recorder(Some("background"), false, "")
}

#[test]
fn nobody_waits_for_a_procedure_that_never_ends() {
    let server = patient(Options::new());
    let (mut slow, mut other) = (server.connect(), server.connect());
    slow.send(&kvasm_tests::line::encode(&["EVALWASM", &procedure("", FOREVER), "0"]));
    wait_for("it runs", || told(&mut other, "kvasm_background_running") == 1);
    for number in 1..100 {
        assert_eq!(other.run("INCR n").to_string(), format!(":{number}"));
    }
    let stats = other.run("FUNCTION STATS").to_string();
    for part in ["\"name\", \"run\"", "\"tries\", :1", "\"fuel\", :"] {
        assert!(stats.contains(part), "{part} in {stats}");
    }
    let clients = other.run("CLIENT LIST").text();
    assert!(clients.contains(" flags=b ") && clients.contains(" call=run call-ms="), "{clients}");
    assert_eq!(other.run("FUNCTION KILL").to_string(), "+OK");
    assert_eq!(slow.read().to_string(), "-WASMKILLED procedure 'run': killed by user with FUNCTION KILL");
    assert_eq!(other.run("CONFIG SET wasm-fuel 3000000").to_string(), "+OK");
    let spent = eval(&mut slow, &procedure("", FOREVER), "", "").to_string();
    assert_eq!(spent, "-WASMFUEL procedure 'run': out of fuel (wasm-fuel)");
    assert_eq!(other.run("FUNCTION KILL").to_string(), "-NOTBUSY No scripts in execution right now.");
}

#[test]
fn where_a_procedure_runs_can_be_said_and_is_limited_where_it_must_be_inline() {
    let server = Server::kvasm(&Options::new().with("wasm-fuel", "100000000"));
    let mut connection = server.connect();
    let text = |placement: &str| {
        format!(
            "(module (memory 1) (@custom \"kvasm.placement\" \"{placement}\")
               (func (export \"quick\")) (func (export \"slow\") (local $n i32)
                 (local.set $n (i32.const 1000000))
                 (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"
        )
    };
    let mut calls = 0;
    for (placement, function, reply, in_background) in [
        ("", "quick", "$-1", false),
        ("", "slow", "$-1", true),
        ("quick background", "quick", "$-1", true),
        (
            "slow inline\\nquick background",
            "slow",
            "-WASMFUEL procedure 'slow': out of fuel (wasm-inline-fuel: it says that it never runs in the background)",
            false,
        ),
    ] {
        load(&mut connection, "x", &text(placement));
        connection.command(&["FUNCTION", "LOAD", "REPLACE", &format!("#!wasm name=x\n{}", text(placement))]);
        assert_eq!(fcall(&mut connection, function, "", "").to_string(), reply, "{placement}: {function}");
        calls += u64::from(in_background);
        assert_eq!(told(&mut connection, "kvasm_background_calls"), calls, "{placement}: {function}");
    }
    let list = connection.run("FUNCTION LIST").to_string();
    assert!(list.contains("inline") && list.contains("background"), "{list}");
    connection.command(&["FUNCTION", "LOAD", "REPLACE", &format!("#!wasm name=x\n{}", text(""))]);
    let in_transaction = "wasm-inline-fuel: inside MULTI procedures do not run in the background";
    connection.run("MULTI");
    fcall(&mut connection, "slow", "", "");
    assert_eq!(
        connection.run("EXEC").to_string(),
        format!("[-WASMFUEL procedure 'slow': out of fuel ({in_transaction})]")
    );
    connection.run("TRIGGER CREATE t ON set KEYS * CALL slow");
    assert_eq!(
        connection.run("SET k v").to_string(),
        "-WASMFUEL trigger 't': procedure 'slow': out of fuel (wasm-inline-fuel: synchronous triggers do not run in the background)"
    );
    assert_eq!(connection.run("GET k").to_string(), "$-1");
    // Where the limit is no lower here than in the background, that limit is named.
    connection.run("CONFIG SET wasm-fuel 1000");
    assert_eq!(
        connection.run("SET k v").to_string(),
        "-WASMFUEL trigger 't': procedure 'slow': out of fuel (wasm-fuel)"
    );
    for (placement, error) in [
        ("slow", "expected a name and a word"),
        ("none inline", "no such procedure"),
        ("slow later", "expected inline or background"),
    ] {
        let refused = load(&mut connection, "y", &text(placement)).to_string();
        assert!(refused.starts_with("-WASMINVALID") && refused.contains(error), "{refused}");
    }
}

#[test]
fn a_call_whose_commands_take_long_goes_on_in_the_background_though_it_costs_little_fuel() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    for start in 0..20 {
        let pairs: Vec<String> = (0..100).map(|key| format!("key:{}", start * 100 + key)).collect();
        let words = pairs.iter().flat_map(|key| [key.as_str(), "value"]);
        connection.command(&["MSET"].into_iter().chain(words).collect::<Vec<_>>());
    }
    let module = recorder(None, false, "");
    let requests = ["KEYS none*"; 60];
    let reply = connection.command(&call(&module, &requests)).to_string();
    assert_eq!(reply, format!("[{}]", ["[]"; 60].join(", ")));
    assert_eq!(told(&mut connection, "kvasm_background_calls"), 1);
    // In a transaction it has to stay.
    connection.run("MULTI");
    connection.command(&call(&module, &requests));
    let replies = connection.run("EXEC").to_string();
    assert!(!replies.contains("WASM"), "{replies}");
    assert_eq!(told(&mut connection, "kvasm_background_calls"), 1);
}

/// What is written by a procedure that computes before and after it writes.
#[test]
fn what_a_call_in_the_background_does_is_one_transaction_for_all_who_look_on() {
    let server = Server::kvasm(&Options::new().with("notify-keyspace-events", "KEA"));
    let mut connections: Vec<Raw> = (0..5).map(|_| server.connect()).collect();
    let [caller, watcher, waiting, subscriber, other] = &mut connections[..] else { unreachable!("five") };
    other.run("RPUSH stay x");
    watcher.run("WATCH a");
    waiting.send(b"BLPOP list 0\r\n");
    subscriber.run("SUBSCRIBE news __keyspace@0__:a");
    subscriber.read();
    let requests =
        [PAUSE, "SET a 1", PAUSE, "RPUSH list one two", "PUBLISH news hello", "DEL stay", "SET a 2", PAUSE];
    let reply = caller.command(&call(&background(), &requests)).to_string();
    assert_eq!(reply, "[+OK, :2, :1, :1, +OK]");
    assert_eq!(waiting.read().to_string(), "[\"list\", \"one\"]");
    watcher.run("MULTI");
    assert_eq!(watcher.run("EXEC").to_string(), "*-1");
    let messages: Vec<String> = (0..3).map(|_| subscriber.read().to_string()).collect();
    assert_eq!(
        messages,
        [
            "[\"message\", \"__keyspace@0__:a\", \"set\"]",
            "[\"message\", \"news\", \"hello\"]",
            "[\"message\", \"__keyspace@0__:a\", \"set\"]"
        ]
    );
    assert_eq!(other.run("EXISTS stay list a").to_string(), ":2");
}

#[test]
fn a_call_in_the_background_that_fails_has_done_nothing() {
    let server = Server::kvasm(&Options::new().with("wasm-max-changes-size", "65536"));
    let mut connection = server.connect();
    let slow = "(local $n i32) (local.set $n (i32.const 1000000))
        (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let abort = |text: &str| put_then("abort", text, &format!("(call $abort {})", slice(1000, text)));
    let (trap, abort) = (put_then("", "", "unreachable"), abort("NO way"));
    let large = put_then(
        "",
        "",
        "(loop $again (call $put (i32.const 2000) (i32.const 8) (i32.const 2000) (i32.const 40000)) (br $again))",
    );
    for (module, error) in [
        (trap, "-WASMTRAP procedure 'run': unreachable executed"),
        (abort, "-NO way"),
        (large, "-WASMLIMIT the changes are too large (wasm-max-changes-size) (procedure 'run')"),
    ] {
        let module = module.replace("(func (export \"run\")", &format!("(func (export \"run\") {slow}"));
        assert_eq!(eval(&mut connection, &module, "", "").to_string(), error);
        assert_eq!(connection.run("DBSIZE").to_string(), ":0");
    }
    assert_eq!(told(&mut connection, "kvasm_background_calls"), 3);
}

#[test]
fn a_call_in_the_background_can_be_stopped_at_any_moment_with_nothing_left() {
    let mut server = patient(Options::new());
    let module = put_then("", "", FOREVER);
    let request = kvasm_tests::line::encode(&["EVALWASM", &module, "0"]);
    let mut other = server.connect();
    let runs = |other: &mut Raw, count: u64| {
        wait_for("as many run", || told(other, "kvasm_background_running") == count);
    };
    let mut killed = server.connect();
    killed.send(&request);
    runs(&mut other, 1);
    assert_eq!(other.run("FUNCTION KILL none").to_string(), "-NOTBUSY No scripts in execution right now.");
    assert_eq!(other.run("FUNCTION KILL run").to_string(), "+OK");
    assert_eq!(killed.read().to_string(), "-WASMKILLED procedure 'run': killed by user with FUNCTION KILL");
    // The client goes, on its own or because it has to.
    let mut gone = server.connect();
    gone.send(&request);
    runs(&mut other, 1);
    drop(gone);
    runs(&mut other, 0);
    let mut thrown_out = server.connect();
    let id = thrown_out.run("CLIENT ID").integer().expect("a number");
    thrown_out.send(&request);
    runs(&mut other, 1);
    assert_eq!(other.run(&format!("CLIENT KILL ID {id}")).to_string(), ":1");
    runs(&mut other, 0);
    // More than there are threads: some wait.
    let many: Vec<Raw> = (0..20)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(&request);
            connection
        })
        .collect();
    runs(&mut other, 20);
    assert_eq!(other.run("FUNCTION KILL").to_string(), "+OK");
    for mut connection in many {
        assert!(connection.read().is_error());
    }
    assert_eq!(other.run("DBSIZE").to_string(), ":0");
    killed.send(&request);
    runs(&mut other, 1);
    server.terminate();
    server.restart();
    assert_eq!(server.connect().run("DBSIZE").to_string(), ":0");
}

#[test]
fn no_more_calls_wait_in_the_background_than_the_option_says() {
    let server = patient(Options::new().with("wasm-max-background", "3"));
    let mut other = server.connect();
    let request = kvasm_tests::line::encode(&["EVALWASM", &procedure("", FOREVER), "0"]);
    let mut held: Vec<Raw> = (0..3).map(|_| server.connect()).collect();
    for connection in &mut held {
        connection.send(&request);
    }
    wait_for("they run", || told(&mut other, "kvasm_background_running") == 3);
    let refused = eval(&mut other, &procedure("", FOREVER), "", "").to_string();
    assert_eq!(refused, "-BUSY too many procedures run in the background (wasm-max-background)");
    other.run("FUNCTION KILL");
    for connection in &mut held {
        drop(connection.read());
    }
}

#[test]
fn who_is_in_conflict_each_time_is_told_or_goes_first_the_last_time() {
    // About 50 ms, in which others get far.
    let requests = [&["GET hot"][..], &[PAUSE; 50], &["SET copy 1"]].concat();
    for (tries, expected) in [("1", "-WASMCONFLICT"), ("4", "[\"")] {
        let server = patient(Options::new().with("wasm-max-tries", tries));
        let mut connection = server.connect();
        connection.run("SET hot 0");
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (stop, mut connection) = (Arc::clone(&stop), server.connect());
            thread::spawn(move || {
                wait_for("it runs", || told(&mut connection, "kvasm_background_running") == 1);
                while !stop.load(Ordering::Relaxed) {
                    connection.run("INCR hot");
                }
            })
        };
        let reply = connection.command(&call(&background(), &requests)).to_string();
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("it wrote");
        assert!(reply.starts_with(expected), "with {tries} tries: {reply}");
        assert!(told(&mut connection, "kvasm_background_conflicts") >= 1, "with {tries} tries");
        let copied = connection.run("EXISTS copy").to_string();
        assert_eq!(copied, if tries == "1" { ":0" } else { ":1" });
    }
}

#[test]
fn a_procedure_that_only_reads_sees_one_moment_and_never_runs_twice() {
    let server = patient(Options::new());
    let stop = Arc::new(AtomicBool::new(false));
    let mut connection = server.connect();
    connection.run("MSET a 100 b 100 c 100 d 100");
    let movers: Vec<_> = (0..2)
        .map(|seed| {
            let (stop, mut connection) = (Arc::clone(&stop), server.connect());
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                while !stop.load(Ordering::Relaxed) {
                    let keys = ["a", "b", "c", "d"];
                    let (from, to) = (keys[random.usize(..4)], keys[random.usize(..4)]);
                    connection.run("MULTI");
                    connection.run(&format!("DECRBY {from} 7"));
                    connection.run(&format!("INCRBY {to} 7"));
                    connection.run("EXEC");
                }
            })
        })
        .collect();
    let reader = recorder(None, true, "");
    let requests = ["GET a", PAUSE, "MGET a b", PAUSE, "GET c", PAUSE, "GET d", "GET b", "DBSIZE", "KEYS *"];
    for round in 0..20 {
        let reply = connection.command(&call(&reader, &requests));
        let found = reply.elements();
        let number = |at: usize| found[at].text().parse::<i64>().unwrap_or_else(|_| panic!("{reply}"));
        assert_eq!(number(0) + number(2) + number(3) + number(4), 400, "round {round}: {reply}");
        assert_eq!(found[1].elements()[0], found[0], "{reply}");
        assert_eq!(found[6].elements().len(), 4, "{reply}");
    }
    stop.store(true, Ordering::Relaxed);
    for mover in movers {
        mover.join().expect("it moved");
    }
    assert!(told(&mut connection, "kvasm_background_calls") >= 20);
    assert_eq!(told(&mut connection, "kvasm_background_conflicts"), 0);
}

/// Runs one random transaction of a history: a procedure in the background, one that traps, or plain commands.
fn transact(
    connection: &mut Raw,
    random: &mut fastrand::Rng,
    unique: &AtomicU64,
    module: &str,
    trapping: &str,
) -> Option<Transaction> {
    const KEYS: [&str; 5] = ["h0", "h1", "h2", "h3", "h4"];
    let value = || format!("v{}", unique.fetch_add(1, Ordering::Relaxed));
    let mut keys = KEYS;
    random.shuffle(&mut keys);
    let (read, written) = (random.usize(1..=3), random.usize(0..=2));
    let text = |value: &kvasm_tests::Value| (!value.is_null()).then(|| value.text());
    if random.u8(..4) == 0 {
        let (key, value) = (keys[0], value());
        let before = connection.run(&format!("SET {key} {value} GET"));
        let (reads, writes) = (vec![(key.to_owned(), text(&before))], vec![(key.to_owned(), value)]);
        return Some(Transaction { reads, writes });
    }
    let mut requests: Vec<String> = Vec::new();
    let mut transaction = Transaction::default();
    for key in &keys[..read] {
        requests.push(format!("GET {key}"));
        requests.push(PAUSE.to_owned());
    }
    for key in keys[..read].iter().take(written) {
        // Only the last value counts: whoever sees another one has seen an intermediate state.
        for _ in 0..random.u8(1..=2) {
            let value = value();
            requests.push(format!("SET {key} {value}"));
            transaction.writes.push(((*key).to_owned(), value));
        }
    }
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    let traps = random.u8(..8) == 0;
    let reply = connection.command(&call(if traps { trapping } else { module }, &requests));
    if traps {
        assert!(reply.bytes().starts_with(b"WASMTRAP"), "{reply}");
        return None;
    }
    assert!(!reply.is_error(), "{reply}");
    let found = reply.elements();
    for (key, value) in keys[..read].iter().zip(&found) {
        transaction.reads.push(((*key).to_owned(), text(value)));
    }
    Some(transaction)
}

#[test]
fn all_transactions_could_have_run_one_after_the_other() {
    let server = patient(Options::new().with("wasm-max-tries", "50"));
    let (module, trapping) = (background(), recorder(Some("background"), false, "(unreachable)"));
    let unique = AtomicU64::new(0);
    let history = Mutex::new(Vec::new());
    let rounds = rounds("KVASM_TRANSACTIONS", 120);
    thread::scope(|scope| {
        for seed in 0..6 {
            let mut connection = server.connect();
            let (module, trapping, unique, history) = (&module, &trapping, &unique, &history);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..rounds {
                    if let Some(done) = transact(&mut connection, &mut random, unique, module, trapping) {
                        history.lock().expect("nobody panicked").push(done);
                    }
                }
            });
        }
    });
    let history = history.into_inner().expect("nobody panicked");
    assert_eq!(contradiction(&history), None);
    let conflicts = told(&mut server.connect(), "kvasm_background_conflicts");
    assert!(conflicts > 0, "nobody came in between of anybody in {} transactions", history.len());
}

/// Two that each look at what the other changes, and two that each add what the other has counted.
#[test]
fn rules_over_several_keys_hold_although_each_call_changes_only_one() {
    let server = patient(Options::new().with("wasm-max-tries", "50"));
    let pause = "(local.set $n (i32.const 300000))
        (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    // Takes 1 from the first key if that leaves more than nothing on both together; each is one digit.
    let take = format!(
        "(local $n i32) (local $sum i32)
         (drop (call $get (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 1)))
         (drop (call $get (i32.const 1) (i32.const 1) (i32.const 17) (i32.const 1)))
         (local.set $sum (i32.add (i32.load8_u (i32.const 16)) (i32.load8_u (i32.const 17))))
         {pause}
         (if (i32.le_u (local.get $sum) (i32.const 97)) (then (call $abort (i32.const 32) (i32.const 7))))
         (i32.store8 (i32.const 16) (i32.sub (i32.load8_u (i32.const 16)) (i32.const 1)))
         (call $put (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 1))"
    );
    let skew = |keys: &str| {
        let fields = [data(0, keys), data(32, "NOTHING")].concat();
        module(
            "get put abort",
            &format!(
                "{fields} (@custom \"kvasm.placement\" \"run background\") (func (export \"run\") {take})"
            ),
        )
    };
    // Adds a key unless there are three.
    let keys = kvasm_tests::line::encode(&["KEYS", "p:*"]);
    let add = module(
        "arg command_ro put abort",
        &format!(
            "{} {} (@custom \"kvasm.placement\" \"run background\") (func (export \"run\") (local $n i32) (local $length i32)
               (drop (call $command_ro {} (i32.const 200) (i32.const 100)))
               (if (i32.ge_u (i32.load8_u (i32.const 201)) (i32.const 51)) (then (call $abort (i32.const 100) (i32.const 4))))
               {pause}
               (local.set $length (call $arg (i32.const 0) (i32.const 300) (i32.const 20)))
               (call $put (i32.const 300) (local.get $length) (i32.const 300) (i32.const 1)))",
            data(0, &keys),
            data(100, "FULL"),
            slice(0, &keys)
        ),
    );
    let mut connection = server.connect();
    for round in 0..rounds("KVASM_ROUNDS", 15) {
        connection.run("FLUSHALL");
        connection.run("MSET x 1 y 1");
        thread::scope(|scope| {
            for module in [skew("xy"), skew("yx")] {
                let mut connection = server.connect();
                scope.spawn(move || eval(&mut connection, &module, "", ""));
            }
            for number in 0..5 {
                let (mut connection, add) = (server.connect(), &add);
                scope.spawn(move || eval(&mut connection, add, "", &format!("p:{number}")));
            }
        });
        let left = connection.run("MGET x y").elements();
        let sum: i64 = left.iter().map(|value| value.text().parse::<i64>().expect("a digit")).sum();
        assert_eq!(sum, 1, "round {round}: both have taken the last one");
        assert_eq!(connection.run("KEYS p:*").elements().len(), 3, "round {round}: a key came in between");
    }
}

#[test]
fn triggers_belong_to_what_a_call_in_the_background_did() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    let rules = module(
        "increment arg abort",
        &format!(
            "{} {} (func (export \"count\") (drop (call $increment (i32.const 0) (i32.const 7) (i64.const 1))))
             (func (export \"guard\")
               (drop (call $arg (i32.const 2) (i32.const 100) (i32.const 1)))
               (if (i32.eq (i32.load8_u (i32.const 100)) (i32.const 45)) (then (call $abort (i32.const 16) (i32.const 10)))))",
            data(0, "changes"),
            data(16, "INVALID no")
        ),
    );
    load(&mut connection, "rules", &rules);
    connection.run("TRIGGER CREATE count ON set KEYS p:* CALL count");
    connection.run("TRIGGER CREATE guard ON set KEYS p:* CALL guard");
    let module = background();
    let good =
        connection.command(&call(&module, &[PAUSE, "SET p:1 1", "SET p:2 2", "GET changes"])).to_string();
    assert_eq!(good, "[+OK, +OK, $-1]", "triggers run behind the call");
    let bad = connection.command(&call(&module, &[PAUSE, "SET p:1 5", "SET p:3 -1"])).to_string();
    assert_eq!(bad, "-INVALID trigger 'guard': no");
    assert_eq!(connection.run("MGET changes p:1 p:2 p:3").to_string(), "[\"2\", \"1\", \"2\", $-1]");
}

#[test]
fn what_is_on_disk_only_is_found_from_the_background_too() {
    let mut server = Server::kvasm(&Options::new().with("appendfsync", "always"));
    let mut connection = server.connect();
    for number in 0..300 {
        connection.run(&format!("SET cold:{number} {number}"));
    }
    connection.run("RPUSH list a b c");
    server.restart_cold();
    let mut connection = server.connect();
    let requests =
        ["GET cold:7", "EXISTS none", "LRANGE list 0 -1", "DBSIZE", "INCR cold:8", "DEL cold:9", "DBSIZE"];
    let reply = connection.command(&call(&background(), &requests)).to_string();
    assert_eq!(reply, "[\"7\", :0, [\"a\", \"b\", \"c\"], :301, :9, :1, :300]");
    let reply = connection.command(&call(&background(), &["KEYS cold:29*", "DBSIZE"]));
    assert_eq!(reply.elements()[0].elements().len(), 11, "{reply}");
    assert_eq!(connection.run("MGET cold:8 cold:9").to_string(), "[\"9\", $-1]");
}

#[test]
fn keys_that_expire_while_a_call_in_the_background_reads_them_fire_their_triggers() {
    const KEYS: u64 = 10;
    let server = patient(Options::new());
    let mut connection = server.connect();
    load(&mut connection, "rules", &module("", "(func (export \"nothing\"))"));
    connection.run("TRIGGER CREATE t ON expired KEYS k:* CALL nothing");
    for number in 0..KEYS {
        connection.run(&format!("SET k:{number} v PX 20"));
        let read = format!("GET k:{number}");
        // About 60 ms.
        let requests = [&[read.as_str()][..], &[PAUSE; 60], &["SET copy 1"]].concat();
        assert!(!connection.command(&call(&background(), &requests)).is_error());
    }
    wait_for("all to expire", || told(&mut connection, "expired_keys") == KEYS);
    let info = connection.run("TRIGGER INFO t");
    assert_eq!(info.field("runs").map(|runs| runs.to_string()), Some(format!(":{KEYS}")));
}

#[test]
fn what_a_call_in_the_background_publishes_counts_as_changes() {
    let server = Server::kvasm(&Options::new().with("wasm-max-changes-size", "65536"));
    let (mut connection, mut subscriber) = (server.connect(), server.connect());
    let message = format!("PUBLISH news {}", "x".repeat(15_000));
    let call = call(&background(), &[message.as_str(); 6]);
    let reply = connection.command(&call).to_string();
    assert_eq!(reply, "[:0, :0, :0, :0, :0, :0]", "nobody listens, so nothing is kept");
    subscriber.run("SUBSCRIBE news");
    let reply = connection.command(&call).to_string();
    let refused = "-WASMLIMIT the changes are too large (wasm-max-changes-size) (procedure 'run')";
    assert_eq!(reply, refused);
}

#[test]
fn a_call_in_the_background_changes_only_so_many_keys() {
    let server = patient(Options::new());
    let mut connection = server.connect();
    for (count, expected) in
        [(100_000, "$-1"), (100_001, "-WASMLIMIT the procedure changes too many keys (procedure 'run')")]
    {
        connection.run("FLUSHALL");
        let body = format!(
            "(local $i i32)
             (loop $again
               (i32.store (i32.const 0) (local.get $i))
               (call $put (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))"
        );
        let module = procedure("put", &body);
        assert_eq!(eval(&mut connection, &module, "", "").to_string(), expected);
        let keys = if expected == "$-1" { count } else { 0 };
        assert_eq!(connection.run("DBSIZE").to_string(), format!(":{keys}"));
    }
}
