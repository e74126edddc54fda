//! Which members of a sorted set a range means: by rank, by score, or by the bytes of the members.

use std::ops::Range;

use crate::command::{Error, Result, integer};
use crate::types::{Collection, SortedSetValue, parse_float};

/// From one member to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interval<'a> {
    /// From this rank to that, both included; below zero they count from the end.
    Ranks(i64, i64),
    /// From this score to that.
    Scores(ScoreBound, ScoreBound),
    /// From this member to that, where all have the same score.
    Members(MemberBound<'a>, MemberBound<'a>),
}

/// What an interval is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Ranks.
    Rank,
    /// Scores.
    Score,
    /// The bytes of members.
    Lex,
}

/// One end of an interval of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    score: f64,
    excluded: bool,
}

/// One end of an interval of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberBound<'a> {
    /// `-`, before all members.
    Lowest,
    /// `+`, behind all members.
    Highest,
    /// At this member.
    Member {
        /// Which need not be there.
        bytes: &'a [u8],
        /// Whether it is left out.
        excluded: bool,
    },
}

impl ScoreBound {
    fn parse(text: &[u8]) -> Result<Self> {
        let (excluded, number) = match text {
            [b'(', number @ ..] => (true, number),
            number => (false, number),
        };
        let score = parse_bound(number).ok_or(Error::text("ERR min or max is not a float"))?;
        Ok(Self { score, excluded })
    }

    /// Whether a score comes before an interval that begins here.
    fn is_behind(self, score: f64) -> bool {
        score < self.score || (self.excluded && score <= self.score)
    }

    /// Whether a score comes before the end of an interval that ends here.
    fn reaches(self, score: f64) -> bool {
        score < self.score || (!self.excluded && score <= self.score)
    }
}

/// Reads a number as C's `strtod` does, in which Redis has these bounds read: blanks may come before it, nothing at all
/// is zero, and what is too large is infinite.
fn parse_bound(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    let number = text.trim_ascii_start();
    let rust = || std::str::from_utf8(number).ok()?.parse().ok().filter(|number: &f64| !number.is_nan());
    parse_float(number).or_else(rust)
}

impl<'a> MemberBound<'a> {
    fn parse(text: &'a [u8]) -> Result<Self> {
        match text {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [b'(', bytes @ ..] => Ok(Self::Member { bytes, excluded: true }),
            [b'[', bytes @ ..] => Ok(Self::Member { bytes, excluded: false }),
            _ => Err(Error::text("ERR min or max not valid string range item")),
        }
    }

    /// Whether a member comes before an interval that begins here.
    fn is_behind(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Member { bytes, excluded } => member < bytes || (excluded && member == bytes),
        }
    }

    /// Whether a member comes before the end of an interval that ends here.
    fn reaches(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Member { bytes, excluded } => member < bytes || (!excluded && member == bytes),
        }
    }
}

impl<'a> Interval<'a> {
    /// Reads both ends, the lower one first.
    pub fn parse(by: By, first: &'a [u8], last: &'a [u8]) -> Result<Self> {
        Ok(match by {
            By::Rank => Self::Ranks(integer(first)?, integer(last)?),
            By::Score => Self::Scores(ScoreBound::parse(first)?, ScoreBound::parse(last)?),
            By::Lex => Self::Members(MemberBound::parse(first)?, MemberBound::parse(last)?),
        })
    }

    /// The ranks of the members in it; `reverse` counts ranks from the end.
    pub fn ranks(&self, set: &SortedSetValue, reverse: bool) -> Range<usize> {
        let (start, end) = match *self {
            Self::Ranks(start, stop) => return ranks(set.len(), start, stop, reverse),
            Self::Scores(min, max) => (
                set.count_before(|score, _| min.is_behind(score)),
                set.count_before(|score, _| max.reaches(score)),
            ),
            Self::Members(min, max) => (
                set.count_before(|_, member| min.is_behind(member)),
                set.count_before(|_, member| max.reaches(member)),
            ),
        };
        start..end.max(start)
    }
}

fn ranks(len: usize, start: i64, stop: i64, reverse: bool) -> Range<usize> {
    let from_start = |rank: i64| if rank < 0 { rank.saturating_add(len as i64) } else { rank };
    let start = (from_start(start).max(0) as usize).min(len);
    let end = (from_start(stop).max(-1) as usize).wrapping_add(1).min(len).max(start);
    if reverse { len - end..len - start } else { start..end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_from_either_end_and_are_clipped() {
        for (start, stop, expected) in [
            (0, -1, 0..5),
            (1, 2, 1..3),
            (-2, -1, 3..5),
            (-100, 100, 0..5),
            (3, 1, 3..3),
            (5, 9, 5..5),
            (0, -6, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MIN, 5..5),
        ] {
            assert_eq!(ranks(5, start, stop, false), expected, "{start} {stop}");
            let reverse = 5 - expected.end..5 - expected.start;
            assert_eq!(ranks(5, start, stop, true), reverse, "{start} {stop}");
        }
        assert_eq!(ranks(0, 0, -1, false), 0..0);
    }

    #[test]
    fn bounds_are_read_as_redis_does() {
        let included = |score| Some(ScoreBound { score, excluded: false });
        let excluded = |score| Some(ScoreBound { score, excluded: true });
        for (text, expected) in [
            ("1", included(1.0)),
            ("(1", excluded(1.0)),
            ("(-inf", excluded(f64::NEG_INFINITY)),
            ("", included(0.0)),
            ("(", excluded(0.0)),
            (" 1", included(1.0)),
            ("1e400", included(f64::INFINITY)),
            ("1 ", None),
            (" ", None),
            ("nan", None),
            ("((1", None),
            ("x", None),
        ] {
            assert_eq!(ScoreBound::parse(text.as_bytes()).ok(), expected, "{text:?}");
        }
        for (text, expected) in [
            ("-", Some(MemberBound::Lowest)),
            ("+", Some(MemberBound::Highest)),
            ("[a", Some(MemberBound::Member { bytes: b"a", excluded: false })),
            ("(", Some(MemberBound::Member { bytes: b"", excluded: true })),
            ("a", None),
            ("", None),
            ("+a", None),
        ] {
            assert_eq!(MemberBound::parse(text.as_bytes()).ok(), expected, "{text:?}");
        }
    }
}
