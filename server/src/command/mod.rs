//! Commands: one handler and one table row each, together in the file of their group.
//!
//! A handler is a synchronous function of a [`Context`] and the arguments. It knows keys, clients and options, but no
//! sockets and no protocol version; what only the engine can do (EXEC, calling a procedure, closing) it returns as an
//! [`Outcome`]. Its row says what else is known of the command: name, arity, key positions, flags and documentation.
//! Dispatch, `COMMAND`, key loading, MULTI, procedures and the documentation page all read the rows. Facts that hold of a
//! few commands and that only one reader wants stand in tables beside that reader: what `COMMAND` adds (`categories`,
//! `key_use`), passwords (`secrets`), and differences to Redis (`differences`).

#![expect(clippy::unnecessary_wraps, reason = "handlers have one signature, whether they can fail or not")]

mod arguments;
mod assign;
mod bitfield;
mod bits;
mod blocking;
mod categories;
mod client;
mod config;
mod connection;
mod counters;
#[cfg(test)]
mod differences;
#[cfg(test)]
mod documentation;
mod dump;
mod element_scan;
mod expiry;
mod field_expiry;
mod function;
mod generic;
mod geo;
mod hashes;
mod help;
mod hyperloglog;
mod info;
mod introspection;
#[cfg(test)]
mod journal_tests;
mod key_places;
mod key_use;
mod latency;
mod list_pops;
mod lists;
mod memory;
mod monitor;
mod object;
mod procedure;
mod pubsub;
mod random;
mod rdb_values;
mod scan;
mod secrets;
mod server;
mod set_algebra;
mod sets;
mod sort;
mod sorted_set;
mod stream;
mod strings;
mod syntax;
mod table;
#[cfg(test)]
mod testing;
mod transaction;
mod trigger;

pub use arguments::{ExpiryOption, flag, integer, unsigned};
pub use blocking::Block;
pub use counters::add_integer;
pub use key_places::Keys;
pub use pubsub::note_message;
pub use rdb_values::stored;
pub use secrets::redact;
pub use table::{Command, Flags, Found, Group, NotFound, Run, all, at, find, find_named, full_name, places};

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::keyspace::{self, Content, EventKind, Expiry, Keyspace, Need, events};
use crate::procedure::{GateError, Module};
use crate::protocol::{ErrorReply, Reply};
use crate::state::{Mailbox, Message, Server, Session, Upload};
use crate::trigger::queue::Shortage;
use crate::types::Value;

/// What a handler works with.
pub struct Context<'a> {
    /// The data.
    pub keyspace: &'a mut Keyspace,
    /// The server's other state.
    pub server: &'a mut Server,
    /// The client that sent the command.
    pub session: &'a mut Session,
    /// The client's mailbox; `None` for a procedure.
    pub mailbox: Option<&'a Rc<Mailbox>>,
    /// Messages to publish when the transaction commits.
    pub messages: &'a mut Vec<Message>,
}

/// What only the engine can do.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing more than to answer.
    Reply(Reply),
    /// Answer and close the connection.
    Close(Reply),
    /// Run the commands that the session has queued.
    Execute,
    /// Call a procedure.
    Call(Call),
    /// Let the client wait until a key is written.
    Block(Box<Block>),
    /// Stop the server.
    Shutdown {
        /// Whether even a failing disk must not keep it from stopping.
        force: bool,
    },
}

/// A procedure call, as a command asks for it.
#[derive(Debug)]
pub struct Call {
    /// The module.
    pub module: Arc<Module>,
    /// Its place among the module's procedures.
    pub procedure: usize,
    /// What errors and logs call it.
    pub name: String,
    /// Which of the command's arguments are keys.
    pub keys: Range<usize>,
    /// Which are arguments of the procedure.
    pub arguments: Range<usize>,
    /// Whether a write ends it.
    pub read_only: bool,
}

/// Why a command did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// With this error reply.
    Reply(ErrorReply),
    /// Something must be loaded from disk; then it is to be run again.
    NotResident(Need),
    /// Modules that it brings have not passed the gate yet; it is to be run again when there is a verdict on each.
    NotCompiled(Vec<Upload>),
    /// The queue of an asynchronous trigger is full; it is to be run again when there is room.
    QueueFull(Shortage),
}

/// What a handler gives.
pub type Result<T = Reply> = std::result::Result<T, Error>;

impl Error {
    /// An error reply with a fixed text.
    #[must_use]
    pub const fn text(text: &'static str) -> Self {
        Self::Reply(Cow::Borrowed(text))
    }

    /// Whether the command is to be run again when what it lacks is there.
    #[must_use]
    pub fn runs_again(&self) -> bool {
        !matches!(self, Self::Reply(_))
    }

    /// The error for a number of arguments that the command of this name does not take.
    #[must_use]
    pub fn wrong_arity(name: &str) -> Self {
        Self::Reply(wrong_arity(name))
    }

    /// The error for an end that a key or a field cannot have, in the command of this name.
    #[must_use]
    pub fn invalid_expire_time(name: &str) -> Self {
        format!("ERR invalid expire time in '{name}' command").into()
    }

    /// The error of a write whose event finds the queue full and may not wait.
    #[must_use]
    pub fn queue_full(shortage: &Shortage) -> Self {
        shortage.to_string().into()
    }

    /// `ERR syntax error`.
    pub const SYNTAX: Self = Self::text("ERR syntax error");
    /// The text for what should be an integer.
    pub const NOT_AN_INTEGER: Self = Self::text("ERR value is not an integer or out of range");
    /// The text for what should be a number.
    pub const NOT_A_FLOAT: Self = Self::text("ERR value is not a valid float");
    /// The text for a key of another type.
    pub const WRONG_TYPE: Self =
        Self::text("WRONGTYPE Operation against a key holding the wrong kind of value");
    /// The text for a key that must exist.
    pub const NO_SUCH_KEY: Self = Self::text("ERR no such key");
    /// The text for a function that no library has.
    pub const FUNCTION_NOT_FOUND: Self = Self::text("ERR Function not found");
    /// The text for a sum of integers that does not fit.
    pub const OVERFLOW: Self = Self::text("ERR increment or decrement would overflow");
    /// The text for a sum of floating point numbers that is no finite one.
    pub const NOT_FINITE: Self = Self::text("ERR increment would produce NaN or Infinity");
    /// The text for strings that would exceed `proto-max-bulk-len`.
    pub const STRING_TOO_LONG: Self =
        Self::text("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

/// Puts a value in the place of whatever a key holds, which goes if there is nothing in the value; answers how many
/// elements there are.
fn set_or_delete(ctx: &mut Context<'_>, key: &[u8], value: Value, event: EventKind) -> Result {
    let (database, elements) = (ctx.session.database, value.elements());
    if elements == 0 {
        ctx.keyspace.delete(database, key, events::DEL)?;
    } else {
        ctx.keyspace.set(database, key, Content::Value(value), Expiry::Clear, event)?;
    }
    Ok(elements.into())
}

/// The text for a number of arguments that the command of this name does not take.
#[must_use]
pub fn wrong_arity(name: &str) -> ErrorReply {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

impl From<keyspace::Error> for Error {
    fn from(error: keyspace::Error) -> Self {
        match error {
            keyspace::Error::WrongType => Self::WRONG_TYPE,
            keyspace::Error::NotResident(need) => Self::NotResident(need),
        }
    }
}

impl From<GateError> for Error {
    fn from(error: GateError) -> Self {
        format!("{} {error}", error.code()).into()
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Reply(Cow::Owned(text))
    }
}
