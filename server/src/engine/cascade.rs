//! Synchronous triggers: they run in the transaction that raised the event, in the order of the changes.
//!
//! What a trigger does raises further events, which join the end of the queue; depth, fuel and number are bounded.
//! A trigger that fails undoes the command that caused it, with one exception: a key that expired is gone whatever
//! its triggers say, so there only the trigger's own effects are undone.

use std::borrow::Cow;

use super::Engine;
use super::call::Invocation;
use super::limits::MAX_CASCADE_EVENTS;
use crate::command::{self, Call, Error};
use crate::keyspace::{self, Event, events};
use crate::types::Value;

/// A point in a transaction to which the engine can return.
pub(super) struct Savepoint {
    pub keyspace: keyspace::Savepoint,
    messages: usize,
    events: usize,
    definitions: u64,
}

impl Engine {
    /// Opens a savepoint around everything that belongs to a transaction.
    pub(super) fn open(&mut self) -> Savepoint {
        let core = self.core();
        Savepoint {
            keyspace: core.keyspace.savepoint(),
            messages: core.messages.len(),
            events: core.keyspace.journal().events().len(),
            definitions: core.keyspace.definition_changes(),
        }
    }

    /// Undoes all since a savepoint.
    pub(super) fn take_back(&mut self, savepoint: Savepoint) {
        let core = self.core();
        core.messages.truncate(savepoint.messages);
        core.keyspace.rollback(savepoint.keyspace);
        if core.keyspace.definition_changes() != savepoint.definitions {
            super::start::load_definitions(core);
        }
    }

    /// Runs something and the triggers of what it did, and undoes it all when either fails.
    pub(super) fn undoable<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> command::Result<T>,
    ) -> command::Result<T> {
        let savepoint = self.open();
        let done = run(self).and_then(|done| self.run_triggers(savepoint.events).map(|()| done));
        match done {
            Ok(_) => self.core().keyspace.release(savepoint.keyspace),
            Err(_) => self.take_back(savepoint),
        }
        done
    }

    /// Runs the triggers of the events raised since there were `from` of them.
    pub(super) fn run_triggers(&mut self, from: usize) -> command::Result<()> {
        if self.core().server.triggers.is_idle() {
            return Ok(());
        }
        let raised = self.core().keyspace.journal().events().len() - from;
        let mut cascade = Cascade { depths: vec![1; raised], fuel: self.options().trigger_max_fuel };
        let max_depth = self.options().trigger_max_depth;
        let mut next = from;
        while let Some(event) = self.core().keyspace.journal().events().get(next).cloned() {
            let depth = cascade.depths[next - from];
            for (trigger, function) in self.core().server.triggers.fired_by(&event) {
                if depth > max_depth || next - from >= MAX_CASCADE_EVENTS {
                    return Err(failed(&trigger, "ERR the cascade is too deep (trigger-max-depth)"));
                }
                self.fire(&event, &trigger, &function, &mut cascade)?;
            }
            next += 1;
            let raised = self.core().keyspace.journal().events().len() - from;
            cascade.depths.resize(raised, depth + 1);
        }
        Ok(())
    }

    fn fire(
        &mut self,
        event: &Event,
        trigger: &str,
        function: &str,
        cascade: &mut Cascade,
    ) -> command::Result<()> {
        self.core().server.statistics.trigger_runs += 1;
        let expired = event.kind.class == events::EXPIRED.class;
        let savepoint = expired.then(|| self.open());
        let done = self.run_trigger(event, function, cascade);
        let failure = match &done {
            Err(Error::Reply(text)) => Some(text.to_string()),
            _ => None,
        };
        let core = self.core();
        core.server.triggers.count(trigger, failure.as_deref());
        if let Some(text) = &failure {
            core.server.statistics.trigger_failures += 1;
            tracing::warn!(trigger, key = ?event.key, event = event.kind.name, "trigger failed: {text}");
        }
        let Some(savepoint) = savepoint else {
            return match done {
                Err(Error::Reply(text)) => Err(failed(trigger, &text)),
                other => other,
            };
        };
        match done {
            Ok(()) => core.keyspace.release(savepoint.keyspace),
            Err(_) => self.take_back(savepoint),
        }
        match done {
            Err(Error::Reply(_)) => Ok(()),
            other => other,
        }
    }

    fn run_trigger(&mut self, event: &Event, function: &str, cascade: &mut Cascade) -> command::Result<()> {
        let server = &self.core().server;
        let Some((library, procedure)) = server.libraries.function(function.as_bytes()) else {
            return Err(Error::text("ERR Function not found"));
        };
        let call = Call {
            module: library.module.clone(),
            procedure,
            name: function.to_owned(),
            keys: 0..0,
            arguments: 0..0,
            read_only: false,
        };
        let fuel = cascade.fuel.min(server.options.wasm_fuel);
        if fuel == 0 {
            return Err(Error::text(
                "WASMFUEL the triggers of one command used up their fuel (trigger-max-fuel)",
            ));
        }
        let before = event.before.as_ref().map(bytes);
        let after = event.after.as_ref().map(bytes);
        let database = event.database.to_string();
        let arguments = [
            Some(event.kind.name.as_bytes()),
            before.as_deref(),
            after.as_deref(),
            Some(database.as_bytes()),
        ];
        let random_seed = self.core().keyspace.now_us().rotate_left(32) ^ cascade.fuel;
        let invocation = Invocation {
            call: &call,
            database: event.database,
            keys: &[&event.key],
            arguments: &arguments,
            fuel,
            random_seed,
        };
        let (result, fuel_used) = self.invoke(&invocation);
        cascade.fuel = cascade.fuel.saturating_sub(fuel_used);
        result.map(|_| ())
    }
}

/// What is left for the triggers of one command.
struct Cascade {
    /// How many triggers deep each event is, from the first one of the command on.
    depths: Vec<u32>,
    fuel: u64,
}

/// A value as a trigger's procedure gets it.
fn bytes(value: &Value) -> Cow<'_, [u8]> {
    match value {
        Value::String(string) => string.to_bytes(),
    }
}

/// The error of a command whose trigger failed: the code stays first, so that clients can match it.
fn failed(trigger: &str, text: &str) -> Error {
    let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
    format!("{code} trigger '{trigger}': {reason}").into()
}
