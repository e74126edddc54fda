//! What is known of one key.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;

use compact_bytes::CompactBytes;

use crate::types::Value;

/// The name of a key: bytes, the first 23 of them without an allocation of their own.
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

/// A key with its value, in memory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's name.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// When it ends, in milliseconds of unix time; [`NEVER`] when it does not.
    pub(super) expires_at_ms: u64,
    /// The keyspace's change counter at the last change: what a savepoint compares, to save each key once.
    pub(super) version: u64,
    /// When a command last used it, in seconds of unix time.
    pub(super) accessed_s: u32,
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

    /// When a command last used it, in seconds of unix time.
    #[must_use]
    pub fn accessed_s(&self) -> u64 {
        u64::from(self.accessed_s)
    }

    /// Bytes that the key and its value take in memory, without the table's share.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        size_of::<Self>() + self.key.heap_bytes() + self.value.memory_usage()
    }
}
