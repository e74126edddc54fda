//! Counts the primes below 8,000.
#![no_std]
#![no_main]

include!("prelude.rs");

fn work() -> i64 {
    let mut composite = [false; 8_000];
    let mut count = 0;
    for number in 2..composite.len() {
        if composite[number] {
            continue;
        }
        count += 1;
        let mut multiple = number * number;
        while multiple < composite.len() {
            composite[multiple] = true;
            multiple += number;
        }
    }
    count
}
