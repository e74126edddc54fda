//! EXEC: the queued commands as one transaction.

use std::rc::Rc;

use super::Engine;
use crate::command::{self, Error, Flags, Found, Group, Outcome};
use crate::protocol::Reply;
use crate::state::{Mailbox, Queued, Session, Transaction};

impl Engine {
    /// Runs a session's queued commands. A command that fails does not stop the others, as in Redis. A procedure or
    /// trigger that fails undoes only the command that it belongs to.
    pub(super) fn execute_queue(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
    ) -> command::Result<Reply> {
        let Some(mut transaction) = session.transaction.take() else {
            return Err(Error::text("ERR EXEC without MULTI"));
        };
        let keyspace = &self.core_ref().keyspace;
        let dirty = keyspace.is_dirty(session.id) || keyspace.watches_expired(session.id);
        if transaction.aborted || dirty {
            self.leave_transaction(session);
            return if transaction.aborted {
                Err(Error::text("EXECABORT Transaction discarded because of previous errors."))
            } else {
                Ok(Reply::NullArray)
            };
        }
        match self.run_queue(session, mailbox, &mut transaction) {
            Err(again) if again.runs_again() => {
                // EXEC will run again, with the whole queue.
                session.transaction = Some(transaction);
                Err(again)
            }
            done => {
                self.leave_transaction(session);
                done
            }
        }
    }

    pub(super) fn leave_transaction(&mut self, session: &mut Session) {
        session.watching = false;
        self.core().keyspace.unwatch(session.id);
    }

    fn run_queue(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
        transaction: &mut Transaction,
    ) -> command::Result<Reply> {
        let database = session.database;
        // A queued UNWATCH must do nothing: EXEC ends all watching anyway, and if it runs again, it must still check.
        let watching = std::mem::take(&mut session.watching);
        // Each procedure gets its own random numbers, and the same ones if EXEC runs again.
        let seed = *session.seed.get_or_insert_with(|| fastrand::u64(..));
        let savepoint = self.open_savepoint();
        let mut replies = Vec::with_capacity(transaction.queue.len());
        let mut missing = None;
        for index in 0..transaction.queue.len() {
            session.seed = Some(seed.wrapping_add(index as u64));
            match self.run_queued(session, mailbox, transaction, index) {
                Ok(reply) => replies.push(reply),
                Err(again) => {
                    missing = Some(again);
                    break;
                }
            }
        }
        session.seed = Some(seed);
        let Some(again) = missing else {
            self.keep(savepoint);
            return Ok(Reply::Array(replies));
        };
        session.database = database;
        session.watching = watching;
        let again = self.close_savepoint(savepoint, Err(again));
        for (index, reply) in replies.into_iter().enumerate().skip(transaction.attempted.len()) {
            let lasting = has_lasting_effect(command::at(transaction.queue[index].place));
            transaction.attempted.push(lasting.then_some(reply));
        }
        again
    }

    /// Runs one command of the queue. An error says why the whole queue has to run again.
    fn run_queued(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
        transaction: &Transaction,
        index: usize,
    ) -> command::Result<Reply> {
        let Queued { place, arguments } = &transaction.queue[index];
        let (found, arguments) = (command::at(*place), arguments.slices());
        let attempted = transaction.attempted.get(index);
        if let Some(Some(reply)) = attempted {
            self.show_to_observers(session, found, &arguments);
            return Ok(reply.clone());
        }
        let keys = found.row.key_places(&arguments).map(|place| arguments[place].to_vec());
        self.core_ref().keyspace.require(session.database, keys)?;
        let reply = match self.perform(session, Some(mailbox), found.row, &arguments, false) {
            Ok(Outcome::Reply(reply) | Outcome::Close(reply)) => reply,
            Ok(Outcome::Block(block)) => block.refused,
            Ok(_) => Reply::error("ERR Command not allowed inside a transaction"),
            Err(Error::Reply(text)) => Reply::Error(text),
            Err(again) => return Err(again),
        };
        // An attempt that was rolled back has counted it, but shown it to nobody.
        if attempted.is_none() {
            self.count(session, Some(found), &arguments, &reply);
        }
        self.show_to_observers(session, found, &arguments);
        Ok(reply)
    }
}

/// Whether a command affects clients, subscriptions, the cache of modules or the server, which taking back the transaction
/// does not undo.
fn has_lasting_effect(Found { row, parent, .. }: Found) -> bool {
    let is_outside = row.is(Flags::ADMIN)
        || parent.name == "wasm"
        || matches!(row.group, Group::Connection | Group::PubSub);
    is_outside && !row.is(Flags::WRITE) && !matches!(row.name, "select" | "publish")
}
