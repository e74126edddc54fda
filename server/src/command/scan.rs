//! Commands that walk all keys of a database.

use super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::keyspace::{ScanPage, Scanned};
use crate::protocol::Reply;
use crate::store::Position;
use crate::types::glob;

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("keys", 2, keys).flags(&[Flags::READONLY]).docs(
        Group::Generic,
        "1.0.0",
        "O(N) where N is the number of keys in the database",
        "Returns the names of all keys that match a pattern.",
        "pattern",
    ),
    Command::new("scan", -2, scan).flags(&[Flags::READONLY]).docs(
        Group::Generic,
        "2.8.0",
        "O(1) for a call, O(N) for a whole walk over N keys",
        "Walks the names of the keys in steps: a key that is there all the time is found.",
        "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    ),
];

/// Keys or elements that a step looks at when it is not told how many.
pub(super) const DEFAULT_COUNT: usize = 10;

fn keys(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let page = ctx.keyspace.scan(ctx.session.database, Position::MIN, usize::MAX)?;
    let filter = Filter { pattern: Some(args[1]), kind: None };
    Ok(filter.names(&page.keys))
}

fn scan(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let cursor = cursor(args[1])?;
    let (filter, count) = parse_options(&args[2..])?;
    // A cursor that no walk gave ends the walk.
    let page = match Position::new(cursor) {
        Some(from) => ctx.keyspace.scan(ctx.session.database, from, count)?,
        None => ScanPage::default(),
    };
    let next = page.next.map_or(0, Position::get);
    Ok(Reply::Array(vec![next.to_string().into(), filter.names(&page.keys)]))
}

/// A cursor, which of an unknown walk may be any number.
pub(super) fn cursor(argument: &[u8]) -> Result<u64> {
    parse_cursor(argument).ok_or(Error::text("ERR invalid cursor"))
}

/// Reads an unsigned number as C's `strtoul` does, in which Redis has cursors read.
fn parse_cursor(text: &[u8]) -> Option<u64> {
    let (negative, digits) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

fn parse_options<'a>(mut options: &[&'a [u8]]) -> Result<(Filter<'a>, usize)> {
    let mut filter = Filter::default();
    let mut count = DEFAULT_COUNT;
    while let [option, rest @ ..] = options {
        let [argument, rest @ ..] = rest else { return Err(Error::SYNTAX) };
        if flag(option, "COUNT") {
            count = scan_count(argument)?;
        } else if flag(option, "MATCH") {
            filter.pattern = Some(argument);
        } else if flag(option, "TYPE") {
            filter.kind = Some(argument);
        } else {
            return Err(Error::SYNTAX);
        }
        options = rest;
    }
    Ok((filter, count))
}

/// How many keys or elements a step is to look at.
pub(super) fn scan_count(argument: &[u8]) -> Result<usize> {
    let number = usize::try_from(integer(argument)?).ok().filter(|number| *number > 0);
    number.ok_or(Error::SYNTAX)
}

/// Which keys are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl Filter<'_> {
    fn accepts(&self, scanned: &Scanned) -> bool {
        let matches = self.pattern.is_none_or(|pattern| glob::matches_in_walk(pattern, &scanned.key));
        matches && self.kind.is_none_or(|kind| flag(kind, scanned.kind.name()))
    }

    fn names(&self, keys: &[Scanned]) -> Reply {
        Reply::list(keys.iter().filter(|scanned| self.accepts(scanned)).map(|scanned| &scanned.key))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn cursors_are_read_as_redis_does() {
        for (text, expected) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("007", Some(7)),
            ("+5", Some(5)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            (" 1", None),
            ("1 ", None),
            ("x", None),
            ("+", None),
            ("-+1", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_walk_finds_every_key_once() {
        let mut fixture = Fixture::new();
        for number in 0..500 {
            fixture.run(&format!("set key:{number} x"));
        }
        let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
        loop {
            let Reply::Array(parts) = fixture.run(&format!("scan {cursor} count 7")) else {
                panic!("no array")
            };
            let [Reply::Text(next), Reply::Array(keys)] = &parts[..] else { panic!("{parts:?}") };
            found.extend(keys.iter().map(|key| format!("{key:?}")));
            cursor = next.clone().into_owned();
            if cursor == "0" {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 500);
    }

    #[test]
    fn keys_are_filtered_by_pattern_and_type() {
        Fixture::new().check(&[
            ("mset ab 1 '' 2", "+OK"),
            ("keys a*", "[$ab]"),
            ("keys ?", "[]"),
            ("scan 0 match a?", "[$0 [$ab]]"),
            ("scan 0 type STRING match ''", "[$0 [$]]"),
            ("scan 0 type list", "[$0 []]"),
            ("scan 281474976710656", "[$0 []]"),
            ("scan 0 count 0", "-ERR syntax error"),
            ("scan 0 count x", "-ERR value is not an integer or out of range"),
            ("scan 0 match", "-ERR syntax error"),
            ("scan x", "-ERR invalid cursor"),
        ]);
    }
}
