//! A seeded stream of random commands, sent to kvasm and to redis-server: every reply, every message to a subscriber,
//! every keyspace event and the keys at the end must be the same.
//!
//! In the middle of each seed both servers end, by SIGTERM or SIGKILL, and start again with what they have kept.
//!
//! `KVASM_SEED` plays one seed; `KVASM_STEPS` and `KVASM_SEEDS` say how many steps and seeds. With `KVASM_SOAK` there are
//! ten times as many of both, more than a million steps in the two tests together.

use kvasm_tests::generate::{End, Generator, Step};
use kvasm_tests::replay::{reduce, replay};
use kvasm_tests::{Options, Server, rounds};

/// The first seed; another is named by `KVASM_SEED`.
const FIRST_SEED: u64 = 20_261_123;

/// So many seeds that differ are enough for one report.
const MAX_REPORTS: usize = 5;

fn check(events: &str) {
    let options = Options::new()
        .with("notify-keyspace-events", events)
        // What was answered survives a kill.
        .with("appendfsync", "always")
        // So that few elements are enough for every form of a value.
        .with("hash-max-listpack-entries", "6")
        .with("hash-max-listpack-value", "20")
        .with("set-max-intset-entries", "6")
        .with("zset-max-listpack-entries", "8");
    let (mut kvasm, mut redis) = (Server::kvasm(&options), Server::redis(&options));
    let steps = rounds("KVASM_STEPS", 1500) as usize;
    let seeds = match std::env::var("KVASM_SEED") {
        Ok(seed) => vec![seed.parse().expect("KVASM_SEED is a number")],
        Err(_) => (FIRST_SEED..).take(rounds("KVASM_SEEDS", 5) as usize).collect(),
    };
    let reports = seeds.into_iter().filter_map(|seed| {
        let end = if seed % 2 == 0 { End::Terminate } else { End::Kill };
        let generator = Generator::new(seed).with_restart(steps as u64 / 2, end);
        let all: Vec<Step> = generator.take(steps).collect();
        let difference = replay(&mut kvasm, &mut redis, &all).err()?;
        let first = difference.to_string();
        // What is found is told before the search for fewer steps.
        eprintln!("KVASM_SEED={seed}: {first}");
        let (fewest, last) = reduce(&mut kvasm, &mut redis, &all, difference);
        let fewest: Vec<String> = fewest.iter().map(Step::to_string).collect();
        Some(format!(
            "KVASM_SEED={seed}: {first}\n{} steps show:\n{}\n{last}\n",
            fewest.len(),
            fewest.join("\n")
        ))
    });
    let reports: Vec<String> = reports.take(MAX_REPORTS).collect();
    assert!(reports.is_empty(), "differences:\n{}", reports.join("\n"));
}

#[test]
fn kvasm_answers_as_redis_does() {
    check("AKE");
}

#[test]
fn new_keys_and_misses_are_announced_as_redis_does() {
    check("KEg$lzxnm");
}
