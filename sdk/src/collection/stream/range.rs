//! Entries of a range of ids, as an iterator which fetches them in pages, from either end.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Bound, RangeBounds};

use super::{Entry, StreamId};
use crate::{Command, Db};

/// Entries of the first page: many callers want few.
const FIRST_PAGE: usize = 16;
/// Entries of a page at most. Each page is twice as large as the one before.
const MAX_PAGE: usize = 512;

pub struct Entries<'a> {
    db: &'a Db,
    key: &'a [u8],
    /// Fetched, and before all that is not.
    front: vec::IntoIter<Entry>,
    /// Fetched, the last first, and behind all that is not.
    back: vec::IntoIter<Entry>,
    /// The first and the last id that may not have been fetched; `None` when all has.
    ids: Option<(StreamId, StreamId)>,
    page: usize,
}

impl<'a> Entries<'a> {
    pub fn new(db: &'a Db, key: &'a [u8], ids: &impl RangeBounds<StreamId>) -> Self {
        let first = match ids.start_bound() {
            Bound::Unbounded => Some(StreamId::MIN),
            Bound::Included(id) => Some(*id),
            Bound::Excluded(id) => id.next(),
        };
        let last = match ids.end_bound() {
            Bound::Unbounded => Some(StreamId::MAX),
            Bound::Included(id) => Some(*id),
            Bound::Excluded(id) => id.previous(),
        };
        let none = || Vec::new().into_iter();
        Self { db, key, front: none(), back: none(), ids: first.zip(last), page: FIRST_PAGE }
    }

    /// The next page by `command`, and the id of its last entry; without one when that was all.
    fn fetch(&mut self, command: &str, from: StreamId, to: StreamId) -> (Vec<Entry>, Option<StreamId>) {
        let count = self.page;
        self.page = MAX_PAGE.min(count * 2);
        let command = Command::new(command).arg(self.key).arg(from).arg(to).arg("COUNT").arg(count);
        // The type of the value is known by now: nothing but want of memory or the end of the call makes this fail.
        let entries: Vec<Entry> = self.db.ask(command).unwrap_or_else(|error| self.db.abort(error));
        let last = entries.last().filter(|_| entries.len() == count).map(|entry| entry.id);
        (entries, last)
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(entry) = self.front.next() {
            return Some(entry);
        }
        if let Some((first, last)) = self.ids.filter(|(first, last)| first <= last) {
            let (entries, reached) = self.fetch("XRANGE", first, last);
            self.front = entries.into_iter();
            self.ids = reached.and_then(StreamId::next).map(|next| (next, last));
        }
        self.front.next().or_else(|| self.back.next_back())
    }
}

impl DoubleEndedIterator for Entries<'_> {
    fn next_back(&mut self) -> Option<Entry> {
        if let Some(entry) = self.back.next() {
            return Some(entry);
        }
        if let Some((first, last)) = self.ids.filter(|(first, last)| first <= last) {
            let (entries, reached) = self.fetch("XREVRANGE", last, first);
            self.back = entries.into_iter();
            self.ids = reached.and_then(StreamId::previous).map(|previous| (first, previous));
        }
        self.back.next().or_else(|| self.front.next_back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_comes_once_from_whichever_end() {
        let mut db = Db::test();
        for ms in 1..=100 {
            db.stream_mut(b"s").add_with_id(StreamId::at_ms(ms), [("n", ms)]).unwrap();
        }
        let all = || db.stream(b"s").range(..).unwrap().map(|entry| entry.id.ms).collect::<Vec<_>>();
        assert!(all().into_iter().eq(1..=100));
        let stream = db.stream(b"s");
        assert!(stream.range(..).unwrap().rev().map(|entry| entry.id.ms).eq((1..=100).rev()));
        let (mut entries, mut expected) = (stream.range(..).unwrap(), 1..=100);
        while let Some(front) = expected.next() {
            assert_eq!(entries.next().map(|entry| entry.id.ms), Some(front));
            assert_eq!(entries.next_back().map(|entry| entry.id.ms), expected.next_back());
        }
        assert_eq!((entries.next(), entries.next_back()), (None, None));
    }

    #[test]
    fn a_range_has_the_bounds_that_are_asked_for() {
        let mut db = Db::test();
        for ms in [1, 2, 3, 4] {
            db.stream_mut(b"s").add_with_id(StreamId::at_ms(ms), [("n", ms)]).unwrap();
        }
        let check = |ids: (Bound<u64>, Bound<u64>), expected: &[u64]| {
            let ids = (ids.0.map(StreamId::at_ms), ids.1.map(StreamId::at_ms));
            let stream = db.stream(b"s");
            let found: Vec<u64> = stream.range(ids).unwrap().map(|entry| entry.id.ms).collect();
            assert_eq!(found, expected, "{ids:?}");
        };
        check((Bound::Included(2), Bound::Included(3)), &[2, 3]);
        check((Bound::Excluded(2), Bound::Unbounded), &[3, 4]);
        check((Bound::Unbounded, Bound::Excluded(3)), &[1, 2]);
        check((Bound::Included(3), Bound::Included(2)), &[]);
        check((Bound::Unbounded, Bound::Excluded(0)), &[]);
    }
}
