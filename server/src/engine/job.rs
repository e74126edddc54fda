//! Calls in the background, of clients and of asynchronous triggers: optimistic transactions, tried on workers until
//! nobody comes in between.
//!
//! A call is given a snapshot: it reads the data as it was at one moment, whatever happens meanwhile. When it ends, the
//! engine looks whether anything that it read has changed since that moment. If not, its changes are taken in as one
//! transaction, as if it had just run in no time; otherwise it is tried again with a new snapshot. A call that changed
//! nothing needs no such look: it happened at the moment of its snapshot. So all calls and commands have an order in
//! which they could have run one after the other.

mod answers;
mod settle;

pub(super) use settle::Next;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::Engine;
use super::call::own_failure;
use super::delivery::Delivery;
use super::limits::{HABIT, MAX_HABITS, STRONGEST_HABIT, TURN_HABIT};
use super::wait::Wait;
use super::workers::{JobId, Pool, Request, Task};
use crate::command::{self, Call, Error};
use crate::keyspace::{EventClasses, Key, Outside};
use crate::options::Options;
use crate::procedure::CallError;
use crate::protocol::{ErrorReply, Reply};
use crate::state::{ClientId, RunningCall, Session, SlowLog};
use crate::trigger::{self, queue::Entry};

/// All calls in the background.
pub(super) struct Jobs {
    pool: Pool,
    calls: BTreeMap<JobId, Job>,
    /// Those that wait for a worker.
    queue: VecDeque<JobId>,
    last: JobId,
    /// Procedures by module and place, and how often lately they took long.
    habits: HashMap<(u64, usize), u8>,
    /// The options in force, shared with the workers; made again when they change.
    options: Option<Arc<Options>>,
    /// Keys that only one call may change, with which it was in conflict too often.
    held: Option<Held>,
}

/// A call in the background.
struct Job {
    request: Arc<Request>,
    origin: Origin,
    tries: u32,
    /// Of the try that runs.
    running: Option<Try>,
    /// Nobody waits for it any more.
    is_abandoned: bool,
    /// Its client caches what it reads.
    is_tracked: bool,
}

/// Who wants a call.
enum Origin {
    /// A client that waits for the answer.
    Client(ClientId),
    /// An event that was queued for a trigger: its removal from the queue is part of the call's transaction.
    Delivery(Box<Delivery>),
}

impl Origin {
    fn client(&self) -> Option<ClientId> {
        match self {
            Self::Client(client) => Some(*client),
            Self::Delivery(_) => None,
        }
    }
}

/// What a try was given that its end needs.
struct Try {
    outside: Outside,
    listened: (EventClasses, bool),
}

struct Held {
    job: JobId,
    keys: HashSet<(u8, Key)>,
}

impl Jobs {
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            calls: BTreeMap::new(),
            queue: VecDeque::new(),
            last: 0,
            habits: HashMap::new(),
            options: None,
            held: None,
        }
    }

    /// Whether a procedure is known to take long.
    pub fn takes_long(&self, call: &Call) -> bool {
        !self.habits.is_empty()
            && self.habits.get(&(call.module.id(), call.procedure)).is_some_and(|count| *count >= HABIT)
    }

    /// Notes whether a procedure took longer than its budget on the engine's thread.
    pub fn note_habit(&mut self, call: &Call, is_long: bool) {
        self.note((call.module.id(), call.procedure), is_long);
    }

    /// Notes that a procedure's turn on the engine's thread was over before its fuel.
    pub fn note_turn_over(&mut self, call: &Call) {
        self.note_habit(call, true);
        self.habits.insert((call.module.id(), call.procedure), TURN_HABIT);
    }

    /// Notes that a procedure is large and not warm on the engine's thread: its next calls take long there. When so many of
    /// them have been short in the background that it is to be tried, it is forgotten, because it will be warm then.
    pub fn note_cold(&mut self, call: &Call) {
        let procedure = (call.module.id(), call.procedure);
        match self.habits.get(&procedure) {
            None => self.note_turn_over(call),
            Some(count) if *count < HABIT => drop(self.habits.remove(&procedure)),
            Some(_) => {}
        }
    }

    fn note(&mut self, procedure: (u64, usize), is_long: bool) {
        if !is_long && !self.habits.contains_key(&procedure) {
            return;
        }
        if self.habits.len() >= MAX_HABITS {
            self.habits.clear();
        }
        let count = self.habits.entry(procedure).or_default();
        *count =
            if is_long { (*count + 1).min(STRONGEST_HABIT).max(*count) } else { count.saturating_sub(1) };
    }

    /// Has the workers get new options.
    pub fn forget_options(&mut self) {
        self.options = None;
    }

    /// Whether a key is held for a call other than this one.
    fn is_held(&self, by_other_than: Option<JobId>, database: u8, key: &[u8]) -> bool {
        self.held.as_ref().is_some_and(|held| {
            by_other_than != Some(held.job) && held.keys.contains(&(database, Key::new(key)))
        })
    }
}

impl Engine {
    /// Has a client's call run in the background; the client waits for the answer as for that of a blocking command.
    pub(super) fn start_job(
        &mut self,
        session: &mut Session,
        call: &Call,
        arguments: &[&[u8]],
    ) -> command::Result<()> {
        let random_seed = session.seed.take().unwrap_or_else(|| fastrand::u64(..));
        let options = self.options();
        if self.jobs.calls.len() >= options.wasm_max_background as usize {
            return Err(Error::text("BUSY too many procedures run in the background (wasm-max-background)"));
        }
        let keys = arguments[call.keys.clone()].iter().map(|key| key.to_vec()).collect();
        let given = arguments[call.arguments.clone()].iter().map(|given| Some(given.to_vec())).collect();
        let request = Request { random_seed, ..Request::new(call, options, session.database, keys, given) };
        let command = SlowLog::shorten(&command::redact(arguments));
        self.queue_job(request, Origin::Client(session.id), command);
        Ok(())
    }

    /// Has the procedure of a delivery run in the background.
    pub(super) fn start_delivery_job(&mut self, delivery: Box<Delivery>, call: &Call) {
        let Entry { event, database, key, before, after, elements } = &delivery.entry;
        let number = database.to_string();
        let values = (before.as_deref(), after.as_deref());
        let arguments = trigger::arguments(event, values, &number, elements.iter().map(Vec::as_slice));
        let arguments = arguments.into_iter().map(|given| given.map(<[u8]>::to_vec)).collect();
        let request = Request {
            fuel: delivery.fuel,
            ..Request::new(call, self.options(), *database, vec![key.to_vec()], arguments)
        };
        let words: [&[u8]; 3] = [delivery.ticket.trigger.as_bytes(), event.as_bytes(), key];
        let command = SlowLog::shorten(&words);
        self.queue_job(request, Origin::Delivery(delivery), command);
    }

    fn queue_job(&mut self, request: Request, origin: Origin, command: Vec<Vec<u8>>) {
        self.jobs.last += 1;
        let id = self.jobs.last;
        let running = RunningCall {
            name: request.name.clone(),
            command,
            client: origin.client(),
            started: Instant::now(),
            tries: 0,
            control: Arc::clone(&request.control),
        };
        self.core().server.running.insert(id, running);
        let tracking = &self.core_ref().server.tracking;
        let is_tracked = origin.client().is_some_and(|client| tracking.wants_reads(client));
        let request = Arc::new(request);
        let job = Job { request, origin, tries: 0, running: None, is_abandoned: false, is_tracked };
        self.jobs.calls.insert(id, job);
        self.jobs.queue.push_back(id);
    }

    /// Gives calls that wait to workers that have nothing to do. Between two transactions.
    pub(super) fn dispatch_jobs(&mut self) {
        while let Some(id) = self.jobs.queue.front().copied() {
            match self.jobs.pool.take_idle() {
                Ok(None) => return,
                Ok(Some(worker)) => {
                    self.jobs.queue.pop_front();
                    if !self.begin_try(id, worker) {
                        self.jobs.pool.put_idle(worker);
                    }
                }
                Err(error) => {
                    self.jobs.queue.pop_front();
                    self.end_job(id, Err(format!("ERR no thread for it: {error}").into()));
                }
            }
        }
    }

    /// Starts a try on a worker; `false` when the call is over before.
    fn begin_try(&mut self, id: JobId, worker: usize) -> bool {
        let Some(job) = self.jobs.calls.get(&id) else { return false };
        let request = Arc::clone(&job.request);
        if request.control.is_stopped() {
            self.end_job(id, Err(own_failure(&CallError::Stopped, &request.name)));
            return false;
        }
        self.clock.restart();
        let time_us = self.clock.unix_us();
        let options = self.shared_options();
        let (core, jobs, _) = self.parts();
        let outside = core.keyspace.open_snapshot();
        let keys: HashSet<Key> = request.keys.iter().map(|key| Key::new(key)).collect();
        let mut fetched = Vec::with_capacity(keys.len());
        for key in keys {
            // What is on disk only is asked for when it is needed.
            if let Ok(entry) = core.keyspace.entry_at(outside.snapshot, request.database, &key) {
                fetched.push((request.database, key, entry));
            }
        }
        let listened = core.keyspace.journal().listened();
        if let Some(running) = core.server.running.get_mut(&id) {
            running.tries += 1;
        }
        if let Some(job) = jobs.calls.get_mut(&id) {
            job.tries += 1;
            job.running = Some(Try { outside: outside.clone(), listened });
        }
        let is_shown = !core.server.monitors.is_empty();
        let task = Task { job: id, request, options, outside, fetched, listened, is_shown, time_us };
        jobs.pool.run(worker, task);
        self.signals().task.notify_one();
        true
    }

    /// Whether some call is in the background.
    pub(super) fn has_tasks(&self) -> bool {
        !self.jobs.calls.is_empty()
    }

    fn shared_options(&mut self) -> Arc<Options> {
        let (core, jobs, _) = self.parts();
        let options = jobs.options.get_or_insert_with(|| Arc::new(core.server.options.clone()));
        Arc::clone(options)
    }

    /// Notes that a worker has nothing to do any more.
    pub(super) fn release_worker(&mut self, worker: usize) {
        self.jobs.pool.put_idle(worker);
        self.dispatch_jobs();
    }

    /// Queues a call for another try.
    pub(super) fn requeue_job(&mut self, id: JobId) {
        match self.jobs.calls.get(&id) {
            Some(job) if !job.is_abandoned => {
                self.jobs.queue.push_back(id);
                self.dispatch_jobs();
            }
            Some(_) => drop(self.forget_job(id)),
            None => {}
        }
    }

    /// Tells who wanted a call how it ended, in a transaction of its own or at the end of the one that took it in.
    fn end_job(&mut self, id: JobId, result: Result<Reply, ErrorReply>) {
        let Some(job) = self.forget_job(id) else { return };
        match job.origin {
            Origin::Client(client) => self.answer_client(client, result.unwrap_or_else(Reply::Error)),
            Origin::Delivery(delivery) => self.end_delivery(*delivery, result.map(|_| ())),
        }
        self.request_flush();
    }

    fn answer_client(&mut self, client: ClientId, reply: Reply) {
        let server = &mut self.core().server;
        if let Reply::Error(text) = &reply {
            server.statistics.count_error(text);
        }
        let session = server.clients.get_mut(client).and_then(|handle| {
            handle.mailbox.answer(reply);
            handle.session.take()
        });
        self.finish_transaction(session.as_deref());
        if let Some(handle) = self.core().server.clients.get_mut(client) {
            handle.session = session;
        }
    }

    fn close_snapshot_of(&mut self, id: JobId) {
        let (core, jobs, _) = self.parts();
        if let Some(running) = jobs.calls.get_mut(&id).and_then(|job| job.running.take()) {
            core.keyspace.close_snapshot(running.outside.snapshot);
        }
    }

    fn forget_job(&mut self, id: JobId) -> Option<Job> {
        self.close_snapshot_of(id);
        let job = self.jobs.calls.remove(&id);
        self.core().server.running.remove(&id);
        self.release_held_by(id);
        job
    }

    fn release_held_by(&mut self, id: JobId) {
        if self.jobs.held.as_ref().is_some_and(|held| held.job == id) {
            self.jobs.held = None;
            self.signals().released.notify_waiters();
        }
    }

    /// Stops the call of a client that has gone, with nothing left of it.
    pub(super) fn abandon_job(&mut self, client: ClientId) {
        let Some((id, job)) = self.jobs.calls.iter_mut().find(|(_, job)| job.origin.client() == Some(client))
        else {
            return;
        };
        let id = *id;
        job.request.control.stop();
        job.is_abandoned = true;
        // A try that runs ends soon; then the rest is forgotten.
        let was_queued = self.jobs.queue.iter().position(|other| *other == id);
        if let Some(place) = was_queued {
            self.jobs.queue.remove(place);
            self.forget_job(id);
        }
    }

    /// Whether a command has to wait because a key that it may change is held for a call in the background.
    pub(super) fn held_for_another<'a>(
        &self,
        database: u8,
        mut keys: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Wait> {
        self.jobs.held.as_ref()?;
        keys.any(|key| self.jobs.is_held(None, database, key)).then_some(Wait::Released)
    }

    /// Whether no key is held for a call in the background.
    pub(super) fn is_nothing_held(&self) -> bool {
        self.jobs.held.is_none()
    }
}
