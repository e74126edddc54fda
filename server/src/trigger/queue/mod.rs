//! The queues of asynchronous triggers: what waits for delivery, and which delivery may start.
//!
//! Runs nothing. A queue is durable and indexed:
//!
//! - `entry`: one event that waits for its delivery, as fields of a stream's entry,
//! - `stored`: keeps a queue in the system database, so adding and removing belong to the transaction around them,
//! - `index`: says in memory which delivery may start next. After a start it is rebuilt, a slice at a time,
//! - `undo`: what a transaction has done to the index, so that it can be undone with the transaction,
//! - `dead_letters`: deliveries that were given up.

mod dead_letters;
mod entry;
mod index;
mod stored;
#[cfg(test)]
mod tests;
mod undo;

pub use entry::{Entry, MAX_ELEMENTS_BYTES, MAX_VALUE_BYTES};
pub use index::Lane;
pub use stored::{Attempts, DeadLetter};

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use super::asynchronous::{Asynchronous, MAX_BACKOFF_MS};
use crate::keyspace::{self, Key, Keyspace};
use crate::types::stream::StreamId;
use index::Index;
use undo::Change;

/// Entries that are indexed in one go, before other work gets its turn. Few in tests, so that these meet a half-built
/// index.
pub const MAX_READ_AT_ONCE: usize = if cfg!(test) { 5 } else { 500 };

/// How much a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of one queue.
    pub max_len: u64,
    /// Bytes of the entries of one queue.
    pub max_bytes: u64,
    /// Dead letters of one trigger.
    pub max_dead_letters: u64,
}

/// A lack of room in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Whose queue it is.
    pub trigger: String,
    /// How many entries the transaction would have added, up to the one that did not fit.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why an entry could not be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The queue is full.
    Full(Shortage),
    /// Something must be loaded first.
    Keyspace(keyspace::Error),
}

impl fmt::Display for Shortage {
    /// As an error reply.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "QUEUEFULL the queue of trigger '{}' is full (trigger-queue-max-len, trigger-queue-max-bytes)",
            self.trigger
        )
    }
}

impl Shortage {
    /// Whether even an empty queue would be too small.
    #[must_use]
    pub fn is_hopeless(&self, limits: Limits) -> bool {
        self.entries > limits.max_len || (self.entries > 1 && self.bytes > limits.max_bytes)
    }
}

impl From<keyspace::Error> for AddError {
    fn from(error: keyspace::Error) -> Self {
        Self::Keyspace(error)
    }
}

/// A running delivery.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The trigger's name.
    pub trigger: Rc<str>,
    /// Its place in the queue.
    pub id: StreamId,
    /// The lane that it holds.
    pub lane: Lane,
}

/// What happens to a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again at this time, in milliseconds of unix time.
    Retried(u64),
    /// That was the last try: it is a dead letter now.
    Dead,
    /// That was the last try, but there is no room among the dead letters: it is tried again at this time.
    Kept(u64),
    /// It is no longer in the queue.
    Gone,
}

/// Totals of one queue or of all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries, including those being delivered.
    pub queued: usize,
    /// Their bytes, as far as the index has been rebuilt.
    pub bytes: u64,
    /// Deliveries that run.
    pub running: usize,
    /// Deliveries that were given up.
    pub dead_letters: usize,
}

#[derive(Clone, Debug)]
struct Queue {
    name: Rc<str>,
    index: Index,
    len: usize,
    bytes: u64,
    dead_letters: usize,
    /// While the index is being rebuilt after a start: the last entry in it. `None` when it is complete.
    read_up_to: Option<StreamId>,
}

/// All queues.
#[derive(Debug, Default)]
pub struct Queues {
    by_trigger: BTreeMap<Rc<str>, Queue>,
    hasher: RandomState,
    changes: Vec<Change>,
    /// Whether a queue has become shorter since somebody asked.
    has_shrunk: bool,
}

impl Queues {
    /// Opens the queue of a trigger unless it is open. Fails unless everything stored for it is in memory.
    pub fn open(&mut self, keyspace: &mut Keyspace, trigger: &str) -> Result<(), keyspace::Error> {
        if self.by_trigger.contains_key(trigger) {
            return Ok(());
        }
        let (len, dead_letters) = stored::sizes(keyspace, trigger)?;
        let name: Rc<str> = trigger.into();
        let read_up_to = (len > 0).then_some(StreamId::MIN);
        let queue = Queue {
            name: Rc::clone(&name),
            index: Index::default(),
            len,
            bytes: 0,
            dead_letters,
            read_up_to,
        };
        self.by_trigger.insert(name, queue);
        Ok(())
    }

    /// Adds an event to the queue of a trigger. `limits` is `None` for an event that cannot be refused.
    pub fn add(
        &mut self,
        keyspace: &mut Keyspace,
        trigger: &str,
        options: &Asynchronous,
        entry: Entry,
        limits: Option<Limits>,
    ) -> Result<(), AddError> {
        self.open(keyspace, trigger)?;
        let lane = self.lane_of(entry.database, &entry.key);
        let Some(queue) = self.by_trigger.get_mut(trigger) else { return Ok(()) };
        if options.coalesce
            && let Some((old, replaced)) = queue.replaceable(keyspace, lane, &entry)?
        {
            // The procedure is told the value before the first of the events that it has not seen.
            let entry = Entry { before: replaced.before.clone(), ..entry };
            let bytes = entry.bytes();
            stored::remove(keyspace, trigger, old)?;
            let id = stored::append(keyspace, trigger, &entry)?;
            let due_ms = queue.index.replace_last(lane, id);
            let old_bytes = replaced.bytes();
            queue.bytes = queue.bytes + bytes - old_bytes;
            let trigger = Rc::clone(&queue.name);
            self.changes.push(Change::Replaced { trigger, lane, old, due_ms, old_bytes, bytes });
            return Ok(());
        }
        let bytes = entry.bytes();
        if limits.is_some_and(|limits| !queue.has_room(1, bytes, limits)) {
            return Err(AddError::Full(self.shortage(trigger, 1, bytes)));
        }
        let id = stored::append(keyspace, trigger, &entry)?;
        let change = queue.push(lane, id, bytes);
        self.changes.push(change);
        Ok(())
    }

    /// Whether a queue now has the room that it lacked.
    #[must_use]
    pub fn has_room(&self, shortage: &Shortage, limits: Limits) -> bool {
        let Shortage { trigger, entries, bytes } = shortage;
        self.by_trigger.get(&**trigger).is_none_or(|queue| queue.has_room(*entries, *bytes, limits))
    }

    /// The room that the current transaction needs in a queue, including what it is about to add.
    fn shortage(&self, trigger: &str, entries: u64, bytes: u64) -> Shortage {
        let mut shortage = Shortage { trigger: trigger.to_owned(), entries, bytes };
        let mut freed = 0;
        for change in &self.changes {
            match change {
                Change::Added { trigger: of, bytes, .. } if **of == *trigger => {
                    shortage.entries += 1;
                    shortage.bytes += bytes;
                }
                Change::Replaced { trigger: of, old_bytes, bytes, .. } if **of == *trigger => {
                    shortage.bytes += bytes;
                    freed += old_bytes;
                }
                _ => {}
            }
        }
        shortage.bytes = shortage.bytes.saturating_sub(freed);
        shortage
    }

    /// Whether a queue has become shorter since the last call.
    pub fn take_has_shrunk(&mut self) -> bool {
        std::mem::take(&mut self.has_shrunk)
    }

    /// Indexes some more entries after a start; `true` if there are more.
    pub fn read_on(&mut self, keyspace: &mut Keyspace, trigger: &str) -> Result<bool, keyspace::Error> {
        let hasher = &self.hasher;
        let Some(queue) = self.by_trigger.get_mut(trigger) else { return Ok(false) };
        let Some(after) = queue.read_up_to else { return Ok(false) };
        let (mut count, mut last) = (0, after);
        stored::walk(keyspace, trigger, after, MAX_READ_AT_ONCE, |stored, attempts| {
            let (database, key) = Entry::key_of_stream(stored);
            queue.index.push(hasher.hash_one((database, key)), stored.id, attempts.due_ms);
            queue.bytes += Entry::bytes_of_stream(stored);
            (count, last) = (count + 1, stored.id);
        })?;
        queue.read_up_to = (count == MAX_READ_AT_ONCE).then_some(last);
        Ok(queue.read_up_to.is_some())
    }

    /// Starts the next delivery of a trigger if one may start now.
    pub fn start(&mut self, trigger: &str, concurrency: u32, now_ms: u64) -> Option<Ticket> {
        let queue = self.by_trigger.get_mut(trigger).filter(|queue| queue.read_up_to.is_none())?;
        queue.index.wake(now_ms);
        if queue.index.running() >= concurrency as usize {
            return None;
        }
        let (lane, id) = queue.index.start()?;
        Some(Ticket { trigger: Rc::clone(&queue.name), id, lane })
    }

    /// When the next resting delivery of a trigger is due, in milliseconds of unix time. `None` if as many run as may.
    #[must_use]
    pub fn next_due_ms(&self, trigger: &str, concurrency: u32) -> Option<u64> {
        let queue = self.by_trigger.get(trigger).filter(|queue| queue.read_up_to.is_none())?;
        let is_free = queue.index.running() < concurrency as usize;
        queue.index.next_due_ms().filter(|_| is_free)
    }

    /// The entry of a delivery and how often it has failed; `None` if it is no longer in the queue.
    pub fn look(
        &self,
        keyspace: &mut Keyspace,
        ticket: &Ticket,
    ) -> Result<Option<(Entry, Attempts)>, keyspace::Error> {
        if !self.is_running(ticket) {
            return Ok(None);
        }
        let attempts = stored::attempts(keyspace, &ticket.trigger, ticket.id)?;
        Ok(stored::entry(keyspace, &ticket.trigger, ticket.id)?.map(|entry| (entry, attempts)))
    }

    /// Removes a delivery that succeeded, in the transaction that holds its effects; `false` if it is no longer in the
    /// queue.
    pub fn succeed(&mut self, keyspace: &mut Keyspace, ticket: &Ticket) -> Result<bool, keyspace::Error> {
        let Some((entry, _)) = self.look(keyspace, ticket)? else { return Ok(false) };
        self.remove(keyspace, ticket, entry.bytes())?;
        Ok(true)
    }

    /// Schedules another try of a delivery that failed, or gives it up.
    pub fn fail(
        &mut self,
        keyspace: &mut Keyspace,
        ticket: &Ticket,
        options: &Asynchronous,
        error: &str,
        limits: Limits,
    ) -> Result<Fate, keyspace::Error> {
        let Some((entry, attempts)) = self.look(keyspace, ticket)? else { return Ok(Fate::Gone) };
        let (trigger, now_ms) = (&*ticket.trigger, keyspace.now_ms());
        let failed = attempts.failed.saturating_add(1);
        let is_last = failed >= options.tries;
        let dead_letters = self.by_trigger.get(trigger).map_or(0, |queue| queue.dead_letters);
        if is_last && (dead_letters as u64) < limits.max_dead_letters {
            stored::bury(keyspace, trigger, ticket.id, &entry, failed, error)?;
            self.remove(keyspace, ticket, entry.bytes())?;
            self.set_dead_letters(trigger, dead_letters + 1);
            return Ok(Fate::Dead);
        }
        let pause_ms =
            if is_last { MAX_BACKOFF_MS } else { options.pause_ms(failed, |limit| fastrand::u64(..=limit)) };
        let due_ms = now_ms + pause_ms.max(1);
        stored::set_attempts(keyspace, trigger, ticket.id, Attempts { failed, due_ms })?;
        self.rest(ticket, due_ms);
        Ok(if is_last { Fate::Kept(due_ms) } else { Fate::Retried(due_ms) })
    }

    /// Ends a delivery whose entry cannot be read, so that it does not hold its lane and its share of the concurrency.
    pub fn abandon(&mut self, ticket: &Ticket) {
        if self.is_running(ticket)
            && let Some(queue) = self.by_trigger.get_mut(&ticket.trigger)
        {
            queue.index.finish(ticket.lane);
        }
    }

    /// Schedules the next try of a delivery.
    fn rest(&mut self, ticket: &Ticket, due_ms: u64) {
        if self.is_running(ticket)
            && let Some(queue) = self.by_trigger.get_mut(&ticket.trigger)
        {
            queue.index.rest(ticket.lane, due_ms);
        }
    }

    /// Removes everything stored for a trigger.
    pub fn drop_queue(&mut self, keyspace: &mut Keyspace, trigger: &str) -> Result<(), keyspace::Error> {
        self.open(keyspace, trigger)?;
        stored::clear(keyspace, trigger)?;
        if let Some(queue) = self.by_trigger.remove(trigger) {
            self.has_shrunk = true;
            self.changes.push(Change::Dropped(Box::new(queue)));
        }
        Ok(())
    }

    /// The totals of a trigger's queue, and when the event of its first entry happened.
    pub fn totals_of(
        &mut self,
        keyspace: &mut Keyspace,
        trigger: &str,
    ) -> Result<(Totals, Option<u64>), keyspace::Error> {
        self.open(keyspace, trigger)?;
        let first = stored::first_id(keyspace, trigger)?;
        let totals = self.by_trigger.get(trigger).map(Queue::totals).unwrap_or_default();
        Ok((totals, first.map(|id| id.ms)))
    }

    /// The totals of all queues.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.by_trigger.values().map(Queue::totals).fold(Totals::default(), |sum, one| Totals {
            queued: sum.queued + one.queued,
            bytes: sum.bytes + one.bytes,
            running: sum.running + one.running,
            dead_letters: sum.dead_letters + one.dead_letters,
        })
    }

    fn lane_of(&self, database: u8, key: &Key) -> Lane {
        self.hasher.hash_one((database, &key[..]))
    }

    fn is_running(&self, ticket: &Ticket) -> bool {
        let queue = self.by_trigger.get(&ticket.trigger);
        queue.is_some_and(|queue| queue.index.is_running(ticket.lane, ticket.id))
    }

    fn remove(
        &mut self,
        keyspace: &mut Keyspace,
        ticket: &Ticket,
        bytes: u64,
    ) -> Result<(), keyspace::Error> {
        stored::remove(keyspace, &ticket.trigger, ticket.id)?;
        if let Some(queue) = self.by_trigger.get_mut(&ticket.trigger) {
            queue.len -= 1;
            queue.bytes -= bytes;
            queue.index.finish(ticket.lane);
            self.has_shrunk = true;
            self.changes.push(Change::Finished { ticket: ticket.clone(), bytes });
        }
        Ok(())
    }

    fn set_dead_letters(&mut self, trigger: &str, count: usize) {
        if let Some(queue) = self.by_trigger.get_mut(trigger) {
            let before = std::mem::replace(&mut queue.dead_letters, count);
            self.changes.push(Change::DeadLetters { trigger: Rc::clone(&queue.name), before });
        }
    }
}

impl Queue {
    /// Whether this many more entries fit. A single entry fits into an empty queue whatever its size.
    fn has_room(&self, entries: u64, bytes: u64, limits: Limits) -> bool {
        let is_alone = self.len == 0 && entries == 1;
        self.len as u64 + entries <= limits.max_len && (is_alone || self.bytes + bytes <= limits.max_bytes)
    }

    fn totals(&self) -> Totals {
        Totals {
            queued: self.len,
            bytes: self.bytes,
            running: self.index.running(),
            dead_letters: self.dead_letters,
        }
    }

    /// Notes an entry added to the end. While the index is being rebuilt, the rebuild will reach it.
    fn push(&mut self, lane: Lane, id: StreamId, bytes: u64) -> Change {
        let is_indexed = self.read_up_to.is_none();
        self.len += 1;
        if is_indexed {
            self.bytes += bytes;
            self.index.push(lane, id, 0);
        }
        Change::Added { trigger: Rc::clone(&self.name), lane, bytes, is_indexed }
    }

    /// The last entry of the same key, if it waits. `None` while the index is being rebuilt: a replacement goes to the
    /// end of the stream, where the rebuild would index it a second time.
    fn replaceable(
        &self,
        keyspace: &mut Keyspace,
        lane: Lane,
        entry: &Entry,
    ) -> Result<Option<(StreamId, Entry)>, keyspace::Error> {
        if self.read_up_to.is_some() {
            return Ok(None);
        }
        let Some(id) = self.index.last_waiting(lane) else { return Ok(None) };
        let found = stored::entry(keyspace, &self.name, id)?;
        // Two keys may share a lane.
        let found = found.filter(|found| found.database == entry.database && found.key == entry.key);
        Ok(found.map(|found| (id, found)))
    }
}
