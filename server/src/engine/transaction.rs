//! EXEC: the queued commands as one transaction.

use std::rc::Rc;

use super::Engine;
use crate::command::{self, Error, Outcome};
use crate::protocol::Reply;
use crate::state::{Mailbox, Session, Transaction};

impl Engine {
    /// Runs what a session has queued. A command that fails does not stop the others, as in Redis; a procedure or
    /// trigger that fails undoes its own command only.
    pub(super) fn execute_queue(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
    ) -> command::Result<Reply> {
        let Some(transaction) = session.transaction.take() else {
            return Err(Error::text("ERR EXEC without MULTI"));
        };
        let dirty = self.core().keyspace.is_dirty(session.id);
        if transaction.aborted || dirty {
            self.leave_transaction(session);
            return if transaction.aborted {
                Err(Error::text("EXECABORT Transaction discarded because of previous errors."))
            } else {
                Ok(Reply::NullArray)
            };
        }
        match self.run_queue(session, mailbox, &transaction) {
            Err(Error::NotResident(need)) => {
                // It will be run again from the start.
                session.transaction = Some(transaction);
                Err(Error::NotResident(need))
            }
            done => {
                self.leave_transaction(session);
                done
            }
        }
    }

    pub(super) fn leave_transaction(&mut self, session: &mut Session) {
        session.queued_bytes = 0;
        session.watching = false;
        self.core().keyspace.unwatch(session.id);
    }

    fn run_queue(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
        transaction: &Transaction,
    ) -> command::Result<Reply> {
        let before = (session.database, session.version, session.reply_mode);
        // Each procedure gets random numbers of its own, and the same ones when all is run again.
        let seed = *session.seed.get_or_insert_with(|| fastrand::u64(..));
        let run_all = |engine: &mut Self, session: &mut Session| {
            let mut replies = Vec::with_capacity(transaction.queue.len());
            for (index, queued) in transaction.queue.iter().enumerate() {
                session.seed = Some(seed.wrapping_add(index as u64));
                let arguments = queued.arguments();
                // What was queued was found then, and the table does not change.
                let Ok(found) = super::dispatch::find(&arguments) else { continue };
                let row = found.row;
                if let Some(need) = engine.needs_of(session.database, row, &arguments).into_iter().next() {
                    return Err(Error::NotResident(need));
                }
                let reply = match engine.perform(session, Some(mailbox), row, &arguments) {
                    Ok(Outcome::Reply(reply) | Outcome::Close(reply)) => reply,
                    Ok(Outcome::Block(block)) => block.refused,
                    Ok(_) => Reply::error("ERR Command not allowed inside a transaction"),
                    Err(Error::Reply(text)) => Reply::Error(text),
                    Err(error @ Error::NotResident(_)) => return Err(error),
                };
                engine.account(session, Some(found), &arguments, &reply);
                replies.push(reply);
            }
            Ok(Reply::Array(replies))
        };
        let savepoint = self.open();
        let done = run_all(self, session);
        session.seed = Some(seed);
        if done.is_ok() {
            self.core().keyspace.release(savepoint.keyspace);
        } else {
            (session.database, session.version, session.reply_mode) = before;
            self.take_back(savepoint);
        }
        done
    }
}
