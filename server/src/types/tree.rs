//! A tree of blocks: what every big collection is.
//!
//! A B+ tree whose leaves are [`Block`]s, each with a label that orders it, and whose inner nodes count the entries
//! below them: so a block is found by label or by rank in O(log n). A clone shares everything; a change copies the
//! inner nodes on the way to its block, where they are shared. Knows neither what entries are nor who records changes.

use std::hint::black_box;

use smallvec::SmallVec;
use triomphe::Arc;

use super::allocation_size;
use super::block::Block;

/// Children of an inner node at most; with one more, before it is divided, it fills a size class of the allocator.
const MAX_CHILDREN: usize = 63;
/// A node with fewer children joins a neighbour.
const MIN_CHILDREN: usize = MAX_CHILDREN / 4;
/// More levels than 2^64 blocks need, even if every node had only [`MIN_CHILDREN`].
const MAX_LEVELS: usize = 16;
/// Labels that are searched together: about as many as the square root of [`MAX_CHILDREN`].
const LABELS_AT_ONCE: usize = 8;
/// Look-ups that are warmed at once. More would be useless: the processor can have only so many loads under way.
pub const WARMED_AT_ONCE: usize = 32;
/// What the processor fetches from memory at once.
const CACHE_LINE_BYTES: usize = 64;

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Tree<L> {
    root: Arc<Node<L>>,
    entries: usize,
}

/// Where a block is, valid until blocks come or go: the index of the child on each level from the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(SmallVec<[u16; MAX_LEVELS]>);

#[derive(Clone, Debug)]
struct Node<L> {
    /// Of each child that of the first block below. They lie side by side, because a search in a big tree waits for each
    /// line of memory that it looks at.
    labels: Vec<L>,
    children: Vec<Child<L>>,
}

#[derive(Clone, Debug)]
struct Child<L> {
    /// How many are below.
    entries: usize,
    below: Below<L>,
}

/// A child with its label.
type Labelled<L> = (L, Child<L>);

#[derive(Clone, Debug)]
enum Below<L> {
    Block(Block),
    Node(Arc<Node<L>>),
}

impl<L: Clone> Tree<L> {
    /// A tree of blocks in the order of their labels; none of them is empty.
    pub fn from_blocks(blocks: impl IntoIterator<Item = (L, Block)>) -> Self {
        let mut children: Vec<Labelled<L>> = blocks.into_iter().map(of_block).collect();
        let entries = children.iter().map(|(_, child)| child.entries).sum();
        while children.len() > MAX_CHILDREN {
            let nodes = children.len().div_ceil(MAX_CHILDREN);
            let size = children.len().div_ceil(nodes);
            let mut rest = children.into_iter().peekable();
            children = Vec::with_capacity(nodes);
            while rest.peek().is_some() {
                children.push(above(Arc::new(rest.by_ref().take(size).collect())));
            }
        }
        Self { root: Arc::new(children.into_iter().collect()), entries }
    }

    /// The number of entries of all blocks.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Whether there are no blocks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.children.is_empty()
    }

    /// The last block whose label satisfies `at_or_before`, which holds for a first part of the labels; else the first
    /// one. `None` if there are no blocks.
    pub fn find(&self, at_or_before: impl Fn(&L) -> bool) -> Option<Place> {
        self.descend(|node| node.labels.partition_point(&at_or_before).saturating_sub(1))
    }

    /// The last block whose label is not behind this one; else the first one. `None` if there are no blocks.
    ///
    /// For labels that are quickly compared: where halving would wait for memory with each step, all that is looked at
    /// here is fetched at the same time.
    pub fn find_label(&self, label: &L) -> Option<Place>
    where
        L: Ord,
    {
        self.descend(|node| node.child_at(label))
    }

    /// Brings what look-ups of these labels will touch into the processor's caches: each is a chain of loads that miss, and
    /// here the same link of all chains is loaded in one loop, so that the processor waits for them together.
    pub fn warm(lookups: &[(&Self, L)])
    where
        L: Ord,
    {
        let mut nodes: SmallVec<[(&Node<L>, &L); WARMED_AT_ONCE]> =
            lookups.iter().map(|(tree, label)| (&*tree.root, label)).collect();
        nodes.retain(|(node, _)| !node.children.is_empty());
        let mut blocks: SmallVec<[&Block; WARMED_AT_ONCE]> = SmallVec::new();
        while !nodes.is_empty() {
            let below: SmallVec<[(&Below<L>, &L); WARMED_AT_ONCE]> = nodes
                .drain(..)
                .map(|(node, label)| (&node.children[node.child_at(label)].below, label))
                .collect();
            for (below, label) in below {
                match below {
                    Below::Block(block) => blocks.push(block),
                    Below::Node(node) => nodes.push((&**node, label)),
                }
            }
        }
        for block in blocks {
            for line in block.bytes().chunks(CACHE_LINE_BYTES) {
                black_box(line[0]);
            }
        }
    }

    /// The block that has the entry of this rank, and how many entries of the block are before it.
    #[must_use]
    pub fn find_rank(&self, rank: usize) -> Option<(Place, usize)> {
        if rank >= self.entries {
            return None;
        }
        let (mut within, mut len) = (rank, self.entries);
        let place = self.descend(|node| {
            let (index, before) = node.child_with(within, len);
            (within, len) = (within - before, node.children[index].entries);
            index
        })?;
        Some((place, within))
    }

    /// The first block.
    #[must_use]
    pub fn first(&self) -> Option<Place> {
        self.descend(|_| 0)
    }

    /// The last block.
    #[must_use]
    pub fn last(&self) -> Option<Place> {
        self.descend(|node| node.children.len() - 1)
    }

    fn descend(&self, mut choose: impl FnMut(&Node<L>) -> usize) -> Option<Place> {
        let mut place = SmallVec::new();
        let mut node = &*self.root;
        while !node.children.is_empty() {
            let index = choose(node);
            place.push(index as u16);
            match &node.children[index].below {
                Below::Block(_) => return Some(Place(place)),
                Below::Node(below) => node = below,
            }
        }
        None
    }

    /// The block at a place, with its label.
    #[must_use]
    pub fn get(&self, place: &Place) -> (&L, &Block) {
        let mut node = &self.root;
        for index in &place.0 {
            let index = usize::from(*index);
            match &node.children[index].below {
                Below::Block(block) => return (&node.labels[index], block),
                Below::Node(below) => node = below,
            }
        }
        unreachable!("a place is valid until the tree changes")
    }

    /// How many entries are in the blocks before this one.
    #[must_use]
    pub fn rank(&self, place: &Place) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        for index in &place.0 {
            let (before, rest) = node.children.split_at(usize::from(*index));
            rank += before.iter().map(|child| child.entries).sum::<usize>();
            if let Below::Node(below) = &rest[0].below {
                node = below;
            }
        }
        rank
    }

    /// The place of the next block.
    #[must_use]
    pub fn next(&self, place: &Place) -> Option<Place> {
        self.step(place, |index, len| index.checked_add(1).filter(|next| usize::from(*next) < len), |_| 0)
    }

    /// The place of the block before.
    #[must_use]
    pub fn previous(&self, place: &Place) -> Option<Place> {
        self.step(place, |index, _| index.checked_sub(1), |len| len - 1)
    }

    fn step(
        &self,
        place: &Place,
        beside: impl Fn(u16, usize) -> Option<u16>,
        edge: impl Fn(usize) -> usize,
    ) -> Option<Place> {
        let mut nodes: SmallVec<[&Node<L>; MAX_LEVELS]> = SmallVec::new();
        let mut node = &*self.root;
        for index in &place.0 {
            nodes.push(node);
            if let Below::Node(below) = &node.children[usize::from(*index)].below {
                node = below;
            }
        }
        // The lowest node where one can go to the side, and from there down along the edge.
        for level in (0..nodes.len()).rev() {
            let Some(index) = beside(place.0[level], nodes[level].children.len()) else { continue };
            let mut next = Place(place.0[..level].into());
            next.0.push(index);
            let mut below = &nodes[level].children[usize::from(index)].below;
            while let Below::Node(node) = below {
                let index = edge(node.children.len());
                next.0.push(index as u16);
                below = &node.children[index].below;
            }
            return Some(next);
        }
        None
    }

    /// All blocks with their labels, in order.
    pub fn blocks(&self) -> Blocks<'_, L> {
        self.blocks_from(self.first())
    }

    /// The blocks from a place on.
    pub fn blocks_from(&self, place: Option<Place>) -> Blocks<'_, L> {
        Blocks { tree: self, place }
    }

    /// The block at a place with the one behind it in the same node, or else the one before: the places of both in
    /// their order.
    #[must_use]
    pub fn neighbours(&self, place: &Place) -> Option<(Place, Place)> {
        let level = place.0.len() - 1;
        let beside = |other: &Place| other.0[..level] == place.0[..level];
        if let Some(next) = self.next(place).filter(beside) {
            return Some((place.clone(), next));
        }
        self.previous(place).filter(beside).map(|previous| (previous, place.clone()))
    }

    /// Puts blocks, none of them empty, in the place of `count` blocks of one node, of which the first is at `place`. Places
    /// are valid afterwards if there are as many blocks as before.
    pub fn replace(&mut self, place: &Place, count: usize, with: SmallVec<[(L, Block); 2]>) {
        let (more, overflow) = Arc::make_mut(&mut self.root).replace(&place.0, count, with);
        self.entries = self.entries.wrapping_add_signed(more);
        if let Some(second) = overflow {
            let first = above(Arc::clone(&self.root));
            self.root = Arc::new([first, second].into_iter().collect());
        }
        while let [Child { below: Below::Node(only), .. }] = &self.root.children[..] {
            self.root = Arc::clone(only);
        }
    }

    /// Changes the block at a place, which then has so many more (or less) entries, but some. All places stay valid.
    pub fn change(&mut self, place: &Place, more: isize, change: impl FnOnce(&mut Block)) {
        self.entries = self.entries.wrapping_add_signed(more);
        let mut node = &mut self.root;
        for index in &place.0 {
            let child = &mut Arc::make_mut(node).children[usize::from(*index)];
            child.entries = child.entries.wrapping_add_signed(more);
            match &mut child.below {
                Below::Block(block) => return change(block),
                Below::Node(below) => node = below,
            }
        }
    }

    /// Bytes of memory that the tree takes; what it shares with others counts.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.root.memory_usage()
    }
}

impl<L> Node<L> {
    /// The last child whose label is not behind this one; else the first one.
    fn child_at(&self, label: &L) -> usize
    where
        L: Ord,
    {
        let at_or_before = |other: &&L| *other <= label;
        let heads = self.labels.iter().step_by(LABELS_AT_ONCE).filter(at_or_before).count();
        let start = heads.saturating_sub(1) * LABELS_AT_ONCE;
        let end = self.labels.len().min(start + LABELS_AT_ONCE);
        (start + self.labels[start..end].iter().filter(at_or_before).count()).saturating_sub(1)
    }

    /// The child that has the entry of this rank, and how many entries are before that child; `len` is how many the node
    /// has. The search begins at the nearer end, where lists grow and shrink.
    fn child_with(&self, rank: usize, len: usize) -> (usize, usize) {
        let entries = |index: usize| self.children[index].entries;
        if rank < len / 2 {
            let (mut index, mut before) = (0, 0);
            while rank - before >= entries(index) {
                before += entries(index);
                index += 1;
            }
            (index, before)
        } else {
            let mut index = self.children.len() - 1;
            let mut before = len - entries(index);
            while rank < before {
                index -= 1;
                before -= entries(index);
            }
            (index, before)
        }
    }
}

impl<L: Clone> Node<L> {
    /// See [`Tree::replace`]. Gives how many entries there are more, and what did not fit as a second node.
    fn replace(
        &mut self,
        path: &[u16],
        count: usize,
        with: SmallVec<[(L, Block); 2]>,
    ) -> (isize, Option<Labelled<L>>) {
        let index = usize::from(path[0]);
        let is_resized = with.len() != count;
        let child = &mut self.children[index];
        let more = match &mut child.below {
            Below::Node(below) => {
                let (more, second) = Arc::make_mut(below).replace(&path[1..], count, with);
                // What overflowed is a part of what was counted.
                let moved = second.as_ref().map_or(0, |(_, second)| second.entries);
                child.entries = child.entries.wrapping_add_signed(more) - moved;
                if let Some(first) = below.labels.first() {
                    self.labels[index] = first.clone();
                }
                if let Some((label, second)) = second {
                    self.reserve(1);
                    self.labels.insert(index + 1, label);
                    self.children.insert(index + 1, second);
                }
                // As long as no block comes or goes, all places stay valid.
                if is_resized {
                    self.join_small(index);
                }
                more
            }
            Below::Block(_) => self.replace_blocks(index, count, with),
        };
        (more, self.split_off(index + 1))
    }

    fn replace_blocks(&mut self, index: usize, count: usize, with: SmallVec<[(L, Block); 2]>) -> isize {
        let entries = |children: &[Child<L>]| children.iter().map(|child| child.entries).sum::<usize>();
        let before = entries(&self.children[index..index + count]);
        let new = with.len();
        self.reserve(new.saturating_sub(count));
        let (labels, children): (SmallVec<[L; 2]>, SmallVec<[Child<L>; 2]>) =
            with.into_iter().map(of_block).unzip();
        self.labels.splice(index..index + count, labels);
        self.children.splice(index..index + count, children);
        entries(&self.children[index..index + new]) as isize - before as isize
    }

    /// Makes room for more children, without more of it than a full node needs.
    fn reserve(&mut self, more: usize) {
        let needed = self.children.len() + more;
        if needed > self.children.capacity() {
            let capacity = (2 * self.children.capacity()).min(MAX_CHILDREN + 1).max(needed);
            self.labels.reserve_exact(capacity - self.labels.len());
            self.children.reserve_exact(capacity - self.children.len());
        }
    }

    /// Removes the child if it has become empty, or joins it with a neighbour if it has become small.
    fn join_small(&mut self, index: usize) {
        let len = |children: &[Child<L>], index: usize| match children.get(index).map(|child| &child.below) {
            Some(Below::Node(node)) => Some(node.children.len()),
            Some(Below::Block(_)) | None => None,
        };
        let Some(own) = len(&self.children, index) else { return };
        if own == 0 {
            self.labels.remove(index);
            self.children.remove(index);
            return;
        }
        if own >= MIN_CHILDREN || self.children.len() < 2 {
            return;
        }
        let left = if index + 1 < self.children.len() { index } else { index - 1 };
        let both = len(&self.children, left).zip(len(&self.children, left + 1));
        if both.is_none_or(|(first, second)| first + second > MAX_CHILDREN) {
            return;
        }
        self.labels.remove(left + 1);
        let second = self.children.remove(left + 1);
        let first = &mut self.children[left];
        if let (Below::Node(into), Below::Node(from)) = (&mut first.below, second.below) {
            let into = Arc::make_mut(into);
            into.labels.extend_from_slice(&from.labels);
            into.children.extend_from_slice(&from.children);
            first.entries += second.entries;
        }
    }

    /// If there are too many children, moves some to a second node: half of them, or, where they were added at the
    /// end, only the last, so that what grows at its end has full nodes.
    fn split_off(&mut self, changed_end: usize) -> Option<Labelled<L>> {
        if self.children.len() <= MAX_CHILDREN {
            return None;
        }
        let at_end = changed_end + 1 >= self.children.len();
        let at = if at_end { MAX_CHILDREN } else { self.children.len() / 2 };
        let mut second = Self {
            labels: Vec::with_capacity(MAX_CHILDREN + 1),
            children: Vec::with_capacity(MAX_CHILDREN + 1),
        };
        second.labels.extend(self.labels.drain(at..));
        second.children.extend(self.children.drain(at..));
        Some(above(Arc::new(second)))
    }

    fn memory_usage(&self) -> usize {
        let below = |child: &Child<L>| match &child.below {
            Below::Block(block) => block.memory_usage(),
            Below::Node(node) => node.memory_usage(),
        };
        allocation_size(size_of::<usize>() + size_of::<Self>())
            + allocation_size(self.labels.capacity() * size_of::<L>())
            + allocation_size(self.children.capacity() * size_of::<Child<L>>())
            + self.children.iter().map(below).sum::<usize>()
    }
}

impl<L> FromIterator<Labelled<L>> for Node<L> {
    fn from_iter<I: IntoIterator<Item = Labelled<L>>>(children: I) -> Self {
        let (labels, children) = children.into_iter().unzip();
        Self { labels, children }
    }
}

fn of_block<L>((label, block): (L, Block)) -> Labelled<L> {
    (label, Child { entries: block.entries(), below: Below::Block(block) })
}

/// A child that is this node, which has at least one.
fn above<L: Clone>(node: Arc<Node<L>>) -> Labelled<L> {
    let entries = node.children.iter().map(|child| child.entries).sum();
    (node.labels[0].clone(), Child { entries, below: Below::Node(node) })
}

/// Blocks in order, with their labels.
#[derive(Clone, Debug)]
pub struct Blocks<'a, L> {
    tree: &'a Tree<L>,
    place: Option<Place>,
}

impl<'a, L: Clone> Iterator for Blocks<'a, L> {
    type Item = (&'a L, &'a Block);

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.place.take()?;
        self.place = self.tree.next(&place);
        Some(self.tree.get(&place))
    }
}

#[cfg(test)]
mod tests;
