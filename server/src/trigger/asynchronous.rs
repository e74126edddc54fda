//! How the events of an asynchronous trigger are delivered: its options, and the pauses between tries.

use serde::{Deserialize, Serialize};

/// The greatest `CONCURRENCY`: deliveries of one trigger that run at the same time.
pub const MAX_CONCURRENCY: u32 = 1000;

/// The greatest number of tries of a delivery.
pub const MAX_TRIES: u32 = 1_000_000;

/// The longest pause before a delivery is tried again, in milliseconds. The pauses double up to it, and a delivery that
/// finds no room among the dead letters is tried again after this time.
pub const MAX_BACKOFF_MS: u64 = 300_000;

/// What happens to a write whose event finds the queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenFull {
    /// It waits until there is room.
    #[default]
    Delay,
    /// It is refused with an error.
    Refuse,
}

impl WhenFull {
    /// As in `TRIGGER CREATE`, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Refuse => "refuse",
        }
    }
}

/// The options of an asynchronous trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asynchronous {
    /// Deliveries that may run at the same time; those of one key never do.
    pub concurrency: u32,
    /// How often a delivery is tried before it goes to the dead letters.
    pub tries: u32,
    /// The pause before the second try, in milliseconds; it doubles with each further one.
    pub backoff_ms: u64,
    /// Fuel of each try; `None` means as much as any call has.
    pub fuel: Option<u64>,
    /// Whether only the latest state of a key matters: a new event takes the place of one that waits.
    pub coalesce: bool,
    /// What happens to a write whose event finds the queue full.
    pub when_full: WhenFull,
}

impl Default for Asynchronous {
    fn default() -> Self {
        Self {
            concurrency: 1,
            tries: 5,
            backoff_ms: 1000,
            fuel: None,
            coalesce: false,
            when_full: WhenFull::Delay,
        }
    }
}

impl Asynchronous {
    /// How long to wait after `failed_tries` tries, in milliseconds. The pause doubles each time, and half of it is
    /// random, so that deliveries that failed together are not retried together.
    ///
    /// `random(n)` returns a number from 0 to `n`.
    #[must_use]
    pub fn pause_ms(&self, failed_tries: u32, random: impl FnOnce(u64) -> u64) -> u64 {
        let doublings = failed_tries.saturating_sub(1).min(u64::BITS - 1);
        let factor = 1_u64 << doublings;
        let longest = self.backoff_ms.saturating_mul(factor).min(MAX_BACKOFF_MS);
        let least = longest / 2;
        least + random(longest - least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(backoff_ms: u64, failed_tries: u32, expected: std::ops::RangeInclusive<u64>) {
        let options = Asynchronous { backoff_ms, ..Asynchronous::default() };
        let shortest = options.pause_ms(failed_tries, |_| 0);
        let longest = options.pause_ms(failed_tries, |limit| limit);
        assert_eq!(shortest..=longest, expected, "{backoff_ms} ms, {failed_tries} tries");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_chance() {
        check(1000, 1, 500..=1000);
        check(1000, 2, 1000..=2000);
        check(1000, 3, 2000..=4000);
        check(1000, 9, 128_000..=256_000);
        check(1000, 10, 150_000..=MAX_BACKOFF_MS);
        check(1000, u32::MAX, 150_000..=MAX_BACKOFF_MS);
        check(MAX_BACKOFF_MS, 1, 150_000..=MAX_BACKOFF_MS);
        check(1, 1, 0..=1);
        check(0, 7, 0..=0);
    }
}
