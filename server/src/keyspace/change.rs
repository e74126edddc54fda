//! Writing keys. Every public function here is one change: journalled, undoable, watched, announced.

use std::ops::Range;

use super::entry::{NEVER, Stamp};
use super::event::events;
use super::table::Place;
use super::undo::{Saved, Step};
use super::{Entry, Error, EventKind, Key, Keyspace};
use crate::store::Position;
use crate::store::record::Change;
use crate::types::{CHUNK_LEN, StringValue, Value};

/// What becomes of a key's time to live when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays.
    Keep,
    /// It is removed.
    Clear,
    /// It ends then, in milliseconds of unix time.
    At(u64),
}

/// What a key is to hold.
#[derive(Debug)]
pub enum Content<'a> {
    /// A ready value.
    Value(Value),
    /// A string of these bytes; overwrites the old one in place where that is possible.
    String(&'a [u8]),
}

/// What an edit of a value did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing.
    Unchanged,
    /// The whole value is new.
    Whole,
    /// Only these bytes of a string are new.
    Bytes(Range<u64>),
}

impl Content<'_> {
    fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::String(bytes) => Value::String(StringValue::from_bytes(bytes)),
        }
    }

    fn assign(self, value: &mut Value) {
        match (self, value) {
            (Self::String(bytes), Value::String(string)) => string.overwrite(bytes),
            (content @ Self::Value(_), value) => *value = content.into_value(),
        }
    }
}

impl Keyspace {
    /// Sets a key, whether it existed or not.
    pub fn set(
        &mut self,
        database: u8,
        key: &[u8],
        content: Content<'_>,
        expiry: Expiry,
        event: EventKind,
    ) -> Result<(), Error> {
        if let Some((_, place)) = self.locate(database, key)? {
            self.replace(database, place, content, expiry, event);
        } else {
            let position = self.seed.position(key);
            self.create(database, key, position, content.into_value(), expiry, event);
        }
        Ok(())
    }

    /// Changes the value of a key that exists; gives `None` when it does not.
    pub fn edit<R>(
        &mut self,
        database: u8,
        key: &[u8],
        event: EventKind,
        change: impl FnOnce(&mut Value) -> (R, Edit),
    ) -> Result<Option<R>, Error> {
        let Some((_, place)) = self.locate(database, key)? else { return Ok(None) };
        Ok(Some(self.edit_at(database, key, place, event, change)))
    }

    /// Changes the value of a key, which is `initial` when there is none; what stays [`Edit::Unchanged`] then is not
    /// created.
    ///
    /// Of a string that becomes long at once, only the [`Edit::Bytes`] are journalled: so they must be all of it that
    /// is not zero.
    pub fn edit_or_create<R>(
        &mut self,
        database: u8,
        key: &[u8],
        event: EventKind,
        initial: Value,
        change: impl FnOnce(&mut Value) -> (R, Edit),
    ) -> Result<R, Error> {
        if let Some((_, place)) = self.locate(database, key)? {
            return Ok(self.edit_at(database, key, place, event, change));
        }
        let mut value = initial;
        let (result, edit) = change(&mut value);
        match (edit, &value) {
            (Edit::Unchanged, _) => return Ok(result),
            (Edit::Bytes(range), Value::String(string)) if string.len() > CHUNK_LEN => {
                let empty = Value::String(StringValue::raw(b""));
                self.journal.put(database, key, None, true, &empty);
                self.journal.splice(database, key, string, range);
            }
            (Edit::Whole | Edit::Bytes(_), _) => self.journal.put(database, key, None, true, &value),
        }
        let position = self.seed.position(key);
        self.insert_new(database, key, position, value, None, event);
        Ok(result)
    }

    /// Deletes a key; `false` when there is none.
    pub fn delete(&mut self, database: u8, key: &[u8], event: EventKind) -> Result<bool, Error> {
        let Some((_, place)) = self.locate(database, key)? else { return Ok(false) };
        self.remove_at(database, place, event);
        Ok(true)
    }

    /// Takes a key out, with its value and time to live.
    pub fn take(&mut self, database: u8, key: &[u8], event: EventKind) -> Result<Option<Entry>, Error> {
        let Some((_, place)) = self.locate(database, key)? else { return Ok(None) };
        Ok(self.remove_at(database, place, event).map(|entry| *entry))
    }

    /// Sets or removes the time to live of a key; `false` when there is no such key.
    pub fn set_expiry(
        &mut self,
        database: u8,
        key: &[u8],
        expires_at_ms: Option<u64>,
        event: EventKind,
    ) -> Result<bool, Error> {
        let Some((_, place)) = self.locate(database, key)? else { return Ok(false) };
        let before = self.before_change(database, place);
        let held = &mut self.databases[usize::from(database)];
        held.set_expiry(place, expires_at_ms.unwrap_or(NEVER));
        if let Some(entry) = held.table.get_mut(place) {
            entry.stamp.touch(self.now_ms / 1000);
        }
        self.statistics.changes += 1;
        self.watchers.touch(database, key);
        self.journal.push(&Change::Expire { database, key, expires_at_ms });
        let after = before.clone();
        self.raise(event, database, key, before, after);
        Ok(true)
    }

    /// Announces a second event about a key that was just changed, such as `expire` after `set`.
    pub fn announce(&mut self, database: u8, key: &[u8], event: EventKind) {
        if self.journal.wants(event.class) {
            // A key whose time to live has ended by now still got it before it goes.
            let table = &self.databases[usize::from(database)].table;
            let entry = table.find(self.seed.position(key), key).and_then(|place| table.get(place));
            let value = entry.filter(|_| self.journal.wants_values()).map(|entry| entry.value.clone());
            self.raise(event, database, key, value.clone(), value);
        }
    }

    /// Empties a database, without events; gives how many keys it had.
    pub fn flush(&mut self, database: u8) -> usize {
        for key in self.watchers.keys_of(database) {
            let held = &self.databases[usize::from(database)];
            let position = self.seed.position(&key);
            if held.table.contains(position, &key)
                || held.cold.may_hold(self.storages.storage(database), position, &key)
            {
                self.watchers.touch(database, &key);
            }
        }
        let held = &mut self.databases[usize::from(database)];
        let count = held.len();
        self.statistics.changes += count as u64;
        let before = Box::new(std::mem::take(held));
        let storages = self.storages.clone();
        self.storages.flush(database);
        self.journal.push(&Change::Flush { database });
        if self.undo.is_recording() {
            self.undo.push(Step::Flush { database, before, storages: Box::new(storages) });
        } else {
            drop_elsewhere(before);
        }
        count
    }

    /// Exchanges two databases, without events.
    pub fn swap(&mut self, first: u8, second: u8) {
        if first == second {
            return;
        }
        for (database, other) in [(first, second), (second, first)] {
            for key in self.watchers.keys_of(database) {
                let position = self.seed.position(&key);
                let there = [database, other].into_iter().any(|number| {
                    let held = &self.databases[usize::from(number)];
                    let storage = self.storages.storage(number);
                    held.table.contains(position, &key) || held.cold.may_hold(storage, position, &key)
                });
                if there {
                    self.watchers.touch(database, &key);
                }
            }
        }
        self.exchange(first, second);
        self.journal.push(&Change::Swap { a: first, b: second });
        if self.undo.is_recording() {
            self.undo.push(Step::Swap { first, second });
        }
    }

    pub(super) fn exchange(&mut self, first: u8, second: u8) {
        self.databases.swap(first.into(), second.into());
        self.storages.swap(first, second);
    }

    fn edit_at<R>(
        &mut self,
        database: u8,
        key: &[u8],
        place: Place,
        event: EventKind,
        change: impl FnOnce(&mut Value) -> (R, Edit),
    ) -> R {
        let before = self.before_change(database, place);
        let entry = self.databases[usize::from(database)].table.entry_mut(place);
        let (result, edit) = change(&mut entry.value);
        if edit == Edit::Unchanged {
            return result;
        }
        self.statistics.changes += 1;
        self.watchers.touch(database, key);
        entry.stamp.touch(self.now_ms / 1000);
        match (edit, &entry.value) {
            // A short string is one row on disk, so it is journalled whole.
            (Edit::Bytes(range), Value::String(string @ StringValue::Chunked(_))) => {
                self.journal.splice(database, key, string, range);
            }
            (_, value) => self.journal.put(database, key, entry.expires_at_ms(), false, value),
        }
        let after = before.is_some().then(|| entry.value.clone());
        self.raise(event, database, key, before, after);
        result
    }

    fn replace(
        &mut self,
        database: u8,
        place: Place,
        content: Content<'_>,
        expiry: Expiry,
        event: EventKind,
    ) {
        let before = self.before_change(database, place);
        let held = &mut self.databases[usize::from(database)];
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => held.set_expiry(place, NEVER),
            Expiry::At(at) => held.set_expiry(place, at),
        }
        let Some(entry) = held.table.get_mut(place) else { return };
        self.statistics.changes += 1;
        self.watchers.touch(database, &entry.key);
        content.assign(&mut entry.value);
        entry.stamp.touch(self.now_ms / 1000);
        self.journal.put(database, &entry.key, entry.expires_at_ms(), false, &entry.value);
        if self.journal.wants(event.class) {
            let (key, after) = (entry.key.clone(), before.is_some().then(|| entry.value.clone()));
            self.raise(event, database, &key, before, after);
        }
    }

    fn create(
        &mut self,
        database: u8,
        key: &[u8],
        position: Position,
        value: Value,
        expiry: Expiry,
        event: EventKind,
    ) {
        let expires_at_ms = match expiry {
            Expiry::At(at) => Some(at),
            Expiry::Keep | Expiry::Clear => None,
        };
        self.journal.put(database, key, expires_at_ms, true, &value);
        self.insert_new(database, key, position, value, expires_at_ms, event);
    }

    /// Puts in a key that is not there and has been journalled.
    fn insert_new(
        &mut self,
        database: u8,
        key: &[u8],
        position: Position,
        value: Value,
        expires_at_ms: Option<u64>,
        event: EventKind,
    ) {
        self.statistics.changes += 1;
        self.watchers.touch(database, key);
        if self.undo.is_recording() {
            self.undo.push(Step::Key(Saved { database, key: Key::new(key), entry: None }));
        }
        let after = self.journal.wants_values().then(|| value.clone());
        let entry = Box::new(Entry {
            key: Key::new(key),
            value,
            expires_at_ms: expires_at_ms.unwrap_or(NEVER),
            stamp: Stamp::at(self.now_ms / 1000),
        });
        let held = &mut self.databases[usize::from(database)];
        held.insert(&self.seed, position, entry);
        self.raise(events::NEW, database, key, None, after.clone());
        self.raise(event, database, key, None, after);
    }

    pub(super) fn remove_at(&mut self, database: u8, place: Place, event: EventKind) -> Option<Box<Entry>> {
        self.statistics.changes += 1;
        let sequence = self.journal.group();
        let held = &mut self.databases[usize::from(database)];
        let entry = held.remove(place)?;
        held.cold.note_absent(entry.key.clone(), sequence);
        self.watchers.touch(database, &entry.key);
        self.journal.push(&Change::Delete { database, key: &entry.key });
        let before = self.journal.wants_values().then(|| entry.value.clone());
        self.raise(event, database, &entry.key, before, None);
        if self.undo.is_recording() {
            let saved = Saved { database, key: entry.key.clone(), entry: Some(entry.clone()) };
            self.undo.push(Step::Key(saved));
        }
        Some(entry)
    }

    /// Does what must come before the value or the time to live at `place` changes; gives the value before, where
    /// triggers want it.
    fn before_change(&mut self, database: u8, place: Place) -> Option<Value> {
        let entry = self.databases[usize::from(database)].table.get_mut(place)?;
        if let Some(savepoint) = self.undo.savepoint()
            && entry.stamp.savepoint() != savepoint
        {
            let saved = Saved { database, key: entry.key.clone(), entry: Some(Box::new(entry.clone())) };
            self.undo.push(Step::Key(saved));
            entry.stamp.set_savepoint(savepoint);
        }
        self.journal.wants_values().then(|| entry.value.clone())
    }

    /// Puts a key back as it was saved.
    pub(super) fn restore(&mut self, saved: Saved) {
        let position = self.seed.position(&saved.key);
        let held = &mut self.databases[usize::from(saved.database)];
        if let Some(place) = held.table.find(position, &saved.key) {
            held.remove(place);
        }
        if let Some(entry) = saved.entry {
            held.insert(&self.seed, position, entry);
        }
    }
}

/// Freeing millions of values takes long enough to be noticed, so another thread does it.
fn drop_elsewhere(before: Box<super::Database>) {
    const SMALL: usize = 10_000;
    if before.table.len() > SMALL {
        // Without a thread the values are freed here: slower, but right.
        let _ = std::thread::Builder::new().name("free".into()).spawn(move || drop(before));
    }
}
