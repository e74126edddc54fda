//! The end of a transaction: other clients learn what it did.

use super::Engine;
use super::core::Core;
use super::limits::GROUP_BYTES;
use crate::keyspace::{Event, EventClasses};
use crate::options::{AppendFsync, LogLevel};
use crate::state::{ClientId, PubSub, Session};

/// Whose transaction is ending.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    /// The client whose command it was.
    pub client: Option<&'a Session>,
    /// The client whose command caused this one and is still running. Like `client`'s, its session is lent out, so the
    /// registry does not have it.
    pub cause: Option<&'a Session>,
}

impl<'a> Author<'a> {
    /// The session of this client, if its command is running.
    pub fn running(self, id: ClientId) -> Option<&'a Session> {
        [self.client, self.cause].into_iter().flatten().find(|session| session.id == id)
    }
}

impl Engine {
    /// Ends the transaction, and serves clients that waited for keys it wrote. `by` is the client whose command it was.
    pub(super) fn finish_transaction(&mut self, by: Option<&Session>) {
        self.commit_transaction(Author { client: by, cause: None });
        self.serve_waiting(by);
    }

    /// Ends the transaction: its journal record, notifications, published messages, and messages to caching clients.
    pub(super) fn commit_transaction(&mut self, by: Author<'_>) {
        let core = self.core();
        let events = core.keyspace.commit();
        let has_queued = core.server.queues.commit();
        if core.server.is_observed() {
            core.send_shown();
            core.invalidate(by);
        }
        if !events.is_empty() || !core.messages.is_empty() {
            core.publish(&events);
        }
        drop(events);
        core.keyspace.free_garbage();
        if core.keyspace.journal().pending_bytes() >= GROUP_BYTES {
            self.flush_when_large();
        }
        if has_queued {
            self.persistence.signals().deliveries.notify_one();
        }
    }

    /// Closes a transaction that was rolled back and will run again. Until this is done the journal counts as open, and
    /// `take_group` takes only whole transactions.
    pub(super) fn suspend_transaction(&mut self, by: Option<&Session>) {
        self.core().keyspace.keep_used_pages();
        self.core().shown.clear();
        self.commit_transaction(Author { client: by, cause: None });
    }

    fn flush_when_large(&mut self) {
        let keep = self.options().appendfsync == AppendFsync::No
            && (self.core_ref().keyspace.journal().pending_bytes() as u64)
                < self.options().log_buffer_size / 2;
        if !keep {
            self.flush();
        }
    }

    /// Passes options and triggers on to all that work by them. Called after every command that may change either.
    pub(super) fn apply_settings(&mut self) {
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
        let server = &self.core_ref().server;
        let (triggers, limits) = (server.triggers.clone(), server.queue_limits());
        if self.deliveries.look_again(&triggers, limits) {
            self.persistence.signals().deliveries.notify_one();
        }
        self.update_procedure_limits();
        self.persistence.set_log_max_bytes(self.options().log_max_size);
        self.update_log_level();
    }

    /// Has a function called whenever the level of the server's log changes.
    pub fn on_log_level(&mut self, listener: impl Fn(LogLevel) + 'static) {
        self.log_level = (self.options().loglevel, Box::new(listener));
    }

    fn update_log_level(&mut self) {
        let level = self.options().loglevel;
        let (before, listener) = &mut self.log_level;
        if std::mem::replace(before, level) != level {
            listener(level);
        }
    }
}

impl Core {
    /// Sends the messages that the transaction published and its events that `notify-keyspace-events` selects, in the
    /// order in which they came about.
    fn publish(&mut self, events: &[Event]) {
        let mut messages = std::mem::take(&mut self.messages).into_iter().peekable();
        if self.server.pubsub.is_idle() {
            return;
        }
        let pubsub = &self.server.pubsub;
        for (index, event) in events.iter().enumerate() {
            while let Some(message) = messages.next_if(|message| message.after_events <= index) {
                pubsub.deliver(&message.channel, &message.payload);
            }
            notify(pubsub, self.server.options.notify_keyspace_events, event);
        }
        messages.for_each(|message| pubsub.deliver(&message.channel, &message.payload));
    }
}

/// Publishes an event on the channels of its key and of its name, if they are enabled.
fn notify(pubsub: &PubSub, wanted: EventClasses, event: &Event) {
    if !wanted.contains(event.kind.class) {
        return;
    }
    let (name, database) = (event.kind.name, event.database);
    if wanted.contains(EventClasses::KEYSPACE) {
        let mut channel = format!("__keyspace@{database}__:").into_bytes();
        channel.extend_from_slice(&event.key);
        pubsub.deliver(&channel, name.as_bytes());
    }
    if wanted.contains(EventClasses::KEYEVENT) {
        let channel = format!("__keyevent@{database}__:{name}").into_bytes();
        pubsub.deliver(&channel, &event.key);
    }
}
