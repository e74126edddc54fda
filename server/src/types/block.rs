//! A block: packed entries in one shared piece of memory.
//!
//! Blocks are what all collections are made of, what snapshots of them share, what the log splices and what a row on
//! disk keeps. A block is a sequence of *items*, byte strings that each stand behind their length; how many items make
//! an *entry* (a set's member is one, a hash's field and value are two) its owner knows. Knows bytes only.
//!
//! What the allocator gives beyond the wanted length is kept as spare room, so a block that nobody shares is mostly
//! changed in place.

use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;
use triomphe::ThinArc;

use super::allocation_size;

/// The allocation's counter of owners, number of entries, spare room and length.
const HEADER_BYTES: usize = 3 * size_of::<u64>();

/// The length that a block of a big collection has at most, in bytes, unless it has only one entry.
///
/// With its header it fills a size class of the allocator. Longer blocks would cost less memory for each entry and
/// more time to search, to change, and to copy under a snapshot.
pub const BLOCK_BYTES: usize = 1024 - HEADER_BYTES;

/// Longer blocks, which have a single entry or few changes, have no spare room.
const ROOMY_MAX_BYTES: usize = 4 * 1024;
/// So little memory is kept however short the block becomes.
const SMALL_BYTES: usize = 64;

/// Longer than the length of any item: seven bits a byte.
const MAX_LENGTH_BYTES: usize = 10;

/// Room for the bytes of a few small items, for building them without an allocation.
pub type Buffer = SmallVec<[u8; 256]>;

/// See the module's description. Cloning is O(1).
#[derive(Clone)]
pub struct Block(ThinArc<Extent, u8>);

/// How much of the memory of a block is in use.
#[derive(Clone, Copy)]
struct Extent {
    entries: u32,
    /// Bytes at the end that mean nothing.
    spare: u32,
}

impl Block {
    /// A block of ready items, which make so many entries.
    #[must_use]
    pub fn new(entries: usize, items: &[u8]) -> Self {
        Self::with_capacity(entries, items, capacity_for(items.len()))
    }

    /// A block that has room for so many bytes, of which it is to have most before long.
    #[must_use]
    pub fn with_capacity(entries: usize, items: &[u8], capacity: usize) -> Self {
        Self::joined(entries, [items, &[], &[]], capacity)
    }

    fn joined(entries: usize, parts: [&[u8]; 3], capacity: usize) -> Self {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let spare = capacity.saturating_sub(len);
        let extent = Extent { entries: entries as u32, spare: spare as u32 };
        let mut bytes = SmallVec::<[u8; 2048]>::with_capacity(len + spare);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        bytes.resize(len + spare, 0);
        Self(ThinArc::from_header_and_slice(extent, &bytes))
    }

    /// A block without entries.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(0, &[])
    }

    /// Checks bytes that come from outside; `None` unless they are whole entries of so many items.
    #[must_use]
    pub fn parse(items: &[u8], items_per_entry: usize) -> Option<Self> {
        let (mut at, mut count) = (0, 0);
        while at < items.len() {
            at = item(items, at)?.end;
            count += 1;
        }
        (count % items_per_entry == 0).then(|| Self::new(count / items_per_entry, items))
    }

    /// The number of entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.0.header.header.entries as usize
    }

    /// All items with their lengths.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let memory = &self.0.slice;
        &memory[..memory.len() - self.0.header.header.spare as usize]
    }

    /// The items in order.
    #[must_use]
    pub fn items(&self) -> Items<'_> {
        Items { bytes: self.bytes(), at: 0 }
    }

    /// Replaces `removed` bytes at `at`; afterwards there are so many entries. Done in place if nobody shares the block and
    /// its memory is neither too short nor much too long.
    pub fn splice(&mut self, at: usize, removed: usize, inserted: &[u8], entries: usize) {
        let len = self.bytes().len();
        let new_len = len - removed + inserted.len();
        let is_done = self.0.with_arc_mut(|arc| {
            let Some(unique) = triomphe::Arc::get_mut(arc) else { return false };
            let capacity = unique.slice().len();
            if new_len > capacity || new_len < capacity / 2 && capacity > SMALL_BYTES {
                return false;
            }
            let bytes = unique.slice_mut();
            bytes.copy_within(at + removed..len, at + inserted.len());
            bytes[at..at + inserted.len()].copy_from_slice(inserted);
            *unique.header_mut() = Extent { entries: entries as u32, spare: (capacity - new_len) as u32 };
            true
        });
        if !is_done {
            *self = self.spliced(at, removed, inserted, entries);
        }
    }

    /// A block in which `removed` bytes at `at` are replaced, and which then has so many entries.
    #[must_use]
    pub fn spliced(&self, at: usize, removed: usize, inserted: &[u8], entries: usize) -> Self {
        let bytes = self.bytes();
        let capacity = capacity_for(bytes.len() - removed + inserted.len());
        Self::joined(entries, [&bytes[..at], inserted, &bytes[at + removed..]], capacity)
    }

    /// Bytes of memory that the block takes.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        allocation_size(HEADER_BYTES + self.0.slice.len())
    }
}

/// The length that the allocator gives anyway to a block of this one.
fn capacity_for(len: usize) -> usize {
    if len > ROOMY_MAX_BYTES { len } else { allocation_size(HEADER_BYTES + len) - HEADER_BYTES }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries() && self.bytes() == other.bytes()
    }
}

impl Eq for Block {}

impl fmt::Debug for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Block({} entries: {})", self.entries(), self.bytes().escape_ascii())
    }
}

/// Items in order, with [`Items::position`] to tell where each one begins.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Items<'a> {
    /// The items in these bytes from `at` on, where one begins.
    #[must_use]
    pub fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where the next item begins, with its length.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let range = item(self.bytes, self.at)?;
        self.at = range.end;
        Some(&self.bytes[range])
    }
}

/// Items of a collection for a reply, shared with it and not copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedItems {
    parts: Vec<(Block, Range<usize>)>,
    items: usize,
    wanted: Wanted,
}

/// Which items of each entry are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    items_per_entry: u8,
    /// One bit for each item of an entry, the lowest for the first.
    mask: u8,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { items_per_entry: 1, mask: 1 }
    }
}

impl SharedItems {
    /// None yet; of the entries that are added, which have at most 8 items, only those at these places are wanted.
    #[must_use]
    pub fn selecting(items_per_entry: usize, places: &[usize]) -> Self {
        let mask = places.iter().fold(0, |mask, place| mask | 1 << place);
        let wanted = Wanted { items_per_entry: items_per_entry as u8, mask };
        Self { wanted, ..Self::default() }
    }

    /// Adds so many wanted items of a block, which stand in this range of its bytes, where an entry begins.
    pub fn push(&mut self, block: &Block, range: Range<usize>, items: usize) {
        self.parts.push((block.clone(), range));
        self.items += items;
    }

    /// The same, if all items of its entries were wanted, with only the items at these places wanted.
    #[must_use]
    pub fn select(self, items_per_entry: usize, places: &[usize]) -> Self {
        let items = self.items / items_per_entry * places.len();
        Self { parts: self.parts, items, ..Self::selecting(items_per_entry, places) }
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let Wanted { items_per_entry, mask } = self.wanted;
        self.parts.iter().flat_map(move |(block, range)| {
            let items = Items { bytes: &block.bytes()[..range.end], at: range.start };
            let places = (0..items_per_entry).cycle();
            items.zip(places).filter_map(move |(item, place)| (mask >> place & 1 == 1).then_some(item))
        })
    }
}

/// Items that are copied one behind the other, because they are few or nowhere in blocks. A short one takes one byte more
/// than it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopiedItems {
    bytes: Vec<u8>,
    items: usize,
}

impl CopiedItems {
    /// Adds an item.
    pub fn push(&mut self, item: &[u8]) {
        push_item(&mut self.bytes, item);
        self.items += 1;
    }

    /// The bytes that the copies take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        Items::at(&self.bytes, 0)
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for CopiedItems {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut copied = Self::default();
        items.into_iter().for_each(|item| copied.push(item.as_ref()));
        copied
    }
}

impl From<CopiedItems> for SharedItems {
    fn from(CopiedItems { bytes, items }: CopiedItems) -> Self {
        let mut shared = Self::default();
        shared.push(&Block::new(items, &bytes), 0..bytes.len(), items);
        shared
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for SharedItems {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        CopiedItems::from_iter(items).into()
    }
}

/// Where the content of the item is that begins at `at`; `None` at the end. The next item begins where it ends.
#[inline]
#[must_use]
pub fn item(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let first = *bytes.get(at)?;
    let (len, start) = if first < 0x80 { (usize::from(first), at + 1) } else { long_length(bytes, at)? };
    let end = start.checked_add(len)?;
    (end <= bytes.len()).then_some(start..end)
}

#[cold]
fn long_length(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let (mut len, mut shift) = (0_usize, 0);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        len |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte < 0x80 {
            return Some((len, at));
        }
    }
}

/// Adds an item: its length, seven bits a byte, the lowest first and the high bit set on all but the last; then it.
pub fn push_item(output: &mut impl Extend<u8>, content: &[u8]) {
    let mut length = SmallVec::<[u8; MAX_LENGTH_BYTES]>::new();
    let mut rest = content.len();
    while rest >= 0x80 {
        length.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    length.push(rest as u8);
    output.extend(length);
    output.extend(content.iter().copied());
}

/// The bytes that [`push_item`] writes for a content of this length.
#[must_use]
pub const fn item_bytes(len: usize) -> usize {
    let bits = usize::BITS - (len | 1).leading_zeros();
    len + bits.div_ceil(7) as usize
}

/// One entry of ready items.
#[must_use]
pub fn entry(items: &[&[u8]]) -> Buffer {
    let mut buffer = Buffer::new();
    for item in items {
        push_item(&mut buffer, item);
    }
    buffer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn items_read_back_as_they_were_written(items: Vec<Vec<u8>>, long in 0_usize..40_000) {
            let mut items = items;
            items.push(vec![7; long]);
            let mut bytes = Vec::new();
            for item in &items {
                push_item(&mut bytes, item);
            }
            prop_assert_eq!(bytes.len(), items.iter().map(|item| item_bytes(item.len())).sum::<usize>());
            let block = Block::parse(&bytes, 1).expect("whole items");
            prop_assert_eq!(block.entries(), items.len());
            prop_assert!(block.items().eq(items.iter().map(Vec::as_slice)));
        }

        #[test]
        fn no_bytes_make_the_reader_of_items_panic(bytes: Vec<u8>) {
            if let Some(block) = Block::parse(&bytes, 2) {
                prop_assert_eq!(block.items().count(), 2 * block.entries());
            }
        }
    }

    #[test]
    fn only_the_wanted_items_of_entries_are_shared() {
        let block = Block::new(2, &entry(&[b"f1", b"v1", b"f2", b"v2"]));
        for (places, expected) in [(&[0][..], "f1 f2"), (&[1], "v1 v2"), (&[0, 1], "f1 v1 f2 v2")] {
            let mut shared = SharedItems::selecting(2, places);
            shared.push(&block, 0..block.bytes().len(), 2 * places.len());
            let items: Vec<_> = shared.iter().collect();
            assert_eq!((items.join(&b' '), items.len()), (expected.into(), shared.len()));
            let mut all = SharedItems::default();
            all.push(&block, 0..block.bytes().len(), 4);
            assert_eq!(all.select(2, places), shared);
        }
        let copied: SharedItems = block.items().collect();
        assert!(copied.iter().eq(block.items()) && copied.len() == 4);
    }

    #[test]
    fn a_changed_block_leaves_its_clones_as_they_were() {
        let (one, other) = (Block::new(2, b"\x01a\x01b"), Block::new(3, b"\x01a\x02xy\x00"));
        let mut block = one.clone();
        let spliced = block.spliced(2, 2, b"\x02xy\x00", 3);
        assert_eq!((&block, &spliced), (&one, &other));
        block.splice(2, 2, b"\x02xy\x00", 3);
        assert_eq!((block.bytes(), one.bytes()), (other.bytes(), &b"\x01a\x01b"[..]));
    }

    #[test]
    fn a_block_that_nobody_shares_is_changed_in_place_while_its_memory_fits() {
        let mut model: Vec<u8> = (0..100).collect();
        let mut block = Block::with_capacity(100, &model, 500);
        let memory = block.bytes().as_ptr();
        for (at, removed, inserted) in [(0, 0, 300), (400, 0, 100), (10, 20, 20), (7, 250, 5), (255, 0, 0)] {
            let inserted = vec![at as u8; inserted];
            model.splice(at..at + removed, inserted.iter().copied());
            block.splice(at, removed, &inserted, model.len());
            assert_eq!((block.bytes(), block.entries()), (&model[..], model.len()));
            assert_eq!(block.bytes().as_ptr(), memory);
        }
        let shared = block.clone();
        block.splice(0, 1, b"", 254);
        assert_eq!((shared.bytes(), block.bytes()), (&model[..], &model[1..]));
        drop(shared);
        block.splice(0, 200, b"", 54);
        assert_eq!((block.bytes(), block.memory_usage()), (&model[201..], 80));
    }
}
