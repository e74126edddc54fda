//! Undo: the old roots of changed keys, kept while a transaction may still be taken back.
//!
//! A value clones in O(1), so saving it before a change is cheap. Values are saved only while a savepoint is open, so
//! plain commands pay nothing.

use std::collections::VecDeque;

use super::entry::Stamp;
use super::{Entry, Key};
use crate::store::{Databases, SystemTable};

/// One transaction opens fewer savepoints than this: each needs a command or a trigger of its own.
const MAX_OPEN_SAVEPOINTS: u64 = 1 << 32;

/// A key as it was before a change.
#[derive(Debug)]
pub(super) struct Saved {
    pub database: u8,
    pub key: Key,
    /// `None`: the key did not exist.
    pub entry: Option<Box<Entry>>,
}

/// What one step of a transaction changed, and what was there before.
#[derive(Debug)]
pub(super) enum Step {
    /// A key changed, came or went.
    Key(Saved),
    /// A whole database was emptied.
    Flush { database: u8, before: Box<super::Database>, storages: Box<Databases> },
    /// Two databases were exchanged.
    Swap { first: u8, second: u8 },
    /// A definition was set or removed.
    Definition { name: (SystemTable, Vec<u8>), content: Option<Vec<u8>> },
}

/// The steps of the current transaction since its first savepoint.
#[derive(Debug, Default)]
pub(super) struct UndoLog {
    steps: VecDeque<Step>,
    /// The numbers of the open savepoints. A number is never given twice, so that an entry stamped with it has been
    /// saved since that savepoint was opened, and need not be saved again.
    open: Vec<u64>,
    last_savepoint: u64,
}

impl UndoLog {
    /// Whether changes are recorded at all.
    pub fn is_recording(&self) -> bool {
        !self.open.is_empty()
    }

    /// The number of the innermost savepoint.
    pub fn savepoint(&self) -> Option<u64> {
        self.open.last().copied()
    }

    /// Whether the numbers are used up and no savepoint is open.
    pub fn is_exhausted(&self) -> bool {
        self.open.is_empty() && self.last_savepoint >= Stamp::MAX_SAVEPOINT - MAX_OPEN_SAVEPOINTS
    }

    /// Starts numbering from 1 again, now that no entry is stamped.
    pub fn restart(&mut self) {
        self.last_savepoint = 0;
    }

    /// Uses up all numbers but the last ones.
    #[cfg(test)]
    pub fn exhaust(&mut self) {
        self.last_savepoint = Stamp::MAX_SAVEPOINT - MAX_OPEN_SAVEPOINTS;
    }

    pub fn push(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn open(&mut self) {
        self.last_savepoint += 1;
        self.open.push(self.last_savepoint);
    }

    /// Closes the innermost savepoint. Its steps now belong to the enclosing one; without one, they are dropped.
    pub fn close(&mut self) {
        self.open.pop();
        if self.open.is_empty() {
            self.steps.clear();
        }
    }

    /// Takes all steps, the first one first, one at a time.
    pub fn pop_first(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Takes the latest step, if there are more than `len`.
    pub fn pop_beyond(&mut self, len: usize) -> Option<Step> {
        if self.steps.len() > len { self.steps.pop_back() } else { None }
    }
}
