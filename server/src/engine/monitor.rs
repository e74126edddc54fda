//! MONITOR: shows running commands to the clients that asked to see them.
//!
//! The lines of a transaction are kept until it ends, because a transaction that needs a key from disk runs again. The
//! commands of a failed procedure are shown, too.

use std::fmt::Write as _;

use super::core::Core;
use super::limits::MAX_SHOWN_BYTES;
use super::unix_now;
use crate::command;
use crate::protocol::Reply;
use crate::state::Session;

/// The current transaction's lines for monitors.
#[derive(Debug, Default)]
pub struct Shown {
    lines: Vec<String>,
    bytes: usize,
}

impl Shown {
    /// Adds a line unless it would exceed the limit.
    fn add(&mut self, line: String) {
        if self.bytes + line.len() <= MAX_SHOWN_BYTES {
            self.bytes += line.len();
            self.lines.push(line);
        }
    }

    /// Adds the lines of a procedure that ran in the background.
    pub fn append(&mut self, other: Self) {
        other.lines.into_iter().for_each(|line| self.add(line));
    }

    /// A mark for [`Self::rollback`]: how many lines there are.
    pub fn mark(&self) -> usize {
        self.lines.len()
    }

    /// Forgets the lines since a mark, because what they show runs again and will add them again.
    pub fn rollback(&mut self, mark: usize) {
        self.bytes -= self.lines.drain(mark..).map(|line| line.len()).sum::<usize>();
    }

    /// Forgets all lines, because the transaction runs again and will add them again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Core {
    /// Shows a client's command.
    pub fn show(&mut self, session: &Session, arguments: &[&[u8]]) {
        let address = session.address.map(|address| address.to_string()).unwrap_or_default();
        self.show_as(session.database, &address, &command::redact(arguments));
    }

    /// Shows what the running procedure does, as if it were a command.
    pub fn show_of_procedure(&mut self, arguments: &[&[u8]]) {
        if !self.server.monitors.is_empty() {
            // Clients parse these lines, and know only this word for a command that comes from no connection.
            self.show_as(self.running.session.database, "lua", arguments);
        }
    }

    fn show_as(&mut self, database: u8, source: &str, arguments: &[&[u8]]) {
        if arguments.iter().map(|argument| argument.len()).sum::<usize>() > MAX_SHOWN_BYTES {
            return;
        }
        let now = unix_now();
        let mut line = format!("{}.{:06} [{database} {source}]", now.as_secs(), now.subsec_micros());
        for argument in arguments {
            line.push(' ');
            quote(argument, &mut line);
        }
        self.shown.add(line);
    }

    /// Sends the lines of the transaction that is ending.
    pub fn send_shown(&mut self) {
        for line in std::mem::take(&mut self.shown).lines {
            for mailbox in self.server.monitors.values() {
                mailbox.post(Reply::Simple(line.clone().into()), line.len());
            }
        }
    }
}

/// Appends bytes in quotes, with the escapes of C that Redis uses.
fn quote(bytes: &[u8], line: &mut String) {
    line.push('"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend(['\\', char::from(*byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(*byte)),
            other => {
                // Writing to a string never fails.
                let _ = write!(line, "\\x{other:02x}");
            }
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_shown_as_printable_text() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let mut line = String::new();
        quote(&all, &mut line);
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        for (bytes, expected) in [
            (&b"a \"b\"\\"[..], r#""a \"b\"\\""#),
            (b"\n\r\t\x07\x08", r#""\n\r\t\a\b""#),
            (b"\x00\x7f\xff", r#""\x00\x7f\xff""#),
            (b"", r#""""#),
        ] {
            let mut line = String::new();
            quote(bytes, &mut line);
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn no_more_is_kept_of_a_transaction_than_the_limit() {
        let mut shown = Shown::default();
        let line = "x".repeat(MAX_SHOWN_BYTES / 4);
        for _ in 0..6 {
            shown.add(line.clone());
        }
        assert_eq!((shown.lines.len(), shown.bytes), (4, MAX_SHOWN_BYTES));
        shown.clear();
        assert_eq!((shown.lines.len(), shown.bytes), (0, 0));
    }
}
