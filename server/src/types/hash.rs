//! The hash value: fields with values, some of which may have an end. Knows bytes and times only.
//!
//! Without ends it is nothing but [`Pairs`]. With the first end a second set of pairs comes beside that, of the fields
//! that have one, and an index of these by time: so ends cost nothing where there are none, and giving a field an end
//! does not touch its value.

use triomphe::Arc;

use super::allocation_size;
use super::block::{Block, SharedItems};
use super::blocks::LabelBytes;
use super::collection::{Collection, PackedLimits, StoredBlocks};
use super::dictionary::Dictionary;
use super::pairs::Pairs;
use super::recorder::Recorder;
use super::value::Kind;

mod ends;

pub use ends::MAX_END_MS;

use ends::Ends;

/// A hash; cloning it is O(1).
#[derive(Clone, Debug)]
pub struct HashValue(Form);

#[derive(Clone, Debug)]
enum Form {
    /// No field has an end.
    Plain(Pairs),
    /// Some field has one.
    Expiring(Arc<Expiring>),
}

#[derive(Clone, Debug, Default)]
struct Expiring {
    fields: Pairs,
    ends: Ends,
}

/// The first byte of the header of a hash with ends; that of another is empty or of 8 bytes.
const EXPIRING: u8 = 0x80;
/// Added to it: there is a seed of the fields, or of the ends.
const BIG_FIELDS: u8 = 1;
const BIG_ENDS: u8 = 2;

impl Default for HashValue {
    fn default() -> Self {
        Self(Form::Plain(Pairs::default()))
    }
}

impl HashValue {
    fn pairs(&self) -> &Pairs {
        match &self.0 {
            Form::Plain(fields) => fields,
            Form::Expiring(expiring) => &expiring.fields,
        }
    }

    fn pairs_mut(&mut self) -> &mut Pairs {
        match &mut self.0 {
            Form::Plain(fields) => fields,
            Form::Expiring(expiring) => &mut Arc::make_mut(expiring).fields,
        }
    }

    /// Whether both are the same hash with ends, not changed since one was cloned from the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Expiring(one), Form::Expiring(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// What finds the fields, if they are many.
    pub(super) fn dictionary(&self) -> Option<&Dictionary> {
        self.pairs().dictionary()
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.pairs().get(field)
    }

    /// When a field ends, in milliseconds of unix time.
    #[must_use]
    pub fn end_ms(&self, field: &[u8]) -> Option<u64> {
        match &self.0 {
            Form::Plain(_) => None,
            Form::Expiring(expiring) => expiring.ends.get(field),
        }
    }

    /// When the first of the fields ends, in milliseconds of unix time.
    #[must_use]
    pub fn next_end_ms(&self) -> Option<u64> {
        match &self.0 {
            Form::Plain(_) => None,
            Form::Expiring(expiring) => expiring.ends.next_ms(),
        }
    }

    /// Sets a field, which then has no end; says whether it is new.
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        limits: PackedLimits,
        recorder: &mut dyn Recorder,
    ) -> bool {
        let is_new = self.replace(field, value, limits, recorder);
        if !is_new {
            self.forget_end(field, recorder);
        }
        is_new
    }

    /// Sets a field, which keeps its end; says whether it is new.
    pub fn replace(
        &mut self,
        field: &[u8],
        value: &[u8],
        limits: PackedLimits,
        recorder: &mut dyn Recorder,
    ) -> bool {
        recorder.element(field);
        self.pairs_mut().set(field, value, limits, recorder)
    }

    /// Removes a field; says whether there was one.
    pub fn remove(&mut self, field: &[u8], recorder: &mut dyn Recorder) -> bool {
        let removed = self.pairs_mut().remove(field, recorder);
        if removed {
            recorder.element(field);
            self.forget_end(field, recorder);
        }
        removed
    }

    /// Gives a field an end, in milliseconds of unix time, or takes its end away; says whether there is such a field.
    pub fn set_end(
        &mut self,
        field: &[u8],
        end_ms: Option<u64>,
        limits: PackedLimits,
        recorder: &mut dyn Recorder,
    ) -> bool {
        if self.get(field).is_none() {
            return false;
        }
        match end_ms {
            None => {
                if self.forget_end(field, recorder) {
                    recorder.element(field);
                }
            }
            Some(end_ms) => {
                recorder.element(field);
                self.expiring(recorder).ends.set(field, end_ms, limits, recorder);
            }
        }
        true
    }

    /// The parts of a hash with ends, which it becomes if it has none.
    fn expiring(&mut self, recorder: &mut dyn Recorder) -> &mut Expiring {
        if let Form::Plain(fields) = &mut self.0 {
            let fields = std::mem::take(fields);
            let ends = if fields.seed().is_some() { Ends::big() } else { Ends::default() };
            let is_big = fields.seed().is_some();
            self.0 = Form::Expiring(Arc::new(Expiring { fields, ends }));
            // A small hash has been a single block and is not any more; a big one gets blocks besides its own.
            if is_big { recorder.header(&self.header()) } else { recorder.whole() }
        }
        match &mut self.0 {
            Form::Expiring(expiring) => Arc::make_mut(expiring),
            Form::Plain(_) => unreachable!("it has just become one with ends"),
        }
    }

    /// Takes the end of a field away; says whether it had one.
    fn forget_end(&mut self, field: &[u8], recorder: &mut dyn Recorder) -> bool {
        let Form::Expiring(expiring) = &mut self.0 else { return false };
        if expiring.ends.get(field).is_none() {
            return false;
        }
        let Expiring { fields, ends } = Arc::make_mut(expiring);
        ends.remove(field, recorder);
        if ends.next_ms().is_none() {
            let is_big = ends.seed().is_some();
            self.0 = Form::Plain(std::mem::take(fields));
            // A packed block of ends would stay behind.
            if is_big { recorder.header(&self.header()) } else { recorder.whole() }
        }
        true
    }

    /// Removes fields that ended before a time in milliseconds of unix time, at most `limit` of them; gives how many.
    pub fn expire(&mut self, now_ms: u64, limit: usize, recorder: &mut dyn Recorder) -> usize {
        let Form::Expiring(expiring) = &self.0 else { return 0 };
        let due = expiring.ends.due(now_ms, limit);
        if due.len() == self.len() {
            *self = Self::default();
            recorder.whole();
            for field in &due {
                recorder.element(field);
            }
        } else {
            for field in &due {
                self.remove(field, recorder);
            }
        }
        due.len()
    }

    /// All fields for a reply.
    #[must_use]
    pub fn fields(&self) -> SharedItems {
        self.pairs().share(&[0])
    }

    /// All values for a reply, in the order of their fields.
    #[must_use]
    pub fn values(&self) -> SharedItems {
        self.pairs().share(&[1])
    }

    /// All fields for a reply, each followed by its value.
    #[must_use]
    pub fn items(&self) -> SharedItems {
        self.pairs().share(&[0, 1])
    }

    /// All fields with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs().iter()
    }

    /// The field and value of this rank, in the order of [`Self::iter`].
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<(&[u8], &[u8])> {
        self.pairs().nth(rank)
    }

    /// Visits fields and values from a cursor on, as `Pairs::scan`.
    pub fn scan(&self, cursor: u64, count: usize, visit: impl FnMut(&[u8], &[u8])) -> u64 {
        self.pairs().scan(cursor, count, visit)
    }
}

impl Collection for HashValue {
    const KIND: Kind = Kind::Hash;

    fn len(&self) -> usize {
        self.pairs().len()
    }

    fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Plain(Pairs::Packed(_)) => "listpack",
            Form::Expiring(expiring) if matches!(expiring.fields, Pairs::Packed(_)) => "listpackex",
            Form::Plain(Pairs::Big(_)) | Form::Expiring(_) => "hashtable",
        }
    }

    fn memory_usage(&self) -> usize {
        match &self.0 {
            Form::Plain(fields) => fields.memory_usage(),
            Form::Expiring(expiring) => {
                let own = allocation_size(size_of::<usize>() + size_of::<Expiring>());
                own + expiring.fields.memory_usage() + expiring.ends.memory_usage()
            }
        }
    }

    fn header(&self) -> Vec<u8> {
        let seed = |seed: Option<u64>| seed.map(u64::to_le_bytes).into_iter().flatten();
        match &self.0 {
            Form::Plain(fields) => seed(fields.seed()).collect(),
            Form::Expiring(expiring) => {
                let (fields, ends) = (expiring.fields.seed(), expiring.ends.seed());
                let flag = |seed: Option<u64>, flag: u8| seed.map_or(0, |_| flag);
                let kind = EXPIRING | flag(fields, BIG_FIELDS) | flag(ends, BIG_ENDS);
                [kind].into_iter().chain(seed(fields)).chain(seed(ends)).collect()
            }
        }
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        self.pairs().for_each_block(visit);
        if let Form::Expiring(expiring) = &self.0 {
            expiring.ends.for_each_block(visit);
        }
    }

    fn restore(header: &[u8], mut blocks: StoredBlocks) -> Option<Self> {
        let (kind, mut seeds) = match header.len() % size_of::<u64>() {
            0 => (None, header),
            1 => (Some(header[0]), &header[1..]),
            _ => return None,
        };
        let mut seed = |is_there: bool| {
            if !is_there {
                return Some(None);
            }
            let (seed, rest) = seeds.split_first_chunk()?;
            seeds = rest;
            Some(Some(u64::from_le_bytes(*seed)))
        };
        let value = match kind {
            None => Self(Form::Plain(Pairs::restore(seed(!header.is_empty())?, blocks)?)),
            Some(kind) if kind & !(BIG_FIELDS | BIG_ENDS) == EXPIRING => {
                let (fields_seed, ends_seed) = (seed(kind & BIG_FIELDS != 0)?, seed(kind & BIG_ENDS != 0)?);
                let ends = Ends::restore(ends_seed, ends::split_off(&mut blocks))?;
                let fields = Pairs::restore(fields_seed, blocks)?;
                ends.next_ms()?;
                Self(Form::Expiring(Arc::new(Expiring { fields, ends })))
            }
            Some(_) => return None,
        };
        seeds.is_empty().then_some(value)
    }
}

#[cfg(test)]
mod tests;
