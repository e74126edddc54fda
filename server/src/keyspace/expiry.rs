//! Keys, and fields of hashes, whose time has come.
//!
//! A look-up removes a key, or fields of it, that are due, and does not find them. Keys that nobody looks up are
//! removed by the engine, a few at a time.

use std::collections::HashMap;

use super::event::events;
use super::garbage::{discard, free};
use super::limits::{MAX_EXPIRED_FIELDS, MAX_VIEWS};
use super::table::Place;
use super::{Entry, Key, Keyspace};
use crate::types::{Collection, HashValue, Typed, Value};

#[cfg(test)]
mod tests;

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
    #[cfg(test)]
    #[must_use]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        let indexes =
            self.databases.iter().flat_map(|database| [&database.expiries, &database.field_expiries]);
        indexes.filter_map(|index| Some(index.first()?.0)).min()
    }

    /// Sets whether reads pass over what has expired instead of removing it: for times when nothing may be written.
    /// Whoever writes such a key all the same lets it expire first.
    pub fn hold_expiry(&mut self, is_held: bool) {
        self.expiry_held = is_held;
        if !is_held {
            self.views.clear();
        }
    }

    /// Removes a key that [`Self::next_due`] returned, or some of its fields: not so many that other work waits long.
    pub fn let_expire(&mut self, database: u8, key: &[u8]) {
        let held = &self.databases[usize::from(database)];
        let Some(place) = held.table.find(self.seed.position(key), key) else { return };
        if held.table.get(place).is_some_and(|entry| entry.is_expired(self.now_ms)) {
            self.expire(database, place);
        } else {
            self.expire_fields(database, key, place, MAX_EXPIRED_FIELDS);
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
        if let Some(entry) = self.remove_at(database, place, events::EXPIRED) {
            discard(entry);
        }
    }
}

/// Hashes as reads see them while expiry is held: without the fields that are due.
#[derive(Debug, Default)]
pub(super) struct HeldViews(HashMap<(u8, Key), View>);

#[derive(Debug)]
struct View {
    /// The hash that this is a view of, as it was when the view was made.
    of: HashValue,
    entry: Entry,
}

impl HeldViews {
    /// Brings the view of a hash up to date; `false` if all of its fields are due.
    pub fn update(&mut self, database: u8, entry: &Entry, now_ms: u64) -> bool {
        let Value::Hash(hash) = &entry.value else { return true };
        if self.0.len() >= MAX_VIEWS {
            self.clear();
        }
        let new = || View { of: hash.clone(), entry: entry.clone() };
        let view = self.0.entry((database, entry.key.clone())).or_insert_with(new);
        if !view.of.is_same(hash) {
            *view = new();
        }
        let seen = &mut view.entry;
        (seen.expires_at_ms, seen.stamp) = (entry.expires_at_ms, entry.stamp);
        HashValue::of_mut(&mut seen.value).is_some_and(|seen| {
            seen.expire(now_ms, usize::MAX, &mut ());
            !seen.is_empty()
        })
    }

    /// What [`Self::update`] has made.
    pub fn get(&self, database: u8, key: &Key) -> Option<&Entry> {
        self.0.get(&(database, key.clone())).map(|view| &view.entry)
    }

    pub fn clear(&mut self) {
        if !self.0.is_empty() {
            free(std::mem::take(&mut self.0));
        }
    }
}
