//! Elements that have indexes, as an iterator which fetches them in pages, from either end.

use alloc::vec;
use alloc::vec::Vec;

use crate::{Db, Result};

/// Elements of the first page: many callers want few.
const FIRST_PAGE: usize = 16;
/// Elements of a page at most. Each page is twice as large as the one before.
const MAX_PAGE: usize = 512;

/// What has elements at indexes. The key's value cannot change while it is read: that borrows the database.
pub trait Source {
    /// An element.
    type Item;

    /// The elements from index `start` on, `count` of them.
    fn fetch(db: &Db, key: &[u8], start: usize, count: usize) -> Result<Vec<Self::Item>>;
}

/// The elements of a range of indexes.
pub struct Pages<'a, S: Source> {
    db: &'a Db,
    key: &'a [u8],
    /// Fetched, and before all that is not.
    front: vec::IntoIter<S::Item>,
    /// Fetched, and behind all that is not.
    back: vec::IntoIter<S::Item>,
    /// Not fetched yet: from `start` to before `end`.
    start: usize,
    end: usize,
    page: usize,
}

impl<'a, S: Source> Pages<'a, S> {
    /// Those that have an index from `start` to before `end`; there must be so many.
    pub fn new(db: &'a Db, key: &'a [u8], start: usize, end: usize) -> Self {
        let none = || Vec::new().into_iter();
        Self { db, key, front: none(), back: none(), start, end, page: FIRST_PAGE }
    }

    /// The next page's length.
    fn next_page(&mut self) -> usize {
        let count = self.page.min(self.end.saturating_sub(self.start));
        self.page = MAX_PAGE.min(self.page * 2);
        count
    }

    /// The page that begins at `start`. The type of the value is known by now, so nothing but want of memory or the
    /// end of the call can make this fail.
    fn fetch(&self, start: usize, count: usize) -> vec::IntoIter<S::Item> {
        let items = S::fetch(self.db, self.key, start, count);
        items.unwrap_or_else(|error| self.db.abort(error)).into_iter()
    }
}

impl<S: Source> Iterator for Pages<'_, S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        if let Some(item) = self.front.next() {
            return Some(item);
        }
        let count = self.next_page();
        if count == 0 {
            return self.back.next();
        }
        self.front = self.fetch(self.start, count);
        self.start += count;
        self.front.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.front.len() + self.end.saturating_sub(self.start) + self.back.len();
        (left, Some(left))
    }
}

impl<S: Source> DoubleEndedIterator for Pages<'_, S> {
    fn next_back(&mut self) -> Option<S::Item> {
        if let Some(item) = self.back.next_back() {
            return Some(item);
        }
        let count = self.next_page();
        if count == 0 {
            return self.front.next_back();
        }
        self.end -= count;
        self.back = self.fetch(self.end, count);
        self.back.next_back()
    }
}

impl<S: Source> ExactSizeIterator for Pages<'_, S> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers themselves; no page is larger than it may be.
    struct Numbers;

    impl Source for Numbers {
        type Item = usize;

        fn fetch(_: &Db, _: &[u8], start: usize, count: usize) -> Result<Vec<usize>> {
            assert!((1..=MAX_PAGE).contains(&count));
            Ok((start..start + count).collect())
        }
    }

    #[test]
    fn every_element_comes_once_from_whichever_end() {
        let db = Db::test();
        let pages = |start, end| Pages::<Numbers>::new(&db, b"", start, end);
        for (start, end) in [(0, 0), (0, 1), (3, 19), (5, 2_000)] {
            assert!(pages(start, end).eq(start..end));
            assert!(pages(start, end).rev().eq((start..end).rev()));
            assert_eq!(pages(start, end).len(), end - start);
            // From both ends in turn, until they meet.
            let (mut from_both, mut expected) = (pages(start, end), start..end);
            while let Some(front) = expected.next() {
                assert_eq!((from_both.next(), from_both.next_back()), (Some(front), expected.next_back()));
                assert_eq!(from_both.len(), expected.len());
            }
            assert_eq!((from_both.next(), from_both.next_back()), (None, None));
        }
    }
}
