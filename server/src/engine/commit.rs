//! The end of a transaction: what it did becomes visible to others.

use super::Engine;
use super::core::Core;
use super::limits::GROUP_BYTES;
use crate::keyspace::{Event, EventClasses};
use crate::options::AppendFsync;
use crate::state::Message;

impl Engine {
    /// Ends the transaction: journal, notifications, published messages.
    pub(super) fn finish_transaction(&mut self) {
        let core = self.core();
        let events = core.keyspace.commit();
        if !events.is_empty() {
            core.publish_notifications(&events);
        }
        if !core.messages.is_empty() {
            for message in std::mem::take(&mut core.messages) {
                core.server.pubsub.deliver(&message);
            }
        }
        if core.keyspace.journal().pending_bytes() >= GROUP_BYTES {
            self.flush_when_large();
        }
    }

    fn flush_when_large(&mut self) {
        let keep = self.options().appendfsync == AppendFsync::No
            && (self.core_ref().keyspace.journal().pending_bytes() as u64)
                < self.options().log_buffer_size / 2;
        if !keep {
            self.flush();
        }
    }

    /// Brings what follows from the options and triggers up to date; after every command that may change them.
    pub(super) fn update_listeners(&mut self) {
        let core = self.core();
        let notified = core.server.options.notify_keyspace_events;
        let published =
            notified.contains(EventClasses::KEYSPACE) || notified.contains(EventClasses::KEYEVENT);
        let mut classes = core.server.triggers.classes();
        if published {
            classes = classes.with(notified);
        }
        let wants_values = !core.server.triggers.is_idle();
        core.keyspace.journal_mut().listen(classes, wants_values);
        self.update_procedure_limits();
    }
}

impl Core {
    /// Publishes the events that `notify-keyspace-events` names.
    fn publish_notifications(&mut self, events: &[Event]) {
        let wanted = self.server.options.notify_keyspace_events;
        if self.server.pubsub.is_idle() {
            return;
        }
        for event in events.iter().filter(|event| wanted.contains(event.kind.class)) {
            let (name, database) = (event.kind.name, event.database);
            if wanted.contains(EventClasses::KEYSPACE) {
                let mut channel = format!("__keyspace@{database}__:").into_bytes();
                channel.extend_from_slice(&event.key);
                self.messages.push(Message { channel, payload: name.as_bytes().to_vec() });
            }
            if wanted.contains(EventClasses::KEYEVENT) {
                let channel = format!("__keyevent@{database}__:{name}").into_bytes();
                self.messages.push(Message { channel, payload: event.key.to_vec() });
            }
        }
    }
}
