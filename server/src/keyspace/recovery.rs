//! The state after a start, when all keys are cold, and adding what the store loads later.

use std::sync::Arc;

use super::cold::ColdPage;
use super::database::Database;
use super::entry::{NEVER, Stamp};
use super::{Entry, Key, Keyspace};
use crate::store::limits::ALL_DATABASES;
use crate::store::{Databases, Filter, Position, Seed, StorageId, StoredKey, StoredValue};
use crate::types::{Kind, StoredBlocks, StringValue, Value};

/// A value as it comes from disk.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The value.
    pub value: Value,
    /// When the key ends, in milliseconds of unix time.
    pub expires_at_ms: Option<u64>,
}

impl Loaded {
    /// Builds the value that rows describe; `None` if they are damaged. Takes longer for bigger values.
    #[must_use]
    pub fn parse(stored: StoredKey) -> Option<Self> {
        let string = match stored.value {
            StoredValue::Collection { kind, header, blocks } => {
                let value = Value::restore(Kind::from_number(kind)?, &header, StoredBlocks(blocks))?;
                return Some(Self { value, expires_at_ms: stored.expires_at_ms });
            }
            StoredValue::Integer(integer) => StringValue::from_integer(integer),
            StoredValue::Bytes(bytes) => StringValue::verbatim(&bytes),
            StoredValue::Chunks(chunks) => {
                let mut string = StringValue::raw(&[]);
                for chunk in &chunks {
                    string.append(chunk);
                }
                string
            }
        };
        Some(Self { value: Value::String(string), expires_at_ms: stored.expires_at_ms })
    }
}

impl Keyspace {
    /// A keyspace whose keys are all on disk.
    ///
    /// `counts` has the number of keys of each database, `storages` says where its rows are, and `sequence` is the
    /// number of the last group in the log.
    #[must_use]
    pub fn new(seed: Seed, storages: Databases, counts: &[u64; ALL_DATABASES], sequence: u64) -> Self {
        let databases = counts
            .iter()
            .map(|count| Database { cold: super::cold::Cold::new(*count as usize), ..Database::default() });
        let mut keyspace = Self {
            databases: databases.collect(),
            storages,
            seed,
            journal: super::Journal::default(),
            undo: super::UndoLog::default(),
            watchers: super::Watchers::default(),
            history: super::History::new(seed),
            now_us: 0,
            now_ms: 0,
            expiry_held: false,
            views: super::HeldViews::default(),
            statistics: super::Statistics::default(),
            no_touch: false,
            choices: 0,
            definitions: super::HashMap::new(),
            used_pages: Vec::new(),
        };
        keyspace.journal.set_last_group(sequence);
        keyspace
    }

    /// Adds a loaded key; `None` means that it is not on disk either. Does nothing if the answer is out of date.
    pub fn install(&mut self, storage: StorageId, key: &[u8], loaded: Option<Loaded>) {
        let Some(database) = self.database_of(storage) else { return };
        let position = self.seed.position(key);
        let held = &mut self.databases[usize::from(database)];
        // Once no key is cold, deleted keys are not marked as absent any more, and no answer can tell anything new.
        if held.cold.is_empty() || held.table.find(position, key).is_some() || held.cold.is_absent(key) {
            return;
        }
        let Some(loaded) = loaded else {
            return held.cold.note_missing(Key::new(key));
        };
        held.cold.leave();
        self.statistics.loaded += 1;
        self.place(database, key, loaded);
    }

    /// Bounds what is remembered of keys that are not on disk. Call it before adding the keys of an answer.
    pub fn limit_missing(&mut self) {
        for database in &mut self.databases {
            database.cold.limit_missing();
        }
    }

    /// Adds a page of names, for the scan that asked for it.
    pub fn install_page(&mut self, storage: StorageId, from: Position, limit: usize, page: ColdPage) {
        if let Some(database) = self.database_of(storage) {
            self.databases[usize::from(database)].cold.add_page(from, limit, page);
        }
    }

    /// Sets the filter that says which keys cannot be on disk.
    pub fn set_filter(&mut self, filter: &Arc<Filter>) {
        for database in &mut self.databases {
            database.cold.set_filter(Arc::clone(filter));
        }
    }

    /// Drops the marks of deleted keys that the disk no longer shows. Must not be called during a read, because that
    /// read may have seen an older disk.
    pub fn forget_absent(&mut self, applied: u64) {
        for database in &mut self.databases {
            database.cold.forget_absent(applied);
        }
    }

    /// The database whose rows are in `storage`; `None` if it has been emptied since.
    #[must_use]
    pub fn database_of(&self, storage: StorageId) -> Option<u8> {
        self.storages.database(storage)
    }

    pub(super) fn place(&mut self, database: u8, key: &[u8], loaded: Loaded) {
        let position = self.seed.position(key);
        let entry = Box::new(Entry {
            key: Key::new(key),
            value: loaded.value,
            expires_at_ms: loaded.expires_at_ms.unwrap_or(NEVER),
            stamp: Stamp::at(self.now_ms / 1000),
        });
        self.databases[usize::from(database)].insert(&self.seed, position, entry);
    }
}
