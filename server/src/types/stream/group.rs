//! A consumer group: how far it has read, who its consumers are, and which entries they have not acknowledged.
//!
//! What is stored are a record of the group, a dictionary of its consumers by name, and its pending entries by id; by
//! consumer they are indexed in memory only. Knows no entries.

use super::super::Block;
use super::super::block::{Items, entry};
use super::super::blocks::LabelBytes;
use super::super::dictionary::Dictionary;
use super::super::recorder::Recorder;
use super::id::{ID_BYTES, StreamId};
use super::ordered::Ordered;
use super::varint;

/// The first bytes of the labels of a group's blocks; behind them is its number, and what orders the blocks.
pub(super) const TAG_RECORD: u8 = 1;
pub(super) const TAG_CONSUMERS: u8 = 2;
pub(super) const TAG_PENDING: u8 = 3;

/// A name and a record, of a group as of a consumer.
pub(super) const ITEMS_WITH_NAME: usize = 2;

/// A consumer's number and an id.
const OWNED_BYTES: usize = size_of::<u64>() + ID_BYTES;

/// A tag and the number of a group.
type Prefix = [u8; 5];

/// A consumer's place in its group, which its pending entries name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerNumber(u64);

/// What is known of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// What its pending entries name.
    pub number: ConsumerNumber,
    /// When it last asked for entries, in milliseconds of unix time.
    pub seen_ms: u64,
    /// When it last got any.
    pub active_ms: Option<u64>,
}

/// An entry that was delivered and is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// To whom.
    pub consumer: ConsumerNumber,
    /// When, the last time, in milliseconds of unix time.
    pub delivered_ms: u64,
    /// How many times.
    pub deliveries: u64,
}

/// How far a group has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last entry that was delivered to any of its consumers.
    pub last_delivered: StreamId,
    /// How many entries there have been up to that one, removed ones too, if that is known.
    pub entries_read: Option<u64>,
}

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Group {
    name: Box<[u8]>,
    number: u32,
    position: Position,
    /// The number of the consumer that is created next.
    next_consumer: u64,
    consumers: Dictionary,
    pending: Ordered<ID_BYTES>,
    /// The same, by consumer and id.
    owned: Ordered<OWNED_BYTES>,
}

/// Puts the group in front of the labels.
struct Prefixed<'a> {
    recorder: &'a mut dyn Recorder,
    prefix: Prefix,
}

impl Prefixed<'_> {
    fn label(&self, label: &[u8]) -> LabelBytes {
        prefixed(self.prefix, label)
    }
}

impl Recorder for Prefixed<'_> {
    fn put(&mut self, label: &[u8], block: &[u8]) {
        self.recorder.put(&self.label(label), block);
    }

    fn splice(&mut self, label: &[u8], offset: usize, removed: usize, inserted: &[u8]) {
        self.recorder.splice(&self.label(label), offset, removed, inserted);
    }

    fn remove(&mut self, label: &[u8]) {
        self.recorder.remove(&self.label(label));
    }

    fn header(&mut self, header: &[u8]) {
        self.recorder.header(header);
    }

    fn whole(&mut self) {
        self.recorder.whole();
    }

    fn element(&mut self, element: &[u8]) {
        self.recorder.element(element);
    }
}

fn prefix(tag: u8, number: u32) -> Prefix {
    let [a, b, c, d] = number.to_be_bytes();
    [tag, a, b, c, d]
}

fn prefixed(prefix: Prefix, label: &[u8]) -> LabelBytes {
    let mut bytes = LabelBytes::from_slice(&prefix);
    bytes.extend_from_slice(label);
    bytes
}

impl Consumer {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::push(&mut bytes, self.number.0);
        varint::push(&mut bytes, self.seen_ms);
        // Nobody is active at the end of time.
        varint::push(&mut bytes, self.active_ms.map_or(0, |active_ms| active_ms.saturating_add(1)));
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut next = || varint::take(&mut bytes);
        let (number, seen_ms, active_ms) = (ConsumerNumber(next()?), next()?, next()?.checked_sub(1));
        bytes.is_empty().then_some(Self { number, seen_ms, active_ms })
    }
}

impl Pending {
    fn to_item(self, id: StreamId) -> Vec<u8> {
        let mut item = Vec::with_capacity(2 * ID_BYTES);
        item.extend_from_slice(&id.to_bytes());
        varint::push(&mut item, self.consumer.0);
        varint::push(&mut item, self.delivered_ms);
        varint::push(&mut item, self.deliveries);
        item
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut next = || varint::take(&mut bytes);
        let (consumer, delivered_ms, deliveries) = (ConsumerNumber(next()?), next()?, next()?);
        bytes.is_empty().then_some(Self { consumer, delivered_ms, deliveries })
    }

    fn from_item(item: &[u8]) -> Option<(StreamId, Self)> {
        let (id, rest) = item.split_first_chunk()?;
        Some((StreamId::from_bytes(*id), Self::from_bytes(rest)?))
    }
}

fn owned_key(consumer: ConsumerNumber, id: StreamId) -> [u8; OWNED_BYTES] {
    let mut key = [0; OWNED_BYTES];
    let (first, second) = key.split_at_mut(OWNED_BYTES - ID_BYTES);
    first.copy_from_slice(&consumer.0.to_be_bytes());
    second.copy_from_slice(&id.to_bytes());
    key
}

impl Group {
    /// A group without consumers.
    pub(super) fn new(number: u32, name: &[u8], position: Position, recorder: &mut dyn Recorder) -> Self {
        let group = Self {
            name: name.into(),
            number,
            position,
            next_consumer: 0,
            consumers: Dictionary::from_block(&Block::empty(), ITEMS_WITH_NAME),
            pending: Ordered::default(),
            owned: Ordered::default(),
        };
        group.record(recorder);
        group
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How far it has read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Sets how far it has read.
    pub fn set_position(&mut self, position: Position, recorder: &mut dyn Recorder) {
        if self.position != position {
            self.position = position;
            self.record(recorder);
        }
    }

    /// The consumer of this name.
    #[must_use]
    pub fn consumer(&self, name: &[u8]) -> Option<Consumer> {
        Consumer::from_bytes(self.consumers.get(name)?.nth(1)?)
    }

    /// All consumers by name.
    #[must_use]
    pub fn consumers(&self) -> Vec<(&[u8], Consumer)> {
        let mut items = self.consumers.iter();
        let next = || Some((items.next()?, Consumer::from_bytes(items.next()?)?));
        let mut consumers: Vec<_> = std::iter::from_fn(next).collect();
        consumers.sort_unstable_by_key(|(name, _)| *name);
        consumers
    }

    /// How many consumers it has.
    #[must_use]
    pub fn count_consumers(&self) -> usize {
        self.consumers.len()
    }

    /// The consumer of this name, which is made if there is none.
    pub fn consumer_or_new(&mut self, name: &[u8], now_ms: u64, recorder: &mut dyn Recorder) -> Consumer {
        if let Some(consumer) = self.consumer(name) {
            return consumer;
        }
        let number = ConsumerNumber(self.next_consumer);
        self.next_consumer += 1;
        self.record(recorder);
        let consumer = Consumer { number, seen_ms: now_ms, active_ms: None };
        self.set_consumer(name, consumer, recorder);
        consumer
    }

    /// Changes what is known of a consumer.
    pub fn set_consumer(&mut self, name: &[u8], consumer: Consumer, recorder: &mut dyn Recorder) {
        if self.consumer(name) != Some(consumer) {
            let mut recorder = self.prefixed(TAG_CONSUMERS, recorder);
            self.consumers.set(&[name, &consumer.to_bytes()], &mut recorder);
        }
    }

    /// Removes a consumer with its pending entries, and says how many these were.
    pub fn remove_consumer(&mut self, name: &[u8], recorder: &mut dyn Recorder) -> Option<usize> {
        let number = self.consumer(name)?.number;
        let ids: Vec<StreamId> = self.owned(number, StreamId::MIN).collect();
        for id in &ids {
            self.acknowledge(*id, recorder);
        }
        let mut recorder = self.prefixed(TAG_CONSUMERS, recorder);
        self.consumers.remove(name, &mut recorder);
        Some(ids.len())
    }

    /// How many entries are pending.
    #[must_use]
    pub fn count_pending(&self) -> usize {
        self.pending.len()
    }

    /// What is known of a pending entry.
    #[must_use]
    pub fn pending(&self, id: StreamId) -> Option<Pending> {
        Pending::from_bytes(self.pending.get(&id.to_bytes())?)
    }

    /// Pending entries in order, from one id to another, both included.
    pub fn pending_range(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = (StreamId, Pending)> {
        self.pending.range(start.to_bytes(), end.to_bytes()).filter_map(Pending::from_item)
    }

    /// The last pending entry.
    #[must_use]
    pub fn last_pending(&self) -> Option<StreamId> {
        Pending::from_item(self.pending.last()?).map(|(id, _)| id)
    }

    /// A consumer's pending entries in order, from an id on.
    pub fn owned(&self, consumer: ConsumerNumber, start: StreamId) -> impl Iterator<Item = StreamId> {
        let range = self.owned.range(owned_key(consumer, start), owned_key(consumer, StreamId::MAX));
        range.filter_map(|item| item.last_chunk().copied().map(StreamId::from_bytes))
    }

    /// How many pending entries a consumer has.
    #[must_use]
    pub fn count_owned(&self, consumer: ConsumerNumber) -> usize {
        // No entry has the lowest id, and the last consumer has no successor.
        let next = ConsumerNumber(consumer.0.saturating_add(1));
        let end = self.owned.rank(&owned_key(next, StreamId::MIN));
        end - self.owned.rank(&owned_key(consumer, StreamId::MIN))
    }

    /// Makes an entry pending, or changes what is known of it.
    pub fn set_pending(&mut self, id: StreamId, pending: Pending, recorder: &mut dyn Recorder) {
        let owner = self.pending(id).map(|before| before.consumer);
        let mut recorder = self.prefixed(TAG_PENDING, recorder);
        self.pending.set(&pending.to_item(id), &mut recorder);
        if owner != Some(pending.consumer) {
            if let Some(owner) = owner {
                self.owned.remove(&owned_key(owner, id), &mut ());
            }
            self.owned.set(&owned_key(pending.consumer, id), &mut ());
        }
    }

    /// Makes an entry not pending any more; says whether it was.
    pub fn acknowledge(&mut self, id: StreamId, recorder: &mut dyn Recorder) -> bool {
        let Some(pending) = self.pending(id) else { return false };
        let mut recorder = self.prefixed(TAG_PENDING, recorder);
        self.pending.remove(&id.to_bytes(), &mut recorder);
        self.owned.remove(&owned_key(pending.consumer, id), &mut ());
        true
    }

    fn prefixed<'a>(&self, tag: u8, recorder: &'a mut dyn Recorder) -> Prefixed<'a> {
        Prefixed { recorder, prefix: prefix(tag, self.number) }
    }

    /// Its name, and everything else that is not in the dictionary nor pending.
    fn to_block(&self) -> Block {
        let mut record = Vec::new();
        varint::push(&mut record, self.position.last_delivered.ms);
        varint::push(&mut record, self.position.last_delivered.seq);
        varint::push(&mut record, self.position.entries_read.map_or(0, |read| read.saturating_add(1)));
        varint::push(&mut record, self.next_consumer);
        record.extend_from_slice(&self.consumers.seed().to_le_bytes());
        Block::new(1, &entry(&[&self.name, &record]))
    }

    fn record(&self, recorder: &mut dyn Recorder) {
        self.prefixed(TAG_RECORD, recorder).put(&[], self.to_block().bytes());
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Tells that all its blocks are gone.
    pub(super) fn erase(&self, recorder: &mut dyn Recorder) {
        for tag in [TAG_RECORD, TAG_CONSUMERS, TAG_PENDING] {
            self.for_each_block(tag, &mut |label, _| recorder.remove(&label));
        }
    }

    /// Visits the blocks with this tag.
    pub(super) fn for_each_block(&self, tag: u8, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        let prefix = prefix(tag, self.number);
        match tag {
            TAG_CONSUMERS => {
                self.consumers.blocks().for_each(|(label, block)| visit(prefixed(prefix, &label), block));
            }
            TAG_PENDING => {
                self.pending.blocks().for_each(|(label, block)| visit(prefixed(prefix, label), block));
            }
            _ => visit(prefixed(prefix, &[]), &self.to_block()),
        }
    }

    pub(super) fn memory_usage(&self) -> usize {
        size_of::<Self>()
            + self.name.len()
            + self.consumers.memory_usage()
            + self.pending.memory_usage()
            + self.owned.memory_usage()
    }

    /// A group of blocks that were stored, whose labels have lost their prefix. `None` if they make no sense.
    pub(super) fn restore(
        number: u32,
        record: &Block,
        consumers: Vec<(Vec<u8>, Block)>,
        pending: Vec<(Vec<u8>, Block)>,
    ) -> Option<Self> {
        let mut items = record.items();
        let (name, mut rest) = (items.next()?, items.next()?);
        let mut next = || varint::take(&mut rest);
        let last_delivered = StreamId::new(next()?, next()?);
        let entries_read = next()?.checked_sub(1);
        let next_consumer = next()?;
        let seed = u64::from_le_bytes(rest.try_into().ok()?);
        let consumers = Dictionary::from_blocks(seed, ITEMS_WITH_NAME, consumers)?;
        let pending: Option<Vec<_>> =
            pending.into_iter().map(|(label, block)| Some((label.try_into().ok()?, block))).collect();
        let mut group = Self {
            name: name.into(),
            number,
            position: Position { last_delivered, entries_read },
            next_consumer,
            consumers,
            pending: Ordered::from_blocks(pending?)?,
            owned: Ordered::default(),
        };
        group.owned = group.index()?;
        Some(group)
    }

    /// The pending entries by consumer; `None` unless each has one.
    fn index(&self) -> Option<Ordered<OWNED_BYTES>> {
        let mut numbers = Vec::with_capacity(self.consumers.len());
        for record in self.consumers.iter().skip(1).step_by(ITEMS_WITH_NAME) {
            numbers.push(Consumer::from_bytes(record)?.number);
        }
        numbers.sort_unstable();
        let is_unique = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        if !is_unique || numbers.last().is_some_and(|last| last.0 >= self.next_consumer) {
            return None;
        }
        let mut keys = Vec::with_capacity(self.pending.len());
        for item in self.pending.blocks().flat_map(|(_, block)| Items::at(block.bytes(), 0)) {
            let (id, pending) = Pending::from_item(item)?;
            numbers.binary_search(&pending.consumer).ok()?;
            keys.push(owned_key(pending.consumer, id));
        }
        keys.sort_unstable();
        Some(Ordered::from_items(keys.iter().map(<[u8; OWNED_BYTES]>::as_slice)))
    }
}
