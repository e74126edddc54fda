//! BITFIELD: integers of any width at any bit offset.

use super::super::string::StringValue;

/// The type of a field: a signed integer of 1 to 64 bits, or an unsigned one of 1 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldType {
    signed: bool,
    bits: u8,
}

/// What happens to a number that does not fit in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits are stored.
    Wrap,
    /// The nearest number that fits is stored.
    Saturate,
    /// Nothing is stored.
    Fail,
}

/// Bytes that a field can touch: 64 bits that begin within a byte.
const MAX_FIELD_LEN: usize = 9;

impl FieldType {
    /// Reads `i1` to `i64` and `u1` to `u63`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (signed, digits) = match text {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        let bits = u8::try_from(super::super::parse_integer(digits)?).ok()?;
        let max = if signed { 64 } else { 63 };
        (1..=max).contains(&bits).then_some(Self { signed, bits })
    }

    /// Width in bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.bits as u64
    }

    /// The number that the lowest bits of `raw` stand for.
    fn decode(self, raw: u64) -> i64 {
        let unused = 64 - u32::from(self.bits);
        if self.signed {
            (raw << unused).cast_signed() >> unused
        } else {
            (raw << unused >> unused).cast_signed()
        }
    }

    /// The number to store for `exact`; `None` if it does not fit and that is a failure.
    fn fit(self, exact: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = if self.signed {
            (-1i128 << (self.bits - 1), (1i128 << (self.bits - 1)) - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        };
        if (min..=max).contains(&exact) {
            return Some(exact as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.decode(exact as u64)),
            Overflow::Saturate => Some(exact.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }
}

/// The number in the field at bit `offset`.
#[must_use]
pub fn get_field(value: &StringValue, field: FieldType, offset: u64) -> i64 {
    field.decode((load(value, offset) >> shift_of(field, offset)) as u64)
}

/// Stores `number` and yields what was there; `None` if it does not fit and that is a failure.
///
/// The string grows as needed. (Redis lets it grow for a failure too: call [`StringValue::grow_to`] before.)
pub fn set_field(
    value: &mut StringValue,
    field: FieldType,
    offset: u64,
    number: i64,
    overflow: Overflow,
) -> Option<i64> {
    // As in Redis, a negative number for an unsigned field is a huge one.
    let exact = if field.signed { i128::from(number) } else { i128::from(number.cast_unsigned()) };
    let fitting = field.fit(exact, overflow)?;
    let old = get_field(value, field, offset);
    store(value, field, offset, fitting);
    Some(old)
}

/// Adds `increment` and yields the sum as stored; `None` if it does not fit and that is a failure.
pub fn increment_field(
    value: &mut StringValue,
    field: FieldType,
    offset: u64,
    increment: i64,
    overflow: Overflow,
) -> Option<i64> {
    let exact = i128::from(get_field(value, field, offset)) + i128::from(increment);
    let fitting = field.fit(exact, overflow)?;
    store(value, field, offset, fitting);
    Some(fitting)
}

/// The bytes around `offset` as one big-endian number, filled up with zeroes.
fn load(value: &StringValue, offset: u64) -> u128 {
    let mut bytes = [0; 16];
    value.copy_range((offset / 8) as usize, &mut bytes[16 - MAX_FIELD_LEN..]);
    u128::from_be_bytes(bytes)
}

/// Bits behind the field in the number that [`load`] yields.
fn shift_of(field: FieldType, offset: u64) -> u64 {
    MAX_FIELD_LEN as u64 * 8 - offset % 8 - field.bits()
}

fn store(value: &mut StringValue, field: FieldType, offset: u64, number: i64) {
    let shift = shift_of(field, offset);
    let mask = u128::from(u64::MAX >> (64 - field.bits())) << shift;
    let merged = load(value, offset) & !mask | (u128::from(number.cast_unsigned()) << shift) & mask;
    let bytes = &merged.to_be_bytes()[16 - MAX_FIELD_LEN..];
    let touched = (offset % 8 + field.bits()).div_ceil(8) as usize;
    value.set_range((offset / 8) as usize, &bytes[..touched]);
}
