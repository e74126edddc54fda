//! Queueing the events of asynchronous triggers, in the transaction that raised them; and what happens when a queue is
//! full. `delivery` makes the deliveries.

use super::Engine;
use super::core::Core;
use super::wait::Wait;
use crate::command::{self, Error};
use crate::keyspace::{Event, EventKind, events};
use crate::protocol::ErrorReply;
use crate::trigger::queue::{AddError, Entry, Limits, Shortage};
use crate::trigger::{Asynchronous, Definition, Triggers, WhenFull};

/// Whether an event may be refused a place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As the trigger's options say; but an expiry cannot be refused.
    Limited,
    /// It may not.
    Free,
}

impl Engine {
    /// Queues the events raised since there were `from` of them for the asynchronous triggers that wait for them.
    pub(super) fn queue_events(&mut self, from: usize, admission: Admission) -> command::Result<()> {
        if !self.core_ref().server.triggers.has_asynchronous() {
            return Ok(());
        }
        let core = self.core();
        let (triggers, limits) = (core.server.triggers.clone(), core.server.queue_limits());
        for index in from..core.keyspace.journal().events().len() {
            let is_free =
                admission == Admission::Free || is_of_expiry(core.keyspace.journal().events(), index);
            core.queue_event(index, &triggers, limits, is_free)?;
        }
        Ok(())
    }

    /// What a transaction that was undone for want of room in a queue waits for. An error says why it would wait in vain:
    /// it would be undone again at once, because it was itself that took the room, or had it looked for.
    pub(super) fn wait_for_room(&self, shortage: Shortage) -> Result<Wait, ErrorReply> {
        if let Some(text) = self.core_ref().write_failure() {
            return Err(text.into());
        }
        if self.is_room_for(&shortage) {
            return Err(shortage.to_string().into());
        }
        Ok(Wait::Room(shortage))
    }

    /// Whether a queue has room, or need not have any more, so that who waits for that can go on.
    pub(super) fn is_room_for(&self, shortage: &Shortage) -> bool {
        let server = &self.core_ref().server;
        let definition = server.triggers.get(&shortage.trigger).map(|trigger| &trigger.definition);
        let options = definition.filter(|definition| definition.enabled);
        let options = options.and_then(|definition| definition.asynchronous.as_ref());
        let waits = options.is_some_and(|options| options.when_full == WhenFull::Delay);
        let limits = server.queue_limits();
        !waits || shortage.is_hopeless(limits) || server.queues.has_room(shortage, limits)
    }
}

impl Core {
    /// Queues one event for all triggers that wait for it.
    fn queue_event(
        &mut self,
        index: usize,
        triggers: &Triggers,
        limits: Limits,
        is_free: bool,
    ) -> command::Result<()> {
        let mut entry = None;
        for trigger in triggers.iter() {
            let event = &self.keyspace.journal().events()[index];
            let definition = &trigger.definition;
            let Some(options) = definition.asynchronous.as_ref().filter(|_| definition.matches(event)) else {
                continue;
            };
            let entry = entry.get_or_insert_with(|| Entry::of_event(event)).clone();
            let own_limits = (!is_free).then_some(limits);
            let queues = &mut self.server.queues;
            match queues.add(&mut self.keyspace, &definition.name, options, entry, own_limits) {
                Ok(()) => {}
                Err(AddError::Keyspace(error)) => return Err(error.into()),
                Err(AddError::Full(mut shortage)) => {
                    let rest = &self.keyspace.journal().events()[index + 1..];
                    add_rest(&mut shortage, definition, options, rest);
                    let waits = options.when_full == WhenFull::Delay && !shortage.is_hopeless(limits);
                    let error = if waits { Error::QueueFull(shortage) } else { Error::queue_full(&shortage) };
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Adds what the rest of the events needs, so that who waits for room does not wait for too little. Where only the latest
/// state of a key matters that is not known.
fn add_rest(shortage: &mut Shortage, definition: &Definition, options: &Asynchronous, rest: &[Event]) {
    if options.coalesce {
        return;
    }
    for event in rest.iter().filter(|event| definition.matches(event)) {
        shortage.entries += 1;
        shortage.bytes += Entry::of_event(event).bytes();
    }
}

/// Whether an event is a part of an expiry, which cannot be refused: the key or the fields are gone.
fn is_of_expiry(events: &[Event], index: usize) -> bool {
    let event = &events[index];
    let is = |event: &Event, kind: EventKind| event.kind.name == kind.name;
    // The last field that expires takes its key with it.
    let before = index.checked_sub(1).map(|before| &events[before]);
    let is_end_of_hash = is(event, events::DEL)
        && before.is_some_and(|before| is(before, events::HEXPIRED) && before.key == event.key);
    is(event, events::EXPIRED) || is(event, events::HEXPIRED) || is_end_of_hash
}
