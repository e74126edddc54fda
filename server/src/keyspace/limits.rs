//! Every size and count that bounds the keyspace, in one place.

/// Up to this many elements are freed at once; more are freed by another thread.
pub const FREED_AT_ONCE: usize = 100_000;

/// Freeing a key takes about as long as freeing this many elements.
pub const ELEMENTS_PER_KEY: usize = 10;

/// Pages of names of cold keys that are kept at most. Each is kept until a transaction that uses it commits, which never
/// happens if its client has gone. One transaction can use this many.
pub const MAX_PAGES: usize = 1024;

/// Keys that were looked up on disk and not found. Remembered so that the command that asked can run; one answer may
/// exceed this.
pub const MAX_MISSING: usize = 10_000;

/// Hashes of which a copy without due fields is kept at most, while expiry is held.
pub const MAX_VIEWS: usize = 1024;

/// Fields that are removed in one go when nobody has asked for their hash.
pub const MAX_EXPIRED_FIELDS: usize = 32;

/// How many expired keys RANDOMKEY passes over before it gives up.
pub const RANDOM_TRIES: usize = 100;

/// Keys of a slot that a step of a walk sorts anew. Of more keys the order is kept until the walk has ended.
pub const UNORDERED_KEYS: usize = 20_000;

/// Slots of a database whose order is kept at most. Each is kept until a walk has come to the end of it, which may never
/// happen.
pub const MAX_ORDERS: usize = 8;

pub use crate::types::WARMED_AT_ONCE;
