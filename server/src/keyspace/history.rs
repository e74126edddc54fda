//! Old versions of keys, for transactions that run beside the engine and read the data as it was when they began.
//!
//! A *snapshot* is the number of the last transaction that it sees. While one is open, the first change of a key in a
//! transaction saves here what the key held before: a clone in O(1). So opening a snapshot costs nothing, and later
//! only changes cost something. A key without a version here has not changed since, which is all that validation needs
//! to know.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Entry, Key};

/// Old versions that are kept at the most. With more, all snapshots that are open are lost.
const MAX_VERSIONS: usize = 1_000_000;

/// A snapshot: the number of the last transaction that it sees.
pub type Snapshot = u64;

/// What a key held through all transactions up to number `through`, since the version before.
#[derive(Debug)]
struct Version {
    through: u64,
    /// `None`: the key did not exist.
    entry: Option<Box<Entry>>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How many transactions have ended: the number of the last one.
    ended: u64,
    /// The open snapshots, each with the number of its users.
    open: BTreeMap<Snapshot, usize>,
    /// The latest open snapshot that is not lost. The first change of a key after it saves a version.
    newest: Option<Snapshot>,
    /// Snapshots up to this one are lost.
    lost: Option<Snapshot>,
    versions: HashMap<(u8, Key), VecDeque<Version>>,
    /// The keys of the versions, in the order in which these were saved.
    order: VecDeque<(u64, u8, Key)>,
    /// Number of versions ever saved: marks a point to which a transaction can return.
    kept: u64,
}

impl History {
    /// Opens a snapshot of the data after the last transaction. Must not be called within a transaction.
    pub fn open(&mut self) -> Snapshot {
        *self.open.entry(self.ended).or_default() += 1;
        self.newest = Some(self.ended);
        self.ended
    }

    /// Closes a snapshot, and drops the versions that no other one needs.
    pub fn close(&mut self, snapshot: Snapshot) {
        if let Some(users) = self.open.get_mut(&snapshot) {
            *users -= 1;
            if *users == 0 {
                self.open.remove(&snapshot);
            }
        }
        let usable = |snapshot: &&Snapshot| self.lost.is_none_or(|lost| **snapshot > lost);
        self.newest = self.open.keys().next_back().filter(usable).copied();
        match self.open.keys().find(usable).copied() {
            None => self.clear(),
            Some(oldest) => {
                while self.order.front().is_some_and(|(through, ..)| *through < oldest) {
                    self.drop_oldest();
                }
            }
        }
    }

    /// Ends a transaction.
    pub fn end_transaction(&mut self) {
        self.ended += 1;
    }

    /// Whether changes have to be passed to [`Self::keep`].
    pub fn is_active(&self) -> bool {
        self.newest.is_some()
    }

    /// Keeps what a key holds, which is about to change, unless that is here for all open snapshots.
    pub fn keep(&mut self, database: u8, key: &Key, entry: Option<&Entry>) {
        let Some(newest) = self.newest else { return };
        let versions = self.versions.entry((database, key.clone())).or_default();
        if versions.back().is_some_and(|version| version.through >= newest) {
            return;
        }
        versions.push_back(Version { through: self.ended, entry: entry.cloned().map(Box::new) });
        self.order.push_back((self.ended, database, key.clone()));
        self.kept += 1;
        if self.order.len() > MAX_VERSIONS {
            self.lose();
        }
    }

    /// Gives up all open snapshots, because too much has changed, or a whole database at once.
    pub fn lose(&mut self) {
        if self.is_active() {
            self.lost = Some(self.ended);
            self.newest = None;
            self.clear();
        }
    }

    /// A point in a transaction.
    pub fn mark(&self) -> u64 {
        self.kept
    }

    /// Drops the versions saved since `mark`, because their changes were undone.
    pub fn rollback(&mut self, mark: u64) {
        while self.kept > mark {
            self.kept -= 1;
            let Some((_, database, key)) = self.order.pop_back() else { continue };
            if let Some(versions) = self.versions.get_mut(&(database, key.clone())) {
                versions.pop_back();
                if versions.is_empty() {
                    self.versions.remove(&(database, key));
                }
            }
        }
    }

    /// Whether a snapshot was given up.
    pub fn is_lost(&self, snapshot: Snapshot) -> bool {
        self.lost.is_some_and(|lost| snapshot <= lost)
    }

    /// What a key held at a snapshot; `None` if it has not changed since.
    #[expect(clippy::option_option, reason = "not changed, and not there then, are different things")]
    pub fn version(&self, snapshot: Snapshot, database: u8, key: &Key) -> Option<Option<&Entry>> {
        if self.versions.is_empty() {
            return None;
        }
        let versions = self.versions.get(&(database, key.clone()))?;
        let version = versions.iter().find(|version| version.through >= snapshot)?;
        Some(version.entry.as_deref())
    }

    /// The keys of a database that have changed since a snapshot, with what each held then.
    pub fn changed(&self, snapshot: Snapshot, database: u8) -> impl Iterator<Item = (&Key, Option<&Entry>)> {
        let of_database = self.versions.iter().filter(move |((number, _), _)| *number == database);
        of_database.filter_map(move |((_, key), versions)| {
            let version = versions.iter().find(|version| version.through >= snapshot)?;
            Some((key, version.entry.as_deref()))
        })
    }

    fn drop_oldest(&mut self) {
        let Some((_, database, key)) = self.order.pop_front() else { return };
        let name = (database, key);
        if let Some(versions) = self.versions.get_mut(&name) {
            versions.pop_front();
            if versions.is_empty() {
                self.versions.remove(&name);
            }
        }
    }

    fn clear(&mut self) {
        if self.order.len() > super::change::FREED_AT_ONCE / 10 {
            super::change::free((std::mem::take(&mut self.versions), std::mem::take(&mut self.order)));
        } else {
            self.versions.clear();
            self.order.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::entry::{NEVER, Stamp};
    use crate::types::StringValue;

    fn entry(value: i64) -> Entry {
        let value = StringValue::from_integer(value).into();
        Entry { key: Key::new(b"k"), value, expires_at_ms: NEVER, stamp: Stamp::at(0) }
    }

    #[expect(clippy::option_option, reason = "as in the function that is tested")]
    fn seen(history: &History, snapshot: Snapshot) -> Option<Option<i64>> {
        let version = history.version(snapshot, 0, &Key::new(b"k"))?;
        Some(version.map(|entry| match &entry.value {
            crate::types::Value::String(StringValue::Integer(integer)) => *integer,
            other => panic!("{other:?}"),
        }))
    }

    #[test]
    fn each_snapshot_sees_what_was_there_when_it_was_opened() {
        let mut history = History::default();
        let key = Key::new(b"k");
        history.keep(0, &key, Some(&entry(0)));
        let first = history.open();
        history.keep(0, &key, Some(&entry(1)));
        history.keep(0, &key, Some(&entry(2)));
        history.end_transaction();
        let second = history.open();
        assert_eq!((seen(&history, first), seen(&history, second)), (Some(Some(1)), None));
        history.keep(0, &key, None);
        history.end_transaction();
        history.keep(0, &key, Some(&entry(4)));
        assert_eq!((seen(&history, first), seen(&history, second)), (Some(Some(1)), Some(None)));
        history.close(first);
        assert_eq!(history.order.len(), 1, "what only the first could see is gone");
        assert_eq!(seen(&history, second), Some(None));
        history.close(second);
        assert!(history.versions.is_empty() && history.order.is_empty() && !history.is_active());
    }

    #[test]
    fn what_is_taken_back_has_not_changed() {
        let mut history = History::default();
        let key = Key::new(b"k");
        let snapshot = history.open();
        let mark = history.mark();
        history.keep(0, &key, Some(&entry(1)));
        history.rollback(mark);
        assert_eq!(seen(&history, snapshot), None);
        history.end_transaction();
        history.keep(0, &key, Some(&entry(2)));
        assert_eq!(seen(&history, snapshot), Some(Some(2)));
    }

    #[test]
    fn too_many_versions_lose_the_snapshots_that_are_open_and_no_later_ones() {
        let mut history = History::default();
        let early = history.open();
        for number in 0..=MAX_VERSIONS {
            history.keep(0, &Key::new(&number.to_le_bytes()), None);
        }
        assert!(history.is_lost(early) && history.versions.is_empty());
        history.end_transaction();
        let late = history.open();
        history.keep(0, &Key::new(b"k"), Some(&entry(1)));
        assert!(!history.is_lost(late));
        history.close(early);
        assert_eq!(seen(&history, late), Some(Some(1)));
    }
}
