//! Writing keys. Every public function here is one change: journalled, undoable, watched, announced.

use std::ops::Range;

use super::entry::{NEVER, Stamp};
use super::event::events;
use super::garbage::{discard, discard_database, discard_value};
use super::history::Extent;
use super::journal::{JournalRecorder, Recorded};
use super::table::Place;
use super::undo::{Saved, Step};
use super::{Entry, Error, EventKind, Key, Keyspace};
use crate::store::record::Change;
use crate::types::{CHUNK_LEN, Collection, Recorder, StringValue, Typed, Value};

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
            (content, value) => {
                let before = std::mem::replace(value, content.into_value());
                discard_value(before);
            }
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
        if let Some(place) = self.locate(database, key)? {
            self.replace(database, place, content, expiry, event);
        } else {
            let value = content.into_value();
            let expires_at_ms = match expiry {
                Expiry::At(at) => Some(at),
                Expiry::Keep | Expiry::Clear => None,
            };
            self.journal.put(database, key, expires_at_ms, true, &value);
            self.insert_new(database, key, value, expires_at_ms, event, Vec::new());
        }
        Ok(())
    }

    /// Changes the string at a key that exists; gives `None` when it does not.
    pub fn edit<R>(
        &mut self,
        database: u8,
        key: &[u8],
        event: EventKind,
        change: impl FnOnce(&mut StringValue) -> (R, Edit),
    ) -> Result<Option<R>, Error> {
        let Some(place) = self.locate(database, key)? else { return Ok(None) };
        self.edit_at(database, key, place, event, change).map(Some)
    }

    /// Changes the string at a key, starting with `initial` if there is no key; then [`Edit::Unchanged`] creates none.
    ///
    /// If the new string is long, only the [`Edit::Bytes`] range is journalled, so everything outside it must be zero.
    pub fn edit_or_create<R>(
        &mut self,
        database: u8,
        key: &[u8],
        event: EventKind,
        initial: StringValue,
        change: impl FnOnce(&mut StringValue) -> (R, Edit),
    ) -> Result<R, Error> {
        if let Some(place) = self.locate(database, key)? {
            return self.edit_at(database, key, place, event, change);
        }
        let mut string = initial;
        let (result, edit) = change(&mut string);
        let value = match edit {
            Edit::Unchanged => return Ok(result),
            Edit::Bytes(range) if string.len() > CHUNK_LEN => {
                self.journal.put(database, key, None, true, &StringValue::raw(b"").into());
                self.journal.splice(database, key, &string, range);
                string.into()
            }
            Edit::Whole | Edit::Bytes(_) => {
                let value = string.into();
                self.journal.put(database, key, None, true, &value);
                value
            }
        };
        self.insert_new(database, key, value, None, event, Vec::new());
        Ok(result)
    }

    /// Changes the collection at a key that exists; gives `None` when it does not. A collection that becomes empty is
    /// deleted, with a second event. If `change` records nothing, the value counts as unchanged.
    pub fn update<T: Collection + Typed, R>(
        &mut self,
        database: u8,
        key: &[u8],
        event: EventKind,
        change: impl FnOnce(&mut T, &mut dyn Recorder) -> R,
    ) -> Result<Option<R>, Error> {
        let Some(place) = self.locate(database, key)? else { return Ok(None) };
        self.update_at(database, key, place, event, change).map(Some)
    }

    /// Changes the collection at a key, starting with an empty one if there is no key; if that stays empty, no key is
    /// created.
    pub fn update_or_create<T: Collection + Typed + Into<Value>, R>(
        &mut self,
        database: u8,
        key: &[u8],
        event: EventKind,
        change: impl FnOnce(&mut T, &mut dyn Recorder) -> R,
    ) -> Result<R, Error> {
        if let Some(place) = self.locate(database, key)? {
            return self.update_at(database, key, place, event, change);
        }
        let mut value = T::default();
        let mut recorder = JournalRecorder::new(&mut self.journal, database, key, true);
        let result = change(&mut value, &mut recorder);
        let Recorded { elements, .. } = recorder.finish();
        if !value.is_empty() {
            let value = value.into();
            self.journal.put(database, key, None, true, &value);
            self.insert_new(database, key, value, None, event, elements);
        }
        Ok(result)
    }

    pub(super) fn update_at<T: Collection + Typed, R>(
        &mut self,
        database: u8,
        key: &[u8],
        place: Place,
        event: EventKind,
        change: impl FnOnce(&mut T, &mut dyn Recorder) -> R,
    ) -> Result<R, Error> {
        if T::of(&self.databases[usize::from(database)].table.entry_mut(place).value).is_none() {
            return Err(Error::WrongType);
        }
        let before = self.before_change(database, place, Extent::Blocks);
        let entry = self.databases[usize::from(database)].table.entry_mut(place);
        let end_before = entry.value.next_end_ms();
        let value = T::of_mut(&mut entry.value).ok_or(Error::WrongType)?;
        let mut recorder = JournalRecorder::new(&mut self.journal, database, key, false);
        let result = change(value, &mut recorder);
        let Recorded { changed, whole, elements } = recorder.finish();
        if !changed {
            return Ok(result);
        }
        self.statistics.changes += 1;
        if event.touches {
            self.watchers.touch(database, key);
        }
        entry.stamp.touch(self.now_ms / 1000);
        let is_empty = value.is_empty();
        if whole && !is_empty {
            self.journal.put(database, key, entry.expires_at_ms(), false, &entry.value);
        }
        let after = before.is_some().then(|| entry.value.clone());
        self.databases[usize::from(database)].note_field_end(place, end_before);
        self.raise_of_elements(event, database, key, before, after, elements);
        if is_empty {
            self.remove_at(database, place, events::DEL);
        }
        Ok(result)
    }

    /// Deletes a key; `false` when there is none.
    pub fn delete(&mut self, database: u8, key: &[u8], event: EventKind) -> Result<bool, Error> {
        let Some(place) = self.locate(database, key)? else { return Ok(false) };
        if let Some(entry) = self.remove_at(database, place, event) {
            discard(entry);
        }
        Ok(true)
    }

    /// Takes a key out, with its value and time to live.
    pub fn take(&mut self, database: u8, key: &[u8], event: EventKind) -> Result<Option<Entry>, Error> {
        let Some(place) = self.locate(database, key)? else { return Ok(None) };
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
        let Some(place) = self.locate(database, key)? else { return Ok(false) };
        let before = self.before_change(database, place, Extent::Nothing);
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
            // If the new time to live has already ended, the key got it all the same, and is removed afterwards.
            let table = &self.databases[usize::from(database)].table;
            let entry = table.find(self.seed.position(key), key).and_then(|place| table.get(place));
            let value = entry.filter(|_| self.journal.wants_values()).map(|entry| entry.value.clone());
            self.raise(event, database, key, value.clone(), value);
        }
    }

    /// Empties a database, without events; gives how many keys it had.
    pub fn flush(&mut self, database: u8) -> usize {
        for key in self.watchers.keys_of(database) {
            if self.may_exist(database, &key) {
                self.watchers.touch(database, &key);
            }
        }
        self.watchers.observer.touch_all();
        self.history.lose();
        let held = &mut self.databases[usize::from(database)];
        let count = held.table.len() + held.cold.uncounted_len();
        self.statistics.changes += count as u64;
        let before = Box::new(std::mem::take(held));
        let storages = self.storages.clone();
        self.storages.flush(database);
        self.journal.push(&Change::Flush { database });
        if self.undo.is_recording() {
            self.undo.push(Step::Flush { database, before, storages: Box::new(storages) });
        } else {
            discard_database(before);
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
                let there = [database, other].into_iter().any(|number| self.may_exist(number, &key));
                if there {
                    self.watchers.touch(database, &key);
                }
            }
        }
        self.watchers.observer.touch_all();
        self.history.lose();
        self.exchange(first, second);
        self.journal.push(&Change::Swap { a: first, b: second });
        if self.undo.is_recording() {
            self.undo.push(Step::Swap { first, second });
        }
    }

    /// Whether a key is in memory, expired or not, or may be on disk.
    fn may_exist(&self, database: u8, key: &[u8]) -> bool {
        !matches!(self.find(database, key), Ok(None))
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
        change: impl FnOnce(&mut StringValue) -> (R, Edit),
    ) -> Result<R, Error> {
        if StringValue::of(&self.databases[usize::from(database)].table.entry_mut(place).value).is_none() {
            return Err(Error::WrongType);
        }
        let before = self.before_change(database, place, Extent::Chunk);
        let entry = self.databases[usize::from(database)].table.entry_mut(place);
        let string = StringValue::of_mut(&mut entry.value).ok_or(Error::WrongType)?;
        let (result, edit) = change(string);
        if edit == Edit::Unchanged {
            return Ok(result);
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
        Ok(result)
    }

    fn replace(
        &mut self,
        database: u8,
        place: Place,
        content: Content<'_>,
        expiry: Expiry,
        event: EventKind,
    ) {
        let before = self.before_change(database, place, Extent::Whole);
        self.note_garbage_at(database, place);
        let held = &mut self.databases[usize::from(database)];
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => held.set_expiry(place, NEVER),
            Expiry::At(at) => held.set_expiry(place, at),
        }
        let Some(entry) = held.table.get_mut(place) else { return };
        self.statistics.changes += 1;
        self.watchers.touch(database, &entry.key);
        let end_before = entry.value.next_end_ms();
        content.assign(&mut entry.value);
        entry.stamp.touch(self.now_ms / 1000);
        self.journal.put(database, &entry.key, entry.expires_at_ms(), false, &entry.value);
        let wanted = self.journal.wants(event.class);
        let wanted = wanted.then(|| (entry.key.clone(), before.is_some().then(|| entry.value.clone())));
        held.note_field_end(place, end_before);
        if let Some((key, after)) = wanted {
            self.raise(event, database, &key, before, after);
        }
    }

    /// Adds a new key, which has already been journalled.
    fn insert_new(
        &mut self,
        database: u8,
        key: &[u8],
        value: Value,
        expires_at_ms: Option<u64>,
        event: EventKind,
        elements: Vec<Box<[u8]>>,
    ) {
        self.statistics.changes += 1;
        self.watchers.touch(database, key);
        if self.history.is_active() {
            self.history.keep(database, &Key::new(key), None, Extent::Nothing);
        }
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
        let position = self.seed.position(key);
        self.databases[usize::from(database)].insert(&self.seed, position, entry);
        self.raise(events::NEW, database, key, None, after.clone());
        self.raise_of_elements(event, database, key, None, after, elements);
    }

    pub(super) fn remove_at(&mut self, database: u8, place: Place, event: EventKind) -> Option<Box<Entry>> {
        self.statistics.changes += 1;
        let sequence = self.journal.group();
        let held = &mut self.databases[usize::from(database)];
        let entry = held.remove(place)?;
        held.cold.note_absent(entry.key.clone(), sequence);
        self.history.keep(database, &entry.key, Some(&entry), Extent::Whole);
        self.watchers.touch(database, &entry.key);
        self.journal.push(&Change::Delete { database, key: &entry.key });
        let before = self.journal.wants_values().then(|| entry.value.clone());
        self.raise(event, database, &entry.key, before, None);
        if self.undo.is_recording() {
            let saved = Saved { database, key: entry.key.clone(), entry: Some(entry.clone()) };
            self.undo.push(Step::Key(saved));
            self.undo.note_garbage(entry.value.elements());
        }
        Some(entry)
    }

    /// Prepares a change of the value or the time to live at `place`. Returns the value before the change if triggers
    /// want it.
    fn before_change(&mut self, database: u8, place: Place, changed: Extent) -> Option<Value> {
        let entry = self.databases[usize::from(database)].table.get_mut(place)?;
        self.history.keep(database, &entry.key, Some(entry), changed);
        if let Some(savepoint) = self.undo.savepoint()
            && entry.stamp.savepoint() != savepoint
        {
            let saved = Saved { database, key: entry.key.clone(), entry: Some(Box::new(entry.clone())) };
            self.undo.push(Step::Key(saved));
            entry.stamp.set_savepoint(savepoint);
        }
        self.journal.wants_values().then(|| entry.value.clone())
    }

    /// Notes that the value at `place` is about to be replaced, and is freed with the undo log.
    fn note_garbage_at(&mut self, database: u8, place: Place) {
        if self.undo.is_recording()
            && let Some(entry) = self.databases[usize::from(database)].table.get(place)
        {
            self.undo.note_garbage(entry.value.elements());
        }
    }

    /// Puts a key back as it was saved.
    pub(super) fn restore(&mut self, saved: Saved) {
        let position = self.seed.position(&saved.key);
        let held = &mut self.databases[usize::from(saved.database)];
        if let Some(place) = held.table.find(position, &saved.key)
            && let Some(undone) = held.remove(place)
        {
            discard(undone);
        }
        if let Some(entry) = saved.entry {
            held.insert(&self.seed, position, entry);
        }
    }
}
