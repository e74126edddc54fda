//! Bit operations over strings. Bit 0 is the highest bit of the first byte, and beyond the end all bits are zero.
//! Knows strings only: limits of offsets, missing keys and replies are the callers' business.

mod field;

pub use field::{FieldType, Overflow, get_field, increment_field, set_field};

use super::chunked::{CHUNK_LEN, ChunkedBytes};
use super::number::IntegerBuffer;
use super::string::StringValue;

/// What BITCOUNT and BITPOS count their indices in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Eight bits each.
    Byte,
    /// Single bits.
    Bit,
}

/// A BITOP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Bits set in all sources.
    And,
    /// Bits set in any source.
    Or,
    /// Bits set in an odd number of sources.
    Xor,
    /// Bits not set in the first source, which is the only one.
    Not,
}

/// The bit at `offset`.
#[must_use]
pub fn get_bit(value: &StringValue, offset: u64) -> bool {
    let mut byte = [0];
    value.copy_range((offset / 8) as usize, &mut byte);
    byte[0] & mask_of(offset) != 0
}

/// Sets the bit at `offset`, growing the string as needed, and yields what it was.
pub fn set_bit(value: &mut StringValue, offset: u64, bit: bool) -> bool {
    let position = (offset / 8) as usize;
    let mut byte = [0];
    value.copy_range(position, &mut byte);
    let mask = mask_of(offset);
    let old = byte[0] & mask != 0;
    byte[0] = if bit { byte[0] | mask } else { byte[0] & !mask };
    // Even if nothing changes: the string then exists, is long enough and is in its raw form.
    value.set_range(position, &byte);
    old
}

/// The number of bits that are set, in the whole string or between two indices, both included.
///
/// Indices below zero count from the end.
#[must_use]
pub fn count_bits(value: &StringValue, range: Option<(i64, i64, Unit)>) -> u64 {
    let (start, end, unit) = range.unwrap_or((0, -1, Unit::Byte));
    // Before they are clipped: otherwise -20 to -30 would be the first byte of a shorter string.
    if start < 0 && end < 0 && start > end {
        return 0;
    }
    let Some((from, to)) = resolve(value.len(), start, end, unit) else { return 0 };
    let slices_from = (from / 8) as usize;
    let slices_to = to.div_ceil(8) as usize;
    let bytes: u64 =
        value.slices(slices_from, slices_to, &mut IntegerBuffer::new()).map(count_in_slice).sum();
    let before = (from / 8 * 8..from).filter(|&offset| get_bit(value, offset)).count();
    let behind = (to..slices_to as u64 * 8).filter(|&offset| get_bit(value, offset)).count();
    bytes - (before + behind) as u64
}

/// The offset of the first bit that equals `bit` between two indices, both included; `None` if there is none.
///
/// Indices below zero count from the end. Without `end`, zeroes are also found behind the end of the string, unless
/// `start` lies there too.
#[must_use]
pub fn find_bit(value: &StringValue, bit: bool, start: i64, end: Option<i64>, unit: Unit) -> Option<u64> {
    let (from, to) = resolve(value.len(), start, end.unwrap_or(-1), unit)?;
    let byte_aligned = from.next_multiple_of(8);
    if let Some(offset) = (from..byte_aligned.min(to)).find(|&offset| get_bit(value, offset) == bit) {
        return Some(offset);
    }
    // Turned so that the first bit that is set is looked for.
    let flip = if bit { 0x00 } else { 0xff };
    let mut position = byte_aligned / 8;
    for slice in value.slices(position as usize, to.div_ceil(8) as usize, &mut IntegerBuffer::new()) {
        if let Some(index) = find_other_byte(slice, flip) {
            let offset = (position + index as u64) * 8 + u64::from((slice[index] ^ flip).leading_zeros());
            return (offset < to).then_some(offset);
        }
        position += slice.len() as u64;
    }
    (end.is_none() && !bit).then_some(to)
}

/// Combines the sources into a string as long as the longest; shorter ones are filled up with zeroes.
#[must_use]
pub fn combine(operation: Operation, sources: &[&StringValue]) -> StringValue {
    let Some((first, others)) = sources.split_first() else { return StringValue::raw(b"") };
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let chunks = (0..len).step_by(CHUNK_LEN).map(|offset| {
        let mut chunk = vec![0; CHUNK_LEN.min(len - offset)];
        first.copy_range(offset, &mut chunk);
        if operation == Operation::Not {
            for byte in &mut chunk {
                *byte = !*byte;
            }
        }
        for source in others {
            combine_chunk(operation, &mut chunk, source, offset);
        }
        chunk
    });
    StringValue::Chunked(ChunkedBytes::from_chunks(chunks))
}

/// Combines `chunk` with what `source` has at `offset`.
fn combine_chunk(operation: Operation, chunk: &mut [u8], source: &StringValue, offset: usize) {
    let mut rest = chunk;
    for slice in source.slices(offset, offset + rest.len(), &mut IntegerBuffer::new()) {
        let (bytes, behind) = rest.split_at_mut(slice.len());
        let pairs = bytes.iter_mut().zip(slice);
        match operation {
            Operation::And => pairs.for_each(|(byte, other)| *byte &= other),
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => {}
        }
        rest = behind;
    }
    if operation == Operation::And {
        rest.fill(0);
    }
}

fn mask_of(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// The bits from the first to before the second that the indices mean; `None` if there are none.
fn resolve(len: usize, start: i64, end: i64, unit: Unit) -> Option<(u64, u64)> {
    let bits_each = match unit {
        Unit::Byte => 8,
        Unit::Bit => 1,
    };
    let total = len as i64 * 8 / bits_each;
    let from_end = |index: i64| if index < 0 { index.saturating_add(total).max(0) } else { index };
    let start = from_end(start);
    let end = from_end(end).min(total - 1);
    (start <= end).then(|| ((start * bits_each) as u64, ((end + 1) * bits_each) as u64))
}

fn count_in_slice(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    in_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The index of the first byte that is not `skipped`.
fn find_other_byte(bytes: &[u8], skipped: u8) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let equal_words = words.iter().take_while(|word| **word == [skipped; 8]).count();
    let start = equal_words * 8;
    bytes[start..].iter().position(|byte| *byte != skipped).map(|index| start + index)
}

#[cfg(test)]
mod tests;
