use proptest::prelude::*;

use super::{IntegerBuffer, LongDouble, MAX_FLOAT_LEN, format_float, parse_float, parse_integer};

#[test]
fn only_canonical_integers_are_integers() {
    for (text, expected) in [
        ("0", Some(0)),
        ("7", Some(7)),
        ("-7", Some(-7)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("9999999999999999999", None),
        ("99999999999999999999", None),
        ("", None),
        ("-", None),
        ("+1", None),
        ("-0", None),
        ("00", None),
        ("01", None),
        ("-01", None),
        (" 1", None),
        ("1 ", None),
        ("1.0", None),
        ("1e3", None),
        ("0x1", None),
    ] {
        assert_eq!(parse_integer(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn floats_are_read_as_by_strtod() {
    for (text, expected) in [
        ("1", Some(1.0)),
        ("+5", Some(5.0)),
        ("-0", Some(-0.0)),
        ("5.", Some(5.0)),
        (".5", Some(0.5)),
        ("3.0e3", Some(3000.0)),
        ("5.E-1", Some(0.5)),
        ("1e-320", Some(1e-320)),
        ("0e999", Some(0.0)),
        ("inf", Some(f64::INFINITY)),
        ("-Infinity", Some(f64::NEG_INFINITY)),
        ("0x10", Some(16.0)),
        ("0X.8", Some(0.5)),
        ("-0x1.8p-2", Some(-0.375)),
        ("0x1p-1074", Some(5e-324)),
        ("0x1.fffffffffffff8p0", Some(2.0)),
        ("0x1p1023", Some(f64::MAX / 2.0 + f64::MAX / 2.0_f64.powi(54))),
        ("0x1p1024", None),
        ("0x1p-1080", None),
        ("0x1p99999999999", None),
        ("0x", None),
        ("nan", None),
        ("infin", None),
        ("", None),
        ("-", None),
        (".", None),
        ("1e", None),
        ("1e+", None),
        (" 5", None),
        ("5 ", None),
        ("1_0", None),
        ("1e400", None),
        ("1e-400", None),
    ] {
        assert_eq!(parse_float(text.as_bytes()).map(f64::to_bits), expected.map(f64::to_bits), "{text:?}");
    }
    assert_eq!(parse_float(b"\xff"), None);
    assert_eq!(parse_float(&[b'1'; MAX_FLOAT_LEN + 1]), None);
}

#[test]
fn floats_print_as_in_redis_7_2() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-17.0, "-17"),
        (0.1, "0.1"),
        (1.0 / 3.0, "0.3333333333333333"),
        (3.25, "3.25"),
        (-1234.5678, "-1234.5678"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e15, "1000000000000000"),
        (1e16, "1e+16"),
        (4.606_348_609_474_027e22, "46063486094740270000000"),
        (-4.606_348_609_474_027e22, "-4.606348609474027e+22"),
        (-4.606_348_609_474_027e21, "-4606348609474027000000"),
        (9_007_199_254_740_994.0, "9007199254740994"),
        (12_345_678e14, "1.2345678e+21"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ] {
        assert_eq!(format_float(value), expected);
    }
}

fn sum(left: &str, right: &str) -> Option<String> {
    let (left, right) = (LongDouble::parse(left.as_bytes())?, LongDouble::parse(right.as_bytes())?);
    left.checked_add(right).map(LongDouble::format)
}

/// What redis-server 7.0.15 answers to INCRBYFLOAT.
#[test]
fn sums_have_the_digits_of_long_doubles() {
    for (left, right, expected) in [
        ("0.1", "0.2", Some("0.3")),
        ("3.0e3", "200", Some("3200")),
        ("5.0e3", "0", Some("5000")),
        ("10.50", "0.1", Some("10.6")),
        ("10.6", "-5", Some("5.6")),
        ("1", "-1", Some("0")),
        ("-0", "-1e-30", Some("0")),
        ("0x1p-2", "0X1", Some("1.25")),
        ("9223372036854775807", "1", Some("9223372036854775808")),
        ("18446744073709551615", "1", Some("18446744073709551616")),
        ("1e400", "nan", None),
        ("inf", "1", None),
        ("1", "-inf", None),
        ("1e4932", "1e4932", None),
        ("1e4933", "0", None),
        ("1e-4950", "0", Some("0")),
        ("1e-5000", "0", None),
        ("1e99999999999999999999", "0", None),
        ("1e-99999999999999999999", "0", None),
        ("0e99999999999999999999", "0", Some("0")),
        ("", "0", None),
        (" 1", "0", None),
    ] {
        assert_eq!(sum(left, right).as_deref(), expected, "{left} + {right}");
    }
}

#[test]
fn the_longest_texts_are_read_and_longer_ones_refused() {
    let longest = format!("0.{}", "7".repeat(MAX_FLOAT_LEN - 2));
    assert_eq!(sum(&longest, "0").as_deref(), Some("0.77777777777777778"));
    assert_eq!(sum(&format!("{longest}7"), "0"), None);
    let tiny = format!("{}e-{}", "7".repeat(MAX_FLOAT_LEN - 6), 9000);
    assert_eq!(sum(&tiny, "0").as_deref(), Some("0"));
    let huge = sum("1e4932", "0").expect("in range");
    assert_eq!((huge.len(), &huge[..20]), (4933, "10000000000000000000"));
}

proptest! {
    #[test]
    fn integers_read_back(integer: i64) {
        prop_assert_eq!(parse_integer(IntegerBuffer::new().format(integer)), Some(integer));
    }

    #[test]
    fn what_reads_as_an_integer_prints_the_same(text in "[-+ ]?[0-9]{0,20}") {
        if let Some(integer) = parse_integer(text.as_bytes()) {
            prop_assert_eq!(integer.to_string(), text);
        } else {
            prop_assert!(text.parse::<i64>().map_or(true, |integer| integer.to_string() != text));
        }
    }

    #[test]
    fn floats_read_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(!value.is_nan());
        prop_assert_eq!(parse_float(format_float(value).as_bytes()), Some(value));
    }

    #[test]
    fn hexadecimal_floats_are_exact(mantissa in 0u64..1 << 53, exponent in -1074i32..971) {
        let text = format!("0x{mantissa:x}p{exponent}");
        let expected = mantissa as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
        prop_assert_eq!(parse_float(text.as_bytes()), Some(expected));
    }

    #[test]
    fn integers_are_long_doubles(left: i64, right: i64) {
        let sum = LongDouble::from(left).checked_add(LongDouble::from(right)).map(LongDouble::format);
        // 64 bits of mantissa hold any sum of two such numbers.
        prop_assert_eq!(sum, Some((i128::from(left) + i128::from(right)).to_string()));
        prop_assert_eq!(LongDouble::parse(left.to_string().as_bytes()), Some(LongDouble::from(left)));
    }

    #[test]
    fn no_text_makes_numbers_panic(text in "[-+0-9.eExXpPinfaA]{0,24}") {
        let _ = (parse_float(text.as_bytes()), LongDouble::parse(text.as_bytes()).map(LongDouble::format));
    }
}
