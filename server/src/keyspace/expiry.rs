//! Keys, and fields of hashes, whose time has come.
//!
//! A look-up removes a key, or fields of it, that are due, and does not find them. Keys that nobody looks up are
//! removed by the engine, a few at a time.

use super::event::events;
use super::table::Place;
use super::{Key, Keyspace};
use crate::types::HashValue;

impl Keyspace {
    /// A resident key that is due, or has fields that are due.
    #[must_use]
    pub fn next_due(&self) -> Option<(u8, Key)> {
        self.databases.iter().enumerate().find_map(|(number, database)| {
            let first = [database.expiries.first(), database.field_expiries.first()];
            let (_, key) = first.into_iter().flatten().find(|(at, _)| *at < self.now_ms)?;
            Some((number as u8, key.clone()))
        })
    }

    /// When the next resident key or field is due, in milliseconds of unix time.
    #[must_use]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        let indexes =
            self.databases.iter().flat_map(|database| [&database.expiries, &database.field_expiries]);
        indexes.filter_map(|index| Some(index.first()?.0)).min()
    }

    /// Removes a key that [`Self::next_due`] returned, or some of its fields: not so many that other work waits long.
    pub fn let_expire(&mut self, database: u8, key: &[u8]) {
        /// Fields that are removed in one go.
        const MAX_FIELDS: usize = 32;
        let held = &self.databases[usize::from(database)];
        let Some(place) = held.table.find(self.seed.position(key), key) else { return };
        if held.table.get(place).is_some_and(|entry| entry.is_expired(self.now_ms)) {
            self.expire(database, place);
        } else {
            self.expire_fields(database, key, place, MAX_FIELDS);
        }
    }

    /// Removes fields that are due, at most `limit` of them, and the key if none is left.
    pub(super) fn expire_fields(&mut self, database: u8, key: &[u8], place: Place, limit: usize) {
        let now_ms = self.now_ms;
        let expired =
            self.update_at(database, key, place, events::HEXPIRED, |hash: &mut HashValue, recorder| {
                hash.expire(now_ms, limit, recorder)
            });
        self.statistics.expired_fields += expired.unwrap_or(0) as u64;
    }

    /// Deletes a key that is due.
    pub(super) fn expire(&mut self, database: u8, place: Place) {
        self.statistics.expired += 1;
        self.remove_at(database, place, events::EXPIRED);
    }
}
