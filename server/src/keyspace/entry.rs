//! What is known of one key.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;

use compact_bytes::CompactBytes;

use crate::types::Value;

/// The name of a key. Up to 23 bytes need no allocation of their own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(CompactBytes);

impl Key {
    /// Copies `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(CompactBytes::new(bytes))
    }

    /// Bytes allocated beside the key itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() } else { 0 }
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self[..].cmp(&other[..])
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", String::from_utf8_lossy(self))
    }
}

/// A key with its value, in memory: one cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Entry {
    /// The key's name.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// When it ends, in milliseconds of unix time; [`NEVER`] when it does not.
    pub(super) expires_at_ms: u64,
    pub(super) stamp: Stamp,
}

const _: () = assert!(size_of::<Entry>() == 64, "a look-up is meant to touch one line of an entry");

/// When an entry was last used, and the savepoint in which it was last saved, in 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// Seconds are counted modulo 2^24, which is 194 days, as in Redis.
    const ACCESSED_BITS: u32 = 24;
    const ACCESSED_MASK: u64 = (1 << Self::ACCESSED_BITS) - 1;
    /// The last number that a savepoint can have.
    pub const MAX_SAVEPOINT: u64 = (1 << (u64::BITS - Self::ACCESSED_BITS)) - 1;

    /// The stamp of an entry that is used now and has not been saved.
    pub fn at(now_s: u64) -> Self {
        Self(now_s & Self::ACCESSED_MASK)
    }

    /// Notes that the entry is used now.
    pub fn touch(&mut self, now_s: u64) {
        self.0 = self.0 & !Self::ACCESSED_MASK | now_s & Self::ACCESSED_MASK;
    }

    /// For how long the entry has not been used, in seconds.
    pub fn idle_s(self, now_s: u64) -> u64 {
        now_s.wrapping_sub(self.0) & Self::ACCESSED_MASK
    }

    /// The savepoint in which the entry was last saved; 0 for none.
    pub fn savepoint(self) -> u64 {
        self.0 >> Self::ACCESSED_BITS
    }

    /// Notes that the entry is saved in a savepoint.
    pub fn set_savepoint(&mut self, savepoint: u64) {
        self.0 = savepoint << Self::ACCESSED_BITS | self.0 & Self::ACCESSED_MASK;
    }
}

/// The `expires_at_ms` of an entry without a time to live.
pub(super) const NEVER: u64 = u64::MAX;

impl Entry {
    /// When the key ends, in milliseconds of unix time.
    #[must_use]
    pub fn expires_at_ms(&self) -> Option<u64> {
        (self.expires_at_ms != NEVER).then_some(self.expires_at_ms)
    }

    /// Whether its time to live has ended. Redis keeps a key until the clock is past that millisecond.
    #[must_use]
    pub(super) fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms < now_ms
    }

    /// Whether fields of its hash have ended.
    #[must_use]
    pub(super) fn has_due_fields(&self, now_ms: u64) -> bool {
        self.value.next_end_ms().is_some_and(|end_ms| end_ms < now_ms)
    }

    /// For how long no command has used it, in seconds; `now_s` is in unix time.
    #[must_use]
    pub fn idle_s(&self, now_s: u64) -> u64 {
        self.stamp.idle_s(now_s)
    }

    /// Bytes of memory that the key and its value take, not counting the table.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        size_of::<Self>() + self.key.heap_bytes() + self.value.memory_usage()
    }
}
