//! The engine's side of transactions that run beside it: what their snapshots see, whether their reads still hold, and
//! applying their changes.

use super::cold::{ColdKey, ColdPage};
use super::detached::{Effects, Outside, Reads, Rearranged};
use super::history::{Extent, Snapshot};
use super::undo::{Saved, Step};
use super::{Entry, Error, Key, Keyspace};
use crate::store::Position;

impl Keyspace {
    /// Opens a snapshot of the data as it is now, between two transactions.
    pub fn open_snapshot(&mut self) -> Outside {
        let counts = self.databases.iter().map(super::database::Database::len).collect();
        Outside { snapshot: self.history.open(), seed: self.seed, counts }
    }

    /// Closes a snapshot.
    pub fn close_snapshot(&mut self, snapshot: Snapshot) {
        self.history.close(snapshot);
    }

    /// Whether a snapshot can no longer be read, because too much has changed or a database was emptied or exchanged.
    #[must_use]
    pub fn is_lost(&self, snapshot: Snapshot) -> bool {
        self.history.is_lost(snapshot)
    }

    /// Whether a key has changed since a snapshot, as far as that is still known.
    #[must_use]
    pub fn has_changed(&self, snapshot: Snapshot, database: u8, key: &Key) -> bool {
        self.is_lost(snapshot) || self.history.version(snapshot, database, key).is_some()
    }

    /// What a key held at a snapshot. Does not check expiry; the reader must.
    pub fn entry_at(&self, snapshot: Snapshot, database: u8, key: &Key) -> Result<Option<Box<Entry>>, Error> {
        if let Some(version) = self.history.version(snapshot, database, key) {
            return Ok(version.cloned().map(Box::new));
        }
        let held = &self.databases[usize::from(database)];
        let position = self.seed.position(key);
        if let Some(place) = held.table.find(position, key) {
            return Ok(held.table.get(place).cloned().map(Box::new));
        }
        self.require(database, std::iter::once(key.to_vec()))?;
        Ok(None)
    }

    /// About `limit` names of keys, starting at a position, as a snapshot sees them.
    pub fn page_at(
        &mut self,
        snapshot: Snapshot,
        database: u8,
        from: Position,
        limit: usize,
    ) -> Result<ColdPage, Error> {
        let now = self.scan(database, from, limit)?;
        let mut keys: Vec<ColdKey> = Vec::with_capacity(now.keys.len());
        let cold = |key: &Key, kind| ColdKey {
            position: self.seed.position(key),
            key: key.clone(),
            kind,
            // Reading the key will tell.
            expires_at_ms: None,
        };
        for scanned in &now.keys {
            if self.history.version(snapshot, database, &scanned.key).is_none() {
                keys.push(cold(&scanned.key, scanned.kind));
            }
        }
        for (key, before) in self.history.changed(snapshot, database) {
            if let Some(entry) = before
                && is_within(self.seed.position(key), from, now.next)
            {
                keys.push(cold(key, entry.value.kind()));
            }
        }
        keys.sort_unstable_by_key(|key| key.position);
        Ok(ColdPage { keys, next: now.next })
    }

    /// Whether nothing that was read has changed since the snapshot. Keys that have expired meanwhile are removed
    /// first, because nobody could read them any more.
    pub fn still_holds(&mut self, snapshot: Snapshot, reads: &Reads) -> Result<bool, Error> {
        if self.is_lost(snapshot) {
            return Ok(false);
        }
        for (database, key) in &reads.keys {
            self.locate_to_read(*database, key)?;
            if self.history.version(snapshot, *database, key).is_some() {
                return Ok(false);
            }
        }
        for (database, from, next) in &reads.pages {
            let mut changed = self.history.changed(snapshot, *database);
            if changed.any(|(key, _)| is_within(self.seed.position(key), *from, *next)) {
                return Ok(false);
            }
        }
        Ok(reads
            .counts
            .iter()
            .all(|(database, count)| self.databases[usize::from(*database)].len() == *count))
    }

    /// Applies, as part of the present transaction, the changes of a transaction that ran beside the engine and whose
    /// reads still hold: journalled, undoable, watched, announced.
    pub fn take_in(&mut self, effects: Effects) {
        let Effects { records, events, rearranged, entries } = effects;
        let mark = self.journal.mark();
        for step in rearranged {
            match step {
                Rearranged::Flush(database) => drop(self.flush(database)),
                Rearranged::Swap(first, second) => self.swap(first, second),
            }
        }
        // The effects' own records contain these changes, in the right order.
        self.journal.rollback(mark);
        // A new value shares all but about this much with the old one.
        let changed = Extent::Bytes(records.open_bytes());
        for (database, key, entry) in entries {
            self.take_in_key(database, key, entry, changed);
        }
        self.journal.append_transaction(records, events);
    }

    fn take_in_key(&mut self, database: u8, key: Key, entry: Option<Box<Entry>>, changed: Extent) {
        self.statistics.changes += 1;
        self.watchers.touch(database, &key);
        let position = self.seed.position(&key);
        let sequence = self.journal.group();
        let held = &mut self.databases[usize::from(database)];
        let before = held.table.find(position, &key).and_then(|place| held.remove(place));
        let changed = if entry.is_some() { changed } else { Extent::Whole };
        self.history.keep(database, &key, before.as_deref(), changed);
        match entry {
            Some(entry) => held.insert(&self.seed, position, entry),
            None => held.cold.note_absent(key.clone(), sequence),
        }
        if self.undo.is_recording() {
            self.undo.note_garbage(before.as_ref().map_or(0, |before| before.value.elements()));
            self.undo.push(Step::Key(Saved { database, key, entry: before }));
        } else if let Some(before) = before {
            super::garbage::discard(before);
        }
    }
}

/// Whether a position is in a range. The end is exclusive; `None` means up to the last position.
fn is_within(position: Position, from: Position, next: Option<Position>) -> bool {
    position >= from && next.is_none_or(|next| position < next)
}
