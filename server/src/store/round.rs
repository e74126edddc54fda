//! One round of the apply thread, first half: what a piece of the log amounts to.
//!
//! The changes of several groups are sorted by row, keeping the order of those of the same key. So each key is written
//! once, whatever its number of changes, and rows are written in order, which is fastest in redb.

use std::collections::BTreeMap;

use super::databases::{Databases, StorageId};
use super::position::{Position, Seed};
use super::record::{BlockChange, Change, Damage, PutHead, SystemTable, Value, decode};

/// A change of one key, which is named with its storage.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub storage: StorageId,
    pub position: Position,
    pub key: &'a [u8],
    pub change: KeyChange<'a>,
}

impl Entry<'_> {
    fn order(&self) -> (StorageId, Position, &[u8]) {
        (self.storage, self.position, self.key)
    }

    /// Whether both change the same key.
    pub fn same_key(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

/// The part of a [`Change`] that concerns its key alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyChange<'a> {
    Put { value: Value<'a>, expires_at_ms: Option<u64> },
    Splice { offset: u64, bytes: &'a [u8], length: u64 },
    Block { label: &'a [u8], change: BlockChange<'a> },
    Header(&'a [u8]),
    Expire(Option<u64>),
    Delete,
}

/// What several groups amount to.
#[derive(Debug)]
pub(super) struct Round<'a> {
    /// Changes sorted by row; those of one key in the order in which they happened.
    pub entries: Vec<Entry<'a>>,
    /// The last content of each definition.
    pub system: BTreeMap<(SystemTable, &'a [u8]), Option<&'a [u8]>>,
    /// The databases after the round.
    pub databases: Databases,
    /// The storages that were flushed in the round.
    pub flushed: Vec<StorageId>,
    /// How many of the groups are in the round.
    pub groups: usize,
}

impl<'a> Round<'a> {
    /// Takes groups until they have this many changes.
    pub fn collect(
        groups: &'a [Vec<u8>],
        seed: Seed,
        databases: Databases,
        changes: usize,
    ) -> Result<Self, Damage> {
        let (entries, system, flushed) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut round = Self { entries, system, databases, flushed, groups: 0 };
        for group in groups {
            for transaction in decode(group)? {
                for change in transaction? {
                    round.add(seed, change?);
                }
            }
            round.groups += 1;
            if round.entries.len() >= changes {
                break;
            }
        }
        round.entries.sort_by(|a, b| a.order().cmp(&b.order()));
        Ok(round)
    }

    fn add(&mut self, seed: Seed, change: Change<'a>) {
        let (database, key, change) = match change {
            Change::Put { head: PutHead { database, key, expires_at_ms, .. }, value } => {
                (database, key, KeyChange::Put { value, expires_at_ms })
            }
            Change::Splice { database, key, offset, bytes, length } => {
                (database, key, KeyChange::Splice { offset, bytes, length })
            }
            Change::Block { database, key, label, change } => {
                (database, key, KeyChange::Block { label, change })
            }
            Change::Header { database, key, header } => (database, key, KeyChange::Header(header)),
            Change::Expire { database, key, expires_at_ms } => {
                (database, key, KeyChange::Expire(expires_at_ms))
            }
            Change::Delete { database, key } => (database, key, KeyChange::Delete),
            Change::Flush { database } => return self.flushed.push(self.databases.flush(database)),
            Change::Swap { a, b } => return self.databases.swap(a, b),
            Change::System { table, name, content } => {
                self.system.insert((table, name), content);
                return;
            }
        };
        let storage = self.databases.storage(database);
        self.entries.push(Entry { storage, position: seed.position(key), key, change });
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Encoder;
    use super::*;

    #[test]
    fn changes_are_grouped_by_storage_and_key_in_the_order_of_time() {
        let mut encoder = Encoder::new(Vec::new());
        let delete = |database, key| Change::Delete { database, key };
        let expire = |database, key, time| Change::Expire { database, key, expires_at_ms: time };
        for change in [
            delete(0, b"a"),
            Change::Flush { database: 0 },
            expire(0, b"a", Some(1)),
            expire(1, b"a", Some(2)),
            Change::Swap { a: 0, b: 1 },
            expire(1, b"a", Some(3)),
            delete(0, b"a"),
        ] {
            encoder.begin();
            encoder.push(&change);
            encoder.end();
        }
        let groups = [encoder.finish()];
        let round = Round::collect(&groups, Seed::new(1), Databases::new(), usize::MAX).unwrap();
        let entries: Vec<_> = round.entries.iter().map(|e| (e.storage.number(), e.change)).collect();
        assert_eq!(
            entries,
            [
                (0, KeyChange::Delete),
                (1, KeyChange::Expire(Some(2))),
                (1, KeyChange::Delete),
                (16, KeyChange::Expire(Some(1))),
                (16, KeyChange::Expire(Some(3))),
            ]
        );
        assert_eq!(round.flushed, [StorageId::from_number(0)]);
        assert_eq!(round.databases.storage(1), StorageId::from_number(16));
    }

    #[test]
    fn a_round_ends_with_the_group_that_reaches_the_limit() {
        let mut encoder = Encoder::new(Vec::new());
        encoder.begin();
        (0..5).for_each(|_| encoder.push(&Change::Delete { database: 0, key: b"k" }));
        encoder.end();
        let groups = vec![encoder.finish(); 3];
        let round = Round::collect(&groups, Seed::new(1), Databases::new(), 10).unwrap();
        assert_eq!((round.groups, round.entries.len()), (2, 10));
    }
}
