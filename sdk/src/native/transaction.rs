//! Transactions of the test database: a procedure or command with the triggers that it fires, all or nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::any::Any;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::store::Change;
use super::{Ended, Values, glob};
use crate::{Db, Error, Event, Input, LogLevel, Reply, Result};

/// How many triggers may follow from one another.
const MAX_DEPTH: usize = 16;
/// How many deliveries to asynchronous triggers may follow from one command.
const MAX_DELIVERIES: usize = 10_000;
/// Longer values are not kept with the event, as on the server.
const MAX_QUEUED_VALUE_BYTES: usize = 16 << 10;

pub type InvokeProcedure = fn(&mut Db, &mut Input<'_>) -> Result<Reply>;
pub type InvokeTrigger = fn(&mut Db, &Event) -> Result<()>;

/// A trigger, read from its declaration.
#[derive(Clone, Debug)]
pub struct Installed {
    name: String,
    events: Vec<String>,
    pattern: String,
    database: Option<u32>,
    is_enabled: bool,
    is_asynchronous: bool,
    invoke: InvokeTrigger,
}

impl Installed {
    /// From `name [ASYNC|SYNC] ON event[,event...] KEYS pattern [DB n] CALL function [option ...]`.
    fn parse(declaration: &str, invoke: InvokeTrigger) -> Option<Self> {
        let mut words: Vec<&str> = declaration.split_whitespace().collect();
        let is_asynchronous = words.get(1) == Some(&"ASYNC");
        if is_asynchronous || words.get(1) == Some(&"SYNC") {
            words.remove(1);
        }
        let (name, events, pattern, database, options) = match words[..] {
            [name, "ON", events, "KEYS", pattern, "CALL", _, ref options @ ..] => {
                (name, events, pattern, None, options)
            }
            [name, "ON", events, "KEYS", pattern, "DB", number, "CALL", _, ref options @ ..] => {
                (name, events, pattern, Some(number.parse().ok()?), options)
            }
            _ => return None,
        };
        let is_enabled = !options.contains(&"DISABLED");
        let events = events.split(',').map(ToString::to_string).collect();
        Some(Self {
            name: name.into(),
            events,
            pattern: pattern.into(),
            database,
            is_enabled,
            is_asynchronous,
            invoke,
        })
    }

    fn matches(&self, change: &Change) -> bool {
        self.is_enabled
            && self.database.is_none_or(|number| number == 0)
            && self.events.iter().any(|event| event == change.event)
            && glob::matches(self.pattern.as_bytes(), &change.key)
    }
}

impl Db {
    pub(crate) fn install_by(&mut self, declaration: &str, invoke: InvokeTrigger) {
        let installed = Installed::parse(declaration, invoke);
        let installed = installed.unwrap_or_else(|| panic!("not a declaration of a trigger: {declaration}"));
        self.host.state.get_mut().triggers.push(installed);
    }

    pub(crate) fn call_by(
        &mut self,
        name: &'static str,
        usage: &'static str,
        invoke: InvokeProcedure,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Reply> {
        let values = [keys, args].concat();
        self.transaction(|db| invoke(db, &mut Input::new(name, usage, &values)))
    }

    /// Runs `body` and the triggers it fires; `Err` of any of them undoes all. Then the asynchronous ones run.
    pub(super) fn transaction(&mut self, body: impl FnOnce(&mut Self) -> Result<Reply>) -> Result<Reply> {
        let outcome = self.attempt(body);
        self.deliver();
        outcome
    }

    fn attempt(&mut self, body: impl FnOnce(&mut Self) -> Result<Reply>) -> Result<Reply> {
        let state = self.host.state.get_mut();
        state.store.forget_changes();
        let (saved, queued) = (state.store.clone(), state.queued.len());
        let outcome = self.guarded(body).and_then(|reply| self.run_triggers().map(|()| reply));
        if outcome.is_err() {
            let state = self.host.state.get_mut();
            state.store.undo(saved);
            state.queued.truncate(queued);
        }
        outcome
    }

    /// Tells asynchronous triggers what they are to be told, each time as a transaction of its own.
    ///
    /// # Panics
    /// When there is no end of it.
    fn deliver(&mut self) {
        let mut count = 0;
        while let Some((trigger, change)) = self.host.state.get_mut().queued.pop_front() {
            count += 1;
            assert!(count <= MAX_DELIVERIES, "asynchronous triggers fire each other without end");
            let kept = |value: Option<Vec<u8>>| value.filter(|value| value.len() <= MAX_QUEUED_VALUE_BYTES);
            let change = Change { before: kept(change.before), after: kept(change.after), ..change };
            let outcome = self.attempt(|db| (trigger.invoke)(db, &event(&change)).map(|()| Reply::Nil));
            if let Err(error) = outcome {
                let line = failed(&trigger.name, &error).to_string();
                self.host.state.get_mut().log.push((LogLevel::Warning, line));
            }
        }
    }

    pub(super) fn pass_time(&mut self, time_us: u64) {
        for key in self.host.state.get_mut().store.advance(time_us) {
            let store = &mut self.host.state.get_mut().store;
            store.forget_changes();
            store.remove("expired", &key);
            let saved = store.clone();
            if let Err(error) = self.run_triggers() {
                let state = self.host.state.get_mut();
                state.store.undo(saved);
                // The expiry itself stands.
                state.queued.retain(|(_, change)| change.depth == 0);
                state.log.push((LogLevel::Warning, error.to_string()));
            }
            self.deliver();
        }
    }

    fn run_triggers(&mut self) -> Result<()> {
        while let Some(change) = self.host.state.get_mut().store.take_change() {
            let state = self.host.state.get_mut();
            state.store.depth = change.depth + 1;
            let matching = state.triggers.iter().filter(|trigger| trigger.matches(&change));
            for trigger in matching.cloned().collect::<Vec<_>>() {
                if trigger.is_asynchronous {
                    self.host.state.get_mut().queued.push_back((trigger, change.clone()));
                    continue;
                }
                if change.depth >= MAX_DEPTH {
                    return Err(Error::new(format!(
                        "trigger {}: more than {MAX_DEPTH} in a row",
                        trigger.name
                    )));
                }
                let outcome = self.guarded(|db| (trigger.invoke)(db, &event(&change)));
                outcome.map_err(|error| failed(&trigger.name, &error))?;
            }
        }
        Ok(())
    }

    /// Runs code of a procedure, of which a panic or an abort is an error.
    fn guarded<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.host.state.get_mut().is_running = true;
        let outcome = catch_unwind(AssertUnwindSafe(|| body(self)));
        self.host.state.get_mut().is_running = false;
        outcome.unwrap_or_else(|payload| Err(error_of(payload)))
    }
}

fn event(change: &Change) -> Event {
    Event {
        name: change.event.into(),
        key: change.key.clone(),
        database: 0,
        values: Values {
            before: change.before.clone(),
            after: change.after.clone(),
            elements: change.elements.clone(),
        },
    }
}

/// The error of a command whose trigger failed, as the server words it: the code stays first.
fn failed(trigger: &str, error: &Error) -> Error {
    let reason = error.text().split_once(' ').map_or("", |(_, reason)| reason);
    Error::new(format!("{} trigger '{trigger}': {reason}", error.code()))
}

/// The error that a client would see. In a guest the place of a panic follows its message.
fn error_of(payload: Box<dyn Any + Send>) -> Error {
    let payload = match payload.downcast::<Ended>() {
        Ok(ended) => return ended.0,
        Err(payload) => payload,
    };
    let literal = payload.downcast_ref::<&str>().copied();
    let message = literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::new(format!("PANIC {}", message.unwrap_or_default()))
}
