//! Every command that procedures may run does in the background what it does on the thread of all clients: the same
//! replies and the same keys at the end, whatever the types.

use kvasm_tests::compare::same_reply;
use kvasm_tests::generate::{Generator, ORDINARY, Step};
use kvasm_tests::recorder::{call_with, recorder};
use kvasm_tests::{Options, Raw, Server, line, rounds};

/// The first seed.
const FIRST_SEED: u64 = 77;
/// Longer requests do not fit.
const MAX_REQUEST_BYTES: usize = 5_000;
/// Elements are chosen at random, or what is answered is about the whole server.
const NOT_COMPARED: &[&str] =
    &["SPOP", "INFO", "SLOWLOG", "MEMORY", "RANDOMKEY", "OBJECT", "DEBUG", "LASTSAVE"];

fn requests(seed: u64, steps: usize) -> Vec<Vec<Vec<u8>>> {
    let ordinary = Generator::new(seed).take(steps).filter_map(|step| match step {
        Step::Command(connection, request) if ORDINARY.contains(&connection) => Some(request),
        _ => None,
    });
    let is_compared = |request: &Vec<Vec<u8>>| {
        let name = request.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        // The ids of entries, and ends of keys that are counted from now on, depend on the time.
        let depends_on_time = request.iter().any(|word| word == b"*" || word.ends_with(b"-*"));
        !depends_on_time && !NOT_COMPARED.iter().any(|other| other.as_bytes() == name)
    };
    ordinary.filter(is_compared).filter(|request| line::encode(request).len() < MAX_REQUEST_BYTES).collect()
}

/// Names and values of all keys.
fn keys(connection: &mut Raw) -> Vec<(Vec<u8>, String)> {
    let mut names: Vec<Vec<u8>> =
        connection.run("KEYS *").elements().iter().map(|name| name.bytes().to_vec()).collect();
    names.sort();
    let value = |connection: &mut Raw, name: &Vec<u8>| {
        let kind = connection.command(&[b"TYPE".as_slice(), name]).text();
        // Of these the order in memory, or times, differ.
        if matches!(&kind[..], "set" | "hash" | "stream") {
            let count: &[u8] = match &kind[..] {
                "set" => b"SCARD",
                "hash" => b"HLEN",
                _ => b"XLEN",
            };
            return format!("{kind} {}", connection.command(&[count, name]));
        }
        connection.command(&[b"DUMP".as_slice(), name]).to_string()
    };
    names.into_iter().map(|name| (name.clone(), value(connection, &name))).collect()
}

#[test]
fn commands_do_in_the_background_what_they_do_elsewhere() {
    let options = Options::new()
        .with("hash-max-listpack-entries", "6")
        .with("set-max-intset-entries", "6")
        .with("zset-max-listpack-entries", "8");
    let (inline, background) = (Server::kvasm(&options), Server::kvasm(&options));
    if !inline.is_kvasm() {
        return;
    }
    let modules = [recorder(Some("inline"), false, ""), recorder(Some("background"), false, "")];
    let steps = rounds("KVASM_STEPS", 3000) as usize;
    for seed in (FIRST_SEED..).take(rounds("KVASM_SEEDS", 2) as usize) {
        let (mut one, mut other) = (inline.connect(), background.connect());
        for connection in [&mut one, &mut other] {
            connection.run("FLUSHALL");
        }
        let all = requests(seed, steps);
        let mut rest = &all[..];
        for size in [1, 3, 8].into_iter().cycle() {
            let Some((batch, behind)) = rest.split_at_checked(size) else { break };
            rest = behind;
            let shown = || batch.iter().map(|request| line::print(request)).collect::<Vec<_>>().join("\n");
            let replies = [(&mut one, &modules[0]), (&mut other, &modules[1])]
                .map(|(connection, module)| connection.command(&call_with(module, batch)));
            let [left, right] = &replies;
            assert_eq!(left.is_error(), right.is_error(), "seed {seed}: {left} {right}:\n{}", shown());
            for (request, (left, right)) in batch.iter().zip(left.elements().iter().zip(right.elements())) {
                assert!(
                    same_reply(request, left, &right),
                    "seed {seed}: {}\ninline:     {left}\nbackground: {right}\nin:\n{}",
                    line::print(request),
                    shown()
                );
            }
        }
        assert_eq!(keys(&mut one), keys(&mut other), "seed {seed}");
        assert!(keys(&mut one).len() > 20, "seed {seed}: hardly a key is left");
    }
}
