//! Client-side caching: notes what clients read, and tells them when that changes.
//!
//! Clients are told when the transaction has been committed. What they read and what changed is taken in the order in
//! which it happened: a client that read a key after it was changed has its new value.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::commit::Author;
use super::core::Core;
use crate::command::{Command, Flags};
use crate::keyspace::{Key, Touched};
use crate::protocol::{Reply, Version};
use crate::state::{ClientId, Mailbox, Server, Session};

/// The channel on which a RESP2 client is told.
const CHANNEL: &str = "__redis__:invalidate";

/// About how many bytes a message takes beside its keys.
const MESSAGE_BYTES: usize = 40;

/// A key that a client read when its transaction had touched so many.
pub(super) struct Read {
    client: ClientId,
    key: Key,
    after_touched: usize,
}

/// Which keys have changed, as a client is told.
enum Changed<'a> {
    Keys(&'a [Key]),
    All,
}

impl Changed<'_> {
    fn reply(&self) -> Reply {
        match self {
            Self::Keys(keys) => Reply::list(*keys),
            Self::All => Reply::Null,
        }
    }

    fn bytes(&self) -> usize {
        let keys = if let Self::Keys(keys) = self { *keys } else { &[] };
        MESSAGE_BYTES + keys.iter().map(|key| key.len()).sum::<usize>()
    }
}

impl Core {
    /// Shows a command that has run to monitors, and notes what it read.
    pub fn observe(&mut self, session: &Session, row: &Command, arguments: &[&[u8]]) {
        let is_shown = !row.is(Flags::ADMIN) && !row.is(Flags::SKIP_MONITOR);
        if is_shown && !self.server.monitors.is_empty() {
            self.show(session, arguments);
        }
        if !self.server.tracking.is_idle() {
            self.note_reads(session.id, row, arguments);
        }
    }

    /// Notes the keys that a client's command has read.
    pub fn note_reads(&mut self, client: ClientId, row: &Command, arguments: &[&[u8]]) {
        // Of a procedure, what its commands read counts.
        if row.is(Flags::READONLY) && !row.is(Flags::NO_MANDATORY_KEYS) {
            for place in row.key_places(arguments) {
                self.note_read(client, arguments[place]);
            }
        }
    }

    /// Notes that a client has read a key.
    pub fn note_read(&mut self, client: ClientId, key: &[u8]) {
        if self.server.tracking.wants_reads(client) {
            self.note_wanted_read(client, key);
        }
    }

    /// Notes that a client has read a key in a snapshot. If the key has changed since, the client is told so at once.
    pub fn note_read_of_snapshot(&mut self, client: ClientId, database: u8, key: &Key, has_changed: bool) {
        if self.server.tracking.get(client).is_none() {
            return;
        }
        self.note_wanted_read(client, key);
        if has_changed {
            self.keyspace.note_touched(database, key);
        }
    }

    fn note_wanted_read(&mut self, client: ClientId, key: &[u8]) {
        match self.keyspace.touched_len() {
            0 => self.remember(client, key),
            after_touched => self.reads.push(Read { client, key: Key::new(key), after_touched }),
        }
    }

    fn remember(&mut self, client: ClientId, key: &[u8]) {
        let max_keys = self.server.options.tracking_table_max_keys;
        self.server.tracking.remember(client, key, max_keys);
    }

    /// Tells clients what a transaction has changed that they have read, or that their prefixes name.
    pub fn invalidate(&mut self, by: Author<'_>) {
        let touched = self.keyspace.take_touched();
        let mut reads = std::mem::take(&mut self.reads).into_iter().peekable();
        let mut broadcasts: BTreeMap<Vec<u8>, BTreeSet<Key>> = BTreeMap::new();
        for (index, now) in touched.iter().enumerate() {
            while let Some(read) = reads.next_if(|read| read.after_touched <= index) {
                self.remember(read.client, &read.key);
            }
            match now {
                Touched::Key(_, key) => {
                    let readers = self.server.tracking.forget(key);
                    self.tell_all(by, &readers, &Changed::Keys(std::slice::from_ref(key)));
                    for prefix in self.server.tracking.prefixes_of(key) {
                        broadcasts.entry(prefix.to_vec()).or_default().insert(key.clone());
                    }
                }
                // FLUSHALL empties one database after the other; once is enough.
                Touched::All if touched.get(index + 1) == Some(&Touched::All) => {}
                Touched::All => self.invalidate_all(by),
            }
        }
        reads.for_each(|read| self.remember(read.client, &read.key));
        for (prefix, keys) in broadcasts {
            let keys: Vec<Key> = keys.into_iter().collect();
            let clients = self.server.tracking.clients_of_prefix(&prefix);
            self.tell_all(by, &clients, &Changed::Keys(&keys));
        }
        for (key, readers) in self.server.tracking.take_evicted() {
            // It has not changed, so it is no change of the client's own.
            for id in readers {
                self.tell(by, id, &Changed::Keys(std::slice::from_ref(&key)));
            }
        }
    }

    /// Lets keys leave the table that are more than it may hold.
    pub fn shrink_tracking_table(&mut self) {
        /// Keys that leave in one go.
        const AT_ONCE: usize = 10_000;
        let max_keys = self.server.options.tracking_table_max_keys;
        self.server.tracking.shrink(max_keys, AT_ONCE);
        self.invalidate(Author { client: None, cause: None });
    }

    /// A whole database has changed, which is told to everybody, own change or not.
    fn invalidate_all(&mut self, by: Author<'_>) {
        self.server.tracking.forget_all();
        let clients: Vec<ClientId> = self.server.tracking.clients().collect();
        for id in clients {
            self.tell(by, id, &Changed::All);
        }
    }

    fn tell_all(&mut self, by: Author<'_>, clients: &[ClientId], changed: &Changed<'_>) {
        let own = by.client.map(|session| session.id);
        for id in clients {
            let is_own = own == Some(*id);
            if !(is_own && self.server.tracking.get(*id).is_some_and(|tracker| tracker.no_loop)) {
                self.tell(by, *id, changed);
            }
        }
    }

    /// Tells a client, or the one to which it redirects.
    fn tell(&mut self, by: Author<'_>, id: ClientId, changed: &Changed<'_>) {
        let Some(tracker) = self.server.tracking.get(id) else { return };
        let redirect = tracker.redirect;
        let Some(receiver) = Receiver::find(&self.server, by, redirect.unwrap_or(id)) else {
            return redirect.into_iter().for_each(|gone| self.tell_of_broken_redirection(by, id, gone));
        };
        let name = if receiver.version == Version::Resp3 {
            vec![Reply::text("invalidate")]
        } else if redirect.is_some() && receiver.is_subscriber {
            vec![Reply::text("message"), Reply::text(CHANNEL)]
        } else {
            // RESP2 has no way to tell a client what it did not ask for.
            return;
        };
        let parts = name.into_iter().chain([changed.reply()]).collect();
        receiver.mailbox.post(Reply::Push(parts), changed.bytes());
    }

    fn tell_of_broken_redirection(&mut self, by: Author<'_>, id: ClientId, gone: ClientId) {
        if let Some(tracker) = self.server.tracking.get_mut(id) {
            tracker.is_broken = true;
        }
        if let Some(own) = Receiver::find(&self.server, by, id)
            && own.version == Version::Resp3
        {
            let parts = vec![Reply::text("tracking-redir-broken"), Reply::Integer(gone as i64)];
            own.mailbox.post(Reply::Push(parts), MESSAGE_BYTES);
        }
    }
}

/// A client that can be told something.
struct Receiver {
    mailbox: Rc<Mailbox>,
    version: Version,
    is_subscriber: bool,
}

impl Receiver {
    fn find(server: &Server, by: Author<'_>, id: ClientId) -> Option<Self> {
        let handle = server.clients.get(id)?;
        let session = handle.session.as_deref().or(by.running(id))?;
        let mailbox = Rc::clone(&handle.mailbox);
        Some(Self { mailbox, version: session.version, is_subscriber: session.is_subscriber() })
    }
}
