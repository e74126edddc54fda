//! The store's side of the engine: groups on their way to the log, and what the store reports.

mod loading;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::core::Core;
use super::limits::{GROUP_BYTES, MAX_SPARE_BUFFERS};
use super::wait::{Signals, Wait};
use super::workers::FromWorker;
use super::{Engine, unix_now};
use crate::keyspace::{Key, Loaded, Need};
use crate::options::AppendFsync;
use crate::state::Load;
use crate::store::{ExpiryCursor, Store, StoreError, StoreEvent};
use loading::Unanswered;

/// What the store, the workers and the gate report to the engine. Values arrive parsed: parsing a big one takes long, so the
/// thread that read it does that.
pub enum Arrival {
    /// The answer to a request for keys.
    Loaded {
        /// The token of the request.
        token: u64,
        /// The values, or why they could not be read.
        result: Result<Vec<Option<Loaded>>, String>,
    },
    /// A worker asks something, or reports the end of a try.
    Worker(FromWorker),
    /// The gate has a verdict on an upload.
    Compiled,
    /// Anything else.
    Event(StoreEvent),
}

impl From<StoreEvent> for Arrival {
    fn from(event: StoreEvent) -> Self {
        let StoreEvent::Loaded { token, result } = event else { return Self::Event(event) };
        let parse = |stored| Loaded::parse(stored).ok_or_else(|| "a row that makes no value".to_owned());
        let result = result
            .map_err(|error| error.to_string())
            .and_then(|values| values.into_iter().map(|stored| stored.map(parse).transpose()).collect());
        Self::Loaded { token, result }
    }
}

pub(super) struct Persistence {
    /// `None` once the store has been closed.
    store: Option<Store>,
    signals: Rc<Signals>,
    /// The last durable group.
    durable: u64,
    /// Groups that are not durable yet: number and bytes.
    in_flight: VecDeque<(u64, usize)>,
    in_flight_bytes: usize,
    /// Used buffers, kept for the next groups because memory that was touched before causes no page faults.
    spares: Vec<Vec<u8>>,
    /// Whether a group was made since [`Engine::release_idle_buffers`] last looked.
    made_group: bool,
    /// Why the server must end, if it must.
    fatal: Option<String>,
    unanswered: Unanswered,
    /// What is being loaded, and for whom.
    loading: HashMap<Need, Vec<Rc<Load>>>,
    /// The expired key whose triggers need something from disk, and the load that was last requested for them.
    pub expiry_load: Option<(Key, Rc<Load>)>,
    /// The last group that data.redb reflects.
    applied: u64,
    /// Deletion marks of groups up to this one are dropped, because data.redb reflects them.
    forgotten: u64,
    pub next_cold_expiry_ms: u64,
    /// Where the next search for expired keys on disk continues. Keys before it may still be on disk though they were
    /// removed in memory.
    cold_expiry_from: Option<ExpiryCursor>,
}

impl Persistence {
    pub fn new(store: Store, durable: u64, applied: u64) -> Self {
        Self {
            store: Some(store),
            signals: Rc::default(),
            durable,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            spares: Vec::new(),
            made_group: false,
            fatal: None,
            unanswered: Unanswered::default(),
            loading: HashMap::new(),
            expiry_load: None,
            applied,
            forgotten: 0,
            next_cold_expiry_ms: 0,
            cold_expiry_from: None,
        }
    }

    pub fn signals(&self) -> Rc<Signals> {
        Rc::clone(&self.signals)
    }

    /// Makes writes wait while too much is on its way to the log, or in it. Writes that will be refused need not wait.
    pub fn back_pressure(&self, core: &Core) -> Option<Wait> {
        if core.write_failure().is_some() {
            return None;
        }
        let options = &core.server.options;
        let waiting = self.in_flight_bytes + core.keyspace.journal().pending_bytes();
        let full =
            waiting as u64 > options.log_buffer_size || core.server.store.log_bytes > options.log_max_size;
        full.then_some(Wait::Writable)
    }

    /// Says below which size the log is meant to stay.
    pub fn set_log_max_bytes(&self, log_max_bytes: u64) {
        if let Some(store) = &self.store {
            store.set_log_max_bytes(log_max_bytes);
        }
    }

    /// Tells the store whether the engine needs the processor for itself.
    pub fn set_busy(&self, busy: bool) {
        if let Some(store) = &self.store {
            store.set_busy(busy);
        }
    }

    /// Has all writes that wait look again: there may be room, or it is certain that there will be none.
    fn notify_writers(&self) {
        self.signals.writable.notify_waiters();
        self.signals.room.notify_waiters();
    }

    fn committed(&mut self, sequence: u64, buffers: Vec<Vec<u8>>) {
        self.durable = sequence;
        let small = buffers.into_iter().filter(|buffer| buffer.capacity() <= 2 * GROUP_BYTES);
        self.spares.extend(small.take(MAX_SPARE_BUFFERS - self.spares.len()));
        while let Some((number, bytes)) = self.in_flight.front().copied()
            && number <= sequence
        {
            self.in_flight.pop_front();
            self.in_flight_bytes -= bytes;
        }
    }
}

impl Engine {
    /// Hands the committed transactions to the log.
    pub fn flush(&mut self) {
        // After a panic the core may be gone, or the journal may hold half of a command's changes, which must not become
        // durable.
        if self.persistence.fatal.is_some() {
            return;
        }
        let (core, _, persistence) = self.parts();
        let Some(store) = &persistence.store else { return };
        if core.keyspace.journal().pending_bytes() == 0 {
            return;
        }
        let (group, number) =
            core.keyspace.journal_mut().take_group(persistence.spares.pop().unwrap_or_default());
        persistence.made_group = true;
        persistence.in_flight.push_back((number, group.len()));
        persistence.in_flight_bytes += group.len();
        store.append(group, number);
    }

    /// Gives back the memory for groups if none was made since the last call.
    pub(super) fn release_idle_buffers(&mut self) {
        let (core, _, persistence) = self.parts();
        if !std::mem::take(&mut persistence.made_group) {
            persistence.spares = Vec::new();
            core.keyspace.journal_mut().release_buffer();
        }
    }

    /// Hands the committed transactions to the log, unless the current one has records already.
    pub(super) fn flush_before_transaction(&mut self) {
        if !self.core_ref().keyspace.journal().is_open() {
            self.flush();
        }
    }

    /// With `appendfsync always`: requests a flush, which happens after all tasks that are ready now have run.
    pub(super) fn request_flush(&mut self) {
        let pending = self.core_ref().keyspace.journal().pending_bytes() > 0;
        if pending && self.options().appendfsync == AppendFsync::Always {
            self.persistence.signals.flush.notify_one();
        }
    }

    /// Replies given so far may be sent when this group is durable.
    #[must_use]
    pub fn barrier(&self) -> u64 {
        match self.options().appendfsync {
            AppendFsync::Always => self.core_ref().keyspace.journal().last_group(),
            AppendFsync::EverySecond | AppendFsync::No => 0,
        }
    }

    /// The last durable group, or why no more groups will become durable.
    pub fn durable(&self) -> Result<u64, String> {
        match &self.persistence.fatal {
            None => Ok(self.persistence.durable),
            Some(reason) => Err(reason.clone()),
        }
    }

    /// Why the server must end, if it must.
    #[must_use]
    pub fn fatal(&self) -> Option<&str> {
        self.persistence.fatal.as_deref()
    }

    /// Takes in what the store reports.
    pub(super) fn on_store_event(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::Committed { sequence, buffers } => {
                self.persistence.committed(sequence, buffers);
                let status = &mut self.core().server.store;
                status.durable = sequence;
                status.last_commit_s = unix_now().as_secs();
                if status.failure.take().is_some() {
                    tracing::info!("the log can be written again");
                }
                self.persistence.signals.durable.notify_waiters();
                self.update_log_status();
                let took = Duration::from_micros(self.core().server.store.last_commit_us);
                self.note_latency("log-commit", took);
            }
            StoreEvent::CommitFailed { error, .. } => {
                tracing::error!("the log cannot be written: {error}");
                self.core().server.store.failure = Some(error.clone());
                if self.options().appendfsync == AppendFsync::Always {
                    self.fail(error);
                }
                self.persistence.notify_writers();
                self.persistence.signals.durable.notify_waiters();
            }
            StoreEvent::Applied { sequence } => {
                self.persistence.applied = sequence;
                let status = &mut self.core().server.store;
                status.applied = sequence;
                status.apply_failure = None;
                self.forget_absent();
                self.update_log_status();
            }
            StoreEvent::ApplyFailed { error } => {
                tracing::error!("data.redb cannot be written: {error}");
                self.core().server.store.apply_failure = Some(error);
                self.persistence.notify_writers();
            }
            // `Arrival::from` has made an arrival of its own of it.
            StoreEvent::Loaded { .. } => {}
            StoreEvent::Scanned { token, result } => self.on_scanned(token, result),
            StoreEvent::Due { token, result } => self.on_due(token, result),
            StoreEvent::FilterReady(filter) => self.core().keyspace.set_filter(&filter),
            StoreEvent::Failed { reason } => self.fail(reason),
        }
    }

    /// Whether everything up to this group is durable. An error says why the disk refuses it.
    pub(super) fn settled(&self, group: u64) -> Result<bool, String> {
        let durable = self.durable()? >= group;
        match &self.core_ref().server.store.failure {
            Some(reason) if !durable => Err(reason.clone()),
            _ => Ok(durable),
        }
    }

    /// Makes everything durable and closes the store.
    pub fn close(&mut self) -> Result<(), StoreError> {
        self.flush();
        self.persistence.store.take().map_or(Ok(()), Store::close)
    }

    /// Makes the server end, because its data would no longer be safe.
    pub fn fail(&mut self, reason: String) {
        self.persistence.fatal = Some(reason);
        self.persistence.notify_writers();
        self.persistence.signals.durable.notify_waiters();
    }

    fn update_log_status(&mut self) {
        if let Some(store) = &self.persistence.store {
            let (log_bytes, (commits, last_commit_us)) = (store.log_bytes(), store.commits());
            let status = &mut self.core().server.store;
            status.log_bytes = log_bytes;
            status.commits = commits;
            status.last_commit_us = last_commit_us;
        }
        self.persistence.notify_writers();
    }
}
