//! Keys with values: what a hash has its fields in. Knows bytes only.
//!
//! Few pairs are one block in the order in which they came, many are a [`Dictionary`].

use triomphe::Arc;

use super::block::{Block, Items, SharedItems, entry};
use super::blocks::LabelBytes;
use super::collection::{PackedLimits, StoredBlocks};
use super::dictionary::{Dictionary, entries, search};
use super::recorder::Recorder;

/// Items of an entry: the key, and the value.
const ITEMS: usize = 2;

/// See the module's description; cloning is O(1).
#[derive(Clone, Debug)]
pub enum Pairs {
    /// At most as many as the limits say, no key nor value longer than they say.
    Packed(Block),
    /// Any others.
    Big(Arc<Dictionary>),
}

impl Default for Pairs {
    fn default() -> Self {
        Self::Packed(Block::empty())
    }
}

impl Pairs {
    /// None yet, and ready for many.
    #[must_use]
    pub fn big() -> Self {
        Self::Big(Arc::new(Dictionary::from_block(&Block::empty(), ITEMS)))
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(block) => block.entries(),
            Self::Big(dictionary) => dictionary.len(),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let mut items = match self {
            Self::Packed(block) => Items::at(block.bytes(), search(block, key, ITEMS)?.start),
            Self::Big(dictionary) => dictionary.get(key)?,
        };
        items.nth(1)
    }

    /// What finds the keys, if they are many.
    #[must_use]
    pub fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Packed(_) => None,
            Self::Big(dictionary) => Some(dictionary),
        }
    }

    /// Sets the value of a key; says whether that is new. Asks the recorder for the whole value when the form changes.
    pub fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        limits: PackedLimits,
        recorder: &mut dyn Recorder,
    ) -> bool {
        if let Self::Packed(block) = self {
            let found = search(block, key, ITEMS);
            let entries = block.entries() + usize::from(found.is_none());
            if limits.allow(entries, key.len().max(value.len())) {
                let end = block.bytes().len();
                let (at, removed) = found.map_or((end, 0), |range| (range.start, range.len()));
                let new = entry(&[key, value]);
                recorder.splice(&[], at, removed, &new);
                let is_new = entries > block.entries();
                block.splice(at, removed, &new, entries);
                return is_new;
            }
            *self = Self::Big(Arc::new(Dictionary::from_block(block, ITEMS)));
            recorder.whole();
        }
        match self {
            Self::Big(dictionary) => Arc::make_mut(dictionary).set(&[key, value], recorder),
            Self::Packed(_) => false,
        }
    }

    /// Removes a key; says whether there was one.
    pub fn remove(&mut self, key: &[u8], recorder: &mut dyn Recorder) -> bool {
        match self {
            Self::Packed(block) => {
                let Some(range) = search(block, key, ITEMS) else { return false };
                recorder.splice(&[], range.start, range.len(), &[]);
                block.splice(range.start, range.len(), &[], block.entries() - 1);
                true
            }
            Self::Big(dictionary) => Arc::make_mut(dictionary).remove(key, recorder),
        }
    }

    /// All keys with their values.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (&[u8], &[u8])> + '_> {
        let mut items: Box<dyn Iterator<Item = &[u8]>> = match self {
            Self::Packed(block) => Box::new(block.items()),
            Self::Big(dictionary) => Box::new(dictionary.iter()),
        };
        Box::new(std::iter::from_fn(move || Some((items.next()?, items.next()?))))
    }

    /// For a reply, of each pair the items at these places (0 for the key, 1 for the value).
    #[must_use]
    pub fn share(&self, places: &[usize]) -> SharedItems {
        let mut shared = SharedItems::selecting(ITEMS, places);
        self.for_each_block(&mut |_, block| {
            shared.push(block, 0..block.bytes().len(), block.entries() * places.len());
        });
        shared
    }

    /// The pair of this rank, in the order of [`Self::iter`].
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<(&[u8], &[u8])> {
        let mut items = match self {
            Self::Packed(block) => Items::at(block.bytes(), entries(block, ITEMS).nth(rank)?.start),
            Self::Big(dictionary) => dictionary.nth(rank)?,
        };
        Some((items.next()?, items.next()?))
    }

    /// Visits pairs from a cursor on, as [`Dictionary::scan`]; few are visited at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &[u8])) -> u64 {
        let mut visit = |mut items: Items<'_>| {
            if let (Some(key), Some(value)) = (items.next(), items.next()) {
                visit(key, value);
            }
        };
        match self {
            Self::Packed(block) => {
                entries(block, ITEMS).for_each(|range| visit(Items::at(block.bytes(), range.start)));
                0
            }
            Self::Big(dictionary) => dictionary.scan(cursor, count, visit),
        }
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        match self {
            Self::Packed(block) => block.memory_usage(),
            Self::Big(dictionary) => dictionary.memory_usage(),
        }
    }

    /// What must be kept beside the blocks if there are many pairs.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        match self {
            Self::Packed(_) => None,
            Self::Big(dictionary) => Some(dictionary.seed()),
        }
    }

    /// Visits all blocks in the order of their labels.
    pub fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        match self {
            Self::Packed(block) => visit(LabelBytes::new(), block),
            Self::Big(dictionary) => dictionary.blocks().for_each(|(label, block)| visit(label, block)),
        }
    }

    /// The pairs in these blocks; `None` if there are none, as is damage.
    #[must_use]
    pub fn restore(seed: Option<u64>, blocks: StoredBlocks) -> Option<Self> {
        let Some(seed) = seed else { return Some(Self::Packed(blocks.single(ITEMS)?)) };
        Some(Self::Big(Arc::new(Dictionary::from_blocks(seed, ITEMS, blocks.parse(ITEMS)?)?)))
    }
}
