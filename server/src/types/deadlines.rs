//! Deadlines in the order of time: what of a big collection ends when. Only in memory: it is made anew from the ends
//! themselves.
//!
//! A tree of blocks as any other, so that a clone shares it; but entries have a fixed length and no lengths before them.

use std::ops::Range;

use super::block::{BLOCK_BYTES, Block};
use super::blocks::{self, LabelBytes, Labelled, Shape, Splice};
use super::tree::{Place, Tree};

/// A time in milliseconds, and the hash of what ends then; both of 48 bits. Several may be equal.
pub type Deadline = (u64, u64);

/// Bytes of each half of a deadline.
const HALF_BYTES: usize = 6;
const DEADLINE_BYTES: usize = 2 * HALF_BYTES;

/// See the module's description; cloning is O(1).
#[derive(Clone, Debug)]
pub struct Deadlines(Tree<Deadline>);

/// Blocks are labelled with their first deadline.
struct ByTime;

fn to_bytes((time, hash): Deadline) -> [u8; DEADLINE_BYTES] {
    let mut bytes = [0; DEADLINE_BYTES];
    bytes[..HALF_BYTES].copy_from_slice(&time.to_be_bytes()[2..]);
    bytes[HALF_BYTES..].copy_from_slice(&hash.to_be_bytes()[2..]);
    bytes
}

fn from_bytes(bytes: &[u8; DEADLINE_BYTES]) -> Deadline {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << u8::BITS | u64::from(*byte));
    (number(&bytes[..HALF_BYTES]), number(&bytes[HALF_BYTES..]))
}

/// The deadlines of a block as bytes, whose order is theirs.
fn deadlines(block: &Block) -> &[[u8; DEADLINE_BYTES]] {
    block.bytes().as_chunks().0
}

impl Shape for ByTime {
    type Label = Deadline;

    fn label_bytes(&self, label: &Deadline) -> LabelBytes {
        to_bytes(*label).as_slice().into()
    }

    fn divide(
        &self,
        (label, block): &Labelled<Deadline>,
        _next: Option<&Deadline>,
        inserted: Range<usize>,
    ) -> Option<[Labelled<Deadline>; 2]> {
        let all = deadlines(block);
        // As with other trees, what grows at its end has full blocks.
        let at = if inserted.end == block.bytes().len() { all.len().checked_sub(1)? } else { all.len() / 2 };
        if at == 0 {
            return None;
        }
        let (first, second) = all.split_at(at);
        let part = |part: &[[u8; DEADLINE_BYTES]]| Block::new(part.len(), part.as_flattened());
        // What came before the first block is in that, whose label may be too high.
        let label = (*label).min(from_bytes(&first[0]));
        Some([(label, part(first)), (from_bytes(&second[0]), part(second))])
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self(Tree::from_blocks([]))
    }
}

impl Deadlines {
    /// Of deadlines in order.
    #[must_use]
    pub fn from_sorted(deadlines: &[Deadline]) -> Self {
        let blocks = deadlines.chunks(BLOCK_BYTES / DEADLINE_BYTES).map(|chunk| {
            let bytes: Vec<u8> = chunk.iter().flat_map(|deadline| to_bytes(*deadline)).collect();
            (chunk[0], Block::new(chunk.len(), &bytes))
        });
        Self(Tree::from_blocks(blocks))
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = Deadline> {
        self.0.blocks().flat_map(|(_, block)| deadlines(block).iter().map(from_bytes))
    }

    /// Adds one.
    pub fn insert(&mut self, deadline: Deadline) {
        match self.find(deadline) {
            None => self.0 = Self::from_sorted(&[deadline]).0,
            Some((place, rank, _)) => self.splice(&place, rank, 0, &to_bytes(deadline)),
        }
    }

    /// Removes one, if it is there.
    pub fn remove(&mut self, deadline: Deadline) {
        if let Some((place, rank, true)) = self.find(deadline) {
            self.splice(&place, rank, DEADLINE_BYTES, &[]);
        }
    }

    /// The block of a deadline, the rank that it has or would have there, and whether it is there.
    fn find(&self, deadline: Deadline) -> Option<(Place, usize, bool)> {
        let place = self.0.find(|label| *label <= deadline)?;
        let found = deadlines(self.0.get(&place).1).binary_search(&to_bytes(deadline));
        Some((place, found.unwrap_or_else(|rank| rank), found.is_ok()))
    }

    fn splice(&mut self, place: &Place, rank: usize, removed: usize, inserted: &[u8]) {
        let entries = if removed > 0 { -1 } else { 1 };
        let splice = Splice { at: rank * DEADLINE_BYTES, removed, inserted, entries };
        blocks::splice(&mut self.0, &ByTime, place, splice, &mut ());
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        if self.0.is_empty() { 0 } else { self.0.memory_usage() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn deadlines_are_in_order_whatever_comes_and_goes() {
        for (seed, range) in [(1, 50), (2, 5_000), (3, 1 << 40)] {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut deadlines, mut model) = (Deadlines::default(), BTreeSet::new());
            for step in 0..20_000 {
                let deadline = (random.u64(..range), random.u64(..3));
                if step % 3 == 0 || step > 15_000 {
                    let gone = model.iter().nth(random.usize(..2)).copied().unwrap_or(deadline);
                    model.remove(&gone);
                    deadlines.remove(gone);
                } else if model.insert(deadline) {
                    deadlines.insert(deadline);
                }
                if step % 1000 == 0 {
                    assert!(deadlines.iter().eq(model.iter().copied()), "seed {seed}, step {step}");
                    let sorted: Vec<Deadline> = deadlines.iter().collect();
                    assert!(Deadlines::from_sorted(&sorted).iter().eq(sorted.iter().copied()));
                }
                if model.is_empty() {
                    break;
                }
            }
            assert!(deadlines.iter().eq(model.iter().copied()), "seed {seed}");
        }
    }
}
