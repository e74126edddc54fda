//! Sorted set commands: reading and changing single members here, the rest by theme.
//!
//! `add` has ZADD, `interval` says which members a range means, `range` reads, stores and removes ranges, `pop` takes
//! members from an end, `random` picks some, `combine` has unions, intersections and differences.

pub(super) mod add;
pub(super) mod combine;
mod interval;
pub(super) mod pop;
pub(super) mod random;
pub(super) mod range;

#[cfg(test)]
mod tests;

pub(super) use add::{AddOptions, add};

use super::element_scan::{ElementScan, scan_reply};
use super::{Command, Context, Error, Flags, Group, Result, flag, scan, set_or_delete};
use crate::keyspace::{EventKind, events};
use crate::options::Options;
use crate::protocol::{Reply, Shape};
use crate::types::{
    Collection, CopiedItems, PackedLimits, SharedItems, SortedSetValue, format_float, members,
};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("zcard", 2, zcard).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.2.0",
        "O(1)",
        "Returns how many members a sorted set has.",
        "key",
    ),
    Command::new("zmscore", -3, zmscore).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "6.2.0",
        "O(M*log(N)) where M is the number of members asked for",
        "Returns the scores of members of a sorted set.",
        "key member [member ...]",
    ),
    Command::new("zrank", -3, zrank).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.0.0",
        "O(log(N))",
        "Returns how many members of a sorted set come before one.",
        "key member [WITHSCORE]",
    ),
    Command::new("zrem", -3, zrem).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.2.0",
        "O(M*log(N)) where M is the number of members to be removed",
        "Removes members from a sorted set.",
        "key member [member ...]",
    ),
    Command::new("zrevrank", -3, zrevrank).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.0.0",
        "O(log(N))",
        "Returns how many members of a sorted set come after it.",
        "key member [WITHSCORE]",
    ),
    Command::new("zscan", -3, zscan).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.8.0",
        "O(1) for a call, O(N) for a whole walk over N members",
        "Walks the members of a sorted set in steps: one that is there all the time is found.",
        "key cursor [MATCH pattern] [COUNT count]",
    ),
    Command::new("zscore", 3, zscore).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.2.0",
        "O(log(N))",
        "Returns the score of a member of a sorted set.",
        "key member",
    ),
];

/// Up to where sorted sets are kept in a single block.
pub(super) fn packed_limits(ctx: &Context<'_>) -> PackedLimits {
    limits(&ctx.server.options)
}

/// As [`packed_limits`], of any options.
pub(super) fn limits(options: &Options) -> PackedLimits {
    PackedLimits {
        entries: options.zset_max_listpack_entries as usize,
        element_bytes: options.zset_max_listpack_value as usize,
    }
}

/// The sorted set at a key that a command reads.
pub(super) fn read<'a>(ctx: &'a mut Context<'_>, key: &[u8]) -> Result<Option<&'a SortedSetValue>> {
    Ok(ctx.keyspace.get_as(ctx.session.database, key)?)
}

/// Members with their scores or without.
fn reply(items: SharedItems, with_scores: bool) -> Reply {
    if with_scores { Reply::Items(Shape::Scored, items) } else { Reply::Items(Shape::Array, members(items)) }
}

/// Stores a sorted set of these scores and members in the place of whatever the key holds, which goes if there are
/// none; answers how many there are.
pub(super) fn store(
    ctx: &mut Context<'_>,
    key: &[u8],
    entries: &mut [(f64, &[u8])],
    event: EventKind,
) -> Result {
    let set = SortedSetValue::from_entries(entries, packed_limits(ctx));
    set_or_delete(ctx, key, set.into(), event)
}

fn zcard(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(read(ctx, args[1])?.map_or(0, SortedSetValue::len).into())
}

fn zscore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let score = read(ctx, args[1])?.and_then(|set| set.score(args[2]));
    Ok(score.map_or(Reply::Null, Reply::Double))
}

fn zmscore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let set = read(ctx, args[1])?;
    let score = |member: &&[u8]| set.and_then(|set| set.score(member)).map_or(Reply::Null, Reply::Double);
    Ok(Reply::Array(args[2..].iter().map(score).collect()))
}

fn zrank(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    rank(ctx, args, |_, rank| rank)
}

fn zrevrank(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    rank(ctx, args, |len, rank| len - 1 - rank)
}

fn rank(ctx: &mut Context<'_>, args: &[&[u8]], count: fn(usize, usize) -> usize) -> Result {
    let with_score = match args[3..] {
        [] => false,
        [option] if flag(option, "WITHSCORE") => true,
        [_] => return Err(Error::SYNTAX),
        _ => return Err(Error::wrong_arity(&String::from_utf8_lossy(args[0]).to_lowercase())),
    };
    let found = read(ctx, args[1])?.and_then(|set| {
        let score = set.score(args[2])?;
        Some((count(set.len(), set.rank(args[2], score)), score))
    });
    Ok(match found {
        Some((rank, score)) if with_score => Reply::Array(vec![rank.into(), Reply::Double(score)]),
        Some((rank, _)) => rank.into(),
        None if with_score => Reply::NullArray,
        None => Reply::Null,
    })
}

fn zrem(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let database = ctx.session.database;
    let removed =
        ctx.keyspace.update(database, args[1], events::ZREM, |set: &mut SortedSetValue, recorder| {
            args[2..].iter().filter(|member| set.remove(member, recorder)).count()
        })?;
    Ok(removed.unwrap_or(0).into())
}

fn zscan(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let cursor = scan::cursor(args[2])?;
    let Some(set) = read(ctx, args[1])? else { return Ok(scan_reply(0, SharedItems::default())) };
    let options = ElementScan::parse(&args[3..], false)?;
    let mut found = CopiedItems::default();
    let next = set.scan(cursor, options.count, |member, score| {
        if options.wants(member) {
            found.push(member);
            found.push(format_float(score).as_bytes());
        }
    });
    Ok(scan_reply(next, found))
}
