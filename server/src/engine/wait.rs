//! What requests and tasks wait for, and how they learn that the wait is over.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Engine, Shared};
use crate::state::{Compilation, Load};
use crate::trigger::queue::Shortage;

/// What tasks wait on. A task that is woken looks at the engine again.
#[derive(Debug, Default)]
pub struct Signals {
    /// A group became durable, or it is certain that it never will.
    pub durable: Notify,
    /// The log has room again.
    pub writable: Notify,
    /// A group must be written at once.
    pub flush: Notify,
    /// A pause has begun.
    pub paused: Notify,
    /// The pause is over.
    pub unpaused: Notify,
    /// A call in the background no longer holds any keys.
    pub released: Notify,
    /// The gate has a verdict on an upload.
    pub compiled: Notify,
    /// A worker got a task, which may soon be done.
    pub task: Notify,
    /// Expired keys have been loaded, or there are known to be more on disk.
    pub expiry: Notify,
    /// There may be something to deliver.
    pub deliveries: Notify,
    /// The queue of a trigger may have room again, or the disk fails.
    pub room: Notify,
}

/// Why a request has to wait.
#[derive(Clone, Debug)]
pub enum Wait {
    /// For something to be loaded.
    Loaded(Rc<Load>),
    /// For room in the log.
    Writable,
    /// For the end of a pause.
    Unpaused,
    /// For the end of a call in the background that holds keys.
    Released,
    /// For the gate's verdicts on uploads.
    Compiled(Vec<Arc<Compilation>>),
    /// For room in the queue of a trigger.
    Room(Shortage),
}

/// Waits until a wait is over.
pub async fn over(engine: &Shared, wait: &Wait) {
    let signals = engine.borrow().signals();
    let signal = match wait {
        Wait::Loaded(load) => return load.over().await,
        Wait::Writable => &signals.writable,
        Wait::Unpaused => &signals.unpaused,
        Wait::Released => &signals.released,
        Wait::Compiled(_) => &signals.compiled,
        Wait::Room(_) => &signals.room,
    };
    while !engine.borrow().is_over(wait) {
        signal.notified().await;
    }
}

impl Engine {
    /// Whether a wait is over.
    #[must_use]
    pub fn is_over(&self, wait: &Wait) -> bool {
        match wait {
            Wait::Loaded(load) => load.is_over(),
            Wait::Unpaused => self.pause_left().is_none(),
            Wait::Released => self.is_nothing_held(),
            Wait::Compiled(compilations) => compilations.iter().rev().all(|one| one.verdict().is_some()),
            // While the disk fails nobody makes room.
            Wait::Room(shortage) => self.core_ref().write_failure().is_some() || self.is_room_for(shortage),
            Wait::Writable => self.persistence.back_pressure(self.core_ref()).is_none(),
        }
    }
}
