//! What commands see of the server apart from the keyspace: options, clients, publish/subscribe, statistics, slow log,
//! libraries and triggers.
//!
//! Plain data, changed only on the engine's thread. Must not know sockets: a client is a [`Session`] and a [`Mailbox`].

mod clients;
mod compilation;
mod latency;
mod libraries;
mod load;
mod mailbox;
mod pause;
mod pubsub;
mod running;
mod session;
mod slowlog;
mod statistics;
mod tracking;
mod waiting;

pub use clients::{ClientId, Clients, Handle};
pub use compilation::{Compilation, Compilations, Digest, Upload, digest_of};
pub use latency::{LatencyHistogram, LatencyMonitor, LatencySample, LatencySeries};
pub use libraries::{Cached, Libraries, Library, LibraryError, ModuleCache, module_limits};
pub use load::Load;
pub use mailbox::{Closing, Mailbox};
pub use pause::{Pause, Paused};
pub use pubsub::{Kind as SubscriptionKind, Message, PubSub};
pub use running::RunningCall;
pub use session::{Arguments, Queued, ReplyMode, Retry, Session, Transaction};
pub use slowlog::{SlowLog, SlowLogEntry};
pub use statistics::{CommandStatistics, Statistics};
pub use tracking::{Tracker, Tracking, TrackingMode};
pub use waiting::{Waiter, Waiting};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use crate::keyspace::Keyspace;
use crate::options::Options;
use crate::procedure::Severity;
use crate::protocol::Reply;
use crate::trigger::queue::Limits;
use crate::trigger::{Queues, Triggers};

/// The state of the store, for INFO.
#[derive(Clone, Debug, Default)]
pub struct StoreStatus {
    /// Number of the last group that is durable.
    pub durable: u64,
    /// Number of the last group that is applied to data.redb.
    pub applied: u64,
    /// Bytes in log.redb that are not applied yet.
    pub log_bytes: u64,
    /// Why the last commit failed; `None` if it succeeded.
    pub failure: Option<String>,
    /// Why the last attempt to apply the log failed; `None` if it succeeded.
    pub apply_failure: Option<String>,
    /// Group commits since the start.
    pub commits: u64,
    /// Microseconds that the last group commit took.
    pub last_commit_us: u64,
    /// When the last group became durable, in seconds of unix time.
    pub last_commit_s: u64,
}

/// A line that a procedure logged.
#[derive(Clone, Debug)]
pub struct ProcedureLogEntry {
    /// When it was logged, in microseconds of unix time.
    pub time_us: u64,
    /// How important.
    pub level: Severity,
    /// Which procedure.
    pub procedure: String,
    /// The line.
    pub message: Vec<u8>,
}

/// The state of the server that commands work with.
pub struct Server {
    /// The options in force.
    pub options: Options,
    /// The configuration file, if the server was started with one.
    pub config_file: Option<PathBuf>,
    /// The connected clients.
    pub clients: Clients,
    /// Clients whose commands wait for a key to be written.
    pub waiting: Waiting,
    /// Channels and their subscribers.
    pub pubsub: PubSub,
    /// Which clients cache which keys, and must be told when these change.
    pub tracking: Tracking,
    /// The clients that run MONITOR.
    pub monitors: BTreeMap<ClientId, Rc<Mailbox>>,
    /// The pause that `CLIENT PAUSE` has asked for, if any.
    pub pause: Option<Pause>,
    /// Calls of procedures in the background, by their number.
    pub running: BTreeMap<u64, RunningCall>,
    /// Counters for INFO.
    pub statistics: Statistics,
    /// Commands that took long.
    pub slow_log: SlowLog,
    /// What took long, by kind and second.
    pub latency: LatencyMonitor,
    /// Durable libraries of procedures.
    pub libraries: Libraries,
    /// Modules uploaded for EVALWASM.
    pub modules: ModuleCache,
    /// Rules that call procedures on events.
    pub triggers: Triggers,
    /// What is queued for asynchronous triggers.
    pub queues: Queues,
    /// The last lines that procedures logged.
    pub procedure_log: std::collections::VecDeque<ProcedureLogEntry>,
    /// The store's last known state.
    pub store: StoreStatus,
    /// The port the server listens on.
    pub port: u16,
    /// How many clients the system has room for.
    pub clients_possible: u32,
    /// Random, new at each start: `run_id` in INFO.
    pub run_id: String,
    /// Bytes of memory in use when the server started, before any data was loaded.
    pub startup_memory_bytes: u64,
    /// When the server started.
    pub started: Instant,
}

impl Server {
    /// The state of a server that has just started.
    #[must_use]
    pub fn new(options: Options, config_file: Option<PathBuf>) -> Self {
        let run_id = (0..40).filter_map(|_| char::from_digit(fastrand::u32(..16), 16)).collect();
        Self {
            slow_log: SlowLog::default(),
            latency: LatencyMonitor::default(),
            startup_memory_bytes: crate::memory::used_bytes(),
            options,
            config_file,
            clients: Clients::default(),
            waiting: Waiting::default(),
            pubsub: PubSub::default(),
            tracking: Tracking::default(),
            monitors: BTreeMap::new(),
            pause: None,
            running: BTreeMap::new(),
            statistics: Statistics::default(),
            libraries: Libraries::default(),
            modules: ModuleCache::default(),
            triggers: Triggers::default(),
            queues: Queues::default(),
            procedure_log: std::collections::VecDeque::new(),
            store: StoreStatus::default(),
            port: 0,
            clients_possible: u32::MAX,
            run_id,
            started: Instant::now(),
        }
    }

    /// Answers a waiting command and ends its wait; returns whether it was waiting.
    pub fn answer_waiting(&mut self, keyspace: &mut Keyspace, client: ClientId, reply: Reply) -> bool {
        if self.waiting.remove(keyspace, client).is_none() {
            return false;
        }
        if let Some(handle) = self.clients.get(client) {
            handle.mailbox.answer(reply);
        }
        true
    }

    /// Ends a client's wait as if its time were over; returns whether it was waiting.
    pub fn end_waiting(&mut self, keyspace: &mut Keyspace, client: ClientId) -> bool {
        let late = self.waiting.get(client).map(|waiter| waiter.late.clone());
        late.is_some_and(|reply| self.answer_waiting(keyspace, client, reply))
    }

    /// How much the queue of an asynchronous trigger may hold.
    #[must_use]
    pub fn queue_limits(&self) -> Limits {
        Limits {
            max_len: self.options.trigger_queue_max_len,
            max_bytes: self.options.trigger_queue_max_bytes,
            max_dead_letters: self.options.trigger_max_dead_letters,
        }
    }

    /// Whether anybody wants to know what commands do.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        !self.tracking.is_idle() || !self.monitors.is_empty()
    }
}
