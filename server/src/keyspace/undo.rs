//! Undo: the old roots of changed keys, kept while a transaction may still be taken back.
//!
//! A value clones in O(1), so saving it before a change is cheap; and it is saved only while a savepoint is open, so
//! plain commands pay nothing.

use super::{Entry, Key};
use crate::store::{Databases, SystemTable};

/// A key as it was before a change.
#[derive(Debug)]
pub(super) struct Saved {
    pub database: u8,
    pub key: Key,
    /// `None`: the key did not exist.
    pub entry: Option<Box<Entry>>,
}

/// What one step of a transaction took away, in the order of the steps.
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
    steps: Vec<Step>,
    /// The change counter at each open savepoint.
    open: Vec<u64>,
}

impl UndoLog {
    /// Whether changes are recorded at all.
    pub fn is_recording(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether a key last changed at `version` has been saved since the innermost savepoint.
    pub fn has_saved(&self, version: u64) -> bool {
        self.open.last().is_none_or(|opened| version > *opened)
    }

    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn open(&mut self, version: u64) {
        self.open.push(version);
    }

    /// Closes the innermost savepoint; its steps now belong to the one around it, or are forgotten with the last.
    pub fn close(&mut self) {
        self.open.pop();
        if self.open.is_empty() {
            self.steps.clear();
        }
    }

    /// Takes the latest step made since there were `len` of them.
    pub fn pop_beyond(&mut self, len: usize) -> Option<Step> {
        if self.steps.len() > len { self.steps.pop() } else { None }
    }
}
