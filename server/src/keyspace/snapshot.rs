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
        Ok(self.entries_at(snapshot, database, std::slice::from_ref(key))?.pop().flatten())
    }

    /// The same for many keys. Those that are on disk only are requested together.
    pub fn entries_at(
        &self,
        snapshot: Snapshot,
        database: u8,
        keys: &[Key],
    ) -> Result<Vec<Option<Box<Entry>>>, Error> {
        let unchanged = keys.iter().filter(|key| self.history.version(snapshot, database, key).is_none());
        self.require(database, unchanged.map(|key| key.to_vec()))?;
        Ok(keys.iter().map(|key| self.entry_in_memory(snapshot, database, key)).collect())
    }

    /// What a key, which is not on disk only, held at a snapshot.
    fn entry_in_memory(&self, snapshot: Snapshot, database: u8, key: &Key) -> Option<Box<Entry>> {
        let entry = match self.history.version(snapshot, database, key) {
            Some(version) => version,
            None => self.resident(database, key),
        };
        entry.cloned().map(Box::new)
    }

    /// The entry of a key that is in memory, expired or not.
    fn resident(&self, database: u8, key: &Key) -> Option<&Entry> {
        let table = &self.databases[usize::from(database)].table;
        table.find(self.seed.position(key), key).and_then(|place| table.get(place))
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
        for (key, before) in self.history.changed(snapshot, database, from, now.next) {
            if let Some(entry) = before {
                keys.push(cold(key, entry.value.kind()));
            }
        }
        keys.sort_unstable_by_key(|key| key.position);
        Ok(ColdPage { keys, next: now.next })
    }

    /// Whether nothing that was read has changed since the snapshot. A key whose time came since then has: nobody else
    /// could read it any more. It is not removed here, which is a transaction of its own, with an event; whoever reads
    /// it next does that.
    #[must_use]
    pub fn still_holds(&self, snapshot: Snapshot, reads: &Reads) -> bool {
        if self.is_lost(snapshot) {
            return false;
        }
        let has_come = |at_ms: u64| (reads.at_ms..self.now_ms).contains(&at_ms);
        let has_changed = |(database, key): &(u8, Key)| {
            self.history.version(snapshot, *database, key).is_some()
                || self.resident(*database, key).is_some_and(|entry| {
                    has_come(entry.expires_at_ms) || entry.value.next_end_ms().is_some_and(has_come)
                })
        };
        let has_other_names = |((database, from), next): (&(u8, Position), &Option<Position>)| {
            self.history.changed(snapshot, *database, *from, *next).next().is_some()
        };
        let has_other_count =
            |(database, count): &(u8, usize)| self.databases[usize::from(*database)].len() != *count;
        !reads.keys.iter().any(has_changed)
            && !reads.pages.iter().any(has_other_names)
            && !reads.counts.iter().any(has_other_count)
    }

    /// Applies, as part of the present transaction, the changes of a transaction that ran beside the engine and whose
    /// reads still hold: journalled, undoable, watched, announced. `snapshot` is what it read, which afterwards nobody
    /// may use unless this is undone.
    pub fn take_in(&mut self, snapshot: Snapshot, effects: Effects) {
        let Effects { records, events, rearranged, entries, expired } = effects;
        self.statistics.expired += expired.0;
        self.statistics.expired_fields += expired.1;
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
        self.history.hide(snapshot);
        for (database, key, entry) in entries {
            self.take_in_key(database, key, entry, changed);
        }
        self.history.unhide();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Content, Expiry, Need, events};
    use crate::store::limits::ALL_DATABASES;
    use crate::store::{Databases, Seed};
    use crate::types::{HashValue, PackedLimits, Recorder};

    const SEED: Seed = Seed::new(7);
    const NOW_MS: u64 = 1_000_000;

    fn keyspace(cold: u64) -> Keyspace {
        let mut keyspace = Keyspace::new(SEED, Databases::new(), &[cold; ALL_DATABASES], 0);
        keyspace.begin(NOW_MS * 1000);
        keyspace
    }

    fn set(keyspace: &mut Keyspace, key: &[u8], expiry: Expiry) {
        keyspace.set(0, key, Content::String(b"v"), expiry, events::SET).expect("in memory");
        keyspace.commit();
    }

    fn reads(key: &[u8], at_ms: u64) -> Reads {
        Reads { keys: vec![(0, Key::new(key))], at_ms, ..Reads::default() }
    }

    #[test]
    fn what_has_expired_since_it_was_read_does_not_hold_and_is_left_to_the_timer() {
        let mut keyspace = keyspace(0);
        set(&mut keyspace, b"k", Expiry::At(NOW_MS + 10));
        let set_field = |hash: &mut HashValue, recorder: &mut dyn Recorder| {
            let limits = PackedLimits { entries: 10, element_bytes: 100 };
            hash.set(b"f", b"v", limits, recorder);
            hash.set(b"stays", b"v", limits, recorder);
            hash.set_end(b"f", Some(NOW_MS + 10), limits, recorder);
        };
        keyspace.update_or_create(0, b"hash", events::HSET, set_field).expect("in memory");
        keyspace.commit();
        let snapshot = keyspace.open_snapshot().snapshot;
        for key in [&b"k"[..], b"hash"] {
            let read = reads(key, NOW_MS);
            keyspace.begin((NOW_MS + 10) * 1000);
            assert!(keyspace.still_holds(snapshot, &read), "it has not expired yet");
            keyspace.begin((NOW_MS + 11) * 1000);
            assert!(!keyspace.still_holds(snapshot, &read));
            // Whoever read it then knows already.
            assert!(keyspace.still_holds(snapshot, &reads(key, NOW_MS + 11)));
        }
        assert_eq!(keyspace.next_due(), Some((0, Key::new(b"k"))), "nothing has removed it");
    }

    #[test]
    fn all_keys_that_are_on_disk_only_are_asked_for_together() {
        let mut keyspace = keyspace(5);
        keyspace.install(keyspace.storage(0), b"none", None);
        let snapshot = keyspace.open_snapshot().snapshot;
        keyspace.install(keyspace.storage(0), b"new", None);
        set(&mut keyspace, b"new", Expiry::Clear);
        let keys = [&b"a"[..], b"new", b"b", b"none", b"c"].map(Key::new);
        let asked = [b"a", b"b", b"c"].map(|key| Key::new(key)).to_vec();
        let need = Need::Keys { database: 0, keys: asked };
        assert_eq!(keyspace.entries_at(snapshot, 0, &keys).err(), Some(Error::NotResident(need)));
        let entries =
            keyspace.entries_at(snapshot, 0, &[keys[1].clone(), keys[3].clone()]).expect("in memory");
        assert!(entries.iter().all(Option::is_none), "neither was there then");
    }

    #[test]
    fn only_changes_of_names_in_a_range_that_was_read_matter() {
        let mut keyspace = keyspace(0);
        let snapshot = keyspace.open_snapshot().snapshot;
        set(&mut keyspace, b"k", Expiry::Clear);
        let position = SEED.position(b"k");
        let next = position.next();
        let before = Position::new(position.get() - 1).expect("it is not the first");
        for (database, from, next, holds) in [
            (0, Position::MIN, None, false),
            (0, position, next, false),
            (0, Position::MIN, Some(position), true),
            (0, before, Some(position), true),
            (0, next.expect("it is not the last"), None, true),
            (1, Position::MIN, None, true),
        ] {
            let pages = [((database, from), next)].into();
            let reads = Reads { pages, ..Reads::default() };
            assert_eq!(keyspace.still_holds(snapshot, &reads), holds, "{database}, {from:?} to {next:?}");
        }
    }
}
