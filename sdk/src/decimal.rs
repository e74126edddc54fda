//! Integers as decimal text, without the formatting machinery of `core`, which would be most of a small module.

use alloc::vec::Vec;

/// Digits of the longest 64-bit integer, with a sign.
const MAX_DIGITS: usize = 20;

/// Appends `number` in decimal.
pub fn push(output: &mut Vec<u8>, number: i64) {
    if number < 0 {
        output.push(b'-');
    }
    push_unsigned(output, number.unsigned_abs());
}

/// Appends `number` in decimal.
pub fn push_unsigned(output: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; MAX_DIGITS];
    let mut start = MAX_DIGITS;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    output.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, -1, 9, 10, 12_345, i64::MAX, i64::MIN] {
            let mut output = Vec::new();
            push(&mut output, number);
            assert_eq!(output, number.to_string().into_bytes());
        }
        let mut output = Vec::new();
        push_unsigned(&mut output, u64::MAX);
        assert_eq!(output, u64::MAX.to_string().into_bytes());
    }
}
