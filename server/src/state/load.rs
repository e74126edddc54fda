//! What one request has requested from disk and waits for.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;

use crate::keyspace::Need;

/// See the module's description. Shared by the request's session, the task that waits, and the code that loads, all on
/// one thread.
#[derive(Debug, Default)]
pub struct Load {
    /// How many needs are not answered yet.
    pending: Cell<usize>,
    /// A need that could not be read, and why.
    failure: RefCell<Option<(Need, String)>>,
    done: Notify,
}

impl Load {
    /// A load that is over when this many needs have been answered.
    #[must_use]
    pub fn new(needs: usize) -> Self {
        Self { pending: Cell::new(needs), ..Self::default() }
    }

    /// Notes that one of the needs has been loaded, or why it could not be.
    pub fn answer(&self, need: &Need, error: Option<&str>) {
        if let Some(error) = error {
            self.failure.replace(Some((need.clone(), error.to_owned())));
        }
        self.pending.set(self.pending.get().saturating_sub(1));
        if self.is_over() {
            self.done.notify_one();
        }
    }

    /// Whether all needs have been answered.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.pending.get() == 0
    }

    /// Waits until all needs have been answered. Only one task may wait.
    pub async fn over(&self) {
        while !self.is_over() {
            self.done.notified().await;
        }
    }

    /// Why something could not be read.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().as_ref().map(|(_, reason)| reason.clone())
    }

    /// Why this could not be read.
    #[must_use]
    pub fn failure_of(&self, need: &Need) -> Option<String> {
        let failure = self.failure.borrow();
        let failed = failure.as_ref().filter(|(of, _)| of == need);
        failed.map(|(_, reason)| reason.clone())
    }
}
