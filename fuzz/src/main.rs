//! Feeds random bytes to the fuzz target, without coverage guidance: for where cargo-fuzz is not to be had.
//!
//! `endless [seconds [seed]]`; it prints the seed it starts from.

use std::time::{Duration, Instant};

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let seconds = arguments.next().unwrap_or(u64::MAX / 4);
    let seed = arguments.next().unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let start = Instant::now();
    let mut count = 0u64;
    while start.elapsed() < Duration::from_secs(seconds) {
        // Each input has a seed of its own, so that one of them can be run again alone.
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(count));
        let mut data = vec![0; random.usize(1..6_000)];
        random.fill(&mut data);
        kvasm_fuzz::challenge(&data);
        count += 1;
        if count.is_multiple_of(1_000) {
            println!("{count} inputs, next seed {}", seed.wrapping_add(count));
        }
    }
    println!("{count} inputs, no failure");
}
