//! A filter of the keys on disk, so that a look-up of a key that does not exist costs no disk access.
//!
//! It is a Bloom filter of 512-bit blocks. Two threads fill it at once: one walks the keys that were on disk when the
//! store was opened, and the apply thread adds every key that it creates from then on. Bits are only ever set, and keys
//! are named by storage, which no flush or swap changes. So once the walk has ended, the filter knows every key on disk
//! and never denies one. Nobody uses it before that.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::databases::StorageId;
use super::limits::{FILTER_BITS_PER_KEY, FILTER_MAX_BYTES, FILTER_MIN_BYTES};
use super::position::Position;

const BLOCK_WORDS: usize = 8;
const BLOCK_BITS: u64 = BLOCK_WORDS as u64 * 64;
const BITS_PER_KEY: u32 = 7;

/// Tells which keys are certainly not on disk.
#[derive(Debug)]
pub struct Filter {
    blocks: Box<[[AtomicU64; BLOCK_WORDS]]>,
}

impl Filter {
    /// An empty filter of a size that suits this many keys.
    pub(super) fn with_capacity(keys: u64) -> Self {
        let bytes = keys.saturating_mul(FILTER_BITS_PER_KEY) / 8;
        let blocks = bytes.clamp(FILTER_MIN_BYTES, FILTER_MAX_BYTES).div_ceil(BLOCK_BITS / 8);
        Self { blocks: (0..blocks).map(|_| Default::default()).collect() }
    }

    /// Whether the key may be on disk. `false` is certain.
    #[inline]
    #[must_use]
    pub fn may_contain(&self, storage: StorageId, position: Position) -> bool {
        let (block, hash) = self.locate(storage, position);
        bits(hash).all(|(word, mask)| block[word].load(Relaxed) & mask != 0)
    }

    /// The memory that the filter takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.blocks)
    }

    /// Adds a key.
    pub(super) fn insert(&self, storage: StorageId, position: Position) {
        let (block, hash) = self.locate(storage, position);
        for (word, mask) in bits(hash) {
            if block[word].load(Relaxed) & mask == 0 {
                block[word].fetch_or(mask, Relaxed);
            }
        }
    }

    #[inline]
    fn locate(&self, storage: StorageId, position: Position) -> (&[AtomicU64; BLOCK_WORDS], u64) {
        let hash = mix(position.get() ^ storage.number().rotate_left(48));
        let index = (u128::from(hash) * self.blocks.len() as u128) >> 64;
        (&self.blocks[index as usize], mix(hash))
    }
}

/// The bits of a block that stand for a key: nine bits of the hash for each.
#[inline]
fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    (0..BITS_PER_KEY).map(move |n| {
        let bit = hash >> (n * BLOCK_BITS.ilog2()) & (BLOCK_BITS - 1);
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

/// The finaliser of `SplitMix64`: every bit of the input changes half of those of the output.
#[inline]
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::position::Seed;
    use super::*;

    #[test]
    fn it_never_denies_a_key_and_rarely_admits_another() {
        const KEYS: u64 = 200_000;
        let (filter, seed) = (Filter::with_capacity(KEYS), Seed::new(7));
        let at = |n: u64| (StorageId::from_number(n % 16), seed.position(&n.to_le_bytes()));
        (0..KEYS).for_each(|n| filter.insert(at(n).0, at(n).1));
        assert!((0..KEYS).all(|n| filter.may_contain(at(n).0, at(n).1)));
        let admitted = (KEYS..2 * KEYS).filter(|&n| filter.may_contain(at(n).0, at(n).1)).count();
        assert!(admitted < KEYS as usize / 50, "{admitted} of {KEYS}");
        let elsewhere =
            (0..KEYS).filter(|&n| filter.may_contain(StorageId::from_number(99), at(n).1)).count();
        assert!(elsewhere < KEYS as usize / 50, "{elsewhere} of {KEYS}");
    }

    #[test]
    fn its_size_is_bounded_both_ways() {
        for (keys, bytes) in [(0, FILTER_MIN_BYTES), (1_000_000, 1_250_048), (u64::MAX, FILTER_MAX_BYTES)] {
            assert_eq!(Filter::with_capacity(keys).bytes() as u64, bytes, "{keys} keys");
        }
    }
}
