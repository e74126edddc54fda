//! `CLIENT PAUSE`: commands wait until the pause is over, and keys do not expire meanwhile.

use std::time::Duration;

use super::dispatch::queue_of;
use super::wait::Wait;
use super::{Engine, unix_now};
use crate::command::{self, Found};
use crate::protocol::Reply;
use crate::state::{Paused, Session, Transaction};

impl Engine {
    /// Makes a command wait if a pause concerns it. A command that runs during a pause does not remove expired keys,
    /// because that would be a change.
    pub(super) fn pause_for(&mut self, session: &Session, found: Found) -> Option<Wait> {
        let paused = self.paused()?;
        let queue = queue_of(session, found);
        // Monitors are exempt, as in Redis, but they cannot read or write anyway.
        let waits = match paused {
            _ if queue.is_some_and(began_pause) => false,
            Paused::All => !session.is_monitor,
            Paused::Writes => found.row.affects_others() || queue.is_some_and(|queue| queue.affects_others),
        };
        if !waits {
            self.core().keyspace.hold_expiry(true);
        }
        waits.then_some(Wait::Unpaused)
    }

    /// Which commands have to wait now. Forgets a pause that is over.
    pub(super) fn paused(&mut self) -> Option<Paused> {
        let what = self.core_ref().server.pause?.what;
        if self.pause_left().is_some() {
            return Some(what);
        }
        self.core().server.pause = None;
        self.core().keyspace.hold_expiry(false);
        None
    }

    /// How long the pause still lasts; `None` when there is none.
    pub(super) fn pause_left(&self) -> Option<Duration> {
        let until = Duration::from_millis(self.core_ref().server.pause?.until_ms);
        let now = unix_now();
        until.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Wakes the tasks that wait for a pause to begin or to end. Called after every command that may do either.
    pub(super) fn signal_pause(&mut self) {
        let signals = self.signals();
        if self.pause_left().is_some() {
            signals.paused.notify_one();
        } else {
            signals.unpaused.notify_waiters();
        }
    }
}

/// Whether an EXEC that runs again has begun the pause itself, for which it must not wait.
fn began_pause(queue: &Transaction) -> bool {
    let is_pause = |found: Found| found.parent.name == "client" && found.row.name == "pause";
    let attempted = queue.queue.iter().zip(&queue.attempted);
    attempted
        .into_iter()
        .any(|(queued, reply)| *reply == Some(Reply::OK) && is_pause(command::at(queued.place)))
}
