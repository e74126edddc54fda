//! Taking members from the ends of sorted sets, and waiting until there is one.

use crate::command::arguments::at_least;
use crate::command::blocking::{multi_pop, multi_pop_or_wait, pop_or_wait};
use crate::command::{Command, Context, Error, Flags, Group, Outcome, Result, flag};
use crate::keyspace::{EventKind, events};
use crate::protocol::{Reply, Shape};
use crate::types::{Collection, Kind, SharedItems, SortedSetValue, scored};

const BLOCKING_POP: &[Flags] = &[Flags::WRITE, Flags::NOSCRIPT, Flags::BLOCKING, Flags::FAST];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::outcome("bzmpop", -5, bzmpop).flags(&[Flags::WRITE, Flags::BLOCKING]).counted_keys(2).docs(
        Group::SortedSet,
        "7.0.0",
        "O(K)+O(M*log(N)) where K is the number of keys and M the number of members removed",
        "Removes and returns members of the first of these sorted sets that has any, or waits for one.",
        "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
    ),
    Command::outcome("bzpopmax", -3, bzpopmax).flags(BLOCKING_POP).keys(1, -2, 1).docs(
        Group::SortedSet,
        "5.0.0",
        "O(log(N))",
        "Removes and returns the member with the highest score of the first of these sorted sets, or waits for one.",
        "key [key ...] timeout",
    ),
    Command::outcome("bzpopmin", -3, bzpopmin).flags(BLOCKING_POP).keys(1, -2, 1).docs(
        Group::SortedSet,
        "5.0.0",
        "O(log(N))",
        "Removes and returns the member with the lowest score of the first of these sorted sets, or waits for one.",
        "key [key ...] timeout",
    ),
    Command::new("zmpop", -4, zmpop).flags(&[Flags::WRITE]).counted_keys(1).docs(
        Group::SortedSet,
        "7.0.0",
        "O(K)+O(M*log(N)) where K is the number of keys and M the number of members removed",
        "Removes and returns members from an end of the first of these sorted sets that has any.",
        "numkeys key [key ...] <MIN | MAX> [COUNT count]",
    ),
    Command::new("zpopmax", -2, zpopmax).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "5.0.0",
        "O(M*log(N)) where M is the number of members removed",
        "Removes and returns the members of a sorted set with the highest scores.",
        "key [count]",
    ),
    Command::new("zpopmin", -2, zpopmin).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "5.0.0",
        "O(M*log(N)) where M is the number of members removed",
        "Removes and returns the members of a sorted set with the lowest scores.",
        "key [count]",
    ),
];

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

impl End {
    /// Reads `MIN` or `MAX`.
    fn parse(argument: &[u8]) -> Result<Self> {
        match argument {
            _ if flag(argument, "MIN") => Ok(Self::Min),
            _ if flag(argument, "MAX") => Ok(Self::Max),
            _ => Err(Error::SYNTAX),
        }
    }

    fn event(self) -> EventKind {
        match self {
            Self::Min => events::ZPOPMIN,
            Self::Max => events::ZPOPMAX,
        }
    }
}

/// Removes so many members from the end of a sorted set, and gives them with their scores; `None` if there is no key.
fn pop(ctx: &mut Context<'_>, key: &[u8], end: End, count: usize) -> Result<Option<SharedItems>> {
    let database = ctx.session.database;
    Ok(ctx.keyspace.update(database, key, end.event(), |set: &mut SortedSetValue, recorder| {
        let (len, count) = (set.len(), count.min(set.len()));
        let ranks = if end == End::Min { 0..count } else { len - count..len };
        set.take_ranks(ranks, end == End::Max, recorder)
    })?)
}

/// Removes the member at the end of a sorted set, and gives it, as a reply, with its score; `None` if there is no key.
fn pop_one(ctx: &mut Context<'_>, key: &[u8], end: End) -> Result<Option<[Reply; 2]>> {
    let database = ctx.session.database;
    let taken = ctx.keyspace.update(database, key, end.event(), |set: &mut SortedSetValue, recorder| {
        let rank = if end == End::Min { 0 } else { set.len().saturating_sub(1) };
        set.take_rank(rank, recorder)
    })?;
    Ok(taken.flatten().map(|(member, score)| [Reply::from(member), Reply::Double(score)]))
}

/// Takes members as ZMPOP gives them: pairs in both versions of the protocol.
fn pop_pairs(ctx: &mut Context<'_>, key: &[u8], end: End, count: usize) -> Result<Option<Reply>> {
    let pair = |(member, score): (&[u8], f64)| Reply::Array(vec![Reply::bytes(member), Reply::Double(score)]);
    let popped = pop(ctx, key, end, count)?;
    Ok(popped.map(|items| Reply::Array(scored(&items).map(pair).collect())))
}

fn zpopmin(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop_one_end(ctx, args, End::Min)
}

fn zpopmax(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop_one_end(ctx, args, End::Max)
}

fn pop_one_end(ctx: &mut Context<'_>, args: &[&[u8]], end: End) -> Result {
    match args[2..] {
        [] => Ok(Reply::Array(pop_one(ctx, args[1], end)?.into_iter().flatten().collect())),
        [count] => {
            let count = at_least(0, count, "ERR value is out of range, must be positive")?;
            let items = pop(ctx, args[1], end, count)?.unwrap_or_default();
            Ok(Reply::Items(Shape::Scored, items))
        }
        _ => Err(Error::SYNTAX),
    }
}

fn zmpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    multi_pop(ctx, args, End::parse, pop_pairs)
}

fn bzmpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    multi_pop_or_wait(ctx, args, Kind::SortedSet, End::parse, pop_pairs)
}

fn bzpopmin(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    pop_end_or_wait(ctx, args, End::Min)
}

fn bzpopmax(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    pop_end_or_wait(ctx, args, End::Max)
}

fn pop_end_or_wait(ctx: &mut Context<'_>, args: &[&[u8]], end: End) -> Result<Outcome> {
    pop_or_wait(ctx, args, Kind::SortedSet, |ctx, key| {
        let entry = |popped| Reply::Array([Reply::bytes(key)].into_iter().chain(popped).collect());
        Ok(pop_one(ctx, key, end)?.map(entry))
    })
}
