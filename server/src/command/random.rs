//! Random choices among the elements of a value, by rank: each element is equally likely.

use std::collections::HashSet;

use super::{Context, Error, Result, integer};
use crate::types::CopiedItems;

/// Elements that one reply may have if they may repeat; without a limit a client could ask for more than any memory.
const MAX_REPEATED: u64 = 1 << 22;

/// A walk over all elements costs less than looking up more than one in so many of them.
const WALK_SHARE: usize = 8;

/// How many random elements a command wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// So many different ones, if there are.
    Different(usize),
    /// So many, of which each is chosen from all.
    Repeated(usize),
}

impl Count {
    /// Reads a count, which is negative for elements that may repeat.
    pub fn parse(argument: &[u8]) -> Result<Self> {
        let count = integer(argument)?;
        if count >= 0 {
            return Ok(Self::Different(count as usize));
        }
        match count.unsigned_abs() {
            count @ ..=MAX_REPEATED => Ok(Self::Repeated(count as usize)),
            _ => {
                Err(format!("ERR value is out of range, value must between -{MAX_REPEATED} and {}", i64::MAX)
                    .into())
            }
        }
    }

    /// Reads a count of elements that come with a value each, which Redis lets be half as big.
    pub fn parse_of_pairs(argument: &[u8]) -> Result<Self> {
        match Self::parse(argument)? {
            Self::Different(count) if count > i64::MAX as usize / 2 => {
                Err(Error::text("ERR value is out of range"))
            }
            count => Ok(count),
        }
    }
}

/// So many different numbers below `len`, in ascending order; all of them if there are no more.
pub(super) fn different_ranks(count: usize, len: usize) -> Vec<usize> {
    if count >= len {
        return (0..len).collect();
    }
    if count > len / WALK_SHARE {
        // Each number is taken with the probability that keeps the choice even.
        let mut missing = count;
        return (0..len)
            .filter(|rank| {
                let is_taken = fastrand::usize(..len - rank) < missing;
                missing -= usize::from(is_taken);
                is_taken
            })
            .collect();
    }
    // Robert Floyd's algorithm: the bounds grow, and whoever is there already stands for the new bound.
    let mut ranks = HashSet::with_capacity(count);
    for bound in len - count..len {
        let rank = fastrand::usize(..=bound);
        if !ranks.insert(rank) {
            ranks.insert(bound);
        }
    }
    let mut ranks: Vec<usize> = ranks.into_iter().collect();
    ranks.sort_unstable();
    ranks
}

/// Visits the elements of these ascending ranks: by one walk over `all` of the `len` elements if they are many, or else
/// by looking each one up with `nth`.
pub(super) fn visit_ranks<T>(
    ranks: &[usize],
    len: usize,
    all: impl Iterator<Item = T>,
    nth: impl Fn(usize) -> Option<T>,
    mut visit: impl FnMut(T),
) {
    if ranks.len() <= len / WALK_SHARE {
        return ranks.iter().filter_map(|rank| nth(*rank)).for_each(visit);
    }
    let mut wanted = ranks.iter().peekable();
    for (rank, element) in all.enumerate() {
        if wanted.next_if(|next| **next == rank).is_some() {
            visit(element);
        }
    }
}

/// Lets `copy` add so many random ones of `len` elements by their ranks, up to so many bytes.
pub(super) fn copy_repeated(
    max_bytes: u64,
    count: usize,
    len: usize,
    mut copy: impl FnMut(usize, &mut CopiedItems),
) -> Result<CopiedItems> {
    let mut copied = CopiedItems::default();
    for _ in 0..count {
        copy(fastrand::usize(..len), &mut copied);
        if copied.bytes() as u64 > max_bytes {
            return Err(Error::STRING_TOO_LONG);
        }
    }
    Ok(copied)
}

/// The bytes that copies of elements for one reply may take.
pub(super) fn max_copied_bytes(ctx: &Context<'_>) -> u64 {
    ctx.server.options.proto_max_bulk_len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_different_ascending_and_as_many_as_asked_for() {
        for len in [0, 1, 2, 10, 1000] {
            for count in [0, 1, 2, 5, 100, 500, 999, 1000, 2000] {
                let ranks = different_ranks(count, len);
                assert_eq!(ranks.len(), count.min(len));
                assert!(ranks.is_sorted_by(|one, other| one < other) && ranks.iter().all(|rank| *rank < len));
                let mut visited = Vec::new();
                visit_ranks(&ranks, len, 0..len, Some, |rank| visited.push(rank));
                assert_eq!(visited, ranks);
            }
        }
    }

    /// 4.9 standard deviations of a binomial distribution: one correct choice in a million fails.
    #[track_caller]
    fn check_even(hits: &[u32], rounds: u32, probability: f64) {
        let (expected, variance) =
            (f64::from(rounds) * probability, f64::from(rounds) * probability * (1.0 - probability));
        for (rank, hits) in hits.iter().enumerate() {
            let distance = (f64::from(*hits) - expected).abs();
            assert!(distance < 4.9 * variance.sqrt(), "rank {rank}: {hits} hits, expected {expected}");
        }
    }

    #[test]
    fn every_rank_is_equally_likely() {
        const ROUNDS: u32 = 20_000;
        for (count, len) in [(1, 40), (4, 40), (20, 40), (39, 40)] {
            let mut hits = vec![0; len];
            for _ in 0..ROUNDS {
                for rank in different_ranks(count, len) {
                    hits[rank] += 1;
                }
            }
            check_even(&hits, ROUNDS, count as f64 / len as f64);
        }
        let mut hits = [0; 40];
        let copied = copy_repeated(u64::MAX, ROUNDS as usize, 40, |rank, copied| {
            hits[rank] += 1;
            copied.push(b"x");
        });
        assert_eq!(copied.map(|copied| copied.bytes()), Ok(2 * ROUNDS as usize));
        check_even(&hits, ROUNDS, 1.0 / 40.0);
    }

    #[test]
    fn what_may_repeat_is_limited_in_number_and_bytes() {
        assert_eq!(Count::parse(b"-4194304"), Ok(Count::Repeated(1 << 22)));
        assert_eq!(Count::parse(b"9223372036854775807"), Ok(Count::Different(i64::MAX as usize)));
        for count in ["-4194305", "-9223372036854775808", "x"] {
            assert!(Count::parse(count.as_bytes()).is_err(), "{count}");
        }
        let copy = |_, copied: &mut CopiedItems| copied.push(&[0; 99]);
        assert!(copy_repeated(1000, 10, 1, copy).is_ok());
        assert_eq!(copy_repeated(1000, 11, 1, copy).err(), Some(Error::STRING_TOO_LONG));
    }
}
