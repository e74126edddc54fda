//! Commands that wait for a key to be written: letting them wait, and serving them.
//!
//! A waiting client's connection waits, nobody else does. Behind every transaction the awaited keys that it wrote are
//! looked at, in the order of writing: the commands that wait for such a key are run again in the order of waiting,
//! each as a transaction of its own, which may write awaited keys in its turn. So between a write and those that
//! waited for it nobody else comes, whoever wrote: a client, EXEC, a procedure, a trigger.

use std::rc::Rc;
use std::time::Instant;

use super::Engine;
use super::core::Core;
use super::dispatch::find;
use crate::command::{Block, Error, Outcome};
use crate::keyspace::{self, Key, Need};
use crate::protocol::Reply;
use crate::state::{ClientId, Session, Waiter};

/// What came of running a waiting command again.
enum Served {
    /// It is answered, or waits on.
    Done,
    /// It is to be run again when something has been loaded from disk; those behind it have to wait for that, too.
    Later,
}

impl Engine {
    /// Lets a client's command wait; gives the end of the wait.
    pub(super) fn block(&mut self, session: &Session, block: Block) -> Option<Instant> {
        let deadline = block.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let arguments = block.request.arguments();
        let keys = arguments[block.keys].iter().map(|key| (session.database, Key::new(key))).collect();
        let waiter = Waiter {
            keys,
            kind: block.kind,
            wakes_when_gone: block.wakes_when_gone,
            is_timed: deadline.is_some(),
            request: Rc::new(block.request),
        };
        let Core { keyspace, server, .. } = self.core();
        server.waiting.add(keyspace, session.id, waiter);
        deadline
    }

    /// Ends the wait of a client whose time is over. Of no effect when it has been answered.
    pub fn time_out(&mut self, client: ClientId) {
        let Core { keyspace, server, .. } = self.core();
        server.answer_waiting(keyspace, client, Reply::NullArray);
    }

    /// Runs the commands that wait for keys which have been written.
    pub(super) fn serve_waiting(&mut self) {
        while let Some(name) = self.core().keyspace.next_ready() {
            if matches!(self.serve_key(&name), Served::Later) {
                self.unserved.push(name);
            }
        }
    }

    /// Tries again to serve those who had to wait for something from disk, too.
    pub(super) fn resume_serving(&mut self) {
        if self.unserved.is_empty() {
            return;
        }
        for name in std::mem::take(&mut self.unserved) {
            self.core().keyspace.set_ready(name);
        }
        self.clock.restart();
        self.serve_waiting();
        self.request_flush();
    }

    /// Runs the commands that wait for a key, in the order of their coming, as long as it is there.
    fn serve_key(&mut self, name: &(u8, Key)) -> Served {
        let mut last = 0;
        while let Some((arrival, client)) = self.core().server.waiting.next(name, last) {
            last = arrival;
            let now_us = self.clock.unix_us();
            let Core { keyspace, server, .. } = self.core();
            keyspace.begin(now_us);
            let found = match keyspace.peek(name.0, &name.1) {
                Ok(entry) => entry.map(|entry| entry.value.kind()),
                Err(keyspace::Error::NotResident(need)) => return self.load_for(need),
                Err(keyspace::Error::WrongType) => None,
            };
            if found.is_none() && !server.waiting.matters_when_gone(name) {
                break;
            }
            let is_wanted = server
                .waiting
                .get(client)
                .is_some_and(|waiter| waiter.wakes_when_gone || found == Some(waiter.kind));
            if is_wanted && matches!(self.serve(client, &name.1), Served::Later) {
                return Served::Later;
            }
        }
        // A look may have found that the key's time has come.
        self.commit_transaction();
        Served::Done
    }

    /// Runs the command of one client that waits.
    fn serve(&mut self, client: ClientId, key: &Key) -> Served {
        let server = &mut self.core().server;
        let (Some(waiter), Some(handle)) = (server.waiting.get(client), server.clients.get_mut(client))
        else {
            return Served::Done;
        };
        let (request, mailbox) = (Rc::clone(&waiter.request), Rc::clone(&handle.mailbox));
        let Some(mut session) = handle.session.take() else { return Served::Done };
        let arguments = request.arguments();
        let mut served = Served::Done;
        // What waits was found when it came, and the table does not change.
        if let Ok(found) = find(&arguments) {
            session.woken_by = Some(key.clone());
            let result = self.perform(&mut session, Some(&mailbox), found.row, &arguments);
            session.woken_by = None;
            let reply = match result {
                Ok(Outcome::Reply(reply)) => Some(reply),
                Ok(_) => None,
                Err(Error::Reply(text)) => Some(Reply::Error(text)),
                Err(Error::NotResident(need)) => {
                    match self.persistence.take_unreadable(std::slice::from_ref(&need)) {
                        Some(reason) => Some(Reply::Error(super::dispatch::unreadable(&reason))),
                        None => {
                            served = self.load_for(need);
                            None
                        }
                    }
                }
            };
            if let Some(reply) = reply {
                self.account(&session, Some(found), &arguments, &reply);
                let Core { keyspace, server, .. } = self.core();
                server.answer_waiting(keyspace, client, reply);
            }
        }
        self.commit_transaction();
        if let Some(handle) = self.core().server.clients.get_mut(client) {
            handle.session = Some(session);
        }
        served
    }

    /// Has something loaded that serving needs.
    fn load_for(&mut self, need: Need) -> Served {
        let Self { core, persistence, .. } = self;
        if let Some(core) = core {
            core.keyspace.keep_pages();
            persistence.request(&core.keyspace, &[need]);
        }
        Served::Later
    }
}
