//! The hash value: fields with values. Knows bytes only.
//!
//! A small hash is one block of fields and values in the order in which they came; a big one is a [`Dictionary`].

use triomphe::Arc;

use super::block::{Block, Items, SharedItems, entry};
use super::blocks::LabelBytes;
use super::collection::{Collection, PackedLimits, StoredBlocks};
use super::dictionary::{Dictionary, entries, search};
use super::recorder::Recorder;
use super::value::Kind;

const ITEMS: usize = 2;

/// A hash; cloning it is O(1).
#[derive(Clone, Debug)]
pub enum HashValue {
    /// At most as many fields as the limits say, none of them nor of the values longer than they say.
    Packed(Block),
    /// Any others.
    Big(Arc<Dictionary>),
}

impl Default for HashValue {
    fn default() -> Self {
        Self::Packed(Block::empty())
    }
}

impl HashValue {
    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        let mut items = match self {
            Self::Packed(block) => Items::at(block.bytes(), search(block, field, ITEMS)?.start),
            Self::Big(dictionary) => dictionary.get(field)?,
        };
        items.nth(1)
    }

    /// Sets a field; says whether it is new.
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        limits: PackedLimits,
        recorder: &mut dyn Recorder,
    ) -> bool {
        recorder.element(field);
        if let Self::Packed(block) = self {
            let found = search(block, field, ITEMS);
            let entries = block.entries() + usize::from(found.is_none());
            if limits.allow(entries, field.len().max(value.len())) {
                let end = block.bytes().len();
                let (at, removed) = found.map_or((end, 0), |range| (range.start, range.len()));
                let new = entry(&[field, value]);
                recorder.splice(&[], at, removed, &new);
                let is_new = entries > block.entries();
                *block = block.spliced(at, removed, &new, entries);
                return is_new;
            }
            *self = Self::Big(Arc::new(Dictionary::from_block(block, ITEMS)));
            recorder.whole();
        }
        match self {
            Self::Big(dictionary) => Arc::make_mut(dictionary).set(&[field, value], recorder),
            Self::Packed(_) => false,
        }
    }

    /// Removes a field; says whether there was one.
    pub fn remove(&mut self, field: &[u8], recorder: &mut dyn Recorder) -> bool {
        let removed = match self {
            Self::Packed(block) => {
                let Some(range) = search(block, field, ITEMS) else { return false };
                recorder.splice(&[], range.start, range.len(), &[]);
                *block = block.spliced(range.start, range.len(), &[], block.entries() - 1);
                true
            }
            Self::Big(dictionary) => Arc::make_mut(dictionary).remove(field, recorder),
        };
        if removed {
            recorder.element(field);
        }
        removed
    }

    /// All fields for a reply.
    #[must_use]
    pub fn fields(&self) -> SharedItems {
        self.share(&[0])
    }

    /// All values for a reply, in the order of their fields.
    #[must_use]
    pub fn values(&self) -> SharedItems {
        self.share(&[1])
    }

    /// All fields for a reply, each followed by its value.
    #[must_use]
    pub fn items(&self) -> SharedItems {
        self.share(&[0, 1])
    }

    fn share(&self, places: &[usize]) -> SharedItems {
        let mut shared = SharedItems::selecting(ITEMS, places);
        self.for_each_block(&mut |_, block| {
            shared.push(block, 0..block.bytes().len(), block.entries() * places.len());
        });
        shared
    }

    /// All fields with their values.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (&[u8], &[u8])> + '_> {
        let mut items: Box<dyn Iterator<Item = &[u8]>> = match self {
            Self::Packed(block) => Box::new(block.items()),
            Self::Big(dictionary) => Box::new(dictionary.iter()),
        };
        Box::new(std::iter::from_fn(move || Some((items.next()?, items.next()?))))
    }

    /// The field and value of this rank, in the order of [`Self::iter`].
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<(&[u8], &[u8])> {
        let mut items = match self {
            Self::Packed(block) => Items::at(block.bytes(), entries(block, ITEMS).nth(rank)?.start),
            Self::Big(dictionary) => dictionary.nth(rank)?,
        };
        Some((items.next()?, items.next()?))
    }

    /// Visits fields and values from a cursor on, as [`Dictionary::scan`]; a small hash is visited at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &[u8])) -> u64 {
        let mut visit = |mut items: Items<'_>| {
            if let (Some(field), Some(value)) = (items.next(), items.next()) {
                visit(field, value);
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
}

impl Collection for HashValue {
    const KIND: Kind = Kind::Hash;

    fn len(&self) -> usize {
        match self {
            Self::Packed(block) => block.entries(),
            Self::Big(dictionary) => dictionary.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Big(_) => "hashtable",
        }
    }

    fn memory_usage(&self) -> usize {
        match self {
            Self::Packed(block) => block.memory_usage(),
            Self::Big(dictionary) => dictionary.memory_usage(),
        }
    }

    fn header(&self) -> Vec<u8> {
        match self {
            Self::Packed(_) => Vec::new(),
            Self::Big(dictionary) => dictionary.seed().to_le_bytes().to_vec(),
        }
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        match self {
            Self::Packed(block) => visit(LabelBytes::new(), block),
            Self::Big(dictionary) => dictionary.blocks().for_each(|(label, block)| visit(label, block)),
        }
    }

    fn restore(header: &[u8], blocks: StoredBlocks) -> Option<Self> {
        if header.is_empty() {
            return Some(Self::Packed(blocks.single(ITEMS)?));
        }
        let seed = u64::from_le_bytes(header.try_into().ok()?);
        Some(Self::Big(Arc::new(Dictionary::from_blocks(seed, ITEMS, blocks.parse(ITEMS)?)?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::collection::testing::Copy;

    const LIMITS: PackedLimits = PackedLimits { entries: 4, element_bytes: 8 };

    fn owned(hash: &HashValue) -> Vec<(Vec<u8>, Vec<u8>)> {
        hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The same as a map of the standard library, whatever its form; and a copy made of what was recorded, and the
        /// hash before, stay what they should.
        #[test]
        fn a_hash_is_a_map(steps in prop::collection::vec((0..4_u8, 0..2000_u16, 0..12_usize), 0..1000)) {
            let (mut hash, mut copy) = (HashValue::default(), Copy::default());
            let mut map = std::collections::HashMap::new();
            for (step, (operation, number, len)) in steps.into_iter().enumerate() {
                let (field, value) = (format!("field:{number}").into_bytes(), vec![b'v'; len]);
                let before = (step % 50 == 0).then(|| (hash.clone(), owned(&hash)));
                if operation > 0 {
                    let is_new = hash.set(&field, &value, LIMITS, &mut copy);
                    prop_assert_eq!(is_new, map.insert(field, value).is_none());
                } else {
                    prop_assert_eq!(hash.remove(&field, &mut copy), map.remove(&field).is_some());
                }
                prop_assert!(before.is_none_or(|(before, fields)| owned(&before) == fields));
                copy.finish(&hash);
                prop_assert_eq!(hash.len(), map.len());
            }
            for (field, value) in &map {
                prop_assert_eq!(hash.get(field), Some(&value[..]));
            }
            prop_assert_eq!(hash.iter().count(), map.len());
            prop_assert!(hash.fields().iter().eq(hash.iter().map(|(field, _)| field)));
            prop_assert!(hash.values().iter().eq(hash.iter().map(|(_, value)| value)));
            let restored: HashValue = copy.restore();
            prop_assert!(restored.iter().eq(hash.iter()));
        }
    }

    #[test]
    fn a_scan_visits_what_stays_exactly_once_whatever_comes_and_goes() {
        let mut hash = HashValue::default();
        let field = |number: usize| format!("{number}").into_bytes();
        for number in 0..5000 {
            hash.set(&field(number), b"v", LIMITS, &mut ());
        }
        let (mut seen, mut cursor, mut other) = (Vec::new(), 0, 5000);
        loop {
            cursor = hash.scan(cursor, 10, |field, _| seen.push(field.to_vec()));
            if cursor == 0 {
                break;
            }
            // Fields from 2500 on go, others come.
            for _ in 0..20 {
                hash.remove(&field(other - 2500), &mut ());
                hash.set(&field(other), b"v", LIMITS, &mut ());
                other += 1;
            }
        }
        for number in 0..2500 {
            assert_eq!(seen.iter().filter(|name| **name == field(number)).count(), 1, "{number}");
        }
    }

    #[test]
    fn a_change_of_a_shared_big_hash_shares_the_rest() {
        let mut hash = HashValue::default();
        for number in 0..100_000 {
            hash.set(format!("{number}").as_bytes(), b"value", LIMITS, &mut ());
        }
        let HashValue::Big(before) = hash.clone() else { panic!("a big hash") };
        hash.set(b"5", b"other", LIMITS, &mut ());
        let HashValue::Big(after) = &hash else { panic!("a big hash") };
        let old: std::collections::HashSet<_> =
            before.blocks().map(|(_, block)| block.bytes().as_ptr()).collect();
        let new = after.blocks().filter(|(_, block)| !old.contains(&block.bytes().as_ptr())).count();
        assert_eq!(new, 1);
        assert!(old.len() > 1000);
    }
}
