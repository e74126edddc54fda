//! The string value: an integer, bytes as they were set, or bytes in chunks. Knows bytes and numbers only.

use std::borrow::Cow;
use std::fmt;

use triomphe::Arc;

use super::allocation_size;
use super::chunked::{ARC_OVERHEAD, CHUNK_LEN, Chunk, ChunkedBytes};
use super::number::{IntegerBuffer, MAX_INTEGER_LEN, parse_integer};

/// The longest string that OBJECT ENCODING calls `embstr`, in bytes.
const EMBEDDED_MAX_LEN: usize = 44;

/// A string; cloning it is O(1), and so is its first change after that, but for one chunk.
///
/// Lengths are not limited here: whoever lets a string grow checks `proto-max-bulk-len` first.
#[derive(Clone)]
pub enum StringValue {
    /// The canonical decimal text of this number.
    Integer(i64),
    /// At most [`CHUNK_LEN`] bytes, as they were set.
    Bytes(Arc<[u8]>),
    /// Longer than that, or changed in place.
    Chunked(ChunkedBytes),
}

impl StringValue {
    /// Stores `bytes`, as a number if they are the canonical text of one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match parse_integer(bytes) {
            Some(integer) => Self::Integer(integer),
            None => Self::verbatim(bytes),
        }
    }

    /// Stores `bytes` as they are, even if they are a number, in the least memory.
    #[must_use]
    pub fn verbatim(bytes: &[u8]) -> Self {
        if bytes.len() <= CHUNK_LEN {
            Self::Bytes(Arc::from(bytes))
        } else {
            Self::Chunked(ChunkedBytes::from_slice(bytes))
        }
    }

    /// Stores `bytes` as they are, even if they are a number: the form of what was changed in place.
    #[must_use]
    pub fn raw(bytes: &[u8]) -> Self {
        Self::Chunked(ChunkedBytes::from_slice(bytes))
    }

    /// Stores a number.
    #[must_use]
    pub const fn from_integer(integer: i64) -> Self {
        Self::Integer(integer)
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(integer) => IntegerBuffer::new().format(*integer).len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Chunked(chunked) => chunked.len(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Integer(_) => false,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Chunked(chunked) => chunked.is_empty(),
        }
    }

    /// The number that the bytes are the canonical text of, however they are stored.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            Self::Bytes(_) | Self::Chunked(_) => parse_integer(self.contiguous()?),
        }
    }

    /// Replaces the value, as [`Self::from_bytes`] would make it, in the same memory if it is unshared and fits.
    pub fn overwrite(&mut self, bytes: &[u8]) {
        if let Self::Bytes(old) = self
            && old.len() == bytes.len()
            && (bytes.len() > MAX_INTEGER_LEN || parse_integer(bytes).is_none())
            && let Some(memory) = Arc::get_mut(old)
        {
            memory.copy_from_slice(bytes);
        } else {
            *self = Self::from_bytes(bytes);
        }
    }

    /// Adds `tail` at the end.
    pub fn append(&mut self, tail: &[u8]) {
        self.change(|bytes| bytes.append(tail));
    }

    /// Writes `bytes` over what is at `offset`, growing as needed; zeroes fill a gap. No bytes change nothing.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.change(|chunked| chunked.write(offset, bytes));
        }
    }

    /// Adds zeroes at the end until the length is `len`, if it is less.
    pub fn grow_to(&mut self, len: usize) {
        if self.len() < len {
            self.change(|chunked| chunked.grow_to(len));
        }
    }

    /// Applies `change` to the bytes in the form that can be changed in place.
    fn change(&mut self, change: impl FnOnce(&mut ChunkedBytes)) {
        if let Self::Chunked(chunked) = self {
            change(chunked);
        } else {
            let mut chunked = ChunkedBytes::from_slice(&self.to_bytes());
            change(&mut chunked);
            *self = Self::Chunked(chunked);
        }
    }

    /// All the bytes, if they lie in one piece.
    #[must_use]
    pub fn contiguous(&self) -> Option<&[u8]> {
        match self {
            Self::Integer(_) => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::Chunked(chunked) => match chunked.as_slice() {
                [] => Some(&[]),
                [chunk] => Some(chunk),
                _ => None,
            },
        }
    }

    /// All the bytes in one piece, copied if they are not.
    #[must_use]
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        self.contiguous().map_or_else(|| Cow::Owned(self.range(0, usize::MAX)), Cow::Borrowed)
    }

    /// Adds all the bytes to `output`.
    pub fn append_to(&self, output: &mut Vec<u8>) {
        if let Some(bytes) = self.contiguous() {
            output.extend_from_slice(bytes);
            return;
        }
        for chunk in self.chunks(&mut IntegerBuffer::new()) {
            output.extend_from_slice(chunk);
        }
    }

    /// The bytes from `start` to before `end`, as far as there are any.
    #[must_use]
    pub fn range(&self, start: usize, end: usize) -> Vec<u8> {
        let mut output = Vec::with_capacity(self.len().min(end).saturating_sub(start));
        for slice in self.slices(start, end, &mut IntegerBuffer::new()) {
            output.extend_from_slice(slice);
        }
        output
    }

    /// Copies the bytes from `offset` on into `output`, as far as there are any; yields how many.
    pub fn copy_range(&self, offset: usize, output: &mut [u8]) -> usize {
        // Short strings are what bit operations mostly meet.
        if let Some(bytes) = self.contiguous() {
            let bytes = bytes.get(offset..).unwrap_or_default();
            let len = bytes.len().min(output.len());
            output[..len].copy_from_slice(&bytes[..len]);
            return len;
        }
        let mut copied = 0;
        for slice in self.slices(offset, offset.saturating_add(output.len()), &mut IntegerBuffer::new()) {
            output[copied..copied + slice.len()].copy_from_slice(slice);
            copied += slice.len();
        }
        copied
    }

    /// All the bytes in pieces of [`CHUNK_LEN`], of which the last may be shorter and none is empty.
    pub fn chunks<'a>(&'a self, scratch: &'a mut IntegerBuffer) -> impl Iterator<Item = &'a [u8]> {
        self.slices(0, usize::MAX, scratch)
    }

    /// The bytes from `start` to before `end` in pieces, as far as there are any, cut where the chunks are.
    pub fn slices<'a>(
        &'a self,
        start: usize,
        end: usize,
        scratch: &'a mut IntegerBuffer,
    ) -> impl Iterator<Item = &'a [u8]> {
        let (short, chunks): (&[u8], &[Chunk]) = match self {
            Self::Integer(integer) => (scratch.format(*integer), &[]),
            Self::Bytes(bytes) => (bytes, &[]),
            Self::Chunked(chunked) => (&[], chunked.as_slice()),
        };
        let first = (start / CHUNK_LEN).min(chunks.len());
        let behind_last = end.div_ceil(CHUNK_LEN).clamp(first, chunks.len());
        let mut position = first * CHUNK_LEN;
        std::iter::once(short)
            .chain(chunks[first..behind_last].iter().map(|chunk| chunk.as_slice()))
            .map(move |piece| {
                let from = start.saturating_sub(position).min(piece.len());
                let to = end.saturating_sub(position).min(piece.len());
                position += piece.len();
                &piece[from..to.max(from)]
            })
            .filter(|slice| !slice.is_empty())
    }

    /// What OBJECT ENCODING says: `int`, `embstr` or `raw`.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Integer(_) => "int",
            Self::Bytes(bytes) if bytes.len() <= EMBEDDED_MAX_LEN => "embstr",
            Self::Bytes(_) | Self::Chunked(_) => "raw",
        }
    }

    /// Bytes of memory that the value takes on the heap.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        match self {
            Self::Integer(_) => 0,
            Self::Bytes(bytes) => allocation_size(ARC_OVERHEAD + bytes.len().next_multiple_of(ARC_OVERHEAD)),
            Self::Chunked(chunked) => chunked.memory_usage(),
        }
    }
}

/// Equal if the bytes are, however they are stored.
impl PartialEq for StringValue {
    fn eq(&self, other: &Self) -> bool {
        self.chunks(&mut IntegerBuffer::new()).eq(other.chunks(&mut IntegerBuffer::new()))
    }
}

impl Eq for StringValue {}

/// The first bytes only: a value may have half a gigabyte.
impl fmt::Debug for StringValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_LEN: usize = 32;
        let shown = self.range(0, SHOWN_LEN);
        let dots = if self.len() > SHOWN_LEN { "..." } else { "" };
        write!(formatter, "\"{}\"{dots} ({}, {} bytes)", shown.escape_ascii(), self.encoding(), self.len())
    }
}

#[cfg(test)]
mod tests;
