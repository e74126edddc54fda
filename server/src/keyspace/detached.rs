//! A detached keyspace: what one transaction that runs beside the engine sees of the data, and its changes.
//!
//! It is a keyspace as any other, so that all commands work on it, with nothing in it at first. What a command needs is
//! missing as a cold key is, and is fetched from the engine, which gives what its snapshot sees. At the end the changes
//! are taken out as [`Effects`], which the engine takes in if nothing that was fetched has changed.

use std::collections::HashSet;

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

/// What a detached keyspace is made of: plain data of the engine's, as a snapshot sees it.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Where keys have their places.
    pub seed: Seed,
    /// How many keys each database has.
    pub counts: Vec<usize>,
}

/// What was read of the engine's data.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// The keys, whether they exist or not, with the number of the database.
    pub keys: Vec<(u8, Key)>,
    /// Ranges of positions of which all names were read; the end is open, or there is none.
    pub pages: Vec<(u8, Position, Option<Position>)>,
    /// Databases whose number of keys was read, and the number.
    pub counts: Vec<(u8, usize)>,
}

/// What a transaction has changed, ready to be taken in by the engine's keyspace.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// The records, as the journal holds them.
    pub(super) records: Encoder,
    pub(super) events: Vec<Event>,
    /// Databases that were emptied or exchanged, in the order in which that was done; before all else.
    pub(super) rearranged: Vec<Rearranged>,
    /// What the changed keys hold at the end.
    pub(super) entries: Vec<(u8, Key, Option<Box<Entry>>)>,
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

    /// Takes in what a key holds that a need named; `None` says that it does not exist. The number of the database is
    /// the detached keyspace's own.
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

    /// Takes in names of keys that a need named.
    pub fn receive_page(&mut self, database: u8, from: Position, limit: usize, page: ColdPage) {
        self.databases[usize::from(database)].cold.add_page(from, limit, page);
    }

    /// Which of the engine's databases has what a need lacks; databases may have been exchanged here.
    #[must_use]
    pub fn remote_database(&self, need: &Need) -> Option<u8> {
        let (Need::Key { database, .. } | Need::Keys { database, .. } | Need::Page { database, .. }) = need;
        self.databases[usize::from(*database)].cold.remote_database()
    }

    /// Databases of the engine whose number of keys was read.
    #[must_use]
    pub fn counted(&self) -> Vec<u8> {
        let counted = self.databases.iter().filter(|database| database.cold.is_counted());
        counted.filter_map(|database| database.cold.remote_database()).collect()
    }

    /// Bytes of records, and number of keys saved, that the transaction has changed so far.
    #[must_use]
    pub fn changed_so_far(&self) -> (usize, usize) {
        (self.journal.open_bytes(), self.undo.len())
    }

    /// Takes out what the transaction has changed. It must have a savepoint open since its start; afterwards the
    /// keyspace is of no use.
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
        Effects { records, events, rearranged, entries }
    }
}
