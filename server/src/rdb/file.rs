//! `dump.rdb`: a whole database file, read key by key.

use std::io::{self, Read};

use super::input::Input;
use super::value::Value;
use super::{CHECKSUM, Error, READ_VERSION, Result};

/// What introduces something that is not a key.
mod opcode {
    pub const SLOT: u8 = 244;
    pub const FUNCTION: u8 = 245;
    pub const FUNCTION_OLD: u8 = 246;
    pub const MODULE: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQUENCY: u8 = 249;
    pub const INFORMATION: u8 = 250;
    pub const SIZES: u8 = 251;
    pub const EXPIRES_MS: u8 = 252;
    pub const EXPIRES_S: u8 = 253;
    pub const DATABASE: u8 = 254;
    pub const END: u8 = 255;
}

/// A key of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The number of its database.
    pub database: u64,
    /// Its name.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Value,
    /// When it ends, in milliseconds of unix time.
    pub expires_at_ms: Option<u64>,
}

/// A file that is being read. After an error it ends.
pub struct File<R> {
    input: Input<Summing<R>>,
    database: u64,
    version: u16,
    is_done: bool,
    /// Libraries of functions that were passed over: they are in Lua.
    pub libraries: u64,
}

/// Computes the checksum of what is read.
struct Summing<R> {
    source: R,
    digest: crc::Digest<'static, u64, crc::Table<16>>,
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buffer)?;
        self.digest.update(&buffer[..len]);
        Ok(len)
    }
}

impl<R: Read> File<R> {
    /// Starts reading; give it a buffered reader.
    pub fn open(source: R) -> Result<Self> {
        const NOT_A_FILE: Error = Error::Malformed("this is not a database file of Redis");
        let mut input = Input::of(Summing { source, digest: CHECKSUM.digest() });
        let magic: [u8; 9] = input.array()?;
        let version = magic.strip_prefix(b"REDIS").and_then(|digits| std::str::from_utf8(digits).ok());
        let version = version.and_then(|digits| digits.parse().ok()).ok_or(NOT_A_FILE)?;
        if version > READ_VERSION {
            return Err(Error::Unsupported("a file of a newer version"));
        }
        Ok(Self { input, database: 0, version, is_done: false, libraries: 0 })
    }

    /// How many bytes have been read.
    pub fn position(&self) -> u64 {
        self.input.position
    }

    fn read_entry(&mut self) -> Result<Option<Entry>> {
        let mut expires_at_ms = None;
        loop {
            let input = &mut self.input;
            match input.byte()? {
                opcode::EXPIRES_MS => expires_at_ms = Some(input.u64()?),
                opcode::EXPIRES_S => {
                    expires_at_ms = Some(u64::from(u32::from_le_bytes(input.array()?)) * 1000);
                }
                opcode::DATABASE => self.database = input.length()?,
                opcode::SIZES => {
                    input.length()?;
                    input.length()?;
                }
                // A slot of a cluster, and how many keys are in it, of which how many have an end.
                opcode::SLOT => {
                    input.length()?;
                    input.length()?;
                    input.length()?;
                }
                opcode::INFORMATION => {
                    input.string()?;
                    input.string()?;
                }
                opcode::IDLE => drop(input.length()?),
                opcode::FREQUENCY => drop(input.byte()?),
                opcode::FUNCTION => {
                    input.string()?;
                    self.libraries += 1;
                }
                opcode::MODULE | opcode::FUNCTION_OLD => {
                    return Err(Error::Unsupported("data of a module or of a preview of Redis 7"));
                }
                opcode::END => {
                    self.check_end()?;
                    return Ok(None);
                }
                kind => {
                    let key = input.string()?;
                    let value = Value::read(kind, input)?;
                    return Ok(Some(Entry { database: self.database, key, value, expires_at_ms }));
                }
            }
        }
    }

    /// The checksum at the end, which is 0 where Redis was told not to make one.
    fn check_end(&mut self) -> Result<()> {
        const FIRST_WITH_CHECKSUM: u16 = 5;
        if self.version < FIRST_WITH_CHECKSUM {
            return Ok(());
        }
        let expected = self.input.source().digest.clone().finalize();
        match self.input.u64()? {
            0 => Ok(()),
            found if found == expected => Ok(()),
            _ => Err(Error::VersionOrChecksum),
        }
    }
}

impl<R: Read> Iterator for File<R> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let entry = self.read_entry().transpose();
        self.is_done = !matches!(entry, Some(Ok(_)));
        entry
    }
}
