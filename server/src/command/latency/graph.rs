//! `LATENCY GRAPH`: columns of characters, one for each sample, and below each how long ago it was.

use crate::state::{LatencySample, LatencySeries};

/// Lines of the drawing.
const HEIGHT: u64 = 4;
/// What a column ends with, the lowest first: three steps of a line.
const TOPS: [char; 3] = ['_', 'o', '#'];
/// Columns that fit: the latest samples.
const WIDTH: usize = 80;

/// Draws the samples of an event.
pub(super) fn draw(name: &str, series: &LatencySeries, now_s: u64) -> String {
    let skipped = series.samples().len().saturating_sub(WIDTH);
    let samples: Vec<LatencySample> = series.samples().skip(skipped).collect();
    let latencies = || samples.iter().map(|sample| sample.latency_ms);
    let (low_ms, high_ms) = (latencies().min().unwrap_or(0), latencies().max().unwrap_or(0));
    let max_ms = series.max_ms;
    let mut lines = vec![
        format!("{name} - high {high_ms} ms, low {low_ms} ms (all time high {max_ms} ms)"),
        "-".repeat(WIDTH),
    ];
    for line in (0..HEIGHT).rev() {
        let column = |latency_ms| character(step(latency_ms, low_ms, high_ms), line);
        lines.push(latencies().map(column).collect());
    }
    let ages: Vec<String> = samples.iter().map(|sample| age(now_s.saturating_sub(sample.time_s))).collect();
    for place in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        lines.push(ages.iter().map(|age| age.chars().nth(place).unwrap_or(' ')).collect());
    }
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// How high a column is, in steps from 0.
fn step(latency_ms: u64, low_ms: u64, high_ms: u64) -> u64 {
    let highest = HEIGHT * TOPS.len() as u64 - 1;
    (latency_ms - low_ms).saturating_mul(highest).checked_div(high_ms - low_ms).unwrap_or(0)
}

/// What a column of that height has in a line, counted from below.
fn character(step: u64, line: u64) -> char {
    let steps = TOPS.len() as u64;
    match (step / steps).cmp(&line) {
        std::cmp::Ordering::Less => ' ',
        std::cmp::Ordering::Equal => TOPS[(step % steps) as usize],
        std::cmp::Ordering::Greater => '|',
    }
}

/// A time in the largest unit that it has.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::LatencyMonitor;

    #[test]
    fn a_column_stands_for_each_sample() {
        let mut monitor = LatencyMonitor::default();
        for (age_s, latency_ms) in [(200_000, 10), (7300, 15), (65, 20), (5, 12)] {
            monitor.add("command", 1_000_000 - age_s, latency_ms, 1);
        }
        let (name, series) = monitor.get(b"command").expect("samples");
        let drawn = draw(name, series, 1_000_000);
        let lines: Vec<&str> = drawn.lines().skip(2).collect();
        assert!(drawn.starts_with("command - high 20 ms, low 10 ms (all time high 20 ms)\n"), "{drawn}");
        assert_eq!(lines, ["  #", "  |", " #|", "_||#", "2215", "dhms"]);
    }

    #[test]
    fn only_the_latest_samples_are_drawn_and_equal_ones_lie_flat() {
        let mut monitor = LatencyMonitor::default();
        (0..100).for_each(|time_s| monitor.add("command", time_s, 7, 1));
        let (name, series) = monitor.get(b"command").expect("samples");
        let drawn = draw(name, series, 100);
        assert_eq!(drawn.lines().nth(5), Some("_".repeat(WIDTH).as_str()));
    }
}
