//! The members of a big sorted set in the order of their scores: what ranks and ranges are read from.
//!
//! It can be made again from the members and their scores at any time, so it is neither recorded nor stored.

use std::ops::Range;

use smallvec::SmallVec;
use triomphe::ThinArc;

use super::entry::{self, Entry, ITEMS, compare, entries, part};
use crate::types::allocation_size;
use crate::types::block::{BLOCK_BYTES, Block, Items, SharedItems};
use crate::types::blocks::{self, LabelBytes, Labelled, Shape, Splice};
use crate::types::tree::{Place, Tree};

/// The length of the blocks that are made of many entries at once, in bytes: the next ones do not divide them.
const FILLED_BYTES: usize = BLOCK_BYTES / 8 * 7;

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Order {
    tree: Tree<Label>,
}

/// What no entry of a block comes before, and all entries of the blocks before it do. (But the first block may have
/// entries before its label.)
#[derive(Clone, Debug)]
pub struct Label {
    score: f64,
    member: ThinArc<(), u8>,
}

impl Label {
    fn new(score: f64, member: &[u8]) -> Self {
        Self { score, member: ThinArc::from_header_and_slice((), member) }
    }

    /// Before all entries.
    fn lowest() -> Self {
        Self::new(f64::NEG_INFINITY, b"")
    }

    /// Something short between two neighbours, or the second of them.
    fn between(last: &Entry<'_>, first: &Entry<'_>) -> Self {
        if last.score < first.score {
            return Self::new(first.score, b"");
        }
        let common = last.member.iter().zip(first.member).take_while(|(one, other)| one == other).count();
        Self::new(first.score, &first.member[..first.member.len().min(common + 1)])
    }

    fn key(&self) -> (f64, &[u8]) {
        (self.score, &self.member.slice)
    }
}

/// How blocks are divided whose entries are in order.
struct ByScore;

impl Shape for ByScore {
    type Label = Label;

    fn label_bytes(&self, _label: &Label) -> LabelBytes {
        LabelBytes::new()
    }

    fn divide(
        &self,
        (label, block): &Labelled<Label>,
        _next: Option<&Label>,
        inserted: Range<usize>,
    ) -> Option<[Labelled<Label>; 2]> {
        let (first, second) = blocks::parts(block, blocks::cut(block, ITEMS, &inserted)?);
        let second_label = Label::between(&entries(&first).last()?, &entries(&second).next()?);
        // The label of the first block may be behind some of its entries, but must not be behind the second label.
        let is_behind = compare(label.key(), second_label.key()).is_ge();
        let label = if is_behind { Label::lowest() } else { label.clone() };
        Some([(label, first), (second_label, second)])
    }
}

impl Order {
    /// An order of the entries of a block, which stand in it.
    pub fn from_block(block: &Block) -> Self {
        let mut parts: Vec<Labelled<Label>> = Vec::new();
        let (mut label, mut start, mut count) = (Label::lowest(), 0, 0);
        let mut last: Option<Entry<'_>> = None;
        for entry in entries(block) {
            if let Some(last) = last.filter(|_| entry.range.end - start > FILLED_BYTES) {
                let part = Block::new(count, &block.bytes()[start..entry.range.start]);
                parts.push((label, part));
                (label, start, count) = (Label::between(&last, &entry), entry.range.start, 0);
            }
            count += 1;
            last = Some(entry);
        }
        if count > 0 {
            parts.push((label, Block::new(count, &block.bytes()[start..])));
        }
        Self { tree: Tree::from_blocks(parts) }
    }

    /// Adds a member that is not there.
    pub fn insert(&mut self, member: &[u8], score: f64) {
        let new = entry::bytes(member, score);
        let Some(place) = self.find(member, score) else {
            self.tree = Tree::from_blocks([(Label::lowest(), Block::new(1, &new))]);
            return;
        };
        let (_, block) = self.tree.get(&place);
        let behind =
            entries(block).find(|entry| compare((entry.score, entry.member), (score, member)).is_gt());
        let at = behind.map_or(block.bytes().len(), |entry| entry.range.start);
        self.splice(&place, Splice { at, removed: 0, inserted: &new, entries: 1 });
    }

    /// Removes a member that has this score.
    pub fn remove(&mut self, member: &[u8], score: f64) {
        let Some(place) = self.find(member, score) else { return };
        let (_, block) = self.tree.get(&place);
        let found = entries(block).find(|entry| entry.member == member).map(|entry| entry.range);
        let Some(range) = found else { return debug_assert!(false, "a member has its place in the order") };
        self.splice(&place, Splice { at: range.start, removed: range.len(), inserted: &[], entries: -1 });
    }

    /// Removes the members of these ranks.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) {
        let mut left = ranks.len();
        while let Some((place, within)) = self.tree.find_rank(ranks.start).filter(|_| left > 0) {
            let (_, block) = self.tree.get(&place);
            let count = left.min(block.entries() - within);
            let range = part(block, within..within + count);
            let entries = -(count as isize);
            self.splice(&place, Splice { at: range.start, removed: range.len(), inserted: &[], entries });
            left -= count;
        }
    }

    /// The member of this rank with its score.
    pub fn nth(&self, rank: usize) -> Option<(&[u8], f64)> {
        let (place, within) = self.tree.find_rank(rank)?;
        let (_, block) = self.tree.get(&place);
        entry::next(&mut Items::at(block.bytes(), part(block, within..within + 1).start))
    }

    /// How many members satisfy `before`, which holds for a first part of them.
    pub fn count_before(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        let Some(place) = self.tree.find(|label| before(label.score, &label.member.slice)) else { return 0 };
        let (_, block) = self.tree.get(&place);
        self.tree.rank(&place) + entries(block).take_while(|entry| before(entry.score, entry.member)).count()
    }

    /// The members of these ranks with their scores, forwards or backwards.
    pub fn items(&self, ranks: Range<usize>, reverse: bool) -> SharedItems {
        let mut items = SharedItems::default();
        let outermost = if reverse { ranks.end.wrapping_sub(1) } else { ranks.start };
        let Some((place, within)) = self.tree.find_rank(outermost).filter(|_| !ranks.is_empty()) else {
            return items;
        };
        let (mut place, mut within, mut left) = (Some(place), Some(within), ranks.len());
        while let Some(at) = place.filter(|_| left > 0) {
            let (_, block) = self.tree.get(&at);
            let len = block.entries();
            let places = if reverse {
                let end = within.take().map_or(len, |within| within + 1);
                end.saturating_sub(left)..end
            } else {
                let start = within.take().unwrap_or(0);
                start..len.min(start + left)
            };
            left -= places.len();
            entry::share(&mut items, block, places, reverse);
            place = if reverse { self.tree.previous(&at) } else { self.tree.next(&at) };
        }
        items
    }

    /// Bytes of memory.
    pub fn memory_usage(&self) -> usize {
        let label = |label: &Label| allocation_size(2 * size_of::<usize>() + label.member.slice.len());
        self.tree.memory_usage() + self.tree.blocks().map(|(one, _)| label(one)).sum::<usize>()
    }

    /// The block in which an entry is, or would be.
    fn find(&self, member: &[u8], score: f64) -> Option<Place> {
        self.tree.find(|label| compare(label.key(), (score, member)).is_le())
    }

    fn splice(&mut self, place: &Place, splice: Splice<'_>) {
        blocks::splice(&mut self.tree, &ByScore, place, splice, &mut ());
    }
}

/// Entries in order as one block.
pub fn sorted_block(entries: &mut [(f64, &[u8])]) -> Block {
    // There is only one zero.
    for (score, _) in entries.iter_mut() {
        *score += 0.0;
    }
    entries.sort_unstable_by(|one, other| compare(*one, *other));
    let mut bytes = Vec::new();
    for (score, member) in entries.iter() {
        let items: SmallVec<[u8; 256]> = entry::bytes(member, *score);
        bytes.extend_from_slice(&items);
    }
    Block::new(entries.len(), &bytes)
}
