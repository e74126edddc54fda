//! The stream value. Knows bytes only.

use super::block::Block;
use super::blocks::LabelBytes;
use super::collection::{Collection, StoredBlocks};
use super::value::Kind;

/// A stream; cloning it is O(1).
#[derive(Clone, Debug)]
pub enum StreamValue {
    /// A single block.
    Packed(Block),
}

impl Default for StreamValue {
    fn default() -> Self {
        Self::Packed(Block::empty())
    }
}

impl Collection for StreamValue {
    const KIND: Kind = Kind::Stream;

    fn len(&self) -> usize {
        match self {
            Self::Packed(block) => block.entries(),
        }
    }

    fn encoding(&self) -> &'static str {
        "listpack"
    }

    fn memory_usage(&self) -> usize {
        match self {
            Self::Packed(block) => block.memory_usage(),
        }
    }

    fn header(&self) -> Vec<u8> {
        Vec::new()
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        match self {
            Self::Packed(block) => visit(LabelBytes::new(), block),
        }
    }

    fn restore(header: &[u8], blocks: StoredBlocks) -> Option<Self> {
        header.is_empty().then(|| blocks.single(1).map(Self::Packed))?
    }
}
