//! What `CLIENT PAUSE` has asked for.

/// What has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Paused {
    /// Commands that may change something, and keys that would expire.
    Writes,
    /// All commands.
    All,
}

/// A pause that may be over by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What has to wait.
    pub what: Paused,
    /// Until when, in milliseconds of unix time.
    pub until_ms: u64,
}
