//! Synchronous triggers: they run in the transaction that raised the event, in the order of the changes.
//!
//! What a trigger does raises further events, which join the end of the queue; depth, fuel and number are bounded.
//! A trigger that fails undoes the command that caused it, with one exception: a key that expired is gone whatever
//! its triggers say, so there only the trigger's own effects are undone.

use std::borrow::Cow;

use super::Engine;
use super::call::{Budget, FUEL, IN_TRIGGER, Invocation, Invoked};
use super::core::on_one_line;
use super::limits::MAX_CASCADE_RUNS;
use super::queueing::Admission;
use crate::command::{self, Call, Error};
use crate::keyspace::{self, Event, events};
use crate::state::Libraries;
use crate::trigger::{self, Definition, Triggers};
use crate::types::Value;

/// A point in a transaction to which the engine can return.
pub(super) struct Savepoint {
    keyspace: keyspace::Savepoint,
    messages: usize,
    queues: usize,
    /// How many events there were.
    pub events: usize,
    libraries: Libraries,
    triggers: Triggers,
}

impl Engine {
    /// Opens a savepoint around everything that belongs to a transaction.
    pub(super) fn open_savepoint(&mut self) -> Savepoint {
        let core = self.core();
        Savepoint {
            keyspace: core.keyspace.savepoint(),
            messages: core.messages.len(),
            queues: core.server.queues.mark(),
            events: core.keyspace.journal().events().len(),
            libraries: core.server.libraries.clone(),
            triggers: core.server.triggers.clone(),
        }
    }

    /// Keeps what was done since a savepoint.
    pub(super) fn keep(&mut self, savepoint: Savepoint) {
        self.core().keyspace.release(savepoint.keyspace);
    }

    /// Keeps what was done since a savepoint, or undoes it if that has failed.
    pub(super) fn close_savepoint<T>(
        &mut self,
        savepoint: Savepoint,
        done: command::Result<T>,
    ) -> command::Result<T> {
        match done {
            Ok(done) => {
                self.keep(savepoint);
                Ok(done)
            }
            Err(error) => {
                self.take_back(savepoint);
                Err(error)
            }
        }
    }

    /// Undoes all since a savepoint.
    pub(super) fn take_back(&mut self, savepoint: Savepoint) {
        let core = self.core();
        core.messages.truncate(savepoint.messages);
        core.keyspace.rollback(savepoint.keyspace);
        core.server.libraries = savepoint.libraries;
        core.server.triggers = savepoint.triggers;
        core.server.queues.rollback(savepoint.queues);
    }

    /// Runs something and the triggers of what it did, and queues its events for those that run later; undoes it all when
    /// any of this fails.
    pub(super) fn undoable<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> command::Result<T>,
    ) -> command::Result<T> {
        let savepoint = self.open_savepoint();
        let done = run(self).and_then(|done| {
            self.run_triggers(savepoint.events)?;
            self.queue_events(savepoint.events, Admission::Limited)?;
            Ok(done)
        });
        self.close_savepoint(savepoint, done)
    }

    /// Runs the triggers of the events raised since there were `from` of them.
    pub(super) fn run_triggers(&mut self, from: usize) -> command::Result<()> {
        if self.core().server.triggers.is_idle() {
            return Ok(());
        }
        let options = self.options();
        let mut cascade =
            Cascade { fuel: options.trigger_max_fuel, max_depth: options.trigger_max_depth, runs: 0 };
        self.run_cascade(from, 1, &mut cascade)
    }

    /// Runs the triggers of the events from `from` on, which are `depth` triggers deep, and of what those raise.
    fn run_cascade(&mut self, from: usize, depth: u32, cascade: &mut Cascade) -> command::Result<()> {
        /// The depth of an event whose triggers have run.
        const DONE: u32 = 0;
        let raised = |engine: &mut Self| engine.core().keyspace.journal().events().len() - from;
        let mut depths = vec![depth; raised(self)];
        let mut next = 0;
        while next < depths.len() {
            let (index, depth) = (from + next, std::mem::replace(&mut depths[next], DONE));
            next += 1;
            if depth == DONE {
                continue;
            }
            let core = self.core_ref();
            let fired = core.server.triggers.fired_by(&core.keyspace.journal().events()[index]);
            if fired.is_empty() {
                continue;
            }
            let event = core.keyspace.journal().events()[index].clone();
            for trigger in fired {
                if let Some(text) = cascade.refuse(depth) {
                    self.count_failure(&trigger.name, &event, &text);
                    return Err(failed(&trigger.name, &text));
                }
                if event.kind.class == events::EXPIRED.class {
                    self.fire_expired(&event, &trigger, depth, cascade)?;
                    depths.resize(raised(self), DONE);
                } else {
                    self.fire(&event, &trigger, cascade)?;
                    depths.resize(raised(self), depth + 1);
                }
            }
        }
        Ok(())
    }

    /// Runs a trigger; its failure is the command's.
    fn fire(&mut self, event: &Event, trigger: &Definition, cascade: &mut Cascade) -> command::Result<()> {
        match self.run_trigger(event, &trigger.function, cascade) {
            Ok(()) => {
                let server = &mut self.core().server;
                server.statistics.trigger_runs += 1;
                server.triggers.count(&trigger.name, None);
                Ok(())
            }
            Err(Error::Reply(text)) => {
                self.core().server.statistics.trigger_runs += 1;
                self.count_failure(&trigger.name, event, &text);
                Err(failed(&trigger.name, &text))
            }
            // It will run again.
            missing => missing,
        }
    }

    /// Runs a trigger on a key that expired, and all that follows from it; when that fails, it alone is undone.
    fn fire_expired(
        &mut self,
        event: &Event,
        trigger: &Definition,
        depth: u32,
        cascade: &mut Cascade,
    ) -> command::Result<()> {
        let savepoint = self.open_savepoint();
        let done = self
            .fire(event, trigger, cascade)
            .and_then(|()| self.run_cascade(savepoint.events, depth + 1, cascade));
        match self.close_savepoint(savepoint, done) {
            Err(Error::Reply(_)) => Ok(()),
            other => other,
        }
    }

    fn count_failure(&mut self, trigger: &str, event: &Event, text: &str) {
        let server = &mut self.core().server;
        server.triggers.count(trigger, Some(text));
        server.statistics.trigger_failures += 1;
        tracing::warn!(trigger, key = ?event.key, event = event.kind.name, "trigger failed: {}", on_one_line(text));
    }

    fn run_trigger(&mut self, event: &Event, function: &str, cascade: &mut Cascade) -> command::Result<()> {
        let server = &mut self.core().server;
        let call = call_of(&server.libraries, function)?;
        let inline_fuel = server.options.wasm_inline_fuel.min(server.options.wasm_fuel);
        let fuel = cascade.fuel.min(inline_fuel);
        let limit = if inline_fuel == server.options.wasm_fuel { FUEL } else { IN_TRIGGER };
        if fuel == 0 {
            return Err(OUT_OF_SHARED_FUEL);
        }
        let before = event.before.as_ref().and_then(bytes);
        let after = event.after.as_ref().and_then(bytes);
        let database = event.database.to_string();
        let values = (before.as_deref(), after.as_deref());
        let elements = event.elements.iter().map(|element| &**element);
        let arguments = trigger::arguments(event.kind.name, values, &database, elements);
        // Other numbers for each run, but the same when the transaction is run again.
        let keyspace = &self.core().keyspace;
        let raised = keyspace.journal().events().len() as u64;
        let random_seed = keyspace.now_us().rotate_left(32) ^ raised.rotate_left(24) ^ cascade.fuel;
        let invocation = Invocation {
            call: &call,
            database: event.database,
            caller: None,
            keys: &[&event.key],
            arguments: &arguments,
            budget: Budget { fuel, limit: Some(limit) },
            random_seed,
        };
        let Invoked { result, fuel_used, .. } = self.invoke(&invocation);
        let shared_fuel_is_less = cascade.fuel <= inline_fuel;
        cascade.fuel = cascade.fuel.saturating_sub(fuel_used);
        match result {
            Err(Error::Reply(text)) if shared_fuel_is_less && text.starts_with("WASMFUEL ") => {
                cascade.fuel = 0;
                Err(OUT_OF_SHARED_FUEL)
            }
            other => other.map(|_| ()),
        }
    }
}

/// The call of a trigger's function.
pub(super) fn call_of(libraries: &Libraries, function: &str) -> command::Result<Call> {
    let found = libraries.function(function.as_bytes());
    let (library, procedure) = found.ok_or(Error::FUNCTION_NOT_FOUND)?;
    Ok(Call {
        module: library.module.clone(),
        procedure,
        name: function.to_owned(),
        keys: 0..0,
        arguments: 0..0,
        read_only: false,
    })
}

const OUT_OF_SHARED_FUEL: Error =
    Error::text("WASMFUEL the triggers of one command used up their fuel (trigger-max-fuel)");

/// What the triggers of one command share.
struct Cascade {
    /// Fuel that is left.
    fuel: u64,
    max_depth: u32,
    /// Triggers run so far.
    runs: usize,
}

impl Cascade {
    /// Why no further trigger may run on an event that is `depth` triggers deep.
    fn refuse(&mut self, depth: u32) -> Option<String> {
        self.runs += 1;
        if depth > self.max_depth {
            Some("ERR the cascade is too deep (trigger-max-depth)".to_owned())
        } else if self.runs > MAX_CASCADE_RUNS {
            Some(format!("ERR the triggers of one command run more than {MAX_CASCADE_RUNS} times"))
        } else {
            None
        }
    }
}

/// A value as a trigger's procedure gets it. One with elements is not given: the procedure gets the elements that have
/// changed, and can read the rest.
fn bytes(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::String(string) => Some(string.to_bytes()),
        Value::List(_) | Value::Set(_) | Value::SortedSet(_) | Value::Hash(_) | Value::Stream(_) => None,
    }
}

/// The error of a command whose trigger failed: the code stays first, so that clients can match it.
fn failed(trigger: &str, text: &str) -> Error {
    let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
    format!("{code} trigger '{trigger}': {reason}").into()
}
