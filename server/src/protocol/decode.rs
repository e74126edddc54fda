//! RESP from procedures: the requests and replies that a guest writes into its memory.
//!
//! The bytes are a guest's, so depth and announced lengths are limited before anything is allocated for them, and
//! maps keep their order: two things that `redis-protocol`'s decoder does not promise. The tests compare with it.

use std::borrow::Cow;

use super::Reply;
use crate::types::{StringValue, parse_float, parse_integer};

/// Aggregates in a guest's value may be nested this deep.
const MAX_NESTING: usize = 32;

/// Decodes a request: an array of bulk strings and nothing behind it. `None` when it is anything else.
#[must_use]
pub fn decode_request(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut input = Input { rest: bytes };
    let (b'*', header) = input.line()? else { return None };
    let count = input.length(header)?;
    let mut arguments = Vec::with_capacity(count);
    for _ in 0..count {
        let (b'$', header) = input.line()? else { return None };
        arguments.push(input.bulk(header)?);
    }
    input.rest.is_empty().then_some(arguments)
}

/// Decodes one complete RESP2 or RESP3 value with nothing behind it. `None` when it is anything else.
#[must_use]
pub fn decode_reply(bytes: &[u8]) -> Option<Reply> {
    let mut input = Input { rest: bytes };
    let reply = input.value(0)?;
    input.rest.is_empty().then_some(reply)
}

/// Checks what [`decode_reply`] would decode, without building it, and counts the values in it.
pub fn check_reply(bytes: &[u8], max_values: usize) -> Result<usize, BadReply> {
    let mut input = Input { rest: bytes };
    let mut values = 0;
    input.check(0, max_values, &mut values)?;
    if input.rest.is_empty() { Ok(values) } else { Err(BadReply::Malformed) }
}

/// Why [`check_reply`] refuses a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReply {
    /// It is not one complete value.
    Malformed,
    /// It has too many values.
    TooManyValues,
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn value(&mut self, depth: usize) -> Option<Reply> {
        if depth > MAX_NESTING {
            return None;
        }
        let (kind, header) = self.line()?;
        Some(match kind {
            b'*' if header == b"-1" => Reply::NullArray,
            b'*' => Reply::Array(self.values(header, depth)?),
            b'~' => Reply::Set(self.values(header, depth)?),
            b'>' => Reply::Push(self.values(header, depth)?),
            b'%' => Reply::Map(self.pairs(header, depth)?),
            _ => self.scalar(kind, header)?,
        })
    }

    /// Goes over a value as [`value`](Self::value) does, and adds to the number of values.
    fn check(&mut self, depth: usize, max_values: usize, values: &mut usize) -> Result<(), BadReply> {
        if depth > MAX_NESTING {
            return Err(BadReply::Malformed);
        }
        *values += 1;
        if *values > max_values {
            return Err(BadReply::TooManyValues);
        }
        let (kind, header) = self.line().ok_or(BadReply::Malformed)?;
        let per_element = match kind {
            b'*' if header == b"-1" => return Ok(()),
            b'*' | b'~' | b'>' => 1,
            b'%' => 2,
            _ => return self.scalar(kind, header).map(drop).ok_or(BadReply::Malformed),
        };
        let count = self.length(header).ok_or(BadReply::Malformed)?;
        (0..count * per_element).try_for_each(|_| self.check(depth + 1, max_values, values))
    }

    fn scalar(&mut self, kind: u8, header: &'a [u8]) -> Option<Reply> {
        Some(match kind {
            b'+' => Reply::Simple(text(header)?),
            b'-' => Reply::Error(text(header)?),
            b':' => Reply::Integer(parse_integer(header)?),
            b'$' if header == b"-1" => Reply::Null,
            b'$' => Reply::Bulk(StringValue::raw(self.bulk(header)?)),
            b'_' if header.is_empty() => Reply::Null,
            b',' => Reply::Double(parse_float(header)?),
            b'#' if header == b"t" => Reply::Boolean(true),
            b'#' if header == b"f" => Reply::Boolean(false),
            b'(' => Reply::BigNumber(big_number(header)?),
            b'=' => {
                let body = self.bulk(header)?;
                let (_format, body) = body.split_at_checked(4)?;
                Reply::Verbatim(String::from_utf8(body.to_vec()).ok()?)
            }
            b'!' => Reply::Error(text(self.bulk(header)?)?),
            _ => return None,
        })
    }

    fn values(&mut self, header: &[u8], depth: usize) -> Option<Vec<Reply>> {
        let count = self.length(header)?;
        (0..count).map(|_| self.value(depth + 1)).collect()
    }

    fn pairs(&mut self, header: &[u8], depth: usize) -> Option<Vec<(Reply, Reply)>> {
        let count = self.length(header)?;
        (0..count).map(|_| Some((self.value(depth + 1)?, self.value(depth + 1)?))).collect()
    }

    /// A count of elements; each takes three bytes at the least, so a greater one than that is a lie.
    fn length(&self, header: &[u8]) -> Option<usize> {
        let count = usize::try_from(parse_integer(header)?).ok()?;
        (count <= self.rest.len() / 3).then_some(count)
    }

    fn bulk(&mut self, header: &[u8]) -> Option<&'a [u8]> {
        let length = usize::try_from(parse_integer(header)?).ok()?;
        let (body, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest.strip_prefix(b"\r\n")?;
        Some(body)
    }

    fn line(&mut self) -> Option<(u8, &'a [u8])> {
        let end = memchr::memchr(b'\r', self.rest)?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(b"\r\n")?;
        line.split_first().map(|(kind, header)| (*kind, header))
    }
}

fn text(bytes: &[u8]) -> Option<Cow<'static, str>> {
    String::from_utf8(bytes.to_vec()).ok().map(Cow::Owned)
}

fn big_number(digits: &[u8]) -> Option<String> {
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    let valid = !unsigned.is_empty() && unsigned.iter().all(u8::is_ascii_digit);
    valid.then(|| digits.iter().map(|&digit| digit as char).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Version, encode};

    #[test]
    fn every_reply_survives_its_own_resp3_encoding() {
        let reply = Reply::Array(vec![
            Reply::OK,
            Reply::error("ERR no"),
            Reply::Integer(i64::MIN),
            Reply::Bulk(StringValue::raw(b"a\r\nb")),
            Reply::Null,
            Reply::Double(-0.25),
            Reply::Boolean(false),
            Reply::BigNumber("-123456789012345678901234567890".into()),
            Reply::Verbatim("text".into()),
            Reply::Set(vec![Reply::Integer(1)]),
            Reply::Push(vec![Reply::Integer(2)]),
            Reply::Map(vec![(Reply::Integer(2), Reply::OK), (Reply::Integer(1), Reply::OK)]),
        ]);
        let mut bytes = Vec::new();
        encode(&reply, Version::Resp3, &mut bytes);
        assert_eq!(decode_reply(&bytes), Some(reply));
        // The array, its twelve elements, and what is in the last three.
        assert_eq!(check_reply(&bytes, 19), Ok(19));
        assert_eq!(check_reply(&bytes, 18), Err(BadReply::TooManyValues));
        for end in 0..bytes.len() {
            assert_eq!(decode_reply(&bytes[..end]), None, "cut at {end}");
            assert_eq!(check_reply(&bytes[..end], 19), Err(BadReply::Malformed), "cut at {end}");
        }
    }

    #[test]
    fn lies_about_lengths_and_endless_nesting_are_refused() {
        for bytes in [
            b"*1000000000\r\n".as_slice(),
            b"%9999\r\n",
            b"$5\r\nab\r\n",
            b"$-2\r\n",
            b":1x\r\n",
            b"#x\r\n",
            b"(1a\r\n",
            b"=2\r\nab\r\n",
            b":1\r\n:2\r\n",
            b"",
            &b"*1\r\n".repeat(1000),
        ] {
            assert_eq!(decode_reply(bytes), None, "{}", String::from_utf8_lossy(bytes));
            assert_eq!(
                check_reply(bytes, 9_999),
                Err(BadReply::Malformed),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        let nested = [b"*1\r\n".repeat(MAX_NESTING).as_slice(), b":1\r\n"].concat();
        assert!(decode_reply(&nested).is_some());
        assert_eq!(check_reply(&nested, 33), Ok(33));
    }

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        assert_eq!(decode_request(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), Some(vec![b"GET".as_slice(), b"k"]));
        for bytes in
            [b"*1\r\n:1\r\n".as_slice(), b"+PING\r\n", b"*1\r\n$3\r\nGET\r\nx", b"*2\r\n$3\r\nGET\r\n"]
        {
            assert_eq!(decode_request(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
