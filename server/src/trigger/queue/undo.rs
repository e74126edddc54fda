//! What a transaction does to the index of queues, and undoing it. The keyspace undoes the values in the system
//! database.

use std::rc::Rc;

use super::{Lane, Queue, Queues, Ticket};
use crate::types::stream::StreamId;

/// What a transaction has done to the index.
#[derive(Debug)]
pub(super) enum Change {
    Added { trigger: Rc<str>, lane: Lane, bytes: u64, is_indexed: bool },
    Replaced { trigger: Rc<str>, lane: Lane, old: StreamId, due_ms: u64, old_bytes: u64, bytes: u64 },
    Finished { ticket: Ticket, bytes: u64 },
    DeadLetters { trigger: Rc<str>, before: usize },
    Dropped(Box<Queue>),
}

impl Queues {
    /// A mark for [`Self::rollback`]: how many changes the current transaction has made.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.changes.len()
    }

    /// Undoes what the current transaction has done since a mark.
    pub fn rollback(&mut self, mark: usize) {
        while self.changes.len() > mark
            && let Some(change) = self.changes.pop()
        {
            self.undo(change);
        }
    }

    /// Ends the transaction; returns whether it has changed anything.
    pub fn commit(&mut self) -> bool {
        let has_changed = !self.changes.is_empty();
        self.changes.clear();
        has_changed
    }

    fn undo(&mut self, change: Change) {
        match change {
            Change::Added { trigger, lane, bytes, is_indexed } => {
                let Some(queue) = self.by_trigger.get_mut(&trigger) else { return };
                queue.len -= 1;
                if is_indexed {
                    queue.bytes -= bytes;
                    queue.index.undo_push(lane);
                }
            }
            Change::Replaced { trigger, lane, old, due_ms, old_bytes, bytes } => {
                let Some(queue) = self.by_trigger.get_mut(&trigger) else { return };
                queue.bytes = queue.bytes + old_bytes - bytes;
                queue.index.undo_replace_last(lane, old, due_ms);
            }
            Change::Finished { ticket, bytes } => {
                let Some(queue) = self.by_trigger.get_mut(&ticket.trigger) else { return };
                queue.len += 1;
                queue.bytes += bytes;
                queue.index.undo_finish(ticket.lane, ticket.id);
            }
            Change::DeadLetters { trigger, before } => {
                if let Some(queue) = self.by_trigger.get_mut(&trigger) {
                    queue.dead_letters = before;
                }
            }
            Change::Dropped(queue) => drop(self.by_trigger.insert(Rc::clone(&queue.name), *queue)),
        }
    }
}
