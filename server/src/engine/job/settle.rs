//! The end of a try: whether what it did holds, taking that in, and trying again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Engine;
use super::super::call::own_failure;
use super::super::core::RunningProcedure;
use super::super::limits::{
    FIRST_CONFLICT_PAUSE_US, GROUP_BYTES, MAX_CONFLICT_DOUBLINGS, MAX_CONFLICT_PAUSE_US,
};
use super::super::wait::Wait;
use super::super::workers::{Failed, Finished, JobId, Request};
use super::{Held, Origin};
use crate::command::Error;
use crate::procedure::CallError;
use crate::protocol::ErrorReply;
use crate::state::Message;

/// What follows from the end of a try.
pub(in crate::engine) enum Next {
    /// Nothing.
    Done,
    /// It is to be ended again when this is over.
    Wait(Wait, Box<Finished>),
    /// The call is to be queued again then.
    Again(Duration),
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

impl Engine {
    /// Ends a try: takes in what it did, if it holds, and answers.
    pub(in crate::engine) fn end_try(&mut self, id: JobId, mut finished: Box<Finished>) -> Next {
        let Some(job) = self.jobs.calls.get(&id) else { return Next::Done };
        let (request, tries, is_delivery) =
            (Arc::clone(&job.request), job.tries, job.origin.client().is_none());
        if job.is_abandoned {
            drop(self.forget_job(id));
            return Next::Done;
        }
        self.clock.restart();
        let now_us = self.clock.unix_us();
        self.core().keyspace.begin(now_us);
        if finished.result.is_ok()
            && let Some(error) = self.must_end(id)
        {
            finished.fail(error);
        }
        let result = std::mem::replace(&mut finished.result, Err(Failed::Lost));
        let mut holds_now = false;
        let result = match result {
            Err(Failed::Lost) => return self.try_again(id, tries, &finished),
            Err(Failed::Error(text)) => Err(text),
            Ok(reply) if finished.changes_nothing() && !is_delivery => Ok(reply),
            Ok(reply) => match self.take_in(id, &mut finished) {
                TakenIn::Yes => {
                    holds_now = true;
                    Ok(reply)
                }
                TakenIn::Refused(text) => Err(text),
                TakenIn::Conflict => return self.try_again(id, tries, &finished),
                TakenIn::Wait(wait) => {
                    if matches!(wait, Wait::Room(_)) {
                        // The delivery that makes room may need what this call holds.
                        self.release_held_by(id);
                    }
                    finished.result = Ok(reply);
                    self.suspend_transaction(None);
                    return Next::Wait(wait, finished);
                }
            },
        };
        let inline_fuel = self.options().wasm_inline_fuel;
        let was_long = finished.fuel_used > inline_fuel;
        self.jobs.note((request.module.id(), request.procedure), was_long);
        self.keep_traces(id, &request, &mut finished, holds_now);
        self.end_job(id, result);
        Next::Done
    }

    /// Why a call has to end although its procedure has run: it waits for something while it is stopped or its time is
    /// over.
    pub(in crate::engine) fn must_end(&self, id: JobId) -> Option<ErrorReply> {
        let request = &self.jobs.calls.get(&id)?.request;
        if request.control.is_stopped() {
            return Some(own_failure(&CallError::Stopped, &request.name));
        }
        (Instant::now() >= request.deadline).then(|| own_failure(&CallError::DeadlineExceeded, &request.name))
    }

    /// Takes in what a try did, with the triggers of that, unless something it read has changed.
    fn take_in(&mut self, id: JobId, finished: &mut Finished) -> TakenIn {
        if let Some(wait) = self.must_wait(id, finished) {
            return TakenIn::Wait(wait);
        }
        if let Some(text) = self.core_ref().write_failure() {
            return TakenIn::Refused(text.into());
        }
        if self.holds(id, finished) { self.apply(id, finished) } else { TakenIn::Conflict }
    }

    /// What taking in has to wait for, as a client's write would.
    fn must_wait(&mut self, id: JobId, finished: &Finished) -> Option<Wait> {
        if self.paused().is_some() {
            return Some(Wait::Unpaused);
        }
        let is_held = |(database, key): (u8, &[u8])| self.jobs.is_held(Some(id), database, key);
        if finished.effects.keys().any(is_held) {
            return Some(Wait::Released);
        }
        self.persistence.back_pressure(self.core_ref())
    }

    /// Whether what a try did could have been done now.
    fn holds(&self, id: JobId, finished: &Finished) -> bool {
        let Some(running) = self.jobs.calls.get(&id).and_then(|job| job.running.as_ref()) else {
            return false;
        };
        // What has changed nothing happened at the moment that it saw.
        if finished.changes_nothing() {
            return true;
        }
        let keyspace = &self.core_ref().keyspace;
        // Otherwise events that somebody wants now may not have been kept.
        keyspace.journal().listened() == running.listened
            && keyspace.still_holds(running.outside.snapshot, &finished.reads)
    }

    /// Makes a try's changes the engine's, and runs their triggers, as one transaction.
    fn apply(&mut self, id: JobId, finished: &mut Finished) -> TakenIn {
        if finished.effects.record_bytes() >= GROUP_BYTES {
            // With nothing before them, large records become a group of their own as they are.
            self.flush_before_transaction();
        }
        let core = self.core();
        // Kept for a next time when a trigger may need something from disk.
        let kept =
            (!core.server.triggers.is_idle()).then(|| (finished.effects.clone(), finished.messages.clone()));
        let effects = std::mem::take(&mut finished.effects);
        let messages = std::mem::take(&mut finished.messages);
        let Some(job) = self.jobs.calls.get(&id) else { return TakenIn::Conflict };
        let Some(running) = &job.running else { return TakenIn::Conflict };
        let snapshot = running.outside.snapshot;
        let delivery = match &job.origin {
            Origin::Client(_) => None,
            Origin::Delivery(delivery) => Some(delivery.ticket.clone()),
        };
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
            core.keyspace.take_in(snapshot, effects);
            Ok(())
        });
        let wait = match done {
            Ok(()) => return TakenIn::Yes,
            Err(Error::Reply(text)) => return TakenIn::Refused(text),
            Err(Error::NotResident(need)) => Wait::Loaded(self.load(&[need])),
            // A delivery must not wait for its own queue, which it may be what keeps it full.
            Err(Error::QueueFull(shortage))
                if delivery.is_some_and(|own| *own.trigger == *shortage.trigger) =>
            {
                return TakenIn::Refused(shortage.to_string().into());
            }
            Err(Error::QueueFull(shortage)) => match self.wait_for_room(shortage) {
                Ok(wait) => wait,
                Err(text) => return TakenIn::Refused(text),
            },
            Err(Error::NotCompiled(_)) => unreachable!("triggers cannot upload modules"),
        };
        if let Some((effects, messages)) = kept {
            (finished.effects, finished.messages) = (effects, messages);
        }
        TakenIn::Wait(wait)
    }

    /// What is left of a call whatever it answered: lines for the log and monitors, keys that its client has read. Unless
    /// what it read `holds_now`, its client has to be told of what has changed since its snapshot.
    fn keep_traces(&mut self, id: JobId, request: &Request, finished: &mut Finished, holds_now: bool) {
        let (core, jobs, _) = self.parts();
        let Some(job) = jobs.calls.get(&id) else { return };
        let client = job.origin.client();
        core.running = RunningProcedure::new(request.name.clone(), request.database, client);
        core.running.lines = std::mem::take(&mut finished.lines);
        core.keep_lines();
        core.shown.append(std::mem::take(&mut finished.shown));
        core.server.statistics.procedure_calls += 1;
        core.server.statistics.background_calls += 1;
        if let (Some(client), Some(running), true) = (client, &job.running, job.is_tracked) {
            let snapshot = running.outside.snapshot;
            for (database, key) in &finished.reads.keys {
                let has_changed = !holds_now && core.keyspace.has_changed(snapshot, *database, key);
                core.note_read_of_snapshot(client, *database, key, has_changed);
            }
        }
    }

    /// Has a call that was in conflict with others tried again, or ends it when that has happened too often.
    fn try_again(&mut self, id: JobId, tries: u32, finished: &Finished) -> Next {
        self.core().server.statistics.background_conflicts += 1;
        self.suspend_transaction(None);
        self.close_snapshot_of(id);
        let max_tries = self.options().wasm_max_tries;
        if tries >= max_tries {
            let name = self.jobs.calls.get(&id).map(|job| job.request.name.clone()).unwrap_or_default();
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
        let longest_us =
            (FIRST_CONFLICT_PAUSE_US << tries.min(MAX_CONFLICT_DOUBLINGS)).min(MAX_CONFLICT_PAUSE_US);
        Next::Again(Duration::from_micros(fastrand::u64(longest_us / 2..=longest_us)))
    }
}
