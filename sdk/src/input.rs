//! The keys and arguments of a call, and how they become the parameters of a function.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Error, Result};

/// The keys followed by the arguments of a call, taken one after the other.
pub struct Input<'a> {
    name: &'static str,
    usage: &'static str,
    values: &'a [&'a [u8]],
    taken: usize,
}

impl<'a> Input<'a> {
    /// `name` and `usage` are those of the procedure.
    pub(crate) fn new(name: &'static str, usage: &'static str, values: &'a [&'a [u8]]) -> Self {
        Self { name, usage, values, taken: 0 }
    }

    /// The next as the parameter called `parameter`. `Err` when it is missing or cannot be parsed.
    #[inline]
    pub fn take<T: Parameter<'a>>(&mut self, parameter: &'static str) -> Result<T> {
        match T::take(self) {
            Ok(value) => Ok(value),
            Err(Unfit::Missing) => Err(self.wrong_count()),
            Err(Unfit::NotA(expected)) => {
                Err(Error::new(format!("{}: {parameter} is not {expected}", self.name)))
            }
        }
    }

    /// `Err` when not all has been taken.
    #[inline]
    pub fn finish(&self) -> Result<()> {
        if self.taken == self.values.len() { Ok(()) } else { Err(self.wrong_count()) }
    }

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let value = self.values.get(self.taken)?;
        self.taken += 1;
        Some(value)
    }

    #[cold]
    fn wrong_count(&self) -> Error {
        Error::new(format!("{} expects {}, got {}", self.name, self.usage, self.values.len()))
    }
}

/// Why a key or argument could not become a parameter.
#[derive(Debug, PartialEq)]
pub enum Unfit {
    /// There is none left.
    Missing,
    /// It is not what is named here: "an integer".
    NotA(&'static str),
}

/// What can be a parameter of a procedure.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a procedure",
    note = "it can be &[u8], &str, Vec<u8>, String, an integer, f64, bool, an Option of these, or &[&[u8]]"
)]
pub trait Parameter<'a>: Sized {
    /// Takes what it needs from `input`.
    #[doc(hidden)]
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit>;
}

impl<'a> Parameter<'a> for &'a [u8] {
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
        input.next().ok_or(Unfit::Missing)
    }
}

impl<'a> Parameter<'a> for &'a str {
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
        core::str::from_utf8(<&[u8]>::take(input)?).map_err(|_| Unfit::NotA("UTF-8 text"))
    }
}

impl<'a> Parameter<'a> for Vec<u8> {
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
        <&[u8]>::take(input).map(Into::into)
    }
}

impl<'a> Parameter<'a> for String {
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
        <&str>::take(input).map(Into::into)
    }
}

impl<'a> Parameter<'a> for bool {
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
        match <&[u8]>::take(input)? {
            b"1" | b"true" => Ok(true),
            b"0" | b"false" => Ok(false),
            _ => Err(Unfit::NotA("true, false, 1 or 0")),
        }
    }
}

/// Missing only at the end of the list.
impl<'a, T: Parameter<'a>> Parameter<'a> for Option<T> {
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
        if input.taken == input.values.len() { Ok(None) } else { T::take(input).map(Some) }
    }
}

/// All that is left, be it nothing.
impl<'a> Parameter<'a> for &'a [&'a [u8]] {
    fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
        let rest = &input.values[input.taken..];
        input.taken = input.values.len();
        Ok(rest)
    }
}

macro_rules! numbers {
    ($($kind:ty, $expected:literal;)*) => {
        $(impl<'a> Parameter<'a> for $kind {
            fn take(input: &mut Input<'a>) -> Result<Self, Unfit> {
                let text = core::str::from_utf8(<&[u8]>::take(input)?).ok();
                text.and_then(|text| text.parse().ok()).ok_or(Unfit::NotA($expected))
            }
        })*
    };
}

numbers! {
    i64, "an integer";
    i32, "an integer of 32 bits";
    i16, "an integer of 16 bits";
    i8, "an integer of 8 bits";
    isize, "an integer in range";
    u64, "a whole number";
    u32, "a whole number of 32 bits";
    u16, "a whole number of 16 bits";
    u8, "a whole number of 8 bits";
    usize, "a whole number in range";
    f64, "a number";
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn input<'a>(values: &'a [&'a [u8]]) -> Input<'a> {
        Input::new("transfer", "from, amount: 2 keys and arguments", values)
    }

    #[test]
    fn a_parameter_is_parsed_by_its_type() {
        fn check<'a, T: Parameter<'a> + PartialEq + core::fmt::Debug>(
            values: &'a [&'a [u8]],
            expected: Result<T, &str>,
        ) {
            let taken = input(values).take::<T>("amount");
            assert_eq!(taken, expected.map_err(|text| Error::new(String::from(text))));
        }
        check(&[b"-5"], Ok(-5_i64));
        check::<i64>(&[b"5x"], Err("ERR transfer: amount is not an integer"));
        check::<i64>(&[b"9223372036854775808"], Err("ERR transfer: amount is not an integer"));
        check::<i64>(&[b"\xff"], Err("ERR transfer: amount is not an integer"));
        check::<u8>(&[b"256"], Err("ERR transfer: amount is not a whole number of 8 bits"));
        check(&[b"1e3"], Ok(1000.0));
        check(&[b"true"], Ok(true));
        check(&[b"0"], Ok(false));
        check::<bool>(&[b"yes"], Err("ERR transfer: amount is not true, false, 1 or 0"));
        check(&[b"\xff"], Ok(b"\xff".as_slice()));
        check(&[b"a"], Ok("a"));
        check(&[b"a"], Ok(b"a".to_vec()));
        check(&[b"a"], Ok(String::from("a")));
        check::<&str>(&[b"\xff"], Err("ERR transfer: amount is not UTF-8 text"));
        check(&[], Ok(None::<i64>));
        check(&[b"7"], Ok(Some(7_i64)));
        check::<Option<i64>>(&[b"x"], Err("ERR transfer: amount is not an integer"));
        check(&[b"a", b"b"], Ok([b"a".as_slice(), b"b"].as_slice()));
        check::<i64>(&[], Err("ERR transfer expects from, amount: 2 keys and arguments, got 0"));
    }

    #[test]
    fn all_parameters_must_be_used_up() {
        let values = vec![b"a".as_slice(), b"1", b"2"];
        let mut input = input(&values);
        assert_eq!((input.take("from"), input.take("amount")), (Ok("a"), Ok(1_i64)));
        let error = input.finish().unwrap_err();
        assert_eq!(error.text(), "ERR transfer expects from, amount: 2 keys and arguments, got 3");
    }
}
