//! Reading arguments: what several commands share.

use super::{Error, Result};
use crate::types::parse_integer;

/// An integer.
pub fn integer(argument: &[u8]) -> Result<i64> {
    parse_integer(argument).ok_or(Error::NOT_AN_INTEGER)
}

/// An integer that is not negative; `message` is the error for one that is.
pub fn unsigned(argument: &[u8], message: &'static str) -> Result<u64> {
    u64::try_from(integer(argument)?).map_err(|_| Error::text(message))
}

/// An integer that is not below `min`, for a number of things; `message` is the error for anything else.
pub fn at_least(min: usize, argument: &[u8], message: &'static str) -> Result<usize> {
    let number = parse_integer(argument).and_then(|number| usize::try_from(number).ok());
    number.filter(|number| *number >= min).ok_or(Error::text(message))
}

/// Whether an argument is this word, in any case.
#[must_use]
pub fn flag(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// Whether an argument says when the memory of what is removed is freed.
#[must_use]
pub fn is_flush_mode(argument: &[u8]) -> bool {
    flag(argument, "ASYNC") || flag(argument, "SYNC")
}

/// How many entries of a log are asked for; -1 is all.
pub fn log_count(argument: &[u8]) -> Result<usize> {
    match integer(argument) {
        Ok(-1) => Ok(usize::MAX),
        Ok(count) if count >= 0 => Ok(count as usize),
        _ => Err(Error::text("ERR count should be greater than or equal to -1")),
    }
}

/// Where SINTERCARD and ZINTERCARD stop to count: `[LIMIT limit]`, of which 0 is none.
pub fn cardinality_limit(options: &[&[u8]]) -> Result<usize> {
    let (options, rest) = options.as_chunks();
    let mut limit = 0;
    for [option, number] in options {
        if !flag(option, "LIMIT") {
            return Err(Error::SYNTAX);
        }
        limit = at_least(0, number, "ERR LIMIT can't be negative")?;
    }
    if !rest.is_empty() {
        return Err(Error::SYNTAX);
    }
    Ok(if limit == 0 { usize::MAX } else { limit })
}

/// The options that give a time to live: `EX`, `PX`, `EXAT`, `PXAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryOption {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds of unix time.
    UnixSeconds,
    /// Milliseconds of unix time.
    UnixMilliseconds,
}

impl ExpiryOption {
    /// The option of this name.
    #[must_use]
    pub fn named(argument: &[u8]) -> Option<Self> {
        [
            ("EX", Self::Seconds),
            ("PX", Self::Milliseconds),
            ("EXAT", Self::UnixSeconds),
            ("PXAT", Self::UnixMilliseconds),
        ]
        .into_iter()
        .find_map(|(word, option)| flag(argument, word).then_some(option))
    }

    /// The end in milliseconds of unix time; `None` when it does not fit a signed 64-bit number.
    #[must_use]
    pub fn end_ms(self, amount: i64, now_ms: u64) -> Option<i64> {
        let amount_ms = match self {
            Self::Seconds | Self::UnixSeconds => amount.checked_mul(1000)?,
            Self::Milliseconds | Self::UnixMilliseconds => amount,
        };
        match self {
            Self::Seconds | Self::Milliseconds => amount_ms.checked_add(now_ms as i64),
            Self::UnixSeconds | Self::UnixMilliseconds => Some(amount_ms),
        }
    }

    /// The end of a time to live that must be positive, for SET and its relatives.
    pub fn positive_end_ms(self, argument: &[u8], now_ms: u64, command: &str) -> Result<u64> {
        let amount = integer(argument)?;
        let end = (amount > 0).then(|| self.end_ms(amount, now_ms)).flatten();
        let end = end.and_then(|end| u64::try_from(end).ok());
        end.ok_or_else(|| Error::invalid_expire_time(command))
    }
}
