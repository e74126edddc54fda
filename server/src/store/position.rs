//! Where a key stands: the one order of keys that memory, disk and `SCAN` share.
//!
//! A position is 48 bits: the key's slot (14 bits, as Redis Cluster computes it) above 34 bits of a keyed
//! hash. It stays below 2^53, because some clients hold a `SCAN` cursor in a double. The hash is keyed by a
//! random seed that is made with the data directory and never changes, so that nobody can choose keys that
//! share a position.

use crc::{CRC_16_XMODEM, Crc, Table};
use siphasher::sip::SipHasher13;

/// How many slots there are, as in Redis Cluster.
pub const SLOTS: u16 = 16384;

const HASH_BITS: u32 = 34;
const CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// A key's place in the order of its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// How many bytes a position takes in a row's key.
    pub const BYTES: usize = 6;
    /// The first position.
    pub const MIN: Self = Self(0);
    /// The last position.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// The position with this number, or `None` if it is beyond [`Position::MAX`].
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The first position of a slot.
    #[must_use]
    pub const fn of_slot(slot: u16) -> Self {
        Self(((slot % SLOTS) as u64) << HASH_BITS)
    }

    /// The position as a number, which is a `SCAN` cursor.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The slot in which the position lies.
    #[must_use]
    pub const fn slot(self) -> u16 {
        (self.0 >> HASH_BITS) as u16
    }

    /// The position after this one, or `None` after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// The position as it stands in a row's key: big-endian, so that rows sort by it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let [_, _, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }

    /// Reads what [`Position::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut number = [0; 8];
        number[2..].copy_from_slice(&bytes);
        Self(u64::from_be_bytes(number))
    }
}

/// The secret of a data directory that keys the hash of positions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    high: u64,
    low: u64,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(secret)")
    }
}

impl Seed {
    /// A seed made of 128 random bits.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self { high: (bits >> 64) as u64, low: bits as u64 }
    }

    /// The 128 bits that the seed was made of.
    #[must_use]
    pub const fn bits(self) -> u128 {
        ((self.high as u128) << 64) | self.low as u128
    }

    /// The position of a key.
    #[inline]
    #[must_use]
    pub fn position(&self, key: &[u8]) -> Position {
        let hash = SipHasher13::new_with_keys(self.high, self.low).hash(key);
        Position((u64::from(slot(key)) << HASH_BITS) | (hash >> (64 - HASH_BITS)))
    }
}

/// The slot of a key: CRC16 of its hash tag, or of the whole key if it has none, modulo [`SLOTS`].
#[inline]
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    CRC.checksum(hash_tag(key)) % SLOTS
}

/// What lies between the first `{` and the first `}` after it, or the whole key if that is nothing.
#[inline]
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    match memchr::memchr(b'}', &key[open + 1..]) {
        None | Some(0) => key,
        Some(length) => &key[open + 1..][..length],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // From `CLUSTER KEYSLOT` of redis-server 7.0.15.
        let table: [(&[u8], u16); 10] = [
            (b"", 0),
            (b"foo", 12182),
            (b"123456789", 12739),
            (b"{user1000}.following", 3443),
            (b"{user1000}.followers", 3443),
            (b"foo{}{bar}", 8363),
            (b"foo{{bar}}zap", 4015),
            (b"foo{bar}{zap}", 5061),
            (b"foo{bar", 15278),
            (b"bar", 5061),
        ];
        for (key, expected) in table {
            assert_eq!(slot(key), expected, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_position_is_the_slot_above_the_hash_and_never_changes() {
        let seed = Seed::new(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
        let position = seed.position(b"foo");
        assert_eq!(position.slot(), slot(b"foo"));
        assert_eq!(position.get(), 209_294_771_812_229);
        assert_ne!(position, Seed::new(1).position(b"foo"));
        assert_eq!(Seed::new(seed.bits()), seed);
    }

    #[test]
    fn a_cursor_is_exact_in_a_double() {
        assert!(Position::MAX.get() < 1 << 53);
        assert_eq!(Position::MAX.next(), None);
        assert_eq!(Position::new(Position::MAX.get() + 1), None);
    }

    #[test]
    fn bytes_keep_the_order_and_the_value() {
        let positions = [0, 1, 255, 256, 1 << 34, (1 << 48) - 1].map(|number| Position::new(number).unwrap());
        for position in positions {
            assert_eq!(Position::from_bytes(position.to_bytes()), position);
        }
        assert!(positions.windows(2).all(|pair| pair[0].to_bytes() < pair[1].to_bytes()));
    }
}
