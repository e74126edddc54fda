//! The engine: the only door to the data. It checks, executes, runs triggers, commits and answers.
//!
//! Everything here runs on one thread, so a command is atomic by nature. Must not know sockets: `net` hands it
//! complete requests and takes the encoded replies. If a request has to wait ([`Step::Wait`]), `net` waits and hands it
//! over again.
//!
//! - `dispatch`: the checks and one command, `transaction`: EXEC, `pause`: CLIENT PAUSE,
//! - `wait`: what requests wait for, `waiting`: commands that wait for a key,
//! - `call`: procedures, `core`: what they may reach, `cascade`: synchronous triggers, `queueing` and `delivery`:
//!   asynchronous ones,
//! - `job`: procedures in the background, `workers`: the threads on which these run, `worker_events`: what the threads
//!   report, `gate`: the thread that compiles uploads,
//! - `commit`: what happens when a transaction ends, `account`: statistics, `monitor` and `tracking`: messages to
//!   clients that watch commands or cache keys,
//! - `start`: opening the data directory, `import`: keys from a file of Redis, `persistence`: the store's side,
//!   `background`: timers, `expiry`: keys whose time has come, `limits`: every bound that no option sets.

mod account;
mod background;
mod call;
mod cascade;
mod commit;
mod core;
mod delivery;
mod dispatch;
mod expiry;
mod gate;
mod import;
mod job;
pub mod limits;
mod monitor;
mod pause;
mod persistence;
mod queueing;
mod start;
#[cfg(test)]
mod tests;
mod tracking;
mod transaction;
mod wait;
mod waiting;
mod worker_events;
mod workers;

pub use background::{make_durable, run_arrivals, run_timers};
pub use delivery::run_deliveries;
pub use dispatch::Step;
pub use import::{Imported, import};
pub use start::{StartError, open};
pub use wait::{Signals, Wait, over};

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::core::Core;
use self::delivery::Deliveries;
use self::gate::Gate;
use self::job::Jobs;
use self::persistence::Persistence;
use self::waiting::Postponed;
use crate::options::{LogLevel, Options};
use crate::procedure::Runtime;
use crate::protocol::RequestLimits;
use crate::state::{ClientId, Load, Mailbox, Session};

/// The first arguments of a request. Those that it does not have are empty.
pub type Head<'a> = [&'a [u8]; 4];

/// The engine, shared by the tasks of the one thread that it runs on.
pub type Shared = Rc<RefCell<Engine>>;

/// Ends the process when a defect makes a task panic. The panic may leave a transaction half done in memory, but the
/// log has only whole ones, so a restart is safe. Every task that uses the engine keeps one of these.
pub struct EndOnPanic(pub Shared);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.borrow_mut().fail("a task of the engine panicked".to_owned());
        }
    }
}

/// See the module's description.
pub struct Engine {
    /// Away only while a procedure runs.
    core: Option<Box<Core>>,
    runtime: Runtime<Core>,
    persistence: Persistence,
    jobs: Jobs,
    gate: Gate,
    clock: Clock,
    /// Written keys whose waiting clients first need something from disk.
    unserved: Postponed<Rc<Load>>,
    /// Written keys whose waiting clients first need room in the queue of a trigger.
    stalled: Postponed<()>,
    deliveries: Deliveries,
    /// The level of the server's log, and how its owner learns of another one.
    log_level: (LogLevel, Box<dyn Fn(LogLevel)>),
}

/// Time: read once for each command, monotonic within a run of commands.
struct Clock {
    unix: SystemTime,
    started: Instant,
    now: Instant,
}

impl Clock {
    fn new() -> Self {
        let now = Instant::now();
        Self { unix: SystemTime::now(), started: now, now }
    }

    /// Reads the clocks, and starts a run of commands.
    fn restart(&mut self) {
        *self = Self::new();
    }

    /// Seconds of unix time.
    fn unix_s(&self) -> u64 {
        self.unix_us() / 1_000_000
    }

    /// Milliseconds of unix time.
    fn unix_ms(&self) -> u64 {
        self.unix_us() / 1000
    }

    /// Microseconds of unix time.
    fn unix_us(&self) -> u64 {
        let started = self.unix.duration_since(UNIX_EPOCH).unwrap_or_default();
        (started + self.now.duration_since(self.started)).as_micros() as u64
    }
}

/// The system's time, for what is not to wait for the engine's clock to be read.
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Engine {
    fn core(&mut self) -> &mut Core {
        self.core.as_mut().expect("the core is away only while a procedure runs")
    }

    fn parts(&mut self) -> (&mut Core, &mut Jobs, &mut Persistence) {
        let core = self.core.as_mut().expect("the core is away only while a procedure runs");
        (core, &mut self.jobs, &mut self.persistence)
    }

    fn core_ref(&self) -> &Core {
        self.core.as_ref().expect("the core is away only while a procedure runs")
    }

    /// Adds a client; `None` when there are as many as `maxclients` allows.
    pub fn connect(
        &mut self,
        peer: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Option<(ClientId, Rc<Mailbox>)> {
        self.clock.restart();
        let now_s = self.clock.unix_s();
        let server = &mut self.core().server;
        if server.clients.len() >= server.options.maxclients as usize {
            server.statistics.rejected_connections += 1;
            return None;
        }
        server.statistics.connections += 1;
        let id = server.clients.next_id();
        let mut session = Box::new(Session::new(id, Some(peer), local, now_s));
        session.authenticated = server.options.requirepass.is_empty();
        let mailbox = Rc::new(Mailbox::default());
        server.clients.add(session, Rc::clone(&mailbox));
        Some((id, mailbox))
    }

    /// Forgets a client that has gone.
    pub fn disconnect(&mut self, id: ClientId) {
        self.abandon_job(id);
        let core = self.core();
        core.server.waiting.remove(&mut core.keyspace, id);
        core.keyspace.unwatch(id);
        core.server.pubsub.remove(id);
        core.server.monitors.remove(&id);
        core.server.tracking.stop(id);
        core.keyspace.observe(!core.server.tracking.is_idle());
        core.server.clients.remove(id);
    }

    /// Starts a run of a client's commands: reads the clock and lends its session. `None`: it is not registered, or
    /// the server is about to end.
    pub fn begin_batch(&mut self, id: ClientId) -> Option<Box<Session>> {
        if self.fatal().is_some() {
            return None;
        }
        self.clock.restart();
        let now_s = self.clock.unix_s();
        let mut session = self.core().server.clients.get_mut(id)?.session.take()?;
        session.active_s = now_s;
        Some(session)
    }

    /// Ends a run of a client's commands.
    pub fn end_batch(&mut self, session: Box<Session>, received: usize) {
        let server = &mut self.core().server;
        server.statistics.received_bytes += received as u64;
        server.statistics.reads += u64::from(received > 0);
        if let Some(handle) = server.clients.get_mut(session.id) {
            handle.session = Some(session);
        }
        self.request_flush();
    }

    /// Counts bytes sent to clients.
    pub fn count_sent(&mut self, bytes: usize) {
        let statistics = &mut self.core().server.statistics;
        statistics.sent_bytes += bytes as u64;
        statistics.writes += 1;
    }

    /// Counts a client that is disconnected because its requests are too large.
    pub fn count_too_much_input(&mut self) {
        self.core().server.statistics.query_limit_disconnections += 1;
    }

    /// Counts a client that is disconnected because its replies are too large.
    pub fn count_too_much_output(&mut self) {
        self.core().server.statistics.output_limit_disconnections += 1;
    }

    /// Brings the keys of the next requests into the processor's caches, each with the element that its request may
    /// look for.
    pub fn warm(&self, session: &Session, requests: &[Head<'_>]) {
        // In most commands the first key follows the name, and the element, if there is one, follows the key. For other
        // commands this look-up costs little.
        let lookups = requests.iter().map(|[name, first, second, third]| {
            let is_call = name.get(..4).is_some_and(|start| {
                start.eq_ignore_ascii_case(b"fcal") || start.eq_ignore_ascii_case(b"eval")
            });
            if is_call { (*third, &[][..]) } else { (*first, *second) }
        });
        self.core_ref().keyspace.warm(session.database, lookups);
    }

    /// What the parser of requests must know.
    #[must_use]
    pub fn request_limits(&self, session: &Session) -> RequestLimits {
        RequestLimits {
            max_bulk_len: self.core_ref().server.options.proto_max_bulk_len,
            authenticated: session.authenticated,
        }
    }

    /// The options in force.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.core_ref().server.options
    }

    /// What the tasks wait on.
    #[must_use]
    pub fn signals(&self) -> Rc<Signals> {
        self.persistence.signals()
    }

    /// Tells commands which port the server listens on.
    pub fn set_port(&mut self, port: u16) {
        self.core().server.port = port;
    }

    /// Keeps `maxclients` within the number of clients that the system has room for.
    pub fn limit_clients(&mut self, possible: u32) {
        let server = &mut self.core().server;
        server.clients_possible = possible;
        if server.options.maxclients > possible {
            tracing::warn!(
                "maxclients is {possible} instead of {}: the system lets this process open no more files",
                server.options.maxclients
            );
            server.options.maxclients = possible;
        }
    }

    /// How many keys there are in all databases.
    #[must_use]
    pub fn key_count(&self) -> usize {
        let keyspace = &self.core_ref().keyspace;
        (0..keyspace.databases()).map(|database| keyspace.count(database).0).sum()
    }
}
