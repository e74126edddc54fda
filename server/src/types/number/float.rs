//! Doubles: scores, timeouts and the doubles of RESP3.

use super::MAX_FLOAT_LEN;
use super::lexical::{self, Literal};
use super::natural::Natural;

/// Bits in the mantissa of a double, the hidden one included.
const MANTISSA_BITS: usize = 53;
/// The power of two of the last place of the smallest doubles.
const MIN_EXPONENT: i64 = -1074;

/// Reads a double as Redis does, through C's `strtod`: decimal, hexadecimal or infinite, with nothing around it.
///
/// `None` for NaN, for what is too large for a finite double, for what is not zero but too small, and beyond [`MAX_FLOAT_LEN`].
#[must_use]
pub fn parse_float(text: &[u8]) -> Option<f64> {
    if text.len() > MAX_FLOAT_LEN {
        return None;
    }
    let (negative, literal) = lexical::split(text)?;
    let magnitude = match literal {
        Literal::Infinity => f64::INFINITY,
        Literal::Digits { radix: 16, integer, fraction, exponent } => {
            let mantissa = Natural::from_digits(16, integer.iter().chain(fraction));
            scale(&mantissa, exponent - 4 * fraction.len() as i64)?
        }
        Literal::Digits { integer, fraction, .. } => {
            let value = std::str::from_utf8(text).ok()?.parse::<f64>().ok()?.abs();
            let is_zero = integer.iter().chain(fraction).all(|&digit| digit == b'0');
            if value.is_infinite() || (value == 0.0 && !is_zero) {
                return None;
            }
            value
        }
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// `mantissa` times 2 to the power of `exponent`, rounded once; `None` if that is out of range.
fn scale(mantissa: &Natural, exponent: i64) -> Option<f64> {
    if mantissa.is_zero() {
        return Some(0.0);
    }
    // Subnormal numbers have fewer bits to round to.
    let room = mantissa.bit_len() as i64 + exponent - MIN_EXPONENT;
    let bits = usize::try_from(room).ok().filter(|bits| *bits > 0)?.min(MANTISSA_BITS);
    let (rounded, shift) = mantissa.round(bits, false);
    let exponent = i32::try_from(exponent + shift as i64).ok()?;
    // In two steps, because 2 to the power of -1074 has no finite reciprocal.
    let half = exponent / 2;
    let value = rounded as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
    value.is_finite().then_some(value)
}

/// Prints the shortest decimal that reads back as the same double, in the form of Redis 7.2.
///
/// (Redis 7.0 prints 17 digits.) Integers below 2^52 are printed plainly; others get an exponent when they are far
/// from 1. Infinities are `inf` and `-inf`, and NaN is `nan`.
#[must_use]
pub fn format_float(value: f64) -> String {
    const PLAIN_INTEGERS: f64 = (1u64 << 52) as f64;
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() || value == 0.0 {
        return format!("{value}");
    }
    if value.abs() < PLAIN_INTEGERS && value.fract() == 0.0 {
        return (value as i64).to_string();
    }
    // Rust's shortest form, `d.ddde-7`, has the right digits; only their arrangement differs.
    let shortest = format!("{:e}", value.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = mantissa.replace('.', "");
    let (sign, max_zeros) = if value < 0.0 { ("-", 6) } else { ("", 7) };
    format!("{sign}{}", arrange(&digits, exponent.parse().unwrap_or(0), max_zeros))
}

/// Lays out `digits`, the first of which stands for 10 to the power of `exponent`. At most so many zeros follow them.
fn arrange(digits: &str, exponent: i32, max_zeros: i32) -> String {
    let len = digits.len() as i32;
    // The power of ten of the last digit.
    let last = exponent - (len - 1);
    if last >= 0 && last <= max_zeros {
        return format!("{digits}{}", "0".repeat(last as usize));
    }
    if last < 0 && (last > -7 || exponent.abs() < 4) {
        return if exponent < 0 {
            format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize))
        } else {
            let (integer, fraction) = digits.split_at(exponent as usize + 1);
            format!("{integer}.{fraction}")
        };
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}e{exponent:+}")
}
