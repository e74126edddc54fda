//! HyperLogLog commands: counting different elements in little memory. A sketch is a string.

use super::{Command, Context, Error, Flags, Group, Result};
use crate::keyspace::{Edit, events};
use crate::protocol::Reply;
use crate::types::hyperloglog::{self, Form, NoSketch, Registers};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("pfadd", -2, pfadd).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::HyperLogLog,
        "2.8.9",
        "O(1) for each element; O(N) where N is the length in bytes while the form is sparse",
        "Adds elements to a HyperLogLog and creates it if there is none.",
        "key [element [element ...]]",
    ),
    Command::new("pfcount", -2, pfcount).flags(&[Flags::READONLY]).keys(1, -1, 1).docs(
        Group::HyperLogLog,
        "2.8.9",
        "O(N) where N is the number of keys, each with the large constant time of its 16384 registers",
        "Returns about how many different elements HyperLogLogs have seen together.",
        "key [key ...]",
    ),
    Command::new("pfmerge", -2, pfmerge).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, -1, 1).docs(
        Group::HyperLogLog,
        "2.8.9",
        "O(N) where N is the number of keys, each with the large constant time of its 16384 registers",
        "Merges HyperLogLogs into one.",
        "destkey [sourcekey [sourcekey ...]]",
    ),
];

impl From<NoSketch> for Error {
    fn from(error: NoSketch) -> Self {
        match error {
            NoSketch::Other => Self::text("WRONGTYPE Key is not a valid HyperLogLog string value."),
            NoSketch::Corrupted => Self::text("INVALIDOBJ Corrupted HLL object detected"),
        }
    }
}

fn pfadd(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let sparse_max_bytes = ctx.server.options.hll_sparse_max_bytes as usize;
    let is_new = ctx.keyspace.peek_string(database, key)?.is_none();
    let initial = hyperloglog::empty();
    let added =
        ctx.keyspace.edit_or_create(
            database,
            key,
            events::PFADD,
            initial,
            |string| match hyperloglog::add(string, &args[2..], sparse_max_bytes) {
                Ok(Some(changed)) if !is_new => {
                    (Ok(true), Edit::Bytes(changed.start as u64..changed.end as u64))
                }
                Ok(None) if !is_new => (Ok(false), Edit::Unchanged),
                Ok(_) => (Ok(true), Edit::Whole),
                Err(error) => (Err(error), Edit::Unchanged),
            },
        )?;
    Ok(Reply::flag(added?))
}

fn pfcount(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let database = ctx.session.database;
    if let [_, key] = args {
        let string = ctx.keyspace.get_string(database, key)?;
        return Ok(Reply::Integer(string.map_or(Ok(0), hyperloglog::count)? as i64));
    }
    let mut registers = Registers::default();
    for key in &args[1..] {
        if let Some(string) = ctx.keyspace.get_string(database, key)? {
            registers.merge(string)?;
        }
    }
    Ok(registers.count().into())
}

fn pfmerge(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, destination) = (ctx.session.database, args[1]);
    let sparse_max_bytes = ctx.server.options.hll_sparse_max_bytes as usize;
    let mut registers = Registers::default();
    let mut is_dense = false;
    for key in &args[1..] {
        if let Some(string) = ctx.keyspace.get_string(database, key)? {
            is_dense |= hyperloglog::form(string)? == Form::Dense;
            registers.merge(string)?;
        }
    }
    let initial = hyperloglog::empty();
    let merged =
        ctx.keyspace.edit_or_create(
            database,
            destination,
            events::PFADD,
            initial,
            |string| match registers.apply(string, is_dense, sparse_max_bytes) {
                Ok(()) => (Ok(()), Edit::Whole),
                Err(error) => (Err(error), Edit::Unchanged),
            },
        )?;
    merged?;
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn elements_are_counted_once() {
        Fixture::new().check(&[
            ("pfadd a x y z", ":1"),
            ("pfadd a x", ":0"),
            ("pfcount a", ":3"),
            ("object encoding a", "$raw"),
            ("pfadd b z q", ":1"),
            ("pfcount a b none", ":4"),
            ("pfmerge c a b none", "+OK"),
            ("pfcount c", ":4"),
            ("pfadd empty", ":1"),
            ("pfadd empty", ":0"),
            ("pfcount empty", ":0"),
            ("pfcount none", ":0"),
            ("pfmerge new", "+OK"),
            ("pfcount new", ":0"),
        ]);
    }

    #[test]
    fn a_sketch_has_the_bytes_that_redis_gives_it() {
        Fixture::new().check(&[
            ("pfadd k a b c", ":1"),
            ("getrange k 0 14", "$HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"),
            ("getrange k 16 -1", "$`\\xf3\\x80P\\xb1\\x84K\\xfb\\x80BZ"),
            ("pfadd n", ":1"),
            ("getrange n 15 -1", "$\\x80\\x7f\\xff"),
        ]);
    }

    #[test]
    fn what_is_no_sketch_is_refused_and_stays() {
        const OTHER: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
        const CORRUPTED: &str = "-INVALIDOBJ Corrupted HLL object detected";
        Fixture::new().check(&[
            ("set k text", "+OK"),
            ("pfadd k x", OTHER),
            ("pfcount k", OTHER),
            ("pfcount k none", OTHER),
            ("pfmerge d k", OTHER),
            ("exists d", ":0"),
            (r#"set k "HYLL\x01aaaaaaaaaa\x80\x00""#, "+OK"),
            ("pfadd k x", CORRUPTED),
            ("pfcount k", CORRUPTED),
            ("pfmerge d k", CORRUPTED),
            ("xadd s 1-1 f v", "$1-1"),
            ("pfadd s x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ]);
    }

    #[test]
    fn a_dense_sketch_journals_only_the_registers_that_change() {
        let mut fixture = Fixture::new();
        fixture.check(&[("config set hll-sparse-max-bytes 0", "+OK"), ("pfadd k a", ":1")]);
        let before = fixture.keyspace.journal().pending_bytes();
        fixture.check(&[("pfadd k b", ":1"), ("pfcount k", ":2")]);
        assert!(fixture.keyspace.journal().pending_bytes() - before < 100);
    }

    #[test]
    fn only_changes_are_announced() {
        let mut fixture = Fixture::new();
        fixture.check_events("pfadd k a", &["0 new k", "0 pfadd k"]);
        fixture.check_events("pfadd k a", &[]);
        fixture.check_events("pfcount k", &[]);
        fixture.check_events("pfmerge k", &["0 pfadd k"]);
    }
}
