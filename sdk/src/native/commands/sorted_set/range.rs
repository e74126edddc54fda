//! Ranges of sorted sets: by rank, by score, by member.

use alloc::vec::Vec;

use super::super::arguments::{self, SYNTAX_ERROR, integer, is};
use super::{read, scored};
use crate::native::store::Store;
use crate::native::value::SortedSet;
use crate::{Reply, Result};

/// What a range is of.
#[derive(Clone, Copy, PartialEq)]
pub enum By {
    Rank,
    Score,
    Member,
}

/// A range, from the lower to the higher.
pub enum Bounds<'a> {
    Rank(&'a [u8], &'a [u8]),
    Score(Bound<f64>, Bound<f64>),
    Member(Lex<'a>, Lex<'a>),
}

/// One end of a range of scores.
pub struct Bound<T> {
    value: T,
    is_exclusive: bool,
}

/// One end of a range of members.
pub enum Lex<'a> {
    Lowest,
    Highest,
    Member(Bound<&'a [u8]>),
}

impl<'a> Bounds<'a> {
    pub fn parse(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Self> {
        Ok(match by {
            By::Rank => {
                (integer(low)?, integer(high)?);
                Self::Rank(low, high)
            }
            By::Score => Self::Score(score(low)?, score(high)?),
            By::Member => Self::Member(lex(low)?, lex(high)?),
        })
    }

    /// The members in the range, in order.
    pub fn select(&self, set: &SortedSet) -> Vec<(Vec<u8>, f64)> {
        let ordered = set.ordered();
        let ranks = match self {
            Self::Rank(first, last) => arguments::range(first, last, ordered.len()).unwrap_or_default(),
            _ => 0..ordered.len(),
        };
        let is_within = |member: &[u8], value: f64| match self {
            Self::Rank(..) => true,
            Self::Score(low, high) => {
                low.lets(low.value < value, low.value == value)
                    && high.lets(value < high.value, high.value == value)
            }
            Self::Member(low, high) => low.is_below(member) && high.is_above(member),
        };
        let found = ordered[ranks].iter().filter(|(member, score)| is_within(member, *score));
        found.map(|(member, score)| ((*member).clone(), *score)).collect()
    }
}

impl<T> Bound<T> {
    fn lets(&self, is_within: bool, is_equal: bool) -> bool {
        is_within || (is_equal && !self.is_exclusive)
    }
}

impl Lex<'_> {
    fn is_below(&self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => true,
            Self::Highest => false,
            Self::Member(bound) => bound.lets(bound.value < member, bound.value == member),
        }
    }

    fn is_above(&self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Member(bound) => bound.lets(member < bound.value, bound.value == member),
        }
    }
}

fn score(text: &[u8]) -> Result<Bound<f64>> {
    let exclusive = text.strip_prefix(b"(");
    let value = arguments::read_double(exclusive.unwrap_or(text)).ok_or("ERR min or max is not a float")?;
    Ok(Bound { value, is_exclusive: exclusive.is_some() })
}

fn lex(text: &[u8]) -> Result<Lex<'_>> {
    Ok(match text {
        b"-" => Lex::Lowest,
        b"+" => Lex::Highest,
        [b'[', value @ ..] => Lex::Member(Bound { value, is_exclusive: false }),
        [b'(', value @ ..] => Lex::Member(Bound { value, is_exclusive: true }),
        _ => return Err("ERR min or max not valid string range item".into()),
    })
}

/// `ZRANGE` and its relatives, whose names say some of its options: what they say cannot be given.
pub fn range(store: &mut Store, words: &[&[u8]], named: Option<By>, is_named_reverse: bool) -> Result<Reply> {
    let (mut by, mut is_reverse) = (named.unwrap_or(By::Rank), is_named_reverse);
    let (mut limit, mut with_scores) = (None, false);
    let mut options = &words[4..];
    while let [option, rest @ ..] = options {
        options = rest;
        match *option {
            option if is(option, "WITHSCORES") => with_scores = true,
            option if is(option, "LIMIT") => {
                let [offset, count, rest @ ..] = rest else { return Err(SYNTAX_ERROR.into()) };
                limit = Some((integer(offset)?, integer(count)?));
                options = rest;
            }
            option if named.is_none() && is(option, "BYSCORE") => by = By::Score,
            option if named.is_none() && is(option, "BYLEX") => by = By::Member,
            option if named.is_none() && is(option, "REV") => is_reverse = true,
            _ => return Err(SYNTAX_ERROR.into()),
        }
    }
    if limit.is_some() && by == By::Rank {
        return Err(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX".into()
        );
    }
    if with_scores && by == By::Member {
        return Err("ERR syntax error, WITHSCORES not supported in combination with BYLEX".into());
    }
    let mut found = select(&read(store, words)?, by, is_reverse, words[2], words[3])?;
    if let Some((offset, count)) = limit {
        let offset = usize::try_from(offset).map_or(found.len(), |offset| offset.min(found.len()));
        found.drain(..offset);
        found.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    }
    let reply = |(member, score)| if with_scores { scored((member, score)) } else { Reply::Bulk(member) };
    Ok(Reply::Array(found.into_iter().map(reply).collect()))
}

/// In reverse, ranks count from the highest score, and the higher bound is given first.
fn select(
    set: &SortedSet,
    by: By,
    is_reverse: bool,
    first: &[u8],
    last: &[u8],
) -> Result<Vec<(Vec<u8>, f64)>> {
    let (low, high) = if is_reverse && by != By::Rank { (last, first) } else { (first, last) };
    let bounds = Bounds::parse(by, low, high)?;
    if !is_reverse {
        return Ok(bounds.select(set));
    }
    let Bounds::Rank(first, last) = bounds else {
        return Ok(bounds.select(set).into_iter().rev().collect());
    };
    let ordered = set.ordered().into_iter().rev().map(|(member, score)| (member.clone(), score));
    let ranks = arguments::range(first, last, set.0.len())?;
    Ok(ordered.skip(ranks.start).take(ranks.len()).collect())
}
