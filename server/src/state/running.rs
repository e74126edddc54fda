//! Calls of procedures in the background, as people see them: `FUNCTION STATS`, `FUNCTION KILL`, `CLIENT LIST`.

use std::sync::Arc;
use std::time::Instant;

use super::ClientId;
use crate::procedure::Control;

/// A call in the background.
#[derive(Clone, Debug)]
pub struct RunningCall {
    /// The procedure's name.
    pub name: String,
    /// The words of the command, shortened; of a trigger, what raised it.
    pub command: Vec<Vec<u8>>,
    /// The client that waits for it, if one does.
    pub client: Option<ClientId>,
    /// Since when.
    pub started: Instant,
    /// The try that runs, or was the last to run; 0 while it waits for a thread.
    pub tries: u32,
    /// To look at it, and to stop it.
    pub control: Arc<Control>,
}

impl RunningCall {
    /// For how long it has been there, in milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}
