//! Cold keys: what a database knows of the keys that are only on disk.
//!
//! The engine never waits for the disk. A command that needs a key from here fails with a [`Need`], its connection is
//! parked while the store loads it, and then it runs again from the start.

use std::collections::HashMap;
use std::sync::Arc;

use super::Key;
use super::database::Absent;
use crate::store::{Filter, Position, StorageId};
use crate::types::Kind;

/// What a command lacks before it can run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The value of a key.
    Key {
        /// The number of the database.
        database: u8,
        /// The key.
        key: Key,
    },
    /// The names of the keys on disk from a position on.
    Page {
        /// The number of the database.
        database: u8,
        /// Where the page starts.
        from: Position,
        /// How many keys at the least, if there are so many.
        limit: usize,
    },
}

/// A key on disk, as a page lists it.
#[derive(Clone, Debug)]
pub struct ColdKey {
    /// Its place in the order of SCAN.
    pub position: Position,
    /// Its name.
    pub key: Key,
    /// The type of its value.
    pub kind: Kind,
    /// When it ends, in milliseconds of unix time.
    pub expires_at_ms: Option<u64>,
}

/// Names of keys on disk in the order of their positions.
#[derive(Clone, Debug, Default)]
pub struct ColdPage {
    /// The keys.
    pub keys: Vec<ColdKey>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Position>,
}

/// Pages that were loaded but not used yet; their clients have gone, or will come at once.
const MAX_PAGES: usize = 64;

/// The cold side of one database.
#[derive(Debug, Default)]
pub(super) struct Cold {
    count: usize,
    absent: Absent,
    filter: Option<Arc<Filter>>,
    pages: HashMap<(Position, usize), ColdPage>,
}

impl Cold {
    pub fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// How many keys are only on disk.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the disk has to be asked about a key that is not resident.
    pub fn may_hold(&self, storage: StorageId, position: Position, key: &[u8]) -> bool {
        self.count > 0
            && !self.absent.contains_key(key)
            && self.filter.as_ref().is_none_or(|filter| filter.may_contain(storage, position))
    }

    /// Notes that a key that was only on disk is resident now, or deleted.
    pub fn leave(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Notes that a key is gone, whatever the disk says until group `sequence` of the log has been applied. It stays
    /// noted when the key comes back: what is resident is looked up first.
    pub fn note_absent(&mut self, key: Key, sequence: u64) {
        if self.count > 0 {
            self.absent.insert(key, sequence);
        }
    }

    pub fn is_absent(&self, key: &[u8]) -> bool {
        self.absent.contains_key(key)
    }

    /// Forgets what the disk says by itself now that everything up to `applied` is in it.
    pub fn forget_absent(&mut self, applied: u64) {
        if self.count == 0 {
            self.absent = Absent::new();
        } else {
            self.absent.retain(|_, sequence| *sequence > applied);
        }
    }

    pub fn set_filter(&mut self, filter: Arc<Filter>) {
        self.filter = Some(filter);
    }

    pub fn add_page(&mut self, from: Position, limit: usize, page: ColdPage) {
        if self.pages.len() >= MAX_PAGES {
            self.pages.clear();
        }
        self.pages.insert((from, limit), page);
    }

    pub fn take_page(&mut self, from: Position, limit: usize) -> Option<ColdPage> {
        self.pages.remove(&(from, limit))
    }
}
