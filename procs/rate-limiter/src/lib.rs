//! A rate limiter. Each bucket holds up to `capacity` tokens and is refilled at a steady rate; a request takes tokens,
//! and is refused while there are too few.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// Tokens are counted in millionths, so that at one token a second a microsecond adds one.
const TOKEN: u64 = 1_000_000;

/// A bucket as it is stored: its level in millionths of a token, and when that was so.
struct Bucket {
    level: u64,
    time_us: u64,
}

/// Takes `tokens`, or 1. The reply: whether it may, whole tokens left, and after how many milliseconds to try again.
///
/// `FCALL allow 1 limit:ada 10 5` allows bursts of 10 and 5 a second in the long run.
#[procedure]
pub fn allow(
    db: &mut Db,
    bucket: &[u8],
    capacity: u32,
    per_second: u32,
    tokens: Option<u32>,
) -> Result<(bool, u64, u64)> {
    let tokens = tokens.unwrap_or(1);
    if capacity == 0 || per_second == 0 || tokens > capacity {
        return Err(
            "LIMIT the rate and the capacity must be positive, and a request within the capacity".into()
        );
    }
    let (full, rate) = (u64::from(capacity) * TOKEN, u64::from(per_second));
    let wanted = u64::from(tokens) * TOKEN;
    let now_us = db.time_us();

    let stored = db.get(bucket).map(|text| Bucket::parse(&text)).transpose()?;
    let stored = stored.unwrap_or(Bucket { level: full, time_us: now_us });
    // A clock that was set back adds nothing.
    let elapsed_us = now_us.saturating_sub(stored.time_us);
    let level = full.min(stored.level.saturating_add(elapsed_us.saturating_mul(rate)));
    if level < wanted {
        let wait_us = (wanted - level).div_ceil(rate);
        return Ok((false, level / TOKEN, wait_us.div_ceil(1000)));
    }
    let level = level - wanted;
    // A bucket that would be full again need not be kept.
    let full_after_ms = (full - level).div_ceil(rate).div_ceil(1000).max(1);
    let text = format!("{level} {now_us}");
    db.command(Command::new("SET").arg(bucket).arg(text).arg("PX").arg(full_after_ms))?;
    Ok((true, level / TOKEN, 0))
}

impl Bucket {
    fn parse(text: &[u8]) -> Result<Self> {
        let (level, time_us) =
            core::str::from_utf8(text)?.split_once(' ').ok_or("LIMIT this key is no bucket")?;
        Ok(Self { level: level.parse()?, time_us: time_us.parse()? })
    }
}
