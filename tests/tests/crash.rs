//! `kill -9` under load, at random moments: what the durability setting promises is there afterwards, every
//! transaction is there whole or not at all, and nothing is there without what was written before it.
//!
//! `KVASM_CRASH_ROUNDS` says how often with each setting (200; with `KVASM_SOAK` 2000 times). If nothing was kept until then,
//! because the machine is slow, there are a few rounds more, each twice as long as the one before.

use kvasm_tests::load::Writer;
use kvasm_tests::{Options, Server, rounds};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WRITERS: usize = 3;
/// What is older than this `everysec` keeps on a machine that is busy, too. It promises a second, which needs a machine
/// that has time for the server whenever it wants some.
const PROMISED_AGE: Duration = Duration::from_secs(5);
/// Between these a server is killed after its writers have started, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 5..90;
/// Every so many rounds a server with `everysec` lives long enough to promise something.
const LONG_ROUND: u64 = 50;
const LONG_LIFE: Duration = Duration::from_millis(5500);
/// Rounds that follow at most if nothing was kept; the last takes 23 s.
const EXTRA_ROUNDS: u64 = 8;
/// There are at most so many times as many rounds of SIGTERM until something was kept.
const MOST_ROUNDS: u64 = 10;
/// Every so many rounds a second kill meets the start after the first.
const INTERRUPTED_START: u64 = 3;
/// Between these a start is interrupted, in milliseconds.
const START_MS: std::ops::Range<u64> = 0..40;
/// The same for a start that makes its files.
const FIRST_START_MS: std::ops::Range<u64> = 0..200;

/// With a log so short that it is applied again and again, so that kills meet that too.
fn server(appendfsync: &str) -> Server {
    let options = Options::new().with("appendfsync", appendfsync);
    Server::kvasm(&options.with("log-buffer-size", "1mb").with("log-max-size", "1mb"))
}

fn writers(server: &Server, appendfsync: &str) -> Vec<Writer> {
    // `no` writes when its buffer is full, which shall happen in the short life of a server.
    let ballast_bytes = if appendfsync == "no" { 50_000 } else { 10 };
    (0..WRITERS).map(|name| Writer::new(name, server.is_kvasm(), ballast_bytes)).collect()
}

/// Lets the writers write for that long, then does `end` to the server: when that began.
fn write_until(server: &mut Server, writers: &mut [Writer], life: Duration, end: fn(&mut Server)) -> Instant {
    let stop = AtomicBool::new(false);
    let port = server.port();
    std::thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| writer.write(port, &stop));
        }
        std::thread::sleep(life);
        let ended = Instant::now();
        end(server);
        stop.store(true, Ordering::Relaxed);
        ended
    })
}

fn check_kills(appendfsync: &str, promised: fn(&Writer, Instant) -> u64) {
    let mut server = server(appendfsync);
    let mut writers = writers(&server, appendfsync);
    let mut random = fastrand::Rng::new();
    let rounds = rounds("KVASM_CRASH_ROUNDS", 200);
    for round in 1..=rounds + EXTRA_ROUNDS {
        let life = match round.checked_sub(rounds) {
            Some(1..) if have_kept(&writers) => break,
            Some(extra @ 1..) => Duration::from_millis(LIFE_MS.end << extra),
            _ if appendfsync == "everysec" && round % LONG_ROUND == 0 => LONG_LIFE,
            _ => Duration::from_millis(random.u64(LIFE_MS)),
        };
        let killed = write_until(&mut server, &mut writers, life, Server::kill_nine);
        if round % INTERRUPTED_START == 0 {
            server.start_and_kill(Duration::from_millis(random.u64(START_MS)));
        }
        server.restart();
        let mut connection = server.connect();
        for writer in &mut writers {
            // What an earlier start has found can never be lost again.
            let promised = promised(writer, killed).max(writer.kept);
            writer.check(&mut connection, promised);
        }
    }
    assert!(have_kept(&writers), "nothing was ever written");
}

/// Whether there is anything that was written before the last kill.
fn have_kept(writers: &[Writer]) -> bool {
    writers.iter().any(|writer| writer.kept > 0)
}

fn last_acknowledged(writer: &Writer) -> u64 {
    writer.acknowledged.last().map_or(0, |(number, _)| *number)
}

#[test]
fn a_kill_loses_nothing_acknowledged_with_always() {
    check_kills("always", |writer, _| last_acknowledged(writer));
}

#[test]
fn a_kill_loses_only_what_is_recent_with_everysec() {
    check_kills("everysec", |writer, killed| {
        let old = writer.acknowledged.iter().rev().find(|(_, at)| *at + PROMISED_AGE <= killed);
        old.map_or(0, |(number, _)| *number)
    });
}

#[test]
fn a_kill_leaves_whole_transactions_in_order_with_no() {
    check_kills("no", |_, _| 0);
}

#[test]
fn a_kill_during_the_very_first_start_leaves_a_directory_that_opens() {
    let mut server = server("everysec");
    let mut random = fastrand::Rng::new();
    for _ in 0..rounds("KVASM_FIRST_START_ROUNDS", 20) {
        server.kill_nine();
        let data = server.data_directory();
        fs::remove_dir_all(&data).expect("remove the data");
        fs::create_dir(&data).expect("make the data directory");
        server.start_and_kill(Duration::from_millis(random.u64(FIRST_START_MS)));
        server.restart();
        assert_eq!(server.connect().run("SET first start").to_string(), "+OK");
    }
}

#[test]
fn sigterm_under_load_loses_nothing_acknowledged_in_any_setting() {
    for appendfsync in ["always", "everysec", "no"] {
        let mut server = server(appendfsync);
        let mut writers = writers(&server, appendfsync);
        let rounds = rounds("KVASM_TERMINATE_ROUNDS", 5);
        for round in 1..=rounds * MOST_ROUNDS {
            if round > rounds && have_kept(&writers) {
                break;
            }
            write_until(&mut server, &mut writers, Duration::from_millis(100), Server::terminate);
            server.restart();
            let mut connection = server.connect();
            for writer in &mut writers {
                let promised = last_acknowledged(writer).max(writer.kept);
                writer.check(&mut connection, promised);
            }
        }
        assert!(have_kept(&writers), "nothing was ever written");
    }
}
