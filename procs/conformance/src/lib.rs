//! Every feature of the SDK in one library: the table in `scenarios` has the same results natively and in a server.

#![no_std]
#![allow(clippy::must_use_candidate, reason = "the results of procedures go to clients")]

mod hashes;
mod lists;
#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;
mod sets;
mod sorted_sets;
mod streams;

use core::time::Duration;

use kvasm_sdk::prelude::*;

/// What `EVALWASM` calls.
#[procedure]
pub fn run(db: &mut Db, key: Option<&[u8]>) -> i64 {
    db.increment(key.unwrap_or(b"runs"), 1)
}

// Parameters.

/// Numbers of every kind.
#[procedure]
pub fn numbers(_db: &Db, small: i8, wide: u64, real: f64, flag: bool) -> (i8, f64, bool, u64) {
    (small, real * 2.0, !flag, wide / 2)
}

/// Text and bytes, borrowed and owned.
#[procedure]
pub fn texts(_db: &Db, text: &str, bytes: &[u8], owned: String, owned_bytes: Vec<u8>) -> Result<Reply> {
    (text.chars().count(), bytes.len(), owned, owned_bytes).into_reply()
}

/// Parameters that may be missing, and all the rest.
#[procedure]
pub fn rest(_db: &Db, first: &str, second: Option<i64>, others: &[&[u8]]) -> String {
    format!("{first} {second:?} {}", others.len())
}

/// Exported under a name that is not its own.
#[procedure(name = "renamed-function")]
pub fn renamed(_db: &Db) {}

// Results.

/// A result of each kind.
#[procedure]
pub fn result(_db: &Db, kind: &str) -> Result<Reply> {
    match kind {
        "nothing" => ().into_reply(),
        "none" => None::<i64>.into_reply(),
        "some" => Some(7).into_reply(),
        "min" => i64::MIN.into_reply(),
        "too-wide" => u64::MAX.into_reply(),
        "double" => 0.1.into_reply(),
        "infinity" => f64::NEG_INFINITY.into_reply(),
        "true" => true.into_reply(),
        "text" => "text".into_reply(),
        "empty" => Vec::<u8>::new().into_reply(),
        "bytes" => b"a\r\n\0b".to_vec().into_reply(),
        "list" => vec![Some("a"), None].into_reply(),
        "nested" => vec![vec![1_i64, 2], vec![]].into_reply(),
        "tuple" => (1, "b", false).into_reply(),
        "error-reply" => Reply::Error("CODE as a reply".into()).into_reply(),
        "error-text" => Err::<(), _>("without a code").into_reply(),
        "error-lines" => Err::<(), _>("CODE two\r\nlines").into_reply(),
        "parse-error" => "x".parse::<i64>().into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

// The database.

/// Writes, reads its own writes, and counts what it finds.
#[procedure]
pub fn own_writes(db: &mut Db, key: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>, bool, bool, bool) {
    let before = db.get(key);
    db.put(key, b"new");
    (before, db.get(key), db.exists(key), db.delete(key), db.exists(key))
}

/// A part of a value, read in both ways, and its length.
#[procedure]
pub fn part(db: &Db, key: &[u8], offset: u64, length: usize) -> (Option<u64>, Option<Vec<u8>>, Vec<u8>) {
    let mut buffer = vec![b'.'; length];
    db.read(key, offset, &mut buffer);
    (db.length(key), db.get_range(key, offset, length), buffer)
}

/// Makes a value of `length` bytes, reads it whole, and checks it.
#[procedure]
pub fn large(db: &mut Db, key: &[u8], length: usize) -> bool {
    let value: Vec<u8> = (0..length).map(|at| at as u8).collect();
    db.put(key, &value);
    let by_command = db.command_ro(Command::new("GET").arg(key));
    db.get(key).as_ref() == Some(&value) && by_command == Ok(Reply::Bulk(value))
}

/// Runs any command, after a write that shall be undone when the command fails.
#[procedure]
pub fn command(db: &mut Db, name: &str, words: &[&[u8]]) -> Result<Reply> {
    db.put(b"touched", b"1");
    db.command(Command::new(name).args(words))
}

/// Runs any reading command.
#[procedure]
pub fn command_ro(db: &Db, name: &str, words: &[&[u8]]) -> Result<Reply> {
    db.command_ro(Command::new(name).args(words))
}

/// A command that fails, whose error is handled: the procedure goes on.
#[procedure]
pub fn handled(db: &mut Db, key: &[u8]) -> String {
    db.put(key, b"text");
    match db.command(Command::new("INCR").arg(key)) {
        Ok(_) => "no error".to_string(),
        Err(error) => error.text().to_owned(),
    }
}

/// Adds to a number.
#[procedure]
pub fn add(db: &mut Db, key: &[u8], delta: i64) -> i64 {
    db.increment(key, delta)
}

/// Lets a key expire as told, with `time` in seconds, and says what is so afterwards.
#[procedure]
pub fn expiry(db: &mut Db, key: &[u8], what: &str, time: u64) -> Result<(bool, Option<u64>)> {
    let changed = match what {
        "expire" => db.expire(key, Duration::from_secs(time)),
        "expire_at_ms" => db.expire_at_ms(key, db.time_us() / 1000 + time * 1000),
        "persist" => db.persist(key),
        other => return Err(format!("there is no {other}").into()),
    };
    // Less than a second passes in a test.
    Ok((changed, db.time_to_live(key).map(|left| left.as_millis().div_ceil(1000) as u64)))
}

/// The time does not move within a call, and random numbers differ.
#[procedure]
pub fn constant_time(db: &Db) -> (bool, bool, bool) {
    let started_us = db.time_us();
    db.log(LogLevel::Notice, format_args!("it is {} s past the hour", started_us / 1_000_000 % 3600));
    (started_us > 1_600_000_000_000_000, started_us == db.time_us(), db.random() == db.random())
}

// Endings.

/// Writes, then ends as told: everything must be undone.
///
/// # Panics
/// When told to.
#[procedure]
pub fn fail(db: &mut Db, key: &[u8], how: &str) -> Result<i64> {
    db.put(key, b"written");
    match how {
        "error" => Err("CODE returned".into()),
        "abort" => db.abort("CODE aborted"),
        "panic" => panic!("panicked on {how}"),
        "unwrap" => Ok(db.length(b"no such key").unwrap().cast_signed()),
        "index" => Ok(i64::from(how.as_bytes()[how.len()])),
        "increment" => Ok(db.increment(key, 1)),
        _ => Ok(1),
    }
}

/// Allocates `blocks` blocks of `size` bytes, frees each at once, and then keeps as many.
#[procedure]
pub fn allocate(_db: &Db, blocks: usize, size: usize) -> usize {
    let freed: usize = (0..blocks).map(|block| vec![block as u8; size].len()).sum();
    let kept: Vec<Vec<u8>> = (0..blocks).map(|block| vec![block as u8; size]).collect();
    let intact = kept.iter().enumerate().all(|(at, block)| block.iter().all(|byte| *byte == at as u8));
    if intact { freed + kept.len() * size } else { 0 }
}

// Triggers.

/// Tells what it was told: `watched:x` is described in `seen`.
#[trigger(on = "set,del,append,incrby,expired", keys = "watched:*")]
pub fn describe(db: &mut Db, event: &Event) -> Result<()> {
    let text =
        |value: Option<Vec<u8>>| value.map_or("-".to_string(), |value| value.escape_ascii().to_string());
    let key = event.key().escape_ascii();
    let line = format!(
        "{} {key} {} {} {};",
        event.name(),
        event.database(),
        text(event.before()),
        text(event.after())
    );
    db.command(Command::new("APPEND").arg("seen").arg(line))?;
    Ok(())
}

/// Tells which elements it was told: `collection:x` is described in `seen`.
#[trigger(
    on = "hset,hdel,hincrby,rpush,lpush,lpop,rpop,lset,lrem,ltrim,sadd,srem,spop,zadd,zincr,zrem,zpopmin,xadd,xdel,del",
    keys = "collection:*"
)]
pub fn describe_elements(db: &mut Db, event: &Event) -> Result<()> {
    let elements: Vec<String> = event.elements().map(|element| element.escape_ascii().to_string()).collect();
    let values = event.before().is_some() || event.after().is_some();
    let line = format!("{} {} {values};", event.name(), elements.join(","));
    db.command(Command::new("APPEND").arg("seen").arg(line))?;
    Ok(())
}

/// Refuses what it is given, after a write of its own.
#[trigger(on = "set", keys = "refused:*", name = "refuse-all")]
pub fn refuse(db: &mut Db, event: &Event) -> Result<()> {
    db.put(b"seen", event.key());
    Err("REFUSED".into())
}

/// Never runs.
#[trigger(on = "set", keys = "watched:*", enabled = false)]
pub fn sleeping(db: &mut Db, _event: &Event) {
    db.put(b"seen", b"by the sleeping trigger");
}

/// Runs in another database only.
#[trigger(on = "set", keys = "watched:*", db = 1)]
pub fn elsewhere(db: &mut Db, _event: &Event) {
    db.put(b"seen", b"elsewhere");
}

/// A trigger that fires another: `chain:x` writes `watched:x`.
#[trigger(on = "set", keys = "chain:*")]
pub fn chain(db: &mut Db, event: &Event) {
    let rest = event.key().strip_prefix(b"chain:").unwrap_or_default();
    db.put(&[b"watched:", rest].concat(), b"by chain");
}

/// An asynchronous trigger: with each event it counts in `observed`, beside the length of the value, and fails on an empty
/// one.
#[trigger(
    on = "set",
    keys = "observed:*",
    mode = "async",
    concurrency = 2,
    tries = 2,
    backoff_ms = 1,
    fuel = 1000000,
    coalesce = true,
    on_full = "refuse"
)]
pub fn observe(db: &mut Db, event: &Event) -> Result<()> {
    let length = event.after().unwrap_or_default().len();
    db.increment(b"observed", length as i64);
    if length == 0 {
        return Err("EMPTY value".into());
    }
    Ok(())
}

/// A trigger that fires itself without end.
#[trigger(on = "set", keys = "endless")]
pub fn endless(db: &mut Db, event: &Event) {
    db.put(event.key(), b"again");
}
