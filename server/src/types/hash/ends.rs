//! The ends of fields: by field, as they are stored, and by time.

use crate::types::block::Block;
use crate::types::blocks::LabelBytes;
use crate::types::collection::{PackedLimits, StoredBlocks};
use crate::types::deadlines::Deadlines;
use crate::types::pairs::Pairs;
use crate::types::recorder::Recorder;

/// What stands before the labels of the blocks of ends. No label of the fields has so many bytes, and all of them come
/// before this.
const PREFIX: [u8; 7] = [0xff; 7];

/// A time as it is stored: 6 bytes are enough until the year 10889.
const TIME_BYTES: usize = 6;

/// The last end that a field can have, in milliseconds of unix time; the same as in Redis.
pub const MAX_END_MS: u64 = (1 << 46) - 1;

/// See the module's description; cloning is O(1).
#[derive(Clone, Debug, Default)]
pub struct Ends {
    by_field: Pairs,
    /// Empty while there are few: then all of them are looked through.
    by_time: Deadlines,
    /// The first end.
    next_ms: Option<u64>,
}

/// Tells of the blocks of ends under labels of their own.
struct Prefixed<'a>(&'a mut dyn Recorder);

fn prefixed(label: &[u8]) -> LabelBytes {
    PREFIX.iter().chain(label).copied().collect()
}

impl Recorder for Prefixed<'_> {
    fn put(&mut self, label: &[u8], block: &[u8]) {
        self.0.put(&prefixed(label), block);
    }

    fn splice(&mut self, label: &[u8], offset: usize, removed: usize, inserted: &[u8]) {
        self.0.splice(&prefixed(label), offset, removed, inserted);
    }

    fn remove(&mut self, label: &[u8]) {
        self.0.remove(&prefixed(label));
    }

    fn header(&mut self, header: &[u8]) {
        self.0.header(header);
    }

    fn whole(&mut self) {
        self.0.whole();
    }

    fn element(&mut self, element: &[u8]) {
        self.0.element(element);
    }
}

fn to_bytes(time_ms: u64) -> [u8; TIME_BYTES] {
    let mut bytes = [0; TIME_BYTES];
    bytes.copy_from_slice(&time_ms.to_be_bytes()[size_of::<u64>() - TIME_BYTES..]);
    bytes
}

fn from_bytes(bytes: &[u8]) -> Option<u64> {
    let bytes: [u8; TIME_BYTES] = bytes.try_into().ok()?;
    Some(bytes.iter().fold(0, |time, byte| time << u8::BITS | u64::from(*byte)))
}

impl Ends {
    /// None yet, and ready for many.
    #[must_use]
    pub fn big() -> Self {
        Self { by_field: Pairs::big(), ..Self::default() }
    }

    /// The end of a field.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<u64> {
        self.by_field.get(field).and_then(from_bytes)
    }

    /// The first of all ends.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.next_ms
    }

    /// Gives a field an end.
    pub fn set(&mut self, field: &[u8], end_ms: u64, limits: PackedLimits, recorder: &mut dyn Recorder) {
        let before = self.get(field);
        let was_big = self.by_field.seed().is_some();
        self.by_field.set(field, &to_bytes(end_ms), limits, &mut Prefixed(recorder));
        match &self.by_field {
            Pairs::Big(_) if !was_big => self.index(),
            Pairs::Big(dictionary) => {
                let hash = dictionary.hash(field);
                if let Some(before) = before {
                    self.by_time.remove((before, hash));
                }
                self.by_time.insert((end_ms, hash));
            }
            Pairs::Packed(_) => {}
        }
        self.find_next();
    }

    /// Takes the end of a field away.
    pub fn remove(&mut self, field: &[u8], recorder: &mut dyn Recorder) {
        let Some(before) = self.get(field) else { return };
        self.by_field.remove(field, &mut Prefixed(recorder));
        if let Pairs::Big(dictionary) = &self.by_field {
            self.by_time.remove((before, dictionary.hash(field)));
        }
        self.find_next();
    }

    /// The fields that ended before a time, at most `limit` of them, the first ones first if they are many.
    #[must_use]
    pub fn due(&self, now_ms: u64, limit: usize) -> Vec<Vec<u8>> {
        let is_due = |end: &[u8]| from_bytes(end).is_some_and(|end| end < now_ms);
        let dictionary = match &self.by_field {
            Pairs::Big(dictionary) => dictionary,
            Pairs::Packed(_) => {
                let due = self.by_field.iter().filter(|(_, end)| is_due(end));
                return due.take(limit).map(|(field, _)| field.to_vec()).collect();
            }
        };
        let mut due: Vec<u64> = Vec::new();
        due.extend(
            self.by_time.iter().take_while(|(end, _)| *end < now_ms).take(limit).map(|(_, hash)| hash),
        );
        // Different fields may have the same hash.
        due.sort_unstable();
        due.dedup();
        let mut fields = Vec::with_capacity(due.len());
        for hash in due {
            for mut entry in dictionary.with_hash(hash) {
                if let (Some(field), Some(end)) = (entry.next(), entry.next())
                    && is_due(end)
                {
                    fields.push(field.to_vec());
                }
            }
        }
        fields
    }

    fn find_next(&mut self) {
        self.next_ms = match &self.by_field {
            Pairs::Packed(_) => self.by_field.iter().filter_map(|(_, end)| from_bytes(end)).min(),
            Pairs::Big(_) => self.by_time.iter().next().map(|(end, _)| end),
        };
    }

    /// Makes the index by time anew.
    fn index(&mut self) {
        if let Pairs::Big(dictionary) = &self.by_field {
            let deadline = |(field, end): (&[u8], &[u8])| Some((from_bytes(end)?, dictionary.hash(field)));
            let mut deadlines: Vec<_> = self.by_field.iter().filter_map(deadline).collect();
            deadlines.sort_unstable();
            self.by_time = Deadlines::from_sorted(&deadlines);
        }
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.by_field.memory_usage() + self.by_time.memory_usage()
    }

    /// See [`Pairs::seed`].
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.by_field.seed()
    }

    /// Visits all blocks in the order of their labels.
    pub fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        self.by_field.for_each_block(&mut |label, block| visit(prefixed(&label), block));
    }

    /// The ends in these blocks, which [`split_off`] gave; `None` if there are none, as is damage.
    #[must_use]
    pub fn restore(seed: Option<u64>, blocks: StoredBlocks) -> Option<Self> {
        let by_field = Pairs::restore(seed, blocks)?;
        if by_field.iter().any(|(_, end)| from_bytes(end).is_none()) {
            return None;
        }
        let mut ends = Self { by_field, ..Self::default() };
        ends.index();
        ends.find_next();
        Some(ends)
    }
}

/// Takes the blocks of ends, with the labels that they have without the fields.
#[must_use]
pub fn split_off(blocks: &mut StoredBlocks) -> StoredBlocks {
    let at = blocks.0.partition_point(|(label, _)| !label.starts_with(&PREFIX));
    let ends = blocks.0.split_off(at);
    StoredBlocks(ends.into_iter().map(|(label, block)| (label[PREFIX.len()..].to_vec(), block)).collect())
}
