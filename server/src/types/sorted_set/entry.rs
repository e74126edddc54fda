//! The entries of a sorted set's blocks: a member and its score, which is a double in eight bytes.

use std::cmp::Ordering;
use std::ops::Range;

use smallvec::SmallVec;

use crate::types::block::{self, Block, Buffer, Items, SharedItems};

/// A member and its score.
pub const ITEMS: usize = 2;

/// An entry in a block.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its bytes in the block.
    pub range: Range<usize>,
    /// Its member.
    pub member: &'a [u8],
    /// Its score.
    pub score: f64,
}

/// The order of a sorted set: by score, and by the bytes of the members where scores are equal.
pub fn compare(one: (f64, &[u8]), other: (f64, &[u8])) -> Ordering {
    one.0.total_cmp(&other.0).then_with(|| one.1.cmp(other.1))
}

/// The bytes of an entry.
pub fn bytes(member: &[u8], score: f64) -> Buffer {
    block::entry(&[member, &score.to_le_bytes()])
}

/// The score in its item; `None` if it is none.
pub fn parse_score(item: &[u8]) -> Option<f64> {
    item.try_into().ok().map(f64::from_le_bytes).filter(|score| !score.is_nan())
}

/// The entries of a block.
pub fn entries(block: &Block) -> impl Iterator<Item = Entry<'_>> {
    let mut items = block.items();
    std::iter::from_fn(move || {
        let start = items.position();
        let (member, score) = next(&mut items)?;
        Some(Entry { range: start..items.position(), member, score })
    })
}

/// The member and score that come next.
pub fn next<'a>(items: &mut Items<'a>) -> Option<(&'a [u8], f64)> {
    Some((items.next()?, parse_score(items.next()?).unwrap_or_default()))
}

/// The bytes of some entries of a block, told by their places.
pub fn part(block: &Block, places: Range<usize>) -> Range<usize> {
    let start = if places.start == 0 { 0 } else { position(block, 0, places.start) };
    let end = if places.end == block.entries() {
        block.bytes().len()
    } else {
        position(block, start, places.len())
    };
    start..end
}

/// Where the bytes begin of the entry that is so many behind the one at `from`.
fn position(block: &Block, from: usize, entries: usize) -> usize {
    let mut items = Items::at(block.bytes(), from);
    items.by_ref().take(entries * ITEMS).for_each(drop);
    items.position()
}

/// Adds some entries of a block, told by their places, forwards or backwards.
pub fn share(items: &mut SharedItems, block: &Block, places: Range<usize>, reverse: bool) {
    let (count, range) = (places.len(), part(block, places));
    if !reverse || count < 2 {
        return items.push(block, range, count * ITEMS);
    }
    let ranges: SmallVec<[Range<usize>; 64]> = entries(block)
        .map(|entry| entry.range)
        .skip_while(|entry| entry.start < range.start)
        .take(count)
        .collect();
    let mut reversed = SmallVec::<[u8; 1024]>::with_capacity(range.len());
    for range in ranges.into_iter().rev() {
        reversed.extend_from_slice(&block.bytes()[range]);
    }
    items.push(&Block::new(count, &reversed), 0..reversed.len(), count * ITEMS);
}
