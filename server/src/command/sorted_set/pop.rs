//! Taking members from the ends of sorted sets, and waiting until there is one.

use crate::command::arguments::at_least;
use crate::command::blocking::{Block, keys_to_try, pop_or_wait, timeout_in_seconds};
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

/// The arguments of ZMPOP, and of BZMPOP behind its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MultiPop<'a, 'b> {
    keys: &'b [&'a [u8]],
    end: End,
    count: usize,
}

impl<'a, 'b> MultiPop<'a, 'b> {
    /// Reads `numkeys key [key ...] <MIN | MAX> [COUNT count]`.
    fn parse(args: &'b [&'a [u8]]) -> Result<Self> {
        let (number, rest) = args.split_first().ok_or(Error::SYNTAX)?;
        let number = at_least(1, number, "ERR numkeys should be greater than 0")?;
        let (keys, rest) = rest.split_at_checked(number).ok_or(Error::SYNTAX)?;
        let (end, options) = rest.split_first().ok_or(Error::SYNTAX)?;
        let end = End::parse(end)?;
        let count = match options {
            [] => 1,
            [option, count, rest @ ..] if flag(option, "COUNT") => {
                let count = at_least(1, count, "ERR count should be greater than 0")?;
                if rest.is_empty() { count } else { return Err(Error::SYNTAX) }
            }
            _ => return Err(Error::SYNTAX),
        };
        Ok(Self { keys, end, count })
    }

    /// Takes members from the first sorted set that there is; gives its name and pairs, in both versions of the protocol.
    fn run(&self, ctx: &mut Context<'_>) -> Result<Option<Reply>> {
        for key in &self.keys[keys_to_try(ctx.session, self.keys)] {
            if let Some(items) = pop(ctx, key, self.end, self.count)? {
                let pair = |(member, score): (&[u8], f64)| {
                    Reply::Array(vec![Reply::bytes(member), Reply::Double(score)])
                };
                let pairs = scored(&items).map(pair).collect();
                return Ok(Some(Reply::Array(vec![Reply::bytes(key), Reply::Array(pairs)])));
            }
        }
        Ok(None)
    }
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
    Ok(MultiPop::parse(&args[1..])?.run(ctx)?.unwrap_or(Reply::NullArray))
}

fn bzmpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    const FIRST_KEY: usize = 3;
    let request = MultiPop::parse(&args[2..])?;
    let timeout = timeout_in_seconds(args[1])?;
    let keys = FIRST_KEY..FIRST_KEY + request.keys.len();
    let block = || Outcome::Block(Box::new(Block::new(args, keys, Kind::SortedSet, timeout)));
    Ok(request.run(ctx)?.map_or_else(block, Outcome::Reply))
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
