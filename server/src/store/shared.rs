//! What the threads of the store share: the two files, the progress of the log, the counters.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::StoreEvent;
use super::file::DatabaseFile;
use super::filter::Filter;
use super::limits::IDLE_MS;
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
    /// The log is applied when it is longer than this. In bytes.
    apply_above_bytes: u64,
}

struct State {
    committed: u64,
    applied: u64,
    /// Bytes of the groups that were appended, committed or not, and are not applied.
    log_bytes: u64,
    last_append: Instant,
    started: bool,
    apply_now: bool,
    /// The engine needs the processor.
    busy: bool,
    closing: bool,
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
    pub fn new(committed: u64, applied: u64, log_bytes: u64, apply_above_bytes: u64) -> Self {
        let state = State {
            committed,
            applied,
            log_bytes,
            last_append: Instant::now(),
            started: false,
            apply_now: false,
            busy: false,
            closing: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), apply_above_bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that so many bytes are on their way to the log.
    pub fn appended(&self, bytes: u64) {
        self.state().log_bytes += bytes;
    }

    /// Notes that the log was committed up to a sequence.
    pub fn committed(&self, sequence: u64) {
        let mut state = self.state();
        let was_empty = state.committed == state.applied;
        state.committed = sequence;
        state.last_append = Instant::now();
        // A thread that waits for silence looks at the time of the last append by itself.
        if was_empty || state.log_bytes > self.apply_above_bytes {
            self.changed.notify_all();
        }
    }

    /// Notes that the log was applied up to a sequence, and how much shorter it is.
    pub fn applied(&self, sequence: u64, bytes: u64) {
        let mut state = self.state();
        state.applied = sequence;
        state.log_bytes = state.log_bytes.saturating_sub(bytes);
    }

    /// Lets the apply thread begin.
    pub fn start(&self) {
        self.state().started = true;
        self.changed.notify_all();
    }

    /// Has the log applied without waiting for it to grow or for silence.
    pub fn apply_now(&self) {
        self.state().apply_now = true;
        self.changed.notify_all();
    }

    /// Whether the log is to be applied whatever else there is to do.
    pub fn is_log_long(&self) -> bool {
        self.state().log_bytes > self.apply_above_bytes
    }

    /// Notes whether the engine needs the processor.
    pub fn set_busy(&self, busy: bool) {
        self.state().busy = busy;
        self.changed.notify_all();
    }

    /// Waits for as long as the engine needs the processor and the log may grow.
    pub fn yield_to_engine(&self) {
        let mut state = self.state();
        while state.busy && !state.closing && state.log_bytes <= self.apply_above_bytes {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the apply thread after the round that it is in.
    pub fn close(&self) {
        self.state().closing = true;
        self.changed.notify_all();
    }

    pub fn is_closing(&self) -> bool {
        self.state().closing
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
            let pending = state.started && state.committed > state.applied;
            let idle = state.last_append.elapsed();
            if state.closing {
                return Work::Close;
            }
            let at_leisure = idle >= IDLE && !state.busy;
            if pending && (state.apply_now || at_leisure || state.log_bytes > self.apply_above_bytes) {
                state.apply_now = false;
                return Work::Apply(state.committed);
            }
            state.apply_now &= pending || !state.started;
            let sweep = state.started && garbage;
            if sweep && !pending && at_leisure {
                return Work::Sweep;
            }
            state = if (pending || sweep) && !state.busy {
                let pause = IDLE.saturating_sub(idle).max(Duration::from_millis(1));
                self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Waits for so long, or until the store closes. Returns whether it closes.
    pub fn pause(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        let mut state = self.state();
        while !state.closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_applied_when_it_is_long_or_silent_or_on_demand() {
        let progress = Progress::new(0, 0, 0, 100);
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
    fn a_busy_engine_goes_first_until_the_log_is_long_or_the_store_closes() {
        let progress = std::sync::Arc::new(Progress::new(1, 0, 100, 100));
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
    fn nothing_is_applied_before_recovery_has_ended() {
        let progress = std::sync::Arc::new(Progress::new(5, 3, 1000, 100));
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
