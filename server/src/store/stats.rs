//! Statistics of the store, for `INFO`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Durations of one kind of work, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// The last time.
    pub last_us: u64,
    /// The longest time.
    pub longest_us: u64,
    /// The sum.
    pub total_us: u64,
}

/// What `INFO` shows of the store. Counts are since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// The size of what was appended and is not yet applied, in bytes.
    pub log_bytes: u64,
    /// The size of `log.redb` in bytes.
    pub log_file_bytes: u64,
    /// The size of `data.redb` in bytes.
    pub data_file_bytes: u64,
    /// Durable commits of the log that contained groups.
    pub commits: u64,
    /// Attempts at such a commit that failed.
    pub commit_failures: u64,
    /// How long the commits took.
    pub commit_times: Times,
    /// Rounds in which the log was applied to the rows.
    pub rounds: u64,
    /// Rounds that failed, and failed removals of garbage.
    pub round_failures: u64,
    /// How long the rounds took.
    pub round_times: Times,
    /// Changes of keys in those rounds.
    pub applied_changes: u64,
    /// Keys that were written for them.
    pub applied_keys: u64,
    /// Rows that the sweeper removed.
    pub swept_rows: u64,
    /// Keys that were looked up.
    pub loaded_keys: u64,
    /// Questions that could not be answered.
    pub read_failures: u64,
}

/// A number that only grows.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How long something took: the last time, the longest time, and the sum, in microseconds.
#[derive(Default)]
pub(super) struct Timer {
    last: AtomicU64,
    longest: AtomicU64,
    total: AtomicU64,
}

impl Timer {
    pub fn record(&self, duration: Duration) {
        let us = duration.as_micros() as u64;
        self.last.store(us, Relaxed);
        self.longest.fetch_max(us, Relaxed);
        self.total.fetch_add(us, Relaxed);
    }

    pub fn read(&self) -> Times {
        Times {
            last_us: self.last.load(Relaxed),
            longest_us: self.longest.load(Relaxed),
            total_us: self.total.load(Relaxed),
        }
    }
}

/// What the threads count; [`StoreStats`] shows it.
#[derive(Default)]
pub(super) struct Counters {
    pub commits: Counter,
    pub commit_failures: Counter,
    pub commit_time: Timer,
    pub rounds: Counter,
    pub round_failures: Counter,
    pub round_time: Timer,
    pub applied_changes: Counter,
    pub applied_keys: Counter,
    pub swept_rows: Counter,
    pub loaded_keys: Counter,
    pub read_failures: Counter,
}
