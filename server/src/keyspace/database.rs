//! One of the numbered databases: its resident keys, and what is known of those that are only on disk.

use std::collections::{BTreeSet, HashMap};

use super::cold::Cold;
use super::table::{Place, Table};
use super::{Entry, Key};
use crate::store::{Position, Seed};

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Database {
    pub table: Table,
    /// Resident keys that have a time to live, ordered by when it ends.
    pub expiries: BTreeSet<(u64, Key)>,
    /// The sum of those times.
    pub expiry_sum_ms: u128,
    /// Resident hashes with fields that expire, ordered by when the first of these fields does.
    pub field_expiries: BTreeSet<(u64, Key)>,
    pub cold: Cold,
}

impl Database {
    /// How many keys there are, on disk or in memory.
    pub fn len(&self) -> usize {
        self.table.len() + self.cold.len()
    }

    /// Adds an entry for a key that has none.
    pub fn insert(&mut self, seed: &Seed, position: Position, entry: Box<Entry>) {
        if let Some(at) = entry.expires_at_ms() {
            self.note_expiry(at, &entry.key);
        }
        if let Some(at) = entry.value.next_end_ms() {
            self.field_expiries.insert((at, entry.key.clone()));
        }
        self.table.insert(seed, position, entry);
    }

    pub fn remove(&mut self, place: Place) -> Option<Box<Entry>> {
        let entry = self.table.remove(place)?;
        if let Some(at) = entry.expires_at_ms() {
            self.forget_expiry(at, &entry.key);
        }
        if let Some(at) = entry.value.next_end_ms() {
            self.field_expiries.remove(&(at, entry.key.clone()));
        }
        Some(entry)
    }

    /// Updates the index of fields' ends after a change of a value; `before` is the first end before the change.
    pub fn note_field_end(&mut self, place: Place, before: Option<u64>) {
        let Some(entry) = self.table.get(place) else { return };
        let after = entry.value.next_end_ms();
        if before == after {
            return;
        }
        if let Some(at) = before {
            self.field_expiries.remove(&(at, entry.key.clone()));
        }
        if let Some(at) = after {
            self.field_expiries.insert((at, entry.key.clone()));
        }
    }

    /// Changes when an entry expires, in the entry and in the index.
    pub fn set_expiry(&mut self, place: Place, expires_at_ms: u64) {
        let Some(entry) = self.table.get_mut(place) else { return };
        if entry.expires_at_ms == expires_at_ms {
            return;
        }
        let before = std::mem::replace(&mut entry.expires_at_ms, expires_at_ms);
        let key = entry.key.clone();
        if before != super::entry::NEVER {
            self.forget_expiry(before, &key);
        }
        if expires_at_ms != super::entry::NEVER {
            self.note_expiry(expires_at_ms, &key);
        }
    }

    fn note_expiry(&mut self, at: u64, key: &Key) {
        if self.expiries.insert((at, key.clone())) {
            self.expiry_sum_ms += u128::from(at);
        }
    }

    fn forget_expiry(&mut self, at: u64, key: &Key) {
        if self.expiries.remove(&(at, key.clone())) {
            self.expiry_sum_ms -= u128::from(at);
        }
    }

    /// When the resident keys that have a time to live end, on average.
    pub fn average_expiry_ms(&self) -> Option<u64> {
        let average = self.expiry_sum_ms.checked_div(self.expiries.len() as u128)?;
        u64::try_from(average).ok()
    }
}

/// Deleted keys that the disk may still show, each with the group of the journal that deletes it.
pub(super) type Absent = HashMap<Key, u64>;
