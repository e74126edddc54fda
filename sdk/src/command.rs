//! Commands that a procedure runs: a builder of requests.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{decimal, resp};

/// A command of the server with its arguments, for [`Db::command`](crate::Db::command).
///
/// ```
/// # use kvasm_sdk::{Command, Db};
/// # let mut db = Db::test();
/// db.command(Command::new("SET").arg("session").arg(b"\x00\x01").arg("PX").arg(1500))?;
/// assert_eq!(db.command_ro(Command::new("PTTL").arg("session"))?.as_integer(), Some(1500));
/// # Ok::<(), kvasm_sdk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Command {
    words: usize,
    /// The words as bulk strings.
    body: Vec<u8>,
}

impl Command {
    /// The command of that name, without arguments.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { words: 0, body: Vec::new() }.arg(name)
    }

    /// Adds an argument: text, bytes or a number.
    #[must_use]
    pub fn arg(mut self, argument: impl Argument) -> Self {
        self.words += 1;
        argument.write(&mut self.body);
        self
    }

    /// Adds each of `arguments`.
    #[must_use]
    pub fn args<A: Argument>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Adds each of `arguments`; `None` when there is none, which the server would take for too few words.
    pub(crate) fn args_if_any<A: Argument>(self, arguments: impl IntoIterator<Item = A>) -> Option<Self> {
        let words = self.words;
        Some(self.args(arguments)).filter(|command| command.words > words)
    }

    /// Adds both of each pair; `None` when there is none.
    pub(crate) fn pairs_if_any<A: Argument, B: Argument>(
        self,
        pairs: impl IntoIterator<Item = (A, B)>,
    ) -> Option<Self> {
        let words = self.words;
        let command = pairs.into_iter().fold(self, |command, (first, second)| command.arg(first).arg(second));
        Some(command).filter(|command| command.words > words)
    }

    /// The request in RESP: an array of bulk strings.
    pub(crate) fn into_request(self) -> Vec<u8> {
        let mut request = Vec::with_capacity(self.body.len() + resp::MAX_HEADER_BYTES);
        resp::push_header(&mut request, b'*', self.words);
        request.extend_from_slice(&self.body);
        request
    }
}

/// What can be an argument of a [`Command`]. Its one method writes the argument as a bulk string.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be an argument of a command")]
pub trait Argument {
    /// Appends the argument in RESP.
    #[doc(hidden)]
    fn write(&self, body: &mut Vec<u8>);
}

impl<A: Argument + ?Sized> Argument for &A {
    fn write(&self, body: &mut Vec<u8>) {
        (**self).write(body);
    }
}

impl Argument for [u8] {
    fn write(&self, body: &mut Vec<u8>) {
        resp::push_bulk(body, self);
    }
}

impl<const LENGTH: usize> Argument for [u8; LENGTH] {
    fn write(&self, body: &mut Vec<u8>) {
        resp::push_bulk(body, self);
    }
}

impl Argument for Vec<u8> {
    fn write(&self, body: &mut Vec<u8>) {
        resp::push_bulk(body, self);
    }
}

impl Argument for str {
    fn write(&self, body: &mut Vec<u8>) {
        resp::push_bulk(body, self.as_bytes());
    }
}

impl Argument for String {
    fn write(&self, body: &mut Vec<u8>) {
        resp::push_bulk(body, self.as_bytes());
    }
}

macro_rules! integer_arguments {
    ($($kind:ty, $push:ident;)*) => {
        $(impl Argument for $kind {
            fn write(&self, body: &mut Vec<u8>) {
                let mut digits = Vec::new();
                decimal::$push(&mut digits, (*self).into());
                resp::push_bulk(body, &digits);
            }
        })*
    };
}

integer_arguments! {
    i32, push;
    i64, push;
    u8, push_unsigned;
    u16, push_unsigned;
    u32, push_unsigned;
    u64, push_unsigned;
}

impl Argument for usize {
    fn write(&self, body: &mut Vec<u8>) {
        (*self as u64).write(body);
    }
}

impl Argument for f64 {
    fn write(&self, body: &mut Vec<u8>) {
        // `Display` never uses an exponent and prints infinity as the server reads it.
        format!("{self}").write(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_becomes_an_array_of_bulk_strings() {
        let command =
            Command::new("SET").arg(b"k\r\n").arg("v").arg(-7).args(["PX", "10"]).arg(u64::MAX).arg(-0.5);
        let expected = "*8\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$1\r\nv\r\n$2\r\n-7\r\n$2\r\nPX\r\n$2\r\n10\r\n\
                        $20\r\n18446744073709551615\r\n$4\r\n-0.5\r\n";
        assert_eq!(command.into_request(), expected.as_bytes());
    }

    #[test]
    fn a_command_without_its_elements_is_not_made() {
        let command = || Command::new("SADD").arg("k");
        assert!(command().args_if_any::<&str>([]).is_none());
        assert!(command().pairs_if_any::<&str, &str>([]).is_none());
        let added = command().pairs_if_any([("a", 1)]).map(Command::into_request);
        assert_eq!(added, Some(command().arg("a").arg(1).into_request()));
    }
}
