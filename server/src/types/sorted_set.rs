//! The sorted set value: members in the order of their scores. Knows bytes and doubles only.
//!
//! A small sorted set is one block of members and scores, in their order. A big one has a [`Dictionary`] of its members
//! with their scores, which is what is recorded and stored, and beside it an [`Order`] of the same entries, which is
//! made again when the value is loaded.

mod entry;
mod order;

use std::ops::Range;

use triomphe::Arc;

use super::block::{Block, CopiedItems, Items, SharedItems};
use super::blocks::LabelBytes;
use super::collection::{Collection, PackedLimits, StoredBlocks};
use super::dictionary::{Dictionary, search};
use super::recorder::Recorder;
use super::value::Kind;
use entry::{ITEMS, compare, entries, parse_score};
use order::Order;

/// A sorted set; cloning it is O(1).
#[derive(Clone, Debug)]
pub enum SortedSetValue {
    /// At most as many members as the limits say, none of them longer than they say.
    Packed(Block),
    /// Any others.
    Big(Arc<BigSortedSet>),
}

/// The members twice: by name and by score.
#[derive(Clone, Debug)]
pub struct BigSortedSet {
    members: Dictionary,
    order: Order,
}

impl Default for SortedSetValue {
    fn default() -> Self {
        Self::Packed(Block::empty())
    }
}

impl BigSortedSet {
    /// Of a block of entries in their order.
    fn from_block(block: &Block) -> Self {
        Self { members: Dictionary::from_block(block, ITEMS), order: Order::from_block(block) }
    }
}

impl SortedSetValue {
    /// A sorted set of these scores and members, which are all different, in any order.
    #[must_use]
    pub fn from_entries(entries: &mut [(f64, &[u8])], limits: PackedLimits) -> Self {
        let longest = entries.iter().map(|(_, member)| member.len()).max().unwrap_or(0);
        let block = order::sorted_block(entries);
        if limits.allow(block.entries(), longest) {
            Self::Packed(block)
        } else {
            Self::Big(Arc::new(BigSortedSet::from_block(&block)))
        }
    }

    /// What finds the members, if they are many.
    pub(super) fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Packed(_) => None,
            Self::Big(big) => Some(&big.members),
        }
    }

    /// The score of a member.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        let mut items = match self {
            Self::Packed(block) => Items::at(block.bytes(), search(block, member, ITEMS)?.start),
            Self::Big(big) => big.members.get(member)?,
        };
        entry::next(&mut items).map(|(_, score)| score)
    }

    /// How many members come before this one, which has this score.
    #[must_use]
    pub fn rank(&self, member: &[u8], score: f64) -> usize {
        self.count_before(|other_score, other| compare((other_score, other), (score, member)).is_lt())
    }

    /// How many members satisfy `before`, which holds for a first part of them.
    pub fn count_before(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match self {
            Self::Packed(block) => {
                entries(block).take_while(|entry| before(entry.score, entry.member)).count()
            }
            Self::Big(big) => big.order.count_before(before),
        }
    }

    /// The members of these ranks, each followed by its score as [`scored`] reads it, forwards or backwards.
    #[must_use]
    pub fn items(&self, ranks: Range<usize>, reverse: bool) -> SharedItems {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        match self {
            Self::Packed(block) => {
                let mut items = SharedItems::default();
                entry::share(&mut items, block, ranks, reverse);
                items
            }
            Self::Big(big) => big.order.items(ranks, reverse),
        }
    }

    /// The member at this place, in no particular order, with its score.
    #[must_use]
    pub fn nth(&self, place: usize) -> Option<(&[u8], f64)> {
        match self {
            Self::Packed(block) => entries(block).nth(place).map(|entry| (entry.member, entry.score)),
            Self::Big(big) => entry::next(&mut big.members.nth(place)?),
        }
    }

    /// Gives a member the score that `decide` chooses when it is told the present one; `None` leaves all as it is.
    /// Gives the score before.
    pub fn update(
        &mut self,
        member: &[u8],
        limits: PackedLimits,
        recorder: &mut dyn Recorder,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let before = self.score(member);
        let Some(score) = decide(before).filter(|score| before != Some(*score) && !score.is_nan()) else {
            return before;
        };
        // There is only one zero.
        let score = score + 0.0;
        recorder.element(member);
        if let Self::Packed(block) = self {
            if before.is_some() || limits.allow(block.entries() + 1, member.len()) {
                if before.is_some() {
                    remove_packed(block, member, recorder);
                }
                insert_packed(block, member, score, recorder);
                return before;
            }
            *self = Self::Big(Arc::new(BigSortedSet::from_block(block)));
            recorder.whole();
        }
        if let Self::Big(big) = self {
            let big = Arc::make_mut(big);
            if let Some(before) = before {
                big.order.remove(member, before);
            }
            big.members.set(&[member, &score.to_le_bytes()], recorder);
            big.order.insert(member, score);
        }
        before
    }

    /// Removes a member; says whether there was one.
    pub fn remove(&mut self, member: &[u8], recorder: &mut dyn Recorder) -> bool {
        let Some(score) = self.score(member) else { return false };
        match self {
            Self::Packed(block) => remove_packed(block, member, recorder),
            Self::Big(big) => {
                let big = Arc::make_mut(big);
                big.members.remove(member, recorder);
                big.order.remove(member, score);
            }
        }
        recorder.element(member);
        true
    }

    /// Removes the member of this rank, and gives it with its score.
    pub fn take_rank(&mut self, rank: usize, recorder: &mut dyn Recorder) -> Option<(Vec<u8>, f64)> {
        let (member, score) = match self {
            Self::Packed(block) => entries(block).nth(rank).map(|entry| (entry.member.to_vec(), entry.score)),
            Self::Big(big) => big.order.nth(rank).map(|(member, score)| (member.to_vec(), score)),
        }?;
        recorder.element(&member);
        if self.len() == 1 {
            *self = Self::default();
            recorder.whole();
            return Some((member, score));
        }
        match self {
            Self::Packed(block) => remove_packed(block, &member, recorder),
            Self::Big(big) => {
                let big = Arc::make_mut(big);
                big.members.remove(&member, recorder);
                big.order.remove_ranks(rank..rank + 1);
            }
        }
        Some((member, score))
    }

    /// Removes the members of these ranks, and gives them as [`Self::items`] does.
    pub fn take_ranks(
        &mut self,
        ranks: Range<usize>,
        reverse: bool,
        recorder: &mut dyn Recorder,
    ) -> SharedItems {
        let taken = self.items(ranks.clone(), reverse);
        scored(&taken).for_each(|(member, _)| recorder.element(member));
        if taken.len() == ITEMS * self.len() {
            if !taken.is_empty() {
                recorder.whole();
            }
            *self = Self::default();
            return taken;
        }
        match self {
            Self::Packed(block) if !taken.is_empty() => {
                let entries = block.entries() - ranks.len();
                let range = entry::part(block, ranks);
                recorder.splice(&[], range.start, range.len(), &[]);
                block.splice(range.start, range.len(), &[], entries);
            }
            Self::Big(big) if !taken.is_empty() => {
                let big = Arc::make_mut(big);
                for (member, _) in scored(&taken) {
                    big.members.remove(member, recorder);
                }
                big.order.remove_ranks(ranks);
            }
            Self::Packed(_) | Self::Big(_) => {}
        }
        taken
    }

    /// Visits members and scores from a cursor on, as `Dictionary::scan`; a small sorted set is visited at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match self {
            Self::Packed(block) => {
                entries(block).for_each(|entry| visit(entry.member, entry.score));
                0
            }
            Self::Big(big) => big.members.scan(cursor, count, |mut items| {
                if let Some((member, score)) = entry::next(&mut items) {
                    visit(member, score);
                }
            }),
        }
    }
}

/// The members and scores of what [`SortedSetValue::items`] gives.
pub fn scored(items: &SharedItems) -> impl Iterator<Item = (&[u8], f64)> {
    let mut items = items.iter();
    std::iter::from_fn(move || Some((items.next()?, parse_score(items.next()?).unwrap_or_default())))
}

/// The members of what [`SortedSetValue::items`] gives.
#[must_use]
pub fn members(items: SharedItems) -> SharedItems {
    items.select(ITEMS, &[0])
}

/// Members and scores in the form of what [`SortedSetValue::items`] gives, in the order in which they come.
pub fn scored_items<M: AsRef<[u8]>>(entries: impl IntoIterator<Item = (M, f64)>) -> SharedItems {
    let mut copied = CopiedItems::default();
    for (member, score) in entries {
        copied.push(member.as_ref());
        copied.push(&score.to_le_bytes());
    }
    copied.into()
}

/// Scores and members, sorted, in the form of what [`SortedSetValue::items`] gives.
pub fn sorted_items(entries: &mut [(f64, &[u8])]) -> SharedItems {
    let block = order::sorted_block(entries);
    let mut items = SharedItems::default();
    items.push(&block, 0..block.bytes().len(), entries.len() * ITEMS);
    items
}

fn insert_packed(block: &mut Block, member: &[u8], score: f64, recorder: &mut dyn Recorder) {
    let behind = entries(block).find(|entry| compare((entry.score, entry.member), (score, member)).is_gt());
    let at = behind.map_or(block.bytes().len(), |entry| entry.range.start);
    let new = entry::bytes(member, score);
    recorder.splice(&[], at, 0, &new);
    block.splice(at, 0, &new, block.entries() + 1);
}

fn remove_packed(block: &mut Block, member: &[u8], recorder: &mut dyn Recorder) {
    if let Some(range) = search(block, member, ITEMS) {
        recorder.splice(&[], range.start, range.len(), &[]);
        block.splice(range.start, range.len(), &[], block.entries() - 1);
    }
}

impl Collection for SortedSetValue {
    const KIND: Kind = Kind::SortedSet;

    fn len(&self) -> usize {
        match self {
            Self::Packed(block) => block.entries(),
            Self::Big(big) => big.members.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Big(_) => "skiplist",
        }
    }

    fn memory_usage(&self) -> usize {
        match self {
            Self::Packed(block) => block.memory_usage(),
            Self::Big(big) => big.members.memory_usage() + big.order.memory_usage(),
        }
    }

    fn header(&self) -> Vec<u8> {
        match self {
            Self::Packed(_) => Vec::new(),
            Self::Big(big) => big.members.seed().to_le_bytes().to_vec(),
        }
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        match self {
            Self::Packed(block) => visit(LabelBytes::new(), block),
            Self::Big(big) => big.members.blocks().for_each(|(label, block)| visit(label, block)),
        }
    }

    fn restore(header: &[u8], blocks: StoredBlocks) -> Option<Self> {
        if header.is_empty() {
            let block = blocks.single(ITEMS)?;
            let is_sorted = entries(&block).is_sorted_by(|one, next| {
                compare((one.score, one.member), (next.score, next.member)).is_lt()
            });
            return (is_sorted && has_scores(&block)).then_some(Self::Packed(block));
        }
        let seed = u64::from_le_bytes(header.try_into().ok()?);
        let blocks = blocks.parse(ITEMS)?;
        if !blocks.iter().all(|(_, block)| has_scores(block)) {
            return None;
        }
        let mut sorted: Vec<(f64, &[u8])> = Vec::new();
        for (_, block) in &blocks {
            sorted.extend(entries(block).map(|entry| (entry.score, entry.member)));
        }
        let order = Order::from_block(&order::sorted_block(&mut sorted));
        let members = Dictionary::from_blocks(seed, ITEMS, blocks)?;
        Some(Self::Big(Arc::new(BigSortedSet { members, order })))
    }
}

/// Whether the second item of every entry is a score.
fn has_scores(block: &Block) -> bool {
    block.items().skip(1).step_by(ITEMS).all(|item| parse_score(item).is_some())
}

#[cfg(test)]
mod tests;
