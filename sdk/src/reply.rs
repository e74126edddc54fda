//! Replies: what a command returned, and what a procedure returns.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::{Entry, Error, Result, StreamId, resp};

/// Any value of RESP3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: a missing value.
    Nil,
    /// A short text such as `OK`, in which line breaks become spaces.
    Status(Cow<'static, str>),
    /// A 64-bit integer.
    Integer(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// A boolean, for RESP2 clients 1 or 0.
    Boolean(bool),
    /// A double as text, so that a procedure which does not calculate with doubles does not carry the code to read and
    /// print them: `Reply::from(1.5)` makes one, [`Reply::as_double`] reads it.
    Double(String),
    /// An integer of any size as decimal text.
    BigNumber(String),
    /// A list.
    Array(Vec<Reply>),
    /// A list without order.
    Set(Vec<Reply>),
    /// Pairs of key and value, for RESP2 clients a list of both in turn.
    Map(Vec<(Reply, Reply)>),
    /// An error. Returned by a procedure it is the same as `Err`.
    Error(Error),
}

impl Reply {
    /// The reply of commands that have nothing else to say.
    pub const OK: Self = Self::Status(Cow::Borrowed("OK"));

    /// Bytes as a reply.
    #[must_use]
    pub fn bulk(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// Reads one whole reply, of RESP2 or RESP3.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        resp::parse_reply(bytes)
    }

    /// The reply in RESP3.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut output = Vec::new();
        resp::push_reply(&mut output, self);
        output
    }

    /// Whether it is [`Reply::Nil`].
    #[must_use]
    pub fn is_nil(&self) -> bool {
        *self == Self::Nil
    }

    /// The number, if it is an integer; 1 or 0, if it is a boolean.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Boolean(boolean) => Some(i64::from(*boolean)),
            _ => None,
        }
    }

    /// The number, if it is a double.
    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Self::Double(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The bytes, if it is a bulk string or a status.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            Self::Status(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The items, if it is an array or a set.
    #[must_use]
    pub fn as_items(&self) -> Option<&[Reply]> {
        match self {
            Self::Array(items) | Self::Set(items) => Some(items),
            _ => None,
        }
    }
}

impl From<f64> for Reply {
    fn from(number: f64) -> Self {
        if number.is_nan() {
            return Self::Double("nan".into());
        }
        // `Display` never uses an exponent and prints infinity as RESP3 wants it.
        Self::Double(format!("{number}"))
    }
}

/// What a procedure can return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a procedure",
    note = "it can return (), integers, f64, bool, text, bytes, Option, Vec, tuples, Reply, or a Result of these"
)]
pub trait IntoReply {
    /// The reply, or the error that undoes everything.
    fn into_reply(self) -> Result<Reply>;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply> {
        match self {
            Self::Error(error) => Err(error),
            reply => Ok(reply),
        }
    }
}

impl<T: IntoReply, E: Into<Error>> IntoReply for core::result::Result<T, E> {
    fn into_reply(self) -> Result<Reply> {
        self.map_err(Into::into)?.into_reply()
    }
}

impl<T: IntoReply> IntoReply for Option<T> {
    fn into_reply(self) -> Result<Reply> {
        self.map_or(Ok(Reply::Nil), T::into_reply)
    }
}

impl IntoReply for () {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::OK)
    }
}

impl IntoReply for bool {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::Boolean(self))
    }
}

impl IntoReply for f64 {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::from(self))
    }
}

impl IntoReply for &[u8] {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::Bulk(self.into()))
    }
}

impl IntoReply for &str {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::Bulk(self.into()))
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::Bulk(self.into_bytes()))
    }
}

/// A list, and of bytes a bulk string.
impl<T: Item> IntoReply for Vec<T> {
    fn into_reply(self) -> Result<Reply> {
        T::list(self)
    }
}

/// What a list can hold. It tells `Vec<u8>`, which is a bulk string, from all other lists.
pub trait Item: Sized {
    /// The list as a reply.
    #[doc(hidden)]
    fn list(items: Vec<Self>) -> Result<Reply>;
}

impl Item for u8 {
    fn list(items: Vec<Self>) -> Result<Reply> {
        Ok(Reply::Bulk(items))
    }
}

macro_rules! items {
    ($([$($generic:tt)*] $kind:ty,)*) => {
        $(impl<$($generic)*> Item for $kind {
            fn list(items: Vec<Self>) -> Result<Reply> {
                Ok(Reply::Array(items.into_iter().map(IntoReply::into_reply).collect::<Result<_>>()?))
            }
        })*
    };
}

items!(
    [] i16, [] i32, [] i64, [] u16, [] u32, [] u64, [] usize, [] bool, [] f64, [] &str, [] &[u8], [] String, [] Reply, [] StreamId, [] Entry,
    [T: Item] Vec<T>, [T: IntoReply] Option<T>, [A: IntoReply, B: IntoReply] (A, B),
    [A: IntoReply, B: IntoReply, C: IntoReply] (A, B, C),
);

macro_rules! integers {
    ($($kind:ty)*) => {
        $(impl IntoReply for $kind {
            fn into_reply(self) -> Result<Reply> {
                Ok(Reply::Integer(self.into()))
            }
        })*
    };
}

integers!(i8 i16 i32 i64 u8 u16 u32);

macro_rules! wide_integers {
    ($($kind:ty)*) => {
        $(impl IntoReply for $kind {
            /// `Err` when it does not fit into the 64 bits, with a sign, of an integer reply.
            fn into_reply(self) -> Result<Reply> {
                i64::try_from(self).map(Reply::Integer).map_err(|_| "the result is out of range".into())
            }
        })*
    };
}

wide_integers!(u64 usize);

macro_rules! tuples {
    ($(($($name:ident)*))*) => {
        $(impl<$($name: IntoReply),*> IntoReply for ($($name,)*) {
            /// An array of all its parts.
            #[allow(non_snake_case, reason = "the type's name serves as the variable's")]
            fn into_reply(self) -> Result<Reply> {
                let ($($name,)*) = self;
                Ok(Reply::Array(vec![$($name.into_reply()?),*]))
            }
        })*
    };
}

tuples!((A B)(A B C)(A B C D)(A B C D E)(A B C D E F));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_the_replies_that_clients_expect() {
        fn check(result: impl IntoReply, wire: &str) {
            let bytes = result.into_reply().unwrap_or_else(Reply::Error).encode();
            assert_eq!(core::str::from_utf8(&bytes), Ok(wire));
        }
        check((), "+OK\r\n");
        check(true, "#t\r\n");
        check(-1_i8, ":-1\r\n");
        check(u32::MAX, ":4294967295\r\n");
        check(u64::from(u32::MAX), ":4294967295\r\n");
        check(u64::MAX, "-ERR the result is out of range\r\n");
        check(0.1, ",0.1\r\n");
        check(f64::INFINITY, ",inf\r\n");
        check(-f64::NAN, ",nan\r\n");
        check("text", "$4\r\ntext\r\n");
        check(b"bytes".to_vec(), "$5\r\nbytes\r\n");
        check(None::<i64>, "_\r\n");
        check(Some(1), ":1\r\n");
        check(vec![Some(1), None], "*2\r\n:1\r\n_\r\n");
        check(vec![vec![1_u8], vec![2]], "*2\r\n$1\r\n\u{1}\r\n$1\r\n\u{2}\r\n");
        check((1, "a", vec![true]), "*3\r\n:1\r\n$1\r\na\r\n*1\r\n#t\r\n");
        check(Ok::<i64, Error>(5), ":5\r\n");
        check(Err::<i64, _>("no"), "-ERR no\r\n");
        check(Reply::Error(Error::new("CODE no")), "-CODE no\r\n");
        check(Some(Err::<(), _>("no")), "-ERR no\r\n");
    }
}
