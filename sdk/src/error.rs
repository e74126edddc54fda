//! Errors of procedures: text whose first word is a code.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

/// The result of what can fail in a procedure.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// An error reply. Returned by a procedure it undoes everything that the procedure did, and the client receives it.
///
/// Its text is `CODE message`; a text whose first word is not all capitals gets the code `ERR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Cow<'static, str>);

impl Error {
    /// From `CODE message` or a message alone. Line breaks become spaces, since an error reply is one line.
    #[must_use]
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self::normalized(text.into())
    }

    /// What went wrong, for errors that commands reply with.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let known = KINDS.iter().find(|(start, _)| self.text().starts_with(start));
        known.map_or(ErrorKind::Other, |(_, kind)| *kind)
    }

    fn normalized(text: Cow<'static, str>) -> Self {
        let word_len = text.bytes().position(|byte| byte == b' ').unwrap_or(text.len());
        // The server's own rule for what an aborting procedure's text begins with.
        let is_code = word_len > 1
            && text.as_bytes()[..word_len]
                .iter()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let code = if is_code { "" } else { "ERR " };
        let is_line_break = |character| matches!(character, '\r' | '\n');
        if is_code && !text.contains(is_line_break) {
            return Self(text);
        }
        let mut line = String::with_capacity(code.len() + text.len());
        line.push_str(code);
        line.extend(text.chars().map(|character| if is_line_break(character) { ' ' } else { character }));
        Self(line.into())
    }

    /// The whole text, as the client sees it: `CODE message`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The first word, by which clients tell errors apart.
    #[must_use]
    pub fn code(&self) -> &str {
        self.0.split_once(' ').map_or(&*self.0, |(code, _)| code)
    }
}

/// What went wrong in a command, as far as a procedure may want to tell it apart. See [`Error::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key holds a value of another type than the command is for.
    WrongType,
    /// A value, or an argument, is not a number of the kind that is needed.
    NotANumber,
    /// A sum does not fit, or is no number (infinity less infinity).
    Overflow,
    /// There is no element at that index.
    OutOfRange,
    /// The key does not exist, where the command needs one.
    NoSuchKey,
    /// The id of a new entry is not higher than all before in its stream.
    StreamIdTooLow,
    /// Anything else, such as the procedure's own errors.
    Other,
}

/// How the server's errors start.
const KINDS: &[(&str, ErrorKind)] = &[
    ("WRONGTYPE ", ErrorKind::WrongType),
    ("ERR value is not ", ErrorKind::NotANumber),
    ("ERR hash value is not ", ErrorKind::NotANumber),
    ("ERR increment or decrement would overflow", ErrorKind::Overflow),
    ("ERR resulting score is not a number", ErrorKind::Overflow),
    ("ERR index out of range", ErrorKind::OutOfRange),
    ("ERR no such key", ErrorKind::NoSuchKey),
    ("ERR The ID specified in XADD ", ErrorKind::StreamIdTooLow),
];

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

impl From<&'static str> for Error {
    fn from(text: &'static str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<core::str::Utf8Error> for Error {
    fn from(_: core::str::Utf8Error) -> Self {
        Self::new("not UTF-8 text")
    }
}

impl From<core::num::ParseIntError> for Error {
    fn from(_: core::num::ParseIntError) -> Self {
        Self::new("not an integer, or out of range")
    }
}

impl From<core::num::ParseFloatError> for Error {
    fn from(_: core::num::ParseFloatError) -> Self {
        Self::new("not a number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_line_that_starts_with_a_code() {
        let check = |text: &'static str, expected: &str, code: &str| {
            let error = Error::new(text);
            assert_eq!((error.text(), error.code()), (expected, code));
        };
        check("no such account", "ERR no such account", "ERR");
        check("INSUFFICIENT alice has 3", "INSUFFICIENT alice has 3", "INSUFFICIENT");
        check("Mixed case", "ERR Mixed case", "ERR");
        check("WITH-SIGNS text", "ERR WITH-SIGNS text", "ERR");
        check("CODE", "CODE", "CODE");
        check(" LEADING space", "ERR  LEADING space", "ERR");
        check("", "ERR ", "ERR");
        check("two\r\nlines", "ERR two  lines", "ERR");
    }

    #[test]
    fn errors_of_commands_are_told_apart() {
        let check = |text: &'static str, kind| assert_eq!(Error::new(text).kind(), kind, "{text}");
        check("WRONGTYPE Operation against a key holding the wrong kind of value", ErrorKind::WrongType);
        check("ERR value is not an integer or out of range", ErrorKind::NotANumber);
        check("ERR hash value is not an integer", ErrorKind::NotANumber);
        check("INSUFFICIENT funds", ErrorKind::Other);
    }
}
