//! The encoding of the journal: what the engine writes to the log and reads back when it recovers.
//!
//! A *group* is what one commit of the log keeps: a format byte, then whole *transactions*. A transaction is
//! a length and that many bytes of *changes*. A change says what is there now, not what was done, so that
//! applying a change again, or a later one first and then all of them in order, ends in the same state.
//! `docs/storage-format.md` describes the bytes. This module knows neither redb nor threads.

use std::fmt;

use super::limits::{DATABASES, STRING_BYTES};

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

/// Where an [`Encoder`] stood, to return to with [`Encoder::rewind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// Writes groups. It appends to one buffer and allocates nothing else.
#[derive(Debug)]
pub struct Encoder {
    group: Vec<u8>,
    /// Where the transaction that is being written starts; the end of the buffer when there is none.
    transaction: usize,
    open: bool,
}

impl Encoder {
    /// Starts a group in this buffer, whose content is discarded and whose memory is used.
    #[must_use]
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.push(FORMAT);
        Self { transaction: buffer.len(), group: buffer, open: false }
    }

    /// Whether the group holds no finished transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transaction == 1
    }

    /// The size of the group so far, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// The finished group. A transaction that was begun and not ended is left out.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.abort();
        self.group
    }

    /// Begins a transaction; one that was begun before and not ended is discarded.
    pub fn begin(&mut self) {
        self.abort();
        self.group.extend_from_slice(&[0; TRANSACTION_HEADER]);
        self.open = true;
    }

    /// Ends the transaction, which is now part of the group. One without changes is left out.
    pub fn end(&mut self) {
        let body = self.group.len() - self.transaction;
        if !self.open || body == TRANSACTION_HEADER {
            return self.abort();
        }
        let length = (body - TRANSACTION_HEADER) as u64;
        self.group[self.transaction..][..TRANSACTION_HEADER].copy_from_slice(&length.to_le_bytes());
        self.transaction = self.group.len();
        self.open = false;
    }

    /// Discards the transaction that was begun and not ended.
    pub fn abort(&mut self) {
        self.group.truncate(self.transaction);
        self.open = false;
    }

    /// A point in the transaction to which it can be rewound.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.group.len())
    }

    /// Discards the changes of this transaction that were written after the mark.
    pub fn rewind(&mut self, mark: Mark) {
        if self.open {
            self.group.truncate(mark.0.max(self.transaction + TRANSACTION_HEADER));
        }
    }

    /// Writes a [`Change::Put`] of an integer.
    pub fn put_integer(&mut self, head: &PutHead<'_>, value: i64) {
        self.put_head(head, INTEGER);
        self.group.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a [`Change::Put`] of a string that is held in chunks, `length` bytes in all.
    pub fn put_bytes<'c>(
        &mut self,
        head: &PutHead<'_>,
        length: u64,
        chunks: impl IntoIterator<Item = &'c [u8]>,
    ) {
        self.put_head(head, BYTES);
        self.number(length);
        let start = self.group.len();
        for chunk in chunks {
            self.group.extend_from_slice(chunk);
        }
        debug_assert_eq!((self.group.len() - start) as u64, length, "the chunks make up the string");
    }

    /// Writes any change.
    pub fn push(&mut self, change: &Change<'_>) {
        debug_assert!(self.open, "changes belong to transactions");
        match *change {
            Change::Put { ref head, value: Value::Integer(value) } => self.put_integer(head, value),
            Change::Put { ref head, value: Value::Bytes(bytes) } => {
                self.put_bytes(head, bytes.len() as u64, [bytes]);
            }
            Change::Splice { database, key, offset, bytes, length } => {
                self.group.extend_from_slice(&[SPLICE, database]);
                self.bytes(key);
                self.number(offset);
                self.bytes(bytes);
                self.number(length);
            }
            Change::Expire { database, key, expires_at_ms } => {
                self.group.extend_from_slice(&[
                    EXPIRE,
                    database,
                    flag(expires_at_ms.is_some(), FLAG_EXPIRES),
                ]);
                self.time(expires_at_ms);
                self.bytes(key);
            }
            Change::Delete { database, key } => {
                self.group.extend_from_slice(&[DELETE, database]);
                self.bytes(key);
            }
            Change::Flush { database } => self.group.extend_from_slice(&[FLUSH, database]),
            Change::Swap { a, b } => self.group.extend_from_slice(&[SWAP, a, b]),
            Change::System { table, name, content } => {
                self.group.extend_from_slice(&[
                    SYSTEM,
                    table.number(),
                    flag(content.is_some(), FLAG_PRESENT),
                ]);
                self.bytes(name);
                if let Some(content) = content {
                    self.bytes(content);
                }
            }
        }
    }

    fn put_head(&mut self, head: &PutHead<'_>, kind: u8) {
        let flags = flag(head.expires_at_ms.is_some(), FLAG_EXPIRES) | flag(head.created, FLAG_CREATED);
        self.group.extend_from_slice(&[PUT, head.database, flags]);
        self.time(head.expires_at_ms);
        self.bytes(head.key);
        self.group.push(kind);
    }

    fn time(&mut self, time_ms: Option<u64>) {
        if let Some(time_ms) = time_ms {
            self.group.extend_from_slice(&time_ms.to_le_bytes());
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.group.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first, the high bit set on all but the last.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.group.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.group.push(number as u8);
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// The transactions of a group, in the order in which they were committed. After an error it ends.
#[derive(Debug, Clone)]
pub struct Transactions<'a>(Input<'a>);

/// The changes of a transaction, in order. After an error it ends.
#[derive(Debug, Clone)]
pub struct Changes<'a>(Input<'a>);

/// Reads a group that [`Encoder::finish`] returned.
pub fn decode(group: &[u8]) -> Result<Transactions<'_>, Damage> {
    match group.split_first() {
        Some((&FORMAT, rest)) => Ok(Transactions(Input(rest))),
        Some(_) => Err(Damage("unknown format")),
        None => Err(Damage("empty group")),
    }
}

impl<'a> Iterator for Transactions<'a> {
    type Item = Result<Changes<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|input| {
            let length = u64::from_le_bytes(input.array()?);
            Ok(Changes(Input(input.take(length)?)))
        })
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Input::change)
    }
}

/// What is left to read.
#[derive(Debug, Clone)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn next<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Damage>) -> Option<Result<T, Damage>> {
        if self.0.is_empty() {
            return None;
        }
        let result = read(self);
        if result.is_err() {
            self.0 = &[];
        }
        Some(result)
    }

    fn change(&mut self) -> Result<Change<'a>, Damage> {
        match self.byte()? {
            PUT => self.put(),
            SPLICE => {
                let (database, key) = (self.database()?, self.bytes()?);
                let (offset, bytes, length) = (self.number()?, self.bytes()?, self.number()?);
                let end = offset.checked_add(bytes.len() as u64);
                if end.is_none_or(|end| end > length) || length > STRING_BYTES {
                    return Err(Damage("splice beyond the end of its string"));
                }
                Ok(Change::Splice { database, key, offset, bytes, length })
            }
            EXPIRE => {
                let (database, flags) = (self.database()?, self.flags(FLAG_EXPIRES)?);
                let expires_at_ms = self.time(flags)?;
                Ok(Change::Expire { database, key: self.bytes()?, expires_at_ms })
            }
            DELETE => Ok(Change::Delete { database: self.database()?, key: self.bytes()? }),
            FLUSH => Ok(Change::Flush { database: self.database()? }),
            SWAP => Ok(Change::Swap { a: self.database()?, b: self.database()? }),
            SYSTEM => {
                let table = SystemTable::from_number(self.byte()?).ok_or(Damage("unknown system table"))?;
                let flags = self.flags(FLAG_PRESENT)?;
                let name = self.bytes()?;
                let content = if flags & FLAG_PRESENT != 0 { Some(self.bytes()?) } else { None };
                Ok(Change::System { table, name, content })
            }
            _ => Err(Damage("unknown kind of change")),
        }
    }

    fn put(&mut self) -> Result<Change<'a>, Damage> {
        let (database, flags) = (self.database()?, self.flags(FLAG_EXPIRES | FLAG_CREATED)?);
        let expires_at_ms = self.time(flags)?;
        let created = flags & FLAG_CREATED != 0;
        let head = PutHead { database, key: self.bytes()?, expires_at_ms, created };
        let value = match self.byte()? {
            INTEGER => Value::Integer(i64::from_le_bytes(self.array()?)),
            BYTES => Value::Bytes(self.bytes()?),
            _ => return Err(Damage("unknown kind of value")),
        };
        Ok(Change::Put { head, value })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Damage> {
        let length = usize::try_from(length).map_err(|_| Damage("impossible length"))?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damage("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Damage("cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Damage> {
        self.array().map(|[byte]| byte)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = self.number()?;
        self.take(length)
    }

    fn database(&mut self) -> Result<u8, Damage> {
        let database = self.byte()?;
        if usize::from(database) < DATABASES { Ok(database) } else { Err(Damage("no such database")) }
    }

    fn flags(&mut self, known: u8) -> Result<u8, Damage> {
        let flags = self.byte()?;
        if flags & !known == 0 { Ok(flags) } else { Err(Damage("unknown flag")) }
    }

    fn time(&mut self, flags: u8) -> Result<Option<u64>, Damage> {
        if flags & FLAG_EXPIRES == 0 {
            return Ok(None);
        }
        self.array().map(u64::from_le_bytes).map(Some)
    }

    fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damage("number beyond 64 bits"))
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
