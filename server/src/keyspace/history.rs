//! Old versions of keys, for transactions that run beside the engine and read the data as it was when they began.
//!
//! A *snapshot* is the number of the last transaction that it sees. While one is open, the first change of a key in a
//! transaction saves here what the key held before: a clone in O(1). So opening a snapshot costs nothing, and later
//! only changes cost something. A key without a version here has not changed since, which is all that validation needs
//! to know.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque, btree_map};

use super::garbage::free;
use super::limits::{ELEMENTS_PER_KEY, FREED_AT_ONCE};
use super::{Entry, Key};
use crate::store::{Position, Seed};
use crate::types::CHUNK_LEN;

/// Old versions that are kept at most. With more, all open snapshots are lost.
const MAX_VERSIONS: usize = 1_000_000;

/// Bytes that old versions may take: about those that the present values do not share. With more, all open snapshots are
/// lost.
const MAX_BYTES: usize = 256 << 20;

/// Bytes of old versions that are freed at once; another thread frees more.
const BYTES_FREED_AT_ONCE: usize = 4 << 20;

/// How much of a value a change replaces: afterwards only the old version holds that memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Nothing: only the time to live changes.
    Nothing,
    /// Part of a string.
    Chunk,
    /// A few elements of a collection.
    Blocks,
    /// About that many bytes.
    Bytes(usize),
    /// All of it.
    Whole,
}

impl Extent {
    /// About how many bytes that is of a value.
    fn bytes_of(self, value_bytes: usize) -> usize {
        /// A block, and the nodes above it in its tree.
        const BLOCKS_BYTES: usize = 4 << 10;
        match self {
            Self::Nothing => 0,
            Self::Chunk => CHUNK_LEN.min(value_bytes),
            Self::Blocks => BLOCKS_BYTES.min(value_bytes),
            Self::Bytes(bytes) => bytes.min(value_bytes),
            Self::Whole => value_bytes,
        }
    }
}

/// A snapshot: the number of the last transaction that it sees.
pub type Snapshot = u64;

/// What a key held through all transactions up to number `through`, since the version before.
#[derive(Debug)]
struct Version {
    through: u64,
    /// `None`: the key did not exist.
    entry: Option<Box<Entry>>,
    /// About how many bytes the value has.
    value_bytes: usize,
    /// About how many of these bytes the present value no longer shares.
    own_bytes: usize,
}

impl Version {
    fn new(through: u64, entry: Option<&Entry>) -> Self {
        let value_bytes = entry.map_or(0, |entry| entry.value.estimated_bytes());
        Self { through, entry: entry.cloned().map(Box::new), value_bytes, own_bytes: 0 }
    }

    /// Notes a change of the present value. Returns how many more bytes only this version holds now.
    fn part_from(&mut self, changed: Extent) -> usize {
        let before = self.own_bytes;
        self.own_bytes = (before + changed.bytes_of(self.value_bytes)).min(self.value_bytes);
        self.own_bytes - before
    }
}

/// A database, and a key in it with its position, so that the keys of a range of positions lie together.
type Name = (u8, Position, Key);

/// See the module's description.
#[derive(Debug)]
pub(super) struct History {
    seed: Seed,
    /// How many transactions have ended: the number of the last one.
    ended: u64,
    /// The open snapshots, each with the number of its users.
    open: BTreeMap<Snapshot, usize>,
    /// The latest open snapshot that is not lost. The first change of a key after it saves a version.
    newest: Option<Snapshot>,
    /// Snapshots up to this one are lost.
    lost: Option<Snapshot>,
    versions: BTreeMap<Name, VecDeque<Version>>,
    /// The keys of the versions, in the order in which these were saved.
    order: VecDeque<(u64, Name)>,
    /// The sum of the versions' own bytes.
    bytes: usize,
    /// Number of versions ever saved: marks a point to which a transaction can return.
    kept: u64,
}

impl History {
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            ended: 0,
            open: BTreeMap::new(),
            newest: None,
            lost: None,
            versions: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            kept: 0,
        }
    }

    fn name(&self, database: u8, key: &Key) -> Name {
        (database, self.seed.position(key), key.clone())
    }

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
        self.newest = self.newest_usable();
        let oldest = self.usable().next().map(|(snapshot, _)| *snapshot);
        match oldest {
            None => self.clear(),
            Some(oldest) => {
                while self.order.front().is_some_and(|(through, ..)| *through < oldest) {
                    self.drop_oldest();
                }
            }
        }
    }

    /// The open snapshots that are not lost.
    fn usable(&self) -> btree_map::Range<'_, Snapshot, usize> {
        self.open.range(self.lost.map_or(0, |lost| lost + 1)..)
    }

    fn newest_usable(&self) -> Option<Snapshot> {
        self.usable().next_back().map(|(snapshot, _)| *snapshot)
    }

    /// Has no versions saved for the only user of a snapshot until [`Self::unhide`]: what it changes itself does not
    /// concern it.
    pub fn hide(&mut self, snapshot: Snapshot) {
        if self.open.get(&snapshot) == Some(&1) {
            let other = self.usable().rev().find(|(other, _)| **other != snapshot);
            self.newest = other.map(|(other, _)| *other);
        }
    }

    pub fn unhide(&mut self) {
        self.newest = self.newest_usable();
    }

    /// Ends a transaction.
    pub fn end_transaction(&mut self) {
        self.ended += 1;
    }

    /// Whether changes have to be passed to [`Self::keep`].
    pub fn is_active(&self) -> bool {
        self.newest.is_some()
    }

    /// Saves the value of a key that is about to change, unless every open snapshot already has a version of it.
    pub fn keep(&mut self, database: u8, key: &Key, entry: Option<&Entry>, changed: Extent) {
        let Some(newest) = self.newest else { return };
        let name = self.name(database, key);
        let versions = self.versions.entry(name.clone()).or_default();
        if versions.back().is_none_or(|version| version.through < newest) {
            versions.push_back(Version::new(self.ended, entry));
            self.order.push_back((self.ended, name));
            self.kept += 1;
        }
        self.bytes += versions.back_mut().map_or(0, |version| version.part_from(changed));
        if self.order.len() > MAX_VERSIONS || self.bytes > MAX_BYTES {
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
            let Some((_, name)) = self.order.pop_back() else { continue };
            if let Some(versions) = self.versions.get_mut(&name) {
                self.bytes -= versions.pop_back().map_or(0, |version| version.own_bytes);
                if versions.is_empty() {
                    self.versions.remove(&name);
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
        let versions = self.versions.get(&self.name(database, key))?;
        let version = versions.iter().find(|version| version.through >= snapshot)?;
        Some(version.entry.as_deref())
    }

    /// The keys at positions from `from` to before `next` that have changed since a snapshot, in the order of their
    /// positions, with what each held then. `None` means up to the last position.
    pub fn changed(
        &self,
        snapshot: Snapshot,
        database: u8,
        from: Position,
        next: Option<Position>,
    ) -> impl Iterator<Item = (&Key, Option<&Entry>)> {
        let first = |database, position| (database, position, Key::new(b""));
        let end = next.map_or_else(|| first(database + 1, Position::MIN), |next| first(database, next));
        self.versions.range(first(database, from)..end).filter_map(move |((.., key), versions)| {
            let version = versions.iter().find(|version| version.through >= snapshot)?;
            Some((key, version.entry.as_deref()))
        })
    }

    fn drop_oldest(&mut self) {
        let Some((_, name)) = self.order.pop_front() else { return };
        if let Some(versions) = self.versions.get_mut(&name) {
            if let Some(version) = versions.pop_front() {
                self.bytes -= version.own_bytes;
                if version.own_bytes > BYTES_FREED_AT_ONCE {
                    free(version);
                }
            }
            if versions.is_empty() {
                self.versions.remove(&name);
            }
        }
    }

    fn clear(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if self.order.len() > FREED_AT_ONCE / ELEMENTS_PER_KEY || bytes > BYTES_FREED_AT_ONCE {
            free((std::mem::take(&mut self.versions), std::mem::take(&mut self.order)));
        } else {
            self.versions.clear();
            self.order.clear();
        }
    }
}
