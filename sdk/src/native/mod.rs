//! The database of native tests: values in memory, with the semantics that the server gives a procedure.
//!
//! What it does not do it refuses with a clear error, so that a test is never wrong in silence.

mod commands;
mod glob;
mod store;
mod transaction;
mod value;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use std::boxed::Box;
use std::panic;

use store::{Change, Store};
use transaction::Installed;
pub use transaction::{InvokeProcedure, InvokeTrigger};

use crate::{Command, Db, Error, LogLevel, Procedure, Reply, Result, Trigger};

/// The time at which every test database begins.
const START_US: u64 = 1_700_000_000_000_000;

/// The test's stand-in for the server.
#[derive(Debug)]
pub struct Host {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    store: Store,
    triggers: Vec<Installed>,
    /// What asynchronous triggers are to be told.
    queued: VecDeque<(Installed, Change)>,
    /// The reply of the last command, for when the buffer was too small.
    last_reply: Vec<u8>,
    log: Vec<(LogLevel, String)>,
    /// Whether a procedure or trigger runs, which errors end.
    is_running: bool,
}

/// The error that ends a procedure, on its way through the procedure's frames.
struct Ended(Error);

/// The values of an event.
#[derive(Debug)]
pub struct Values {
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    elements: Vec<Vec<u8>>,
}

impl Values {
    pub fn before(&self) -> Option<Vec<u8>> {
        self.before.clone()
    }

    pub fn after(&self) -> Option<Vec<u8>> {
        self.after.clone()
    }

    pub fn elements(&self) -> impl ExactSizeIterator<Item = Vec<u8>> {
        self.elements.iter().cloned()
    }
}

/// The test database (on every target but WebAssembly).
///
/// It holds values of all types with expiry in one database. [`Db::command`] knows
/// - of keys `DEL`, `EXISTS`, `EXPIRE`, `EXPIREAT`, `EXPIRETIME`, `PERSIST`, `PEXPIRE`, `PEXPIREAT`, `PEXPIRETIME`,
///   `PTTL`, `RENAME`, `TTL`, `TYPE` and `UNLINK`;
/// - of strings `APPEND`, `DECR`, `DECRBY`, `GET`, `GETDEL`, `GETRANGE`, `INCR`, `INCRBY`, `MGET`, `MSET`, `PSETEX`,
///   `SET` with all its options, `SETEX`, `SETNX`, `SETRANGE` and `STRLEN`;
/// - of hashes `HDEL`, `HEXISTS`, `HGET`, `HGETALL`, `HINCRBY`, `HKEYS`, `HLEN`, `HMGET`, `HMSET`, `HSCAN`, `HSET`,
///   `HSETNX`, `HSTRLEN` and `HVALS`;
/// - of lists `LINDEX`, `LINSERT`, `LLEN`, `LPOP`, `LPOS` without options, `LPUSH`, `LRANGE`, `LREM`, `LSET`, `LTRIM`,
///   `RPOP` and `RPUSH`;
/// - of sets `SADD`, `SCARD`, `SDIFF`, `SINTER`, `SISMEMBER`, `SMEMBERS`, `SMISMEMBER`, `SMOVE`, `SPOP`, `SRANDMEMBER`,
///   `SREM`, `SSCAN` and `SUNION`;
/// - of sorted sets `ZADD`, `ZCARD`, `ZCOUNT`, `ZINCRBY`, `ZLEXCOUNT`, `ZMSCORE`, `ZPOPMAX`, `ZPOPMIN`, `ZRANGE` and its
///   older relatives, `ZRANK`, `ZREM`, `ZREMRANGEBYLEX`, `ZREMRANGEBYRANK`, `ZREMRANGEBYSCORE`, `ZREVRANK` and `ZSCORE`;
/// - of streams `XADD`, `XDEL`, `XLEN`, `XRANGE`, `XREVRANGE` and `XTRIM`.
///
/// Any other is an error. Time stands still until [`Db::advance`] moves it. What a test does directly, such as
/// [`Db::put`], prepares data and fires no triggers.
impl Db {
    /// An empty database.
    #[must_use]
    pub fn test() -> Self {
        let state = State {
            store: Store::new(START_US),
            triggers: Vec::new(),
            queued: VecDeque::new(),
            last_reply: Vec::new(),
            log: Vec::new(),
            is_running: false,
        };
        Self { host: Host { state: RefCell::new(state) } }
    }

    /// Calls a procedure as the server does: with its triggers, and undone as a whole when it or a trigger fails,
    /// panics or aborts.
    pub fn call<P: Procedure>(&mut self, keys: &[&[u8]], args: &[&[u8]]) -> Result<Reply> {
        self.call_by(P::NAME, P::USAGE, P::invoke, keys, args)
    }

    /// Runs a command as a client does: with its triggers, and undone as a whole when it or a trigger fails.
    pub fn execute(&mut self, command: Command) -> Result<Reply> {
        self.transaction(|db| db.command(command))
    }

    /// Installs a trigger, which then runs after every [`Db::call`] and [`Db::execute`] that raise its events. One with
    /// `mode = "async"` runs behind them, as a transaction of its own, once for each event: it is not tried again, but its
    /// error is logged.
    ///
    /// ```
    /// # use kvasm_sdk::prelude::*;
    /// /// Counts the changes of each picture, whenever there is time.
    /// #[trigger(on = "set", keys = "img:*", mode = "async", concurrency = 4, tries = 3, backoff_ms = 100)]
    /// fn count(db: &mut Db, event: &Event) -> Result<()> {
    ///     if event.after().is_some_and(|value| value.is_empty()) {
    ///         return Err("EMPTY picture".into());
    ///     }
    ///     db.increment(b"changes", 1);
    ///     Ok(())
    /// }
    /// # let mut db = Db::test();
    /// # assert_eq!(
    /// #     <count as kvasm_sdk::Trigger>::DECLARATION,
    /// #     "count ASYNC ON set KEYS img:* CALL count CONCURRENCY 4 TRIES 3 BACKOFF 100",
    /// # );
    /// db.install::<count>();
    /// db.execute(Command::new("MSET").args(["img:1", "a", "img:2", "", "img:3", "c"]))?;
    /// assert_eq!(db.get(b"changes").as_deref(), Some(b"2".as_slice()));
    /// assert_eq!(db.logged()[0].1, "EMPTY trigger 'count': picture");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Panics
    /// When the declaration does not have the syntax of `TRIGGER CREATE`.
    pub fn install<T: Trigger>(&mut self) {
        self.install_by(T::DECLARATION, T::invoke);
    }

    /// Lets time pass. What expires in it raises `expired`; a trigger that fails on it is logged, and the key is gone.
    pub fn advance(&mut self, time: Duration) {
        self.pass_time(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What has been logged so far.
    #[must_use]
    pub fn logged(&self) -> Vec<(LogLevel, String)> {
        self.host.state.borrow().log.clone()
    }
}

impl Host {
    pub fn get(&self, key: &[u8], buffer: &mut [u8]) -> Option<u64> {
        self.get_range(key, 0, buffer)
    }

    pub fn get_range(&self, key: &[u8], offset: u64, buffer: &mut [u8]) -> Option<u64> {
        let state = self.state.borrow();
        let value = match state.store.get::<Vec<u8>>(key) {
            Ok(value) => value?,
            Err(error) => {
                drop(state);
                self.abort(&error)
            }
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| value.get(offset..)).unwrap_or_default();
        let copied = rest.len().min(buffer.len());
        buffer[..copied].copy_from_slice(&rest[..copied]);
        Some(value.len() as u64)
    }

    pub fn exists(&self, key: &[u8]) -> bool {
        self.state.borrow().store.value(key).is_some()
    }

    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.state.get_mut().write(&[b"SET", key, value]).unwrap_or_else(|error| self.abort(&error));
    }

    pub fn delete(&mut self, key: &[u8]) -> bool {
        let reply = self.state.get_mut().write(&[b"DEL", key]);
        reply.unwrap_or_else(|error| self.abort(&error)) == Reply::Integer(1)
    }

    pub fn increment(&mut self, key: &[u8], delta: i64) -> i64 {
        let delta = format!("{delta}");
        let reply = self.state.get_mut().write(&[b"INCRBY", key, delta.as_bytes()]);
        reply.unwrap_or_else(|error| self.abort(&error)).as_integer().unwrap_or_default()
    }

    pub fn command(&mut self, request: &[u8], buffer: &mut [u8]) -> usize {
        self.state.get_mut().answer(request, true, buffer)
    }

    pub fn command_ro(&self, request: &[u8], buffer: &mut [u8]) -> usize {
        self.state.borrow_mut().answer(request, false, buffer)
    }

    pub fn command_reply(&self, offset: usize, buffer: &mut [u8]) {
        copy_reply(&self.state.borrow().last_reply, offset, buffer);
    }

    /// In a call it ends the procedure; in a test's own code it is a failure of the test.
    pub fn abort(&self, error: &Error) -> ! {
        assert!(self.state.borrow().is_running, "{error}");
        panic::resume_unwind(Box::new(Ended(error.clone())))
    }

    pub fn log(&self, level: LogLevel, message: &str) {
        self.state.borrow_mut().log.push((level, message.into()));
    }

    pub fn time_us(&self) -> u64 {
        self.state.borrow().store.now_us()
    }

    pub fn random(&self) -> u64 {
        self.state.borrow_mut().store.random()
    }
}

impl State {
    fn write(&mut self, words: &[&[u8]]) -> Result<Reply> {
        commands::run(&mut self.store, words, true)
    }

    /// Runs a request, keeps the encoded reply and copies it from its start. The length of the whole.
    fn answer(&mut self, request: &[u8], may_write: bool, buffer: &mut [u8]) -> usize {
        let reply = Reply::parse(request).and_then(|request| {
            let items = request.as_items().unwrap_or_default();
            let words: Vec<&[u8]> = items.iter().filter_map(Reply::as_bytes).collect();
            commands::run(&mut self.store, &words, may_write)
        });
        self.last_reply = reply.unwrap_or_else(Reply::Error).encode();
        copy_reply(&self.last_reply, 0, buffer);
        self.last_reply.len()
    }
}

fn copy_reply(reply: &[u8], offset: usize, buffer: &mut [u8]) {
    let rest = reply.get(offset..).unwrap_or_default();
    let copied = rest.len().min(buffer.len());
    buffer[..copied].copy_from_slice(&rest[..copied]);
}
