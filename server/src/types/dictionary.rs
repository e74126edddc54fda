//! Entries found by their first item: what big hashes and sets are, and the members of big sorted sets.
//!
//! A tree of blocks in the order of a hash of that item; within a block the entries stand in the order in which they
//! came. So an element is found by descending two or three nodes and searching one block, a random one is found by its
//! rank, and a SCAN cursor is a hash, whatever happens to the blocks. Knows what its owner says of items per entry, and
//! nothing of what they mean.

use std::hash::Hasher;
use std::ops::Range;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::block::{Block, Buffer, Items, entry, item};
use super::blocks::{self, LabelBytes, Labelled, Shape, Splice};
use super::recorder::Recorder;
use super::tree::{Place, Tree, WARMED_AT_ONCE};

/// Bits of the hash that orders the entries: cursors fit where clients keep them as floating point numbers.
const HASH_BITS: u32 = 48;

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Dictionary {
    tree: Tree<u64>,
    order: HashOrder,
}

/// The hash that orders the entries. Nobody outside knows its seed, so nobody can make hashes collide.
#[derive(Clone, Copy, Debug)]
struct HashOrder {
    seed: u64,
    items_per_entry: usize,
}

/// Where an entry is, or would be.
struct Slot {
    /// `None` if there are no blocks.
    place: Option<Place>,
    /// The bytes of the entry in its block.
    range: Option<Range<usize>>,
}

impl HashOrder {
    fn hash(self, key: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.seed, 0);
        hasher.write(key);
        hasher.finish() >> (u64::BITS - HASH_BITS)
    }
}

impl Shape for HashOrder {
    type Label = u64;

    fn label_bytes(&self, label: &u64) -> LabelBytes {
        label.to_be_bytes()[2..].into()
    }

    fn divide(
        &self,
        (label, block): &Labelled<u64>,
        _next: Option<&u64>,
        _inserted: Range<usize>,
    ) -> Option<[Labelled<u64>; 2]> {
        let entries: Vec<_> = entries(block, self.items_per_entry)
            .map(|range| (self.hash(key_at(block, range.start)), range))
            .collect();
        let mut hashes: Vec<u64> = entries.iter().map(|(hash, _)| *hash).collect();
        hashes.sort_unstable();
        // Entries of one hash stay together: a cursor could not stand between them.
        let middle = hashes[hashes.len() / 2];
        let middle = if middle > hashes[0] { middle } else { *hashes.iter().find(|hash| **hash > middle)? };
        let part = |is_second: bool| {
            let (mut bytes, mut count) = (Vec::with_capacity(block.bytes().len()), 0);
            for (hash, range) in &entries {
                if (*hash >= middle) == is_second {
                    bytes.extend_from_slice(&block.bytes()[range.clone()]);
                    count += 1;
                }
            }
            Block::new(count, &bytes)
        };
        // What came before the first block when there was none for it is now in that: its label may be too high.
        Some([((*label).min(hashes[0]), part(false)), (middle, part(true))])
    }
}

/// The bytes of each entry of a block.
pub fn entries(block: &Block, items_per_entry: usize) -> impl Iterator<Item = Range<usize>> {
    let mut items = block.items();
    std::iter::from_fn(move || {
        let start = items.position();
        items.nth(items_per_entry - 1)?;
        Some(start..items.position())
    })
}

/// The first item of the entry that begins there.
#[must_use]
pub fn key_at(block: &Block, at: usize) -> &[u8] {
    item(block.bytes(), at).map_or(&[], |range| &block.bytes()[range])
}

/// Whether both are the same. Keys of one collection often have the same length and the same start, so their ends are
/// compared first.
#[inline]
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let end = |bytes: &[u8]| bytes.last_chunk().map(|end| u64::from_ne_bytes(*end));
    one.len() == other.len() && end(one) == end(other) && one == other
}

/// The bytes of the entry of a block whose first item is `key`.
#[must_use]
pub fn search(block: &Block, key: &[u8], items_per_entry: usize) -> Option<Range<usize>> {
    let bytes = block.bytes();
    let mut at = 0;
    while let Some(first) = item(bytes, at) {
        let is_found = is_equal(&bytes[first.clone()], key);
        let mut end = first.end;
        for _ in 1..items_per_entry {
            end = item(bytes, end)?.end;
        }
        if is_found {
            return Some(at..end);
        }
        at = end;
    }
    None
}

impl Dictionary {
    /// A dictionary of the entries of a block.
    #[must_use]
    pub fn from_block(block: &Block, items_per_entry: usize) -> Self {
        let order = HashOrder { seed: fastrand::u64(..), items_per_entry };
        let mut dictionary = Self { tree: Tree::from_blocks([]), order };
        for range in entries(block, items_per_entry) {
            let key = key_at(block, range.start);
            dictionary.put(dictionary.find(key), &block.bytes()[range.clone()], &mut ());
        }
        dictionary
    }

    /// A dictionary of blocks that one had before, with its seed. `None` if a label is of the wrong length.
    #[must_use]
    pub fn from_blocks(
        seed: u64,
        items_per_entry: usize,
        blocks: impl IntoIterator<Item = (Vec<u8>, Block)>,
    ) -> Option<Self> {
        let label = |bytes: &[u8]| {
            let mut label = [0; 8];
            (bytes.len() == 6).then(|| label[2..].copy_from_slice(bytes))?;
            Some(u64::from_be_bytes(label))
        };
        let blocks: Option<Vec<_>> =
            blocks.into_iter().map(|(bytes, block)| Some((label(&bytes)?, block))).collect();
        Some(Self { tree: Tree::from_blocks(blocks?), order: HashOrder { seed, items_per_entry } })
    }

    /// What the order of the entries depends on; to be kept with the blocks.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.order.seed
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.entries()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// The blocks with their labels as they are recorded.
    pub fn blocks(&self) -> impl Iterator<Item = (LabelBytes, &Block)> {
        self.tree.blocks().map(|(label, block)| (self.order.label_bytes(label), block))
    }

    /// The items of the entry with this first item.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Items<'_>> {
        let hash = self.order.hash(key);
        let place = self.tree.find_label(&hash)?;
        let (_, block) = self.tree.get(&place);
        search(block, key, self.order.items_per_entry).map(|range| Items::at(block.bytes(), range.start))
    }

    /// Brings what look-ups of these first items will touch into the processor's caches.
    pub fn warm<'a>(lookups: impl Iterator<Item = (&'a Self, &'a [u8])>) {
        let lookups: SmallVec<[(&Tree<u64>, u64); WARMED_AT_ONCE]> =
            lookups.map(|(dictionary, key)| (&dictionary.tree, dictionary.order.hash(key))).collect();
        Tree::warm(&lookups);
    }

    /// The hash of a first item, which orders the entries.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.order.hash(key)
    }

    /// The items of the entries of this hash.
    pub fn with_hash(&self, hash: u64) -> impl Iterator<Item = Items<'_>> {
        let place = self.tree.find_label(&hash);
        let block = place.map(|place| self.tree.get(&place).1);
        block.into_iter().flat_map(move |block| {
            entries(block, self.order.items_per_entry)
                .filter(move |range| self.order.hash(key_at(block, range.start)) == hash)
                .map(|range| Items::at(block.bytes(), range.start))
        })
    }

    /// Puts an entry of these items in, in the place of one with the same first item; says whether there was none.
    pub fn set(&mut self, items: &[&[u8]], recorder: &mut dyn Recorder) -> bool {
        debug_assert_eq!(items.len(), self.order.items_per_entry);
        self.put(self.find(items[0]), &entry(items), recorder)
    }

    /// Puts an entry of these items in, unless there is one with the same first item; says whether there was none.
    pub fn add(&mut self, items: &[&[u8]], recorder: &mut dyn Recorder) -> bool {
        debug_assert_eq!(items.len(), self.order.items_per_entry);
        let slot = self.find(items[0]);
        slot.range.is_none() && self.put(slot, &entry(items), recorder)
    }

    /// Puts an entry where it was looked for; says whether there was none.
    fn put(&mut self, slot: Slot, entry: &[u8], recorder: &mut dyn Recorder) -> bool {
        let Some(place) = slot.place else {
            recorder.put(&self.order.label_bytes(&0), entry);
            self.tree = Tree::from_blocks([(0, Block::new(1, entry))]);
            return true;
        };
        let (at, removed, is_new) = match slot.range {
            Some(range) => (range.start, range.len(), false),
            None => (self.tree.get(&place).1.bytes().len(), 0, true),
        };
        let splice = Splice { at, removed, inserted: entry, entries: isize::from(is_new) };
        blocks::splice(&mut self.tree, &self.order, &place, splice, recorder);
        is_new
    }

    /// Removes the entry with this first item; says whether there was one.
    pub fn remove(&mut self, key: &[u8], recorder: &mut dyn Recorder) -> bool {
        let Slot { place: Some(place), range: Some(range) } = self.find(key) else { return false };
        let splice = Splice { at: range.start, removed: range.len(), inserted: &[], entries: -1 };
        blocks::splice(&mut self.tree, &self.order, &place, splice, recorder);
        true
    }

    /// Removes the entries of these ascending ranks, in the order of [`Self::iter`]: each block is changed once.
    pub fn remove_ranks(&mut self, ranks: &[usize], recorder: &mut dyn Recorder) {
        let mut rest = ranks;
        // From the last block to the first, so that the ranks before stay what they are.
        while let Some((place, within)) = rest.last().and_then(|last| self.tree.find_rank(*last)) {
            let first = rest[rest.len() - 1] - within;
            let (before, here) = rest.split_at(rest.partition_point(|rank| *rank < first));
            let (_, block) = self.tree.get(&place);
            let mut kept = Buffer::new();
            let mut wanted = here.iter().map(|rank| rank - first).peekable();
            let mut span: Option<Range<usize>> = None;
            for (index, range) in entries(block, self.order.items_per_entry).enumerate() {
                let is_removed = wanted.next_if_eq(&index).is_some();
                if is_removed {
                    recorder.element(key_at(block, range.start));
                } else if span.is_some() {
                    kept.extend_from_slice(&block.bytes()[range.clone()]);
                }
                if is_removed || span.is_some() {
                    span.get_or_insert(range.clone()).end = range.end;
                }
                if wanted.peek().is_none() {
                    break;
                }
            }
            let span = span.unwrap_or_default();
            let entries = -(here.len() as isize);
            let splice = Splice { at: span.start, removed: span.len(), inserted: &kept, entries };
            blocks::splice(&mut self.tree, &self.order, &place, splice, recorder);
            rest = before;
        }
    }

    /// The items of the entry of this rank, in the order of [`Self::iter`].
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<Items<'_>> {
        let (place, within) = self.tree.find_rank(rank)?;
        let (_, block) = self.tree.get(&place);
        let range = entries(block, self.order.items_per_entry).nth(within)?;
        Some(Items::at(block.bytes(), range.start))
    }

    /// All items of all entries, block by block.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.tree.blocks().flat_map(|(_, block)| block.items())
    }

    /// Gives `visit` the items of entries from a cursor on, at least `count` entries if there are so many, and gives
    /// the cursor for the next call: 0 at the end. Entries that are there all the time between the first call with 0
    /// and the end are visited once.
    pub fn scan<'a>(&'a self, cursor: u64, count: usize, mut visit: impl FnMut(Items<'a>)) -> u64 {
        let mut place = self.tree.find_label(&cursor);
        let mut visited = 0;
        while let Some(at) = place {
            let (label, block) = self.tree.get(&at);
            if visited >= count {
                return *label;
            }
            for range in entries(block, self.order.items_per_entry) {
                // What was merged into this block from before the cursor has been visited.
                if cursor == 0 || self.order.hash(key_at(block, range.start)) >= cursor {
                    visited += 1;
                    visit(Items::at(block.bytes(), range.start));
                }
            }
            place = self.tree.next(&at);
        }
        0
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.tree.memory_usage()
    }

    fn find(&self, key: &[u8]) -> Slot {
        let hash = self.order.hash(key);
        let place = self.tree.find_label(&hash);
        let range = place.as_ref().and_then(|place| {
            let (_, block) = self.tree.get(place);
            search(block, key, self.order.items_per_entry)
        });
        Slot { place, range }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_where_the_first_blocks_have_gone_is_found() {
        let mut dictionary = Dictionary::from_block(&Block::empty(), 1);
        let key = |number: usize| format!("some longer key {number}").into_bytes();
        let (mut next, mut present) = (0, std::collections::HashSet::new());
        for _ in 0..50 {
            for number in next..next + 300 {
                assert!(dictionary.set(&[&key(number)], &mut ()));
                present.insert(key(number));
            }
            next += 300;
            let first: Vec<Vec<u8>> = dictionary.iter().take(250).map(<[u8]>::to_vec).collect();
            for key in first {
                assert!(dictionary.remove(&key, &mut ()) && present.remove(&key));
            }
            assert!(present.iter().all(|key| dictionary.get(key).is_some()));
            let labels: Vec<_> = dictionary.blocks().map(|(label, _)| label).collect();
            assert!(labels.is_sorted_by(|one, other| one < other));
        }
    }
}
