//! The log thread, the only writer of `log.redb`: one row (or several, for a long one) for each group.
//!
//! A commit here makes a transaction durable. It is redb's plain commit, with one `fdatasync`. After a crash, redb
//! repairs the file by reading all of it; that is acceptable, because recovery does so anyway and the file is short.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use redb::ReadOnlyTable;

use super::StoreEvent;
use super::error::StoreError;
use super::file::{DatabaseFile, damaged, no_panic};
use super::limits::{
    CLOSE_RETRIES, LOG_COMMIT_BYTES, LOG_PART_BYTES, RETRY_MAX_MS, RETRY_MIN_MS, TRUNCATE_ROWS,
};
use super::row;
use super::shared::Shared;

/// What the log thread is asked to do, in order.
pub(super) enum LogMessage {
    /// Make a group durable.
    Append { sequence: u64, group: Vec<u8> },
    /// Forget the groups up to this sequence.
    Truncate { applied: u64 },
    /// Finish what came before, then end.
    Close,
}

/// What the log thread has yet to do.
#[derive(Default)]
struct Queue {
    groups: Vec<(u64, Vec<u8>)>,
    bytes: usize,
    truncate: Option<u64>,
    close: bool,
}

impl Queue {
    fn push(&mut self, message: LogMessage) {
        match message {
            LogMessage::Append { sequence, group } => {
                self.bytes += group.len();
                self.groups.push((sequence, group));
            }
            LogMessage::Truncate { applied } => self.truncate = Some(applied),
            LogMessage::Close => self.close = true,
        }
    }

    /// Takes what has arrived, up to the size of one commit.
    fn fill(&mut self, messages: &Receiver<LogMessage>) {
        while !self.close && self.bytes < LOG_COMMIT_BYTES {
            match messages.try_recv() {
                Ok(message) => self.push(message),
                Err(_) => return,
            }
        }
    }
}

/// Runs until it is told to close or the senders are gone. An error means that groups were not kept.
pub(super) fn run(shared: &Shared, messages: &Receiver<LogMessage>) -> Result<(), StoreError> {
    let mut queue = Queue::default();
    while !queue.close {
        // A truncation that one commit did not finish continues when there is nothing else to do.
        if queue.truncate.is_none() {
            match messages.recv() {
                Ok(message) => queue.push(message),
                Err(_) => return Ok(()),
            }
        }
        queue.fill(messages);
        commit_until_it_works(shared, messages, &mut queue)?;
    }
    while queue.truncate.is_some() && queue.groups.is_empty() {
        if commit(shared, &mut queue).is_err() {
            break;
        }
    }
    Ok(())
}

/// Commits the queue, retrying if need be; meanwhile the queue grows by what the engine sends.
fn commit_until_it_works(
    shared: &Shared,
    messages: &Receiver<LogMessage>,
    queue: &mut Queue,
) -> Result<(), StoreError> {
    let (mut pause_ms, mut retries_left) = (RETRY_MIN_MS, CLOSE_RETRIES);
    let mut reported = false;
    loop {
        let error = match commit(shared, queue) {
            Ok(()) => return Ok(()),
            Err(error) => StoreError::redb(shared.log.path(), error),
        };
        shared.log.discard();
        shared.counters.commit_failures.add(1);
        // A truncation alone loses nothing by failing.
        if let (Some((sequence, _)), false) = (queue.groups.first(), reported) {
            (shared.on_event)(StoreEvent::CommitFailed { sequence: *sequence, error: error.to_string() });
            reported = true;
        }
        if queue.close && retries_left == 0 {
            return Err(error);
        }
        retries_left -= u32::from(queue.close);
        wait(messages, queue, Instant::now() + Duration::from_millis(pause_ms));
        pause_ms = (pause_ms * 2).min(RETRY_MAX_MS);
    }
}

/// Waits until the given time or until the store closes; queues what arrives meanwhile.
fn wait(messages: &Receiver<LogMessage>, queue: &mut Queue, until: Instant) {
    while !queue.close {
        match messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => queue.push(message),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => queue.close = true,
        }
    }
}

/// Writes all groups of the queue and removes old ones in one durable commit, then reports.
fn commit(shared: &Shared, queue: &mut Queue) -> Result<(), redb::Error> {
    let start = Instant::now();
    let transaction = shared.log.begin_write()?;
    let truncated = {
        let mut table = transaction.open_table(row::LOG)?;
        for (sequence, group) in &queue.groups {
            for (part, bytes) in group.chunks(LOG_PART_BYTES).enumerate() {
                table.insert((*sequence, part as u32), bytes)?;
            }
        }
        match queue.truncate {
            Some(applied) => truncate(&mut table, applied)?,
            None => true,
        }
    };
    transaction.commit()?;
    if truncated {
        queue.truncate = None;
    }
    queue.bytes = 0;
    let Some(&(last, _)) = queue.groups.last() else { return Ok(()) };
    shared.counters.commits.add(1);
    shared.counters.commit_time.record(start.elapsed());
    let mut buffers: Vec<_> = queue.groups.drain(..).map(|(_, group)| group).collect();
    buffers.iter_mut().for_each(Vec::clear);
    (shared.on_event)(StoreEvent::Committed { sequence: last, buffers });
    // Comes after the event, so that nothing is reported as applied before it was reported as committed.
    shared.progress.committed(last);
    Ok(())
}

/// Removes some of the groups up to a sequence; returns whether none is left.
fn truncate(table: &mut redb::Table<(u64, u32), &[u8]>, applied: u64) -> Result<bool, redb::Error> {
    let mut removed = 0;
    for row in table.extract_from_if(..=(applied, u32::MAX), |_, _| true)?.take(TRUNCATE_ROWS) {
        row?;
        removed += 1;
    }
    Ok(removed < TRUNCATE_ROWS)
}

/// The groups of the log after a sequence, in order, as of the moment when this was created. It holds a snapshot until
/// it has yielded the last group or is dropped; until then the file cannot reuse old pages.
pub struct Groups {
    path: PathBuf,
    /// `None` when there is nothing more to read.
    table: Option<ReadOnlyTable<(u64, u32), &'static [u8]>>,
    next: u64,
}

impl Groups {
    pub(super) fn after(log: &DatabaseFile, applied: u64) -> Result<Self, redb::Error> {
        let table = log.begin_read()?.open_table(row::LOG)?;
        Ok(Self { path: log.path().to_owned(), table: Some(table), next: applied + 1 })
    }

    /// The sequence of the last group, and the size of all groups in bytes.
    pub(super) fn extent(&self) -> Result<(u64, u64), redb::Error> {
        let (mut last, mut bytes) = (self.next - 1, 0);
        let Some(table) = &self.table else { return Ok((last, bytes)) };
        for row in table.range((self.next, 0)..)? {
            let (key, value) = row?;
            last = key.value().0;
            bytes += value.value().len() as u64;
        }
        Ok((last, bytes))
    }

    /// The next group and its sequence. Sequences leave no gap.
    pub(super) fn read_next(&mut self) -> Result<Option<(u64, Vec<u8>)>, redb::Error> {
        let Some(table) = &self.table else { return Ok(None) };
        let mut group = Vec::new();
        let sequence = self.next;
        let mut parts = 0;
        for row in table.range((sequence, 0)..)? {
            let (key, value) = row?;
            match key.value() {
                (found, part) if found == sequence && part == parts => group.extend_from_slice(value.value()),
                (found, 0) if found == sequence + 1 && parts > 0 => break,
                found => {
                    return Err(damaged(format!("group {found:?} follows group {:?}", (sequence, parts))));
                }
            }
            parts += 1;
        }
        if parts == 0 {
            self.table = None;
            return Ok(None);
        }
        self.next += 1;
        Ok(Some((sequence, group)))
    }
}

impl Iterator for Groups {
    /// A sequence and its group.
    type Item = Result<(u64, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        no_panic(|| self.read_next()).map_err(|error| StoreError::redb(&self.path, error)).transpose()
    }
}

/// The error with which a closing store reports that its log thread has died.
pub(super) fn thread_died(path: &Path) -> StoreError {
    StoreError::io(path, io::Error::other("the thread that writes it has failed"))
}
