//! Why a module was refused and why a call ended: stable codes, and texts that name the limit to raise.
//!
//! Knows no reply encoding: the engine puts the text into an error reply.

use std::fmt;

use super::limits;

/// Why the gate refused a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateError {
    /// Not WebAssembly, or not valid: what is wrong and where.
    Invalid(String),
    /// Valid, but it uses what cannot be run safely here.
    Refused(String),
    /// One of the limits of [`limits`]: what there is too much of, how much is allowed, and the option that says so.
    Limit {
        /// What was counted, in plural ("functions").
        what: &'static str,
        /// How much the module has.
        found: u64,
        /// How much is allowed.
        limit: u64,
        /// The option that can raise it; `None` for a fixed limit.
        option: Option<&'static str>,
    },
}

impl GateError {
    /// The first word of the error reply.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Refused(_) => "WASMINVALID",
            Self::Limit { .. } => "WASMLIMIT",
        }
    }
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => write!(f, "invalid module: {reason}"),
            Self::Refused(reason) => write!(f, "module refused: {reason}"),
            Self::Limit { what, found, limit, option } => {
                write!(f, "module refused: {found} {what} are more than the limit of {limit}")?;
                option.map_or(Ok(()), |option| write!(f, " ({option})"))
            }
        }
    }
}

impl std::error::Error for GateError {}

/// What the guest did that WebAssembly does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A load or store outside of the memory.
    MemoryAccess,
    /// A pointer and length given to a host function that do not lie in the memory.
    HostPointer {
        /// The host function.
        function: &'static str,
        /// Address of the first byte.
        address: u32,
        /// Number of bytes.
        length: u32,
    },
    /// An argument of a host function that is none of those allowed: which, in words.
    HostArgument(&'static str),
    /// Integer division by zero.
    DivideByZero,
    /// The result of an integer division does not fit.
    IntegerOverflow,
    /// A float that does not fit the integer it was converted to.
    FloatConversion,
    /// An indirect call to a function of another type.
    IndirectCallType,
    /// An indirect call to an index with no function.
    UndefinedElement,
    /// A table or segment access out of bounds.
    TableAccess,
    /// The `unreachable` instruction: a panic in most languages.
    Unreachable,
    /// Anything else that the interpreter reports, in its words.
    Other(String),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MemoryAccess => "out of bounds memory access",
            Self::HostPointer { function, address, length } => {
                // No memory has 2 GiB: a length like that is a negative one.
                let length = *length as i32;
                return write!(f, "{function}: {length} bytes at {address} are outside of the memory");
            }
            Self::HostArgument(what) => what,
            Self::DivideByZero => "integer divide by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::FloatConversion => "invalid conversion to integer",
            Self::IndirectCallType => "indirect call type mismatch",
            Self::UndefinedElement => "undefined table element called",
            Self::TableAccess => "out of bounds table access",
            Self::Unreachable => "unreachable executed",
            Self::Other(text) => text,
        })
    }
}

/// Why a call ended without a reply. `E` is the host's own error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The guest broke a rule of WebAssembly or of the host interface.
    Trap(Trap),
    /// All fuel is spent.
    OutOfFuel,
    /// The deadline has passed.
    DeadlineExceeded,
    /// Its turn on this thread is over; it may go on elsewhere.
    TurnOver,
    /// It was stopped from outside.
    Stopped,
    /// The memory reached its cap, and the guest did not survive that.
    MemoryLimit,
    /// Recursion too deep for the value stack or the native stack.
    StackOverflow,
    /// The reply is longer than allowed.
    ReplyTooLarge,
    /// The log lines of the call are longer than allowed.
    LogTooLarge,
    /// A write, in a call that may only read.
    WriteInReadOnly,
    /// The procedure ended itself with this error text.
    Abort(Vec<u8>),
    /// The host's error, carried through untouched.
    Host(E),
    /// A fault of the server or the interpreter, not of the guest.
    Internal(String),
}

impl<E> CallError<E> {
    /// The first word of the error reply; `None` where the text brings its own ([`Abort`](Self::Abort),
    /// [`Host`](Self::Host)).
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Trap(_) => "WASMTRAP",
            Self::OutOfFuel | Self::TurnOver => "WASMFUEL",
            Self::DeadlineExceeded => "WASMDEADLINE",
            Self::Stopped => "WASMKILLED",
            Self::MemoryLimit => "WASMMEMORY",
            Self::StackOverflow => "WASMSTACK",
            Self::ReplyTooLarge | Self::LogTooLarge => "WASMLIMIT",
            Self::WriteInReadOnly | Self::Internal(_) => "ERR",
            Self::Abort(_) | Self::Host(_) => return None,
        })
    }

    /// The text behind the code: names the procedure, the reason, and the option that sets the limit.
    #[must_use]
    pub fn describe(&self, procedure: &str) -> String {
        let limit = |what: &str, option: &str| format!("procedure '{procedure}': {what} ({option})");
        match self {
            Self::Trap(trap) => format!("procedure '{procedure}': {trap}"),
            Self::OutOfFuel => limit("out of fuel", limits::OPTION_FUEL),
            Self::TurnOver => format!("procedure '{procedure}': takes long"),
            Self::Stopped => format!("procedure '{procedure}': killed by user with FUNCTION KILL"),
            Self::DeadlineExceeded => limit("deadline exceeded", limits::OPTION_DEADLINE),
            Self::MemoryLimit => limit("memory limit reached", limits::OPTION_MEMORY),
            Self::StackOverflow => {
                let option = limits::OPTION_STACK;
                format!(
                    "procedure '{procedure}': recursion too deep for its stack ({option}) or the native stack"
                )
            }
            Self::ReplyTooLarge => limit("reply too large", limits::OPTION_REPLY),
            Self::LogTooLarge => limit("too much logged", limits::OPTION_LOG),
            Self::WriteInReadOnly => {
                format!("procedure '{procedure}': Write commands are not allowed from read-only scripts.")
            }
            Self::Abort(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Host(_) => format!("procedure '{procedure}': ended by the host"),
            Self::Internal(reason) => format!("procedure '{procedure}': internal error: {reason}"),
        }
    }
}
