//! From registers to a number: the estimator of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (2017), which Redis uses too, so that counts are the same.

use super::{RANK_BITS, REGISTERS};

/// How many registers hold each value. Registers of 6 bits can hold values that no element gives.
pub(super) type Histogram = [u32; 64];

/// `1 / (2 ln 2)`.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// About how many different elements leave registers like that.
pub(super) fn cardinality(histogram: &Histogram) -> u64 {
    let registers = REGISTERS as f64;
    let last = RANK_BITS as usize + 1;
    let mut sum = registers * tau((registers - f64::from(histogram[last])) / registers);
    for count in histogram[1..last].iter().rev() {
        sum = (sum + f64::from(*count)) * 0.5;
    }
    sum += registers * sigma(f64::from(histogram[0]) / registers);
    (ALPHA * registers * registers / sum).round() as u64
}

/// The share of registers that nothing has raised, as the estimator weighs it.
fn sigma(mut share: f64) -> f64 {
    let (mut weight, mut sum) = (1.0, share);
    loop {
        share *= share;
        let before = sum;
        sum += share * weight;
        weight += weight;
        // Exactly: that is when the series has converged, or is infinite.
        if before.to_bits() == sum.to_bits() {
            return sum;
        }
    }
}

/// The share of registers that can be raised no further, as the estimator weighs it.
fn tau(mut share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - share);
    loop {
        share = share.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - share).powi(2) * weight;
        if before.to_bits() == sum.to_bits() {
            return sum / 3.0;
        }
    }
}
