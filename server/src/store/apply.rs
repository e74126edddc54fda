//! The apply thread, the only writer of `data.redb`: merges the log into rows, then has the log truncated.
//!
//! It is lazy on purpose. Each row costs a few microseconds of processor time that the engine could use, and in a
//! longer log more changes cancel out. So it waits while the engine is busy, even in the middle of a round, but not for
//! ever, and not when the log is long. When there is nothing to apply, it removes garbage.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::StoreEvent;
use super::directory::get_meta;
use super::error::StoreError;
use super::file::damaged;
use super::limits::{RETRY_MAX_MS, RETRY_MIN_MS, ROUND_BYTES, ROUND_CHANGES};
use super::log::{Groups, LogMessage};
use super::round::Round;
use super::row::{self, meta};
use super::shared::{Shared, Work};
use super::sweep::sweep;
use super::write::{read_databases, write_round};

/// Runs until the store closes.
pub(super) fn run(shared: &Shared, log: &Sender<LogMessage>) {
    lower_priority();
    // An earlier run may have left garbage.
    let mut garbage = true;
    let mut pause_ms = RETRY_MIN_MS;
    loop {
        let result = match shared.progress.wait_for_work(garbage) {
            Work::Close => return,
            Work::Apply(sequence) => apply_up_to(shared, log, sequence),
            Work::Sweep => sweep_once(shared),
        };
        match result {
            Ok(more_garbage) => (garbage, pause_ms) = (more_garbage, RETRY_MIN_MS),
            Err(error) => {
                shared.counters.round_failures.add(1);
                // Only the first of several failures in a row is reported: the others follow from it.
                if pause_ms == RETRY_MIN_MS {
                    (shared.on_event)(StoreEvent::ApplyFailed { error: error.to_string() });
                }
                shared.data.discard();
                shared.progress.apply_now();
                if shared.progress.pause(Duration::from_millis(pause_ms)) {
                    return;
                }
                pause_ms = (pause_ms * 2).min(RETRY_MAX_MS);
            }
        }
    }
}

/// Runs rounds until the log is applied up to a sequence. Returns whether there is garbage.
fn apply_up_to(shared: &Shared, log: &Sender<LogMessage>, sequence: u64) -> Result<bool, StoreError> {
    let mut garbage = false;
    while shared.progress.applied_sequence() < sequence && !shared.progress.is_closing() {
        let applied = round(shared)?;
        // The log thread ends only when the store closes. What it did not truncate is truncated after the next start.
        let _ = log.send(LogMessage::Truncate { applied });
        (shared.on_event)(StoreEvent::Applied { sequence: applied });
        garbage = sweep_once(shared)?;
    }
    Ok(garbage)
}

/// Applies one piece of the log. Returns the sequence up to which the log is now applied.
fn round(shared: &Shared) -> Result<u64, StoreError> {
    let start = Instant::now();
    let before = shared.progress.applied_sequence();
    let size = shared.progress.round_factor();
    let groups = read_groups(shared, before, size * ROUND_BYTES).map_err(|error| {
        shared.log.discard();
        StoreError::redb(shared.log.path(), error)
    })?;
    let count = write_groups(shared, before, &groups, size * ROUND_CHANGES)
        .map_err(|error| StoreError::redb(shared.data.path(), error))?;
    shared.counters.rounds.add(1);
    shared.counters.round_time.record(start.elapsed());
    let applied = before + count as u64;
    shared.progress.applied(applied, groups[..count].iter().map(|group| group.len() as u64).sum());
    Ok(applied)
}

/// Writes the groups after a sequence to the rows, as many as fit into one round. Returns how many it wrote.
fn write_groups(
    shared: &Shared,
    before: u64,
    groups: &[Vec<u8>],
    changes: usize,
) -> Result<usize, redb::Error> {
    let mut transaction = shared.data.begin_write()?;
    transaction.set_quick_repair(true);
    let (databases, applied) = {
        let meta_table = transaction.open_table(row::META)?;
        let databases = read_databases(&transaction.open_table(row::DATABASES)?, &meta_table)?.0;
        (databases, get_meta(&meta_table, meta::APPLIED)? as u64)
    };
    // A commit that reported failure may have happened nevertheless: the file decides.
    let done = applied.saturating_sub(before) as usize;
    if done > 0 {
        transaction.abort()?;
        return Ok(done.min(groups.len()));
    }
    let round = Round::collect(groups, shared.seed, databases, changes)
        .map_err(|damage| damaged(format!("the log has a {damage}")))?;
    let sequence = before + round.groups as u64;
    let keys =
        write_round(&transaction, &round, sequence, &shared.filter, || shared.progress.yield_to_engine())?;
    transaction.commit()?;
    shared.counters.applied_changes.add(round.entries.len() as u64);
    shared.counters.applied_keys.add(keys);
    Ok(round.groups)
}

/// Reads groups from the log until they have this many bytes.
fn read_groups(shared: &Shared, applied: u64, enough: usize) -> Result<Vec<Vec<u8>>, redb::Error> {
    let mut log = Groups::after(&shared.log, applied)?;
    let (mut groups, mut bytes) = (Vec::new(), 0);
    while bytes < enough {
        let Some((_, group)) = log.read_next()? else { break };
        bytes += group.len();
        groups.push(group);
    }
    Ok(groups)
}

/// Removes some garbage. Returns whether there is more.
fn sweep_once(shared: &Shared) -> Result<bool, StoreError> {
    let step = || -> Result<bool, redb::Error> {
        let mut transaction = shared.data.begin_write()?;
        transaction.set_quick_repair(true);
        let swept = sweep(&transaction)?;
        if swept.rows == 0 {
            transaction.abort()?;
        } else {
            transaction.commit()?;
        }
        shared.counters.swept_rows.add(swept.rows as u64);
        Ok(swept.more)
    };
    step().map_err(|error| StoreError::redb(shared.data.path(), error))
}

/// Gives the engine priority on the processor. On Linux niceness belongs to the thread; elsewhere to the process.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(19) {
        tracing::debug!(%error, "the apply thread keeps its priority");
    }
}
