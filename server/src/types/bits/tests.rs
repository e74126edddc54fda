use proptest::prelude::*;

use super::{
    FieldType, Operation, Overflow, Unit, combine, count_bits, find_bit, get_bit, get_field, increment_field,
    set_bit, set_field,
};
use crate::types::{CHUNK_LEN, StringValue};

fn string(bytes: &[u8]) -> StringValue {
    StringValue::from_bytes(bytes)
}

#[test]
fn counting_covers_the_indices_that_redis_means() {
    let foobar = string(b"foobar");
    for (range, expected) in [
        (None, 26),
        (Some((0, 0, Unit::Byte)), 4),
        (Some((1, 1, Unit::Byte)), 6),
        (Some((1, -2, Unit::Byte)), 18),
        (Some((-2, 100, Unit::Byte)), 7),
        (Some((5, 30, Unit::Bit)), 17),
        (Some((-1, -1, Unit::Bit)), 0),
        (Some((-2, -2, Unit::Bit)), 1),
        (Some((3, 2, Unit::Byte)), 0),
        (Some((6, 10, Unit::Byte)), 0),
        (Some((-20, -30, Unit::Byte)), 0),
        (Some((-30, -20, Unit::Byte)), 4),
        (Some((i64::MIN, i64::MAX, Unit::Bit)), 26),
    ] {
        assert_eq!(count_bits(&foobar, range), expected, "{range:?}");
    }
    assert_eq!(count_bits(&string(b""), None), 0);
    assert_eq!(count_bits(&StringValue::from_integer(7), None), 5, "0x37");
}

#[test]
fn finding_covers_the_indices_that_redis_means() {
    for (bytes, bit, start, end, unit, expected) in [
        (&b"\xff\xf0\x00"[..], false, 0, None, Unit::Byte, Some(12)),
        (b"\x00\xff\xf0", true, 0, None, Unit::Byte, Some(8)),
        (b"\x00\xff\xf0", true, 2, None, Unit::Byte, Some(16)),
        (b"\x00\xff\xf0", true, 2, Some(-1), Unit::Byte, Some(16)),
        (b"\x00\xff\xf0", true, 7, Some(15), Unit::Bit, Some(8)),
        (b"\x00\xff\xf0", true, 7, Some(-3), Unit::Bit, Some(8)),
        (b"\x00\x00\x00", true, 0, None, Unit::Byte, None),
        (b"\xff\xff\xff", false, 0, None, Unit::Byte, Some(24)),
        (b"\xff\xff\xff", false, 0, Some(-1), Unit::Byte, None),
        (b"\xff\xff\xff", false, 3, None, Unit::Byte, None),
        (b"\xff\xff\xff", false, -1, None, Unit::Byte, Some(24)),
        (b"\xff\x00", false, 3, Some(7), Unit::Bit, None),
        (b"\xff\x00", false, 3, Some(8), Unit::Bit, Some(8)),
        (b"\x00\x10", true, 9, Some(10), Unit::Bit, None),
        (b"\x00\x31", false, 10, Some(11), Unit::Bit, None),
        (b"\x00\x31", true, 12, Some(14), Unit::Bit, None),
        (b"", false, 0, None, Unit::Byte, None),
        (b"\xff", true, -10, Some(-20), Unit::Byte, Some(0)),
    ] {
        assert_eq!(
            find_bit(&string(bytes), bit, start, end, unit),
            expected,
            "{bytes:?} {bit} {start} {end:?}"
        );
    }
}

#[test]
fn combining_fills_up_with_zeroes() {
    for (operation, sources, expected) in [
        (Operation::And, &[&b"\xff\x0f\xff"[..], b"\x0f\xff"][..], &b"\x0f\x0f\x00"[..]),
        (Operation::Or, &[b"\xf0", b"\x0f\x01"], b"\xff\x01"),
        (Operation::Xor, &[b"\xff", b"\x0f\x01", b"\x01"], b"\xf1\x01"),
        (Operation::Not, &[b"\x0f\xff"], b"\xf0\x00"),
        (Operation::And, &[b"abc", b""], b"\x00\x00\x00"),
        (Operation::Or, &[b"", b""], b""),
        (Operation::Or, &[], b""),
    ] {
        let sources: Vec<_> = sources.iter().map(|source| string(source)).collect();
        let result = combine(operation, &sources.iter().collect::<Vec<_>>());
        assert_eq!(result.to_bytes(), expected, "{operation:?} of {sources:?}");
        assert_eq!(result.encoding(), "raw");
    }
}

#[test]
fn field_types_have_at_most_64_bits() {
    for (text, bits) in [
        ("i1", Some(1)),
        ("i64", Some(64)),
        ("u63", Some(63)),
        ("u64", None),
        ("i65", None),
        ("u0", None),
        ("i-1", None),
        ("u08", None),
        ("x8", None),
        ("i256", None),
        ("", None),
    ] {
        assert_eq!(FieldType::parse(text.as_bytes()).map(FieldType::bits), bits, "{text}");
    }
}

#[test]
fn fields_overflow_as_they_are_told() {
    let run = |kind: &str, old: i64, increment: i64, overflow| {
        let field = FieldType::parse(kind.as_bytes()).expect("a type");
        let mut value = string(b"");
        set_field(&mut value, field, 5, old, Overflow::Fail).expect("it fits");
        let result = increment_field(&mut value, field, 5, increment, overflow);
        assert_eq!(get_field(&value, field, 5), result.unwrap_or(old), "what is answered is what is stored");
        result
    };
    for (kind, old, increment, wrapped, saturated) in [
        ("u8", 250, 10, 4, 255),
        ("u8", 5, -10, 251, 0),
        ("i8", 127, 1, -128, 127),
        ("i8", -128, -1, 127, -128),
        ("i64", i64::MAX, 1, i64::MIN, i64::MAX),
        ("i64", i64::MIN, -1, i64::MAX, i64::MIN),
        ("u63", i64::MAX, 1, 0, i64::MAX),
        ("i1", 0, 1, -1, 0),
        ("u1", 1, 1, 0, 1),
    ] {
        assert_eq!(run(kind, old, increment, Overflow::Wrap), Some(wrapped), "{kind} {old} {increment}");
        assert_eq!(
            run(kind, old, increment, Overflow::Saturate),
            Some(saturated),
            "{kind} {old} {increment}"
        );
        assert_eq!(run(kind, old, increment, Overflow::Fail), None, "{kind} {old} {increment}");
        assert_eq!(run(kind, old, 0, Overflow::Fail), Some(old), "{kind} {old}");
    }
}

#[test]
fn a_field_that_is_set_obeys_overflow_too() {
    let field = FieldType::parse(b"u4").expect("a type");
    for (number, overflow, expected, stored) in [
        (20, Overflow::Wrap, Some(3), 4),
        (20, Overflow::Saturate, Some(3), 15),
        (20, Overflow::Fail, None, 3),
        (-1, Overflow::Wrap, Some(3), 15),
        (-1, Overflow::Saturate, Some(3), 15),
    ] {
        let mut value = string(b"\x03");
        assert_eq!(set_field(&mut value, field, 4, number, overflow), expected, "{number} {overflow:?}");
        assert_eq!(get_field(&value, field, 4), stored, "{number} {overflow:?}");
    }
}

#[test]
fn a_field_ends_with_the_string_that_it_makes() {
    let mut value = string(b"");
    let field = FieldType::parse(b"i64").expect("a type");
    set_field(&mut value, field, 7, -1, Overflow::Wrap);
    assert_eq!(value.to_bytes().as_ref(), b"\x01\xff\xff\xff\xff\xff\xff\xff\xfe");
    set_field(&mut value, FieldType::parse(b"u3").expect("a type"), 72, 5, Overflow::Wrap);
    assert_eq!(value.len(), 10);
}

/// Strings that are short, or end around the end of the first chunk, mostly of whole bytes of zeroes or ones.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0u8), 3 => Just(0xff), 1 => any::<u8>()];
    let long = (prop_oneof![Just(0u8), Just(0xff)], CHUNK_LEN - 20..CHUNK_LEN + 20);
    prop_oneof![
        4 => proptest::collection::vec(byte.clone(), 0..40),
        1 => (long, proptest::collection::vec(byte, 0..40)).prop_map(|((fill, len), tail)| {
            let mut bytes = vec![fill; len];
            bytes.extend(tail);
            bytes
        }),
    ]
}

/// Indices near the ends of short strings and of long ones, and far from any.
fn index() -> impl Strategy<Value = i64> {
    let long = (CHUNK_LEN * 8) as i64;
    prop_oneof![4 => -30..30i64, 1 => -long - 400..long + 400, 1 => any::<i32>().prop_map(i64::from)]
}

fn bit_of(bytes: &[u8], offset: usize) -> bool {
    bytes.get(offset / 8).is_some_and(|byte| byte >> (7 - offset % 8) & 1 == 1)
}

/// The offsets of the bits that the indices mean, one by one.
fn naive_range(len: usize, start: i64, end: i64, unit: Unit) -> std::ops::Range<usize> {
    let width = if unit == Unit::Byte { 8 } else { 1 };
    let total = (len * 8 / width) as i64;
    let clip = |index: i64| if index < 0 { (total + index).max(0) } else { index.min(total) };
    let (from, to) = (clip(start) as usize, (clip(end).min(total - 1) + 1) as usize);
    from * width..to * width
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn counting_and_finding_agree_with_loops(
        bytes in bytes(), start in index(), end in index(), bit: bool, by_bit: bool, open: bool
    ) {
        let unit = if by_bit { Unit::Bit } else { Unit::Byte };
        let value = string(&bytes);
        let reversed = start < 0 && end < 0 && start > end;
        let counted = naive_range(bytes.len(), start, end, unit).filter(|&offset| bit_of(&bytes, offset)).count();
        prop_assert_eq!(count_bits(&value, Some((start, end, unit))), if reversed { 0 } else { counted as u64 });

        let end = (!open).then_some(end);
        let mut range = naive_range(bytes.len(), start, end.unwrap_or(-1), unit);
        let empty = range.is_empty();
        let behind = (open && !bit && !empty).then_some(bytes.len() * 8);
        let found = range.find(|&offset| bit_of(&bytes, offset) == bit).or(behind);
        prop_assert_eq!(find_bit(&value, bit, start, end, unit), found.map(|offset| offset as u64));
    }

    #[test]
    fn setting_a_bit_changes_only_that_bit(bytes in bytes(), offset in 0usize..700_000, bit: bool) {
        let mut value = string(&bytes);
        let mut model = bytes.clone();
        model.resize(model.len().max(offset / 8 + 1), 0);
        let mask = 0x80u8 >> (offset % 8);
        if bit { model[offset / 8] |= mask } else { model[offset / 8] &= !mask }
        prop_assert_eq!(set_bit(&mut value, offset as u64, bit), bit_of(&bytes, offset));
        prop_assert_eq!(get_bit(&value, offset as u64), bit);
        prop_assert_eq!(value.to_bytes(), model);
    }

    #[test]
    fn combining_agrees_with_a_loop(sources in proptest::collection::vec(bytes(), 1..4), which in 0usize..4) {
        let operation = [Operation::And, Operation::Or, Operation::Xor, Operation::Not][which];
        let sources = if operation == Operation::Not { &sources[..1] } else { &sources[..] };
        let len = sources.iter().map(Vec::len).max().unwrap_or(0);
        let at = |source: &Vec<u8>, index: usize| source.get(index).copied().unwrap_or(0);
        let expected: Vec<u8> = (0..len)
            .map(|index| {
                let mut bytes = sources.iter().map(|source| at(source, index));
                let first = bytes.next().unwrap_or(0);
                match operation {
                    Operation::And => bytes.fold(first, |all, byte| all & byte),
                    Operation::Or => bytes.fold(first, |all, byte| all | byte),
                    Operation::Xor => bytes.fold(first, |all, byte| all ^ byte),
                    Operation::Not => !first,
                }
            })
            .collect();
        let values: Vec<_> = sources.iter().map(|source| string(source)).collect();
        prop_assert_eq!(combine(operation, &values.iter().collect::<Vec<_>>()), string(&expected));
    }

    #[test]
    fn fields_agree_with_single_bits(
        bytes in bytes(), offset in 0u64..600_000, bits in 1u32..=64, signed: bool, number: i64
    ) {
        prop_assume!(signed || bits < 64);
        let field = FieldType::parse(format!("{}{bits}", if signed { 'i' } else { 'u' }).as_bytes()).expect("a type");
        let mut value = string(&bytes);
        let read = |value: &StringValue| {
            let raw = (0..u64::from(bits)).fold(0u64, |raw, bit| raw << 1 | u64::from(get_bit(value, offset + bit)));
            let negative = signed && raw >> (bits - 1) & 1 == 1;
            if negative { raw.wrapping_sub(1u64.checked_shl(bits).unwrap_or(0)).cast_signed() } else { raw.cast_signed() }
        };
        let old = read(&value);
        prop_assert_eq!(get_field(&value, field, offset), old);
        prop_assert_eq!(set_field(&mut value, field, offset, number, Overflow::Wrap), Some(old));
        let stored = read(&value);
        prop_assert_eq!((stored ^ number) << (64 - bits), 0, "the lowest bits are stored");
        // Putting the old number back leaves the string as it was, but for zeroes at its end.
        set_field(&mut value, field, offset, old, Overflow::Fail);
        let mut padded = bytes.clone();
        padded.resize(value.len(), 0);
        prop_assert_eq!(value, string(&padded));
    }
}
