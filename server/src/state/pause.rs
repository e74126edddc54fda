//! What `CLIENT PAUSE` has asked for.

/// What has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Paused {
    /// Commands that may change something, and the expiry of keys.
    Writes,
    /// All commands.
    All,
}

/// A pause, which may be over already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What has to wait.
    pub what: Paused,
    /// Until when, in milliseconds of unix time.
    pub until_ms: u64,
}
