//! String commands: reading and writing whole values and parts of them.
//!
//! `assign` has SET with its options and relatives, `counters` the arithmetic.

use super::{Command, Context, Error, Flags, Group, Result, flag, integer, unsigned};
use crate::keyspace::{Content, Edit, Expiry, events};
use crate::protocol::Reply;
use crate::types::{StringValue, Value, lcs};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("append", 3, append).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::String,
        "2.0.0",
        "O(1) on average, because room grows by doubling",
        "Adds bytes at the end of a string and creates it if there is none.",
        "key value",
    ),
    Command::new("get", 2, get).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Returns the string value of a key.",
        "key",
    ),
    Command::new("getdel", 2, getdel).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::String,
        "6.2.0",
        "O(1)",
        "Returns the string value of a key and deletes the key.",
        "key",
    ),
    Command::new("getrange", 4, getrange).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::String,
        "2.4.0",
        "O(N) where N is the length of the part",
        "Returns a part of a string.",
        "key start end",
    ),
    Command::new("getset", 3, getset).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Sets the string value of a key and returns the one before.",
        "key value",
    ),
    Command::new("lcs", -3, longest_common_subsequence).flags(&[Flags::READONLY]).keys(1, 2, 1).docs(
        Group::String,
        "7.0.0",
        "O(N*M) where N and M are the lengths of the strings",
        "Finds the longest common subsequence of two strings.",
        "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    ),
    Command::new("mget", -2, mget).flags(&[Flags::READONLY, Flags::FAST]).keys(1, -1, 1).docs(
        Group::String,
        "1.0.0",
        "O(N) where N is the number of keys",
        "Returns the string values of several keys.",
        "key [key ...]",
    ),
    Command::new("mset", -3, mset).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, -1, 2).docs(
        Group::String,
        "1.0.1",
        "O(N) where N is the number of keys",
        "Sets the string values of several keys.",
        "key value [key value ...]",
    ),
    Command::new("msetnx", -3, msetnx).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, -1, 2).docs(
        Group::String,
        "1.0.1",
        "O(N) where N is the number of keys",
        "Sets the string values of several keys if none of them exists.",
        "key value [key value ...]",
    ),
    Command::new("setrange", 4, setrange).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::String,
        "2.2.0",
        "O(N) where N is the length of the new part",
        "Writes over a part of a string, which grows as needed.",
        "key offset value",
    ),
    Command::new("strlen", 2, strlen).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::String,
        "2.2.0",
        "O(1)",
        "Returns the length of a string in bytes.",
        "key",
    ),
    Command::new("substr", 4, getrange).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(N) where N is the length of the part",
        "Returns a part of a string; the old name of GETRANGE.",
        "key start end",
    ),
];

/// Refuses strings longer than `proto-max-bulk-len`.
pub(super) fn check_length(ctx: &Context<'_>, before: u64, added: usize) -> Result<()> {
    let length = before.checked_add(added as u64);
    if length.is_some_and(|length| length <= ctx.server.options.proto_max_bulk_len) {
        Ok(())
    } else {
        Err(Error::STRING_TOO_LONG)
    }
}

fn append(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, tail) = (ctx.session.database, args[1], args[2]);
    let Some(before) = ctx.keyspace.peek_string(database, key)?.map(StringValue::len) else {
        ctx.keyspace.set(database, key, Content::String(tail), Expiry::Clear, events::APPEND)?;
        return Ok(tail.len().into());
    };
    check_length(ctx, before as u64, tail.len())?;
    let length = before + tail.len();
    ctx.keyspace.edit(database, key, events::APPEND, |string| {
        string.append(tail);
        ((), Edit::Bytes(before as u64..length as u64))
    })?;
    Ok(length.into())
}

fn get(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(ctx.keyspace.get_string(ctx.session.database, args[1])?.cloned().into())
}

fn getdel(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let reply = get(ctx, args)?;
    ctx.keyspace.delete(ctx.session.database, args[1], events::DEL)?;
    Ok(reply)
}

fn getrange(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (start, end) = (integer(args[2])?, integer(args[3])?);
    let string = ctx.keyspace.get_string(ctx.session.database, args[1])?;
    Ok(string.map_or_else(Vec::new, |string| part(string, start, end)).into())
}

/// The bytes between two places, both included; places below zero count from the end.
fn part(string: &StringValue, start: i64, end: i64) -> Vec<u8> {
    // Before they are clipped: otherwise -1 to -2 would be a byte of a string that has only one.
    if start < 0 && end < 0 && start > end {
        return Vec::new();
    }
    let length = string.len() as i64;
    let from_start = |place: i64| if place < 0 { place.saturating_add(length).max(0) } else { place };
    let (start, end) = (from_start(start), from_start(end).min(length - 1));
    if start > end { Vec::new() } else { string.range(start as usize, end as usize + 1) }
}

fn getset(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let reply = get(ctx, args)?;
    let content = Content::String(args[2]);
    ctx.keyspace.set(ctx.session.database, args[1], content, Expiry::Clear, events::SET)?;
    Ok(reply)
}

/// What LCS is to answer.
#[derive(Debug, Default)]
struct LcsOptions {
    length: bool,
    indices: bool,
    lengths_of_matches: bool,
    min_match_len: i64,
}

impl LcsOptions {
    fn parse(mut options: &[&[u8]]) -> Result<Self> {
        let mut parsed = Self::default();
        while let [option, rest @ ..] = options {
            options = rest;
            match rest {
                _ if flag(option, "LEN") => parsed.length = true,
                _ if flag(option, "IDX") => parsed.indices = true,
                _ if flag(option, "WITHMATCHLEN") => parsed.lengths_of_matches = true,
                [number, rest @ ..] if flag(option, "MINMATCHLEN") => {
                    parsed.min_match_len = integer(number)?;
                    options = rest;
                }
                _ => return Err(Error::SYNTAX),
            }
        }
        if parsed.length && parsed.indices {
            return Err(Error::text("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(parsed)
    }
}

fn longest_common_subsequence(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    const TOO_LONG: Error =
        Error::text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    let database = ctx.session.database;
    let mut strings = [StringValue::raw(b""), StringValue::raw(b"")];
    let mut are_strings = true;
    for (string, key) in strings.iter_mut().zip(&args[1..]) {
        match ctx.keyspace.get(database, key)? {
            Some(Value::String(found)) => string.clone_from(found),
            Some(_) => are_strings = false,
            None => {}
        }
    }
    if !are_strings {
        return Err(Error::text("ERR The specified keys must contain string values"));
    }
    let options = LcsOptions::parse(&args[3..])?;
    let [first, second] = strings.each_ref().map(StringValue::to_bytes);
    let limit = ctx.server.options.proto_max_bulk_len as usize;
    if options.length {
        let length = lcs::length(&first, &second, limit).map_err(|lcs::TooLong| TOO_LONG)?;
        return Ok(length.into());
    }
    let found = lcs::find(&first, &second, limit).map_err(|lcs::TooLong| TOO_LONG)?;
    Ok(if options.indices { describe(&found, &options) } else { found.bytes.into() })
}

fn describe(found: &lcs::Subsequence, options: &LcsOptions) -> Reply {
    let range = |start: usize, len: usize| Reply::Array(vec![start.into(), (start + len - 1).into()]);
    let matches = found.matches.iter().filter(|run| run.len as i64 >= options.min_match_len);
    let matches = matches.map(|run| {
        let mut entry = vec![range(run.first_start, run.len), range(run.second_start, run.len)];
        if options.lengths_of_matches {
            entry.push(run.len.into());
        }
        Reply::Array(entry)
    });
    Reply::fields([("matches", Reply::Array(matches.collect())), ("len", found.bytes.len().into())])
}

fn mget(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut values = Vec::with_capacity(args.len() - 1);
    for key in &args[1..] {
        values.push(match ctx.keyspace.get(ctx.session.database, key)? {
            Some(Value::String(string)) => Reply::Bulk(string.clone()),
            Some(_) | None => Reply::Null,
        });
    }
    Ok(Reply::Array(values))
}

fn mset(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_pairs(ctx, pairs(args, "mset")?)?;
    Ok(Reply::OK)
}

fn msetnx(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let pairs = pairs(args, "msetnx")?;
    for pair in pairs {
        if ctx.keyspace.peek(ctx.session.database, pair[0])?.is_some() {
            return Ok(Reply::Integer(0));
        }
    }
    set_pairs(ctx, pairs)?;
    Ok(Reply::Integer(1))
}

/// The keys and values of MSET.
fn pairs<'a, 'b>(args: &'b [&'a [u8]], command: &str) -> Result<&'b [[&'a [u8]; 2]]> {
    let (pairs, rest) = args[1..].as_chunks();
    if rest.is_empty() { Ok(pairs) } else { Err(Error::wrong_arity(command)) }
}

fn set_pairs(ctx: &mut Context<'_>, pairs: &[[&[u8]; 2]]) -> Result<()> {
    for [key, value] in pairs {
        let content = Content::String(value);
        ctx.keyspace.set(ctx.session.database, key, content, Expiry::Clear, events::SET)?;
    }
    Ok(())
}

fn setrange(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, bytes) = (ctx.session.database, args[1], args[3]);
    let offset = unsigned(args[2], "ERR offset is out of range")?;
    let length = ctx.keyspace.peek_string(database, key)?.map_or(0, StringValue::len);
    if bytes.is_empty() {
        return Ok(length.into());
    }
    check_length(ctx, offset, bytes.len())?;
    let empty = StringValue::raw(b"");
    let length = ctx.keyspace.edit_or_create(database, key, events::SETRANGE, empty, |string| {
        string.set_range(offset as usize, bytes);
        (string.len(), Edit::Bytes(offset..offset + bytes.len() as u64))
    })?;
    Ok(length.into())
}

fn strlen(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let string = ctx.keyspace.get_string(ctx.session.database, args[1])?;
    Ok(string.map_or(0, StringValue::len).into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn parts_are_those_that_redis_means() {
        for (start, end, expected) in [
            (0, 3, "This"),
            (-3, -1, "ing"),
            (0, -1, "This is a string"),
            (10, 100, "string"),
            (5, 4, ""),
            (-1, -2, ""),
            (-100, -100, "T"),
            (100, 200, ""),
            (i64::MIN, i64::MAX, "This is a string"),
        ] {
            let found = part(&StringValue::from_bytes(b"This is a string"), start, end);
            assert_eq!(found, expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(part(&StringValue::from_bytes(b""), 0, -1), b"");
    }

    #[test]
    fn parts_are_written_and_read() {
        Fixture::new().check(&[
            ("append k 12", ":2"),
            ("object encoding k", "$int"),
            ("append k x", ":3"),
            ("get k", "$12x"),
            ("setrange k 5 yz", ":7"),
            ("getrange k 0 2", "$12x"),
            ("strlen k", ":7"),
            ("setrange none 5 ''", ":0"),
            ("exists none", ":0"),
            ("setrange none -1 x", "-ERR offset is out of range"),
            ("setrange none 536870911 xx", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
            ("sadd set a", ":1"),
            (
                "setrange set 536870912 x",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("getrange k a 1", "-ERR value is not an integer or out of range"),
            ("getdel k", "$12x\\x00\\x00yz"),
            ("getdel k", "nil"),
        ]);
    }

    #[test]
    fn a_string_that_becomes_long_at_once_is_journalled_by_its_bytes_alone() {
        let mut fixture = Fixture::new();
        fixture.check(&[("setrange k 400000000 x", ":400000001"), ("setbit b 4294967295 1", ":0")]);
        assert!(fixture.keyspace.journal().pending_bytes() < 200);
    }

    #[test]
    fn several_keys_are_set_all_or_none() {
        Fixture::new().check(&[
            ("mset a 1 b 2", "+OK"),
            ("mset a 1 b", "-ERR wrong number of arguments for 'mset' command"),
            ("msetnx c 3 b 4", ":0"),
            ("mget a b c", "[$1 $2 nil]"),
            ("msetnx c 3 c 4", ":1"),
            ("mget c", "[$4]"),
            ("getset a 9", "$1"),
        ]);
    }

    #[test]
    fn common_subsequences_are_told_in_the_form_asked_for() {
        Fixture::new().check(&[
            ("mset a ohmytext b mynewtext", "+OK"),
            ("lcs a b", "$mytext"),
            ("lcs a b len", ":6"),
            ("lcs a b idx minmatchlen 4 withmatchlen", "{$matches: [[[:4 :7] [:5 :8] :4]], $len: :6}"),
            ("lcs a none", "$"),
            ("sadd set a", ":1"),
            ("lcs a set x", "-ERR The specified keys must contain string values"),
            ("lcs a b minmatchlen", "-ERR syntax error"),
            ("lcs a b len idx", "-ERR If you want both the length and indexes, please just use IDX."),
        ]);
    }
}
