//! A detached keyspace: what one transaction that runs beside the engine sees of the data, and its changes.
//!
//! It is a keyspace like any other, so all commands work on it, but it starts empty. A key that a command needs is
//! missing as a cold key is; it is fetched from the engine, which returns the version that the snapshot sees. At the
//! end the changes are extracted as [`Effects`]; the engine applies these if nothing that was fetched has changed.

use std::collections::{BTreeMap, HashSet};

use super::cold::{Cold, ColdPage};
use super::database::Database;
use super::entry::Stamp;
use super::history::Snapshot;
use super::table::Table;
use super::undo::Step;
use super::{Entry, Event, Key, Keyspace, Need};
use crate::store::limits::ALL_DATABASES;
use crate::store::record::Encoder;
use crate::store::{Databases, Position, Seed};

/// What a detached keyspace starts with: plain data from the engine, as a snapshot sees it.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Gives keys their positions.
    pub seed: Seed,
    /// How many keys each database has.
    pub counts: Vec<usize>,
}

/// What was read of the engine's data.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// The keys, whether they exist or not, with the number of the database.
    pub keys: Vec<(u8, Key)>,
    /// Ranges of positions whose names were all read, by database and start; ranges that touch each other are one. The
    /// end is exclusive; `None` means up to the last position.
    pub pages: BTreeMap<(u8, Position), Option<Position>>,
    /// Databases whose number of keys was read, with that number.
    pub counts: Vec<(u8, usize)>,
    /// The time at which they were read, in milliseconds of unix time.
    pub at_ms: u64,
}

impl Reads {
    /// Notes that all names in a range of positions were read.
    pub fn note_page(&mut self, database: u8, from: Position, next: Option<Position>) {
        let (mut start, mut end) = (from, next);
        let before = self.pages.range((database, Position::MIN)..=(database, from)).next_back();
        if let Some(((_, at), its_end)) = before
            && its_end.is_none_or(|its_end| its_end >= from)
        {
            (start, end) = (*at, later(end, *its_end));
        }
        while let Some((name, its_end)) = self.pages.range((database, start)..).next()
            && name.0 == database
            && end.is_none_or(|end| name.1 <= end)
        {
            let name = *name;
            end = later(end, *its_end);
            self.pages.remove(&name);
        }
        self.pages.insert((database, start), end);
    }
}

/// The later end of two ranges.
fn later(one: Option<Position>, other: Option<Position>) -> Option<Position> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// What a transaction has changed, ready for the engine's keyspace.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// The records, as the journal holds them.
    pub(super) records: Encoder,
    pub(super) events: Vec<Event>,
    /// Databases that were emptied or exchanged, in order. Applied before everything else.
    pub(super) rearranged: Vec<Rearranged>,
    /// What the changed keys hold at the end.
    pub(super) entries: Vec<(u8, Key, Option<Box<Entry>>)>,
    /// Keys and fields that have expired.
    pub(super) expired: (u64, u64),
}

/// A change of whole databases.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rearranged {
    Flush(u8),
    Swap(u8, u8),
}

impl Effects {
    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.open_bytes() == 0 && self.events.is_empty()
    }

    /// Bytes of the records.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.records.open_bytes()
    }

    /// The keys that have changed, with the numbers of their databases.
    pub fn keys(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.entries.iter().map(|(database, key, _)| (*database, &key[..]))
    }
}

impl Keyspace {
    /// A detached keyspace, without anything fetched.
    #[must_use]
    pub fn detached(outside: &Outside, now_us: u64) -> Self {
        let mut keyspace = Self::new(outside.seed, Databases::new(), &[0; ALL_DATABASES], 0);
        let databases = outside.counts.iter().enumerate().map(|(number, count)| Database {
            cold: Cold::remote(number as u8, *count),
            table: Table::small(),
            ..Database::default()
        });
        keyspace.databases = databases.collect();
        keyspace.begin(now_us);
        keyspace
    }

    /// Receives the entry of a key that a [`Need`] named; `None` means that the key does not exist. `database` counts
    /// as in the detached keyspace.
    pub fn receive(&mut self, database: u8, key: &Key, entry: Option<Box<Entry>>) {
        let position = self.seed.position(key);
        let held = &mut self.databases[usize::from(database)];
        match entry {
            Some(mut entry) => {
                // The numbers of the engine's savepoints mean nothing here.
                entry.stamp.set_savepoint(0);
                held.cold.leave();
                held.insert(&self.seed, position, entry);
            }
            None => held.cold.note_missing(key.clone()),
        }
    }

    /// Receives the page of names that a [`Need`] named.
    pub fn receive_page(&mut self, database: u8, from: Position, limit: usize, page: ColdPage) {
        self.databases[usize::from(database)].cold.add_page(from, limit, page);
    }

    /// Which of the engine's databases to ask for a [`Need`]: databases may have been exchanged here.
    #[must_use]
    pub fn remote_database(&self, need: &Need) -> Option<u8> {
        self.databases[usize::from(need.database())].cold.remote_database()
    }

    /// The engine's databases whose number of keys was read, also of those that have been emptied since.
    #[must_use]
    pub fn counted(&self) -> Vec<u8> {
        let flushed = self.undo.steps().filter_map(|step| match step {
            Step::Flush { before, .. } => Some(&**before),
            _ => None,
        });
        let counted = self.databases.iter().chain(flushed).filter(|database| database.cold.is_counted());
        counted.filter_map(|database| database.cold.remote_database()).collect()
    }

    /// How much the transaction has changed so far: bytes of records, and number of saved keys.
    #[must_use]
    pub fn changed_so_far(&self) -> (usize, usize) {
        (self.journal.open_bytes(), self.undo.len())
    }

    /// Extracts what the transaction has changed. A savepoint must have been open since its start.
    #[must_use]
    pub fn into_effects(mut self) -> Effects {
        let mut keys: HashSet<(u8, Key)> = HashSet::new();
        let mut rearranged = Vec::new();
        while let Some(step) = self.undo.pop_first() {
            match step {
                Step::Key(saved) => {
                    keys.insert((saved.database, saved.key));
                }
                Step::Flush { database, .. } => {
                    keys.retain(|(number, _)| *number != database);
                    rearranged.push(Rearranged::Flush(database));
                }
                Step::Swap { first, second } => {
                    let moved = |number: u8| match number {
                        number if number == first => second,
                        number if number == second => first,
                        other => other,
                    };
                    keys = keys.into_iter().map(|(number, key)| (moved(number), key)).collect();
                    rearranged.push(Rearranged::Swap(first, second));
                }
                // Procedures cannot define anything.
                Step::Definition { .. } => {}
            }
        }
        let mut entries = Vec::with_capacity(keys.len());
        for (database, key) in keys {
            let position = self.seed.position(&key);
            let table = &mut self.databases[usize::from(database)].table;
            let entry = table.find(position, &key).and_then(|place| table.remove(place)).map(|mut entry| {
                entry.stamp = Stamp::at(self.now_ms / 1000);
                entry
            });
            entries.push((database, key, entry));
        }
        let (records, events) = self.journal.take_transaction();
        let expired = (self.statistics.expired, self.statistics.expired_fields);
        Effects { records, events, rearranged, entries, expired }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position).expect("it is small")
    }

    #[test]
    fn ranges_of_names_that_touch_each_other_are_one() {
        let mut reads = Reads::default();
        let mut check = |(database, from, next): (u8, u64, Option<u64>),
                         expected: &[(u8, u64, Option<u64>)]| {
            reads.note_page(database, at(from), next.map(at));
            let pages = reads.pages.iter();
            let pages: Vec<_> =
                pages.map(|((number, from), next)| (*number, from.get(), next.map(Position::get))).collect();
            assert_eq!(pages, expected, "after {from} to {next:?} of {database}");
        };
        check((0, 10, Some(20)), &[(0, 10, Some(20))]);
        check((0, 30, Some(40)), &[(0, 10, Some(20)), (0, 30, Some(40))]);
        check((0, 12, Some(15)), &[(0, 10, Some(20)), (0, 30, Some(40))]);
        check((0, 40, Some(50)), &[(0, 10, Some(20)), (0, 30, Some(50))]);
        check((0, 20, Some(30)), &[(0, 10, Some(50))]);
        check((1, 0, None), &[(0, 10, Some(50)), (1, 0, None)]);
        check((0, 60, None), &[(0, 10, Some(50)), (0, 60, None), (1, 0, None)]);
        check((0, 5, Some(60)), &[(0, 5, None), (1, 0, None)]);
        check((0, 70, Some(80)), &[(0, 5, None), (1, 0, None)]);
    }

    fn detached() -> Keyspace {
        let outside = Outside { snapshot: 0, seed: Seed::new(7), counts: vec![3; ALL_DATABASES] };
        Keyspace::detached(&outside, 1_000_000)
    }

    #[test]
    fn a_number_of_keys_counts_as_read_when_it_was_asked_for_even_if_they_are_gone_afterwards() {
        let mut keyspace = detached();
        let _open = keyspace.savepoint();
        keyspace.flush(1);
        assert_eq!(keyspace.counted(), [] as [u8; 0], "to empty a database tells nothing of it");
        assert_eq!(keyspace.count(2).0, 3);
        keyspace.flush(2);
        keyspace.swap(2, 3);
        assert_eq!(keyspace.count(2).0, 3);
        assert_eq!(keyspace.counted(), [3, 2]);
    }
}
