//! The keyspace: the typed values of the numbered databases, and everything known of a key.
//!
//! Every change of a value goes through here, so that it is journalled, can be undone, marks watched keys, raises its
//! event, and keeps expiry and counts right. Must not know commands, replies, clients or threads; callers tell it the
//! time.
//!
//! - `access`: reading, `change` and `relocate`: writing, `scan`: walking, `expiry`: keys that expire,
//! - `journal`, `undo`, `watch`, `observe`, `event`, `garbage`: what a change leaves behind,
//! - `definitions`: what the server keeps beside the keys,
//! - `cold`: keys that are only on disk, `recovery`: the state after a start, `replay`: the log on top of it,
//! - `detached`: the separate keyspace of a transaction that runs beside the engine, `snapshot`: what the engine gives
//!   it and how the engine applies its changes, `history`: old versions for it.

mod access;
mod change;
mod cold;
mod database;
mod definitions;
mod detached;
mod entry;
mod event;
mod expiry;
mod garbage;
mod history;
mod journal;
mod limits;
mod observe;
mod recovery;
mod relocate;
mod replay;
mod scan;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod undo;
mod watch;

pub use change::{Content, Edit, Expiry};
pub use cold::{ColdKey, ColdPage, Need};
pub use detached::{Effects, Outside, Reads};
pub use entry::{Entry, Key};
pub use event::{Event, EventClasses, EventKind, events};
pub use history::Snapshot;
pub use journal::Journal;
pub use limits::WARMED_AT_ONCE;
pub use observe::Touched;
pub use recovery::Loaded;
pub use relocate::Address;
pub use replay::{Replay, ReplayError};
pub use scan::{ScanPage, Scanned};
pub use watch::WatcherId;

use std::collections::HashMap;

use database::Database;
use expiry::HeldViews;
use history::History;
use journal::JournalMark;
use undo::{Step, UndoLog};
use watch::Watchers;

use crate::store::limits::SYSTEM_DATABASE;
use crate::store::{Databases, Position, Seed, SystemTable};

/// Why the keyspace could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The key holds a value of another type.
    WrongType,
    /// Something must be loaded from disk first; then the whole transaction must be run again.
    NotResident(Need),
}

/// What the keyspace counts, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys that expired.
    pub expired: u64,
    /// Fields of hashes that expired.
    pub expired_fields: u64,
    /// Changes since the start, for `rdb_changes_since_last_save`.
    pub changes: u64,
    /// Keys loaded from disk.
    pub loaded: u64,
}

/// See the module's description.
#[derive(Debug)]
pub struct Keyspace {
    databases: Vec<Database>,
    /// Where each database's rows are on disk.
    storages: Databases,
    seed: Seed,
    journal: Journal,
    undo: UndoLog,
    watchers: Watchers,
    history: History,
    now_us: u64,
    now_ms: u64,
    /// Whether reads pass over what has expired instead of removing it.
    expiry_held: bool,
    /// What reads see of hashes whose fields are due, meanwhile.
    views: HeldViews,
    /// Reads do not count as use of their keys.
    no_touch: bool,
    /// How many keys the current transaction has chosen at random.
    choices: u64,
    statistics: Statistics,
    definitions: HashMap<(SystemTable, Vec<u8>), Vec<u8>>,
    /// Pages of cold keys that the transaction has walked: database, start and limit. A retry needs them again.
    used_pages: Vec<(u8, Position, usize)>,
}

/// A point in a transaction to which it can return.
#[derive(Debug)]
#[must_use = "a savepoint must be released or rolled back"]
pub struct Savepoint {
    steps: usize,
    journal: JournalMark,
    touched: usize,
    observed: usize,
    history: u64,
    choices: u64,
}

impl Keyspace {
    /// Starts a transaction, or continues one, at the given time.
    pub fn begin(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.now_ms = now_us / 1000;
    }

    /// Sets whether reads leave the time of their keys' last use unchanged.
    pub fn set_no_touch(&mut self, no_touch: bool) {
        self.no_touch = no_touch;
    }

    /// The time of the transaction in microseconds of unix time.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// The time of the transaction in milliseconds of unix time.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// How many databases commands can select.
    #[must_use]
    pub fn databases(&self) -> u8 {
        SYSTEM_DATABASE
    }

    /// The change journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The change journal, for setting its listeners and taking its groups.
    pub fn journal_mut(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// What has been counted since the start.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Sets the counters back, as `CONFIG RESETSTAT` does.
    pub fn reset_statistics(&mut self) {
        self.statistics = Statistics::default();
    }

    /// Opens a savepoint: from here on changes can be undone.
    pub fn savepoint(&mut self) -> Savepoint {
        if self.undo.is_exhausted() {
            // At a million savepoints a second, the numbers start again after 12 days.
            self.databases.iter_mut().for_each(|database| database.table.forget_savepoints());
            self.undo.restart();
        }
        self.undo.open();
        Savepoint {
            steps: self.undo.len(),
            journal: self.journal.mark(),
            touched: self.watchers.touched_len(),
            observed: self.watchers.observer.touched_len(),
            history: self.history.mark(),
            choices: self.choices,
        }
    }

    /// Keeps what was done since the innermost savepoint, which is `savepoint`.
    pub fn release(&mut self, _savepoint: Savepoint) {
        self.undo.close();
    }

    /// Undoes all that was done since the innermost savepoint, which is `savepoint`.
    #[expect(clippy::needless_pass_by_value, reason = "a savepoint serves once")]
    pub fn rollback(&mut self, savepoint: Savepoint) {
        while let Some(step) = self.undo.pop_beyond(savepoint.steps) {
            match step {
                Step::Key(saved) => self.restore(saved),
                Step::Flush { database, before, storages } => {
                    let undone = std::mem::replace(&mut self.databases[usize::from(database)], *before);
                    garbage::discard_database(Box::new(undone));
                    self.storages = *storages;
                }
                Step::Swap { first, second } => self.exchange(first, second),
                Step::Definition { name, content } => self.restore_definition(name, content),
            }
        }
        self.journal.rollback(savepoint.journal);
        self.watchers.rollback(savepoint.touched);
        self.watchers.observer.rollback(savepoint.observed);
        self.history.rollback(savepoint.history);
        self.choices = savepoint.choices;
        self.undo.close();
    }

    /// The transaction will run again, so keep the loaded pages of key names for it.
    pub fn keep_used_pages(&mut self) {
        self.used_pages.clear();
    }

    /// Ends the transaction: its changes are final, and go to the log with the next group. Returns its events.
    pub fn commit(&mut self) -> Vec<Event> {
        debug_assert!(!self.undo.is_recording(), "a savepoint is still open");
        self.watchers.commit();
        self.history.end_transaction();
        self.choices = 0;
        for (database, from, limit) in self.used_pages.drain(..) {
            self.databases[usize::from(database)].cold.drop_page(from, limit);
        }
        let events = self.journal.commit();
        if events.len() == 0 { Vec::new() } else { events.collect() }
    }

    /// Lets another thread free what the transaction has replaced or removed, if that takes long. Call it after
    /// dropping the transaction's events.
    pub fn free_garbage(&mut self) {
        self.undo.free_forgotten();
    }

    /// Starts watching a key: [`Self::is_dirty`] says later whether it was touched.
    pub fn watch(&mut self, watcher: WatcherId, database: u8, key: &[u8]) -> Result<(), Error> {
        // An expired key is removed first, so that its removal is no change for the new watcher. For earlier watchers
        // it is one, even if this transaction is undone: they see that the key has expired.
        self.locate_to_read(database, key)?;
        self.watchers.commit();
        self.watchers.watch(watcher, database, key);
        Ok(())
    }

    /// Stops watching all keys of `watcher`.
    pub fn unwatch(&mut self, watcher: WatcherId) {
        self.watchers.unwatch(watcher);
    }

    /// Sets whether clients wait for a key; [`Self::next_ready`] reports it once it was written.
    pub fn set_awaited(&mut self, database: u8, key: &Key, is_awaited: bool) {
        self.watchers.set_awaited(database, key, is_awaited);
    }

    /// Takes the next awaited key that a committed transaction has touched, with the number of its database.
    pub fn next_ready(&mut self) -> Option<(u8, Key)> {
        self.watchers.next_ready()
    }

    /// Sets whether every touched key is noted, for [`Keyspace::take_touched`].
    pub fn observe(&mut self, is_observed: bool) {
        self.watchers.observer.set(is_observed);
    }

    /// Notes a key as touched, for [`Keyspace::take_touched`] alone.
    pub fn note_touched(&mut self, database: u8, key: &Key) {
        self.watchers.observer.touch(database, key);
    }

    /// How much the current transaction has touched so far, if all keys are observed.
    #[must_use]
    pub fn touched_len(&self) -> usize {
        self.watchers.observer.touched_len()
    }

    /// Takes what committed transactions have touched since the last call, in order, if all keys are observed.
    pub fn take_touched(&mut self) -> Vec<Touched> {
        self.watchers.observer.take_committed()
    }

    /// Whether a key that `watcher` watches was touched.
    #[must_use]
    pub fn is_dirty(&self, watcher: WatcherId) -> bool {
        self.watchers.is_dirty(watcher)
    }

    /// Whether a key that `watcher` watches has expired but is not removed yet.
    #[must_use]
    pub fn watches_expired(&self, watcher: WatcherId) -> bool {
        self.watchers.watched_by(watcher).iter().any(|(database, key)| {
            let table = &self.databases[usize::from(*database)].table;
            let entry = table.find(self.seed.position(key), key).and_then(|place| table.get(place));
            entry.is_some_and(|entry| entry.is_expired(self.now_ms))
        })
    }
}
