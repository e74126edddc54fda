//! The encoding of requests and replies: RESP, of which replies use version 3.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Error, Reply, Result, decimal};

/// A type byte, the digits of a length, CR and LF.
pub const MAX_HEADER_BYTES: usize = 23;

/// How deep arrays may be nested in a reply that is read: no reply of the server comes near it, and a guest's stack
/// is small.
const MAX_DEPTH: usize = 16;

/// Appends `kind`, a decimal number, and the end of the line.
pub fn push_header(output: &mut Vec<u8>, kind: u8, length: usize) {
    output.push(kind);
    decimal::push_unsigned(output, length as u64);
    output.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
pub fn push_bulk(output: &mut Vec<u8>, bytes: &[u8]) {
    output.reserve(bytes.len() + MAX_HEADER_BYTES + 2);
    push_header(output, b'$', bytes.len());
    output.extend_from_slice(bytes);
    output.extend_from_slice(b"\r\n");
}

/// Appends `reply` in RESP3.
pub fn push_reply(output: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Nil => output.extend_from_slice(b"_\r\n"),
        Reply::Status(text) => push_line(output, b'+', text.as_bytes()),
        Reply::Error(error) => push_line(output, b'-', error.text().as_bytes()),
        Reply::Double(text) => push_line(output, b',', text.as_bytes()),
        Reply::BigNumber(text) => push_line(output, b'(', text.as_bytes()),
        Reply::Boolean(true) => output.extend_from_slice(b"#t\r\n"),
        Reply::Boolean(false) => output.extend_from_slice(b"#f\r\n"),
        Reply::Integer(number) => {
            output.push(b':');
            decimal::push(output, *number);
            output.extend_from_slice(b"\r\n");
        }
        Reply::Bulk(bytes) => push_bulk(output, bytes),
        Reply::Array(items) => push_items(output, b'*', items),
        Reply::Set(items) => push_items(output, b'~', items),
        Reply::Map(pairs) => {
            push_header(output, b'%', pairs.len());
            for (key, value) in pairs {
                push_reply(output, key);
                push_reply(output, value);
            }
        }
    }
}

fn push_items(output: &mut Vec<u8>, kind: u8, items: &[Reply]) {
    push_header(output, kind, items.len());
    for item in items {
        push_reply(output, item);
    }
}

/// A line cannot hold line breaks: they become spaces.
fn push_line(output: &mut Vec<u8>, kind: u8, text: &[u8]) {
    output.push(kind);
    output.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    output.extend_from_slice(b"\r\n");
}

/// Reads one whole reply, of RESP2 or RESP3. `Err` when it is malformed or nested too deeply.
pub fn parse_reply(bytes: &[u8]) -> Result<Reply> {
    let mut reader = Reader { rest: bytes };
    match reader.reply(MAX_DEPTH) {
        Some(reply) if reader.rest.is_empty() => Ok(reply),
        _ => Err(Error::new("a reply in RESP was expected")),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: usize) -> Option<Reply> {
        let depth = depth.checked_sub(1)?;
        let line = self.line()?;
        let (&kind, line) = line.split_first()?;
        Some(match kind {
            b'+' => Reply::Status(text(line)?.into()),
            b'-' => Reply::Error(Error::new(text(line)?)),
            b':' => Reply::Integer(number(line)?),
            b',' => Reply::Double(text(line)?),
            b'(' => Reply::BigNumber(text(line)?),
            b'_' if line.is_empty() => Reply::Nil,
            b'#' if line == b"t" => Reply::Boolean(true),
            b'#' if line == b"f" => Reply::Boolean(false),
            b'$' | b'*' if line == b"-1" => Reply::Nil,
            b'$' => Reply::Bulk(self.bulk(line)?.to_vec()),
            // `txt:` or another format, and the text.
            b'=' => Reply::Bulk(self.bulk(line)?.get(4..)?.to_vec()),
            b'!' => Reply::Error(Error::new(text(self.bulk(line)?)?)),
            b'*' | b'>' => Reply::Array(self.items(line, depth)?),
            b'~' => Reply::Set(self.items(line, depth)?),
            b'%' => {
                let mut pairs = Vec::new();
                for _ in 0..number(line)? {
                    pairs.push((self.reply(depth)?, self.reply(depth)?));
                }
                Reply::Map(pairs)
            }
            _ => return None,
        })
    }

    /// `line` is the text after the type byte: the number of items.
    fn items(&mut self, line: &[u8], depth: usize) -> Option<Vec<Reply>> {
        // Every item is read before there is room for it, so a wrong count cannot ask for much memory.
        (0..number(line)?).map(|_| self.reply(depth)).collect()
    }

    fn bulk(&mut self, line: &[u8]) -> Option<&'a [u8]> {
        let length = usize::try_from(number(line)?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest.strip_prefix(b"\r\n")?;
        Some(bytes)
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 2..];
        Some(line)
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    core::str::from_utf8(bytes).ok().map(String::from)
}

fn number(digits: &[u8]) -> Option<i64> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let check = |reply: Reply, wire: &str| {
            let mut bytes = Vec::new();
            push_reply(&mut bytes, &reply);
            assert_eq!(core::str::from_utf8(&bytes), Ok(wire));
            assert_eq!(parse_reply(&bytes), Ok(reply));
        };
        check(Reply::Nil, "_\r\n");
        check(Reply::OK, "+OK\r\n");
        check(Reply::Integer(-5), ":-5\r\n");
        check(Reply::Boolean(true), "#t\r\n");
        check(Reply::Boolean(false), "#f\r\n");
        check(Reply::from(1.5), ",1.5\r\n");
        check(Reply::BigNumber("123".into()), "(123\r\n");
        check(Reply::Bulk(b"a\r\nb".to_vec()), "$4\r\na\r\nb\r\n");
        check(Reply::Error(Error::new("ERR no")), "-ERR no\r\n");
        check(Reply::Set(vec![Reply::Integer(1)]), "~1\r\n:1\r\n");
        check(Reply::Map(vec![(Reply::Integer(1), Reply::Nil)]), "%1\r\n:1\r\n_\r\n");
        check(Reply::Array(vec![Reply::Integer(1), Reply::Array(vec![])]), "*2\r\n:1\r\n*0\r\n");
    }

    #[test]
    fn forms_that_are_only_read_are_read() {
        let check = |wire: &str, reply: Reply| assert_eq!(parse_reply(wire.as_bytes()), Ok(reply));
        check("$-1\r\n", Reply::Nil);
        check("*-1\r\n", Reply::Nil);
        check("=8\r\ntxt:some\r\n", Reply::Bulk(b"some".to_vec()));
        check("!6\r\nERR no\r\n", Reply::Error(Error::new("ERR no")));
        check(">1\r\n:1\r\n", Reply::Array(vec![Reply::Integer(1)]));
    }

    #[test]
    fn malformed_replies_are_refused() {
        let deep = ["*1\r\n".repeat(MAX_DEPTH), ":1\r\n".into()].concat();
        let malformed = [
            "",
            ":",
            ":1",
            ":x\r\n",
            "?\r\n",
            "$3\r\nab\r\n",
            "$-2\r\n",
            "*2\r\n:1\r\n",
            ":1\r\n:2\r\n",
            "=2\r\nab\r\n",
            "#x\r\n",
            "$99999999999999999999\r\n",
            "*9223372036854775807\r\n",
            &deep,
        ];
        for wire in malformed {
            assert!(parse_reply(wire.as_bytes()).is_err(), "{wire:?}");
        }
        assert!(parse_reply(&deep.as_bytes()[4..]).is_ok(), "one level less is read");
    }

    #[test]
    fn a_line_break_cannot_split_a_reply() {
        let mut bytes = Vec::new();
        push_reply(&mut bytes, &Reply::Status("a\r\n:1".into()));
        assert_eq!(bytes, b"+a  :1\r\n");
    }
}
