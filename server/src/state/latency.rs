//! What took long: the events of `LATENCY`, and how long the calls of a command took, as a histogram.

use std::collections::{BTreeMap, VecDeque};

/// Samples kept of an event.
const MAX_SAMPLES: usize = 160;

/// The longest that an event took in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencySample {
    /// The second, in unix time.
    pub time_s: u64,
    /// How long, in milliseconds.
    pub latency_ms: u64,
}

/// What is known of an event.
#[derive(Clone, Debug, Default)]
pub struct LatencySeries {
    samples: VecDeque<LatencySample>,
    /// The longest ever, in milliseconds.
    pub max_ms: u64,
}

impl LatencySeries {
    /// The samples, the oldest first.
    #[must_use]
    pub fn samples(&self) -> impl ExactSizeIterator<Item = LatencySample> {
        self.samples.iter().copied()
    }

    fn add(&mut self, sample: LatencySample) {
        self.max_ms = self.max_ms.max(sample.latency_ms);
        if let Some(last) = self.samples.back_mut()
            && last.time_s == sample.time_s
        {
            last.latency_ms = last.latency_ms.max(sample.latency_ms);
            return;
        }
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// The events that took at least `latency-monitor-threshold`, by name.
#[derive(Clone, Debug, Default)]
pub struct LatencyMonitor(BTreeMap<&'static str, LatencySeries>);

impl LatencyMonitor {
    /// Notes how long an event took, if that is as long as the threshold, in milliseconds; 0 notes nothing.
    pub fn add(&mut self, event: &'static str, time_s: u64, latency_ms: u64, threshold_ms: u64) {
        if threshold_ms > 0 && latency_ms >= threshold_ms {
            self.0.entry(event).or_default().add(LatencySample { time_s, latency_ms });
        }
    }

    /// What is known of an event, named in any case.
    #[must_use]
    pub fn get(&self, event: &[u8]) -> Option<(&'static str, &LatencySeries)> {
        self.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(event))
    }

    /// All events of which anything is known.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &LatencySeries)> {
        self.0.iter().map(|(name, series)| (*name, series))
    }

    /// Forgets an event; `false` when nothing was known of it.
    pub fn reset(&mut self, event: &[u8]) -> bool {
        let found = self.get(event).map(|(name, _)| name);
        found.is_some_and(|name| self.0.remove(name).is_some())
    }
}

/// How many calls took how long, in levels that double.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatencyHistogram([u64; Self::LEVELS]);

impl LatencyHistogram {
    /// The last level begins at half a second, and takes all that took longer.
    const LEVELS: usize = 21;
    /// Below this many nanoseconds is the first level. Redis' levels are powers of 2 in a histogram that keeps 7 bits of
    /// a number, so that they end 1/128 later.
    const FIRST_NS: u64 = 1024 + 1024 / 128;

    /// Counts a call.
    pub fn add(&mut self, duration_ns: u64) {
        let level = (u64::BITS - (duration_ns / Self::FIRST_NS).leading_zeros()) as usize;
        self.0[level.min(Self::LEVELS - 1)] += 1;
    }

    /// Levels that have calls: microseconds at their end, and how many calls took at most so long.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        self.0.iter().enumerate().filter(|(_, calls)| **calls > 0).map(move |(level, calls)| {
            sum += calls;
            (((Self::FIRST_NS << level) - 1) / 1000, sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_one_sample_and_old_ones_go() {
        let mut monitor = LatencyMonitor::default();
        monitor.add("command", 1, 9, 0);
        monitor.add("command", 1, 9, 10);
        assert_eq!(monitor.iter().count(), 0, "nothing was long enough");
        for (time_s, latency_ms) in [(1, 10), (1, 30), (1, 20), (2, 15)] {
            monitor.add("command", time_s, latency_ms, 10);
        }
        let (name, series) = monitor.get(b"Command").expect("it took long");
        let samples: Vec<_> = series.samples().map(|sample| (sample.time_s, sample.latency_ms)).collect();
        assert_eq!((name, samples, series.max_ms), ("command", vec![(1, 30), (2, 15)], 30));
        for time_s in 3..500 {
            monitor.add("command", time_s, 11, 10);
        }
        let (_, series) = monitor.get(b"command").expect("it took long");
        assert_eq!((series.samples().len(), series.max_ms), (MAX_SAMPLES, 30));
        assert!(monitor.reset(b"COMMAND") && !monitor.reset(b"command"));
    }

    #[test]
    fn the_levels_are_those_of_redis() {
        for (duration_ns, level_us) in [
            (0, 1),
            (1031, 1),
            (1032, 2),
            (16_511, 16),
            (33_023, 33),
            (4_227_071, 4227),
            (4_227_072, 8454),
            (999_999_999, 1_082_130),
            (u64::MAX, 1_082_130),
        ] {
            let mut histogram = LatencyHistogram::default();
            histogram.add(duration_ns);
            assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(level_us, 1)], "{duration_ns}");
        }
        let mut histogram = LatencyHistogram::default();
        for duration_ns in [500, 600, 5000, 900] {
            histogram.add(duration_ns);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1, 3), (8, 4)]);
    }
}
