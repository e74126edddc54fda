//! Natural numbers of any size: just what exact conversion between decimal and binary needs.

/// A natural number; limbs of 64 bits, the least significant first, the last one not zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Natural {
    limbs: Vec<u64>,
}

/// The largest power of ten in a limb, and its digits.
const DECIMAL_LIMB: u64 = 10_000_000_000_000_000_000;
const DECIMAL_LIMB_DIGITS: usize = 19;

impl Natural {
    pub(super) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// The place of the highest bit that is set, counted from 1; 0 for zero.
    pub(super) fn bit_len(&self) -> usize {
        self.limbs.last().map_or(0, |top| self.limbs.len() * 64 - top.leading_zeros() as usize)
    }

    /// Reads digits of base 10 or 16, which the caller has checked.
    pub(super) fn from_digits<'a>(radix: u32, digits: impl Iterator<Item = &'a u8>) -> Self {
        let mut number = Self::default();
        let (mut factor, mut group) = (1u64, 0u64);
        for &digit in digits {
            // A group is added when one more digit might not fit.
            if factor > u64::MAX / 16 / 16 {
                number.multiply_add(factor, group);
                (factor, group) = (1, 0);
            }
            factor *= u64::from(radix);
            group = group * u64::from(radix) + char::from(digit).to_digit(16).map_or(0, u64::from);
        }
        number.multiply_add(factor, group);
        number
    }

    /// This times `factor` plus `addend`.
    pub(super) fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = u128::from(addend);
        for limb in &mut self.limbs {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            self.limbs.push(carry as u64);
        }
    }

    /// This times 2 to the power of `bits`.
    pub(super) fn shift_left(&mut self, bits: usize) {
        if self.is_zero() {
            return;
        }
        self.multiply_add(1 << (bits % 64), 0);
        self.limbs.splice(0..0, std::iter::repeat_n(0, bits / 64));
    }

    /// Divides in place and yields the remainder; `divisor` is not zero.
    pub(super) fn divide(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0u128;
        for limb in self.limbs.iter_mut().rev() {
            let dividend = remainder << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = dividend % u128::from(divisor);
        }
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
        remainder as u64
    }

    /// The nearest number of at most `bits` (1 to 64) significant bits, as mantissa and power of two; ties to even.
    ///
    /// `inexact`: the true value is a little more than this number, by less than one.
    pub(super) fn round(&self, bits: usize, inexact: bool) -> (u64, usize) {
        let excess = self.bit_len().saturating_sub(bits);
        let (limb, bit) = (excess / 64, excess % 64);
        let at = |index: usize| u128::from(self.limbs.get(index).copied().unwrap_or(0));
        let mantissa = ((at(limb + 1) << 64 | at(limb)) >> bit) as u64;
        if excess == 0 || !self.bit(excess - 1) {
            return (mantissa, excess);
        }
        let above_half = inexact || self.any_bit_below(excess - 1);
        if !above_half && mantissa & 1 == 0 {
            return (mantissa, excess);
        }
        match mantissa.checked_add(1) {
            Some(rounded) => (rounded, excess),
            None => (1 << 63, excess + 1),
        }
    }

    fn bit(&self, position: usize) -> bool {
        self.limbs[position / 64] >> (position % 64) & 1 == 1
    }

    fn any_bit_below(&self, position: usize) -> bool {
        let (limb, bit) = (position / 64, position % 64);
        self.limbs[..limb].iter().any(|&limb| limb != 0) || self.limbs[limb] & ((1 << bit) - 1) != 0
    }

    /// The decimal text, without leading zeros.
    pub(super) fn into_decimal(mut self) -> String {
        let mut groups = Vec::new();
        while !self.is_zero() {
            groups.push(self.divide(DECIMAL_LIMB));
        }
        let leading = groups.pop().unwrap_or(0).to_string();
        let others = groups.iter().rev().map(|group| format!("{group:0DECIMAL_LIMB_DIGITS$}"));
        std::iter::once(leading).chain(others).collect()
    }
}

impl From<u64> for Natural {
    fn from(number: u64) -> Self {
        Self { limbs: if number == 0 { Vec::new() } else { vec![number] } }
    }
}
