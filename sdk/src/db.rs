//! The database as a procedure sees it. It knows nothing of where the data is: that is the `Host`, which is the
//! server's imports in a guest and a store in memory in a test.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Display;
use core::time::Duration;

use crate::{Command, Error, Host, Reply, Result};

/// The first buffer for a value of unknown length: one call of the host suffices for most values.
const FIRST_READ_BYTES: usize = 256;

/// The data of the server, seen from within one transaction.
///
/// A procedure sees its own writes; others see them when it has ended well. The methods on `&self` cannot change data.
/// Methods that do not return a `Result` end the procedure where the server refuses them (a value that is not a string,
/// a number that overflows), as an `Err` returned by the procedure would.
///
/// The methods here are about keys and strings. [`Db::hash`], [`Db::list`], [`Db::set`], [`Db::sorted_set`] and
/// [`Db::stream`] give what stands at a key as a value with elements, for reading; [`Db::hash_mut`] and so on for
/// writing, too.
#[derive(Debug)]
pub struct Db {
    pub(crate) host: Host,
}

impl Db {
    /// The value of a key; `None` when it does not exist.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        read_whole(|buffer| self.host.get(key, buffer))
    }

    /// The bytes of a value from `offset`, at most `length` of them; `None` when the key does not exist.
    #[must_use]
    pub fn get_range(&self, key: &[u8], offset: u64, length: usize) -> Option<Vec<u8>> {
        let whole_length = self.length(key)?;
        let available = usize::try_from(whole_length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut buffer = vec![0; length.min(available)];
        self.host.get_range(key, offset, &mut buffer)?;
        Some(buffer)
    }

    /// Fills `buffer` with the value's bytes from `offset`, as far as they reach, without allocating. The length of the
    /// whole value; `None` when the key does not exist.
    #[inline]
    pub fn read(&self, key: &[u8], offset: u64, buffer: &mut [u8]) -> Option<u64> {
        self.host.get_range(key, offset, buffer)
    }

    /// The length of a value in bytes; `None` when the key does not exist.
    #[must_use]
    #[inline]
    pub fn length(&self, key: &[u8]) -> Option<u64> {
        self.host.get(key, &mut [])
    }

    /// Whether a key exists, with a value of any type.
    #[must_use]
    #[inline]
    pub fn exists(&self, key: &[u8]) -> bool {
        self.host.exists(key)
    }

    /// Sets the value of a key, as `SET` without options: whatever it was before, and without expiry.
    #[inline]
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.host.put(key, value);
    }

    /// Deletes a key. Whether it existed.
    #[inline]
    pub fn delete(&mut self, key: &[u8]) -> bool {
        self.host.delete(key)
    }

    /// When a key expires, as the time from now; `None` when it never does or does not exist.
    #[must_use]
    pub fn time_to_live(&self, key: &[u8]) -> Option<Duration> {
        let reply = self.command_ro(Command::new("PTTL").arg(key)).unwrap_or_else(|error| self.abort(error));
        reply.as_integer().and_then(|time_ms| u64::try_from(time_ms).ok()).map(Duration::from_millis)
    }

    /// Lets a key expire after `time`, which is counted in milliseconds; no time deletes it at once. Whether it exists.
    pub fn expire(&mut self, key: &[u8], time: Duration) -> bool {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.change(Command::new("PEXPIRE").arg(key).arg(time_ms))
    }

    /// Lets a key expire at a unix time in milliseconds. Whether it exists.
    pub fn expire_at_ms(&mut self, key: &[u8], time_ms: u64) -> bool {
        self.change(Command::new("PEXPIREAT").arg(key).arg(time_ms))
    }

    /// Lets a key stay for ever. Whether it would have expired.
    pub fn persist(&mut self, key: &[u8]) -> bool {
        self.change(Command::new("PERSIST").arg(key))
    }

    /// Adds to the integer that a key holds, 0 when it does not exist. The sum. Ends the procedure when the value is
    /// not an integer or the sum does not fit.
    #[inline]
    pub fn increment(&mut self, key: &[u8], delta: i64) -> i64 {
        self.host.increment(key, delta)
    }

    /// Runs any command that is allowed in scripts. `Err` when it replied with an error: passed on by `?` it ends the
    /// procedure, otherwise the procedure goes on.
    pub fn command(&mut self, command: Command) -> Result<Reply> {
        let request = command.into_request();
        let mut buffer = vec![0; FIRST_READ_BYTES];
        let length = self.host.command(&request, &mut buffer);
        self.reply(buffer, length)
    }

    /// Runs any reading command that is allowed in scripts. `Err` when it replied with an error.
    pub fn command_ro(&self, command: Command) -> Result<Reply> {
        let request = command.into_request();
        let mut buffer = vec![0; FIRST_READ_BYTES];
        let length = self.host.command_ro(&request, &mut buffer);
        self.reply(buffer, length)
    }

    /// Whether a command that says so changed anything; ends the procedure when it failed.
    fn change(&mut self, command: Command) -> bool {
        let reply = self.command(command).unwrap_or_else(|error| self.abort(error));
        reply.as_integer() == Some(1)
    }

    /// Ends the procedure with an error and undoes everything that it did.
    pub fn abort(&self, error: impl Into<Error>) -> ! {
        self.host.abort(&error.into())
    }

    /// Writes to the server's log: text, or `format_args!(...)`.
    pub fn log(&self, level: LogLevel, message: impl Display) {
        self.host.log(level, &format!("{message}"));
    }

    /// Unix time in microseconds: the moment when the call began, all through the call.
    #[must_use]
    #[inline]
    pub fn time_us(&self) -> u64 {
        self.host.time_us()
    }

    /// 64 random bits.
    #[must_use]
    #[inline]
    pub fn random(&self) -> u64 {
        self.host.random()
    }

    /// The last command's reply, `length` bytes, of which `buffer` holds as many as it could.
    fn reply(&self, mut buffer: Vec<u8>, length: usize) -> Result<Reply> {
        let copied = buffer.len().min(length);
        buffer.resize(length, 0);
        if copied < length {
            self.host.command_reply(copied, &mut buffer[copied..]);
        }
        match Reply::parse(&buffer)? {
            Reply::Error(error) => Err(error),
            reply => Ok(reply),
        }
    }
}

/// How much a line in the log matters: the levels of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Details for developers.
    Debug = 0,
    /// Details for operators.
    Verbose = 1,
    /// What an operator should see.
    Notice = 2,
    /// What needs attention.
    Warning = 3,
}

/// Reads a value of unknown length through `read`, which fills a buffer from the value's start and returns the length
/// of the whole; a second time if the first buffer was too small.
pub(crate) fn read_whole(read: impl Fn(&mut [u8]) -> Option<u64>) -> Option<Vec<u8>> {
    let mut buffer = vec![0; FIRST_READ_BYTES];
    // A value that does not fit into memory ends the procedure here, as any other want of memory.
    let length = usize::try_from(read(&mut buffer)?).unwrap_or(usize::MAX);
    if length > buffer.len() {
        buffer = vec![0; length];
        read(&mut buffer)?;
    }
    buffer.truncate(length);
    Some(buffer)
}
