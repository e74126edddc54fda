//! The outer form of a floating-point number, as C's `strtod` reads it in the C locale.

/// A number's text, taken apart but not yet converted.
#[derive(Debug, PartialEq)]
pub(super) enum Literal<'a> {
    /// `inf` or `infinity`, in any case.
    Infinity,
    /// Digits in base 10, or in base 16 (behind `0x`) with an exponent of 2.
    Digits {
        /// 10 or 16.
        radix: u32,
        /// Digits before the point; either part may be empty, but not both.
        integer: &'a [u8],
        /// Digits behind the point.
        fraction: &'a [u8],
        /// Power of 10, or of 2 for base 16; saturated.
        exponent: i64,
    },
}

/// Far beyond any exponent that matters, and far from overflow in the arithmetic that follows.
const MAX_EXPONENT: i64 = 1 << 32;

/// Takes `text` apart into its sign (true if negative) and the rest; `None` if it is no number or `nan`.
pub(super) fn split(text: &[u8]) -> Option<(bool, Literal<'_>)> {
    let (negative, body) = match text {
        [b'-', body @ ..] => (true, body),
        [b'+', body @ ..] | body => (false, body),
    };
    if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") {
        return Some((negative, Literal::Infinity));
    }
    let (radix, marker, body) = match body {
        [b'0', b'x' | b'X', body @ ..] => (16, b'p', body),
        body => (10, b'e', body),
    };
    let (integer, rest) = split_digits(body, radix);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest, radix),
        rest => (&rest[..0], rest),
    };
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [letter, rest @ ..] if letter.to_ascii_lowercase() == marker => parse_exponent(rest)?,
        _ => return None,
    };
    Some((negative, Literal::Digits { radix, integer, fraction, exponent }))
}

fn split_digits(text: &[u8], radix: u32) -> (&[u8], &[u8]) {
    let len = text.iter().take_while(|&&byte| char::from(byte).is_digit(radix)).count();
    text.split_at(len)
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut exponent = 0i64;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        exponent = (exponent * 10 + i64::from(digit)).min(MAX_EXPONENT);
    }
    Some(if negative { -exponent } else { exponent })
}
