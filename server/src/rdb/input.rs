//! Reading numbers, lengths and strings, from memory or from a file. Knows no values.

use std::io::Read;

use super::{Error, Result, lzf};

/// The longest string, as Redis' default `proto-max-bulk-len`.
const MAX_STRING_BYTES: u64 = 512 * 1024 * 1024;

/// How much is read at once of a string whose length is only claimed.
const STEP_BYTES: usize = 1024 * 1024;

/// A length or, with the two highest bits set, an encoding.
enum Length {
    Plain(u64),
    Encoded(u8),
}

/// Bytes to read from.
pub struct Input<R> {
    source: R,
    /// How many bytes have been read.
    pub position: u64,
}

impl<'a> Input<&'a [u8]> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::of(bytes)
    }

    pub fn is_at_end(&self) -> bool {
        self.source.is_empty()
    }
}

impl<R: Read> Input<R> {
    pub fn of(source: R) -> Self {
        Self { source, position: 0 }
    }

    pub fn source(&self) -> &R {
        &self.source
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub fn bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        if len > MAX_STRING_BYTES {
            return Err(Error::Malformed("a string too long"));
        }
        // The length is a claim: memory is taken for what has come.
        let (len, mut bytes) = (len as usize, Vec::new());
        while bytes.len() < len {
            let start = bytes.len();
            bytes.resize(len.min(start + STEP_BYTES), 0);
            self.source.read_exact(&mut bytes[start..])?;
        }
        self.position += len as u64;
        Ok(bytes)
    }

    fn length_or_encoding(&mut self) -> Result<Length> {
        const WIDE: u8 = 0x80;
        const WIDER: u8 = 0x81;
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first & 0x3f)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            3 => Length::Encoded(first & 0x3f),
            _ if first == WIDE => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            _ if first == WIDER => Length::Plain(u64::from_be_bytes(self.array()?)),
            _ => return Err(Error::Malformed("an unknown form of length")),
        })
    }

    pub fn length(&mut self) -> Result<u64> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(Error::Malformed("an encoding instead of a length")),
        }
    }

    /// A string in any of its forms: plain, a number, compressed.
    pub fn string(&mut self) -> Result<Vec<u8>> {
        let number = match self.length_or_encoding()? {
            Length::Plain(length) => return self.bytes(length),
            Length::Encoded(0) => i8::from_le_bytes(self.array()?).into(),
            Length::Encoded(1) => i16::from_le_bytes(self.array()?).into(),
            Length::Encoded(2) => i32::from_le_bytes(self.array()?),
            Length::Encoded(3) => {
                let (compressed, len) = (self.length()?, self.length()?);
                if len > MAX_STRING_BYTES {
                    return Err(Error::Malformed("a string too long"));
                }
                return lzf::decompress(&self.bytes(compressed)?, len as usize);
            }
            Length::Encoded(_) => return Err(Error::Malformed("an unknown encoding of a string")),
        };
        Ok(number.to_string().into_bytes())
    }

    /// A number of 64 bits, the lowest first.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The score in the text form of the oldest sorted sets.
    pub fn text_float(&mut self) -> Result<f64> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => {
                let text = self.bytes(len.into())?;
                let text = std::str::from_utf8(&text).ok();
                text.and_then(|text| text.parse().ok()).ok_or(Error::Malformed("a score that is no number"))
            }
        }
    }
}
