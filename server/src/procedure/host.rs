//! What a running procedure may ask of the server: the seam between the guest and the data.
//!
//! The engine implements [`Host`]; tests implement it with a map. Knows neither WebAssembly nor commands.

/// How serious a line is that a guest logs, in the order of Redis' log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Much detail.
    Debug,
    /// Some detail.
    Verbose,
    /// Worth knowing.
    Notice,
    /// Something is wrong.
    Warning,
}

impl Severity {
    /// Its name, as in the option `loglevel`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Verbose => "verbose",
            Self::Notice => "notice",
            Self::Warning => "warning",
        }
    }

    /// The level of the guest's number: 0 to 3.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Debug,
            1 => Self::Verbose,
            2 => Self::Notice,
            3 => Self::Warning,
            _ => return None,
        })
    }
}

/// The data and services behind the host functions.
///
/// An `Err` ends the procedure and comes back untouched as [`CallError::Host`](super::CallError::Host): an error reply,
/// or whatever else the engine wants to know ("this key must be loaded first").
pub trait Host: 'static {
    /// What ends a procedure.
    type Error: 'static;

    /// Reads a string value: passes its bytes from `offset` on, at most `limit` of them, to `copy` in order, in one or
    /// more pieces. Returns the whole value's length in bytes, or `None` when the key does not exist.
    fn get(
        &mut self,
        key: &[u8],
        offset: u64,
        limit: usize,
        copy: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<u64>, Self::Error>;

    /// `SET` without options.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Self::Error>;

    /// `DEL` of one key; whether it was there.
    fn delete(&mut self, key: &[u8]) -> Result<bool, Self::Error>;

    /// `EXISTS` of one key.
    fn exists(&mut self, key: &[u8]) -> Result<bool, Self::Error>;

    /// `INCRBY`; the new value.
    fn increment(&mut self, key: &[u8], delta: i64) -> Result<i64, Self::Error>;

    /// Runs a command: `request` is a RESP array of bulk strings, the RESP3 reply is appended to `reply`, error replies
    /// included. With `read_only` a command that can write is answered with an error reply.
    fn command(&mut self, request: &[u8], read_only: bool, reply: &mut Vec<u8>) -> Result<(), Self::Error>;

    /// A line for the log; not more than a call's limit in all.
    fn log(&mut self, level: Severity, message: &[u8]);

    /// Accepts `value` if it is one complete RESP2 or RESP3 value; of how many it consists, itself included.
    fn validate_resp(&self, value: &[u8]) -> Result<u64, Self::Error>;
}
