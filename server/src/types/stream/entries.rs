//! The entries of a stream: a tree of blocks, each labelled with the id that it began with.
//!
//! Entries are added at the end only, so a block that is full is never divided, and a label stays what it is when the
//! entries before others are removed. Knows no groups.

use smallvec::smallvec;

use super::super::block::{BLOCK_BYTES, Block};
use super::super::blocks::LabelBytes;
use super::super::recorder::Recorder;
use super::super::tree::{Place, Tree};
use super::entry::{self, Entry, encode, entries, without_front};
use super::id::{ID_BYTES, StreamId};

/// The first byte of the labels of these blocks.
pub(super) const TAG: u8 = 0;

/// How much a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Entries at most; 0 is no limit.
    pub entries: usize,
    /// Bytes at most, unless there is only one entry; 0, and what is more than the length of a block, is that length.
    pub bytes: usize,
}

/// What trimming leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// So many of the last entries.
    Last(usize),
    /// The entries from this id on.
    From(StreamId),
}

/// How entries are removed from the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What stays.
    pub kept: Kept,
    /// Whether only whole blocks are removed, so that more may stay.
    pub is_approximate: bool,
    /// So many entries are removed at most; `None` is no limit.
    pub limit: Option<usize>,
}

/// See the module's description.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    tree: Tree<StreamId>,
}

impl Default for Entries {
    fn default() -> Self {
        Self { tree: Tree::from_blocks([]) }
    }
}

fn label_bytes(label: StreamId) -> LabelBytes {
    let mut bytes = LabelBytes::from_slice(&[TAG]);
    bytes.extend_from_slice(&label.to_bytes());
    bytes
}

impl Entries {
    /// Entries of blocks that were stored; `None` if they make no sense.
    pub fn from_blocks(blocks: Vec<(Vec<u8>, Block)>) -> Option<Self> {
        let mut before = StreamId::MIN;
        let mut checked = Vec::with_capacity(blocks.len());
        for (label, block) in blocks {
            let (_, id) = label.split_first()?;
            let label = StreamId::from_bytes(<[u8; ID_BYTES]>::try_from(id).ok()?);
            before = entry::check(label, &block, before)?;
            checked.push((label, block));
        }
        Some(Self { tree: Tree::from_blocks(checked) })
    }

    pub fn len(&self) -> usize {
        self.tree.entries()
    }

    /// How many blocks there are. Takes O(N).
    pub fn count_blocks(&self) -> usize {
        self.tree.blocks().count()
    }

    pub fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        self.tree.blocks().for_each(|(label, block)| visit(label_bytes(*label), block));
    }

    pub fn memory_usage(&self) -> usize {
        self.tree.memory_usage()
    }

    pub fn first_id(&self) -> Option<StreamId> {
        self.range(StreamId::MIN, StreamId::MAX, Direction::Forward).next().map(|entry| entry.id)
    }

    pub fn last_id(&self) -> Option<StreamId> {
        self.range(StreamId::MIN, StreamId::MAX, Direction::Backward).next().map(|entry| entry.id)
    }

    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let place = self.tree.find(|label| *label <= id)?;
        let (label, block) = self.tree.get(&place);
        entries(*label, block).find(|entry| entry.id == id)
    }

    /// The entries from one id to another, both included.
    pub fn range(&self, start: StreamId, end: StreamId, direction: Direction) -> Range<'_> {
        let from = match direction {
            Direction::Forward => start,
            Direction::Backward => end,
        };
        let place = self.tree.find(|label| *label <= from);
        Range { tree: &self.tree, place, start, end, direction, ready: Vec::new() }
    }

    /// Adds an entry whose id is higher than all others.
    pub fn append(
        &mut self,
        id: StreamId,
        fields: &[&[u8]],
        limits: NodeLimits,
        recorder: &mut dyn Recorder,
    ) {
        if let Some(place) = self.tree.last() {
            let (label, block) = self.tree.get(&place);
            let (label, end) = (*label, block.bytes().len());
            let new = encode(label, entries(label, block).next().as_ref(), id, fields);
            let max_bytes = if limits.bytes == 0 { BLOCK_BYTES } else { limits.bytes.min(BLOCK_BYTES) };
            if end + new.len() <= max_bytes && (limits.entries == 0 || block.entries() < limits.entries) {
                recorder.splice(&label_bytes(label), end, 0, &new);
                let entries = block.entries() + 1;
                self.tree.change(&place, 1, |block| block.splice(end, 0, &new, entries));
                return;
            }
        }
        let first = encode(id, None, id, fields);
        recorder.put(&label_bytes(id), &first);
        let new = (id, Block::new(1, &first));
        match self.tree.last() {
            Some(place) => {
                let (label, block) = self.tree.get(&place);
                let last = (*label, block.clone());
                self.tree.replace(&place, 1, smallvec![last, new]);
            }
            None => self.tree = Tree::from_blocks([new]),
        }
    }

    /// Removes an entry; says whether there was one.
    pub fn remove(&mut self, id: StreamId, recorder: &mut dyn Recorder) -> bool {
        let Some(place) = self.tree.find(|label| *label <= id) else { return false };
        let (label, block) = self.tree.get(&place);
        let label = *label;
        let Some((index, entry)) = entries(label, block).enumerate().find(|(_, entry)| entry.id == id) else {
            return false;
        };
        if index == 0 {
            self.remove_front(&place, 1, recorder);
        } else {
            let range = entry.range;
            recorder.splice(&label_bytes(label), range.start, range.len(), &[]);
            let entries = block.entries() - 1;
            self.tree.change(&place, -1, |block| block.splice(range.start, range.len(), &[], entries));
        }
        true
    }

    /// Removes entries from the front; gives how many.
    pub fn trim(&mut self, trim: &Trim, recorder: &mut dyn Recorder) -> usize {
        let mut removed = 0;
        while let Some(place) = self.tree.first() {
            let (label, block) = self.tree.get(&place);
            let count = block.entries();
            let surplus = match trim.kept {
                Kept::Last(kept) => count.min(self.len().saturating_sub(kept)),
                // Without a look into the block, if its successor tells.
                Kept::From(id)
                    if self.tree.next(&place).is_some_and(|next| *self.tree.get(&next).0 <= id) =>
                {
                    count
                }
                Kept::From(id) => entries(*label, block).take_while(|entry| entry.id < id).count(),
            };
            let is_limited = trim.limit.is_some_and(|limit| removed + count > limit);
            if surplus == 0 || is_limited || (trim.is_approximate && surplus < count) {
                break;
            }
            self.remove_front(&place, surplus, recorder);
            removed += surplus;
        }
        removed
    }

    /// Removes the first entries of a block.
    fn remove_front(&mut self, place: &Place, count: usize, recorder: &mut dyn Recorder) {
        let (label, block) = self.tree.get(place);
        let label = *label;
        if count == block.entries() {
            recorder.remove(&label_bytes(label));
            self.tree.replace(place, 1, smallvec![]);
            return;
        }
        let (range, bytes) = without_front(label, block, count);
        recorder.splice(&label_bytes(label), range.start, range.len(), &bytes);
        let entries = block.entries() - count;
        let change = |block: &mut Block| block.splice(range.start, range.len(), &bytes, entries);
        self.tree.change(place, -(count as isize), change);
    }
}

/// In which order entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The lowest id first.
    Forward,
    /// The highest id first.
    Backward,
}

/// Entries in order.
#[derive(Debug)]
pub struct Range<'a> {
    tree: &'a Tree<StreamId>,
    /// The block that is to be read next.
    place: Option<Place>,
    start: StreamId,
    end: StreamId,
    direction: Direction,
    /// Entries of one block, the next one last.
    ready: Vec<Entry<'a>>,
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(entry) = self.ready.pop() {
                return Some(entry);
            }
            let place = self.place.take()?;
            let (label, block) = self.tree.get(&place);
            let wanted = entries(*label, block)
                .skip_while(|entry| entry.id < self.start)
                .take_while(|entry| entry.id <= self.end);
            self.ready.extend(wanted);
            match self.direction {
                Direction::Forward => {
                    self.ready.reverse();
                    self.place = self.tree.next(&place).filter(|next| *self.tree.get(next).0 <= self.end);
                }
                Direction::Backward if *label > self.start => self.place = self.tree.previous(&place),
                Direction::Backward => {}
            }
        }
    }
}
