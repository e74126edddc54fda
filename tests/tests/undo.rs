//! A procedure that runs any commands and then traps has done nothing: values, their encodings, times to live, what is
//! watched and what is on disk are as before. One that ends well has done all of it, after a kill too.

use kvasm_tests::generate::{Generator, ORDINARY, Step};
use kvasm_tests::guest::procedure;
use kvasm_tests::{Options, Raw, Server, Value, line, rounds};

/// The first seed.
const FIRST_SEED: u64 = 7;
/// Longer requests are left out: they would not fit into the memory of the procedure.
const MAX_REQUEST_BYTES: usize = 60_000;
/// The databases that commands select.
const DATABASES: [&str; 3] = ["0", "1", "15"];

/// A procedure that runs each of its arguments as a request, and ends with `end`; on the thread of all clients, or in
/// the background.
fn runner(placement: &str, end: &str) -> String {
    let body = format!(
        "(local $index i32) (local $length i32)
         (block $done (loop $next
           (br_if $done (i32.ge_s (local.get $index) (call $arg_count)))
           (local.set $length (call $arg (local.get $index) (i32.const 0) (i32.const {MAX_REQUEST_BYTES})))
           (drop (call $command (i32.const 0) (local.get $length) (i32.const {MAX_REQUEST_BYTES}) (i32.const 0)))
           (local.set $index (i32.add (local.get $index) (i32.const 1)))
           (br $next)))
         {end}"
    );
    let module = procedure("arg_count arg command", &body);
    module.replacen("(module", &format!("(module (@custom \"kvasm.placement\" \"run {placement}\")"), 1)
}

fn run(connection: &mut Raw, module: &str, requests: &[Vec<Vec<u8>>]) -> Value {
    let mut command = vec![b"EVALWASM".to_vec(), module.into(), b"0".to_vec()];
    command.extend(requests.iter().map(|request| line::encode(request)));
    connection.command(&command)
}

/// Sends several requests at once; their replies.
fn pipeline(connection: &mut Raw, requests: &[Vec<Vec<u8>>]) -> Vec<Value> {
    connection.send(&requests.iter().flat_map(|request| line::encode(request)).collect::<Vec<u8>>());
    requests.iter().map(|_| connection.read()).collect()
}

/// A request about a key, of which the words before and behind it are given.
fn about(before: &str, key: &[u8]) -> Vec<Vec<u8>> {
    let words = before.split(' ').map(|word| word.as_bytes().to_vec());
    words.chain([key.to_vec()]).collect()
}

/// Database, name and what else can be told of a key.
type Told = (&'static str, Vec<u8>, Vec<Value>);

/// What is told of keys, but that short strings have grown, which a restart forgets.
fn without_growth(mut keys: Vec<Told>) -> Vec<Told> {
    for (_, _, answers) in &mut keys {
        answers.retain(|answer| !matches!(answer.bytes(), b"raw" | b"embstr"));
    }
    keys
}

/// All that can be told of all keys.
fn snapshot(connection: &mut Raw) -> Vec<Told> {
    let mut all = Vec::new();
    for database in DATABASES {
        connection.command(&["SELECT", database]);
        let mut names: Vec<Vec<u8>> =
            connection.run("KEYS *").elements().iter().map(|name| name.bytes().to_vec()).collect();
        names.sort();
        let questions = ["DUMP", "OBJECT ENCODING", "PEXPIRETIME", "TYPE"];
        let requests: Vec<_> =
            names.iter().flat_map(|name| questions.map(|question| about(question, name))).collect();
        let answers = pipeline(connection, &requests);
        let answers = answers.chunks(questions.len()).map(<[Value]>::to_vec);
        all.extend(names.into_iter().zip(answers).map(|(name, answers)| (database, name, answers)));
    }
    connection.run("SELECT 0");
    all
}

/// Watches keys, and words that may be keys, in all databases.
fn watch(watcher: &mut Raw, names: &[Vec<u8>]) {
    for database in DATABASES {
        watcher.command(&["SELECT", database]);
        let mut command = vec![b"WATCH".to_vec()];
        command.extend_from_slice(names);
        assert_eq!(watcher.command(&command).to_string(), "+OK");
    }
}

#[test]
fn a_procedure_that_traps_has_done_nothing_whatever_it_ran() {
    check("inline");
}

#[test]
fn one_in_the_background_that_traps_has_done_nothing_and_one_that_ends_all() {
    check("background");
}

fn check(placement: &str) {
    let options = Options::new()
        .with("appendfsync", "always")
        .with("hash-max-listpack-entries", "6")
        .with("set-max-intset-entries", "6")
        .with("zset-max-listpack-entries", "8");
    let mut server = Server::kvasm(&options);
    if !server.is_kvasm() {
        return;
    }
    let (trapping, ending) = (runner(placement, "(unreachable)"), runner(placement, ""));
    let steps = rounds("KVASM_STEPS", 400) as usize;
    for seed in (FIRST_SEED..).take(rounds("KVASM_SEEDS", 2) as usize) {
        let (mut connection, mut watcher) = (server.connect(), server.connect());
        connection.run("FLUSHALL");
        let requests: Vec<Vec<Vec<u8>>> = Generator::new(seed)
            .take(steps)
            .filter_map(|step| match step {
                Step::Command(connection, request) if ORDINARY.contains(&connection) => Some(request),
                _ => None,
            })
            .filter(|request| line::encode(request).len() < MAX_REQUEST_BYTES)
            .collect();
        let mut before = snapshot(&mut connection);
        // Of one command, of several that meet on the same keys.
        let mut rest = &requests[..];
        let mut changes = 0;
        for size in [1, 1, 1, 5, 12].into_iter().cycle() {
            let Some((batch, behind)) = rest.split_at_checked(size) else { break };
            rest = behind;
            let shown = || batch.iter().map(|request| line::print(request)).collect::<Vec<_>>().join("\n");
            let names = before.iter().map(|(_, name, _)| name.clone()).chain(batch.concat());
            watch(&mut watcher, &names.collect::<Vec<_>>());
            let trap = run(&mut connection, &trapping, batch);
            assert!(trap.bytes().starts_with(b"WASMTRAP"), "seed {seed}: {trap}:\n{}", shown());
            assert!(snapshot(&mut connection) == before, "seed {seed}: a value has changed:\n{}", shown());
            watcher.run("MULTI");
            assert_eq!(watcher.run("EXEC").to_string(), "[]", "seed {seed}: watched:\n{}", shown());
            assert_eq!(run(&mut connection, &ending, batch).to_string(), "$-1", "{}", shown());
            let after = snapshot(&mut connection);
            changes += usize::from(after != before);
            before = after;
        }
        assert!(
            changes > requests.len() / 40,
            "only {changes} of {} requests changed anything",
            requests.len()
        );
        server.kill_nine();
        server.restart();
        let after = snapshot(&mut server.connect());
        let [before, after] = [before, after].map(without_growth);
        assert!(after == before, "seed {seed}: a restart changes something");
    }
}
