//! HyperLogLog: counting different elements in 12 KiB at most, with a standard error of 0.81 %. Knows bytes only.
//!
//! A sketch is a string in the format of Redis, so that it can be read, copied and imported as one: a header of 16
//! bytes (`HYLL`, the form, three unused bytes, the cached cardinality as a little-endian number whose highest bit says
//! that it is out of date), then 16384 registers of 6 bits, either all of them (dense) or as runs (sparse, in
//! `sparse.rs`). The cache is read but never filled: counting does not write.

mod estimate;
mod sparse;

use std::ops::Range;

use estimate::{Histogram, cardinality};
use sparse::{Insertion, insert, runs};

use super::StringValue;

/// Bits of an element's hash that choose its register.
const INDEX_BITS: u32 = 14;
/// The number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// The other bits of the hash: a register holds at most one more.
const RANK_BITS: u32 = u64::BITS - INDEX_BITS;
const REGISTER_BITS: usize = 6;
const REGISTER_MASK: u16 = (1 << REGISTER_BITS) - 1;

const MAGIC: &[u8] = b"HYLL";
const FORM_AT: usize = 4;
const CACHE_AT: usize = 8;
/// The byte with the bit that says that the cache is out of date.
const STALE_AT: usize = 15;
const STALE: u8 = 0x80;
const HEADER_BYTES: usize = 16;
const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;

/// The seed with which Redis hashes elements: another one would make other sketches.
const HASH_SEED: u64 = 0xadc8_3b19;

/// Why bytes are no sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSketch {
    /// They do not begin as one, or have a wrong length.
    Other,
    /// They begin as one but their runs make no sense.
    Corrupted,
}

/// How the registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of them.
    Dense,
    /// As runs.
    Sparse,
}

/// What a sketch remembers of one element: a register, and the least that it then holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Observation {
    register: usize,
    rank: u8,
}

impl Observation {
    fn of(element: &[u8]) -> Self {
        let hash = murmur64a(element, HASH_SEED);
        let rest = hash >> INDEX_BITS | 1 << RANK_BITS;
        Self { register: hash as usize & (REGISTERS - 1), rank: rest.trailing_zeros() as u8 + 1 }
    }
}

/// A sketch that has seen nothing.
#[must_use]
pub fn empty() -> StringValue {
    let mut bytes = header(Form::Sparse).to_vec();
    bytes.extend_from_slice(&sparse::NOTHING);
    StringValue::raw(&bytes)
}

fn header(form: Form) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[FORM_AT] = match form {
        Form::Dense => 0,
        Form::Sparse => 1,
    };
    header[STALE_AT] = STALE;
    header
}

/// The form of a sketch.
pub fn form(string: &StringValue) -> Result<Form, NoSketch> {
    let mut header = [0; HEADER_BYTES];
    let len = string.copy_range(0, &mut header);
    if len < HEADER_BYTES || !header.starts_with(MAGIC) {
        return Err(NoSketch::Other);
    }
    match header[FORM_AT] {
        0 if string.len() == DENSE_BYTES => Ok(Form::Dense),
        1 => Ok(Form::Sparse),
        _ => Err(NoSketch::Other),
    }
}

/// Shows elements to a sketch. `None` if that changed nothing, otherwise the bytes that are new; they are all bytes if
/// the sketch was sparse. A sparse sketch that would become longer than `sparse_max_bytes` becomes dense.
pub fn add(
    string: &mut StringValue,
    elements: &[&[u8]],
    sparse_max_bytes: usize,
) -> Result<Option<Range<usize>>, NoSketch> {
    let observations = elements.iter().map(|element| Observation::of(element));
    match form(string)? {
        Form::Dense => Ok(add_in_place(string, observations)),
        Form::Sparse => {
            let mut sketch = Sketch::of(string)?;
            let mut is_changed = false;
            for observation in observations {
                is_changed |= sketch.raise(observation, sparse_max_bytes)?;
            }
            if is_changed {
                *string = sketch.into_string();
            }
            Ok(is_changed.then_some(0..string.len()))
        }
    }
}

fn add_in_place(
    string: &mut StringValue,
    observations: impl Iterator<Item = Observation>,
) -> Option<Range<usize>> {
    let mut changed = None;
    for Observation { register, rank } in observations {
        let (at, shift) = place(register);
        let mut bytes = [0; 2];
        let len = string.copy_range(at, &mut bytes);
        if value(bytes, shift) < rank {
            bytes = with_value(bytes, shift, rank);
            string.set_range(at, &bytes[..len]);
            cover(&mut changed, at..at + len);
        }
    }
    changed.as_ref()?;
    let mut flags = [0];
    string.copy_range(STALE_AT, &mut flags);
    if flags[0] & STALE == 0 {
        string.set_range(STALE_AT, &[flags[0] | STALE]);
        cover(&mut changed, STALE_AT..STALE_AT + 1);
    }
    changed
}

/// Widens what has changed to a range more.
fn cover(changed: &mut Option<Range<usize>>, range: Range<usize>) {
    *changed = Some(match changed {
        None => range,
        Some(before) => before.start.min(range.start)..before.end.max(range.end),
    });
}

/// Where a register is in a dense sketch: in the two bytes from there on, behind so many low bits.
fn place(register: usize) -> (usize, usize) {
    let bit = register * REGISTER_BITS;
    (HEADER_BYTES + bit / 8, bit % 8)
}

fn value(bytes: [u8; 2], shift: usize) -> u8 {
    (u16::from_le_bytes(bytes) >> shift & REGISTER_MASK) as u8
}

fn with_value(bytes: [u8; 2], shift: usize, value: u8) -> [u8; 2] {
    (u16::from_le_bytes(bytes) & !(REGISTER_MASK << shift) | u16::from(value) << shift).to_le_bytes()
}

/// A sketch whose registers are being raised.
struct Sketch {
    bytes: Vec<u8>,
    form: Form,
}

impl Sketch {
    fn of(string: &StringValue) -> Result<Self, NoSketch> {
        Ok(Self { form: form(string)?, bytes: string.to_bytes().into_owned() })
    }

    /// Says whether the register was lower.
    fn raise(&mut self, observation: Observation, sparse_max_bytes: usize) -> Result<bool, NoSketch> {
        if self.form == Form::Sparse {
            let max_bytes = sparse_max_bytes.saturating_sub(HEADER_BYTES);
            let Observation { register, rank } = observation;
            let runs = &self.bytes[HEADER_BYTES..];
            match insert(runs, register, rank, max_bytes).ok_or(NoSketch::Corrupted)? {
                Insertion::Unchanged => return Ok(false),
                Insertion::Changed(runs) => {
                    self.bytes.truncate(HEADER_BYTES);
                    self.bytes.extend_from_slice(&runs);
                    self.bytes[STALE_AT] |= STALE;
                    return Ok(true);
                }
                Insertion::TooLong => self.make_dense()?,
            }
        }
        Ok(self.raise_dense(observation))
    }

    fn raise_dense(&mut self, Observation { register, rank }: Observation) -> bool {
        let (at, shift) = place(register);
        let bytes = [self.bytes[at], self.bytes.get(at + 1).copied().unwrap_or(0)];
        let is_lower = value(bytes, shift) < rank;
        if is_lower {
            let [low, high] = with_value(bytes, shift, rank);
            self.bytes[at] = low;
            if let Some(second) = self.bytes.get_mut(at + 1) {
                *second = high;
            }
            self.bytes[STALE_AT] |= STALE;
        }
        is_lower
    }

    fn make_dense(&mut self) -> Result<(), NoSketch> {
        let mut registers = Registers::default();
        registers.merge_bytes(&self.bytes, self.form)?;
        self.bytes.truncate(HEADER_BYTES);
        self.bytes[FORM_AT] = 0;
        self.bytes.resize(DENSE_BYTES, 0);
        self.form = Form::Dense;
        for (register, rank) in registers.filled() {
            self.raise_dense(Observation { register, rank });
        }
        Ok(())
    }

    fn into_string(self) -> StringValue {
        StringValue::raw(&self.bytes)
    }
}

/// The registers of one sketch, or the highest of several.
#[derive(Clone)]
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    /// Raises all registers to those of a sketch.
    pub fn merge(&mut self, string: &StringValue) -> Result<(), NoSketch> {
        self.merge_bytes(&string.to_bytes(), form(string)?)
    }

    fn merge_bytes(&mut self, bytes: &[u8], form: Form) -> Result<(), NoSketch> {
        let bytes = &bytes[HEADER_BYTES..];
        match form {
            // Three bytes hold four registers.
            Form::Dense => {
                for (packed, registers) in bytes.chunks_exact(3).zip(self.0.chunks_exact_mut(4)) {
                    let word = u32::from_le_bytes([packed[0], packed[1], packed[2], 0]);
                    for (index, register) in registers.iter_mut().enumerate() {
                        let value = (word >> (index * REGISTER_BITS)) as u8 & REGISTER_MASK as u8;
                        *register = value.max(*register);
                    }
                }
            }
            Form::Sparse => {
                for run in runs(bytes) {
                    let run = run.ok_or(NoSketch::Corrupted)?;
                    for register in &mut self.0[run.registers] {
                        *register = run.rank.max(*register);
                    }
                }
            }
        }
        Ok(())
    }

    /// How many different elements the sketches have seen, about.
    #[must_use]
    pub fn count(&self) -> u64 {
        let mut histogram: Histogram = [0; _];
        for register in self.0.iter() {
            histogram[usize::from(*register)] += 1;
        }
        cardinality(&histogram)
    }

    /// Raises the registers of a sketch to these, in the dense form if it or `wants_dense` says so.
    pub fn apply(
        &self,
        string: &mut StringValue,
        wants_dense: bool,
        sparse_max_bytes: usize,
    ) -> Result<(), NoSketch> {
        let mut sketch = Sketch::of(string)?;
        if wants_dense && sketch.form == Form::Sparse {
            sketch.make_dense()?;
        }
        for (register, rank) in self.filled() {
            sketch.raise(Observation { register, rank }, sparse_max_bytes)?;
        }
        sketch.bytes[STALE_AT] |= STALE;
        *string = sketch.into_string();
        Ok(())
    }

    fn filled(&self) -> impl Iterator<Item = (usize, u8)> {
        self.0.iter().copied().enumerate().filter(|(_, rank)| *rank > 0)
    }
}

/// How many different elements one sketch has seen, about: what it has cached, if that is up to date.
pub fn count(string: &StringValue) -> Result<u64, NoSketch> {
    form(string)?;
    let mut cached = [0; size_of::<u64>()];
    string.copy_range(CACHE_AT, &mut cached);
    if cached[STALE_AT - CACHE_AT] & STALE == 0 {
        return Ok(u64::from_le_bytes(cached));
    }
    let mut registers = Registers::default();
    registers.merge(string)?;
    Ok(registers.count())
}

/// `MurmurHash64A`, whatever the processor's byte order.
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let mix = |word: u64| {
        let word = word.wrapping_mul(MULTIPLIER);
        (word ^ word >> SHIFT).wrapping_mul(MULTIPLIER)
    };
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, tail) = bytes.as_chunks();
    for word in words {
        hash = (hash ^ mix(u64::from_le_bytes(*word))).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}

#[cfg(test)]
mod tests;
