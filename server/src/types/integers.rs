//! Sorted integers of one width in a block: what small sets of integers are.
//!
//! Unlike other blocks this one has no lengths before its items: all take 2, 4 or 8 bytes, whatever the widest of them
//! needs, so that one is found by halving.

use super::block::Block;
use super::recorder::Recorder;

/// The widths in bytes, from narrow to wide.
const WIDTHS: [usize; 3] = [2, 4, 8];

/// Different integers in ascending order.
#[derive(Clone, Debug)]
pub struct Integers(Block);

impl Default for Integers {
    fn default() -> Self {
        Self(Block::empty())
    }
}

impl Integers {
    /// Checks bytes that come from outside.
    #[must_use]
    pub fn parse(width: usize, bytes: &[u8]) -> Option<Self> {
        if !WIDTHS.contains(&width) || !bytes.len().is_multiple_of(width) {
            return None;
        }
        let integers = Self(Block::new(bytes.len() / width, bytes));
        integers.iter().is_sorted_by(|one, other| one < other).then_some(integers)
    }

    /// The block that they are in.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.entries()
    }

    /// The bytes that each takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.bytes().len().checked_div(self.len()).unwrap_or(WIDTHS[0])
    }

    /// The integer of this rank.
    #[must_use]
    pub fn get(&self, rank: usize) -> Option<i64> {
        let width = self.width();
        let bytes = self.0.bytes().get(rank * width..(rank + 1) * width)?;
        // The highest byte comes last, and tells the sign.
        let sign = if bytes[width - 1] < 0x80 { 0 } else { 0xff };
        let mut wide = [sign; 8];
        wide[..width].copy_from_slice(bytes);
        Some(i64::from_le_bytes(wide))
    }

    /// All of them in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).map_while(|rank| self.get(rank))
    }

    /// The rank of an integer, or the one that it would have.
    pub fn find(&self, integer: i64) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            if self.get(middle).is_some_and(|other| other < integer) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        if self.get(from) == Some(integer) { Ok(from) } else { Err(from) }
    }

    /// Puts an integer in at the rank that [`Self::find`] says it would have.
    pub fn insert(&mut self, rank: usize, integer: i64, recorder: &mut dyn Recorder) {
        let (width, needed) = (self.width(), width_of(integer));
        if needed > width {
            let mut bytes = Vec::with_capacity((self.len() + 1) * needed);
            for other in self.iter().take(rank).chain([integer]).chain(self.iter().skip(rank)) {
                bytes.extend_from_slice(&other.to_le_bytes()[..needed]);
            }
            self.0 = Block::new(self.len() + 1, &bytes);
            return recorder.whole();
        }
        self.splice(rank, 0, &integer.to_le_bytes()[..width], self.len() + 1, recorder);
    }

    /// Removes the integer of this rank.
    pub fn remove(&mut self, rank: usize, recorder: &mut dyn Recorder) {
        self.splice(rank, self.width(), &[], self.len() - 1, recorder);
    }

    fn splice(
        &mut self,
        rank: usize,
        removed: usize,
        inserted: &[u8],
        len: usize,
        recorder: &mut dyn Recorder,
    ) {
        let at = rank * self.width();
        recorder.splice(&[], at, removed, inserted);
        self.0.splice(at, removed, inserted, len);
    }
}

/// The bytes that an integer needs.
fn width_of(integer: i64) -> usize {
    if i16::try_from(integer).is_ok() {
        WIDTHS[0]
    } else if i32::try_from(integer).is_ok() {
        WIDTHS[1]
    } else {
        WIDTHS[2]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_are_kept_sorted_whatever_their_widths(bits in prop::collection::vec((0..64_u32, any::<i64>()), 0..300)) {
            let (mut integers, mut model) = (Integers::default(), BTreeSet::new());
            for (shift, random) in bits {
                let integer = random >> shift;
                match integers.find(integer) {
                    Ok(rank) => integers.remove(rank, &mut ()),
                    Err(rank) => integers.insert(rank, integer, &mut ()),
                }
                if !model.remove(&integer) {
                    model.insert(integer);
                }
                prop_assert!(integers.iter().eq(model.iter().copied()));
            }
            let parsed = Integers::parse(integers.width(), integers.block().bytes());
            prop_assert!(parsed.is_some_and(|parsed| parsed.iter().eq(integers.iter())));
        }

        #[test]
        fn no_bytes_make_the_reader_of_integers_panic(width in 0..10_usize, bytes: Vec<u8>) {
            if let Some(integers) = Integers::parse(width, &bytes) {
                prop_assert_eq!(integers.iter().count() * width, bytes.len());
            }
        }
    }

    #[test]
    fn the_widest_integer_decides_the_width() {
        let edges = [i16::MAX.into(), i16::MIN.into(), i32::MAX.into(), i32::MIN.into(), i64::MAX, i64::MIN];
        let mut integers = Integers::default();
        for (integer, width) in edges.into_iter().zip([2, 2, 4, 4, 8, 8]) {
            let rank = integers.find(integer).expect_err("a new integer");
            integers.insert(rank, integer, &mut ());
            assert_eq!(integers.width(), width);
        }
        let mut sorted = edges;
        sorted.sort_unstable();
        assert!(integers.iter().eq(sorted));
        for unsorted in [&b"\x01\0\x01\0"[..], b"\x02\0\x01\0", b"\x01"] {
            assert!(Integers::parse(2, unsorted).is_none());
        }
    }
}
