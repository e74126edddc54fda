//! The longest common subsequence of two byte strings, with the very matches that Redis finds. Knows bytes only.
//!
//! Redis keeps the whole table of lengths, 4 bytes for each pair of prefixes. One row of it and one bit for each pair,
//! the way back, are enough.

/// One run of bytes that the subsequence takes from both strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Where it begins in the first string.
    pub first_start: usize,
    /// Where it begins in the second string.
    pub second_start: usize,
    /// Its length in bytes; not zero.
    pub len: usize,
}

/// The longest common subsequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subsequence {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where they come from; the last match is the first here, as LCS IDX lists them.
    pub matches: Vec<Match>,
}

/// The two strings are too long to be compared within the limit that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Finds the longest common subsequence.
///
/// `limit` is for the table that Redis would make, in bytes (there: `proto-max-bulk-len`). It bounds the time, which
/// is a few ns for each of its entries of 4 bytes, and the memory, which is a thirty-second of it.
pub fn find(first: &[u8], second: &[u8], limit: usize) -> Result<Subsequence, TooLong> {
    check_limit(first, second, limit)?;
    let row_len = second.len().div_ceil(8);
    let mut upward = vec![0u8; first.len() * row_len];
    fill(first, second, |row, column, is_upward| {
        upward[row * row_len + column / 8] |= u8::from(is_upward) << (column % 8);
    });
    let is_upward = |row: usize, column: usize| upward[row * row_len + column / 8] >> (column % 8) & 1 == 1;
    Ok(trace(first, second, is_upward))
}

/// The length in bytes of the longest common subsequence; `limit` as for [`find`].
pub fn length(first: &[u8], second: &[u8], limit: usize) -> Result<usize, TooLong> {
    check_limit(first, second, limit)?;
    Ok(fill(first, second, |_, _, _| {}))
}

fn check_limit(first: &[u8], second: &[u8], limit: usize) -> Result<(), TooLong> {
    let entries = (first.len() + 1).checked_mul(second.len() + 1).ok_or(TooLong)?;
    let table_len = entries.checked_mul(size_of::<u32>()).ok_or(TooLong)?;
    if table_len > limit { Err(TooLong) } else { Ok(()) }
}

/// Fills the table row by row, keeping one row, and yields its last entry.
///
/// `visit` hears of each entry (row, column) whether the one above it is greater than the one to its left.
fn fill(first: &[u8], second: &[u8], mut visit: impl FnMut(usize, usize, bool)) -> usize {
    let mut lengths = vec![0u32; second.len()];
    for (row, byte) in first.iter().enumerate() {
        let (mut above_left, mut left) = (0, 0);
        for (column, (other, length)) in second.iter().zip(&mut lengths).enumerate() {
            let above = *length;
            *length = if byte == other { above_left + 1 } else { above.max(left) };
            visit(row, column, above > left);
            above_left = above;
            left = *length;
        }
    }
    lengths.last().map_or(0, |length| *length as usize)
}

/// Walks back from the ends of both strings.
fn trace(first: &[u8], second: &[u8], is_upward: impl Fn(usize, usize) -> bool) -> Subsequence {
    let (mut bytes, mut matches) = (Vec::new(), Vec::<Match>::new());
    let (mut row, mut column) = (first.len(), second.len());
    let mut in_match = false;
    while row > 0 && column > 0 {
        if first[row - 1] == second[column - 1] {
            (row, column) = (row - 1, column - 1);
            bytes.push(first[row]);
            let len = if in_match { matches.pop().map_or(0, |open| open.len) } else { 0 };
            matches.push(Match { first_start: row, second_start: column, len: len + 1 });
            in_match = true;
        } else {
            in_match = false;
            if is_upward(row - 1, column - 1) {
                row -= 1;
            } else {
                column -= 1;
            }
        }
    }
    bytes.reverse();
    Subsequence { bytes, matches }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Match, Subsequence, TooLong, find, length};

    const LIMIT: usize = 1 << 20;

    fn matched(first_start: usize, second_start: usize, len: usize) -> Match {
        Match { first_start, second_start, len }
    }

    #[test]
    fn subsequences_are_those_that_redis_finds() {
        for (first, second, bytes, matches) in [
            ("ohmytext", "mynewtext", "mytext", vec![matched(4, 5, 4), matched(2, 0, 2)]),
            ("abc", "abc", "abc", vec![matched(0, 0, 3)]),
            ("abc", "xyz", "", vec![]),
            ("", "abc", "", vec![]),
            ("abc", "", "", vec![]),
            ("ab", "ba", "b", vec![matched(1, 0, 1)]),
        ] {
            let expected = Subsequence { bytes: bytes.into(), matches };
            assert_eq!(find(first.as_bytes(), second.as_bytes(), LIMIT), Ok(expected), "{first} {second}");
            assert_eq!(length(first.as_bytes(), second.as_bytes(), LIMIT), Ok(bytes.len()));
        }
    }

    #[test]
    fn the_limit_is_that_of_the_table_in_redis() {
        let (first, second) = ([0; 99], [0; 24]);
        assert_eq!(length(&first, &second, 100 * 25 * 4), Ok(24));
        assert_eq!(length(&first, &second, 100 * 25 * 4 - 1), Err(TooLong));
        assert_eq!(find(&first, &second, 100 * 25 * 4 - 1), Err(TooLong));
    }

    proptest! {
        #[test]
        fn matches_are_common_and_make_up_the_subsequence(first in "[a-d]{0,40}", second in "[a-d]{0,40}") {
            let (first, second) = (first.as_bytes(), second.as_bytes());
            let found = find(first, second, LIMIT).expect("within the limit");
            prop_assert_eq!(length(second, first, LIMIT), Ok(found.bytes.len()));
            let mut joined = Vec::new();
            let (mut first_end, mut second_end) = (0, 0);
            for run in found.matches.iter().rev() {
                prop_assert!(run.first_start >= first_end && run.second_start >= second_end);
                first_end = run.first_start + run.len;
                second_end = run.second_start + run.len;
                prop_assert_eq!(&first[run.first_start..first_end], &second[run.second_start..second_end]);
                joined.extend_from_slice(&first[run.first_start..first_end]);
            }
            prop_assert_eq!(joined, found.bytes);
        }
    }
}
