//! The encoding of the journal: what the engine writes to the log and reads back when it recovers.
//!
//! A *group* is what one commit of the log keeps: a format byte, then whole *transactions*. A transaction is
//! a length and that many bytes of *changes*. A change says what is there now, not what was done, so that
//! applying a change again, or a later one first and then all of them in order, ends in the same state.
//! `docs/storage-format.md` describes the bytes. This module knows neither redb nor threads.

mod decoder;
mod encoder;

#[cfg(test)]
mod tests;

use std::fmt;

pub use decoder::{Changes, Transactions, decode};
pub use encoder::{Encoder, Mark};

/// The first byte of a group that this version writes.
const FORMAT: u8 = 1;
const TRANSACTION_HEADER: usize = 8;

const PUT: u8 = 1;
const SPLICE: u8 = 2;
const EXPIRE: u8 = 3;
const DELETE: u8 = 4;
const FLUSH: u8 = 5;
const SWAP: u8 = 6;
const SYSTEM: u8 = 7;

const INTEGER: u8 = 0;
const BYTES: u8 = 1;

const FLAG_EXPIRES: u8 = 1;
const FLAG_CREATED: u8 = 2;
const FLAG_PRESENT: u8 = 1;

/// One change of the durable state. All bytes are borrowed from the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key now holds this value and expires then.
    Put {
        /// Which key, when it expires, and whether it is new.
        head: PutHead<'a>,
        /// The whole value.
        value: Value<'a>,
    },
    /// The string at this key now holds `bytes` at `offset` and has this length; the rest of it is as it
    /// was, what is new and not covered is zero, and so is its expiry. The length never shrinks.
    Splice {
        /// The database of the key.
        database: u8,
        /// The key, which existed before.
        key: &'a [u8],
        /// Where `bytes` stand in the string, counted in bytes.
        offset: u64,
        /// What stands there.
        bytes: &'a [u8],
        /// The length of the whole string, in bytes.
        length: u64,
    },
    /// The key, which existed before, now expires then.
    Expire {
        /// The database of the key.
        database: u8,
        /// The key.
        key: &'a [u8],
        /// Unix time in milliseconds, or `None` for never.
        expires_at_ms: Option<u64>,
    },
    /// The key, which existed before, is gone.
    Delete {
        /// The database of the key.
        database: u8,
        /// The key.
        key: &'a [u8],
    },
    /// The database is empty.
    Flush {
        /// The database.
        database: u8,
    },
    /// Two databases have exchanged their keys.
    Swap {
        /// The one.
        a: u8,
        /// The other.
        b: u8,
    },
    /// A named definition of the server itself.
    System {
        /// What kind of definition it is.
        table: SystemTable,
        /// Its name.
        name: &'a [u8],
        /// What it says, or `None` if it is gone.
        content: Option<&'a [u8]>,
    },
}

/// All of a [`Change::Put`] but the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutHead<'a> {
    /// The database of the key.
    pub database: u8,
    /// The key.
    pub key: &'a [u8],
    /// Unix time in milliseconds at which the key expires, or `None` for never.
    pub expires_at_ms: Option<u64>,
    /// Whether the key did not exist before.
    pub created: bool,
}

/// A whole value in a [`Change::Put`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string that is the canonical decimal form of this integer.
    Integer(i64),
    /// Any string.
    Bytes(&'a [u8]),
}

/// The kinds of definitions that the server keeps for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemTable {
    /// Libraries of procedures.
    Library,
    /// Triggers.
    Trigger,
}

impl SystemTable {
    /// The number that stands for the kind in records and rows.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Library => 0,
            Self::Trigger => 1,
        }
    }

    /// The kind that this number stands for.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Library),
            1 => Some(Self::Trigger),
            _ => None,
        }
    }
}

/// A group that is not what [`Encoder`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage(&'static str);

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged record: {}", self.0)
    }
}

impl std::error::Error for Damage {}
