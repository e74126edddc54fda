//! Lists of strings and numbers in one piece of memory: listpack, and what came before it (ziplist, intset).

use super::value::Strings;
use super::{Error, Result};

const CUT_SHORT: Error = Error::Malformed("a packed list cut short");

/// Bytes of a packed list that are still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(CUT_SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A signed number of so many bytes, the lowest first.
    fn signed(&mut self, len: usize) -> Result<i64> {
        let mut bytes = [0; 8];
        bytes[8 - len..].copy_from_slice(self.take(len)?);
        Ok(i64::from_le_bytes(bytes) >> (64 - 8 * len))
    }
}

fn push_number(number: i64, strings: &mut Strings) {
    strings.push(itoa::Buffer::new().format(number).as_bytes());
}

/// Adds the elements of a listpack.
pub fn listpack(bytes: &[u8], strings: &mut Strings) -> Result<()> {
    const HEADER_BYTES: usize = 6;
    const END: u8 = 0xff;
    let mut rest = Rest(bytes);
    let header = rest.take(HEADER_BYTES)?;
    if u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize != bytes.len() {
        return Err(Error::Malformed("a listpack of another length"));
    }
    loop {
        let before = rest.0.len();
        match rest.byte()? {
            END => break,
            first @ 0x00..=0x7f => push_number(first.into(), strings),
            first @ 0x80..=0xbf => strings.push(rest.take(usize::from(first & 0x3f))?),
            first @ 0xc0..=0xdf => {
                let number = i64::from(first & 0x1f) << 8 | i64::from(rest.byte()?);
                push_number(if number < 1 << 12 { number } else { number - (1 << 13) }, strings);
            }
            first @ 0xe0..=0xef => {
                let len = usize::from(first & 0x0f) << 8 | usize::from(rest.byte()?);
                strings.push(rest.take(len)?);
            }
            0xf0 => {
                let len = rest.take(4)?;
                let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
                strings.push(rest.take(len)?);
            }
            0xf1 => push_number(rest.signed(2)?, strings),
            0xf2 => push_number(rest.signed(3)?, strings),
            0xf3 => push_number(rest.signed(4)?, strings),
            0xf4 => push_number(rest.signed(8)?, strings),
            0xf5..=0xfe => return Err(Error::Malformed("an unknown element of a listpack")),
        }
        rest.take(backward_bytes(before - rest.0.len()))?;
    }
    if rest.0.is_empty() { Ok(()) } else { Err(Error::Malformed("bytes behind the end of a listpack")) }
}

/// Bytes of the length that stands behind an element of so many bytes.
const fn backward_bytes(len: usize) -> usize {
    match len {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        0x20_0000..=0xfff_ffff => 4,
        _ => 5,
    }
}

/// Adds the elements of a ziplist.
pub fn ziplist(bytes: &[u8], strings: &mut Strings) -> Result<()> {
    const HEADER_BYTES: usize = 10;
    const END: u8 = 0xff;
    const LONG_PREVIOUS: u8 = 0xfe;
    let mut rest = Rest(bytes);
    rest.take(HEADER_BYTES)?;
    loop {
        match rest.byte()? {
            END => break,
            LONG_PREVIOUS => drop(rest.take(4)?),
            _ => {}
        }
        match rest.byte()? {
            first @ 0x00..=0x3f => strings.push(rest.take(first.into())?),
            first @ 0x40..=0x7f => {
                let len = usize::from(first & 0x3f) << 8 | usize::from(rest.byte()?);
                strings.push(rest.take(len)?);
            }
            0x80..=0xbf => {
                let len = rest.take(4)?;
                let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
                strings.push(rest.take(len)?);
            }
            0xc0 => push_number(rest.signed(2)?, strings),
            0xd0 => push_number(rest.signed(4)?, strings),
            0xe0 => push_number(rest.signed(8)?, strings),
            0xf0 => push_number(rest.signed(3)?, strings),
            0xfe => push_number(rest.signed(1)?, strings),
            first @ 0xf1..=0xfd => push_number(i64::from(first & 0x0f) - 1, strings),
            _ => return Err(Error::Malformed("an unknown element of a ziplist")),
        }
    }
    if rest.0.is_empty() { Ok(()) } else { Err(Error::Malformed("bytes behind the end of a ziplist")) }
}

/// Adds the numbers of an intset as text.
pub fn intset(bytes: &[u8], strings: &mut Strings) -> Result<()> {
    let mut rest = Rest(bytes);
    let width = rest.signed(4)?;
    let count = rest.signed(4)?;
    if !matches!(width, 2 | 4 | 8) || count.checked_mul(width) != Some(rest.0.len() as i64) {
        return Err(Error::Malformed("an intset of another length"));
    }
    for _ in 0..count {
        push_number(rest.signed(width as usize)?, strings);
    }
    Ok(())
}

/// Writes a listpack.
#[derive(Debug)]
pub struct ListpackWriter {
    bytes: Vec<u8>,
    elements: usize,
}

impl ListpackWriter {
    pub fn new() -> Self {
        Self { bytes: vec![0; 6], elements: 0 }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a number.
    pub fn number(&mut self, number: i64) {
        let start = self.bytes.len();
        match number {
            0..=0x7f => self.bytes.push(number as u8),
            -0x1000..=0xfff => {
                self.bytes.extend_from_slice(&[0xc0 | (number >> 8) as u8 & 0x1f, number as u8]);
            }
            _ => {
                self.bytes.push(0xf4);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        self.finish_element(start);
    }

    /// Adds a string; one that is the text of a number may be written as such a number by the reader's choice.
    pub fn string(&mut self, string: &[u8]) {
        let start = self.bytes.len();
        match string.len() {
            len @ 0..=0x3f => self.bytes.push(0x80 | len as u8),
            len @ 0x40..=0xfff => self.bytes.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]),
            len => {
                self.bytes.push(0xf0);
                self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(string);
        self.finish_element(start);
    }

    /// Writes the length of the element behind it, for reading backwards: seven bits a byte, the highest first.
    fn finish_element(&mut self, start: usize) {
        let len = self.bytes.len() - start;
        let count = backward_bytes(len);
        for index in (0..count).rev() {
            let more = if index + 1 == count { 0 } else { 0x80 };
            self.bytes.push((len >> (7 * index)) as u8 & 0x7f | more);
        }
        self.elements += 1;
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0xff);
        let (len, elements) = (self.bytes.len() as u32, self.elements.min(usize::from(u16::MAX)) as u16);
        self.bytes[..4].copy_from_slice(&len.to_le_bytes());
        self.bytes[4..6].copy_from_slice(&elements.to_le_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_listpack_reads_back_as_it_was_written(
            numbers: Vec<i64>, strings: Vec<Vec<u8>>, long in 0_usize..20_000
        ) {
            let mut writer = ListpackWriter::new();
            for number in &numbers {
                writer.number(*number);
            }
            for string in &strings {
                writer.string(string);
            }
            writer.string(&vec![b'x'; long]);
            let expected: Strings = numbers.iter().map(|number| number.to_string().into_bytes())
                .chain(strings).chain([vec![b'x'; long]]).collect();
            let mut read = Strings::default();
            listpack(&writer.finish(), &mut read).unwrap();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes: Vec<u8>) {
            let mut strings = Strings::default();
            for read in [listpack, ziplist, intset] {
                let _ = read(&bytes, &mut strings);
            }
            let mut with_length = (bytes.len() as u32 + 6).to_le_bytes().to_vec();
            with_length.extend_from_slice(&[0, 0]);
            with_length.extend_from_slice(&bytes);
            let _ = listpack(&with_length, &mut strings);
        }
    }
}
