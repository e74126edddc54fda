//! Cold keys: what a database knows of the keys that are only on disk.
//!
//! The engine never waits for the disk. A command that needs a key from here fails with a [`Need`], its connection is
//! parked while the store loads it, and then it runs again from the start.
//!
//! In a detached keyspace the same holds for the keys that have not been fetched from the engine.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
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
    /// The values of several keys, of which some may not exist.
    Keys {
        /// The number of the database.
        database: u8,
        /// The keys.
        keys: Vec<Key>,
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

/// Pages that are kept until a transaction that uses them commits; the clients of some have gone. One transaction can
/// use so many.
const MAX_PAGES: usize = 1024;

/// Names of keys that the disk was asked for in vain, kept so that the command that needed one can run. Those of one
/// answer may be more.
const MAX_MISSING: usize = 10_000;

/// The cold side of one database.
#[derive(Debug, Default)]
pub(super) struct Cold {
    count: usize,
    /// Of a detached keyspace: which of the engine's databases the other keys are in.
    remote: Option<u8>,
    /// Whether the number of keys was asked for.
    is_counted: Cell<bool>,
    absent: Absent,
    /// Keys that are not on disk although the filter does not know that.
    missing: HashSet<Key>,
    filter: Option<Arc<Filter>>,
    pages: HashMap<(Position, usize), ColdPage>,
}

impl Cold {
    pub fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// The cold side of a database that has been detached from the engine's of that number, which has so many keys.
    pub fn remote(database: u8, count: usize) -> Self {
        Self { count, remote: Some(database), ..Self::default() }
    }

    /// Which of the engine's databases the keys are in that have not been fetched; `None` unless detached.
    pub fn remote_database(&self) -> Option<u8> {
        self.remote
    }

    /// Whether the number of keys was asked for.
    pub fn is_counted(&self) -> bool {
        self.is_counted.get()
    }

    /// How many keys are only on disk.
    pub fn len(&self) -> usize {
        self.is_counted.set(true);
        self.count
    }

    /// Whether nothing is known to be outside of memory. Of what has been detached that is never known: whoever relies
    /// on it has to be told of keys that come.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.remote.is_none()
    }

    /// Whether the disk has to be asked about a key that is not resident.
    pub fn may_hold(&self, storage: StorageId, position: Position, key: &[u8]) -> bool {
        !self.is_empty()
            && !self.is_absent(key)
            && self.filter.as_ref().is_none_or(|filter| filter.may_contain(storage, position))
    }

    /// Notes that a key that was only on disk is resident now, or deleted.
    pub fn leave(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Notes that a key is gone, whatever the disk says until group `sequence` of the log has been applied. It stays
    /// noted when the key comes back: what is resident is looked up first.
    pub fn note_absent(&mut self, key: Key, sequence: u64) {
        if !self.is_empty() {
            self.absent.insert(key, sequence);
        }
    }

    pub fn is_absent(&self, key: &[u8]) -> bool {
        self.absent.contains_key(key) || self.missing.contains(key)
    }

    /// Notes that the disk was asked for a key in vain. As with [`Self::note_absent`], it may come to be resident.
    pub fn note_missing(&mut self, key: Key) {
        self.missing.insert(key);
    }

    /// Makes room for the next keys that the disk is asked for in vain. The commands that needed the earlier ones
    /// have run, or will ask again.
    pub fn limit_missing(&mut self) {
        if self.missing.len() > MAX_MISSING {
            self.missing = HashSet::new();
        }
    }

    /// Forgets what the disk says by itself now that everything up to `applied` is in it.
    pub fn forget_absent(&mut self, applied: u64) {
        if self.count == 0 {
            (self.absent, self.missing) = (Absent::new(), HashSet::new());
            self.pages.clear();
            return;
        }
        let absent = &self.absent;
        let is_forgotten = |key: &Key| absent.get(key).is_some_and(|sequence| *sequence <= applied);
        // A page is as old as the disk was when it was read.
        for page in self.pages.values_mut() {
            page.keys.retain(|cold| !is_forgotten(&cold.key));
        }
        self.absent.retain(|_, sequence| *sequence > applied);
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

    pub fn page(&self, from: Position, limit: usize) -> Option<&ColdPage> {
        self.pages.get(&(from, limit))
    }

    pub fn drop_page(&mut self, from: Position, limit: usize) {
        self.pages.remove(&(from, limit));
    }
}
