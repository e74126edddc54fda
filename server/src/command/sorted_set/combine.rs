//! Unions, intersections and differences of sorted sets and sets.

use std::collections::HashMap;

use crate::command::arguments::cardinality_limit;
use crate::command::set_algebra::is_soonest_removed;
use crate::command::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::keyspace::events;
use crate::protocol::Reply;
use crate::types::{
    Collection, SetValue, SharedItems, SortedSetValue, Value, parse_float, scored, scored_items, sorted_items,
};

use super::{reply, store};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("zdiff", -3, zdiff).flags(&[Flags::READONLY]).counted_keys(1).docs(
        Group::SortedSet,
        "6.2.0",
        "O(N*K*log(N)) where N is the size of the first set and K the number of sets",
        "Returns the members of the first sorted set that are in none of the others.",
        "numkeys key [key ...] [WITHSCORES]",
    ),
    Command::new("zdiffstore", -4, zdiffstore)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .stored_counted_keys(2)
        .docs(
            Group::SortedSet,
            "6.2.0",
            "O(N*K*log(N)) where N is the size of the first set and K the number of sets",
            "Stores the members of the first sorted set that are in none of the others.",
            "destination numkeys key [key ...]",
        ),
    Command::new("zinter", -3, zinter).flags(&[Flags::READONLY]).counted_keys(1).docs(
        Group::SortedSet,
        "6.2.0",
        "O(N*K*log(N)) where N is the size of the smallest set and K the number of sets",
        "Returns the members that are in all of these sorted sets.",
        "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    ),
    Command::new("zintercard", -3, zintercard).flags(&[Flags::READONLY]).counted_keys(1).docs(
        Group::SortedSet,
        "7.0.0",
        "O(N*K*log(N)) where N is the size of the smallest set and K the number of sets",
        "Counts the members that are in all of these sorted sets.",
        "numkeys key [key ...] [LIMIT limit]",
    ),
    Command::new("zinterstore", -4, zinterstore)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .stored_counted_keys(2)
        .docs(
            Group::SortedSet,
            "2.0.0",
            "O(N*K*log(N)) where N is the size of the smallest set and K the number of sets",
            "Stores the members that are in all of these sorted sets.",
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        ),
    Command::new("zunion", -3, zunion).flags(&[Flags::READONLY]).counted_keys(1).docs(
        Group::SortedSet,
        "6.2.0",
        "O(N)+O(M*log(M)) where N is the size of all sets together and M that of the result",
        "Returns the members that are in any of these sorted sets.",
        "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    ),
    Command::new("zunionstore", -4, zunionstore)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .stored_counted_keys(2)
        .docs(
            Group::SortedSet,
            "2.0.0",
            "O(N)+O(M*log(M)) where N is the size of all sets together and M that of the result",
            "Stores the members that are in any of these sorted sets.",
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        ),
];

/// What is made of several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of a member's scores in several sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(argument: &[u8]) -> Result<Self> {
        match argument {
            _ if flag(argument, "SUM") => Ok(Self::Sum),
            _ if flag(argument, "MIN") => Ok(Self::Min),
            _ if flag(argument, "MAX") => Ok(Self::Max),
            _ => Err(Error::SYNTAX),
        }
    }

    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number(one + other),
            Self::Min if other < one => other,
            Self::Max if other > one => other,
            Self::Min | Self::Max => one,
        }
    }
}

/// Zero for what is no number, as infinity times zero.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// One of the sets, which stays as it is whatever happens to its key.
#[derive(Clone, Debug)]
enum Source {
    Sorted(SortedSetValue),
    /// Its members count as if they had the score 1.
    Plain(SetValue),
}

impl Source {
    /// The set at a key; an empty one if there is none.
    fn read(ctx: &mut Context<'_>, key: &[u8]) -> Result<Self> {
        match ctx.keyspace.get(ctx.session.database, key)? {
            None => Ok(Self::Sorted(SortedSetValue::default())),
            Some(Value::SortedSet(set)) => Ok(Self::Sorted(set.clone())),
            Some(Value::Set(set)) => Ok(Self::Plain(set.clone())),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Sorted(set) => set.len(),
            Self::Plain(set) => set.len(),
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Sorted(set) => set.score(member),
            Self::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    fn remove(&mut self, member: &[u8]) {
        match self {
            Self::Sorted(set) => set.remove(member, &mut ()),
            Self::Plain(set) => set.remove(member, &mut ()),
        };
    }

    /// All members with their scores.
    fn items(&self) -> SharedItems {
        match self {
            Self::Sorted(set) => set.items(0..set.len(), false),
            Self::Plain(set) => scored_items(set.members().map(|member| (member, 1.0))),
        }
    }
}

/// A set and what its scores are multiplied by.
#[derive(Clone, Debug)]
struct Weighted {
    source: Source,
    weight: f64,
}

/// What a command asks for.
#[derive(Debug)]
struct Request {
    operation: Operation,
    sources: Vec<Weighted>,
    aggregate: Aggregate,
    with_scores: bool,
}

/// What the options of a command may be besides weights and aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Members,
    Stored,
}

impl Request {
    /// Reads the number of keys, the keys and the options, and the sets at the keys.
    fn read(
        ctx: &mut Context<'_>,
        args: &[&[u8]],
        at: usize,
        operation: Operation,
        answer: Answer,
    ) -> Result<Self> {
        let (keys, mut options) = keys(args, at)?;
        let mut sources = Vec::with_capacity(keys.len());
        for key in keys {
            sources.push(Weighted { source: Source::read(ctx, key)?, weight: 1.0 });
        }
        let (mut aggregate, mut with_scores) = (Aggregate::default(), false);
        let takes_weights = operation != Operation::Difference;
        while let [option, rest @ ..] = options {
            options = rest;
            match rest {
                _ if takes_weights && rest.len() >= sources.len() && flag(option, "WEIGHTS") => {
                    let (weights, rest) = rest.split_at(sources.len());
                    for (source, weight) in sources.iter_mut().zip(weights) {
                        let weight = parse_float(weight);
                        source.weight = weight.ok_or(Error::text("ERR weight value is not a float"))?;
                    }
                    options = rest;
                }
                [way, rest @ ..] if takes_weights && flag(option, "AGGREGATE") => {
                    aggregate = Aggregate::parse(way)?;
                    options = rest;
                }
                _ if answer == Answer::Members && flag(option, "WITHSCORES") => with_scores = true,
                _ => return Err(Error::SYNTAX),
            }
        }
        Ok(Self { operation, sources, aggregate, with_scores })
    }

    /// Makes the difference at once, of the first source alone, where the others have few members.
    fn remove_few(&mut self) {
        if !is_soonest_removed(self.sources.iter().map(|weighted| weighted.source.len())) {
            return;
        }
        let others = self.sources.split_off(1);
        let first = &mut self.sources[0].source;
        for other in &others {
            for (member, _) in scored(&other.source.items()) {
                first.remove(member);
            }
        }
    }

    /// Calls `then` with the result, in no particular order.
    fn with_result<R>(mut self, then: impl FnOnce(&mut [(f64, &[u8])]) -> R) -> R {
        if self.operation != Operation::Difference {
            // The order in which scores are added changes the last digits of the sum.
            self.sources.sort_by_key(|weighted| weighted.source.len());
        }
        if self.operation == Operation::Difference {
            self.remove_few();
        }
        match self.operation {
            Operation::Union => {
                let items: Vec<_> =
                    self.sources.iter().map(|weighted| (weighted.source.items(), weighted.weight)).collect();
                then(&mut union(&items, self.aggregate))
            }
            Operation::Intersection | Operation::Difference => {
                let Some((first, others)) = self.sources.split_first() else { return then(&mut []) };
                let items = first.source.items();
                let members = scored(&items).filter_map(|(member, score)| {
                    let score = number(first.weight * score);
                    let score = if self.operation == Operation::Difference {
                        let is_elsewhere = others.iter().any(|other| other.source.score(member).is_some());
                        (!is_elsewhere).then_some(score)
                    } else {
                        others.iter().try_fold(score, |score, other| {
                            Some(self.aggregate.of(score, other.weight * other.source.score(member)?))
                        })
                    };
                    Some((score?, member))
                });
                then(&mut members.collect::<Vec<_>>())
            }
        }
    }
}

/// The members of all of these sets, with what becomes of their scores.
fn union(sets: &[(SharedItems, f64)], aggregate: Aggregate) -> Vec<(f64, &[u8])> {
    let mut scores: HashMap<&[u8], f64> = HashMap::new();
    for (items, weight) in sets {
        for (member, score) in scored(items) {
            let score = number(weight * score);
            let update = |present: &mut f64| *present = aggregate.of(*present, score);
            scores.entry(member).and_modify(update).or_insert(score);
        }
    }
    scores.into_iter().map(|(member, score)| (score, member)).collect()
}

/// Keys, and the arguments behind them.
type KeysAndRest<'a, 'b> = (&'b [&'a [u8]], &'b [&'a [u8]]);

/// The keys that are counted by the argument at a place, and the arguments behind them.
fn keys<'a, 'b>(args: &'b [&'a [u8]], at: usize) -> Result<KeysAndRest<'a, 'b>> {
    let number = integer(args[at])?;
    if number < 1 {
        let name = String::from_utf8_lossy(args[0]).to_lowercase();
        return Err(format!("ERR at least 1 input key is needed for '{name}' command").into());
    }
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    args[at + 1..].split_at_checked(number).ok_or(Error::SYNTAX)
}

fn zunion(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    answer(ctx, args, Operation::Union)
}

fn zinter(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    answer(ctx, args, Operation::Intersection)
}

fn zdiff(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    answer(ctx, args, Operation::Difference)
}

fn answer(ctx: &mut Context<'_>, args: &[&[u8]], operation: Operation) -> Result {
    let request = Request::read(ctx, args, 1, operation, Answer::Members)?;
    let with_scores = request.with_scores;
    Ok(reply(request.with_result(sorted_items), with_scores))
}

fn zunionstore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let request = Request::read(ctx, args, 2, Operation::Union, Answer::Stored)?;
    request.with_result(|entries| store(ctx, args[1], entries, events::ZUNIONSTORE))
}

fn zinterstore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let request = Request::read(ctx, args, 2, Operation::Intersection, Answer::Stored)?;
    request.with_result(|entries| store(ctx, args[1], entries, events::ZINTERSTORE))
}

fn zdiffstore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let request = Request::read(ctx, args, 2, Operation::Difference, Answer::Stored)?;
    request.with_result(|entries| store(ctx, args[1], entries, events::ZDIFFSTORE))
}

fn zintercard(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (keys, options) = keys(args, 1)?;
    let mut sources = Vec::with_capacity(keys.len());
    for key in keys {
        sources.push(Source::read(ctx, key)?);
    }
    let limit = cardinality_limit(options)?;
    sources.sort_by_key(Source::len);
    let Some((first, others)) = sources.split_first() else { return Ok(Reply::Integer(0)) };
    let items = first.items();
    let is_everywhere = |member: &[u8]| others.iter().all(|other| other.score(member).is_some());
    Ok(scored(&items).filter(|(member, _)| is_everywhere(member)).take(limit).count().into())
}
