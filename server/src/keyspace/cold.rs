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
use super::limits::{MAX_MISSING, MAX_PAGES};
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
    /// The names of the keys on disk, starting at a position.
    Page {
        /// The number of the database.
        database: u8,
        /// Where the page starts.
        from: Position,
        /// The least number of keys wanted, if that many are left.
        limit: usize,
    },
}

impl Need {
    /// The number of the database.
    #[must_use]
    pub fn database(&self) -> u8 {
        let (Self::Key { database, .. } | Self::Keys { database, .. } | Self::Page { database, .. }) = self;
        *database
    }

    /// The same of a database with another number.
    #[must_use]
    pub fn of_database(mut self, number: u8) -> Self {
        let (Self::Key { database, .. } | Self::Keys { database, .. } | Self::Page { database, .. }) =
            &mut self;
        *database = number;
        self
    }
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

/// The cold side of one database.
#[derive(Debug, Default)]
pub(super) struct Cold {
    count: usize,
    /// In a detached keyspace: the engine's database that has the keys not fetched yet.
    remote: Option<u8>,
    /// Whether the number of keys was asked for.
    is_counted: Cell<bool>,
    absent: Absent,
    /// Keys that are not on disk, although the filter allows for them.
    missing: HashSet<Key>,
    filter: Option<Arc<Filter>>,
    pages: HashMap<(Position, usize), ColdPage>,
}

impl Cold {
    pub fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// The cold side of a detached database: `database` and `count` are the number and the size of the engine's
    /// database.
    pub fn remote(database: u8, count: usize) -> Self {
        Self { count, remote: Some(database), ..Self::default() }
    }

    /// The engine's database that has the keys not fetched yet; `None` unless detached.
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

    /// The same, for whom the number is of no interest: it does not count as asked for.
    pub fn uncounted_len(&self) -> usize {
        self.count
    }

    /// Whether all keys are known to be in memory. Always `false` in a detached database, where keys can still arrive.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.remote.is_none()
    }

    /// Whether a key that is not resident has to be looked up on disk.
    pub fn may_hold(&self, storage: StorageId, position: Position, key: &[u8]) -> bool {
        !self.is_empty()
            && !self.is_absent(key)
            && self.filter.as_ref().is_none_or(|filter| filter.may_contain(storage, position))
    }

    /// Notes that a key that was only on disk is now resident or deleted.
    pub fn leave(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Marks a key as deleted until group `sequence` of the log has been applied; until then the disk may still show
    /// it. The mark may stay if the key is created again, because resident keys are looked up first.
    pub fn note_absent(&mut self, key: Key, sequence: u64) {
        if !self.is_empty() {
            self.absent.insert(key, sequence);
        }
    }

    pub fn is_absent(&self, key: &[u8]) -> bool {
        self.absent.contains_key(key) || self.missing.contains(key)
    }

    /// Notes that a key is not on disk. As with [`Self::note_absent`], it may become resident later.
    pub fn note_missing(&mut self, key: Key) {
        self.missing.insert(key);
    }

    /// Makes room for the next keys that are not on disk. The commands that needed the earlier ones have run, or will
    /// ask again.
    pub fn limit_missing(&mut self) {
        if self.missing.len() > MAX_MISSING {
            self.missing = HashSet::new();
        }
    }

    /// Drops deletion marks up to `applied`: the disk now shows these deletions itself.
    pub fn forget_absent(&mut self, applied: u64) {
        if self.count == 0 {
            (self.absent, self.missing) = (Absent::new(), HashSet::new());
            self.pages.clear();
            return;
        }
        let absent = &self.absent;
        let is_forgotten = |key: &Key| absent.get(key).is_some_and(|sequence| *sequence <= applied);
        // A page shows the disk as it was when the page was read.
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
