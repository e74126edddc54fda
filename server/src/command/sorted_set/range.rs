//! Ranges of sorted sets: reading, counting, storing and removing them.

use std::ops::Range;

use crate::command::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::keyspace::{EventKind, events};
use crate::types::{SharedItems, SortedSetValue, scored};

use super::interval::{By, Interval};
use super::{read, reply, store};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("zcount", 4, zcount).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.0.0",
        "O(log(N))",
        "Counts the members of a sorted set whose scores are in a range.",
        "key min max",
    ),
    Command::new("zlexcount", 4, zlexcount).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.8.9",
        "O(log(N))",
        "Counts the members of a sorted set that are in a range, where all have the same score.",
        "key min max",
    ),
    Command::new("zrange", -4, zrange).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.2.0",
        "O(log(N)+M) where M is the number of members returned",
        "Returns the members of a sorted set in a range of ranks, scores or members.",
        "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    ),
    Command::new("zrangebylex", -4, zrangebylex).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.8.9",
        "O(log(N)+M) where M is the number of members returned",
        "Returns the members of a sorted set in a range of members.",
        "key min max [LIMIT offset count]",
    ),
    Command::new("zrangebyscore", -4, zrangebyscore).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.0.5",
        "O(log(N)+M) where M is the number of members returned",
        "Returns the members of a sorted set in a range of scores.",
        "key min max [WITHSCORES] [LIMIT offset count]",
    ),
    Command::new("zrangestore", -5, zrangestore).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 2, 1).docs(
        Group::SortedSet,
        "6.2.0",
        "O(log(N)+M*log(M)) where M is the number of members stored",
        "Stores the members of a sorted set that are in a range.",
        "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
    ),
    Command::new("zremrangebylex", 4, zremrangebylex).flags(&[Flags::WRITE]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.8.9",
        "O(log(N)+M*log(N)) where M is the number of members removed",
        "Removes the members of a sorted set in a range of members.",
        "key min max",
    ),
    Command::new("zremrangebyrank", 4, zremrangebyrank).flags(&[Flags::WRITE]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.0.0",
        "O(log(N)+M*log(N)) where M is the number of members removed",
        "Removes the members of a sorted set in a range of ranks.",
        "key start stop",
    ),
    Command::new("zremrangebyscore", 4, zremrangebyscore).flags(&[Flags::WRITE]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.2.0",
        "O(log(N)+M*log(N)) where M is the number of members removed",
        "Removes the members of a sorted set in a range of scores.",
        "key min max",
    ),
    Command::new("zrevrange", -4, zrevrange).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.2.0",
        "O(log(N)+M) where M is the number of members returned",
        "Returns the members of a sorted set in a range of ranks, the last one first.",
        "key start stop [WITHSCORES]",
    ),
    Command::new("zrevrangebylex", -4, zrevrangebylex).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.8.9",
        "O(log(N)+M) where M is the number of members returned",
        "Returns the members of a sorted set in a range of members, the last one first.",
        "key max min [LIMIT offset count]",
    ),
    Command::new("zrevrangebyscore", -4, zrevrangebyscore).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "2.2.0",
        "O(log(N)+M) where M is the number of members returned",
        "Returns the members of a sorted set in a range of scores, the last one first.",
        "key max min [WITHSCORES] [LIMIT offset count]",
    ),
];

/// What the name of a command says of its range; the options say the rest.
#[derive(Clone, Copy, Debug, Default)]
struct Fixed {
    by: Option<By>,
    reverse: Option<bool>,
    stores: bool,
}

impl Fixed {
    fn new(by: By, reverse: bool) -> Self {
        Self { by: Some(by), reverse: Some(reverse), stores: false }
    }
}

/// A range with all its options.
#[derive(Clone, Copy, Debug)]
struct Query<'a> {
    interval: Interval<'a>,
    reverse: bool,
    /// How many members to skip and to give; below zero, none and all.
    limit: Option<(i64, i64)>,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// Reads a start, a stop and options.
    fn parse(args: &[&'a [u8]], fixed: Fixed) -> Result<Self> {
        let (Fixed { mut by, mut reverse, stores }, mut options) = (fixed, &args[2..]);
        let (mut limit, mut with_scores) = (None, false);
        while let [option, rest @ ..] = options {
            options = rest;
            match rest {
                _ if !stores && flag(option, "WITHSCORES") => with_scores = true,
                [offset, count, rest @ ..] if flag(option, "LIMIT") => {
                    limit = Some((integer(offset)?, integer(count)?));
                    options = rest;
                }
                _ if reverse.is_none() && flag(option, "REV") => reverse = Some(true),
                _ if by.is_none() && flag(option, "BYLEX") => by = Some(By::Lex),
                _ if by.is_none() && flag(option, "BYSCORE") => by = Some(By::Score),
                _ => return Err(Error::SYNTAX),
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if by == By::Rank && limit.is_some_and(|(_, count)| count != -1) {
            return Err(Error::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if by == By::Lex && with_scores {
            return Err(Error::text("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let limit = limit.filter(|_| by != By::Rank);
        let (first, last) = if reverse && by != By::Rank { (args[1], args[0]) } else { (args[0], args[1]) };
        Ok(Self { interval: Interval::parse(by, first, last)?, reverse, limit, with_scores })
    }

    /// The ranks of the members, the offset and the count of a limit applied.
    fn ranks(&self, set: &SortedSetValue) -> Range<usize> {
        let ranks = self.interval.ranks(set, self.reverse);
        let Some((offset, count)) = self.limit else { return ranks };
        // Below zero, nothing is left, as in Redis.
        let skipped = usize::try_from(offset).map_or(ranks.len(), |offset| offset.min(ranks.len()));
        let left = ranks.len() - skipped;
        let count = usize::try_from(count).map_or(left, |count| count.min(left));
        if self.reverse {
            let end = ranks.end - skipped;
            end - count..end
        } else {
            let start = ranks.start + skipped;
            start..start + count
        }
    }

    fn items(&self, set: &SortedSetValue) -> SharedItems {
        set.items(self.ranks(set), self.reverse)
    }
}

fn zrange(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Fixed::default())
}

fn zrevrange(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Fixed::new(By::Rank, true))
}

fn zrangebyscore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Fixed::new(By::Score, false))
}

fn zrevrangebyscore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Fixed::new(By::Score, true))
}

fn zrangebylex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Fixed::new(By::Lex, false))
}

fn zrevrangebylex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Fixed::new(By::Lex, true))
}

fn range(ctx: &mut Context<'_>, args: &[&[u8]], fixed: Fixed) -> Result {
    let query = Query::parse(&args[2..], fixed)?;
    let items = read(ctx, args[1])?.map_or_else(SharedItems::default, |set| query.items(set));
    Ok(reply(items, query.with_scores))
}

fn zrangestore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let query = Query::parse(&args[3..], Fixed { stores: true, ..Fixed::default() })?;
    let items = read(ctx, args[2])?.map_or_else(SharedItems::default, |set| query.items(set));
    let mut entries: Vec<_> = scored(&items).map(|(member, score)| (score, member)).collect();
    store(ctx, args[1], &mut entries, events::ZRANGESTORE)
}

fn zcount(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    count(ctx, args, By::Score)
}

fn zlexcount(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    count(ctx, args, By::Lex)
}

fn count(ctx: &mut Context<'_>, args: &[&[u8]], by: By) -> Result {
    let interval = Interval::parse(by, args[2], args[3])?;
    Ok(read(ctx, args[1])?.map_or(0, |set| interval.ranks(set, false).len()).into())
}

fn zremrangebyrank(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    remove(ctx, args, By::Rank, events::ZREMRANGEBYRANK)
}

fn zremrangebyscore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    remove(ctx, args, By::Score, events::ZREMRANGEBYSCORE)
}

fn zremrangebylex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    remove(ctx, args, By::Lex, events::ZREMRANGEBYLEX)
}

fn remove(ctx: &mut Context<'_>, args: &[&[u8]], by: By, event: EventKind) -> Result {
    let interval = Interval::parse(by, args[2], args[3])?;
    let database = ctx.session.database;
    let removed = ctx.keyspace.update(database, args[1], event, |set: &mut SortedSetValue, recorder| {
        let ranks = interval.ranks(set, false);
        let count = ranks.len();
        let _ = set.take_ranks(ranks, false, recorder);
        count
    })?;
    Ok(removed.unwrap_or(0).into())
}
