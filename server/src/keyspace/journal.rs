//! The journal: every change, in commit order, as the records that the store keeps; and the events they raised.
//!
//! A transaction's records are written straight behind those of the transactions before it, so that committing is a
//! length, undoing is a truncation, and a group of transactions goes to the log without being copied.

use super::event::{Event, EventClasses};
use crate::store::{Change, Encoder, Mark, PutHead};
use crate::types::{IntegerBuffer, StringValue, Value};

/// See the module's description.
#[derive(Debug)]
pub struct Journal {
    /// Whole transactions, and behind them the records of the current one.
    encoder: Encoder,
    /// Whether the current transaction has begun in the encoder; one that changes nothing never does.
    recording: bool,
    /// Number of the last committed transaction that changed anything.
    sequence: u64,
    events: Vec<Event>,
    /// Classes that anybody listens to.
    interest: EventClasses,
    /// Whether events carry the values before and after: costs a copy of each changed value, so only for triggers.
    wants_values: bool,
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

    /// Number of the last committed transaction that changed anything.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Continues the numbering of an earlier run.
    pub(super) fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
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

    /// Takes the committed transactions as one group for the log, leaving `spare` to write the next ones into.
    pub fn take_group(&mut self, spare: Vec<u8>) -> Vec<u8> {
        debug_assert!(!self.recording, "a group holds whole transactions");
        std::mem::replace(&mut self.encoder, Encoder::new(spare)).finish()
    }

    pub(super) fn wants(&self, class: EventClasses) -> bool {
        self.interest.contains(class)
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
                let mut scratch = IntegerBuffer::default();
                let length = string.len() as u64;
                self.encoder().put_bytes(&head, length, string.chunks(&mut scratch));
            }
        }
    }

    pub(super) fn push(&mut self, change: &Change<'_>) {
        self.encoder().push(change);
    }

    fn encoder(&mut self) -> &mut Encoder {
        if !self.recording {
            self.recording = true;
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
        if std::mem::take(&mut self.recording) {
            let before = self.encoder.mark();
            self.encoder.end();
            // A transaction that was rolled back to its start ends as if it had never begun.
            if self.encoder.mark() >= before {
                self.sequence += 1;
            }
        }
        self.events.drain(..)
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            encoder: Encoder::new(Vec::new()),
            recording: false,
            sequence: 0,
            events: Vec::new(),
            interest: EventClasses::NONE,
            wants_values: false,
        }
    }
}
