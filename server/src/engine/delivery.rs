//! The deliveries of asynchronous triggers. Their events were queued in the transactions that raised them (`queueing`).
//!
//! A delivery is started ([`Engine::start_delivery`]): its procedure runs in the background (`job`). It is ended later:
//! [`Engine::succeed_delivery`] is called in the transaction that takes in what the procedure did, and removes it from its
//! queue, so that both become durable together or not at all; [`Engine::fail_delivery`] is a transaction of its own, which
//! lets it be tried again or gives it up. A delivery that was started and not ended when the server stops was never started
//! for the next one.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::limits::{DELIVERY_TURN_US, HELD_DELIVERY_PAUSE_MS, MAX_DELIVERY_PAUSE_MS};
use super::{EndOnPanic, Engine, Shared, cascade};
use crate::command::{self, Error};
use crate::keyspace::{self, Need};
use crate::protocol::ErrorReply;
use crate::state::Load;
use crate::trigger::queue::{Entry, Fate, Limits, Ticket};
use crate::trigger::{Asynchronous, Triggers};

/// A delivery that has been started.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Its place in its queue.
    pub ticket: Ticket,
    /// What it is about.
    pub entry: Entry,
    /// Fuel, at most.
    pub fuel: u64,
}

/// A delivery that has failed, and that can be ended when something has come from disk.
struct Parked {
    delivery: Delivery,
    load: Rc<Load>,
    failure: String,
}

/// How far the opening of the queues has come, which there were at the start or whose triggers are new.
#[derive(Default)]
enum Opening {
    #[default]
    ToDo,
    /// This is loaded for it.
    Loading(Rc<Load>),
    /// A queue could not be read, which is not asked for again before then.
    RetryAt(Instant),
    Done,
}

/// What the engine knows of deliveries, beside the queues.
#[derive(Default)]
pub(super) struct Deliveries {
    parked: Vec<Parked>,
    opening: Opening,
    /// Whether definitions or options have changed, so that who waits for room may not have to any longer.
    changed: bool,
    /// What they were when this was asked last.
    seen: Option<(Triggers, Limits)>,
}

impl Deliveries {
    /// Whether something is to be loaded for a delivery or a queue.
    pub fn are_waiting(&self) -> bool {
        matches!(self.opening, Opening::Loading(_)) || !self.parked.is_empty()
    }

    /// Has everything looked at again if definitions or options have changed; says whether they have.
    pub fn look_again(&mut self, triggers: &Triggers, limits: Limits) -> bool {
        let seen = self.seen.as_ref();
        if seen.is_some_and(|(before, limits_before)| before.is_same(triggers) && *limits_before == limits) {
            return false;
        }
        self.seen = Some((triggers.clone(), limits));
        self.changed = true;
        if matches!(self.opening, Opening::Done) {
            self.opening = Opening::ToDo;
        }
        true
    }
}

/// Delivers for as long as the server runs.
pub async fn run_deliveries(engine: Shared) {
    let _guard = EndOnPanic(Rc::clone(&engine));
    let signals = engine.borrow().signals();
    loop {
        let pause = engine.borrow_mut().deliver();
        match pause {
            None => tokio::task::yield_now().await,
            Some(pause) => drop(tokio::time::timeout(pause, signals.deliveries.notified()).await),
        }
    }
}

impl Engine {
    /// Makes some deliveries; gives how long to wait before the next turn, or `None` if there is more to do at once.
    fn deliver(&mut self) -> Option<Duration> {
        if self.are_deliveries_held() {
            return Some(Duration::from_millis(HELD_DELIVERY_PAUSE_MS));
        }
        self.clock.restart();
        let mut more = self.open_queues();
        self.resume_deliveries();
        let began = Instant::now();
        while self.start_deliveries() {
            if began.elapsed() >= Duration::from_micros(DELIVERY_TURN_US) {
                more = true;
                break;
            }
        }
        self.dispatch_jobs();
        let has_changed = std::mem::take(&mut self.deliveries.changed);
        if self.core().server.queues.take_has_shrunk() || has_changed {
            self.persistence.signals().room.notify_waiters();
            self.resume_stalled();
        }
        self.request_flush();
        (!more).then(|| self.delivery_pause())
    }

    fn are_deliveries_held(&mut self) -> bool {
        self.fatal().is_some()
            || self.paused().is_some()
            || self.core_ref().write_failure().is_some()
            || self.persistence.back_pressure(self.core_ref()).is_some()
    }

    /// Opens the queues of all triggers, and makes their indexes, in slices. `true` if there is more to do at once.
    fn open_queues(&mut self) -> bool {
        match &self.deliveries.opening {
            Opening::Done => return false,
            Opening::Loading(load) if !load.is_over() => return false,
            Opening::RetryAt(at) if Instant::now() < *at => return false,
            _ => {}
        }
        match self.read_queues() {
            Ok(true) => true,
            Ok(false) => {
                self.deliveries.opening = Opening::Done;
                false
            }
            Err(need) => {
                let is_unreadable = matches!(
                    &self.deliveries.opening, Opening::Loading(load) if load.failure_of(&need).is_some()
                );
                self.deliveries.opening = if is_unreadable {
                    Opening::RetryAt(Instant::now() + Duration::from_millis(MAX_DELIVERY_PAUSE_MS))
                } else {
                    Opening::Loading(self.load(&[need]))
                };
                false
            }
        }
    }

    /// Opens queues and reads on in one that has not been read whole. `true` if there may be more to read.
    fn read_queues(&mut self) -> Result<bool, Need> {
        let core = self.core();
        let triggers = core.server.triggers.clone();
        let now_us = core.keyspace.now_us();
        core.keyspace.begin(now_us);
        for trigger in triggers.iter() {
            let name = &trigger.definition.name;
            let (queues, keyspace) = (&mut core.server.queues, &mut core.keyspace);
            match queues.open(keyspace, name).and_then(|()| queues.read_on(keyspace, name)) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(keyspace::Error::NotResident(need)) => return Err(need),
                Err(keyspace::Error::WrongType) => {
                    tracing::error!(trigger = name, "its queue cannot be read");
                }
            }
        }
        Ok(false)
    }

    /// Goes on with the deliveries that waited for something from disk.
    fn resume_deliveries(&mut self) {
        let loaded: Vec<Parked> =
            self.deliveries.parked.extract_if(.., |parked| parked.load.is_over()).collect();
        for Parked { delivery, failure, .. } in loaded {
            self.fail_delivery(delivery, &failure);
        }
    }

    /// Starts one delivery of each trigger that can have one more; `false` when none can.
    fn start_deliveries(&mut self) -> bool {
        let triggers = self.core_ref().server.triggers.clone();
        let mut any = false;
        for trigger in triggers.iter().filter(|trigger| trigger.definition.enabled) {
            // What was queued before a trigger became synchronous is delivered all the same.
            let options = trigger.definition.asynchronous.clone().unwrap_or_default();
            let now_ms = self.clock.unix_ms();
            let name = &trigger.definition.name;
            let Some(ticket) = self.core().server.queues.start(name, options.concurrency, now_ms) else {
                continue;
            };
            any = true;
            self.start_delivery(ticket, &trigger.definition.function, &options);
        }
        any
    }

    /// Starts a delivery.
    fn start_delivery(&mut self, ticket: Ticket, function: &str, options: &Asynchronous) {
        let time_us = self.clock.unix_us();
        let core = self.core();
        core.keyspace.begin(time_us);
        let most = core.server.options.wasm_fuel;
        let Ok(Some((entry, _))) = core.server.queues.look(&mut core.keyspace, &ticket) else {
            // An open queue is in memory and has all that its index has.
            tracing::error!(trigger = &*ticket.trigger, id = %ticket.id, "a queued event cannot be found");
            core.server.queues.abandon(&ticket);
            return;
        };
        let fuel = options.fuel.map_or(most, |fuel| fuel.min(most));
        let delivery = Delivery { ticket, entry, fuel };
        match cascade::call_of(&core.server.libraries, function) {
            Ok(call) => self.start_delivery_job(Box::new(delivery), &call),
            Err(_) => self.fail_delivery(delivery, "ERR Function not found"),
        }
    }

    /// Ends a delivery whose procedure has run. If it succeeded, its transaction has ended it already.
    pub(super) fn end_delivery(&mut self, delivery: Delivery, result: Result<(), ErrorReply>) {
        match result {
            Ok(()) => {
                let server = &mut self.core().server;
                server.statistics.trigger_runs += 1;
                server.triggers.count(&delivery.ticket.trigger, None);
                self.finish_transaction(None);
            }
            Err(text) => {
                self.finish_transaction(None);
                self.fail_delivery(delivery, &text);
            }
        }
        self.clock.now = Instant::now();
        self.persistence.signals().deliveries.notify_one();
    }

    /// Removes a delivery from its queue, in the transaction that holds what its procedure did. An error undoes that: the
    /// delivery is not in the queue any more, because its trigger was dropped.
    pub(super) fn succeed_delivery(&mut self, ticket: &Ticket) -> command::Result<()> {
        let core = self.core();
        let is_there = core.server.queues.succeed(&mut core.keyspace, ticket)?;
        is_there.then_some(()).ok_or(Error::text("ERR the trigger was dropped"))
    }

    /// Lets a delivery that failed be tried again or gives it up, as a transaction of its own.
    pub(super) fn fail_delivery(&mut self, delivery: Delivery, error: &str) {
        self.clock.now = Instant::now();
        let now_us = self.clock.unix_us();
        let savepoint = self.open_savepoint();
        let core = self.core();
        core.keyspace.begin(now_us);
        let (ticket, limits) = (&delivery.ticket, core.server.queue_limits());
        let definition = core.server.triggers.get(&ticket.trigger).map(|trigger| trigger.definition.clone());
        let options = definition.and_then(|rule| rule.asynchronous.clone()).unwrap_or_default();
        let (queues, keyspace) = (&mut core.server.queues, &mut core.keyspace);
        match queues.fail(keyspace, ticket, &options, error, limits) {
            Ok(fate) => {
                self.keep(savepoint);
                self.count_failed_delivery(&delivery, error, fate);
                self.finish_transaction(None);
            }
            Err(keyspace::Error::NotResident(need)) => {
                self.take_back(savepoint);
                self.suspend_transaction(None);
                self.park(delivery, need, error.to_owned());
            }
            Err(keyspace::Error::WrongType) => {
                self.take_back(savepoint);
                self.suspend_transaction(None);
                tracing::error!(trigger = &*delivery.ticket.trigger, "its queue cannot be read");
            }
        }
    }

    fn count_failed_delivery(&mut self, delivery: &Delivery, error: &str, fate: Fate) {
        let server = &mut self.core().server;
        let Delivery { ticket, entry, .. } = delivery;
        let (trigger, key, event) = (&*ticket.trigger, &entry.key, &entry.event);
        match fate {
            Fate::Gone => return,
            // There may be many.
            Fate::Retried(_) => tracing::debug!(trigger, ?key, event, "delivery failed: {error}"),
            Fate::Dead => tracing::warn!(trigger, ?key, event, "delivery given up: {error}"),
            Fate::Kept(_) => {
                tracing::warn!(
                    trigger,
                    ?key,
                    event,
                    "delivery failed, no room for another dead letter: {error}"
                );
            }
        }
        if fate != Fate::Dead {
            server.triggers.count_retry(trigger);
            server.statistics.trigger_retries += 1;
        }
        server.statistics.trigger_runs += 1;
        server.statistics.trigger_failures += 1;
        server.triggers.count(trigger, Some(error));
    }

    fn park(&mut self, delivery: Delivery, need: Need, failure: String) {
        let load = self.load(&[need]);
        self.deliveries.parked.push(Parked { delivery, load, failure });
    }

    /// How long there is nothing to do, unless a signal comes.
    fn delivery_pause(&self) -> Duration {
        let server = &self.core_ref().server;
        let enabled = server.triggers.iter().filter(|trigger| trigger.definition.enabled);
        let due_ms = enabled.filter_map(|trigger| {
            let concurrency =
                trigger.definition.asynchronous.as_ref().map_or(1, |options| options.concurrency);
            server.queues.next_due_ms(&trigger.definition.name, concurrency)
        });
        let now_ms = self.clock.unix_ms();
        let left_ms =
            due_ms.min().map_or(MAX_DELIVERY_PAUSE_MS, |due_ms| due_ms.saturating_sub(now_ms).max(1));
        Duration::from_millis(left_ms.min(MAX_DELIVERY_PAUSE_MS))
    }
}
