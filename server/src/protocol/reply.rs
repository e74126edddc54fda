//! Replies as data: what a command answers, before anybody knows which protocol version it is sent in.

use std::borrow::Cow;

use crate::types::{SharedItems, StringValue};

/// The text of an error reply without its leading `-`: a code in capitals, a space, and a sentence.
pub type ErrorReply = Cow<'static, str>;

/// What a command answers.
///
/// A bulk string from the keyspace is shared, not copied, until it is encoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short line: `+text`.
    Simple(Cow<'static, str>),
    /// An error: `-CODE text`.
    Error(ErrorReply),
    /// A signed integer.
    Integer(i64),
    /// A bulk string that shares a stored value.
    Bulk(StringValue),
    /// A bulk string made for this reply.
    Text(Cow<'static, str>),
    /// A bulk string of arbitrary bytes made for this reply.
    Bytes(Vec<u8>),
    /// No value.
    Null,
    /// No array: differs from [`Reply::Null`] in RESP2 only.
    NullArray,
    /// A floating point number; a bulk string in RESP2.
    Double(f64),
    /// A floating point number that is written in this way; a bulk string in RESP2.
    Decimal(String),
    /// A truth value; 1 or 0 in RESP2.
    Boolean(bool),
    /// An integer of any length in decimal; a bulk string in RESP2.
    BigNumber(String),
    /// Text to be shown to people as it is; a bulk string in RESP2.
    Verbatim(String),
    /// An ordered list.
    Array(Vec<Reply>),
    /// Bulk strings that are shared with a stored value until they are encoded.
    Items(Shape, SharedItems),
    /// Pairs; a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// An unordered collection; an array in RESP2.
    Set(Vec<Reply>),
    /// An out-of-band message; an array in RESP2.
    Push(Vec<Reply>),
    /// Several replies to one command, as `SUBSCRIBE` with several channels gives; empty means none at all.
    Sequence(Vec<Reply>),
}

/// As what [`Reply::Items`] are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An ordered list.
    Array,
    /// An unordered collection; an array in RESP2.
    Set,
    /// Keys, each followed by its value; a flat array in RESP2.
    Map,
    /// An array of arrays of two; a flat array in RESP2.
    Pairs,
    /// As [`Shape::Pairs`], of members of a sorted set and their scores.
    Scored,
}

impl Reply {
    /// `+OK`.
    pub const OK: Self = Self::Simple(Cow::Borrowed("OK"));

    /// An error reply with a fixed text.
    #[must_use]
    pub const fn error(text: &'static str) -> Self {
        Self::Error(Cow::Borrowed(text))
    }

    /// A short line with a fixed text.
    #[must_use]
    pub const fn simple(text: &'static str) -> Self {
        Self::Simple(Cow::Borrowed(text))
    }

    /// A bulk string with a fixed text.
    #[must_use]
    pub const fn text(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// A bulk string of the given bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }

    /// 1 or 0, as most yes-or-no commands answer in either protocol version.
    #[must_use]
    pub fn flag(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }

    /// An array of bulk strings.
    pub fn list<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Array(items.into_iter().map(|item| Self::bytes(item.as_ref())).collect())
    }

    /// Values by name, in this order: a map, which RESP2 knows as a flat array.
    pub fn fields(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Map(fields.into_iter().map(|(name, value)| (Self::text(name), value)).collect())
    }

    /// How many bytes of values it consists of: it takes more when it is encoded, but not much less.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        match self {
            Self::Bulk(value) => value.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
            Self::Items(_, items) => items.iter().map(<[u8]>::len).sum(),
            Self::Array(parts) | Self::Set(parts) | Self::Push(parts) | Self::Sequence(parts) => {
                parts.iter().map(Self::value_bytes).sum()
            }
            Self::Map(pairs) => {
                pairs.iter().map(|(key, value)| key.value_bytes() + value.value_bytes()).sum()
            }
            Self::BigNumber(text) | Self::Decimal(text) | Self::Verbatim(text) => text.len(),
            _ => 0,
        }
    }

    /// Whether this is an error reply.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

impl From<i64> for Reply {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u64> for Reply {
    fn from(value: u64) -> Self {
        Self::Integer(value as i64)
    }
}

impl From<usize> for Reply {
    fn from(value: usize) -> Self {
        Self::Integer(value as i64)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<StringValue> for Reply {
    fn from(value: StringValue) -> Self {
        Self::Bulk(value)
    }
}

impl<T: Into<Reply>> From<Option<T>> for Reply {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
