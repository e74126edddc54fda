//! Calls in the background, of clients and of asynchronous triggers: optimistic transactions, tried on workers until
//! nobody comes in between.
//!
//! A call is given a snapshot: it reads the data as it was at one moment, whatever happens meanwhile. When it ends, the
//! engine looks whether anything that it read has changed since that moment. If not, its changes are taken in as one
//! transaction, as if it had just run in no time; otherwise it is tried again with a new snapshot. A call that changed
//! nothing needs no such look: it happened at the moment of its snapshot. So all calls and commands have an order in
//! which they could have run one after the other.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use super::delivery::Delivery;
use super::limits::{FIRST_CONFLICT_PAUSE_US, MAX_CONFLICT_PAUSE_US, MAX_HABITS};
use super::persistence::Wait;
use super::workers::{Answer, Failed, Finished, JobId, Pool, Question, Request, Task};
use crate::command::{self, Call, Error};
use crate::keyspace::{self, EventClasses, Key, Keyspace, Need, Outside};
use crate::options::Options;
use crate::protocol::{ErrorReply, Reply};
use crate::state::{ClientId, Load, Message, RunningCall, Session, SlowLog};
use crate::trigger::queue::Entry;

/// All calls in the background.
pub(super) struct Jobs {
    pool: Pool,
    jobs: BTreeMap<JobId, Job>,
    /// Those that wait for a worker.
    queue: VecDeque<JobId>,
    last: JobId,
    /// Procedures by module and place, and how often lately they took long.
    habits: HashMap<(u64, usize), u8>,
    /// The options in force, shared with the workers; made again when they change.
    options: Option<Arc<Options>>,
    /// Keys that only one call may change, which others have come in between of too often.
    held: Option<Held>,
}

/// A call in the background.
struct Job {
    request: Arc<Request>,
    origin: Origin,
    tries: u32,
    /// Of the try that runs.
    running: Option<Running>,
    /// Nobody waits for it any more.
    is_abandoned: bool,
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
struct Running {
    outside: Outside,
    listened: (EventClasses, bool),
}

struct Held {
    job: JobId,
    keys: HashSet<(u8, Key)>,
}

/// What follows from the end of a try.
pub(super) enum Next {
    /// Nothing.
    Done,
    /// It is to be ended again when this is over.
    Wait(Wait, Box<Finished>),
    /// The call is to be queued again then.
    Again(Duration),
}

/// From so many long runs on, as counted by [`Jobs::note_habit`], a procedure runs in the background from the start.
const HABIT: u8 = 2;
const STRONGEST_HABIT: u8 = 4;

impl Jobs {
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            jobs: BTreeMap::new(),
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

    fn note(&mut self, procedure: (u64, usize), is_long: bool) {
        if !is_long && !self.habits.contains_key(&procedure) {
            return;
        }
        if self.habits.len() >= MAX_HABITS {
            self.habits.clear();
        }
        let count = self.habits.entry(procedure).or_default();
        *count = if is_long { (*count + 1).min(STRONGEST_HABIT) } else { count.saturating_sub(1) };
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
        if self.jobs.jobs.len() >= options.wasm_max_background as usize {
            return Err(Error::text("BUSY too many procedures run in the background (wasm-max-background)"));
        }
        let request = Request {
            module: Arc::clone(&call.module),
            procedure: call.procedure,
            name: call.name.clone(),
            read_only: call.read_only,
            database: session.database,
            keys: arguments[call.keys.clone()].iter().map(|key| key.to_vec()).collect(),
            arguments: arguments[call.arguments.clone()].iter().map(|given| Some(given.to_vec())).collect(),
            random_seed,
            fuel: options.wasm_fuel,
            deadline: Instant::now() + Duration::from_millis(options.wasm_deadline_ms),
            control: Arc::default(),
        };
        let command = SlowLog::shorten(&command::redact(arguments));
        self.queue_job(request, Origin::Client(session.id), command);
        Ok(())
    }

    /// Has the procedure of a delivery run in the background.
    pub(super) fn start_delivery_job(&mut self, delivery: Box<Delivery>, call: &Call) {
        let Entry { event, database, key, before, after, elements } = &delivery.entry;
        let number = database.to_string().into_bytes();
        let mut arguments =
            vec![Some(event.clone().into_bytes()), before.clone(), after.clone(), Some(number)];
        arguments.extend(elements.iter().cloned().map(Some));
        let request = Request {
            module: Arc::clone(&call.module),
            procedure: call.procedure,
            name: call.name.clone(),
            read_only: false,
            database: *database,
            keys: vec![key.to_vec()],
            arguments,
            random_seed: fastrand::u64(..),
            fuel: delivery.fuel,
            deadline: Instant::now() + Duration::from_millis(self.options().wasm_deadline_ms),
            control: Arc::default(),
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
        let job = Job { request: Arc::new(request), origin, tries: 0, running: None, is_abandoned: false };
        self.jobs.jobs.insert(id, job);
        self.jobs.queue.push_back(id);
    }

    /// Gives calls that wait to workers that have nothing to do. Between two transactions.
    pub(super) fn dispatch_jobs(&mut self) {
        while let Some(id) = self.jobs.queue.front().copied() {
            let max = match self.options().wasm_workers {
                0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                set => set as usize,
            };
            match self.jobs.pool.take_idle(max) {
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
        let Some(job) = self.jobs.jobs.get(&id) else { return false };
        let request = Arc::clone(&job.request);
        if request.control.is_stopped() {
            self.end_job(id, Err(killed(&request.name)));
            return false;
        }
        self.clock.restart();
        let time_us = self.clock.unix_us();
        let options = self.shared_options();
        let Self { core: Some(core), jobs, .. } = self else { return false };
        let outside = core.keyspace.open_snapshot();
        let mut fetched = Vec::with_capacity(request.keys.len());
        for key in &request.keys {
            let key = Key::new(key);
            // What is on disk only is asked for when it is needed.
            if let Ok(entry) = core.keyspace.entry_at(outside.snapshot, request.database, &key)
                && !fetched.iter().any(|(_, other, _)| *other == key)
            {
                fetched.push((request.database, key, entry));
            }
        }
        let listened = core.keyspace.journal().listened();
        if let Some(running) = core.server.running.get_mut(&id) {
            running.tries += 1;
        }
        if let Some(job) = jobs.jobs.get_mut(&id) {
            job.tries += 1;
            job.running = Some(Running { outside: outside.clone(), listened });
        }
        let is_shown = !core.server.monitors.is_empty();
        let task = Task { job: id, request, options, outside, fetched, listened, is_shown, time_us };
        jobs.pool.run(worker, task);
        true
    }

    fn shared_options(&mut self) -> Arc<Options> {
        if self.jobs.options.is_none() {
            self.jobs.options = Some(Arc::new(self.options().clone()));
        }
        self.jobs.options.clone().unwrap_or_default()
    }

    /// Answers what a worker has asked; `Err` is what has to be loaded before.
    pub(super) fn answer_worker(
        &mut self,
        worker: usize,
        id: JobId,
        question: &Question,
    ) -> Result<(), Rc<Load>> {
        let answer = match self.find_answer(id, question) {
            Ok(answer) => answer,
            Err(need) => return Err(self.load(&[need])),
        };
        self.jobs.pool.answer(worker, answer);
        Ok(())
    }

    /// Tells a worker that what it asked for cannot be read.
    pub(super) fn refuse_worker(&mut self, worker: usize, reason: &str) {
        let failed = Failed::Error(super::dispatch::unreadable(reason));
        self.jobs.pool.answer(worker, Answer::None(failed));
    }

    fn find_answer(&mut self, id: JobId, question: &Question) -> Result<Answer, Need> {
        let Self { core: Some(core), jobs, clock, .. } = self else { return Ok(Answer::None(Failed::Lost)) };
        let Some(running) = jobs.jobs.get(&id).and_then(|job| job.running.as_ref()) else {
            return Ok(Answer::None(Failed::Lost));
        };
        let snapshot = running.outside.snapshot;
        let is_of_data = matches!(question, Question::Keys(_) | Question::Page { .. });
        if is_of_data && core.keyspace.is_lost(snapshot) {
            return Ok(Answer::None(Failed::Lost));
        }
        clock.restart();
        core.keyspace.begin(clock.unix_us());
        let found = match question {
            Question::Keys(keys) => entries_at(&core.keyspace, snapshot, keys).map(Answer::Keys),
            Question::Page { database, from, limit } => {
                core.keyspace.page_at(snapshot, *database, *from, *limit).map(Answer::Page)
            }
            Question::Receivers(channel) => Ok(Answer::Reply(core.server.pubsub.receivers(channel).into())),
            Question::Server(words) => {
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                Ok(Answer::Reply(core.tell_of_server(&words)))
            }
        };
        match found {
            Ok(answer) => Ok(answer),
            Err(keyspace::Error::NotResident(need)) => Err(need),
            Err(keyspace::Error::WrongType) => Ok(Answer::None(Failed::Lost)),
        }
    }

    /// Notes that a worker has nothing to do any more.
    pub(super) fn release_worker(&mut self, worker: usize) {
        self.jobs.pool.put_idle(worker);
        self.dispatch_jobs();
    }

    /// Ends a try: takes in what it did, if it holds, and answers.
    pub(super) fn settle(&mut self, id: JobId, mut finished: Box<Finished>) -> Next {
        let Some(job) = self.jobs.jobs.get(&id) else { return Next::Done };
        let (request, tries, is_delivery) =
            (Arc::clone(&job.request), job.tries, job.origin.client().is_none());
        if job.is_abandoned {
            drop(self.forget_job(id));
            return Next::Done;
        }
        self.clock.restart();
        let now_us = self.clock.unix_us();
        self.core().keyspace.begin(now_us);
        let result = std::mem::replace(&mut finished.result, Err(Failed::Lost));
        let result = match result {
            Err(Failed::Lost) => return self.try_again(id, tries, &finished),
            Err(Failed::Error(text)) => Err(text),
            Ok(reply) if finished.changes_nothing() && !is_delivery => Ok(reply),
            Ok(reply) => match self.take_in(id, &request, &mut finished) {
                TakenIn::Yes => Ok(reply),
                TakenIn::Refused(text) => Err(text),
                TakenIn::Conflict => return self.try_again(id, tries, &finished),
                TakenIn::Wait(wait) => {
                    finished.result = Ok(reply);
                    self.suspend_transaction(None);
                    return Next::Wait(wait, finished);
                }
            },
        };
        let inline_fuel = self.options().wasm_inline_fuel;
        let was_long = finished.fuel_used > inline_fuel;
        self.jobs.note((request.module.id(), request.procedure), was_long);
        self.keep_traces(id, &request, &mut finished);
        self.end_job(id, result);
        Next::Done
    }

    /// Takes in what a try did, with the triggers of that, unless something it read has changed.
    fn take_in(&mut self, id: JobId, request: &Request, finished: &mut Finished) -> TakenIn {
        if self.paused().is_some() {
            return TakenIn::Wait(Wait::Unpaused);
        }
        if let Some(wait) = self.persistence.back_pressure(self.core_ref()) {
            return TakenIn::Wait(wait);
        }
        if let Some(text) = self.core_ref().write_failure() {
            return TakenIn::Refused(text.into());
        }
        if finished.effects.keys().any(|(database, key)| self.jobs.is_held(Some(id), database, key)) {
            return TakenIn::Wait(Wait::Released);
        }
        let Some(running) = self.jobs.jobs.get(&id).and_then(|job| job.running.as_ref()) else {
            return TakenIn::Conflict;
        };
        let (snapshot, listened) = (running.outside.snapshot, running.listened);
        let core = self.core();
        if core.keyspace.journal().listened() != listened {
            return TakenIn::Conflict;
        }
        match core.keyspace.still_holds(snapshot, &finished.reads) {
            Ok(true) => {}
            // What has changed nothing happened at the moment that it saw.
            Ok(false) if finished.changes_nothing() => {}
            Ok(false) => return TakenIn::Conflict,
            Err(keyspace::Error::NotResident(need)) => {
                return TakenIn::Wait(Wait::Loaded(self.load(&[need])));
            }
            Err(keyspace::Error::WrongType) => return TakenIn::Conflict,
        }
        // Kept for a next time when a trigger may need something from disk.
        let kept =
            (!core.server.triggers.is_idle()).then(|| (finished.effects.clone(), finished.messages.clone()));
        let effects = std::mem::take(&mut finished.effects);
        let messages = std::mem::take(&mut finished.messages);
        let delivery = self.jobs.jobs.get_mut(&id).and_then(|job| match &mut job.origin {
            Origin::Client(_) => None,
            Origin::Delivery(delivery) => Some(delivery.ticket.clone()),
        });
        let done = self.undoable(|engine| {
            if let Some(ticket) = &delivery {
                engine.succeed_delivery(ticket)?;
            }
            let core = engine.core();
            let raised = core.keyspace.journal().events().len();
            core.messages.extend(
                messages
                    .into_iter()
                    .map(|message| Message { after_events: message.after_events + raised, ..message }),
            );
            core.keyspace.take_in(effects);
            Ok(())
        });
        match done {
            Ok(()) => TakenIn::Yes,
            Err(Error::Reply(text)) => TakenIn::Refused(text),
            Err(Error::NotResident(need)) => {
                tracing::trace!(name = request.name, "a trigger needs something from disk");
                if let Some((effects, messages)) = kept {
                    (finished.effects, finished.messages) = (effects, messages);
                }
                TakenIn::Wait(Wait::Loaded(self.load(&[need])))
            }
            // A delivery must not wait for its own queue, which it may be what keeps it full.
            Err(Error::QueueFull(shortage))
                if delivery.is_some_and(|own| *own.trigger == *shortage.trigger) =>
            {
                TakenIn::Refused(message(Error::queue_full(&shortage)))
            }
            Err(Error::QueueFull(shortage)) => {
                if let Some((effects, messages)) = kept {
                    (finished.effects, finished.messages) = (effects, messages);
                }
                TakenIn::Wait(Wait::Room(shortage))
            }
        }
    }

    /// What is left of a call whatever it answered: lines for the log and monitors, keys that its client has read.
    fn keep_traces(&mut self, id: JobId, request: &Request, finished: &mut Finished) {
        let client = self.jobs.jobs.get(&id).and_then(|job| job.origin.client());
        let core = self.core();
        core.running = super::core::Running::new(request.name.clone(), request.database, client);
        core.running.lines = std::mem::take(&mut finished.lines);
        core.keep_lines();
        core.shown.append(std::mem::take(&mut finished.shown));
        core.server.statistics.procedure_calls += 1;
        core.server.statistics.background_calls += 1;
        if let Some(client) = client.filter(|_| !core.server.tracking.is_idle()) {
            for (_, key) in &finished.reads.keys {
                core.note_read(client, key);
            }
        }
    }

    /// Has a call tried again that others came in between of, or ends it when that has happened too often.
    fn try_again(&mut self, id: JobId, tries: u32, finished: &Finished) -> Next {
        self.core().server.statistics.background_conflicts += 1;
        self.suspend_transaction(None);
        self.close_snapshot_of(id);
        let max_tries = self.options().wasm_max_tries;
        if tries >= max_tries {
            let name = self.jobs.jobs.get(&id).map(|job| job.request.name.clone()).unwrap_or_default();
            let text = format!(
                "WASMCONFLICT procedure '{name}': others changed what it read during all its {tries} tries \
                 (wasm-max-tries)"
            );
            self.end_job(id, Err(text.into()));
            return Next::Done;
        }
        if tries + 1 >= max_tries && self.jobs.held.is_none() {
            let keys = finished.reads.keys.iter().cloned().collect();
            self.jobs.held = Some(Held { job: id, keys });
        }
        let longest_us = (FIRST_CONFLICT_PAUSE_US << tries.min(16)).min(MAX_CONFLICT_PAUSE_US);
        Next::Again(Duration::from_micros(fastrand::u64(longest_us / 2..=longest_us)))
    }

    /// Queues a call for another try.
    pub(super) fn requeue_job(&mut self, id: JobId) {
        match self.jobs.jobs.get(&id) {
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
        let Self { core: Some(core), jobs, .. } = self else { return };
        if let Some(running) = jobs.jobs.get_mut(&id).and_then(|job| job.running.take()) {
            core.keyspace.close_snapshot(running.outside.snapshot);
        }
    }

    fn forget_job(&mut self, id: JobId) -> Option<Job> {
        self.close_snapshot_of(id);
        let job = self.jobs.jobs.remove(&id);
        self.core().server.running.remove(&id);
        if self.jobs.held.as_ref().is_some_and(|held| held.job == id) {
            self.jobs.held = None;
            self.signals().released.notify_waiters();
        }
        job
    }

    /// Stops the call of a client that has gone, with nothing left of it.
    pub(super) fn abandon_job(&mut self, client: ClientId) {
        let Some((id, job)) = self.jobs.jobs.iter_mut().find(|(_, job)| job.origin.client() == Some(client))
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

/// What became of a try's changes.
enum TakenIn {
    Yes,
    /// Something it read has changed.
    Conflict,
    /// They cannot be taken in yet.
    Wait(Wait),
    /// They were undone; an error reply.
    Refused(ErrorReply),
}

fn entries_at(
    keyspace: &Keyspace,
    snapshot: keyspace::Snapshot,
    keys: &[(u8, Key)],
) -> Result<Vec<Option<Box<keyspace::Entry>>>, keyspace::Error> {
    keys.iter().map(|(database, key)| keyspace.entry_at(snapshot, *database, key)).collect()
}

fn killed(name: &str) -> ErrorReply {
    let error = crate::procedure::CallError::<Error>::Stopped;
    format!("{} {}", error.code().unwrap_or("ERR"), error.describe(name)).into()
}

fn message(error: Error) -> ErrorReply {
    match error {
        Error::Reply(text) => text,
        other => format!("ERR {other:?}").into(),
    }
}
