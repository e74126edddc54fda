//! Scanning requests: arrays of bulk strings, and inline commands.
//!
//! Redis clients send nothing else, so the usual form is scanned in place, without a general decoder's frames,
//! and the arguments stay where they were read. Errors have Redis' texts, because clients' tests compare them.

use std::borrow::Cow;
use std::ops::Range;

/// An inline command, or the line that announces a length, may be no longer than this (Redis: `PROTO_INLINE_MAX_SIZE`).
const MAX_LINE_LEN: usize = 64 * 1024;
/// A client that has not authenticated may send no more arguments, nor longer ones, than `AUTH` and `HELLO` need.
const MAX_UNAUTHENTICATED_ARGUMENTS: i64 = 10;
const MAX_UNAUTHENTICATED_ARGUMENT_LEN: i64 = 16 * 1024;
/// The most arguments one request may have, as in Redis.
const MAX_ARGUMENTS: i64 = i32::MAX as i64;
/// Argument slots reserved ahead of their arrival; an announced count alone must not make the server allocate.
const MAX_RESERVED_ARGUMENTS: usize = 1024;

/// Limits that depend on the configuration and on the connection's state.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// `proto-max-bulk-len`.
    pub max_bulk_len: u64,
    /// Whether the client may send requests of any size.
    pub authenticated: bool,
}

/// One complete request, as positions in the buffer that was scanned.
#[derive(Debug)]
pub enum Request<'a> {
    /// Arguments in the buffer.
    Bulks(&'a [Range<usize>]),
    /// Arguments of an inline command, unquoted.
    Inline(Vec<Vec<u8>>),
}

/// Why the connection cannot be read any further; the text goes to the client after `-ERR Protocol error: `.
#[derive(Debug, PartialEq, Eq)]
pub struct ProtocolError(pub Cow<'static, str>);

impl ProtocolError {
    const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// Remembers how far an incomplete request has been scanned, so that a slow sender costs no second scan.
#[derive(Debug, Default)]
pub struct RequestParser {
    arguments: Vec<Range<usize>>,
    /// Arguments still to come; `None` between requests.
    missing: Option<usize>,
    /// The next byte to look at.
    position: usize,
    /// The announced length of the argument whose bytes are awaited.
    bulk_len: Option<usize>,
}

impl RequestParser {
    /// Scans `buffer`, which starts with the first byte of a request.
    ///
    /// Gives the request and its length, or `None` when more bytes are needed. Call it again with the same bytes and
    /// what has arrived since.
    pub fn next(
        &mut self,
        buffer: &[u8],
        limits: RequestLimits,
    ) -> Result<Option<(Request<'_>, usize)>, ProtocolError> {
        if self.missing.is_none() {
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let Some((count, after)) = array_header(buffer, limits)? else { return Ok(None) };
                    self.position = after;
                    self.arguments.clear();
                    self.arguments.reserve(count.min(MAX_RESERVED_ARGUMENTS));
                    self.missing = Some(count);
                }
                Some(_) => return inline(buffer),
            }
        }
        let mut missing = self.missing.unwrap_or(0);
        while missing > 0 {
            let Some(argument) = self.argument(buffer, limits)? else {
                self.missing = Some(missing);
                return Ok(None);
            };
            self.arguments.push(argument);
            missing -= 1;
        }
        let length = self.position;
        self.missing = None;
        self.position = 0;
        Ok(Some((Request::Bulks(&self.arguments), length)))
    }

    /// Whether the next byte to look at is the first one of a request.
    #[must_use]
    pub fn is_between_requests(&self) -> bool {
        self.missing.is_none()
    }

    /// How many bytes the request now being received still lacks at the least; for sizing the next read.
    #[must_use]
    pub fn missing_bytes(&self, buffered: usize) -> usize {
        self.bulk_len.map_or(0, |len| (self.position + len + 2).saturating_sub(buffered))
    }

    fn argument(
        &mut self,
        buffer: &[u8],
        limits: RequestLimits,
    ) -> Result<Option<Range<usize>>, ProtocolError> {
        let len = if let Some(len) = self.bulk_len {
            len
        } else {
            match buffer.get(self.position) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(&other) => {
                    let shown = if other.is_ascii() { (other as char).to_string() } else { "?".to_owned() };
                    return Err(ProtocolError(format!("expected '$', got '{shown}'").into()));
                }
            }
            let Some((digits, after)) = line(buffer, self.position + 1, "too big bulk count string")? else {
                return Ok(None);
            };
            let len = integer(digits)
                .filter(|&len| len >= 0 && len as u64 <= limits.max_bulk_len)
                .ok_or(ProtocolError::new("invalid bulk length"))?;
            if !limits.authenticated && len > MAX_UNAUTHENTICATED_ARGUMENT_LEN {
                return Err(ProtocolError::new("unauthenticated bulk length"));
            }
            self.position = after;
            self.bulk_len = Some(len as usize);
            len as usize
        };
        let end = self.position + len;
        if buffer.len() < end + 2 {
            return Ok(None);
        }
        let argument = self.position..end;
        // Redis does not look at the two bytes that end an argument either.
        self.position = end + 2;
        self.bulk_len = None;
        Ok(Some(argument))
    }
}

fn array_header(buffer: &[u8], limits: RequestLimits) -> Result<Option<(usize, usize)>, ProtocolError> {
    let Some((digits, after)) = line(buffer, 1, "too big mbulk count string")? else { return Ok(None) };
    let count = integer(digits)
        .filter(|&count| count <= MAX_ARGUMENTS)
        .ok_or(ProtocolError::new("invalid multibulk length"))?;
    if !limits.authenticated && count > MAX_UNAUTHENTICATED_ARGUMENTS {
        return Err(ProtocolError::new("unauthenticated multibulk length"));
    }
    Ok(Some((usize::try_from(count).unwrap_or(0), after)))
}

/// The digits from `start` to the end of the line, and where the next line starts.
fn line<'a>(
    buffer: &'a [u8],
    start: usize,
    too_long: &'static str,
) -> Result<Option<(&'a [u8], usize)>, ProtocolError> {
    let rest = buffer.get(start..).unwrap_or(&[]);
    // Lengths are a few digits, so a plain loop beats a vectorised search.
    match rest.iter().take(MAX_LINE_LEN).position(|&byte| byte == b'\r') {
        Some(end) if rest.len() > end + 1 => Ok(Some((&rest[..end], start + end + 2))),
        None if rest.len() > MAX_LINE_LEN => Err(ProtocolError::new(too_long)),
        _ => Ok(None),
    }
}

fn integer(digits: &[u8]) -> Option<i64> {
    if let [digit @ b'0'..=b'9'] = digits {
        return Some(i64::from(digit - b'0'));
    }
    crate::types::parse_integer(digits)
}

fn inline(buffer: &[u8]) -> Result<Option<(Request<'static>, usize)>, ProtocolError> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        if buffer.len() > MAX_LINE_LEN {
            return Err(ProtocolError::new("too big inline request"));
        }
        return Ok(None);
    };
    let text = buffer[..end].strip_suffix(b"\r").unwrap_or(&buffer[..end]);
    let arguments = split_inline(text).ok_or(ProtocolError::new("unbalanced quotes in request"))?;
    Ok(Some((Request::Inline(arguments), end + 1)))
}

/// Splits a line into arguments with Redis' quoting rules (`sdssplitargs`): `"..."` takes the escapes `\n \r \t \b \a \\
/// \" \xHH`, `'...'` takes `\'`. `None` when quotes do not balance.
#[must_use]
pub fn split_inline(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut arguments = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(arguments);
        }
        let mut argument = Vec::new();
        while let Some((&byte, after)) = rest.split_first() {
            rest = match byte {
                b'"' => double_quoted(after, &mut argument)?,
                b'\'' => single_quoted(after, &mut argument)?,
                byte if byte.is_ascii_whitespace() || byte == 0 => break,
                byte => {
                    argument.push(byte);
                    after
                }
            };
            // A closing quote ends the argument.
            if matches!(byte, b'"' | b'\'') {
                break;
            }
        }
        if rest.first() == Some(&0) {
            rest = &[];
        }
        arguments.push(argument);
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], argument: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                argument.push(hex(*high) << 4 | hex(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                argument.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            [b'"', after @ ..] => return after_quote(after),
            [byte, after @ ..] => {
                argument.push(*byte);
                after
            }
            [] => return None,
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], argument: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'\'', after @ ..] => {
                argument.push(b'\'');
                after
            }
            [b'\'', after @ ..] => return after_quote(after),
            [byte, after @ ..] => {
                argument.push(*byte);
                after
            }
            [] => return None,
        }
    }
}

/// A closing quote must be followed by a space or nothing.
fn after_quote(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(rest)
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RequestLimits = RequestLimits { max_bulk_len: 512 << 20, authenticated: true };

    /// The arguments of a request, and its length.
    type Parsed = (Vec<Vec<u8>>, usize);

    fn parse(bytes: &[u8], limits: RequestLimits) -> Result<Option<Parsed>, String> {
        let mut parser = RequestParser::default();
        match parser.next(bytes, limits) {
            Ok(None) => Ok(None),
            Ok(Some((Request::Bulks(ranges), length))) => {
                Ok(Some((ranges.iter().map(|range| bytes[range.clone()].to_vec()).collect(), length)))
            }
            Ok(Some((Request::Inline(arguments), length))) => Ok(Some((arguments, length))),
            Err(error) => Err(error.0.into_owned()),
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Option<&[&str]>, &str>) {
        let actual = parse(bytes, LIMITS).map(|request| {
            request.map(|(arguments, _)| {
                arguments.iter().map(|one| String::from_utf8_lossy(one).into_owned()).collect::<Vec<_>>()
            })
        });
        let expected = expected
            .map(|request| request.map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>()));
        assert_eq!(actual, expected.map_err(ToOwned::to_owned), "{}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn requests_and_errors_are_read_as_redis_reads_them() {
        check(b"*1\r\n$4\r\nPING\r\n", Ok(Some(&["PING"])));
        check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", Ok(Some(&["GET", ""])));
        check(b"*0\r\n", Ok(Some(&[])));
        check(b"*-1\r\n", Ok(Some(&[])));
        check(b"*1\r\n$4\r\nPIN", Ok(None));
        check(b"*1\r", Ok(None));
        check(b"*x\r\n", Err("invalid multibulk length"));
        check(b"*2147483648\r\n", Err("invalid multibulk length"));
        check(b"*1\r\n:4\r\n", Err("expected '$', got ':'"));
        check(b"*1\r\n$-1\r\n", Err("invalid bulk length"));
        check(b"*1\r\n$536870913\r\n", Err("invalid bulk length"));
        check(b"PING\r\n", Ok(Some(&["PING"])));
        check(b"set k \"a b\\x41\\n\" 'it\\'s'\n", Ok(Some(&["set", "k", "a bA\n", "it's"])));
        check(b"set k \"a\n", Err("unbalanced quotes in request"));
        check(b"set k \"a\"b\n", Err("unbalanced quotes in request"));
        check(b"\r\n", Ok(Some(&[])));
        let endless = &vec![b'1'; MAX_LINE_LEN + 1][..];
        check(endless, Err("too big inline request"));
        check(&[b"*", endless].concat(), Err("too big mbulk count string"));
        check(&[b"*1\r\n$", endless].concat(), Err("too big bulk count string"));
    }

    #[test]
    fn a_client_that_has_not_authenticated_can_announce_little() {
        let limits = RequestLimits { authenticated: false, ..LIMITS };
        assert_eq!(parse(b"*11\r\n", limits), Err("unauthenticated multibulk length".to_owned()));
        assert_eq!(parse(b"*1\r\n$16385\r\n", limits), Err("unauthenticated bulk length".to_owned()));
        assert_eq!(parse(b"*1\r\n$16384\r\n", limits), Ok(None));
    }

    #[test]
    fn a_request_that_arrives_byte_by_byte_is_the_same_request() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n";
        let mut parser = RequestParser::default();
        for end in 1..bytes.len() {
            assert!(parser.next(&bytes[..end], LIMITS).unwrap().is_none(), "{end}");
            assert_eq!(parser.is_between_requests(), end < b"*3\r\n".len(), "{end}");
        }
        let Ok(Some((Request::Bulks(ranges), length))) = parser.next(bytes, LIMITS) else { panic!() };
        assert_eq!((&bytes[ranges[2].clone()], length), (b"hello\r\nworld".as_slice(), bytes.len()));
    }
}
