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

/// What is known about an event.
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
    /// Notes how long an event took, if it reached the threshold, in milliseconds; a threshold of 0 turns this off.
    pub fn add(&mut self, event: &'static str, time_s: u64, latency_ms: u64, threshold_ms: u64) {
        if threshold_ms > 0 && latency_ms >= threshold_ms {
            self.0.entry(event).or_default().add(LatencySample { time_s, latency_ms });
        }
    }

    /// What is known about an event; the case of its name does not matter.
    #[must_use]
    pub fn get(&self, event: &[u8]) -> Option<(&'static str, &LatencySeries)> {
        self.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(event))
    }

    /// All events that have been noted.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &LatencySeries)> {
        self.0.iter().map(|(name, series)| (*name, series))
    }

    /// Forgets an event; `false` if it was never noted.
    pub fn reset(&mut self, event: &[u8]) -> bool {
        let found = self.get(event).map(|(name, _)| name);
        found.is_some_and(|name| self.0.remove(name).is_some())
    }
}

/// A histogram of how long calls took, by the first 8 bits of the number of nanoseconds: precise to one part in 128, as
/// in Redis. Allocates at the first call.
#[derive(Clone, Debug, Default)]
pub struct LatencyHistogram(Vec<u64>);

impl LatencyHistogram {
    /// Longer calls count as this, in nanoseconds.
    const MAX_NS: u64 = 1_000_000_000;
    /// How many bits after a number's first one are significant.
    const BITS: u32 = 7;
    /// Number of places: one for each number of up to 8 bits, and half as many for each further bit of `MAX_NS`.
    const PLACES: usize = Self::place(Self::MAX_NS) + 1;
    /// The end of the first level of [`Self::cumulative`]. Levels are powers of 2, where places end, too.
    const FIRST_NS: u64 = 1024 + (1024 >> Self::BITS);

    /// Counts a call.
    pub fn add(&mut self, duration_ns: u64) {
        if self.0.is_empty() {
            self.0 = vec![0; Self::PLACES];
        }
        self.0[Self::place(if duration_ns < Self::MAX_NS { duration_ns } else { Self::MAX_NS })] += 1;
    }

    /// Where a number of nanoseconds is counted.
    const fn place(ns: u64) -> usize {
        let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(Self::BITS + 1);
        ((shift as usize) << Self::BITS) + (ns >> shift) as usize
    }

    /// The longest that is counted at a place, in nanoseconds.
    fn end_ns(place: usize) -> u64 {
        let shift = (place >> Self::BITS).saturating_sub(1);
        (((place - (shift << Self::BITS) + 1) as u64) << shift) - 1
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The given percentile of the durations, in nanoseconds; 0 without calls.
    #[must_use]
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let wanted = ((percent / 100.0 * self.calls() as f64 + 0.5) as u64).max(1);
        let mut sum = 0;
        let found = self.0.iter().position(|calls| {
            sum += calls;
            sum >= wanted
        });
        found.map_or(0, Self::end_ns)
    }

    /// The levels that have calls, each twice as long as the one before: microseconds at its end, and how many calls
    /// took at most that long.
    #[must_use]
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        let mut levels: Vec<(u64, u64)> = Vec::new();
        let mut sum = 0;
        for (place, calls) in self.0.iter().enumerate().filter(|(_, calls)| **calls > 0) {
            sum += calls;
            let level = u64::BITS - (Self::end_ns(place) / Self::FIRST_NS).leading_zeros();
            let end_us = ((Self::FIRST_NS << level) - 1) / 1000;
            match levels.last_mut() {
                Some(last) if last.0 == end_us => last.1 = sum,
                _ => levels.push((end_us, sum)),
            }
        }
        levels
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
            assert_eq!(histogram.cumulative(), [(level_us, 1)], "{duration_ns}");
        }
        let mut histogram = LatencyHistogram::default();
        for duration_ns in [500, 600, 5000, 900] {
            histogram.add(duration_ns);
        }
        assert_eq!(histogram.cumulative(), [(1, 3), (8, 4)]);
    }

    #[test]
    fn percentiles_are_those_of_redis() {
        for (durations_us, percent, expected_ns) in [
            (vec![], 50.0, 0),
            (vec![3], 50.0, 3007),
            (vec![24], 99.9, 24_063),
            (vec![1110], 0.1, 1_114_111),
            ((1..=1000).collect(), 50.0, 501_759),
            ((1..=1000).collect(), 99.0, 991_231),
            ((1..=1000).collect(), 0.0, 1003),
            ((1..=1000).collect(), 100.0, 1_003_519),
            (vec![20_000_000], 50.0, 1_002_438_655),
        ] {
            let mut histogram = LatencyHistogram::default();
            for us in &durations_us {
                histogram.add(us * 1000);
            }
            assert_eq!(histogram.percentile_ns(percent), expected_ns, "{percent} of {durations_us:?}");
            assert_eq!(histogram.calls(), durations_us.len() as u64);
        }
    }

    #[test]
    fn a_duration_is_counted_where_it_ends() {
        let mut last = 0;
        for place in 0..LatencyHistogram::PLACES {
            let end_ns = LatencyHistogram::end_ns(place);
            assert_eq!(LatencyHistogram::place(end_ns), place);
            assert!(place == 0 || LatencyHistogram::place(last + 1) == place, "{place}");
            last = end_ns;
        }
    }
}
