//! Taking members from the ends of sorted sets.

use crate::command::arguments::at_least;
use crate::command::{Command, Context, Error, Flags, Group, Result, flag};
use crate::keyspace::{EventKind, events};
use crate::protocol::{Reply, Shape};
use crate::types::{Collection, SharedItems, SortedSetValue, scored};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
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
pub enum End {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

impl End {
    /// Reads `MIN` or `MAX`.
    pub fn parse(argument: &[u8]) -> Result<Self> {
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
pub fn pop(ctx: &mut Context<'_>, key: &[u8], end: End, count: usize) -> Result<Option<SharedItems>> {
    let database = ctx.session.database;
    Ok(ctx.keyspace.update(database, key, end.event(), |set: &mut SortedSetValue, recorder| {
        let (len, count) = (set.len(), count.min(set.len()));
        let ranks = if end == End::Min { 0..count } else { len - count..len };
        let items = set.items(ranks.clone(), end == End::Max);
        set.remove_ranks(ranks, recorder);
        items
    })?)
}

/// The sorted set and the end that ZMPOP and its relatives name, and how many members they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Popped<'a, 'b> {
    /// Where to look, in this order.
    pub keys: &'b [&'a [u8]],
    /// Which members to take.
    pub end: End,
    /// How many.
    pub count: usize,
}

impl<'a, 'b> Popped<'a, 'b> {
    /// Reads `numkeys key [key ...] <MIN | MAX> [COUNT count]`.
    pub fn parse(args: &'b [&'a [u8]]) -> Result<Self> {
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
}

fn zpopmin(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop_one_end(ctx, args, End::Min)
}

fn zpopmax(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop_one_end(ctx, args, End::Max)
}

fn pop_one_end(ctx: &mut Context<'_>, args: &[&[u8]], end: End) -> Result {
    let count = match args[2..] {
        [] => None,
        [count] => Some(at_least(0, count, "ERR value is out of range, must be positive")?),
        _ => return Err(Error::SYNTAX),
    };
    let items = pop(ctx, args[1], end, count.unwrap_or(1))?.unwrap_or_default();
    if count.is_some() {
        return Ok(Reply::Items(Shape::Scored, items));
    }
    // A single member is no pair in RESP3 either.
    let flat = scored(&items).flat_map(|(member, score)| [Reply::bytes(member), Reply::Double(score)]);
    Ok(Reply::Array(flat.collect()))
}

fn zmpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let popped = Popped::parse(&args[1..])?;
    Ok(pop_first(ctx, popped)?.unwrap_or(Reply::NullArray))
}

/// Takes members from the first key that exists; answers its name and their pairs.
pub fn pop_first(ctx: &mut Context<'_>, popped: Popped<'_, '_>) -> Result<Option<Reply>> {
    for key in popped.keys {
        if let Some(items) = pop(ctx, key, popped.end, popped.count)? {
            let pairs = scored(&items)
                .map(|(member, score)| Reply::Array(vec![Reply::bytes(member), Reply::Double(score)]));
            return Ok(Some(Reply::Array(vec![Reply::bytes(key), Reply::Array(pairs.collect())])));
        }
    }
    Ok(None)
}
