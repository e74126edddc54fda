//! What the server sends to a client on its own: published messages, the answer to a blocked command, and the order to
//! close.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::protocol::Reply;

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// After everything in the mailbox has been sent.
    AfterReplies,
    /// At once.
    Now,
}

/// See the module's description. Shared by the registry of clients and the connection's task, on one thread.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// Messages, each with an estimate of its encoded size in bytes.
    messages: RefCell<VecDeque<(Reply, usize)>>,
    /// The sum of these estimates.
    bytes: Cell<usize>,
    /// The answer to the command that waits.
    answer: RefCell<Option<Reply>>,
    closing: Cell<Option<Closing>>,
    /// Since when the soft limit has been exceeded.
    above_since: Cell<Option<Instant>>,
    arrived: Notify,
}

impl Mailbox {
    /// Adds a message of about `bytes` bytes.
    pub fn post(&self, message: Reply, bytes: usize) {
        self.messages.borrow_mut().push_back((message, bytes));
        self.bytes.set(self.bytes.get() + bytes);
        self.arrived.notify_one();
    }

    /// Takes the oldest message.
    #[must_use]
    pub fn take(&self) -> Option<Reply> {
        let (message, bytes) = self.messages.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - bytes);
        Some(message)
    }

    /// Leaves the answer to the command that waits.
    pub fn answer(&self, reply: Reply) {
        *self.answer.borrow_mut() = Some(reply);
        self.arrived.notify_one();
    }

    /// Whether the answer has come.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answer.borrow().is_some()
    }

    /// Takes the answer.
    #[must_use]
    pub fn take_answer(&self) -> Option<Reply> {
        self.answer.borrow_mut().take()
    }

    /// About how many bytes the waiting messages have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.borrow().len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.borrow().is_empty()
    }

    /// Whether more than `soft_bytes` have been waiting for longer than `soft_s` seconds. Notices only what it sees, so
    /// call it regularly.
    #[must_use]
    pub fn above_soft_limit(&self, soft_bytes: u64, soft_s: u32) -> bool {
        if soft_bytes == 0 || self.bytes.get() as u64 <= soft_bytes {
            self.above_since.set(None);
            return false;
        }
        let since = self.above_since.get().unwrap_or_else(Instant::now);
        self.above_since.set(Some(since));
        since.elapsed() > Duration::from_secs(soft_s.into())
    }

    /// Orders the connection to end.
    pub fn close(&self, closing: Closing) {
        self.closing.set(Some(closing));
        self.arrived.notify_one();
    }

    /// Whether and how the connection is to end.
    #[must_use]
    pub fn closing(&self) -> Option<Closing> {
        self.closing.get()
    }

    /// Waits for a message, an answer, or the order to end.
    pub async fn filled(&self) {
        while self.is_empty() && !self.is_answered() && self.closing().is_none() {
            self.arrived.notified().await;
        }
    }

    /// Waits until something has been posted since the last wait, or the connection is to end.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_messages_that_wait() {
        let mailbox = Mailbox::default();
        for bytes in [10, 20, 30] {
            mailbox.post(Reply::Null, bytes);
        }
        for left in [50, 30, 0] {
            assert_eq!(mailbox.take(), Some(Reply::Null));
            assert_eq!((mailbox.bytes(), mailbox.is_empty()), (left, left == 0));
        }
        assert_eq!(mailbox.take(), None);
    }
}
