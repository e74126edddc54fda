//! Work that no client asks for: flushing groups to the log, expiring keys, closing clients that are idle or too slow.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;

use super::limits::{BUSY_PERCENT, MAX_COLD_EXPIRIES_PER_TURN, MAX_EXPIRIES_PER_TURN, STAY_AWAKE};
use super::persistence::Arrival;
use super::queueing::Admission;
use super::worker_events::on_worker;
use super::{EndOnPanic, Engine, Shared};
use crate::command::{self, Error};
use crate::keyspace::{Key, Need};
use crate::options::{AppendFsync, OutputClass};
use crate::state::Closing;
use crate::store::limits::SYSTEM_DATABASE;

/// Pause between two rounds of housekeeping for clients and statistics.
const HOUSEKEEPING_PAUSE: Duration = Duration::from_millis(100);
/// The clock is checked at least this often during a pause, because somebody may set it.
const MAX_PAUSE_SLEEP: Duration = Duration::from_secs(1);

/// Handles what the store and the workers report.
pub async fn run_store_events(engine: Shared, mut arrivals: UnboundedReceiver<Arrival>) {
    let _guard = EndOnPanic(Rc::clone(&engine));
    while let Some(arrival) = arrivals.recv().await {
        take_in(&engine, arrival);
    }
}

pub(super) fn take_in(engine: &Shared, arrival: Arrival) {
    match arrival {
        Arrival::Loaded { token, result } => engine.borrow_mut().on_loaded(token, result),
        Arrival::Worker(message) => on_worker(engine, message),
        Arrival::Event(event) => engine.borrow_mut().on_store_event(event),
    }
}

/// Runs all timers, for as long as the server runs.
pub async fn run_timers(engine: Shared) {
    let _guard = EndOnPanic(Rc::clone(&engine));
    let signals = engine.borrow().signals();
    let timers =
        async { tokio::join!(run_log_timer(&engine), run_expiry(&engine), run_housekeeping(&engine)) };
    tokio::join!(timers, run_pauses(&engine), stay_awake(&engine), async {
        loop {
            signals.flush.notified().await;
            // Other tasks that are ready run first, so that one group takes all their changes.
            tokio::task::yield_now().await;
            engine.borrow_mut().flush();
        }
    });
}

/// Makes everything done so far durable. An error says why the disk refuses it.
pub async fn settle(engine: &Shared) -> Result<(), String> {
    let (signals, last) = {
        let mut engine = engine.borrow_mut();
        engine.flush();
        (engine.signals(), engine.core_ref().keyspace.journal().last_group())
    };
    while !engine.borrow().settled(last)? {
        signals.durable.notified().await;
    }
    Ok(())
}

async fn run_log_timer(engine: &Shared) {
    loop {
        let pause_ms = engine.borrow().options().log_commit_interval_ms;
        tokio::time::sleep(Duration::from_millis(pause_ms.into())).await;
        let mut engine = engine.borrow_mut();
        if engine.options().appendfsync != AppendFsync::No {
            engine.flush();
        }
    }
}

async fn run_expiry(engine: &Shared) {
    let signals = engine.borrow().signals();
    loop {
        let more = engine.borrow_mut().expire_due();
        if more {
            tokio::task::yield_now().await;
        } else {
            let hz = engine.borrow().options().hz;
            let pause = Duration::from_millis(u64::from(1000 / hz.max(1)));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = signals.expiry.notified() => {}
            }
        }
    }
}

/// At the end of each pause, serves and wakes the clients that wait for it.
async fn run_pauses(engine: &Shared) {
    let signals = engine.borrow().signals();
    loop {
        signals.paused.notified().await;
        loop {
            // Meanwhile a client may have prolonged or ended the pause.
            let Some(left) = engine.borrow().pause_left() else { break };
            tokio::select! {
                () = tokio::time::sleep(left.min(MAX_PAUSE_SLEEP)) => {}
                () = signals.unpaused.notified() => {}
            }
        }
        engine.borrow_mut().resume_serving();
        signals.unpaused.notify_waiters();
    }
}

/// Keeps this thread awake while a worker may soon be done, because waking up takes longer than most tasks.
async fn stay_awake(engine: &Shared) {
    let signals = engine.borrow().signals();
    loop {
        signals.task.notified().await;
        let asleep_from = Instant::now() + STAY_AWAKE;
        while engine.borrow().has_tasks() && Instant::now() < asleep_from {
            tokio::task::yield_now().await;
        }
    }
}

async fn run_housekeeping(engine: &Rc<std::cell::RefCell<Engine>>) {
    let (mut rates, mut load) = (Rates::default(), Load::default());
    loop {
        tokio::time::sleep(HOUSEKEEPING_PAUSE).await;
        let mut engine = engine.borrow_mut();
        engine.look_after_clients(&mut rates);
        // Modules go with the cache, with libraries, and with the last client that calls them.
        engine.runtime.drop_orphans();
        engine.persistence.set_busy(load.measure_percent() > BUSY_PERCENT);
    }
}

/// Measures the share of time for which this thread works.
struct Load {
    measured: Instant,
    busy: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Self { measured: Instant::now(), busy: Duration::ZERO }
    }
}

impl Load {
    /// In percent, since the last measurement.
    fn measure_percent(&mut self) -> u128 {
        let (now, busy) = (Instant::now(), Handle::current().metrics().worker_total_busy_duration(0));
        let elapsed = now.duration_since(std::mem::replace(&mut self.measured, now));
        let worked = busy.saturating_sub(std::mem::replace(&mut self.busy, busy));
        worked.as_nanos() * 100 / elapsed.as_nanos().max(1)
    }
}

#[derive(Default)]
struct Rates {
    commands: Rate,
    received_bytes: Rate,
    sent_bytes: Rate,
}

/// How fast a counter rises per second, averaged over about one and a half seconds.
#[derive(Default)]
struct Rate {
    samples: std::collections::VecDeque<(Instant, u64)>,
}

impl Rate {
    const SAMPLES: usize = 16;

    fn add(&mut self, counter: u64) -> u64 {
        let now = Instant::now();
        self.samples.push_back((now, counter));
        if self.samples.len() > Self::SAMPLES {
            self.samples.pop_front();
        }
        let (then, before) = self.samples.front().copied().unwrap_or((now, counter));
        let elapsed_ms = now.duration_since(then).as_millis() as u64;
        counter.saturating_sub(before) * 1000 / elapsed_ms.max(1)
    }
}

/// Whether this belongs to the server itself, not to clients.
fn is_of_system(need: &Need) -> bool {
    let (Need::Key { database, .. } | Need::Keys { database, .. } | Need::Page { database, .. }) = need;
    *database == SYSTEM_DATABASE
}

impl Engine {
    /// Removes some expired keys and fields. `true`: there may be more.
    fn expire_due(&mut self) -> bool {
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
    ///
    /// A failing trigger undoes what the triggers did, but not the deletion.
    fn expire(&mut self, database: u8, key: &[u8]) -> bool {
        let core = self.core();
        let from = core.keyspace.journal().events().len();
        if core.server.triggers.is_idle() {
            core.keyspace.let_expire(database, key);
            return true;
        }
        let whole = self.open();
        self.core().keyspace.let_expire(database, key);
        let done = self.run_triggers_of_expiry(from).and_then(|()| self.queue_events(from, Admission::Free));
        let Err(Error::NotResident(need)) = done else {
            self.core().keyspace.release(whole.keyspace);
            return true;
        };
        let needs = [need];
        let load = self.persistence.expiry_load.take();
        let is_unreadable =
            load.is_some_and(|(of, load)| of[..] == *key && load.failure_of(&needs).is_some());
        if is_unreadable && !is_of_system(&needs[0]) {
            let [need] = needs;
            tracing::warn!(?need, "a trigger on an expired key needed a key that cannot be read");
            // The triggers' changes have been undone already.
            let queued = self.queue_events(from, Admission::Free);
            self.core().keyspace.release(whole.keyspace);
            if let Err(error) = queued {
                tracing::warn!(?error, "the event of an expired key could not be queued");
            }
            return true;
        }
        self.take_back(whole);
        self.persistence.expiry_load = Some((Key::new(key), self.load(&needs)));
        false
    }

    /// Runs the triggers of an expiry. A failing one undoes what they did, which is no error here.
    fn run_triggers_of_expiry(&mut self, from: usize) -> command::Result<()> {
        let triggers = self.open();
        let done = self.run_triggers(from);
        match done {
            Ok(()) => self.core().keyspace.release(triggers.keyspace),
            Err(_) => self.take_back(triggers),
        }
        match done {
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

    fn look_after_clients(&mut self, rates: &mut Rates) {
        self.clock.restart();
        let now_s = self.clock.unix_us() / 1_000_000;
        if !self.core().server.tracking.is_idle() {
            self.core().shrink_tracking_table();
        }
        let server = &mut self.core().server;
        let used = crate::memory::used_bytes();
        server.statistics.peak_memory_bytes = server.statistics.peak_memory_bytes.max(used);
        let counted = &mut server.statistics;
        counted.instantaneous_ops = rates.commands.add(counted.commands);
        counted.instantaneous_received_bytes = rates.received_bytes.add(counted.received_bytes);
        counted.instantaneous_sent_bytes = rates.sent_bytes.add(counted.sent_bytes);
        let timeout_s = u64::from(server.options.timeout_s);
        let limit = server.options.client_output_buffer_limit[OutputClass::PubSub];
        for (_, handle) in server.clients.iter() {
            let waiting = handle.mailbox.bytes() as u64;
            let too_much = limit.hard_bytes > 0 && waiting > limit.hard_bytes
                || handle.mailbox.above_soft_limit(limit.soft_bytes, limit.soft_s);
            let Some(session) = &handle.session else { continue };
            let idle = timeout_s > 0 && now_s.saturating_sub(session.active_s) > timeout_s;
            if too_much {
                server.statistics.output_limit_disconnections += 1;
            }
            // Asked of idle clients only, because it takes a look at every call in the background.
            let waits = || {
                session.is_parked
                    || session.is_subscriber()
                    || server.monitors.contains_key(&session.id)
                    || server.waiting.get(session.id).is_some()
                    || server.running.values().any(|call| call.client == Some(session.id))
            };
            if too_much || idle && !waits() {
                handle.mailbox.close(Closing::Now);
            }
        }
    }
}
