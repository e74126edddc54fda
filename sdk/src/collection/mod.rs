//! Values with elements as types of Rust: what stands at a key, read through `&Db` and changed through `&mut Db`.
//!
//! Every method is one command of the server, its error the server's own. They know commands and replies, and nothing
//! of where the data is.

mod hash;
mod list;
mod pages;
mod scan;
mod set;
mod sorted_set;
mod stream;

use core::ops::{Bound, RangeBounds};

pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use sorted_set::SortedSet;
pub use stream::{Entry, Stream, StreamId};

use crate::Db;

impl Db {
    /// The hash at a key, for reading; an empty one when the key does not exist.
    #[must_use]
    pub fn hash<'a>(&'a self, key: &'a [u8]) -> Hash<'a, &'a Self> {
        Hash { db: self, key }
    }

    /// The hash at a key, for writing, too. It comes to be with its first field and goes with its last.
    pub fn hash_mut<'a>(&'a mut self, key: &'a [u8]) -> Hash<'a, &'a mut Self> {
        Hash { db: self, key }
    }

    /// The list at a key, for reading; an empty one when the key does not exist.
    #[must_use]
    pub fn list<'a>(&'a self, key: &'a [u8]) -> List<'a, &'a Self> {
        List { db: self, key }
    }

    /// The list at a key, for writing, too. It comes to be with its first element and goes with its last.
    pub fn list_mut<'a>(&'a mut self, key: &'a [u8]) -> List<'a, &'a mut Self> {
        List { db: self, key }
    }

    /// The set at a key, for reading; an empty one when the key does not exist.
    #[must_use]
    pub fn set<'a>(&'a self, key: &'a [u8]) -> Set<'a, &'a Self> {
        Set { db: self, key }
    }

    /// The set at a key, for writing, too. It comes to be with its first member and goes with its last.
    pub fn set_mut<'a>(&'a mut self, key: &'a [u8]) -> Set<'a, &'a mut Self> {
        Set { db: self, key }
    }

    /// The sorted set at a key, for reading; an empty one when the key does not exist.
    #[must_use]
    pub fn sorted_set<'a>(&'a self, key: &'a [u8]) -> SortedSet<'a, &'a Self> {
        SortedSet { db: self, key }
    }

    /// The sorted set at a key, for writing, too. It comes to be with its first member and goes with its last.
    pub fn sorted_set_mut<'a>(&'a mut self, key: &'a [u8]) -> SortedSet<'a, &'a mut Self> {
        SortedSet { db: self, key }
    }

    /// The stream at a key, for reading; an empty one when the key does not exist.
    #[must_use]
    pub fn stream<'a>(&'a self, key: &'a [u8]) -> Stream<'a, &'a Self> {
        Stream { db: self, key }
    }

    /// The stream at a key, for writing, too. It comes to be with its first entry, and stays when it becomes empty.
    pub fn stream_mut<'a>(&'a mut self, key: &'a [u8]) -> Stream<'a, &'a mut Self> {
        Stream { db: self, key }
    }
}

/// The first index of a range and the one behind its last.
fn indexes(range: &impl RangeBounds<usize>) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Unbounded => 0,
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index.saturating_add(1),
    };
    let end = match range.end_bound() {
        Bound::Unbounded => usize::MAX,
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
    };
    (start, end)
}

/// The same as the server counts: both inclusive, and nothing is a range that ends before it starts.
fn inclusive(range: &impl RangeBounds<usize>) -> (i64, i64) {
    match indexes(range) {
        (start, end) if start >= end => (1, 0),
        (start, usize::MAX) => (i64::try_from(start).unwrap_or(i64::MAX), -1),
        (start, end) => (start as i64, end as i64 - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_the_inclusive_ones_of_the_server() {
        assert_eq!(inclusive(&(..)), (0, -1));
        assert_eq!(inclusive(&(2..)), (2, -1));
        assert_eq!(inclusive(&(2..5)), (2, 4));
        assert_eq!(inclusive(&(2..=5)), (2, 5));
        assert_eq!(inclusive(&(..0)), (1, 0));
        assert_eq!(inclusive(&(5..=4)), (1, 0));
        assert_eq!(inclusive(&(usize::MAX..)), (1, 0));
        assert_eq!(indexes(&(Bound::Excluded(2), Bound::Included(4))), (3, 5));
    }
}
