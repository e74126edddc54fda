//! Client-side caching: notes what clients read, and tells them when it changes.
//!
//! Clients are told when the transaction is committed. Reads and changes are processed in the order in which they
//! happened: a client that read a key after the change has the new value already.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::commit::Author;
use super::core::Core;
use super::limits::{INVALIDATION_BYTES, TRACKED_KEYS_REMOVED_AT_ONCE};
use crate::command::{Command, Flags};
use crate::keyspace::{Key, Touched};
use crate::protocol::{Reply, Version};
use crate::state::{ClientId, Mailbox, Server, Session};

/// The channel on which RESP2 clients get these messages.
const CHANNEL: &str = "__redis__:invalidate";

/// A key that a client read within a transaction.
pub(super) struct Read {
    client: ClientId,
    key: Key,
    /// How many keys the transaction had touched before.
    after_touched: usize,
}

/// What a message says has changed.
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
        INVALIDATION_BYTES + keys.iter().map(|key| key.len()).sum::<usize>()
    }
}

impl Core {
    /// After a command: shows it to monitors, and notes what it read.
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
        // A call of a procedure reads nothing itself; the procedure's own reads are noted one by one.
        if row.is(Flags::READONLY) && !row.calls_procedure() {
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

    /// Tells clients which keys a transaction has changed, if they have read these or follow their prefixes.
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
                // FLUSHALL empties one database after another; one message is enough.
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
            // The key has not changed, so NOLOOP, which hides the client's own changes, does not apply.
            for id in readers {
                self.tell(by, id, &Changed::Keys(std::slice::from_ref(&key)));
            }
        }
    }

    /// Removes keys from the table while it has more than the option permits.
    pub fn shrink_tracking_table(&mut self) {
        let max_keys = self.server.options.tracking_table_max_keys;
        self.server.tracking.shrink(max_keys, TRACKED_KEYS_REMOVED_AT_ONCE);
        self.invalidate(Author { client: None, cause: None });
    }

    /// Tells everybody that a whole database has changed, even the client that did it.
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

    /// Tells a client, or the client to which it redirects its messages.
    fn tell(&mut self, by: Author<'_>, id: ClientId, changed: &Changed<'_>) {
        let Some(tracker) = self.server.tracking.get(id) else { return };
        let redirect = tracker.redirect;
        let Some(receiver) = Receiver::find(&self.server, by, redirect.unwrap_or(id)) else {
            if let Some(gone) = redirect {
                self.tell_of_broken_redirection(by, id, gone);
            }
            return;
        };
        let name = if receiver.version == Version::Resp3 {
            vec![Reply::text("invalidate")]
        } else if redirect.is_some() && receiver.is_subscriber {
            vec![Reply::text("message"), Reply::text(CHANNEL)]
        } else {
            // In RESP2 only subscribers can get messages.
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
            let parts = vec![Reply::text("tracking-redir-broken"), gone.into()];
            own.mailbox.post(Reply::Push(parts), INVALIDATION_BYTES);
        }
    }
}

/// A client to which a message can be sent.
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
