//! Durable state: everything that outlives the process, in two redb files.
//!
//! `log.redb` is an append-only log of the journal, `data.redb` holds the rows that the log is merged into.
//! The store knows records, rows, storages and positions; it must not know commands, replies or triggers, and
//! nothing outside of it knows redb. `docs/storage-format.md` describes the files.
//!
//! The engine never waits for the disk: it hands over groups of records and asks questions, and three threads
//! answer through one callback.
//!
//! ```text
//! engine ── append(group) ──► log thread ──► log.redb ──► apply thread ──► data.redb
//!    ▲ ▲                          │                           │                │
//!    │ └── Committed ─────────────┘                           │                │
//!    ├──── Applied ───────────────────────────────────────────┘                │
//!    └──── Loaded, Scanned, Due ◄── reader thread ◄────────────────────────────┘
//! ```

mod apply;
mod databases;
mod directory;
mod error;
mod event;
mod file;
mod filter;
pub mod limits;
mod log;
mod overlay;
mod position;
mod reader;
pub mod record;
mod recovery;
mod round;
mod row;
mod shared;
mod stats;
mod sweep;
mod write;

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

pub use databases::{Databases, StorageId};
pub use error::StoreError;
pub use event::StoreEvent;
pub use filter::Filter;
pub use log::Groups;
pub use position::{Position, SLOTS, Seed, slot};
pub use reader::{DueKey, DuePage, ExpiryCursor, KeyAt, ScanPage, ScannedKey, StoredKey, StoredValue};
pub use record::SystemTable;
pub use recovery::{Recovery, SystemRow};
pub use stats::{StoreStats, Times};

use directory::Directory;
use file::{DatabaseFile, Opener, open_database};
use limits::LOG_CACHE_BYTES;
use log::LogMessage;
use reader::{ReadMessage, read};
use recovery::recover;
use shared::{Progress, Shared};
use stats::Counters;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data directory; made if it does not exist.
    pub directory: PathBuf,
    /// The log is meant to stay below this size, in bytes. The store applies it when it is half as long; the engine
    /// must make writers wait when it is longer ([`Store::log_bytes`]).
    pub log_max_bytes: u64,
    /// How much memory redb may use to cache pages of the rows, in bytes.
    pub cache_bytes: usize,
}

/// An open data directory. Dropping it closes it; [`Store::close`] also returns whether that worked.
pub struct Store {
    shared: Arc<Shared>,
    log: Sender<LogMessage>,
    reader: Sender<ReadMessage>,
    log_thread: Option<JoinHandle<Result<(), StoreError>>>,
    threads: Vec<JoinHandle<()>>,
    /// Locked for as long as the store is open; dropped last.
    _directory: Directory,
}

impl Store {
    /// Opens or creates a directory and starts the threads. The time depends on the length of the log, not on the
    /// number of keys.
    pub fn open(
        options: &StoreOptions,
        on_event: Box<dyn Fn(StoreEvent) + Send + Sync>,
    ) -> Result<(Self, Recovery), StoreError> {
        Self::open_with(options, on_event, Box::new(open_database), Box::new(open_database))
    }

    /// [`Store::open`] with other ways to open the two files.
    fn open_with(
        options: &StoreOptions,
        on_event: Box<dyn Fn(StoreEvent) + Send + Sync>,
        open_log: Opener,
        open_data: Opener,
    ) -> Result<(Self, Recovery), StoreError> {
        let directory = Directory::open(&options.directory)?;
        let (log, data, recovery, log_bytes) =
            open_files(&directory, options.cache_bytes, open_log, open_data)?;
        let shared = Arc::new(Shared {
            log,
            data,
            seed: recovery.seed,
            filter: Arc::new(Filter::with_capacity(recovery.key_counts.iter().sum())),
            on_event,
            progress: Progress::new(
                recovery.last_sequence,
                recovery.applied,
                log_bytes,
                options.log_max_bytes,
            ),
            counters: Counters::default(),
            closing: AtomicBool::new(false),
        });
        Ok((Self::start(shared, directory)?, recovery))
    }

    fn start(shared: Arc<Shared>, directory: Directory) -> Result<Self, StoreError> {
        let (log, log_messages) = mpsc::channel();
        let (reader, reader_messages) = mpsc::channel();
        let log_sender = log.clone();
        let log_thread = spawn(&shared, "kvasm-log", move |shared| log::run(shared, &log_messages))?;
        let mut store = Self {
            shared,
            log,
            reader,
            log_thread: Some(log_thread),
            threads: vec![],
            _directory: directory,
        };
        let threads = [
            spawn(&store.shared, "kvasm-apply", move |shared| apply::run(shared, &log_sender)),
            spawn(&store.shared, "kvasm-reader", move |shared| reader::run(shared, &reader_messages)),
            spawn(&store.shared, "kvasm-filter", reader::fill_filter),
        ];
        for thread in threads {
            store.threads.push(thread?);
        }
        Ok(store)
    }

    /// Requests that a group be made durable; [`StoreEvent::Committed`] reports when it is. Groups come from
    /// [`record::Encoder::finish`], and their sequences have no gaps.
    pub fn append(&self, group: Vec<u8>, sequence: u64) {
        // The thread ends only with the store or by a failure that it has reported.
        self.shared.progress.appended(group.len() as u64);
        let _ = self.log.send(LogMessage::Append { sequence, group });
    }

    /// Says that the groups of the [`Recovery`] were replayed, so that the rows may change.
    pub fn start_applying(&self) {
        self.shared.progress.start();
    }

    /// Requests that the log be applied without waiting for it to grow or for silence.
    pub fn apply_now(&self) {
        self.shared.progress.apply_now();
    }

    /// Changes [`StoreOptions::log_max_bytes`].
    pub fn set_log_max_bytes(&self, log_max_bytes: u64) {
        self.shared.progress.set_log_max_bytes(log_max_bytes);
    }

    /// Sets whether the engine is busy; while it is, the log is not applied until it is long.
    pub fn set_busy(&self, busy: bool) {
        self.shared.progress.set_busy(busy);
    }

    /// Asks for the values of keys; [`StoreEvent::Loaded`] answers.
    pub fn load(&self, token: u64, keys: Vec<KeyAt>) {
        let _ = self.reader.send(ReadMessage::Load { token, keys });
    }

    /// Asks for the keys of a storage in order of position; [`StoreEvent::Scanned`] answers. All keys of one
    /// position are on the same page. The limit may be [`usize::MAX`], and is at least 1.
    pub fn scan_page(&self, token: u64, storage: StorageId, from: Position, limit: usize) {
        let limit = limit.max(1);
        let _ = self.reader.send(ReadMessage::ScanPage { token, storage, from, limit });
    }

    /// Asks for the keys that expire at or before `now_ms` (Unix time in milliseconds), from the start or
    /// from where an earlier answer left off; [`StoreEvent::Due`] answers.
    pub fn due_expiries(&self, token: u64, now_ms: u64, after: Option<ExpiryCursor>, limit: usize) {
        let limit = limit.max(1);
        let _ = self.reader.send(ReadMessage::DueExpiries { token, now_ms, after, limit });
    }

    /// Reads a value synchronously. Only for recovery, when nobody waits for the engine.
    pub fn get_blocking(&self, at: KeyAt) -> Result<Option<StoredKey>, StoreError> {
        let found = read(&self.shared, |view| view.load(self.shared.seed, &[at]))?;
        Ok(found.into_iter().next().flatten())
    }

    /// The size of what was appended, committed or not, and is not yet applied, in bytes.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.shared.progress.log_bytes()
    }

    /// The sequence up to which the rows contain everything.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.shared.progress.applied_sequence()
    }

    /// How many commits the log has seen, and how long the last one took, in microseconds.
    #[must_use]
    pub fn commits(&self) -> (u64, u64) {
        let counters = &self.shared.counters;
        (counters.commits.get(), counters.commit_time.read().last_us)
    }

    /// Statistics for `INFO`. Asks the system for the sizes of the files.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let Shared { log, data, progress, counters, .. } = &*self.shared;
        StoreStats {
            log_bytes: progress.log_bytes(),
            log_file_bytes: log.bytes(),
            data_file_bytes: data.bytes(),
            commits: counters.commits.get(),
            commit_failures: counters.commit_failures.get(),
            commit_times: counters.commit_time.read(),
            rounds: counters.rounds.get(),
            round_failures: counters.round_failures.get(),
            round_times: counters.round_time.read(),
            applied_changes: counters.applied_changes.get(),
            applied_keys: counters.applied_keys.get(),
            swept_rows: counters.swept_rows.get(),
            loaded_keys: counters.loaded_keys.get(),
            read_failures: counters.read_failures.get(),
        }
    }

    /// Makes everything appended durable, ends the threads and closes the files. Does not wait for the log to be
    /// applied.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<(), StoreError> {
        let Some(log_thread) = self.log_thread.take() else { return Ok(()) };
        self.shared.closing.store(true, Relaxed);
        self.shared.progress.close();
        let _ = self.reader.send(ReadMessage::Close);
        for thread in self.threads.drain(..) {
            // A thread that failed has reported it as an event.
            let _ = thread.join();
        }
        let _ = self.log.send(LogMessage::Close);
        let durable = log_thread.join().unwrap_or_else(|_| Err(log::thread_died(self.shared.log.path())));
        let close = |file: &DatabaseFile| file.close().map_err(|error| StoreError::redb(file.path(), error));
        let closed = [close(&self.shared.log), close(&self.shared.data)];
        closed.into_iter().fold(durable, Result::and)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            tracing::error!(%error, "the store was not closed as it should be");
        }
    }
}

/// Opens both files and reads what the engine has to know, and the size of the log in bytes. If they turn out to be
/// damaged, they are left as they were found.
fn open_files(
    directory: &Directory,
    cache_bytes: usize,
    open_log: Opener,
    open_data: Opener,
) -> Result<(DatabaseFile, DatabaseFile, Recovery, u64), StoreError> {
    // The log first: if it is damaged, data.redb was not even marked as open.
    let log = DatabaseFile::open(directory.log.clone(), LOG_CACHE_BYTES, open_log)
        .map_err(|error| StoreError::redb(&directory.log, error))?;
    let data = DatabaseFile::open(directory.data.clone(), cache_bytes, open_data)
        .map_err(|error| StoreError::redb(&directory.data, error))?;
    let (recovery, log_bytes) = match recover(&log, &data) {
        Ok(recovered) => recovered,
        Err(error) => {
            log.abandon();
            data.abandon();
            return Err(error);
        }
    };
    directory::upgrade(&data).map_err(|error| StoreError::redb(&directory.data, error))?;
    directory::mark_complete(&log).map_err(|error| StoreError::redb(&directory.log, error))?;
    Ok((log, data, recovery, log_bytes))
}

/// Starts a thread whose panic becomes an event.
fn spawn<T: Send + 'static>(
    shared: &Arc<Shared>,
    name: &'static str,
    run: impl FnOnce(&Shared) -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    let shared = shared.clone();
    let file = shared.log.path().to_owned();
    let body = move || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&shared))).unwrap_or_else(|panic| {
            (shared.on_event)(StoreEvent::Failed { reason: format!("the thread {name} has panicked") });
            std::panic::resume_unwind(panic)
        })
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| StoreError::io(&file, error))
}
