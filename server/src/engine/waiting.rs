//! Commands that wait for a key to be written: letting them wait, and serving them.
//!
//! Only the waiting client's own connection waits. After every transaction the engine takes the awaited keys that it
//! wrote, in the order of writing, and runs the commands that wait for them again, those that have waited longest
//! first. Each is a transaction of its own, which may write awaited keys in turn. So no other command runs between a
//! write and the commands that waited for it, whether a client, EXEC, a procedure, or a trigger wrote.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Instant;

use super::Engine;
use super::commit::Author;
use super::core::Core;
use super::dispatch::unreadable;
use crate::command::{self, Block, Error, Outcome};
use crate::keyspace::{self, Key, Need};
use crate::protocol::Reply;
use crate::state::{ClientId, Load, Session, Waiter};

/// Why waiting clients cannot be served now, if they cannot.
type Missing = Option<Lack>;

/// What has to come first; then serving continues with the client that lacked it.
enum Lack {
    Load(Need),
    Room,
}

/// Keys that were written although their waiting clients cannot be served yet. Each is there once, in the order of
/// writing, with what the clients lack.
#[derive(Debug, Default)]
pub(super) struct Postponed<Lacking> {
    entries: Vec<((u8, Key), Lacking)>,
    names: HashSet<(u8, Key)>,
}

impl<Lacking> Postponed<Lacking> {
    fn contains(&self, name: &(u8, Key)) -> bool {
        self.names.contains(name)
    }

    fn add(&mut self, name: (u8, Key), lacking: Lacking) {
        if self.names.insert(name.clone()) {
            self.entries.push((name, lacking));
        }
    }

    fn take_all(&mut self) -> Vec<((u8, Key), Lacking)> {
        self.names.clear();
        std::mem::take(&mut self.entries)
    }

    /// Takes the keys whose clients no longer lack anything.
    fn take_if(&mut self, is_over: impl Fn(&Lacking) -> bool) -> Vec<((u8, Key), Lacking)> {
        let taken: Vec<_> = self.entries.extract_if(.., |(_, lacking)| is_over(lacking)).collect();
        for (name, _) in &taken {
            self.names.remove(name);
        }
        taken
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Engine {
    /// Lets a client's command wait. Returns when the wait ends at the latest.
    pub(super) fn block(&mut self, session: &Session, block: Block) -> Option<Instant> {
        let deadline = block.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let arguments = block.request.slices();
        let keys = arguments[block.keys].iter().map(|key| (session.database, Key::new(key))).collect();
        let waiter = Waiter {
            keys,
            kind: block.kind,
            wakes_when_gone: block.wakes_when_gone,
            is_timed: deadline.is_some(),
            late: block.late,
            request: Rc::new(block.request),
        };
        let Core { keyspace, server, .. } = self.core();
        server.waiting.add(keyspace, session.id, waiter);
        deadline
    }

    /// Ends a client's wait because its time is over. Does nothing if the client has been answered already.
    pub fn time_out(&mut self, client: ClientId) {
        let Core { keyspace, server, .. } = self.core();
        server.end_waiting(keyspace, client);
    }

    /// Runs the commands that wait for keys that were just written. `cause` is the client whose command wrote them.
    pub(super) fn serve_waiting(&mut self, cause: Option<&Session>) {
        while let Some(name) = self.core().keyspace.next_ready() {
            self.serve_or_load(name, None, cause);
        }
    }

    /// Serves the clients that needed something from disk, if it has been loaded. Does nothing during a pause, because
    /// serving changes keys; when the pause ends, this is called again.
    pub(super) fn resume_serving(&mut self) {
        if self.paused().is_some() {
            return;
        }
        let loaded = self.unserved.take_if(|load| load.is_over());
        if loaded.is_empty() {
            return;
        }
        self.clock.restart();
        for (name, load) in loaded {
            self.serve_or_load(name, Some(&load), None);
        }
        self.serve_waiting(None);
        self.request_flush();
    }

    fn serve_or_load(&mut self, name: (u8, Key), loaded: Option<&Load>, cause: Option<&Session>) {
        match self.serve_key(&name, loaded, cause) {
            None => {}
            // There will be another try when the load that was requested earlier is over.
            Some(Lack::Load(_)) if self.unserved.contains(&name) => {}
            Some(Lack::Load(need)) => {
                let load = self.load(&[need]);
                self.unserved.add(name, load);
            }
            Some(Lack::Room) => self.stalled.add(name, ()),
        }
    }

    /// Tries again to serve the clients for which a trigger's queue had no room.
    pub(super) fn resume_stalled(&mut self) {
        let stalled = self.stalled.take_all();
        if stalled.is_empty() {
            return;
        }
        for (name, ()) in stalled {
            self.serve_or_load(name, None, None);
        }
        self.serve_waiting(None);
        self.request_flush();
    }

    /// Runs the commands that wait for a key in the order of their arrival, as long as the key is there. `loaded` is
    /// what was loaded for them.
    fn serve_key(&mut self, name: &(u8, Key), loaded: Option<&Load>, cause: Option<&Session>) -> Missing {
        let mut last = 0;
        while let Some((arrival, client)) = self.core().server.waiting.next(name, last) {
            last = arrival;
            let now_us = self.clock.unix_us();
            let Core { keyspace, server, .. } = self.core();
            keyspace.begin(now_us);
            // Not a look-up that removes what has expired, for which triggers may wait: the timer does that.
            let found = match keyspace.kind_of(name.0, &name.1) {
                Ok(kind) => kind,
                Err(keyspace::Error::NotResident(need)) => {
                    let is_unreadable = loaded.is_some_and(|load| load.failure_of(&need).is_some());
                    return (!is_unreadable).then_some(Lack::Load(need));
                }
                Err(keyspace::Error::WrongType) => None,
            };
            if found.is_none() && !server.waiting.matters_when_gone(name) {
                break;
            }
            let waiter = server.waiting.get(client);
            if waiter.is_some_and(|waiter| waiter.wakes_when_gone || found == Some(waiter.kind))
                && let Some(lack) = self.serve(client, &name.1, loaded, cause)
            {
                return Some(lack);
            }
        }
        None
    }

    /// Runs one waiting client's command.
    fn serve(
        &mut self,
        client: ClientId,
        key: &Key,
        loaded: Option<&Load>,
        cause: Option<&Session>,
    ) -> Missing {
        let server = &mut self.core().server;
        let (waiter, handle) = (server.waiting.get(client)?, server.clients.get_mut(client)?);
        let (request, mailbox) = (Rc::clone(&waiter.request), Rc::clone(&handle.mailbox));
        let arguments = request.slices();
        let row = command::find(&arguments).ok()?.row;
        let mut session = handle.session.take()?;
        session.woken_by = Some(key.clone());
        let result = self.perform(&mut session, Some(&mailbox), row, &arguments, false);
        session.woken_by = None;
        let mut missing = None;
        let reply = match result {
            Ok(Outcome::Reply(reply)) => Some(reply),
            Ok(_) => None,
            Err(Error::Reply(text)) => Some(Reply::Error(text)),
            Err(Error::NotResident(need)) => {
                let failure = loaded.and_then(|load| load.failure_of(&need));
                missing = failure.is_none().then_some(Lack::Load(need));
                failure.map(|reason| Reply::Error(unreadable(&reason)))
            }
            Err(Error::QueueFull(_)) => {
                missing = Some(Lack::Room);
                None
            }
            Err(Error::NotCompiled(_)) => unreachable!("no command that uploads a module waits for keys"),
        };
        let Core { keyspace, server, .. } = self.core();
        if missing.is_some() {
            keyspace.keep_used_pages();
        }
        if let Some(reply) = reply {
            if let Reply::Error(text) = &reply {
                server.statistics.count_error(text);
            }
            server.answer_waiting(keyspace, client, reply);
        }
        self.commit_transaction(Author { client: Some(&session), cause });
        // The time that this took must not count as the next command's.
        self.clock.now = Instant::now();
        if let Some(handle) = self.core().server.clients.get_mut(client) {
            handle.session = Some(session);
        }
        missing
    }
}
