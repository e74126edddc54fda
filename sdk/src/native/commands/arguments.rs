//! What the words of commands mean, and the shapes of replies.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Error, Reply, Result};

pub const SYNTAX_ERROR: &str = "ERR syntax error";

/// As Redis reads integers: no plus sign, no leading zero, no space.
pub fn integer(text: &[u8]) -> Result<i64> {
    read_integer(text).ok_or_else(|| "ERR value is not an integer or out of range".into())
}

/// The same, where the command has an error of its own.
pub fn read_integer(text: &[u8]) -> Option<i64> {
    let number: i64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    Some(number).filter(|number| format!("{number}").as_bytes() == text)
}

/// A score or its like.
pub fn double(text: &[u8]) -> Result<f64> {
    read_double(text).ok_or_else(|| "ERR value is not a valid float".into())
}

/// A double that is a number; infinity is one.
pub fn read_double(text: &[u8]) -> Option<f64> {
    let number: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    Some(number).filter(|number| !number.is_nan())
}

/// Whether a word is this option, in whatever case.
pub fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

/// Start and end of a range of `len` elements, given by two indexes of which negative ones count from the end, and of
/// which the second is inclusive.
pub fn range(first: &[u8], last: &[u8], len: usize) -> Result<core::ops::Range<usize>> {
    let len = len as i64;
    let index = |text| integer(text).map(|index| if index < 0 { index.saturating_add(len) } else { index });
    let (start, end) = (index(first)?.clamp(0, len), index(last)?.clamp(-1, len - 1) + 1);
    Ok(start as usize..end.max(start) as usize)
}

/// How many elements a command with an optional count is about; `None` when it is not given.
pub fn optional_count(words: &[&[u8]]) -> Result<Option<usize>> {
    match words {
        [] => Ok(None),
        [count] => {
            let count = read_integer(count).and_then(|count| usize::try_from(count).ok());
            count.map(Some).ok_or_else(|| "ERR value is out of range, must be positive".into())
        }
        _ => Err(SYNTAX_ERROR.into()),
    }
}

/// `Err` when the words do not pair up.
pub fn pairs<'w, 'a>(
    command: &str,
    words: &'w [&'a [u8]],
) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'w, 'a>> {
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err(wrong_arity(command));
    }
    Ok(words.chunks(2).map(|pair| (pair[0], pair[1])))
}

pub fn wrong_arity(command: &str) -> Error {
    Error::new(format!("ERR wrong number of arguments for '{}' command", command.to_ascii_lowercase()))
}

/// The name of a command as errors have it.
pub fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

/// A bulk string, or nil.
pub fn bulk(value: Option<&Vec<u8>>) -> Reply {
    value.map_or(Reply::Nil, |value| Reply::Bulk(value.clone()))
}

/// An array of bulk strings.
pub fn bulks<'a>(values: impl IntoIterator<Item = &'a Vec<u8>>) -> Reply {
    Reply::Array(values.into_iter().map(|value| Reply::Bulk(value.clone())).collect())
}

/// The number of something.
pub fn count(number: usize) -> Reply {
    Reply::Integer(number as i64)
}

/// 1 or 0.
pub fn flag(flag: bool) -> Reply {
    Reply::Integer(i64::from(flag))
}
