//! ZADD and ZINCRBY.

use crate::command::{Command, Context, Error, Flags, Group, Result, flag};
use crate::keyspace::events;
use crate::protocol::Reply;
use crate::types::{SortedSetValue, parse_float};

use super::packed_limits;

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("zadd", -4, zadd).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "1.2.0",
        "O(log(N)) for each member",
        "Adds members to a sorted set, or changes their scores.",
        "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
    ),
    Command::new("zincrby", 4, zincrby)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(1, 1, 1)
        .docs(
            Group::SortedSet,
            "1.2.0",
            "O(log(N))",
            "Adds to the score of a member of a sorted set.",
            "key increment member",
        ),
];

const NAN_SCORE: Error = Error::text("ERR resulting score is not a number (NaN)");

/// Which members ZADD changes, and what it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the options of the command, which go together in many ways"
)]
pub struct AddOptions {
    /// Only members that are not there.
    pub nx: bool,
    /// Only members that are there.
    pub xx: bool,
    /// Only members that get a higher score.
    pub gt: bool,
    /// Only members that get a lower score.
    pub lt: bool,
    /// Count members that are changed, too.
    pub ch: bool,
    /// Add to the score, and answer it.
    pub incr: bool,
}

impl AddOptions {
    /// Takes the options from the front of the arguments.
    fn parse<'a, 'b>(mut args: &'b [&'a [u8]]) -> (Self, &'b [&'a [u8]]) {
        let mut options = Self::default();
        while let [option, rest @ ..] = args {
            match option {
                _ if flag(option, "NX") => options.nx = true,
                _ if flag(option, "XX") => options.xx = true,
                _ if flag(option, "GT") => options.gt = true,
                _ if flag(option, "LT") => options.lt = true,
                _ if flag(option, "CH") => options.ch = true,
                _ if flag(option, "INCR") => options.incr = true,
                _ => break,
            }
            args = rest;
        }
        (options, args)
    }

    fn check(self, members: usize) -> Result<()> {
        if self.nx && self.xx {
            return Err(Error::text("ERR XX and NX options at the same time are not compatible"));
        }
        if (self.nx && (self.gt || self.lt)) || (self.gt && self.lt) {
            return Err(Error::text("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.incr && members > 1 {
            return Err(Error::text("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The new score of a member; `None` if it keeps what it has.
    fn decide(self, before: Option<f64>, given: f64) -> Option<f64> {
        let Some(before) = before else { return (!self.xx).then_some(given) };
        let after = if self.incr { before + given } else { given };
        let is_unwanted = self.nx || self.gt && after <= before || self.lt && after >= before;
        (!is_unwanted).then_some(after)
    }
}

fn score(argument: &[u8]) -> Result<f64> {
    parse_float(argument).ok_or(Error::NOT_A_FLOAT)
}

fn zadd(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (options, pairs) = AddOptions::parse(&args[2..]);
    let (pairs, odd) = pairs.as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return Err(Error::SYNTAX);
    }
    options.check(pairs.len())?;
    if let [[given, member]] = pairs {
        return add(ctx, args[1], options, &[(score(given)?, *member)]);
    }
    let entries = pairs.iter().map(|[given, member]| Ok((score(given)?, *member)));
    add(ctx, args[1], options, &entries.collect::<Result<Vec<_>>>()?)
}

fn zincrby(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let options = AddOptions { incr: true, ..AddOptions::default() };
    add(ctx, args[1], options, &[(score(args[2])?, args[3])])
}

/// What became of the members.
#[derive(Default)]
struct Added {
    new: usize,
    changed: usize,
    /// The score of the last one, if it has been given one.
    score: Option<f64>,
    nan: bool,
}

/// Adds members with their scores, or changes them.
pub fn add(ctx: &mut Context<'_>, key: &[u8], options: AddOptions, entries: &[(f64, &[u8])]) -> Result {
    let (database, limits) = (ctx.session.database, packed_limits(ctx));
    let event = if options.incr { events::ZINCR } else { events::ZADD };
    let outcome =
        ctx.keyspace.update_or_create(database, key, event, |set: &mut SortedSetValue, recorder| {
            let mut outcome = Added::default();
            for (given, member) in entries {
                let mut after = None;
                let before = set.update(member, limits, recorder, |before| {
                    after = options.decide(before, *given);
                    after
                });
                outcome.nan |= after.is_some_and(f64::is_nan);
                outcome.score = after;
                outcome.new += usize::from(before.is_none() && after.is_some());
                outcome.changed +=
                    usize::from(before.is_some() && after.is_some_and(|after| before != Some(after)));
            }
            outcome
        })?;
    match outcome {
        // Only a sum can be, and there is only one: so nothing has changed.
        Added { nan: true, .. } => Err(NAN_SCORE),
        Added { score, .. } if options.incr => Ok(score.map_or(Reply::Null, Reply::Double)),
        Added { new, changed, .. } if options.ch => Ok((new + changed).into()),
        Added { new, .. } => Ok(new.into()),
    }
}
