//! The encoding of the journal: what the engine writes to the log and reads back when it recovers.
//!
//! A *group* is what one commit of the log keeps: a format byte, then whole *transactions*. A transaction is
//! a length and that many bytes of *changes*. A change says what is there now, except that a block splice says
//! which bytes of a block were replaced: so changes are applied once and in their order.
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
const BLOCK_PUT: u8 = 8;
const BLOCK_SPLICE: u8 = 9;
const BLOCK_REMOVE: u8 = 10;
const HEADER: u8 = 11;

const INTEGER: u8 = 0;
const BYTES: u8 = 1;
const COLLECTION: u8 = 2;

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
    /// In the collection at this key, which existed before, a block has changed.
    Block {
        /// The database of the key.
        database: u8,
        /// The key.
        key: &'a [u8],
        /// Which block; that of a collection with a single one has the empty label.
        label: &'a [u8],
        /// What became of it.
        change: BlockChange<'a>,
    },
    /// What stands beside the blocks of the collection at this key, which existed before, is now this.
    Header {
        /// The database of the key.
        database: u8,
        /// The key.
        key: &'a [u8],
        /// What it is.
        header: &'a [u8],
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
    /// A value with elements.
    Collection(Collection<'a>),
}

/// A value with elements, in a [`Change::Put`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection<'a> {
    /// The number of its type, of which the store knows only that it is not 0.
    pub kind: u8,
    /// What stands beside the blocks.
    pub header: &'a [u8],
    /// All blocks.
    pub blocks: EncodedBlocks<'a>,
}

/// Labels and blocks as they stand in a record; they were checked when the record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedBlocks<'a>(&'a [u8]);

/// What becomes of a block of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockChange<'a> {
    /// It now has this content, whether it existed or not.
    Put(&'a [u8]),
    /// So many bytes at an offset, both counted in bytes, were replaced.
    Splice {
        /// Where.
        offset: u64,
        /// How many.
        removed: u64,
        /// By what.
        inserted: &'a [u8],
    },
    /// It is gone.
    Remove,
}

impl BlockChange<'_> {
    /// The block after the change, given the block before; `None` when it is gone.
    pub fn apply(&self, before: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Damage> {
        match *self {
            Self::Put(bytes) => Ok(Some(bytes.to_vec())),
            Self::Remove => Ok(None),
            Self::Splice { offset, removed, inserted } => {
                let mut block = before.unwrap_or_default();
                let end = offset.checked_add(removed).filter(|end| *end <= block.len() as u64);
                let end = end.ok_or(Damage("a block shorter than its change"))?;
                block.splice(offset as usize..end as usize, inserted.iter().copied());
                Ok(Some(block))
            }
        }
    }
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

impl Damage {
    /// The blocks and header of a collection are of no value.
    pub const NO_SUCH_VALUE: Self = Self("blocks that make no value");
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged record: {}", self.0)
    }
}

impl std::error::Error for Damage {}
