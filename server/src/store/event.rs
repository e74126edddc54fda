//! What the store tells the engine.

use std::sync::Arc;

use super::error::StoreError;
use super::filter::Filter;
use super::reader::{DuePage, ScanPage, StoredKey};

/// What the store tells the engine. Threads of the store call the callback, so it must be quick.
#[derive(Debug)]
pub enum StoreEvent {
    /// The groups of one commit are durable, and so are all before them.
    Committed {
        /// The last group's sequence.
        sequence: u64,
        /// The groups' buffers, now empty, for reuse.
        buffers: Vec<Vec<u8>>,
    },
    /// The log cannot be written. The groups from this sequence on are kept and retried until it can; then they are
    /// reported as committed. Reported once for several failures in a row.
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
    /// The rows cannot be written. The store keeps trying, and the log grows meanwhile. Reported once for several
    /// failures in a row.
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
    /// From now on the filter knows every key on disk, including keys added later.
    FilterReady(Arc<Filter>),
    /// A thread of the store has failed for good, because of a defect in it or in redb: the process should end.
    Failed {
        /// Which thread it was and why.
        reason: String,
    },
}
