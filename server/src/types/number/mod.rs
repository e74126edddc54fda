//! Numbers as text: which byte strings Redis takes for a number, and how it prints one.
//! Knows bytes only; what is done with a number is not its business, but for the addition of long doubles.

mod float;
mod lexical;
mod long_double;
mod natural;

pub use float::{format_float, parse_float};
pub use long_double::LongDouble;

/// The longest decimal text of an `i64`: 19 digits and a sign.
pub const MAX_INTEGER_LEN: usize = 20;

/// The longest text that is read as a floating-point number, in bytes (in Redis, of a long double).
pub const MAX_FLOAT_LEN: usize = 5 * 1024 - 1;

/// Reads a canonical decimal integer: printing the result yields exactly `text` again.
///
/// So no `+`, no leading zeros, no `-0`, no spaces; `None` also if it does not fit in an `i64`.
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [] | [b'0', ..] => return None,
        _ if digits.len() >= MAX_INTEGER_LEN => return None,
        _ => {}
    }
    let mut magnitude = 0u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits always fit.
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Room for the decimal text of one integer, to be lent out without an allocation.
pub struct IntegerBuffer(itoa::Buffer);

impl IntegerBuffer {
    /// An empty buffer; costs nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(itoa::Buffer::new())
    }

    /// The canonical decimal text of `integer`.
    pub fn format(&mut self, integer: i64) -> &[u8] {
        self.0.format(integer).as_bytes()
    }
}

impl Default for IntegerBuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
