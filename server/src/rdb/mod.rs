//! Redis' own formats of values and files: what DUMP gives and RESTORE takes, and `dump.rdb`.
//!
//! Owns the bytes: lengths, compressed strings, listpacks and their older relatives, checksums. Values are plain vectors
//! of packed strings here; nothing is known of keys, commands or of how values lie in memory. Every byte may come from a stranger: what is
//! wrong is an [`Error`], and what is announced is not believed before it has been read.
//!
//! The format is described nowhere but in Redis' source (`rdb.c`, `listpack.c`, `ziplist.c`, `t_stream.c`); the tests
//! compare with a redis-server.

mod file;
mod input;
mod lzf;
mod packed;
mod stream;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub use file::{Entry, File};
pub use stream::{Consumer, Group, Pending, Stream, StreamEntry, StreamId};
pub use value::{Strings, Value, pairs};
pub use writer::write_value;

use std::fmt;

use crc::{CRC_64_REDIS, Crc, Table};

use input::Input;

/// The newest version of the format that is read: that of Redis 7.4 and 8.0.
const READ_VERSION: u16 = 12;

/// The version that is written: that of Redis 7.0, which newer servers read too.
const WRITTEN_VERSION: u16 = 10;

/// The version that is written of a hash whose fields have ends: that of Redis 7.4, the first to know them.
const EXPIRING_VERSION: u16 = 12;

/// Bytes behind a payload: the version and the checksum.
const FOOTER_BYTES: usize = 2 + 8;

const CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Why bytes are not what they should be.
#[derive(Debug)]
pub enum Error {
    /// The version is newer than this server, or the checksum is another one.
    VersionOrChecksum,
    /// The content makes no sense; the text says what was expected.
    Malformed(&'static str),
    /// Something that is not supported, such as the value of a module.
    Unsupported(&'static str),
    /// The file cannot be read.
    Io(std::io::Error),
}

/// What most functions here give.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionOrChecksum => formatter.write_str("DUMP payload version or checksum are wrong"),
            Self::Malformed(what) => write!(formatter, "bad data format: {what}"),
            Self::Unsupported(what) => write!(formatter, "{what} cannot be read"),
            Self::Io(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Malformed("it ends too early"),
            _ => Self::Io(error),
        }
    }
}

/// Reads a payload of DUMP.
pub fn restore(payload: &[u8]) -> Result<Value> {
    let (body, footer) = payload
        .len()
        .checked_sub(FOOTER_BYTES)
        .map(|end| payload.split_at(end))
        .ok_or(Error::VersionOrChecksum)?;
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    let checksum = &footer[2..];
    if version > READ_VERSION || CHECKSUM.checksum(&payload[..payload.len() - 8]).to_le_bytes() != *checksum {
        return Err(Error::VersionOrChecksum);
    }
    let mut input = Input::new(body);
    let kind = input.byte()?;
    let value = Value::read(kind, &mut input)?;
    if !input.is_at_end() {
        return Err(Error::Malformed("more bytes than the value has"));
    }
    Ok(value)
}

/// Writes what DUMP gives.
#[must_use]
pub fn dump(value: &Value) -> Vec<u8> {
    let mut payload = Vec::new();
    write_value(value, &mut payload);
    let version = if matches!(value, Value::ExpiringHash(..)) { EXPIRING_VERSION } else { WRITTEN_VERSION };
    payload.extend_from_slice(&version.to_le_bytes());
    let checksum = CHECKSUM.checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}
