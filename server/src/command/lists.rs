//! Commands for lists: their elements in place. `list_pops` has those that take elements out.

use std::ops::Range;

use super::arguments::at_least;
use super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::keyspace::events;
use crate::protocol::{Reply, Shape};
use crate::types::{Collection, End, ListValue, Recorder};

const PUSH: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("lpush", -3, lpush).flags(PUSH).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(1) for each element",
        "Adds elements at the left of a list, one after the other; creates the list if there is none.",
        "key element [element ...]",
    ),
    Command::new("rpush", -3, rpush).flags(PUSH).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(1) for each element",
        "Adds elements at the right of a list; creates the list if there is none.",
        "key element [element ...]",
    ),
    Command::new("lpushx", -3, lpushx).flags(PUSH).keys(1, 1, 1).docs(
        Group::List,
        "2.2.0",
        "O(1) for each element",
        "Adds elements at the left of a list if there is one.",
        "key element [element ...]",
    ),
    Command::new("rpushx", -3, rpushx).flags(PUSH).keys(1, 1, 1).docs(
        Group::List,
        "2.2.0",
        "O(1) for each element",
        "Adds elements at the right of a list if there is one.",
        "key element [element ...]",
    ),
    Command::new("llen", 2, llen).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(1)",
        "Returns the length of a list.",
        "key",
    ),
    Command::new("lindex", 3, lindex).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(log N) where N is the length of the list",
        "Returns the element at an index of a list.",
        "key index",
    ),
    Command::new("lset", 4, lset).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(log N) where N is the length of the list",
        "Replaces the element at an index of a list.",
        "key index element",
    ),
    Command::new("linsert", 5, linsert).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::List,
        "2.2.0",
        "O(N) where N is the number of elements up to the pivot",
        "Inserts an element before or after the first one that is equal to another.",
        "key <BEFORE | AFTER> pivot element",
    ),
    Command::new("lrange", 4, lrange).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(log N + M) where N is the length of the list and M the number of elements returned",
        "Returns a range of elements of a list.",
        "key start stop",
    ),
    Command::new("lrem", 4, lrem).flags(&[Flags::WRITE]).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(N + M log N) where N is the length of the list and M the number of elements removed",
        "Removes elements equal to another: the first ones, the last ones, or all.",
        "key count element",
    ),
    Command::new("ltrim", 4, ltrim).flags(&[Flags::WRITE]).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(M) where M is the number of elements removed, of which each block counts as one",
        "Removes all elements that are not in a range.",
        "key start stop",
    ),
    Command::new("lpos", -3, lpos).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::List,
        "6.0.6",
        "O(N) where N is the number of elements that are looked at",
        "Returns the indexes of elements equal to another.",
        "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    ),
];

fn lpush(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push(ctx, args, End::Left)
}

fn rpush(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push(ctx, args, End::Right)
}

fn push(ctx: &mut Context<'_>, args: &[&[u8]], end: End) -> Result {
    let event = if end == End::Left { events::LPUSH } else { events::RPUSH };
    let len = ctx.keyspace.update_or_create(
        ctx.session.database,
        args[1],
        event,
        |list: &mut ListValue, recorder| {
            list.push(end, &args[2..], recorder);
            list.len()
        },
    )?;
    Ok(len.into())
}

fn lpushx(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push_if_there(ctx, args, End::Left)
}

fn rpushx(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push_if_there(ctx, args, End::Right)
}

fn push_if_there(ctx: &mut Context<'_>, args: &[&[u8]], end: End) -> Result {
    let list = ctx.keyspace.peek_as::<ListValue>(ctx.session.database, args[1])?;
    if list.is_some() { push(ctx, args, end) } else { Ok(Reply::Integer(0)) }
}

fn llen(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let list = ctx.keyspace.get_as::<ListValue>(ctx.session.database, args[1])?;
    Ok(list.map_or(0, Collection::len).into())
}

/// The place of an index, of which those below zero count from the end; `None` if it is before the start.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok()
}

/// The places between two indexes, both included.
fn places(start: i64, stop: i64, len: usize) -> Range<usize> {
    let end = place(stop, len).map_or(0, |stop| stop.saturating_add(1)).min(len);
    let start = place(start, len).unwrap_or(0);
    if start < end { start..end } else { 0..0 }
}

fn lindex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let Some(list) = ctx.keyspace.get_as::<ListValue>(ctx.session.database, args[1])? else {
        return Ok(Reply::Null);
    };
    let place = place(integer(args[2])?, list.len());
    Ok(place.and_then(|place| list.get(place)).map_or(Reply::Null, Reply::bytes))
}

fn lset(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    const OUT_OF_RANGE: Error = Error::text("ERR index out of range");
    let (database, key) = (ctx.session.database, args[1]);
    let len = ctx.keyspace.peek_as::<ListValue>(database, key)?.ok_or(Error::NO_SUCH_KEY)?.len();
    let place = place(integer(args[2])?, len).ok_or(OUT_OF_RANGE)?;
    let set = |list: &mut ListValue, recorder: &mut dyn Recorder| list.set(place, args[3], recorder);
    let is_set = ctx.keyspace.update(database, key, events::LSET, set)?;
    if is_set == Some(true) { Ok(Reply::OK) } else { Err(OUT_OF_RANGE) }
}

fn linsert(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    const NO_PIVOT: Reply = Reply::Integer(-1);
    let behind = match args[2] {
        side if flag(side, "BEFORE") => 0,
        side if flag(side, "AFTER") => 1,
        _ => return Err(Error::SYNTAX),
    };
    let (pivot, element) = (args[3], args[4]);
    let insert = |list: &mut ListValue, recorder: &mut dyn Recorder| {
        let Some(found) = list.iter().position(|item| item == pivot) else { return NO_PIVOT };
        list.insert(found + behind, element, recorder);
        list.len().into()
    };
    let reply = ctx.keyspace.update(ctx.session.database, args[1], events::LINSERT, insert)?;
    Ok(reply.unwrap_or(Reply::Integer(0)))
}

fn lrange(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let Some(list) = ctx.keyspace.get_as::<ListValue>(ctx.session.database, args[1])? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let places = places(start, stop, list.len());
    Ok(Reply::Items(Shape::Array, list.range(places.start, places.len())))
}

fn lrem(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (count, value) = (integer(args[2])?, args[3]);
    let limit = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let remove = |list: &mut ListValue, recorder: &mut dyn Recorder| {
        let mut start = 0;
        if count < 0 {
            let matches = list.iter_back().enumerate().filter(|(_, item)| *item == value);
            let Some((from_right, _)) = matches.take(limit).last() else { return 0 };
            start = list.len() - 1 - from_right;
        }
        list.remove_equal(value, start, limit, recorder)
    };
    let removed = ctx.keyspace.update(ctx.session.database, args[1], events::LREM, remove)?;
    Ok(removed.unwrap_or(0).into())
}

fn ltrim(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (start, stop) = (integer(args[2])?, integer(args[3])?);
    let trim = |list: &mut ListValue, recorder: &mut dyn Recorder| {
        list.trim(places(start, stop, list.len()), recorder);
    };
    ctx.keyspace.update(ctx.session.database, args[1], events::LTRIM, trim)?;
    Ok(Reply::OK)
}

/// Which indexes LPOS is to return.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// From which match on, counted from 1; those below zero from the right.
    rank: i64,
    /// How many matches; 0 is all. `None` asks for a single one.
    count: Option<usize>,
    /// How many elements may be looked at; 0 is all.
    max_len: usize,
}

impl Wanted {
    fn parse(mut options: &[&[u8]]) -> Result<Self> {
        let mut wanted = Self { rank: 1, count: None, max_len: 0 };
        while let [option, rest @ ..] = options {
            let [argument, rest @ ..] = rest else { return Err(Error::SYNTAX) };
            match option {
                _ if flag(option, "RANK") => wanted.rank = rank(argument)?,
                _ if flag(option, "COUNT") => {
                    wanted.count = Some(at_least(0, argument, "ERR COUNT can't be negative")?);
                }
                _ if flag(option, "MAXLEN") => {
                    wanted.max_len = at_least(0, argument, "ERR MAXLEN can't be negative")?;
                }
                _ => return Err(Error::SYNTAX),
            }
            options = rest;
        }
        Ok(wanted)
    }

    /// The indexes of the matches in a list.
    fn find(&self, list: &ListValue, value: &[u8]) -> Vec<usize> {
        let bound = |number: usize| if number == 0 { usize::MAX } else { number };
        let skipped = self.rank.unsigned_abs() as usize - 1;
        let (count, max_len) = (bound(self.count.unwrap_or(1)), bound(self.max_len));
        let is_match = |(place, item): (usize, &[u8])| (item == value).then_some(place);
        if self.rank > 0 {
            let found = list.iter().enumerate().take(max_len).filter_map(is_match);
            found.skip(skipped).take(count).collect()
        } else {
            let found = list.iter_back().enumerate().take(max_len).filter_map(is_match);
            found.skip(skipped).take(count).map(|from_right| list.len() - 1 - from_right).collect()
        }
    }
}

fn rank(argument: &[u8]) -> Result<i64> {
    match integer(argument)? {
        0 => Err(Error::text(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
             from the end of the list",
        )),
        i64::MIN => Err(Error::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        rank => Ok(rank),
    }
}

fn lpos(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let wanted = Wanted::parse(&args[3..])?;
    let list = ctx.keyspace.get_as::<ListValue>(ctx.session.database, args[1])?;
    let found = list.map_or_else(Vec::new, |list| wanted.find(list, args[2]));
    Ok(match wanted.count {
        Some(_) => Reply::Array(found.into_iter().map(Into::into).collect()),
        None => found.first().copied().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn indexes_are_counted_from_both_ends() {
        for (start, stop, expected) in [
            (0, -1, 0..5),
            (1, 3, 1..4),
            (-3, -2, 2..4),
            (-100, 0, 0..1),
            (4, 100, 4..5),
            (5, 9, 0..0),
            (3, 2, 0..0),
            (-1, -100, 0..0),
            (i64::MIN, i64::MAX, 0..5),
        ] {
            assert_eq!(places(start, stop, 5), expected, "{start} {stop}");
        }
    }

    #[test]
    fn elements_are_pushed_read_and_replaced() {
        Fixture::new().check(&[
            ("rpush l b c", ":2"),
            ("lpush l a z", ":4"),
            ("lrange l 0 -1", "[$z $a $b $c]"),
            ("lrange l -2 100", "[$b $c]"),
            ("lrange none 0 -1", "[]"),
            ("lrange none 0 x", "-ERR value is not an integer or out of range"),
            ("llen l", ":4"),
            ("llen none", ":0"),
            ("lindex l -1", "$c"),
            ("lindex l 4", "nil"),
            ("lindex l -5", "nil"),
            ("lindex none x", "nil"),
            ("lindex l x", "-ERR value is not an integer or out of range"),
            ("lset l -4 Z", "+OK"),
            ("lset l 4 x", "-ERR index out of range"),
            ("lset none x x", "-ERR no such key"),
            ("lindex l 0", "$Z"),
            ("lpushx none a", ":0"),
            ("exists none", ":0"),
            ("rpushx l d e", ":6"),
            ("lpushx l y", ":7"),
            ("object encoding l", "$listpack"),
            ("type l", "+list"),
        ]);
    }

    #[test]
    fn elements_are_found_inserted_and_removed() {
        Fixture::new().check(&[
            ("rpush l a b c b d b", ":6"),
            ("linsert l before b x", ":7"),
            ("linsert l AFTER b y", ":8"),
            ("linsert l after none y", ":-1"),
            ("linsert none after a y", ":0"),
            ("linsert none beside a y", "-ERR syntax error"),
            ("lrange l 0 -1", "[$a $x $b $y $c $b $d $b]"),
            ("lpos l b", ":2"),
            ("lpos l b rank -1", ":7"),
            ("lpos l b rank -9223372036854775807", "nil"),
            (
                "lpos l b rank -9223372036854775808",
                "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ),
            ("lpos l b rank 2 count 0", "[:5 :7]"),
            ("lpos l b rank -2 count 2", "[:5 :2]"),
            ("lpos l b count 0 maxlen 3", "[:2]"),
            ("lpos l none", "nil"),
            ("lpos none b count 1", "[]"),
            ("lpos none b count -1", "-ERR COUNT can't be negative"),
            ("lpos l b maxlen x", "-ERR MAXLEN can't be negative"),
            ("lpos l b rank", "-ERR syntax error"),
            ("lrem l -2 b", ":2"),
            ("lrange l 0 -1", "[$a $x $b $y $c $d]"),
            ("lrem l 0 none", ":0"),
            ("ltrim l 1 -2", "+OK"),
            ("lrange l 0 -1", "[$x $b $y $c]"),
            ("ltrim l 4 2", "+OK"),
            ("exists l", ":0"),
            ("ltrim l 0 0", "+OK"),
            ("rpush l a a", ":2"),
            ("lrem l 9 a", ":2"),
            ("exists l", ":0"),
        ]);
    }

    #[test]
    fn a_key_of_another_type_is_refused_before_anything_changes() {
        let mut fixture = Fixture::new();
        fixture.check(&[("set s x", "+OK")]);
        for request in [
            "lpush s a",
            "rpushx s a",
            "llen s",
            "lindex s 0",
            "lset s 0 a",
            "linsert s before a b",
            "lrange s 0 1",
            "lrem s 0 a",
            "ltrim s 0 0",
            "lpos s a",
        ] {
            fixture.check(&[(request, "-WRONGTYPE Operation against a key holding the wrong kind of value")]);
        }
        fixture.check(&[
            ("rpush l x", ":1"),
            ("incr l", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ]);
    }

    #[test]
    fn changes_raise_the_events_of_redis() {
        let mut fixture = Fixture::new();
        fixture.check_events("rpush l a b c", &["0 new l", "0 rpush l"]);
        fixture.check_events("lpushx l z", &["0 lpush l"]);
        fixture.check_events("lset l 0 z", &["0 lset l"]);
        fixture.check_events("linsert l before a y", &["0 linsert l"]);
        fixture.check_events("linsert l before none y", &[]);
        fixture.check_events("lrem l 1 y", &["0 lrem l"]);
        fixture.check_events("lrem l 1 y", &[]);
        fixture.check_events("ltrim l 0 -1", &["0 ltrim l"]);
        fixture.check_events("ltrim l 5 6", &["0 ltrim l", "0 del l"]);
        fixture.check_events("ltrim l 5 6", &[]);
        fixture.check_events("llen l", &["0 keymiss l"]);
        fixture.check_events("lrem l 0 a", &[]);
    }
}
