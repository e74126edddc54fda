//! The list value: elements in an order of their own. Knows bytes only.
//!
//! A small list is one block; a big one is a tree of blocks whose labels are numbers with wide gaps between them. What is
//! pushed at an end fills the block there and then gets a new one, whose label is a step beyond the last: neither
//! moves anything. What is inserted in the middle divides its block, and the new half gets a label from the gap.

use std::cell::Cell;
use std::ops::Range;

use smallvec::smallvec;
use triomphe::Arc;

use super::allocation_size;
use super::block::{BLOCK_BYTES, Block, Buffer, Items, SharedItems, entry, item_bytes, push_item};
use super::blocks::{self, LabelBytes, Labelled, Shape, Splice};
use super::collection::{Collection, StoredBlocks};
use super::number::IntegerBuffer;
use super::recorder::Recorder;
use super::tree::{Place, Tree};
use super::value::Kind;

/// Up to this length a list is a single block: it is moved with every change, so a longer one would be slower than two.
const PACKED_MAX_BYTES: usize = 2 * BLOCK_BYTES;

/// Entries that pushing leaves in a block at most. Blocks are searched from their start, so many tiny elements in one
/// would make the right end of a list slow.
const PUSHED_MAX_ENTRIES: usize = 128;

/// From a label to that of a new block beyond it at an end: room for 32 divisions of what is between.
const STEP: u64 = 1 << 32;

/// Where the labels begin when all are given anew; they then take half of all numbers, with a quarter left at each end.
const FIRST_LABEL: u64 = 1 << 62;

/// Up to this length OBJECT ENCODING calls a list a listpack, as Redis does with its default
/// `list-max-listpack-size`.
const LISTPACK_MAX_BYTES: usize = 8 << 10;

/// What is stored beside the blocks of a list of many; a single block has nothing beside it.
const TREE_HEADER: &[u8] = &[1];

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Left,
    /// Where index -1 is.
    Right,
}

/// A list; cloning it is O(1).
#[derive(Clone, Debug)]
pub enum ListValue {
    /// At most 2 KB or so.
    Packed(Block),
    /// Any others.
    Big(Arc<Tree<u64>>),
}

/// How the blocks of a list are ordered and divided.
#[derive(Default)]
struct Order {
    /// Whether a block stayed too long because there was no label for its second half.
    is_exhausted: Cell<bool>,
}

impl Shape for Order {
    type Label = u64;

    fn label_bytes(&self, label: &u64) -> LabelBytes {
        label.to_be_bytes().as_slice().into()
    }

    fn divide(
        &self,
        (label, block): &Labelled<u64>,
        next: Option<&u64>,
        _inserted: Range<usize>,
    ) -> Option<[Labelled<u64>; 2]> {
        // Where new elements come again and again next to the same one, halves have room for them and ends have not.
        let middle = block.bytes().len() / 2;
        let at = blocks::cut(block, 1, &(middle..middle))?;
        let Some(between) = label_between(*label, next.copied()) else {
            self.is_exhausted.set(true);
            return None;
        };
        let (first, second) = blocks::parts(block, at);
        Some([(*label, first), (between, second)])
    }
}

/// A label behind `label` and before `next`.
fn label_between(label: u64, next: Option<u64>) -> Option<u64> {
    match next {
        None => label.checked_add(STEP),
        Some(next) => Some(label + (next - label) / 2).filter(|between| *between > label),
    }
}

/// A tree of these blocks with new labels, as far from each other as possible.
fn labelled(blocks: Vec<Block>) -> Tree<u64> {
    let step = (u64::MAX / 2) / (blocks.len() as u64).max(1);
    let labels = (0..).map(|index: u64| FIRST_LABEL + index * step);
    Tree::from_blocks(labels.zip(blocks))
}

/// A tree of the elements of a block.
fn tree_of(block: &Block) -> Tree<u64> {
    let bytes = block.bytes();
    let (mut blocks, mut items) = (Vec::new(), block.items());
    let (mut start, mut end, mut entries) = (0, 0, 0);
    while items.next().is_some() {
        if entries > 0 && items.position() - start > BLOCK_BYTES {
            blocks.push(Block::new(entries, &bytes[start..end]));
            (start, entries) = (end, 0);
        }
        (end, entries) = (items.position(), entries + 1);
    }
    if entries > 0 {
        blocks.push(Block::new(entries, &bytes[start..end]));
    }
    labelled(blocks)
}

/// The items of values that are pushed one after the other.
fn pushed(end: End, values: &[&[u8]]) -> Buffer {
    let mut items = Buffer::new();
    match end {
        End::Left => values.iter().rev().for_each(|value| push_item(&mut items, value)),
        End::Right => values.iter().for_each(|value| push_item(&mut items, value)),
    }
    items
}

/// The bytes of so many entries of a block from one on.
fn bytes_of(block: &Block, entries: Range<usize>) -> Range<usize> {
    let len = block.bytes().len();
    let mut items = block.items();
    let start = match entries.start {
        0 => 0,
        before => {
            items.nth(before - 1);
            items.position()
        }
    };
    if entries.end >= block.entries() {
        return start..len;
    }
    if !entries.is_empty() {
        items.nth(entries.len() - 1);
    }
    start..items.position()
}

/// Tells the recorder which indexes a change is about.
fn record_indexes(indexes: impl IntoIterator<Item = usize>, recorder: &mut dyn Recorder) {
    let mut text = IntegerBuffer::new();
    for index in indexes {
        recorder.element(text.format(index as i64));
    }
}

impl Default for ListValue {
    fn default() -> Self {
        Self::Packed(Block::empty())
    }
}

impl ListValue {
    /// Pushes values one after the other, so that the last is at the end.
    pub fn push(&mut self, end: End, values: &[&[u8]], recorder: &mut dyn Recorder) {
        let start = if end == End::Left { 0 } else { self.len() };
        record_indexes(start..start + values.len(), recorder);
        if let Self::Packed(block) = self {
            let len = block.bytes().len();
            let added: usize = values.iter().map(|value| item_bytes(value.len())).sum();
            if len + added <= PACKED_MAX_BYTES {
                let at = if end == End::Left { 0 } else { len };
                let items = pushed(end, values);
                recorder.splice(&[], at, 0, &items);
                block.splice(at, 0, &items, block.entries() + values.len());
                return;
            }
            // An empty tree has no end to push to.
            let is_empty = block.entries() == 0;
            let first = if is_empty { Block::new(1, &pushed(end, &values[..1])) } else { block.clone() };
            let mut tree = tree_of(&first);
            push_to_tree(&mut tree, end, &values[usize::from(is_empty)..], &mut ());
            *self = Self::Big(Arc::new(tree));
            recorder.whole();
        } else if let Self::Big(tree) = self {
            push_to_tree(Arc::make_mut(tree), end, values, recorder);
        }
    }

    /// The element at an index from the left.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let (block, within) = self.block_at(index)?;
        block.items().nth(within)
    }

    /// The element at an end.
    #[must_use]
    pub fn end(&self, end: End) -> Option<&[u8]> {
        match end {
            End::Left => self.get(0),
            End::Right => self.get(self.len().checked_sub(1)?),
        }
    }

    /// Replaces the element at an index; says whether there is one.
    pub fn set(&mut self, index: usize, value: &[u8], recorder: &mut dyn Recorder) -> bool {
        let Some((block, within)) = self.block_at(index) else { return false };
        let range = bytes_of(block, within..within + 1);
        let item = entry(&[value]);
        record_indexes([index], recorder);
        let splice = Splice { at: range.start, removed: range.len(), inserted: &item, entries: 0 };
        self.change(index, splice, recorder);
        true
    }

    /// Inserts an element so that it then has that index; says whether it is not behind the end.
    pub fn insert(&mut self, index: usize, value: &[u8], recorder: &mut dyn Recorder) -> bool {
        if index == self.len() {
            self.push(End::Right, &[value], recorder);
            return true;
        }
        let Some((block, within)) = self.block_at(index) else { return false };
        let at = bytes_of(block, 0..within).end;
        record_indexes([index], recorder);
        let splice = Splice { at, removed: 0, inserted: &entry(&[value]), entries: 1 };
        self.change(index, splice, recorder);
        true
    }

    /// Removes the element at an end and gives it.
    pub fn pop(&mut self, end: End, recorder: &mut dyn Recorder) -> Option<Vec<u8>> {
        let last = self.len().checked_sub(1)?;
        let index = if end == End::Left { 0 } else { last };
        record_indexes([index], recorder);
        let (block, within) = self.block_at(index)?;
        let bytes = bytes_of(block, within..within + 1);
        let value = Items::at(block.bytes(), bytes.start).next()?.to_vec();
        if last == 0 {
            self.clear(recorder);
        } else {
            let splice = Splice { at: bytes.start, removed: bytes.len(), inserted: &[], entries: -1 };
            self.change(index, splice, recorder);
        }
        Some(value)
    }

    /// Removes elements from an index on, as far as there are so many.
    pub fn remove(&mut self, start: usize, count: usize, recorder: &mut dyn Recorder) {
        let end = start.saturating_add(count).min(self.len());
        record_indexes(start..end, recorder);
        self.cut_out(start..end, recorder);
    }

    /// Removes the elements that are equal to a value, at most `limit`, from an index on; gives how many.
    pub fn remove_equal(
        &mut self,
        value: &[u8],
        start: usize,
        limit: usize,
        recorder: &mut dyn Recorder,
    ) -> usize {
        let (mut removed, mut next) = (0, start);
        while removed < limit
            && let Some((block, within)) = self.block_at(next)
        {
            let entries = block.entries();
            let Some(found) = Equal::find(block, within, value, limit - removed) else {
                next += entries - within;
                continue;
            };
            // The indexes are those before the change.
            record_indexes(found.entries.iter().map(|entry| next - within + entry + removed), recorder);
            let count = found.entries.len();
            let splice = Splice {
                at: found.bytes.start,
                removed: found.bytes.len(),
                inserted: &found.between,
                entries: -(count as isize),
            };
            self.change(next, splice, recorder);
            next += entries - within - count;
            removed += count;
        }
        if self.len() == 0 {
            self.clear(recorder);
        }
        removed
    }

    /// Keeps only the elements in a range. That is recorded as a change even when it keeps all.
    pub fn trim(&mut self, kept: Range<usize>, recorder: &mut dyn Recorder) {
        let len = self.len();
        let end = kept.end.min(len);
        if kept.start == 0 && end == len {
            self.change(0, Splice { at: 0, removed: 0, inserted: &[], entries: 0 }, recorder);
        } else if kept.start >= end {
            self.clear(recorder);
        } else {
            self.cut_out(end..len, recorder);
            self.cut_out(0..kept.start, recorder);
        }
    }

    /// Elements for a reply: so many from an index on, as far as there are.
    #[must_use]
    pub fn range(&self, start: usize, count: usize) -> SharedItems {
        let mut items = SharedItems::default();
        let mut rest = count.min(self.len().saturating_sub(start));
        let mut add = |block: &Block, within: usize| {
            let taken = rest.min(block.entries() - within);
            if taken > 0 {
                items.push(block, bytes_of(block, within..within + taken), taken);
            }
            rest -= taken;
            rest > 0
        };
        match self {
            Self::Packed(block) => {
                add(block, start.min(block.entries()));
            }
            Self::Big(tree) => {
                let (place, mut within) =
                    tree.find_rank(start).map_or((None, 0), |(at, within)| (Some(at), within));
                tree.blocks_from(place).all(|(_, block)| add(block, std::mem::take(&mut within)));
            }
        }
        items
    }

    /// All elements from the left.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (packed, tree) = self.parts();
        let blocks =
            packed.into_iter().chain(tree.into_iter().flat_map(Tree::blocks).map(|(_, block)| block));
        blocks.flat_map(Block::items)
    }

    /// All elements from the right.
    pub fn iter_back(&self) -> impl Iterator<Item = &[u8]> {
        let (packed, tree) = self.parts();
        let big = tree.into_iter().flat_map(|tree| {
            let places = std::iter::successors(tree.last(), |place| tree.previous(place));
            places.map(|place| tree.get(&place).1)
        });
        packed.into_iter().chain(big).flat_map(|block| block.items().collect::<Vec<_>>().into_iter().rev())
    }

    fn parts(&self) -> (Option<&Block>, Option<&Tree<u64>>) {
        match self {
            Self::Packed(block) => (Some(block), None),
            Self::Big(tree) => (None, Some(tree)),
        }
    }

    /// The block that has the element at an index, and how many are before it there.
    fn block_at(&self, index: usize) -> Option<(&Block, usize)> {
        match self {
            Self::Packed(block) => (index < block.entries()).then_some((block, index)),
            Self::Big(tree) => {
                let (place, within) = tree.find_rank(index)?;
                Some((tree.get(&place).1, within))
            }
        }
    }

    /// Changes the block that has the element at an index.
    fn change(&mut self, index: usize, splice: Splice<'_>, recorder: &mut dyn Recorder) {
        match self {
            Self::Packed(block) => {
                let Splice { at, removed, inserted, entries } = splice;
                recorder.splice(&[], at, removed, inserted);
                block.splice(at, removed, inserted, block.entries().wrapping_add_signed(entries));
                if block.bytes().len() > PACKED_MAX_BYTES {
                    *self = Self::Big(Arc::new(tree_of(block)));
                    recorder.whole();
                }
            }
            Self::Big(tree) => {
                let tree = Arc::make_mut(tree);
                if let Some((place, _)) = tree.find_rank(index) {
                    change_block(tree, &place, splice, recorder);
                }
            }
        }
    }

    /// Removes the elements in a range that ends with the list at the latest.
    fn cut_out(&mut self, range: Range<usize>, recorder: &mut dyn Recorder) {
        let mut rest = range.len();
        if rest == self.len() {
            return self.clear(recorder);
        }
        while rest > 0
            && let Some((block, within)) = self.block_at(range.start)
        {
            let taken = rest.min(block.entries() - within);
            let bytes = bytes_of(block, within..within + taken);
            let splice =
                Splice { at: bytes.start, removed: bytes.len(), inserted: &[], entries: -(taken as isize) };
            self.change(range.start, splice, recorder);
            rest -= taken;
        }
    }

    fn clear(&mut self, recorder: &mut dyn Recorder) {
        *self = Self::default();
        recorder.whole();
    }
}

/// Pushes values to a tree that has blocks.
fn push_to_tree(tree: &mut Tree<u64>, end: End, mut values: &[&[u8]], recorder: &mut dyn Recorder) {
    while let Some(place) = if end == End::Left { tree.first() } else { tree.last() }
        && !values.is_empty()
    {
        let (label, block) = tree.get(&place);
        let (len, entries) = (block.bytes().len(), block.entries());
        let fitting =
            fitting(values, BLOCK_BYTES.saturating_sub(len), PUSHED_MAX_ENTRIES.saturating_sub(entries));
        if fitting > 0 {
            let at = if end == End::Left { 0 } else { len };
            let items = pushed(end, &values[..fitting]);
            let splice = Splice { at, removed: 0, inserted: &items, entries: fitting as isize };
            change_block(tree, &place, splice, recorder);
            values = &values[fitting..];
            continue;
        }
        let (label, block) = (*label, block.clone());
        let beyond = if end == End::Left { label.checked_sub(STEP) } else { label.checked_add(STEP) };
        let Some(beyond) = beyond else {
            relabel(tree, recorder);
            continue;
        };
        // A new block, with one element even if that alone is too long, and with room for more of them.
        let count = self::fitting(values, BLOCK_BYTES, PUSHED_MAX_ENTRIES).max(1);
        let items = pushed(end, &values[..count]);
        let room = BLOCK_BYTES.min(items.len() / count * PUSHED_MAX_ENTRIES);
        let new = Block::with_capacity(count, &items, room);
        recorder.put(&beyond.to_be_bytes(), new.bytes());
        let (old, new) = ((label, block), (beyond, new));
        tree.replace(&place, 1, if end == End::Left { smallvec![new, old] } else { smallvec![old, new] });
        values = &values[count..];
    }
}

/// How many of the first values have together at most so many bytes as items, and are at most so many.
fn fitting(values: &[&[u8]], mut room_bytes: usize, room_entries: usize) -> usize {
    let fits = |value: &&&[u8]| {
        let rest = room_bytes.checked_sub(item_bytes(value.len()));
        room_bytes = rest.unwrap_or(0);
        rest.is_some()
    };
    values.iter().take(room_entries).take_while(fits).count()
}

fn change_block(tree: &mut Tree<u64>, place: &Place, splice: Splice<'_>, recorder: &mut dyn Recorder) {
    let order = Order::default();
    blocks::splice(tree, &order, place, splice, recorder);
    if order.is_exhausted.get() {
        relabel(tree, recorder);
    }
}

/// Gives all blocks new labels, so that there is room between them. A block that had stayed too long for want of a label
/// is divided with its next change.
fn relabel(tree: &mut Tree<u64>, recorder: &mut dyn Recorder) {
    *tree = labelled(tree.blocks().map(|(_, block)| block.clone()).collect());
    recorder.whole();
}

/// The elements of one block that are equal to a value.
struct Equal {
    /// Which entries they are.
    entries: Vec<usize>,
    /// From the first to the last of them.
    bytes: Range<usize>,
    /// The items between them.
    between: Vec<u8>,
}

impl Equal {
    /// The first of them from an entry on, at most `limit`; `None` if there is none.
    fn find(block: &Block, from: usize, value: &[u8], limit: usize) -> Option<Self> {
        let bytes = block.bytes();
        let mut items = Items::at(bytes, bytes_of(block, 0..from).end);
        let mut found: Option<Self> = None;
        let mut entry = from;
        loop {
            let start = items.position();
            let Some(item) = items.next() else { return found };
            if item == value {
                let found = found.get_or_insert_with(|| Self {
                    entries: Vec::new(),
                    bytes: start..start,
                    between: Vec::new(),
                });
                found.between.extend_from_slice(&bytes[found.bytes.end..start]);
                found.bytes.end = items.position();
                found.entries.push(entry);
            }
            if found.as_ref().is_some_and(|found| found.entries.len() == limit) {
                return found;
            }
            entry += 1;
        }
    }
}

impl Collection for ListValue {
    const KIND: Kind = Kind::List;

    fn len(&self) -> usize {
        match self {
            Self::Packed(block) => block.entries(),
            Self::Big(tree) => tree.entries(),
        }
    }

    fn encoding(&self) -> &'static str {
        let (packed, tree) = self.parts();
        let big = tree.into_iter().flat_map(Tree::blocks).map(|(_, block)| block);
        let mut room = LISTPACK_MAX_BYTES;
        let mut fits = |block: &Block| {
            let rest = room.checked_sub(block.bytes().len());
            room = rest.unwrap_or(0);
            rest.is_some()
        };
        if packed.into_iter().chain(big).all(&mut fits) { "listpack" } else { "quicklist" }
    }

    fn memory_usage(&self) -> usize {
        match self {
            Self::Packed(block) => block.memory_usage(),
            Self::Big(tree) => {
                allocation_size(size_of::<usize>() + size_of::<Tree<u64>>()) + tree.memory_usage()
            }
        }
    }

    fn header(&self) -> Vec<u8> {
        match self {
            Self::Packed(_) => Vec::new(),
            Self::Big(_) => TREE_HEADER.to_vec(),
        }
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        match self {
            Self::Packed(block) => visit(LabelBytes::new(), block),
            Self::Big(tree) => {
                tree.blocks().for_each(|(label, block)| visit(label.to_be_bytes().as_slice().into(), block));
            }
        }
    }

    fn restore(header: &[u8], blocks: StoredBlocks) -> Option<Self> {
        if header.is_empty() {
            return Some(Self::Packed(blocks.single(1)?));
        }
        let label = |bytes: Vec<u8>| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        let blocks = blocks.parse(1)?.into_iter().map(|(bytes, block)| Some((label(bytes)?, block)));
        let blocks = blocks.collect::<Option<Vec<_>>>()?;
        let is_whole = header == TREE_HEADER && !blocks.is_empty() && blocks.is_sorted_by(|a, b| a.0 < b.0);
        is_whole.then(|| Self::Big(Arc::new(Tree::from_blocks(blocks))))
    }
}

#[cfg(test)]
mod tests;
