//! The stream value: entries in the order of their ids, and groups of consumers that share them. Knows bytes only.
//!
//! A stream is a tree of blocks of entries (`entries`, `entry`) and a few groups (`group`); all their blocks are stored
//! under labels whose first byte says what they are. It stays when it becomes empty: its last id is still of use.

mod entries;
mod entry;
mod extent;
mod group;
mod id;
mod ordered;
mod varint;

use triomphe::Arc;

use super::allocation_size;
use super::block::Block;
use super::blocks::LabelBytes;
use super::collection::{Collection, StoredBlocks};
use super::recorder::Recorder;
use super::value::Kind;

pub use entries::{Direction, Kept, NodeLimits, Range, Trim};
pub use entry::Entry;
pub use group::{Consumer, ConsumerNumber, Group, Pending, Position};
pub use id::StreamId;

use entries::Entries;
use extent::Extent;
use group::{ITEMS_WITH_NAME, TAG_CONSUMERS, TAG_PENDING, TAG_RECORD};

/// A stream; cloning it is O(1).
#[derive(Clone, Debug, Default)]
pub struct StreamValue(Arc<Stream>);

#[derive(Clone, Debug, Default)]
struct Stream {
    entries: Entries,
    counters: Counters,
    /// By name. They are few, and copied as pointers.
    groups: Vec<Arc<Group>>,
}

/// What a stream knows besides its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The highest id that an entry has had.
    pub last_id: StreamId,
    /// The highest id of those that were removed singly.
    pub max_deleted_id: StreamId,
    /// How many entries have been added.
    pub entries_added: u64,
}

/// What a consumer asks for.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Who asks.
    pub consumer: ConsumerNumber,
    /// Entries at most.
    pub count: usize,
    /// When, in milliseconds of unix time.
    pub now_ms: u64,
    /// Whether they are to be acknowledged.
    pub is_pending: bool,
}

impl Counters {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [
            self.last_id.ms,
            self.last_id.seq,
            self.max_deleted_id.ms,
            self.max_deleted_id.seq,
            self.entries_added,
        ] {
            varint::push(&mut bytes, number);
        }
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut next = || varint::take(&mut bytes);
        let last_id = StreamId::new(next()?, next()?);
        let max_deleted_id = StreamId::new(next()?, next()?);
        let entries_added = next()?;
        bytes.is_empty().then_some(Self { last_id, max_deleted_id, entries_added })
    }
}

impl Stream {
    fn extent(&self) -> Extent {
        Extent { counters: self.counters, first: self.entries.first_id(), len: self.entries.len() }
    }

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.groups.binary_search_by(|group| group.name().cmp(name))
    }
}

impl StreamValue {
    /// What it knows besides its entries.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.counters
    }

    /// Sets that.
    pub fn set_counters(&mut self, counters: Counters, recorder: &mut dyn Recorder) {
        if self.0.counters != counters {
            recorder.header(&counters.to_bytes());
            Arc::make_mut(&mut self.0).counters = counters;
        }
    }

    /// The lowest id of its entries.
    #[must_use]
    pub fn first_id(&self) -> Option<StreamId> {
        self.0.entries.first_id()
    }

    /// The highest id of its entries.
    #[must_use]
    pub fn top_id(&self) -> Option<StreamId> {
        self.0.entries.last_id()
    }

    /// The entry of this id.
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.0.entries.get(id)
    }

    /// The entries from one id to another, both included.
    #[must_use]
    pub fn range(&self, start: StreamId, end: StreamId, direction: Direction) -> Range<'_> {
        self.0.entries.range(start, end, direction)
    }

    /// How many blocks its entries are in. Takes O(N).
    #[must_use]
    pub fn count_blocks(&self) -> usize {
        self.0.entries.count_blocks()
    }

    /// Adds an entry of names and values in turn, whose id is higher than [`Counters::last_id`].
    pub fn append(
        &mut self,
        id: StreamId,
        fields: &[&[u8]],
        limits: NodeLimits,
        recorder: &mut dyn Recorder,
    ) {
        debug_assert!(id > self.counters().last_id);
        recorder.element(id.to_string().as_bytes());
        Arc::make_mut(&mut self.0).entries.append(id, fields, limits, recorder);
        let counters = self.counters();
        let entries_added = counters.entries_added.saturating_add(1);
        self.set_counters(Counters { last_id: id, entries_added, ..counters }, recorder);
    }

    /// Removes entries; gives how many there were of them.
    pub fn remove(&mut self, ids: &[StreamId], recorder: &mut dyn Recorder) -> usize {
        let mut counters = self.counters();
        let mut removed = 0;
        for id in ids {
            if Arc::make_mut(&mut self.0).entries.remove(*id, recorder) {
                recorder.element(id.to_string().as_bytes());
                counters.max_deleted_id = counters.max_deleted_id.max(*id);
                removed += 1;
            }
        }
        self.set_counters(counters, recorder);
        removed
    }

    /// Removes entries from the front; gives how many.
    pub fn trim(&mut self, trim: &Trim, recorder: &mut dyn Recorder) -> usize {
        Arc::make_mut(&mut self.0).entries.trim(trim, recorder)
    }

    /// All groups by name.
    #[must_use]
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.0.groups.iter().map(|group| &**group)
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.0.find(name).ok().map(|index| &*self.0.groups[index])
    }

    /// The group of this name, for changing it.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        let index = self.0.find(name).ok()?;
        Some(Arc::make_mut(&mut Arc::make_mut(&mut self.0).groups[index]))
    }

    /// Makes a group; says whether there was none of this name.
    pub fn create_group(&mut self, name: &[u8], position: Position, recorder: &mut dyn Recorder) -> bool {
        let Err(index) = self.0.find(name) else { return false };
        let mut numbers: Vec<u32> = self.groups().map(Group::number).collect();
        numbers.sort_unstable();
        // The first that is free.
        let number = numbers.iter().zip(0..).take_while(|(used, number)| **used == *number).count();
        let group = Group::new(number as u32, name, position, recorder);
        recorder.element(name);
        Arc::make_mut(&mut self.0).groups.insert(index, Arc::new(group));
        true
    }

    /// Removes a group; says whether there was one of this name.
    pub fn destroy_group(&mut self, name: &[u8], recorder: &mut dyn Recorder) -> bool {
        let Ok(index) = self.0.find(name) else { return false };
        Arc::make_mut(&mut self.0).groups.remove(index).erase(recorder);
        recorder.element(name);
        true
    }

    /// Gives a consumer the entries that its group has not had; tells how many.
    pub fn deliver(
        &mut self,
        group: &[u8],
        delivery: &Delivery,
        recorder: &mut dyn Recorder,
        mut visit: impl FnMut(&Entry<'_>),
    ) -> usize {
        let Ok(index) = self.0.find(group) else { return 0 };
        let extent = self.0.extent();
        let Stream { entries, groups, .. } = Arc::make_mut(&mut self.0);
        let group = Arc::make_mut(&mut groups[index]);
        let mut position = group.position();
        let Some(start) = position.last_delivered.next() else { return 0 };
        let mut delivered = 0;
        for entry in entries.range(start, StreamId::MAX, Direction::Forward).take(delivery.count) {
            position = extent.advance(position, entry.id);
            if delivery.is_pending {
                let Delivery { consumer, now_ms, .. } = *delivery;
                let pending = Pending { consumer, delivered_ms: now_ms, deliveries: 1 };
                group.set_pending(entry.id, pending, recorder);
            }
            visit(&entry);
            delivered += 1;
        }
        group.set_position(position, recorder);
        delivered
    }

    /// How many entries a group has not read yet, if that is known. Negative if it is said to have read more.
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<i64> {
        self.0.extent().lag(group.position())
    }
}

impl Collection for StreamValue {
    const KIND: Kind = Kind::Stream;

    fn len(&self) -> usize {
        self.0.entries.len()
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn memory_usage(&self) -> usize {
        let groups: usize = self.groups().map(Group::memory_usage).sum();
        allocation_size(size_of::<usize>() + size_of::<Stream>()) + self.0.entries.memory_usage() + groups
    }

    fn header(&self) -> Vec<u8> {
        self.counters().to_bytes()
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        self.0.entries.for_each_block(visit);
        let mut groups: Vec<&Group> = self.groups().collect();
        groups.sort_unstable_by_key(|group| group.number());
        for tag in [TAG_RECORD, TAG_CONSUMERS, TAG_PENDING] {
            for group in &groups {
                group.for_each_block(tag, visit);
            }
        }
    }

    fn restore(header: &[u8], blocks: StoredBlocks) -> Option<Self> {
        let counters = Counters::from_bytes(header)?;
        let mut parts = Parts::default();
        for (label, bytes) in blocks.0 {
            parts.add(label, &bytes)?;
        }
        let entries = Entries::from_blocks(parts.entries)?;
        if entries.last_id().is_some_and(|last| last > counters.last_id) {
            return None;
        }
        let groups: Option<Vec<Arc<Group>>> = parts.groups.into_iter().map(StoredGroup::restore).collect();
        let mut groups = groups?;
        groups.sort_unstable_by(|first, second| first.name().cmp(second.name()));
        let is_unique = groups.windows(2).all(|pair| pair[0].name() < pair[1].name());
        is_unique.then(|| Self(Arc::new(Stream { entries, counters, groups })))
    }
}

/// The blocks of a stream, sorted by what they are for.
#[derive(Default)]
struct Parts {
    entries: Vec<(Vec<u8>, Block)>,
    /// In the order of their numbers.
    groups: Vec<StoredGroup>,
}

struct StoredGroup {
    number: u32,
    record: Block,
    consumers: Vec<(Vec<u8>, Block)>,
    pending: Vec<(Vec<u8>, Block)>,
}

impl StoredGroup {
    fn restore(self) -> Option<Arc<Group>> {
        Group::restore(self.number, &self.record, self.consumers, self.pending).map(Arc::new)
    }
}

impl Parts {
    /// Blocks come in the order of their labels, so a group's record is before everything else of it.
    fn add(&mut self, label: Vec<u8>, bytes: &[u8]) -> Option<()> {
        let (tag, rest) = label.split_first()?;
        if *tag == entries::TAG {
            self.entries.push((label, Block::parse(bytes, 1)?));
            return Some(());
        }
        let (number, rest) = rest.split_first_chunk()?;
        let (number, rest) = (u32::from_be_bytes(*number), rest.to_vec());
        let found = self.groups.binary_search_by_key(&number, |group| group.number);
        let items_per_entry = if *tag == TAG_PENDING { 1 } else { ITEMS_WITH_NAME };
        let block = Block::parse(bytes, items_per_entry).filter(|block| block.entries() > 0)?;
        match *tag {
            TAG_RECORD if found.is_err() && rest.is_empty() && block.entries() == 1 => {
                let group = StoredGroup { number, record: block, consumers: Vec::new(), pending: Vec::new() };
                self.groups.push(group);
            }
            TAG_CONSUMERS => self.groups[found.ok()?].consumers.push((rest, block)),
            TAG_PENDING => self.groups[found.ok()?].pending.push((rest, block)),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
