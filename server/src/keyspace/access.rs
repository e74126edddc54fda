//! Reading keys.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::entry::NEVER;
use super::event::{Event, events};
use super::limits::WARMED_AT_ONCE;
use super::table::Place;
use super::{Entry, Error, Key, Keyspace, Need};
use crate::store::limits::{DATABASES, SYSTEM_DATABASE};
use crate::store::{Position, StorageId};
use crate::types::{Kind, StringValue, Typed, Value};

impl Keyspace {
    /// The value of a key, for a command that reads it: counts a hit or a miss, and its use.
    pub fn get(&mut self, database: u8, key: &[u8]) -> Result<Option<&Value>, Error> {
        let Some(place) = self.locate_or_miss(database, key)? else { return Ok(None) };
        let now_s = self.now_ms / 1000;
        if self.expiry_held {
            let entry = self.databases[usize::from(database)].table.entry_mut(place);
            if !self.no_touch {
                entry.stamp.touch(now_s);
            }
            return Ok(self.entry_to_read(database, place).map(|entry| &entry.value));
        }
        let entry = self.databases[usize::from(database)].table.get_mut(place);
        Ok(entry.map(|entry| {
            if !self.no_touch {
                entry.stamp.touch(now_s);
            }
            &entry.value
        }))
    }

    /// The string at a key, for a command that reads it.
    pub fn get_string(&mut self, database: u8, key: &[u8]) -> Result<Option<&StringValue>, Error> {
        self.get_as(database, key)
    }

    /// The value of a type at a key, for a command that reads it.
    pub fn get_as<T: Typed>(&mut self, database: u8, key: &[u8]) -> Result<Option<&T>, Error> {
        self.get(database, key)?.map(|value| T::of(value).ok_or(Error::WrongType)).transpose()
    }

    /// The entry of a key. Looking at it counts as nothing: no hit, no miss, no use.
    pub fn peek(&mut self, database: u8, key: &[u8]) -> Result<Option<&Entry>, Error> {
        let Some(place) = self.locate_to_read(database, key)? else { return Ok(None) };
        Ok(self.entry_to_read(database, place))
    }

    /// The type of the value at a key. Changes nothing: a key that has expired is not found, but stays.
    pub fn kind_of(&self, database: u8, key: &[u8]) -> Result<Option<Kind>, Error> {
        let place = self.find(database, key).map_err(Error::NotResident)?;
        let entry = place.and_then(|place| self.databases[usize::from(database)].table.get(place));
        Ok(entry.filter(|entry| !entry.is_expired(self.now_ms)).map(|entry| entry.value.kind()))
    }

    /// The string at a key that is about to be changed: neither hit nor miss, as in Redis.
    pub fn peek_string(&mut self, database: u8, key: &[u8]) -> Result<Option<&StringValue>, Error> {
        self.peek_as(database, key)
    }

    /// The value of a type at a key that is about to be changed: neither hit nor miss, as in Redis.
    pub fn peek_as<T: Typed>(&mut self, database: u8, key: &[u8]) -> Result<Option<&T>, Error> {
        self.peek(database, key)?.map(|entry| T::of(&entry.value).ok_or(Error::WrongType)).transpose()
    }

    /// The entry of a key, for a command that inspects it: counts a hit or a miss, but not as a use of the key.
    pub fn inspect(&mut self, database: u8, key: &[u8]) -> Result<Option<&Entry>, Error> {
        let Some(place) = self.locate_or_miss(database, key)? else { return Ok(None) };
        Ok(self.entry_to_read(database, place))
    }

    /// Whether a key exists; counts a hit or a miss, but not as a use of the key.
    pub fn exists(&mut self, database: u8, key: &[u8]) -> Result<bool, Error> {
        Ok(self.inspect(database, key)?.is_some())
    }

    /// How many keys a database has, and how many of the resident ones will expire.
    #[must_use]
    pub fn count(&self, database: u8) -> (usize, usize) {
        let database = &self.databases[usize::from(database)];
        (database.len(), database.expiries.len())
    }

    /// For how long the resident keys that will expire still live, on average, in milliseconds; 0 if there are none.
    #[must_use]
    pub fn average_ttl_ms(&self, database: u8) -> u64 {
        let average = self.databases[usize::from(database)].average_expiry_ms();
        average.map_or(0, |at| at.saturating_sub(self.now_ms))
    }

    /// How many keys of all numbered databases are only on disk.
    #[must_use]
    pub fn cold_keys(&self) -> usize {
        self.databases[..DATABASES].iter().map(|database| database.cold.len()).sum()
    }

    /// Where a database's rows are on disk.
    #[must_use]
    pub fn storage(&self, database: u8) -> StorageId {
        self.storages.storage(database)
    }

    /// Bytes of the hash tables, without keys and values.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.databases.iter().map(|database| database.table.allocated_bytes()).sum()
    }

    /// The same, for one database.
    #[must_use]
    pub fn database_table_bytes(&self, database: u8) -> usize {
        self.databases[usize::from(database)].table.allocated_bytes()
    }

    /// Whether a database has keys that are only on disk.
    #[must_use]
    pub fn is_any_cold(&self, database: u8) -> bool {
        !self.databases[usize::from(database)].cold.is_empty()
    }

    /// What must be loaded before a command can use these keys. Asked before the command runs, so that it need not stop
    /// half-way.
    #[must_use]
    pub fn needs<'a>(&self, database: u8, keys: impl Iterator<Item = &'a [u8]>) -> Vec<Need> {
        if !self.is_any_cold(database) {
            return Vec::new();
        }
        keys.filter_map(|key| self.find(database, key).err()).collect()
    }

    /// Fails unless all these keys are in memory, and then requests all missing ones together. For keys that the
    /// command itself does not name.
    pub fn require(&self, database: u8, keys: impl Iterator<Item = Vec<u8>>) -> Result<(), Error> {
        if !self.is_any_cold(database) {
            return Ok(());
        }
        let missing: BTreeSet<Vec<u8>> = keys.filter(|key| self.find(database, key).is_err()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let database = self.number_to_load_from(database);
        let keys = missing.iter().map(|key| Key::new(key)).collect();
        Err(Error::NotResident(Need::Keys { database, keys }))
    }

    /// Brings the entries of these keys into the processor's caches, before commands use them one by one.
    pub fn warm<'a>(&self, database: u8, lookups: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        let table = &self.databases[usize::from(database)].table;
        let lookups: SmallVec<[(Position, &[u8]); WARMED_AT_ONCE]> =
            lookups.take(WARMED_AT_ONCE).map(|(key, element)| (self.seed.position(key), element)).collect();
        table.warm(&lookups);
    }

    /// Where a resident key is; `None` if there is no such key, and what must be loaded if that is not known.
    pub(super) fn find(&self, database: u8, key: &[u8]) -> Result<Option<Place>, Need> {
        let position = self.seed.position(key);
        let held = &self.databases[usize::from(database)];
        let place = held.table.find(position, key);
        if place.is_none() && held.cold.may_hold(self.storages.storage(database), position, key) {
            return Err(Need::Key { database: self.number_to_load_from(database), key: Key::new(key) });
        }
        Ok(place)
    }

    /// Where to look for what a database lacks. The transaction is undone before something is loaded for it, and with it
    /// its exchanges of databases; but what is detached gets it in between.
    pub(super) fn number_to_load_from(&self, database: u8) -> u8 {
        let is_detached = self.databases[usize::from(database)].cold.remote_database().is_some();
        if is_detached { database } else { self.undo.number_before(database) }
    }

    /// Where a key is, for changing it. Deletes it, or fields of it, if they have expired.
    pub(super) fn locate(&mut self, database: u8, key: &[u8]) -> Result<Option<Place>, Error> {
        let Some(place) = self.find(database, key).map_err(Error::NotResident)? else { return Ok(None) };
        match self.databases[usize::from(database)].table.get(place) {
            Some(entry) if entry.expires_at_ms != NEVER && entry.is_expired(self.now_ms) => {
                self.expire(database, place);
                Ok(None)
            }
            Some(entry) if entry.has_due_fields(self.now_ms) => {
                self.expire_fields(database, key, place, usize::MAX);
                // The last field takes its key with it.
                let held = &self.databases[usize::from(database)];
                Ok(held.table.find(self.seed.position(key), key))
            }
            _ => Ok(Some(place)),
        }
    }

    /// Where a key is, for reading it with [`Self::entry_to_read`]. As [`Self::locate`], but while expiry is held nothing
    /// is deleted.
    pub(super) fn locate_to_read(&mut self, database: u8, key: &[u8]) -> Result<Option<Place>, Error> {
        if !self.expiry_held {
            return self.locate(database, key);
        }
        let place = self.find(database, key).map_err(Error::NotResident)?;
        let entry = place.and_then(|place| self.databases[usize::from(database)].table.get(place));
        Ok(match entry {
            Some(entry) if entry.is_expired(self.now_ms) => None,
            Some(entry) if entry.has_due_fields(self.now_ms) => {
                place.filter(|_| self.views.update(database, entry, self.now_ms))
            }
            _ => place,
        })
    }

    /// The entry at a place that [`Self::locate_to_read`] gave.
    fn entry_to_read(&self, database: u8, place: Place) -> Option<&Entry> {
        let entry = self.databases[usize::from(database)].table.get(place)?;
        if self.expiry_held && entry.has_due_fields(self.now_ms) {
            return self.views.get(database, &entry.key);
        }
        Some(entry)
    }

    /// As [`Self::locate_to_read`], and counts a hit or a miss.
    fn locate_or_miss(&mut self, database: u8, key: &[u8]) -> Result<Option<Place>, Error> {
        let place = self.locate_to_read(database, key)?;
        if place.is_some() {
            self.statistics.hits += 1;
        } else {
            self.statistics.misses += 1;
            self.raise(events::KEY_MISS, database, key, None, None);
        }
        Ok(place)
    }

    pub(super) fn raise(
        &mut self,
        kind: super::EventKind,
        database: u8,
        key: &[u8],
        before: Option<Value>,
        after: Option<Value>,
    ) {
        self.raise_of_elements(kind, database, key, before, after, Vec::new());
    }

    pub(super) fn raise_of_elements(
        &mut self,
        kind: super::EventKind,
        database: u8,
        key: &[u8],
        before: Option<Value>,
        after: Option<Value>,
        elements: Vec<Box<[u8]>>,
    ) {
        if self.journal.wants(kind.class) && database != SYSTEM_DATABASE {
            self.journal.raise(Event { kind, database, key: Key::new(key), before, after, elements });
        }
    }
}
