//! The journal: every change, in commit order, as the records that the store keeps; and the events they raised.
//!
//! A transaction's records are written straight behind those of the transactions before it, so that committing is a
//! length, undoing is a truncation, and a group of transactions goes to the log without being copied.

use std::ops::Range;

use super::event::{Event, EventClasses};
use crate::store::limits::STRING_BYTES;
use crate::store::record::{BlockChange, Change, Encoder, Mark, PutHead};
use crate::types::{IntegerBuffer, Recorder, StringValue, Value};

/// See the module's description.
#[derive(Debug)]
pub struct Journal {
    /// Whole transactions, and behind them the records of the current one.
    encoder: Encoder,
    /// Number of the group that the next committed transaction will be in.
    group: u64,
    events: Vec<Event>,
    /// Classes that anybody listens to.
    interest: EventClasses,
    /// Whether events carry the values before and after: costs a copy of each changed value, so only for triggers.
    wants_values: bool,
}

/// Writes the changes that a collection reports into the journal.
pub(super) struct JournalRecorder<'a> {
    journal: &'a mut Journal,
    database: u8,
    key: &'a [u8],
    start: JournalMark,
    /// Whether parts need not be recorded, because the whole value will be.
    whole: bool,
    changed: bool,
    elements: Vec<Box<[u8]>>,
}

/// What was recorded of the change of a collection.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub changed: bool,
    /// The journal has no parts of the change, so the whole value must be put there.
    pub whole: bool,
    /// Which elements the change is about, where triggers want to know.
    pub elements: Vec<Box<[u8]>>,
}

impl<'a> JournalRecorder<'a> {
    /// Records the changes of one key. For a new key it only notes that something changed, because the caller journals
    /// the whole value.
    pub fn new(journal: &'a mut Journal, database: u8, key: &'a [u8], is_new: bool) -> Self {
        let start = journal.mark();
        Self { journal, database, key, start, whole: is_new, changed: false, elements: Vec::new() }
    }

    pub fn finish(self) -> Recorded {
        Recorded { changed: self.changed, whole: self.whole, elements: self.elements }
    }

    fn block(&mut self, label: &[u8], change: BlockChange<'_>) {
        self.changed = true;
        if !self.whole {
            self.journal.push(&Change::Block { database: self.database, key: self.key, label, change });
        }
    }
}

impl Recorder for JournalRecorder<'_> {
    fn put(&mut self, label: &[u8], block: &[u8]) {
        self.block(label, BlockChange::Put(block));
    }

    fn splice(&mut self, label: &[u8], offset: usize, removed: usize, inserted: &[u8]) {
        let (offset, removed) = (offset as u64, removed as u64);
        self.block(label, BlockChange::Splice { offset, removed, inserted });
    }

    fn remove(&mut self, label: &[u8]) {
        self.block(label, BlockChange::Remove);
    }

    fn header(&mut self, header: &[u8]) {
        self.changed = true;
        if !self.whole {
            self.journal.push(&Change::Header { database: self.database, key: self.key, header });
        }
    }

    fn whole(&mut self) {
        (self.changed, self.whole) = (true, true);
        self.journal.encoder.rewind(self.start.encoded);
    }

    fn element(&mut self, element: &[u8]) {
        if self.journal.wants_values {
            self.elements.push(element.into());
        }
    }
}

/// A point in the current transaction to which the journal can return.
#[derive(Clone, Copy, Debug)]
pub(super) struct JournalMark {
    encoded: Mark,
    events: usize,
}

impl Journal {
    /// Sets which events are kept, and whether with values.
    pub fn listen(&mut self, interest: EventClasses, wants_values: bool) {
        self.interest = interest;
        self.wants_values = wants_values;
    }

    /// Which events are kept, and whether with values.
    #[must_use]
    pub fn listened(&self) -> (EventClasses, bool) {
        (self.interest, self.wants_values)
    }

    /// Number of the group that the next committed transaction will be in.
    #[must_use]
    pub fn group(&self) -> u64 {
        self.group
    }

    /// Number of the last group that has committed transactions. When it is durable, so is everything that anybody has
    /// seen.
    #[must_use]
    pub fn last_group(&self) -> u64 {
        self.group - u64::from(self.encoder.is_empty())
    }

    /// Continues the numbering of an earlier run, whose last group this was.
    pub(super) fn set_last_group(&mut self, last: u64) {
        self.group = last + 1;
    }

    /// The events of the current transaction.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Bytes of committed transactions that nobody has taken yet.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        if self.encoder.is_empty() { 0 } else { self.encoder.len() }
    }

    /// Whether the current transaction has records.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.encoder.is_open()
    }

    /// Bytes of records of the current transaction.
    #[must_use]
    pub(super) fn open_bytes(&self) -> usize {
        self.encoder.open_bytes()
    }

    /// Extracts the records and events of the current transaction, for [`Self::append_transaction`].
    pub(super) fn take_transaction(&mut self) -> (Encoder, Vec<Event>) {
        (std::mem::take(&mut self.encoder), std::mem::take(&mut self.events))
    }

    /// Adds the records and events of a transaction of another journal to the current one.
    pub(super) fn append_transaction(&mut self, records: Encoder, events: Vec<Event>) {
        if records.open_bytes() > 0 {
            self.encoder.append(records);
        }
        self.events.extend(events);
    }

    /// Takes the committed transactions as one group for the log, with its number. The next ones are written into
    /// `spare`.
    pub fn take_group(&mut self, spare: Vec<u8>) -> (Vec<u8>, u64) {
        debug_assert!(!self.encoder.is_open(), "a group holds whole transactions");
        let group = std::mem::replace(&mut self.encoder, Encoder::new(spare)).finish();
        self.group += 1;
        (group, self.group - 1)
    }

    /// Gives back the memory for the next group, unless something is in it.
    pub fn release_buffer(&mut self) {
        if self.pending_bytes() == 0 && !self.is_open() {
            self.encoder = Encoder::default();
        }
    }

    pub(super) fn wants(&self, class: EventClasses) -> bool {
        class != EventClasses::NONE && self.interest.contains(class)
    }

    pub(super) fn wants_values(&self) -> bool {
        self.wants_values
    }

    pub(super) fn put(
        &mut self,
        database: u8,
        key: &[u8],
        expires_at_ms: Option<u64>,
        created: bool,
        value: &Value,
    ) {
        let head = PutHead { database, key, expires_at_ms, created };
        match value {
            Value::String(StringValue::Integer(integer)) => self.encoder().put_integer(&head, *integer),
            Value::String(string) => {
                // What is longer would be damage to whoever reads the log.
                debug_assert!(string.len() as u64 <= STRING_BYTES);
                let mut scratch = IntegerBuffer::default();
                let length = string.len() as u64;
                self.encoder().put_bytes(&head, length, string.chunks(&mut scratch));
            }
            collection => {
                let mut blocks = 0;
                collection.for_each_block(&mut |_, _| blocks += 1);
                let encoder = self.encoder();
                encoder.put_collection(&head, collection.kind().number(), &collection.header(), blocks);
                collection.for_each_block(&mut |label, block| encoder.put_block(&label, block.bytes()));
            }
        }
    }

    /// Records bytes of a string that were written over or behind the old ones.
    pub(super) fn splice(&mut self, database: u8, key: &[u8], string: &StringValue, range: Range<u64>) {
        debug_assert!(string.len() as u64 <= STRING_BYTES);
        let bytes = string.range(range.start as usize, range.end as usize);
        let length = string.len() as u64;
        self.push(&Change::Splice { database, key, offset: range.start, bytes: &bytes, length });
    }

    pub(super) fn push(&mut self, change: &Change<'_>) {
        self.encoder().push(change);
    }

    fn encoder(&mut self) -> &mut Encoder {
        // A transaction that changes nothing never begins.
        if !self.encoder.is_open() {
            self.encoder.begin();
        }
        &mut self.encoder
    }

    pub(super) fn raise(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(super) fn mark(&self) -> JournalMark {
        JournalMark { encoded: self.encoder.mark(), events: self.events.len() }
    }

    pub(super) fn rollback(&mut self, mark: JournalMark) {
        self.encoder.rewind(mark.encoded);
        self.events.truncate(mark.events);
    }

    /// Ends the transaction and gives its events.
    pub(super) fn commit(&mut self) -> std::vec::Drain<'_, Event> {
        // A transaction that was rolled back to its start leaves no record.
        self.encoder.end();
        self.events.drain(..)
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            encoder: Encoder::new(Vec::new()),
            group: 1,
            events: Vec::new(),
            interest: EventClasses::NONE,
            wants_values: false,
        }
    }
}
