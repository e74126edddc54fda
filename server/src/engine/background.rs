//! Work that no client asks for: flushing groups to the log, having keys expire (`expiry`), closing clients that are idle
//! or too slow.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;

use super::limits::{BUSY_PERCENT, HOUSEKEEPING_PAUSE, HUGE_PAGES_FROM_BYTES, MAX_PAUSE_SLEEP, STAY_AWAKE};
use super::persistence::Arrival;
use super::worker_events::on_worker;
use super::{EndOnPanic, Engine, Shared};
use crate::memory;
use crate::options::{AppendFsync, OutputClass};
use crate::state::Closing;

/// Handles what the store and the workers report.
pub async fn run_arrivals(engine: Shared, mut arrivals: UnboundedReceiver<Arrival>) {
    let _guard = EndOnPanic(Rc::clone(&engine));
    while let Some(arrival) = arrivals.recv().await {
        on_arrival(&engine, arrival);
    }
}

pub(super) fn on_arrival(engine: &Shared, arrival: Arrival) {
    match arrival {
        Arrival::Loaded { token, result } => engine.borrow_mut().on_loaded(token, result),
        Arrival::Worker(message) => on_worker(engine, message),
        Arrival::Compiled => engine.borrow().on_compiled(),
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
pub async fn make_durable(engine: &Shared) -> Result<(), String> {
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

async fn run_housekeeping(engine: &Shared) {
    let (mut rates, mut busy, mut is_small) = (Rates::default(), BusyMeter::default(), true);
    loop {
        tokio::time::sleep(HOUSEKEEPING_PAUSE).await;
        let mut engine = engine.borrow_mut();
        let used_bytes = memory::used_bytes();
        if is_small && used_bytes >= HUGE_PAGES_FROM_BYTES {
            memory::allow_huge_pages(true);
            is_small = false;
        }
        if !engine.core().server.tracking.is_idle() {
            engine.core().shrink_tracking_table();
        }
        engine.measure(&mut rates, used_bytes);
        engine.close_clients();
        engine.release_idle_buffers();
        // Modules go with the cache, with libraries, and with the last client that calls them.
        engine.runtime.drop_orphans();
        engine.persistence.set_busy(busy.measure_percent() > BUSY_PERCENT);
    }
}

/// Measures the share of time for which this thread works.
struct BusyMeter {
    measured: Instant,
    busy: Duration,
}

impl Default for BusyMeter {
    fn default() -> Self {
        Self { measured: Instant::now(), busy: Duration::ZERO }
    }
}

impl BusyMeter {
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

impl Engine {
    fn measure(&mut self, rates: &mut Rates, used_bytes: u64) {
        let counted = &mut self.core().server.statistics;
        counted.peak_memory_bytes = counted.peak_memory_bytes.max(used_bytes);
        counted.instantaneous_ops = rates.commands.add(counted.commands);
        counted.instantaneous_received_bytes = rates.received_bytes.add(counted.received_bytes);
        counted.instantaneous_sent_bytes = rates.sent_bytes.add(counted.sent_bytes);
    }

    /// Closes clients that are idle or too slow.
    fn close_clients(&mut self) {
        self.clock.restart();
        let now_s = self.clock.unix_s();
        let server = &mut self.core().server;
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
