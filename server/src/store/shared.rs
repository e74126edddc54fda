//! What the threads of the store share: the two files, the progress of the log, the counters.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::StoreEvent;
use super::file::DatabaseFile;
use super::filter::Filter;
use super::limits::{IDLE_MS, MAX_ROUND_FACTOR, PATIENCE_MS, ROUND_BYTES};
use super::position::Seed;
use super::stats::Counters;

/// All that the threads share.
pub(super) struct Shared {
    pub log: DatabaseFile,
    pub data: DatabaseFile,
    pub seed: Seed,
    pub filter: std::sync::Arc<Filter>,
    pub on_event: Box<dyn Fn(StoreEvent) + Send + Sync>,
    pub progress: Progress,
    pub counters: Counters,
    /// Tells the thread that fills the filter to stop.
    pub closing: AtomicBool,
}

/// How far the log is written and applied, and what wakes the apply thread.
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// For how long the apply thread waits for silence or a less busy engine before a round.
    patience: Duration,
}

struct State {
    committed: u64,
    applied: u64,
    /// Bytes of the groups that were appended, committed or not, and are not applied.
    log_bytes: u64,
    /// The log is applied when it is longer than this. In bytes.
    apply_above_bytes: u64,
    last_append: Instant,
    apply_now: bool,
    /// The engine needs the processor.
    busy: bool,
    /// When the last round ended or, if there was nothing to apply, when there was again.
    waits_since: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The log is being replayed, so the rows must not change.
    Recovering,
    Running,
    Closing,
}

/// What the apply thread is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Apply the log up to this sequence.
    Apply(u64),
    /// Remove some garbage.
    Sweep,
    /// End.
    Close,
}

impl Progress {
    pub fn new(committed: u64, applied: u64, log_bytes: u64, log_max_bytes: u64) -> Self {
        let state = State {
            committed,
            applied,
            log_bytes,
            apply_above_bytes: log_max_bytes / 2,
            last_append: Instant::now(),
            apply_now: false,
            busy: false,
            waits_since: Instant::now(),
            phase: Phase::Recovering,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            patience: Duration::from_millis(PATIENCE_MS),
        }
    }

    /// For how much longer the apply thread may wait.
    fn patience_left(&self, state: &State) -> Duration {
        self.patience.saturating_sub(state.waits_since.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this many bytes are on their way to the log.
    pub fn appended(&self, bytes: u64) {
        self.state().log_bytes += bytes;
    }

    /// Notes that the log was committed up to a sequence.
    pub fn committed(&self, sequence: u64) {
        let mut state = self.state();
        let was_empty = state.committed == state.applied;
        state.committed = sequence;
        state.last_append = Instant::now();
        if was_empty {
            state.waits_since = state.last_append;
        }
        // No need to wake a thread that waits for silence: it checks the time of the last append itself.
        if was_empty || state.log_bytes > state.apply_above_bytes {
            self.changed.notify_all();
        }
    }

    /// Notes that the log was applied up to a sequence, and how much shorter it is.
    pub fn applied(&self, sequence: u64, bytes: u64) {
        let mut state = self.state();
        state.applied = sequence;
        state.waits_since = Instant::now();
        state.log_bytes = state.log_bytes.saturating_sub(bytes);
    }

    /// Lets the apply thread begin.
    pub fn start(&self) {
        let mut state = self.state();
        if state.phase == Phase::Recovering {
            state.phase = Phase::Running;
        }
        self.changed.notify_all();
    }

    /// Requests that the log be applied without waiting for it to grow or for silence.
    pub fn apply_now(&self) {
        self.state().apply_now = true;
        self.changed.notify_all();
    }

    /// The factor by which the next round is larger than the smallest one: all of the log, if that is not too much.
    pub fn round_factor(&self) -> usize {
        let state = self.state();
        let bytes = state.log_bytes.min(state.apply_above_bytes) as usize;
        bytes.div_ceil(ROUND_BYTES).clamp(1, MAX_ROUND_FACTOR)
    }

    /// Changes the size below which the log is meant to stay. In bytes.
    pub fn set_log_max_bytes(&self, log_max_bytes: u64) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.apply_above_bytes, log_max_bytes / 2);
        // The log may be long now, though nothing was appended.
        if state.apply_above_bytes < before {
            self.changed.notify_all();
        }
    }

    /// Notes whether the engine needs the processor.
    pub fn set_busy(&self, busy: bool) {
        self.state().busy = busy;
        self.changed.notify_all();
    }

    /// Waits while the engine needs the processor, but not when the log is long, and not beyond the longest wait.
    pub fn yield_to_engine(&self) {
        let mut state = self.state();
        while state.busy && state.phase != Phase::Closing && state.log_bytes <= state.apply_above_bytes {
            let patience = self.patience_left(&state);
            if patience.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the apply thread after the round that it is in.
    pub fn close(&self) {
        self.state().phase = Phase::Closing;
        self.changed.notify_all();
    }

    pub fn is_closing(&self) -> bool {
        self.state().phase == Phase::Closing
    }

    /// The sequence up to which the log was applied.
    pub fn applied_sequence(&self) -> u64 {
        self.state().applied
    }

    /// The size of what was not yet applied, in bytes.
    pub fn log_bytes(&self) -> u64 {
        self.state().log_bytes
    }

    /// Waits until there is something to do.
    pub fn wait_for_work(&self, garbage: bool) -> Work {
        const IDLE: Duration = Duration::from_millis(IDLE_MS);
        let mut state = self.state();
        loop {
            let pending = state.phase == Phase::Running && state.committed > state.applied;
            let idle = state.last_append.elapsed();
            if state.phase == Phase::Closing {
                return Work::Close;
            }
            let patience = self.patience_left(&state);
            // Under steady load there is never silence, so at some point the round must begin.
            let at_leisure = patience.is_zero() || idle >= IDLE && !state.busy;
            if pending && (state.apply_now || at_leisure || state.log_bytes > state.apply_above_bytes) {
                state.apply_now = false;
                return Work::Apply(state.committed);
            }
            state.apply_now &= pending || state.phase == Phase::Recovering;
            let sweep = state.phase == Phase::Running && garbage;
            if sweep && !pending && at_leisure {
                return Work::Sweep;
            }
            state = if pending || sweep {
                let silence = if state.busy { patience } else { IDLE.saturating_sub(idle).min(patience) };
                let pause = silence.max(Duration::from_millis(1));
                self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Waits for the given time or until the store closes. Returns whether it closes.
    pub fn pause(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        let mut state = self.state();
        while state.phase != Phase::Closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.phase == Phase::Closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_applied_when_it_is_long_or_silent_or_on_demand() {
        let progress = Progress::new(0, 0, 0, 200);
        progress.start();
        progress.appended(101);
        progress.committed(1);
        assert_eq!(progress.wait_for_work(false), Work::Apply(1));
        progress.applied(1, 101);
        progress.appended(100);
        progress.committed(2);
        progress.apply_now();
        assert_eq!(progress.wait_for_work(false), Work::Apply(2));
        progress.applied(2, 100);
        let start = Instant::now();
        progress.appended(1);
        progress.committed(3);
        assert_eq!(progress.wait_for_work(true), Work::Apply(3));
        assert!(start.elapsed() >= Duration::from_millis(IDLE_MS));
        progress.applied(3, 1);
        assert_eq!(progress.wait_for_work(true), Work::Sweep);
        assert_eq!((progress.applied_sequence(), progress.log_bytes()), (3, 0));
        progress.close();
        assert_eq!(progress.wait_for_work(true), Work::Close);
        assert!(progress.pause(Duration::from_secs(3600)));
    }

    #[test]
    fn rounds_are_as_large_as_the_log_within_bounds() {
        let check = |apply_above_bytes: usize, log_bytes: usize, expected| {
            let progress = Progress::new(1, 0, log_bytes as u64, 2 * apply_above_bytes as u64);
            assert_eq!(progress.round_factor(), expected, "{log_bytes} of {apply_above_bytes}");
        };
        check(100 * ROUND_BYTES, ROUND_BYTES / 2, 1);
        check(100 * ROUND_BYTES, 3 * ROUND_BYTES, 3);
        check(100 * ROUND_BYTES, 101 * ROUND_BYTES, MAX_ROUND_FACTOR);
        check(2 * ROUND_BYTES, 3 * ROUND_BYTES, 2);
        check(1, ROUND_BYTES, 1);
    }

    #[test]
    fn a_busy_engine_goes_first_until_the_log_is_long_or_the_store_closes() {
        let progress = std::sync::Arc::new(Progress::new(1, 0, 100, 200));
        progress.start();
        progress.set_busy(true);
        let waiting = |wait: fn(&Progress)| {
            let thread = std::thread::spawn({
                let progress = progress.clone();
                move || wait(&progress)
            });
            std::thread::sleep(Duration::from_millis(2 * IDLE_MS));
            assert!(!thread.is_finished());
            thread
        };
        let thread = waiting(|progress| assert_eq!(progress.wait_for_work(true), Work::Apply(1)));
        progress.set_busy(false);
        thread.join().unwrap();
        progress.set_busy(true);
        let thread = waiting(Progress::yield_to_engine);
        progress.appended(1);
        progress.committed(2);
        thread.join().unwrap();
        assert_eq!(progress.wait_for_work(false), Work::Apply(2));
        progress.applied(2, 101);
        let thread = waiting(Progress::yield_to_engine);
        progress.close();
        thread.join().unwrap();
    }

    #[test]
    fn a_lower_limit_makes_the_log_long_at_once() {
        let check = |wait: fn(&Progress)| {
            let progress = std::sync::Arc::new(Progress::new(1, 0, 100, 200));
            progress.start();
            progress.set_busy(true);
            let thread = std::thread::spawn({
                let progress = progress.clone();
                move || wait(&progress)
            });
            progress.set_log_max_bytes(1000);
            std::thread::sleep(Duration::from_millis(2 * IDLE_MS));
            assert!(!thread.is_finished());
            progress.set_log_max_bytes(199);
            thread.join().unwrap();
        };
        check(|progress| assert_eq!(progress.wait_for_work(true), Work::Apply(1)));
        check(Progress::yield_to_engine);
    }

    #[test]
    fn steady_load_does_not_keep_the_log_for_ever() {
        let patience = Duration::from_millis(2 * IDLE_MS);
        let progress = Progress { patience, ..Progress::new(1, 0, 100, 200) };
        progress.start();
        progress.set_busy(true);
        let start = Instant::now();
        assert_eq!(progress.wait_for_work(false), Work::Apply(1));
        progress.yield_to_engine();
        assert!(start.elapsed() >= patience / 2);
    }

    #[test]
    fn nothing_is_applied_before_recovery_has_ended() {
        let progress = std::sync::Arc::new(Progress::new(5, 3, 1000, 200));
        progress.apply_now();
        let waiting = std::thread::spawn({
            let progress = progress.clone();
            move || progress.wait_for_work(true)
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        progress.start();
        assert_eq!(waiting.join().unwrap(), Work::Apply(5));
    }
}
