//! Items in the order of the `N` bytes that they begin with: what pending entries are kept in. Knows bytes only.

use std::ops::Range;

use super::super::block::{Block, Items, entry};
use super::super::blocks::{self, LabelBytes, Labelled, Shape, Splice};
use super::super::recorder::Recorder;
use super::super::tree::{Place, Tree};

/// See the module's description. Cloning is O(1).
#[derive(Clone, Debug)]
pub struct Ordered<const N: usize> {
    tree: Tree<[u8; N]>,
}

/// Blocks are labelled with a key that is not above any of theirs, but for the first block, which has all lower keys.
struct ByKey<const N: usize>;

impl<const N: usize> Shape for ByKey<N> {
    type Label = [u8; N];

    fn label_bytes(&self, label: &[u8; N]) -> LabelBytes {
        label[..].into()
    }

    fn divide(
        &self,
        (label, block): &Labelled<[u8; N]>,
        _next: Option<&[u8; N]>,
        inserted: Range<usize>,
    ) -> Option<[Labelled<[u8; N]>; 2]> {
        let (first, second) = blocks::parts(block, blocks::cut(block, 1, &inserted)?);
        let [lowest, middle] = [&first, &second].map(|part| part.items().next().map(key_of));
        Some([((*label).min(lowest?), first), (middle?, second)])
    }
}

fn key_of<const N: usize>(item: &[u8]) -> [u8; N] {
    item.first_chunk().copied().unwrap_or([0; N])
}

impl<const N: usize> Default for Ordered<N> {
    fn default() -> Self {
        Self { tree: Tree::from_blocks([]) }
    }
}

impl<const N: usize> Ordered<N> {
    /// Items of blocks that were stored, with their labels; `None` if they are not in order.
    pub fn from_blocks(blocks: Vec<([u8; N], Block)>) -> Option<Self> {
        let keys = blocks.iter().flat_map(|(_, block)| block.items().map(|item| item.first_chunk::<N>()));
        let mut before = None;
        for key in keys {
            let key = Some(key?);
            if before >= key {
                return None;
            }
            before = key;
        }
        let is_labelled = |pair: &[([u8; N], Block)]| {
            let last = pair[0].1.items().last().map(key_of);
            let first = pair[1].1.items().next().map(key_of);
            last < Some(pair[1].0) && Some(pair[1].0) <= first
        };
        blocks.windows(2).all(is_labelled).then(|| Self { tree: Tree::from_blocks(blocks) })
    }

    /// Of items in order, each with its key in front.
    pub fn from_items<'a>(items: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut ordered = Self::default();
        for item in items {
            ordered.set(item, &mut ());
        }
        ordered
    }

    pub fn len(&self) -> usize {
        self.tree.entries()
    }

    pub fn blocks(&self) -> impl Iterator<Item = (&[u8; N], &Block)> {
        self.tree.blocks()
    }

    pub fn memory_usage(&self) -> usize {
        self.tree.memory_usage()
    }

    /// What stands behind the key in its item.
    pub fn get(&self, key: &[u8; N]) -> Option<&[u8]> {
        let place = self.find(key)?;
        let (_, block) = self.tree.get(&place);
        let (range, is_there) = search(block, key);
        is_there.then(|| Items::at(block.bytes(), range.start).next()).flatten().map(|item| &item[N..])
    }

    /// Puts an item in, in the place of one with the same key; says whether there was none.
    pub fn set(&mut self, item: &[u8], recorder: &mut dyn Recorder) -> bool {
        debug_assert!(item.len() >= N);
        let key = key_of(item);
        let new = entry(&[item]);
        let Some(place) = self.find(&key) else {
            recorder.put(&key, &new);
            self.tree = Tree::from_blocks([(key, Block::new(1, &new))]);
            return true;
        };
        let (range, is_there) = search(self.tree.get(&place).1, &key);
        let entries = isize::from(!is_there);
        let splice = Splice { at: range.start, removed: range.len(), inserted: &new, entries };
        blocks::splice(&mut self.tree, &ByKey, &place, splice, recorder);
        !is_there
    }

    /// Removes the item with this key; says whether there was one.
    pub fn remove(&mut self, key: &[u8; N], recorder: &mut dyn Recorder) -> bool {
        let Some(place) = self.find(key) else { return false };
        let (range, is_there) = search(self.tree.get(&place).1, key);
        if is_there {
            let splice = Splice { at: range.start, removed: range.len(), inserted: &[], entries: -1 };
            blocks::splice(&mut self.tree, &ByKey, &place, splice, recorder);
        }
        is_there
    }

    /// The items from one key to another, both included.
    pub fn range(&self, start: [u8; N], end: [u8; N]) -> impl Iterator<Item = &[u8]> {
        let blocks = self.tree.blocks_from(self.find(&start));
        let items = blocks.flat_map(|(_, block)| block.items());
        items.skip_while(move |item| item[..N] < start[..]).take_while(move |item| item[..N] <= end[..])
    }

    /// How many items have lower keys.
    pub fn rank(&self, key: &[u8; N]) -> usize {
        let Some(place) = self.find(key) else { return 0 };
        let (_, block) = self.tree.get(&place);
        self.tree.rank(&place) + block.items().take_while(|item| item[..N] < key[..]).count()
    }

    /// The last item.
    pub fn last(&self) -> Option<&[u8]> {
        let place = self.tree.last()?;
        self.tree.get(&place).1.items().last()
    }

    fn find(&self, key: &[u8; N]) -> Option<Place> {
        self.tree.find(|label| label <= key)
    }
}

/// Where the item with this key is and whether it is there; otherwise where it would be.
fn search(block: &Block, key: &[u8]) -> (Range<usize>, bool) {
    let mut items = block.items();
    loop {
        let start = items.position();
        match items.next() {
            Some(item) if &item[..key.len()] < key => {}
            Some(item) if &item[..key.len()] == key => return (start..items.position(), true),
            Some(_) | None => return (start..start, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The blocks as the records tell them.
    #[derive(Default)]
    struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

    impl Recorder for Records {
        fn put(&mut self, label: &[u8], block: &[u8]) {
            self.0.insert(label.to_vec(), block.to_vec());
        }

        fn splice(&mut self, label: &[u8], offset: usize, removed: usize, inserted: &[u8]) {
            let block = self.0.get_mut(label).expect("a block");
            block.splice(offset..offset + removed, inserted.iter().copied());
        }

        fn remove(&mut self, label: &[u8]) {
            self.0.remove(label).expect("a block");
        }

        fn header(&mut self, _header: &[u8]) {}

        fn whole(&mut self) {}

        fn element(&mut self, _element: &[u8]) {}
    }

    proptest! {
        /// Long items make blocks of one, so that also the first block goes and comes.
        #[test]
        fn items_are_a_map_in_order(
            steps in prop::collection::vec((0..3_u8, 0..300_u16, prop::sample::select(vec![0, 9, 600])), 0..900),
            start: u16,
        ) {
            let (mut ordered, mut records, mut map) = (Ordered::<2>::default(), Records::default(), BTreeMap::new());
            for (operation, number, len) in steps {
                let key = number.to_be_bytes();
                if operation > 0 {
                    let value = vec![7; len];
                    let is_new = ordered.set(&[&key[..], &value].concat(), &mut records);
                    prop_assert_eq!(is_new, map.insert(key, value).is_none());
                } else {
                    prop_assert_eq!(ordered.remove(&key, &mut records), map.remove(&key).is_some());
                }
            }
            prop_assert_eq!(ordered.len(), map.len());
            for (rank, (key, value)) in map.iter().enumerate() {
                prop_assert_eq!(ordered.get(key), Some(&value[..]));
                prop_assert_eq!(ordered.rank(key), rank);
            }
            let start = (start % 300).to_be_bytes();
            let found: Vec<_> = ordered.range(start, [0, 250]).map(key_of).collect();
            let expected: Vec<_> = map.keys().filter(|key| **key >= start && **key <= [0, 250]).copied().collect();
            prop_assert_eq!(found, expected);
            let blocks = records.0.iter().map(|(label, bytes)| {
                (key_of(label), Block::parse(bytes, 1).expect("items"))
            });
            let restored = Ordered::from_blocks(blocks.collect()).expect("in order");
            prop_assert!(restored.blocks().eq(ordered.blocks()));
            prop_assert_eq!(ordered.last().map(key_of), map.keys().last().copied());
        }
    }

    #[test]
    fn blocks_out_of_order_are_refused() {
        let block = |keys: &[&[u8]]| {
            let bytes: Vec<u8> = keys.iter().flat_map(|key| entry(&[key])).collect();
            Block::new(keys.len(), &bytes)
        };
        for (blocks, is_valid) in [
            (vec![(*b"aa", block(&[b"aa", b"ab"])), (*b"ac", block(&[b"ad"]))], true),
            (vec![(*b"zz", block(&[b"aa", b"ab"]))], true),
            (vec![(*b"aa", block(&[b"ab", b"aa"]))], false),
            (vec![(*b"aa", block(&[b"aa", b"aa"]))], false),
            (vec![(*b"aa", block(&[b"a"]))], false),
            (vec![(*b"aa", block(&[b"aa", b"ac"])), (*b"ac", block(&[b"ad"]))], false),
            (vec![(*b"aa", block(&[b"aa"])), (*b"ae", block(&[b"ad"]))], false),
        ] {
            assert_eq!(Ordered::<2>::from_blocks(blocks).is_some(), is_valid);
        }
    }
}
