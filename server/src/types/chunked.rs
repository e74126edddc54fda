//! Long byte strings in shared chunks, copied when written to. Knows bytes only.

use std::sync::LazyLock;

use triomphe::Arc;

use super::allocation_size;

/// Length in bytes of every chunk but the last one; the rows of long values on disk have the same.
pub const CHUNK_LEN: usize = 64 * 1024;

/// One chunk; its capacity may exceed its length, so that appending does not copy each time.
pub(super) type Chunk = Arc<Vec<u8>>;

/// Bytes in chunks: all of [`CHUNK_LEN`] but the last, which is shorter or as long, never empty.
///
/// A clone shares everything. A write copies the list of chunks if that is shared, and each chunk that it touches.
/// Zeroes that nobody wrote are one chunk, shared by all.
#[derive(Clone, Default)]
pub struct ChunkedBytes(Arc<Vec<Chunk>>);

static ZEROES: LazyLock<Chunk> = LazyLock::new(|| Arc::new(vec![0; CHUNK_LEN]));

/// What an `Arc` adds to its content, in bytes: the count.
pub(super) const ARC_OVERHEAD: usize = size_of::<usize>();

impl ChunkedBytes {
    /// Copies `bytes`.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self::from_chunks(bytes.chunks(CHUNK_LEN).map(<[u8]>::to_vec))
    }

    /// Takes chunks that keep the rule: all of [`CHUNK_LEN`] but the last, which is not empty.
    pub(super) fn from_chunks(chunks: impl Iterator<Item = Vec<u8>>) -> Self {
        Self(Arc::new(chunks.map(Arc::new).collect()))
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK_LEN + last.len())
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_slice(&self) -> &[Chunk] {
        &self.0
    }

    /// Adds `tail` at the end.
    pub fn append(&mut self, mut tail: &[u8]) {
        let chunks = Arc::make_mut(&mut self.0);
        while !tail.is_empty() {
            let last = last_with_room(chunks);
            let (fitting, rest) = tail.split_at(tail.len().min(CHUNK_LEN - last.len()));
            reserve(last, fitting.len());
            last.extend_from_slice(fitting);
            tail = rest;
        }
    }

    /// Adds zeroes at the end until the length is `len`, if it is less; whole chunks of them take no memory.
    pub fn grow_to(&mut self, len: usize) {
        let mut missing = len.saturating_sub(self.len());
        if missing == 0 {
            return;
        }
        let chunks = Arc::make_mut(&mut self.0);
        while missing > 0 {
            if missing >= CHUNK_LEN && chunks.last().is_none_or(|last| last.len() == CHUNK_LEN) {
                chunks.push(Arc::clone(&ZEROES));
                missing -= CHUNK_LEN;
                continue;
            }
            let last = last_with_room(chunks);
            let fitting = missing.min(CHUNK_LEN - last.len());
            reserve(last, fitting);
            last.resize(last.len() + fitting, 0);
            missing -= fitting;
        }
    }

    /// Writes `bytes` over what is at `offset`, growing as needed; zeroes fill a gap.
    pub fn write(&mut self, offset: usize, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.grow_to(offset + bytes.len());
        let chunks = Arc::make_mut(&mut self.0);
        let mut start = offset % CHUNK_LEN;
        for chunk in &mut chunks[offset / CHUNK_LEN..] {
            let (fitting, rest) = bytes.split_at(bytes.len().min(CHUNK_LEN - start));
            Arc::make_mut(chunk)[start..start + fitting.len()].copy_from_slice(fitting);
            bytes = rest;
            start = 0;
            if bytes.is_empty() {
                break;
            }
        }
    }

    /// Bytes of memory that this value takes; chunks that it shares with others count, those of zeroes do not.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        let header = allocation_size(ARC_OVERHEAD + size_of::<Vec<Chunk>>());
        let of_chunk = |chunk: &Chunk| header + allocation_size(chunk.capacity());
        let own = self.0.iter().filter(|chunk| !Arc::ptr_eq(chunk, &ZEROES));
        header + allocation_size(self.0.capacity() * size_of::<Chunk>()) + own.map(of_chunk).sum::<usize>()
    }
}

/// The last chunk, or a new one behind it if it is full.
fn last_with_room(chunks: &mut Vec<Chunk>) -> &mut Vec<u8> {
    if chunks.last().is_none_or(|last| last.len() == CHUNK_LEN) {
        // Most values that are changed in place stay in one chunk.
        chunks.reserve_exact(usize::from(chunks.is_empty()));
        chunks.push(Arc::default());
    }
    let last = chunks.len() - 1;
    Arc::make_mut(&mut chunks[last])
}

/// Makes room for `additional` bytes, doubling but never beyond a full chunk.
fn reserve(chunk: &mut Vec<u8>, additional: usize) {
    let needed = chunk.len() + additional;
    if needed > chunk.capacity() {
        let capacity = if chunk.is_empty() { needed } else { needed.max(chunk.capacity() * 2) };
        chunk.reserve_exact(capacity.min(CHUNK_LEN).max(needed) - chunk.len());
    }
}
