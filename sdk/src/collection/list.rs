//! Lists: elements in a row, with two ends.

use alloc::vec::Vec;
use core::ops::{Deref, RangeBounds};

use super::pages::{Pages, Source};
use super::{inclusive, indexes};
use crate::{Argument, Command, Db, Result};

/// The list at a key, from [`Db::list`] or [`Db::list_mut`]. Indexes count from 0 at the front.
///
/// ```
/// # let mut db = kvasm_sdk::Db::test();
/// let mut queue = db.list_mut(b"queue");
/// queue.push_back_all(["first", "second"])?;
/// assert_eq!(queue.pop_front()?.as_deref(), Some(b"first".as_slice()));
/// assert_eq!(db.list(b"queue").iter()?.collect::<Vec<_>>(), [b"second"]);
/// # Ok::<(), kvasm_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct List<'a, D> {
    pub(super) db: D,
    pub(super) key: &'a [u8],
}

struct Elements;

impl Source for Elements {
    type Item = Vec<u8>;

    fn fetch(db: &Db, key: &[u8], start: usize, count: usize) -> Result<Vec<Vec<u8>>> {
        db.ask(Command::new("LRANGE").arg(key).arg(start).arg(start + count - 1))
    }
}

impl<D: Deref<Target = Db>> List<'_, D> {
    /// The element at an index; `None` behind the end.
    pub fn get(&self, index: usize) -> Result<Option<Vec<u8>>> {
        self.db.ask(self.command("LINDEX").arg(index))
    }

    /// The first element.
    pub fn front(&self) -> Result<Option<Vec<u8>>> {
        self.get(0)
    }

    /// The last element.
    pub fn back(&self) -> Result<Option<Vec<u8>>> {
        self.db.ask(self.command("LINDEX").arg(-1))
    }

    /// The elements of these indexes, as far as there are, fetched in pages from the end that is asked for.
    pub fn range(
        &self,
        indexes_wanted: impl RangeBounds<usize>,
    ) -> Result<impl DoubleEndedIterator<Item = Vec<u8>> + ExactSizeIterator> {
        let len = self.len()?;
        let (start, end) = indexes(&indexes_wanted);
        Ok(Pages::<Elements>::new(&self.db, self.key, start.min(len), end.min(len)))
    }

    /// All elements, fetched in pages.
    pub fn iter(&self) -> Result<impl DoubleEndedIterator<Item = Vec<u8>> + ExactSizeIterator> {
        self.range(..)
    }

    /// The index of the first element that is equal to `value`.
    pub fn position(&self, value: impl Argument) -> Result<Option<usize>> {
        self.db.ask(self.command("LPOS").arg(value))
    }

    /// The number of elements.
    pub fn len(&self) -> Result<usize> {
        self.db.ask(self.command("LLEN"))
    }

    /// Whether it has no element: then there is no such key.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    fn command(&self, name: &str) -> Command {
        Command::new(name).arg(self.key)
    }
}

impl List<'_, &mut Db> {
    /// Adds an element behind the last. The new length.
    pub fn push_back(&mut self, value: impl Argument) -> Result<usize> {
        self.db.tell(self.command("RPUSH").arg(value))
    }

    /// Adds elements behind the last, one after the other. The new length.
    pub fn push_back_all<V: Argument>(&mut self, values: impl IntoIterator<Item = V>) -> Result<usize> {
        self.push_all("RPUSH", values)
    }

    /// Adds an element before the first. The new length.
    pub fn push_front(&mut self, value: impl Argument) -> Result<usize> {
        self.db.tell(self.command("LPUSH").arg(value))
    }

    /// Adds elements before the first, one after the other, so that the last of them is the first of the list. The new
    /// length.
    pub fn push_front_all<V: Argument>(&mut self, values: impl IntoIterator<Item = V>) -> Result<usize> {
        self.push_all("LPUSH", values)
    }

    /// Takes the last element away.
    pub fn pop_back(&mut self) -> Result<Option<Vec<u8>>> {
        self.db.tell(self.command("RPOP"))
    }

    /// Takes the first element away.
    pub fn pop_front(&mut self) -> Result<Option<Vec<u8>>> {
        self.db.tell(self.command("LPOP"))
    }

    /// Replaces the element at an index. `Err` when there is none.
    pub fn set(&mut self, index: usize, value: impl Argument) -> Result<()> {
        self.db.tell(self.command("LSET").arg(index).arg(value))
    }

    /// Removes the elements that are equal to `value`. How many there were.
    pub fn remove(&mut self, value: impl Argument) -> Result<usize> {
        self.db.tell(self.command("LREM").arg(0).arg(value))
    }

    /// Keeps the elements of these indexes and removes all others.
    pub fn trim(&mut self, kept: impl RangeBounds<usize>) -> Result<()> {
        let (first, last) = inclusive(&kept);
        self.db.tell(self.command("LTRIM").arg(first).arg(last))
    }

    fn push_all<V: Argument>(&mut self, name: &str, values: impl IntoIterator<Item = V>) -> Result<usize> {
        match self.command(name).args_if_any(values) {
            Some(command) => self.db.tell(command),
            None => self.len(),
        }
    }
}
