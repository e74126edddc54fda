//! Calls of procedures in the background, as `FUNCTION STATS`, `FUNCTION KILL` and `CLIENT LIST` show them.

use std::sync::Arc;
use std::time::Instant;

use super::ClientId;
use crate::procedure::Control;

/// A call in the background.
#[derive(Clone, Debug)]
pub struct RunningCall {
    /// The procedure's name.
    pub name: String,
    /// The words of the command, shortened; for a trigger, the event that raised it.
    pub command: Vec<Vec<u8>>,
    /// The client that waits for it, if any.
    pub client: Option<ClientId>,
    /// When it began.
    pub started: Instant,
    /// The number of the current or last try; 0 while it waits for a thread.
    pub tries: u32,
    /// Observes it and stops it.
    pub control: Arc<Control>,
}

impl RunningCall {
    /// For how long it has been running or waiting, in milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}
