//! A counter with a ceiling: seats, coupons, downloads.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// Counts up by `step`, or 1, unless that would pass the ceiling: then it is an error and nothing changes.
///
/// `FCALL take 1 seats 100` or `FCALL take 1 seats 100 2`
#[procedure]
pub fn take(db: &mut Db, counter: &[u8], ceiling: i64, step: Option<u32>) -> Result<i64> {
    let count = db.increment(counter, i64::from(step.unwrap_or(1)));
    if count > ceiling {
        // An error undoes the increment.
        return Err(format!("CEILING {ceiling} would be passed").into());
    }
    Ok(count)
}

/// How many are left. It only reads: `FCALL_RO left 1 seats 100`.
#[procedure]
pub fn left(db: &Db, counter: &[u8], ceiling: i64) -> Result<i64> {
    let count = match db.get(counter) {
        Some(text) => core::str::from_utf8(&text)?.parse()?,
        None => 0,
    };
    Ok(ceiling.saturating_sub(count).max(0))
}
