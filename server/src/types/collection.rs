//! What all values that have elements share: how they are measured, stored and put together again.

use super::block::{BLOCK_BYTES, Block};
use super::blocks::LabelBytes;
use super::value::Kind;

/// The longest single block, in bytes, whatever the options allow: it is searched and moved with every change.
const PACKED_MAX_BYTES: usize = 32 * BLOCK_BYTES;

/// Up to where a collection is kept in a single block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedLimits {
    /// Entries at most.
    pub entries: usize,
    /// The length in bytes of the longest item.
    pub element_bytes: usize,
}

impl PackedLimits {
    /// Whether a collection may be a single block with so many entries, of which none is longer than `longest`.
    #[must_use]
    pub fn allow(self, entries: usize, longest: usize) -> bool {
        entries <= self.entries
            && longest <= self.element_bytes
            && (entries + 1).saturating_mul(longest) <= PACKED_MAX_BYTES
    }
}

/// A value that has elements. It is empty only while it is made or changed: a key never holds an empty one.
pub trait Collection: Default + Clone {
    /// Its type.
    const KIND: Kind;

    /// The number of elements.
    fn len(&self) -> usize;

    /// Whether the key is to go. (A stream stays although it has no entries.)
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING answers.
    fn encoding(&self) -> &'static str;

    /// Bytes of memory that the value takes on the heap.
    fn memory_usage(&self) -> usize;

    /// What is stored beside the blocks: short, and all that [`Self::restore`] needs to know besides them.
    fn header(&self) -> Vec<u8>;

    /// Visits all blocks in the order of their labels; a collection of a single block gives it the empty label.
    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block));

    /// The value with this header and these blocks; `None` if no value has them.
    fn restore(header: &[u8], blocks: StoredBlocks) -> Option<Self>;
}

/// Blocks as they come from disk: label and bytes, in the order of the labels, nothing of it checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBlocks(pub Vec<(Vec<u8>, Vec<u8>)>);

impl StoredBlocks {
    /// The only block, with the empty label.
    #[must_use]
    pub fn single(&self, items_per_entry: usize) -> Option<Block> {
        match &self.0[..] {
            [] => Some(Block::empty()),
            [(label, bytes)] if label.is_empty() => Block::parse(bytes, items_per_entry),
            _ => None,
        }
    }

    /// All blocks with their labels; `None` if one is not made of whole entries or is empty.
    #[must_use]
    pub fn parse(self, items_per_entry: usize) -> Option<Vec<(Vec<u8>, Block)>> {
        let parse = |(label, bytes): (Vec<u8>, Vec<u8>)| {
            let block = Block::parse(&bytes, items_per_entry)?;
            (block.entries() > 0).then_some((label, block))
        };
        self.0.into_iter().map(parse).collect()
    }
}

/// For tests of types: what a listener who copies a collection by its records has.
#[cfg(test)]
pub mod testing {
    use std::collections::BTreeMap;

    use super::{Collection, StoredBlocks};
    use crate::types::Recorder;

    /// A copy of a collection that is changed by nothing but what the recorder hears.
    #[derive(Default)]
    pub struct Copy {
        header: Vec<u8>,
        blocks: BTreeMap<Vec<u8>, Vec<u8>>,
        whole: bool,
    }

    impl Copy {
        /// Takes the whole value over, if the last change asked for that. To be called after every change.
        pub fn finish<C: Collection>(&mut self, value: &C) {
            if std::mem::take(&mut self.whole) {
                self.header = value.header();
                self.blocks.clear();
                value.for_each_block(&mut |label, block| {
                    self.blocks.insert(label.to_vec(), block.bytes().to_vec());
                });
            }
        }

        /// The value made of the copy.
        pub fn restore<C: Collection>(&self) -> C {
            C::restore(&self.header, StoredBlocks(self.blocks.clone().into_iter().collect()))
                .expect("a value")
        }
    }

    impl Recorder for Copy {
        fn put(&mut self, label: &[u8], block: &[u8]) {
            self.blocks.insert(label.to_vec(), block.to_vec());
        }

        fn splice(&mut self, label: &[u8], offset: usize, removed: usize, inserted: &[u8]) {
            if !self.whole {
                let block = self.blocks.entry(label.to_vec()).or_default();
                block.splice(offset..offset + removed, inserted.iter().copied());
            }
        }

        fn remove(&mut self, label: &[u8]) {
            self.blocks.remove(label);
        }

        fn header(&mut self, header: &[u8]) {
            self.header = header.to_vec();
        }

        fn whole(&mut self) {
            self.whole = true;
        }

        fn element(&mut self, _element: &[u8]) {}
    }
}
