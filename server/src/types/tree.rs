//! A tree of blocks: what every big collection is.
//!
//! A B+ tree whose leaves are [`Block`]s, each with a label that orders it, and whose inner nodes count the entries
//! below them: so a block is found by label or by rank in O(log n). A clone shares everything; a change copies the
//! inner nodes on the way to its block, where they are shared. Knows neither what entries are nor who records changes.

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

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Tree<L> {
    root: Arc<Node<L>>,
    entries: usize,
}

/// Where a block is, valid until the tree changes: the index of the child on each level from the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(SmallVec<[u16; MAX_LEVELS]>);

#[derive(Clone, Debug)]
struct Node<L> {
    children: Vec<Child<L>>,
}

#[derive(Clone, Debug)]
struct Child<L> {
    /// That of the first block below.
    label: L,
    /// How many are below.
    entries: usize,
    below: Below<L>,
}

#[derive(Clone, Debug)]
enum Below<L> {
    Block(Block),
    Node(Arc<Node<L>>),
}

impl<L: Clone> Tree<L> {
    /// A tree of blocks in the order of their labels; none of them is empty.
    pub fn from_blocks(blocks: impl IntoIterator<Item = (L, Block)>) -> Self {
        let mut children: Vec<Child<L>> = blocks.into_iter().map(Child::of_block).collect();
        let entries = children.iter().map(|child| child.entries).sum();
        while children.len() > MAX_CHILDREN {
            let nodes = children.len().div_ceil(MAX_CHILDREN);
            let size = children.len().div_ceil(nodes);
            let mut rest = children.into_iter().peekable();
            children = Vec::with_capacity(nodes);
            while rest.peek().is_some() {
                children.push(Child::of_node(rest.by_ref().take(size).collect()));
            }
        }
        Self { root: Arc::new(Node { children }), entries }
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
        self.descend(|children| {
            children.partition_point(|child| at_or_before(&child.label)).saturating_sub(1)
        })
    }

    /// The block that has the entry of this rank, and how many entries of the block are before it.
    #[must_use]
    pub fn find_rank(&self, rank: usize) -> Option<(Place, usize)> {
        if rank >= self.entries {
            return None;
        }
        let mut within = rank;
        let place = self.descend(|children| {
            let mut index = 0;
            while within >= children[index].entries {
                within -= children[index].entries;
                index += 1;
            }
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
        self.descend(|children| children.len() - 1)
    }

    fn descend(&self, mut choose: impl FnMut(&[Child<L>]) -> usize) -> Option<Place> {
        let mut place = SmallVec::new();
        let mut node = &self.root;
        while !node.children.is_empty() {
            let index = choose(&node.children);
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
            let child = &node.children[usize::from(*index)];
            match &child.below {
                Below::Block(block) => return (&child.label, block),
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
            let empty = Arc::new(Node { children: Vec::new() });
            let first = Child::above(std::mem::replace(&mut self.root, empty));
            self.root = Arc::new(Node { children: vec![first, second] });
        }
        while let [Child { below: Below::Node(only), .. }] = &self.root.children[..] {
            self.root = Arc::clone(only);
        }
    }

    /// Writes over bytes of a block in place, if nobody shares it nor a node above it; says whether it did.
    #[must_use]
    pub fn overwrite(&mut self, place: &Place, at: usize, bytes: &[u8]) -> bool {
        let mut node = &mut self.root;
        for index in &place.0 {
            let Some(unique) = Arc::get_mut(node) else { return false };
            match &mut unique.children[usize::from(*index)].below {
                Below::Block(block) => return block.overwrite(at, bytes),
                Below::Node(below) => node = below,
            }
        }
        false
    }

    /// Bytes of memory that the tree takes; what it shares with others counts.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.root.memory_usage()
    }
}

impl<L: Clone> Node<L> {
    /// See [`Tree::replace`]. Gives how many entries there are more, and what did not fit as a second node.
    fn replace(
        &mut self,
        path: &[u16],
        count: usize,
        with: SmallVec<[(L, Block); 2]>,
    ) -> (isize, Option<Child<L>>) {
        let index = usize::from(path[0]);
        let is_resized = with.len() != count;
        let child = &mut self.children[index];
        let more = match &mut child.below {
            Below::Node(below) => {
                let (more, second) = Arc::make_mut(below).replace(&path[1..], count, with);
                // What overflowed is a part of what was counted.
                let moved = second.as_ref().map_or(0, |second| second.entries);
                child.entries = child.entries.wrapping_add_signed(more) - moved;
                if let Some(first) = below.children.first() {
                    child.label = first.label.clone();
                }
                if let Some(second) = second {
                    self.reserve(1);
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
        if (new, count) == (1, 1) {
            // The most frequent change moves no other child.
            for block in with {
                self.children[index] = Child::of_block(block);
            }
        } else {
            self.children.splice(index..index + count, with.into_iter().map(Child::of_block));
        }
        entries(&self.children[index..index + new]) as isize - before as isize
    }

    /// Makes room for more children, without more of it than a full node needs.
    fn reserve(&mut self, more: usize) {
        let needed = self.children.len() + more;
        if needed > self.children.capacity() {
            let capacity = (2 * self.children.capacity()).min(MAX_CHILDREN + 1).max(needed);
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
        let second = self.children.remove(left + 1);
        let first = &mut self.children[left];
        if let (Below::Node(into), Below::Node(from)) = (&mut first.below, second.below) {
            Arc::make_mut(into).children.extend(from.children.iter().cloned());
            first.entries += second.entries;
        }
    }

    /// If there are too many children, moves some to a second node: half of them, or, where they were added at the
    /// end, only the last, so that what grows at its end has full nodes.
    fn split_off(&mut self, changed_end: usize) -> Option<Child<L>> {
        if self.children.len() <= MAX_CHILDREN {
            return None;
        }
        let at_end = changed_end + 1 >= self.children.len();
        let at = if at_end { MAX_CHILDREN } else { self.children.len() / 2 };
        let mut second = Vec::with_capacity(MAX_CHILDREN + 1);
        second.extend(self.children.drain(at..));
        Some(Child::of_node(second))
    }

    fn memory_usage(&self) -> usize {
        let below = |child: &Child<L>| match &child.below {
            Below::Block(block) => block.memory_usage(),
            Below::Node(node) => node.memory_usage(),
        };
        allocation_size(size_of::<usize>() + size_of::<Self>())
            + allocation_size(self.children.capacity() * size_of::<Child<L>>())
            + self.children.iter().map(below).sum::<usize>()
    }
}

impl<L> Child<L> {
    fn of_block((label, block): (L, Block)) -> Self {
        Self { label, entries: block.entries(), below: Below::Block(block) }
    }
}

impl<L: Clone> Child<L> {
    /// A new node with these children, at least one.
    fn of_node(children: Vec<Self>) -> Self {
        Self::above(Arc::new(Node { children }))
    }

    fn above(node: Arc<Node<L>>) -> Self {
        let entries = node.children.iter().map(|child| child.entries).sum();
        Self { label: node.children[0].label.clone(), entries, below: Below::Node(node) }
    }
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
