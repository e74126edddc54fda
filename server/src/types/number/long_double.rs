//! The `long double` of x86-64 (64 bits of mantissa, 15 of exponent), in which INCRBYFLOAT counts.
//!
//! Its results must have the same digits as those of Redis, and a double's would not: 0.1 + 0.2 is 0.3 only because
//! the error lies behind the 17th decimal.

use super::MAX_FLOAT_LEN;
use super::lexical::{self, Literal};
use super::natural::Natural;

/// Decimals that are printed.
const DECIMALS: usize = 17;
const DECIMALS_FACTOR: u128 = 10u128.pow(DECIMALS as u32);
/// Powers of two of the largest numbers, and of half the smallest, which still rounds up to it.
const MAX_EXPONENT: i64 = 16_383;
const MIN_EXPONENT: i64 = -16_446;
/// Powers of ten beyond which a number is out of range without a closer look.
const MAX_DECIMAL_EXPONENT: i64 = 5_000;

/// An extended-precision floating-point number; never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LongDouble {
    /// Positive or negative infinity, which can be read but not reached by adding.
    Infinite {
        /// Whether it is below zero.
        negative: bool,
    },
    /// `mantissa` times 2 to the power of `exponent`.
    Finite {
        /// Whether it is below zero; zero has a sign too.
        negative: bool,
        /// Zero, or with the highest bit set.
        mantissa: u64,
        /// Power of two of the mantissa's lowest bit.
        exponent: i32,
    },
}

impl LongDouble {
    /// Reads a number as C's `strtold` does: decimal, hexadecimal or infinite, with nothing around it.
    ///
    /// `None` for NaN, for what is too large, for what is not zero but too small, and beyond [`MAX_FLOAT_LEN`].
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_FLOAT_LEN {
            return None;
        }
        let (negative, literal) = lexical::split(text)?;
        let Literal::Digits { radix, integer, fraction, exponent } = literal else {
            return Some(Self::Infinite { negative });
        };
        let digits = Natural::from_digits(radix, integer.iter().chain(fraction));
        if digits.is_zero() {
            return Some(Self::Finite { negative, mantissa: 0, exponent: 0 });
        }
        if radix == 16 {
            Self::from_natural(negative, &digits, exponent - 4 * fraction.len() as i64, false)
        } else {
            Self::from_decimal(negative, digits, exponent - fraction.len() as i64)
        }
    }

    /// The sum, rounded to the nearest number; `None` if it would be infinite or NaN.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (
            Self::Finite { negative, mantissa, exponent },
            Self::Finite { negative: other_negative, mantissa: other_mantissa, exponent: other_exponent },
        ) = (self, other)
        else {
            return None;
        };
        if mantissa == 0 {
            return Some(other);
        }
        if other_mantissa == 0 {
            return Some(self);
        }
        if (exponent, mantissa) < (other_exponent, other_mantissa) {
            return other.checked_add(self);
        }
        // `self` is the larger one: 63 more bits below it hold what decides the rounding.
        let distance = exponent.abs_diff(other_exponent);
        let large = u128::from(mantissa) << 63;
        let small = u128::from(other_mantissa) << 63;
        let shifted = small.checked_shr(distance).unwrap_or(0);
        let inexact = shifted.checked_shl(distance) != Some(small);
        let sum = if negative == other_negative {
            large + shifted
        } else {
            // The part of `small` that was cut off is taken away too: one less, and a little more than that.
            large - shifted - u128::from(inexact)
        };
        let mut wide = Natural::from((sum >> 64) as u64);
        wide.shift_left(64);
        wide.multiply_add(1, sum as u64);
        Self::from_natural(negative, &wide, i64::from(exponent) - 63, inexact)
    }

    /// `digits` times 10 to the power of `exponent`; `digits` is not zero.
    fn from_decimal(negative: bool, mut digits: Natural, exponent: i64) -> Option<Self> {
        // 2^10 is a little more than 10^3.
        let magnitude = exponent + digits.bit_len() as i64 * 3 / 10;
        if magnitude.abs() > MAX_DECIMAL_EXPONENT {
            return None;
        }
        if exponent >= 0 {
            for power in powers_of_five(exponent as usize) {
                digits.multiply_add(power, 0);
            }
            return Self::from_natural(negative, &digits, exponent, false);
        }
        // Division by 5^n, after a shift that leaves more than 64 bits in the quotient (5 is less than 2^(7/3)).
        let divisions = exponent.unsigned_abs() as usize;
        let shift = (66 + divisions * 7 / 3 + 1).saturating_sub(digits.bit_len());
        digits.shift_left(shift);
        let mut inexact = false;
        for power in powers_of_five(divisions) {
            inexact |= digits.divide(power) != 0;
        }
        Self::from_natural(negative, &digits, exponent - shift as i64, inexact)
    }

    /// `number` (and a little more, if `inexact`) times 2 to the power of `exponent`, rounded; `None` if out of range.
    fn from_natural(negative: bool, number: &Natural, exponent: i64, inexact: bool) -> Option<Self> {
        if number.is_zero() {
            return Some(Self::Finite { negative: false, mantissa: 0, exponent: 0 });
        }
        let (mantissa, shift) = number.round(64, inexact);
        let exponent = exponent + shift as i64 - i64::from(mantissa.leading_zeros());
        let mantissa = mantissa << mantissa.leading_zeros();
        let in_range = (MIN_EXPONENT..=MAX_EXPONENT).contains(&(exponent + 63));
        in_range.then_some(Self::Finite { negative, mantissa, exponent: exponent as i32 })
    }

    /// Prints the number with up to 17 decimals, no exponent and no trailing zeros, as INCRBYFLOAT does.
    #[must_use]
    pub fn format(self) -> String {
        let (negative, mantissa, exponent) = match self {
            Self::Infinite { negative: true } => return "-inf".into(),
            Self::Infinite { negative: false } => return "inf".into(),
            Self::Finite { negative, mantissa, exponent } => (negative, mantissa, exponent),
        };
        let magnitude = if exponent >= 0 {
            let mut number = Natural::from(mantissa);
            number.shift_left(exponent as usize);
            number.into_decimal()
        } else {
            format_scaled(scale_to_decimals(mantissa, exponent.unsigned_abs()))
        };
        if negative && magnitude != "0" { format!("-{magnitude}") } else { magnitude }
    }
}

impl From<i64> for LongDouble {
    fn from(integer: i64) -> Self {
        let magnitude = integer.unsigned_abs();
        if magnitude == 0 {
            return Self::Finite { negative: false, mantissa: 0, exponent: 0 };
        }
        let shift = magnitude.leading_zeros();
        Self::Finite { negative: integer < 0, mantissa: magnitude << shift, exponent: -(shift as i32) }
    }
}

/// `mantissa` divided by 2 to the power of `shift`, in units of the last decimal; ties to even.
fn scale_to_decimals(mantissa: u64, shift: u32) -> u128 {
    // At most 121 bits.
    let scaled = u128::from(mantissa) * DECIMALS_FACTOR;
    if shift > 122 {
        return 0;
    }
    let quotient = scaled >> shift;
    let remainder = scaled - (quotient << shift);
    let half = 1u128 << (shift - 1);
    let round_up = remainder > half || (remainder == half && quotient & 1 == 1);
    quotient + u128::from(round_up)
}

/// Prints a count of units of the last decimal.
fn format_scaled(scaled: u128) -> String {
    let (integer, fraction) = (scaled / DECIMALS_FACTOR, scaled % DECIMALS_FACTOR);
    if fraction == 0 {
        return integer.to_string();
    }
    let text = format!("{integer}.{fraction:0DECIMALS$}");
    text.trim_end_matches('0').to_owned()
}

/// Factors, each in one limb, whose product is 5 to the power of `exponent`.
fn powers_of_five(exponent: usize) -> impl Iterator<Item = u64> {
    /// The largest power of five in a limb.
    const LIMB: usize = 27;
    let full = std::iter::repeat_n(5u64.pow(LIMB as u32), exponent / LIMB);
    full.chain(std::iter::once(5u64.pow((exponent % LIMB) as u32)))
}
