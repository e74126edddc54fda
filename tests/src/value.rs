//! RESP2 and RESP3 values as they stand on the wire: kinds that mean the same to a client but are different bytes
//! (the three nulls, a map and a flat array) are kept apart, because a test must see the difference.

use std::fmt;

/// Arrays deeper than this are refused rather than recursed into.
const MAX_DEPTH: usize = 64;

/// One reply, or one pushed message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `+OK`
    Simple(Vec<u8>),
    /// `-ERR text`
    Error(Vec<u8>),
    /// `:1`
    Integer(i64),
    /// `$3 foo`
    Bulk(Vec<u8>),
    /// `$-1`, the null of RESP2
    NullBulk,
    /// `*-1`, the null array of RESP2
    NullArray,
    /// `_`, the null of RESP3
    Null,
    /// `#t`
    Boolean(bool),
    /// `,1.5`: the text as it was sent
    Double(Vec<u8>),
    /// `(123`: the text as it was sent
    BigNumber(Vec<u8>),
    /// `!5 ERR x`
    BulkError(Vec<u8>),
    /// `=7 txt:abc`: with its format
    Verbatim(Vec<u8>),
    /// `*n`
    Array(Vec<Value>),
    /// `%n`
    Map(Vec<(Value, Value)>),
    /// `~n`
    Set(Vec<Value>),
    /// `>n`
    Push(Vec<Value>),
}

/// Bytes that are no RESP value.
#[derive(Debug)]
pub struct Malformed(pub String);

impl Value {
    /// Reads one value from the start of `bytes`: the value and its length, or `None` when more bytes are needed.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Value, usize)>, Malformed> {
        let mut reader = Reader { bytes, position: 0 };
        Ok(reader.value(0)?.map(|value| (value, reader.position)))
    }

    /// The text of a bulk, simple, verbatim or error reply; empty for the others.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Value::Simple(text)
            | Value::Error(text)
            | Value::Bulk(text)
            | Value::Double(text)
            | Value::BigNumber(text)
            | Value::BulkError(text) => text,
            Value::Verbatim(text) => text.get(4..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// [`Value::bytes`] as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The number of an integer reply, or of the text of another reply.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            other => std::str::from_utf8(other.bytes()).ok()?.parse().ok(),
        }
    }

    /// Whether this is any of the three nulls.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::NullBulk | Value::NullArray | Value::Null)
    }

    /// Whether this is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_) | Value::BulkError(_))
    }

    /// The elements of an array, set or push, and of a map the keys and values in turn; empty for the others.
    #[must_use]
    pub fn elements(&self) -> Vec<Value> {
        match self {
            Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => elements.clone(),
            Value::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect(),
            _ => Vec::new(),
        }
    }

    /// The value that follows `key` in a map or in the flat array that RESP2 has for it.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<Value> {
        let elements = self.elements();
        let mut pairs = elements.chunks_exact(2);
        pairs.find(|pair| pair[0].bytes() == key.as_bytes()).map(|pair| pair[1].clone())
    }
}

/// A compact notation for expectations in tables: `+OK`, `-ERR text`, `:1`, `"bulk"`, `$-1`, `*-1`, `_`, `#t`, `,1.5`,
/// `=txt:"text"`, `[a, b]`, `{a: b}`, `~[a]`, `>[a]`.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Simple(text) => write!(out, "+{}", text.escape_ascii()),
            Value::Error(text) => write!(out, "-{}", String::from_utf8_lossy(text)),
            Value::Integer(number) => write!(out, ":{number}"),
            Value::Bulk(bytes) => write!(out, "\"{}\"", bytes.escape_ascii()),
            Value::NullBulk => out.write_str("$-1"),
            Value::NullArray => out.write_str("*-1"),
            Value::Null => out.write_str("_"),
            Value::Boolean(true) => out.write_str("#t"),
            Value::Boolean(false) => out.write_str("#f"),
            Value::Double(text) => write!(out, ",{}", text.escape_ascii()),
            Value::BigNumber(text) => write!(out, "({}", text.escape_ascii()),
            Value::BulkError(text) => write!(out, "!{}", String::from_utf8_lossy(text)),
            Value::Verbatim(text) => write!(out, "=\"{}\"", text.escape_ascii()),
            Value::Array(elements) => write_elements(out, "", elements),
            Value::Set(elements) => write_elements(out, "~", elements),
            Value::Push(elements) => write_elements(out, ">", elements),
            Value::Map(pairs) => {
                out.write_str("{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(out, "{separator}{key}: {value}")?;
                }
                out.write_str("}")
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn write_elements(out: &mut fmt::Formatter<'_>, prefix: &str, elements: &[Value]) -> fmt::Result {
    write!(out, "{prefix}[")?;
    for (index, element) in elements.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(out, "{separator}{element}")?;
    }
    out.write_str("]")
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed(format!("nested deeper than {MAX_DEPTH}")));
        }
        let Some(line) = self.line() else { return Ok(None) };
        let Some((&kind, rest)) = line.split_first() else { return Err(Malformed("an empty line".into())) };
        let text = rest.to_vec();
        Ok(Some(match kind {
            b'+' => Value::Simple(text),
            b'-' => Value::Error(text),
            b':' => Value::Integer(number(rest)?),
            b',' => Value::Double(text),
            b'(' => Value::BigNumber(text),
            b'_' if rest.is_empty() => Value::Null,
            b'#' if rest == b"t" => Value::Boolean(true),
            b'#' if rest == b"f" => Value::Boolean(false),
            b'$' if rest == b"-1" => Value::NullBulk,
            b'*' if rest == b"-1" => Value::NullArray,
            b'$' | b'!' | b'=' => {
                let Some(body) = self.body(number(rest)?)? else { return Ok(None) };
                match kind {
                    b'$' => Value::Bulk(body),
                    b'!' => Value::BulkError(body),
                    _ => Value::Verbatim(body),
                }
            }
            b'*' | b'~' | b'>' | b'%' => {
                let count = if kind == b'%' { 2 * number(rest)? } else { number(rest)? };
                let Some(elements) = self.elements(count, depth)? else { return Ok(None) };
                match kind {
                    b'*' => Value::Array(elements),
                    b'~' => Value::Set(elements),
                    b'>' => Value::Push(elements),
                    _ => Value::Map(
                        elements.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
                    ),
                }
            }
            _ => {
                return Err(Malformed(format!(
                    "a reply that starts with {:?}",
                    line.escape_ascii().to_string()
                )));
            }
        }))
    }

    fn elements(&mut self, count: i64, depth: usize) -> Result<Option<Vec<Value>>, Malformed> {
        let mut elements = Vec::new();
        for _ in 0..count {
            let Some(element) = self.value(depth + 1)? else { return Ok(None) };
            elements.push(element);
        }
        Ok(Some(elements))
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.position += length + 2;
        Some(&rest[..length])
    }

    fn body(&mut self, length: i64) -> Result<Option<Vec<u8>>, Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed(format!("a length of {length}")))?;
        let Some(rest) = self.bytes.get(self.position..self.position + length + 2) else { return Ok(None) };
        if &rest[length..] != b"\r\n" {
            return Err(Malformed("a bulk string that does not end in CR LF".into()));
        }
        self.position += length + 2;
        Ok(Some(rest[..length].to_vec()))
    }
}

fn number(text: &[u8]) -> Result<i64, Malformed> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Malformed(format!("{:?} instead of a number", text.escape_ascii().to_string())))
}

#[cfg(test)]
mod tests {
    use super::Value;

    const EVERY_KIND: &[(&str, &str)] = &[
        ("+OK\r\n", "+OK"),
        ("-ERR no\r\n", "-ERR no"),
        (":-5\r\n", ":-5"),
        ("$3\r\na\r\n\r\n", "\"a\\r\\n\""),
        ("$-1\r\n", "$-1"),
        ("*-1\r\n", "*-1"),
        ("_\r\n", "_"),
        ("#t\r\n", "#t"),
        (",1.5\r\n", ",1.5"),
        ("(123\r\n", "(123"),
        ("!3\r\nERR\r\n", "!ERR"),
        ("=7\r\ntxt:abc\r\n", "=\"txt:abc\""),
        ("*2\r\n:1\r\n*0\r\n", "[:1, []]"),
        ("%1\r\n+a\r\n~1\r\n:1\r\n", "{+a: ~[:1]}"),
        (">1\r\n:1\r\n", ">[:1]"),
    ];

    #[test]
    fn every_kind_is_kept_apart() {
        for (bytes, expected) in EVERY_KIND {
            let (value, length) = Value::parse(bytes.as_bytes()).unwrap().unwrap();
            assert_eq!((value.to_string().as_str(), length), (*expected, bytes.len()));
        }
    }

    #[test]
    fn a_value_that_has_not_arrived_whole_is_waited_for() {
        for (bytes, _) in EVERY_KIND {
            for length in 0..bytes.len() {
                assert!(
                    Value::parse(&bytes.as_bytes()[..length]).unwrap().is_none(),
                    "{length} bytes of {bytes:?}"
                );
            }
        }
    }

    #[test]
    fn bytes_that_are_no_value_are_refused() {
        let deep = "*1\r\n".repeat(super::MAX_DEPTH + 2);
        for bytes in ["x\r\n", "\r\n", ":1x\r\n", "$-2\r\n", "$1\r\nabc\r\n", "#x\r\n", &deep] {
            assert!(Value::parse(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
