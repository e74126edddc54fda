//! Keys and fields whose time has come: removed a few at a time, each with its triggers as a transaction of its own.
//!
//! A failing trigger undoes what the triggers did, but not the removal.

use super::Engine;
use super::limits::{MAX_COLD_EXPIRIES_PER_TURN, MAX_EXPIRIES_PER_TURN};
use super::queueing::Admission;
use crate::command::{self, Error};
use crate::keyspace::{Key, Need};
use crate::store::limits::SYSTEM_DATABASE;

impl Engine {
    /// Removes some expired keys and fields. `true`: there may be more.
    pub(super) fn expire_due(&mut self) -> bool {
        if self.paused().is_some() {
            return false;
        }
        self.clock.restart();
        let more = self.expire_some();
        let took = self.clock.now.elapsed();
        self.core().server.statistics.expiry_us += took.as_micros() as u64;
        self.note_latency("expire-cycle", took);
        more
    }

    fn expire_some(&mut self) -> bool {
        let now_us = self.clock.unix_us();
        for _ in 0..MAX_EXPIRIES_PER_TURN {
            self.core().keyspace.begin(now_us);
            let Some((database, key)) = self.core().keyspace.next_due() else {
                self.look_for_cold_expiries();
                return false;
            };
            if !self.expire(database, &key) {
                self.suspend_transaction(None);
                return false;
            }
            self.finish_transaction(None);
        }
        self.request_flush();
        true
    }

    /// Lets one key or some of its fields expire. `false`: a trigger needs a key from disk first.
    fn expire(&mut self, database: u8, key: &[u8]) -> bool {
        if self.core().server.triggers.is_idle() {
            self.core().keyspace.let_expire(database, key);
            return true;
        }
        let savepoint = self.open_savepoint();
        let from = savepoint.events;
        self.core().keyspace.let_expire(database, key);
        let mut done =
            self.run_triggers_of_expiry(from).and_then(|()| self.queue_events(from, Admission::Free));
        if let Err(Error::NotResident(need)) = &done {
            if !self.is_unreadable(key, need) {
                let need = need.clone();
                self.take_back(savepoint);
                self.persistence.expiry_load = Some((Key::new(key), self.load(&[need])));
                return false;
            }
            tracing::warn!(?need, "a trigger on an expired key needed a key that cannot be read");
            // The triggers' changes have been undone already.
            done = self.queue_events(from, Admission::Free);
        }
        if let Err(error) = done {
            tracing::warn!(?error, "the event of an expired key could not be queued");
        }
        self.keep(savepoint);
        true
    }

    /// Whether the disk has failed to give the triggers of an expired key what they need. What is the server's own is
    /// asked for again and again.
    fn is_unreadable(&mut self, key: &[u8], need: &Need) -> bool {
        let load = self.persistence.expiry_load.take();
        let failed = load.is_some_and(|(of, load)| of[..] == *key && load.failure_of(need).is_some());
        failed && need.database() != SYSTEM_DATABASE
    }

    /// Runs the triggers of an expiry. A failing one undoes what they did, which is no error here.
    fn run_triggers_of_expiry(&mut self, from: usize) -> command::Result<()> {
        let savepoint = self.open_savepoint();
        let done = self.run_triggers(from);
        match self.close_savepoint(savepoint, done) {
            Err(missing @ Error::NotResident(_)) => Err(missing),
            _ => Ok(()),
        }
    }

    fn look_for_cold_expiries(&mut self) {
        let now_ms = self.core().keyspace.now_ms();
        if self.core().keyspace.cold_keys() > 0 && now_ms >= self.persistence.next_cold_expiry_ms {
            self.persistence.ask_due(now_ms, MAX_COLD_EXPIRIES_PER_TURN);
        }
    }
}
