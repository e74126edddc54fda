//! The keyspace: the typed values of the numbered databases, and everything known of a key.
//!
//! Owns every change of a value: whoever changes one does it through here, so that it is journalled, can be undone,
//! marks watched keys, raises its event, and keeps expiry and counts right. Must not know commands, replies, clients
//! or threads; time is told to it.
//!
//! - `access`: reading, `change` and `relocate`: writing, `scan`: walking, `expiry`: keys whose time has come,
//! - `journal`, `undo`, `watch`, `observe`, `event`: what a change leaves behind,
//! - `cold`: keys that are only on disk, `recovery`: the state after a start, `replay`: the log on top of it,
//! - `detached`: a keyspace of its own for a transaction that runs beside the engine, `snapshot`: what that is given, and
//!   taking in what it did, `history`: old versions for it.

mod access;
mod change;
mod cold;
mod database;
mod detached;
mod entry;
mod event;
mod expiry;
mod history;
mod journal;
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
pub use observe::Touched;
pub use recovery::Loaded;
pub use relocate::Address;
pub use replay::{Replay, ReplayError};
pub use scan::{ScanPage, Scanned};
pub use table::WARMED_AT_ONCE;
pub use watch::WatcherId;

use std::collections::HashMap;

use database::Database;
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
    /// Something must be loaded from disk first; the whole transaction is to be run again afterwards.
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
    /// Whether keys whose time has come are as good as gone, but stay.
    expiry_held: bool,
    /// Reads do not count as use of their keys.
    no_touch: bool,
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
}

impl Keyspace {
    /// Starts a transaction, or continues one, at the given time.
    pub fn begin(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.now_ms = now_us / 1000;
    }

    /// Says whether reads from now on leave the times when their keys were last used as they are.
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
            // After a million savepoints a second for 12 days the numbers start again.
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
                    self.databases[usize::from(database)] = *before;
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
        self.undo.close();
    }

    /// Notes that the transaction will be run again, and needs again the names that were loaded for it.
    pub fn keep_pages(&mut self) {
        self.used_pages.clear();
    }

    /// Ends the transaction: what it did is final, and goes to the log with the next group. Gives its events.
    pub fn commit(&mut self) -> Vec<Event> {
        debug_assert!(!self.undo.is_recording(), "a savepoint is still open");
        self.watchers.commit();
        self.history.end_transaction();
        for (database, from, limit) in self.used_pages.drain(..) {
            self.databases[usize::from(database)].cold.drop_page(from, limit);
        }
        let events = self.journal.commit();
        if events.len() == 0 { Vec::new() } else { events.collect() }
    }

    /// Lets `watcher` know later whether the key was touched from now on.
    pub fn watch(&mut self, watcher: WatcherId, database: u8, key: &[u8]) -> Result<(), Error> {
        // A key whose time has come goes first, so that its going is no change to who begins to watch it. To those who
        // watch it already it is one, even if this transaction is taken back: they see that its time has come.
        self.locate(database, key)?;
        self.watchers.commit();
        self.watchers.watch(watcher, database, key);
        Ok(())
    }

    /// Forgets all that `watcher` watches.
    pub fn unwatch(&mut self, watcher: WatcherId) {
        self.watchers.unwatch(watcher);
    }

    /// Says whether clients wait for a key, so that [`Self::next_ready`] tells when it was written.
    pub fn set_awaited(&mut self, database: u8, key: &Key, is_awaited: bool) {
        self.watchers.set_awaited(database, key, is_awaited);
    }

    /// The awaited key, with the number of its database, that a committed transaction touched first, once.
    pub fn next_ready(&mut self) -> Option<(u8, Key)> {
        self.watchers.next_ready()
    }

    /// Has [`Self::next_ready`] tell a key again.
    pub fn set_ready(&mut self, key: (u8, Key)) {
        self.watchers.set_ready(key);
    }

    /// Lets keys stay whose time has come, although nobody sees them; only while nothing may be written.
    pub fn hold_expiry(&mut self, is_held: bool) {
        self.expiry_held = is_held;
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

    /// What committed transactions have touched since this was asked last, in order, if all keys are observed.
    pub fn take_touched(&mut self) -> Vec<Touched> {
        self.watchers.observer.take_committed()
    }

    /// Whether a key that `watcher` watches was touched.
    #[must_use]
    pub fn is_dirty(&self, watcher: WatcherId) -> bool {
        self.watchers.is_dirty(watcher)
    }

    /// Whether the time of a key that `watcher` watches has come, although the key is not removed yet.
    #[must_use]
    pub fn watches_expired(&self, watcher: WatcherId) -> bool {
        self.watchers.watched_by(watcher).iter().any(|(database, key)| {
            let table = &self.databases[usize::from(*database)].table;
            let entry = table.find(self.seed.position(key), key).and_then(|place| table.get(place));
            entry.is_some_and(|entry| entry.is_expired(self.now_ms))
        })
    }
}
