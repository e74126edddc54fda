//! The event that a trigger is about.

use alloc::string::String;
use alloc::vec::Vec;

#[cfg(target_arch = "wasm32")]
use crate::guest::Values;
#[cfg(not(target_arch = "wasm32"))]
use crate::native::Values;

/// A change of a key.
#[derive(Debug)]
pub struct Event {
    pub(crate) name: String,
    pub(crate) key: Vec<u8>,
    pub(crate) database: u32,
    pub(crate) values: Values,
}

impl Event {
    /// What happened: `set`, `del`, `expired` ..., as in keyspace notifications.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The number of the database that holds the key.
    #[must_use]
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The value before the event; `None` when the key did not exist. Copied when it is asked for.
    #[must_use]
    pub fn before(&self) -> Option<Vec<u8>> {
        self.values.before()
    }

    /// The value after the event; `None` when the key does not exist any more. Copied when it is asked for.
    ///
    /// [`Db::get`](crate::Db::get) shows the present instead: a later event may have changed the key again.
    #[must_use]
    pub fn after(&self) -> Option<Vec<u8>> {
        self.values.after()
    }
}
