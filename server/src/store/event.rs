//! What the store tells the engine.

use std::sync::Arc;

use super::error::StoreError;
use super::filter::Filter;
use super::reader::{DuePage, ScanPage, StoredKey};

/// What the store tells the engine. It comes from threads of the store, so the callback must be quick.
#[derive(Debug)]
pub enum StoreEvent {
    /// The group is durable, and so are all before it.
    Committed {
        /// The group's sequence.
        sequence: u64,
        /// The group's buffer, empty, to be used again.
        buffer: Vec<u8>,
    },
    /// The log cannot be written. The groups from this sequence on are kept and tried again until it can;
    /// then they are reported as committed. Told once for each row of failures.
    CommitFailed {
        /// The first group that is not durable.
        sequence: u64,
        /// Why.
        error: String,
    },
    /// The rows contain everything up to this sequence.
    Applied {
        /// The sequence.
        sequence: u64,
    },
    /// The rows cannot be written. It is tried again; the log grows meanwhile. Told once for each row of
    /// failures.
    ApplyFailed {
        /// Why.
        error: String,
    },
    /// Answers [`super::Store::load`], in the order of the keys; `None` for a key that is not on disk.
    Loaded {
        /// The token of the question.
        token: u64,
        /// The values.
        result: Result<Vec<Option<StoredKey>>, StoreError>,
    },
    /// Answers [`super::Store::scan_page`].
    Scanned {
        /// The token of the question.
        token: u64,
        /// The page.
        result: Result<ScanPage, StoreError>,
    },
    /// Answers [`super::Store::due_expiries`].
    Due {
        /// The token of the question.
        token: u64,
        /// The keys.
        result: Result<DuePage, StoreError>,
    },
    /// From now on the filter knows every key on disk, those that are yet to come included.
    FilterReady(Arc<Filter>),
    /// A thread of the store has failed for good, by a defect of it or of redb: the process should end.
    Failed {
        /// Which thread it was and why.
        reason: String,
    },
}
