//! Changing a tree of blocks: dividing what has grown too long, joining what has become short, telling the recorder.
//!
//! How a block may be divided depends on what orders the entries; that is all that a [`Shape`] says. Knows neither what
//! entries mean nor where records go.

use std::ops::Range;

use smallvec::{SmallVec, smallvec};

use super::block::{BLOCK_BYTES, Block};
use super::recorder::Recorder;
use super::tree::{Place, Tree};

/// A block shorter than this joins a neighbour if both together are not too long for a while.
const SHORT_BYTES: usize = BLOCK_BYTES / 4;
const JOINED_MAX_BYTES: usize = BLOCK_BYTES / 4 * 3;

/// The bytes of a label, whose order is that of the labels.
pub type LabelBytes = SmallVec<[u8; 24]>;

/// A block with its label.
pub type Labelled<L> = (L, Block);

/// How the blocks of a collection are ordered.
pub trait Shape {
    /// What orders the blocks.
    type Label: Clone;

    /// A label as it is recorded.
    fn label_bytes(&self, label: &Self::Label) -> LabelBytes;

    /// Divides a block that is too long in two that are not empty; `next` is the label of the block behind it, and
    /// `inserted` says where its newest bytes are. `None` if it cannot be divided: then it stays too long.
    fn divide(
        &self,
        block: &Labelled<Self::Label>,
        next: Option<&Self::Label>,
        inserted: Range<usize>,
    ) -> Option<[Labelled<Self::Label>; 2]>;
}

/// A change of the bytes of one block.
#[derive(Clone, Copy, Debug)]
pub struct Splice<'a> {
    /// Where.
    pub at: usize,
    /// How many bytes go.
    pub removed: usize,
    /// What comes in their place.
    pub inserted: &'a [u8],
    /// How many entries there are more (or less) afterwards.
    pub entries: isize,
}

/// Changes the block at a place, and tells the recorder. No place is valid afterwards.
pub fn splice<S: Shape>(
    tree: &mut Tree<S::Label>,
    shape: &S,
    place: &Place,
    splice: Splice<'_>,
    recorder: &mut dyn Recorder,
) {
    let Splice { at, removed, inserted, entries: more } = splice;
    let (label, old) = tree.get(place);
    let label_bytes = shape.label_bytes(label);
    let len = old.bytes().len() - removed + inserted.len();
    let entries = old.entries().wrapping_add_signed(more);
    if entries == 0 {
        recorder.remove(&label_bytes);
        tree.replace(place, 1, smallvec![]);
    } else if len > BLOCK_BYTES && entries > 1 {
        let (label, old) = (label.clone(), old.clone());
        let new = old.spliced(at, removed, inserted, entries);
        let divided = divide(tree, shape, place, (label, new), at..at + inserted.len());
        for (label, block) in &divided {
            let bytes = shape.label_bytes(label);
            // What grows at an end leaves the full block as it was.
            if bytes != label_bytes || *block != old {
                recorder.put(&bytes, block.bytes());
            }
        }
        if divided.iter().all(|(label, _)| shape.label_bytes(label) != label_bytes) {
            recorder.remove(&label_bytes);
        }
        tree.replace(place, 1, divided);
    } else {
        recorder.splice(&label_bytes, at, removed, inserted);
        tree.change(place, more, |block| block.splice(at, removed, inserted, entries));
        if len < SHORT_BYTES && removed > 0 {
            join(tree, shape, place, recorder);
        }
    }
}

/// Divides a block until no part is too long.
fn divide<S: Shape>(
    tree: &Tree<S::Label>,
    shape: &S,
    place: &Place,
    block: Labelled<S::Label>,
    inserted: Range<usize>,
) -> SmallVec<[Labelled<S::Label>; 2]> {
    let behind = tree.next(place).map(|next| tree.get(&next).0.clone());
    let mut inserted = Some(inserted);
    let mut done = SmallVec::new();
    let mut open = vec![block];
    while let Some(block) = open.pop() {
        let len = block.1.bytes().len();
        let next = open.last().map(|(label, _)| label).or(behind.as_ref());
        let parts = if len > BLOCK_BYTES && block.1.entries() > 1 {
            shape.divide(&block, next, inserted.take().unwrap_or(len / 2..len / 2))
        } else {
            None
        };
        match parts {
            Some([first, second]) => open.extend([second, first]),
            None => done.push(block),
        }
    }
    done
}

/// Joins the block at a place with a neighbour, if there is one with which it is not too long.
fn join<S: Shape>(tree: &mut Tree<S::Label>, shape: &S, place: &Place, recorder: &mut dyn Recorder) {
    let Some((left, right)) = tree.neighbours(place) else { return };
    let ((label, first), (second_label, second)) = (tree.get(&left), tree.get(&right));
    if first.bytes().len() + second.bytes().len() > JOINED_MAX_BYTES {
        return;
    }
    let entries = first.entries() + second.entries();
    let joined = first.spliced(first.bytes().len(), 0, second.bytes(), entries);
    recorder.put(&shape.label_bytes(label), joined.bytes());
    recorder.remove(&shape.label_bytes(second_label));
    let label = label.clone();
    tree.replace(&left, 2, smallvec![(label, joined)]);
}

/// Where a block is cut whose entries are in order: a byte position between two entries, and how many are before it.
///
/// What was inserted at one of the ends goes into a block of its own, so that a collection that grows there has full
/// blocks; otherwise the cut is in the middle. `None` if there is only one entry.
#[must_use]
pub fn cut(block: &Block, items_per_entry: usize, inserted: &Range<usize>) -> Option<(usize, usize)> {
    let len = block.bytes().len();
    let target = if inserted.end == len {
        inserted.start
    } else if inserted.start == 0 {
        inserted.end
    } else {
        len / 2
    };
    let mut items = block.items();
    let (mut best, mut entries) = (None, 0);
    while items.by_ref().nth(items_per_entry - 1).is_some() && items.position() < len {
        entries += 1;
        best = Some((items.position(), entries));
        if items.position() >= target {
            break;
        }
    }
    best
}

/// Both parts of a block that is cut as [`cut`] says.
#[must_use]
pub fn parts(block: &Block, (at, entries): (usize, usize)) -> (Block, Block) {
    let (first, second) = block.bytes().split_at(at);
    (Block::new(entries, first), Block::new(block.entries() - entries, second))
}
