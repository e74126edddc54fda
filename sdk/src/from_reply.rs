//! What a reply of a command means in Rust.

use alloc::vec;
use alloc::vec::Vec;

use crate::{Command, Db, Error, Reply, Result};

/// What can be made of a reply. `Err` when it has another shape than the command's replies have.
pub trait FromReply: Sized {
    fn from_reply(reply: Reply) -> Result<Self>;
}

impl Db {
    /// Runs a reading command.
    pub(crate) fn ask<T: FromReply>(&self, command: Command) -> Result<T> {
        T::from_reply(self.command_ro(command)?)
    }

    /// Runs a writing command.
    pub(crate) fn tell<T: FromReply>(&mut self, command: Command) -> Result<T> {
        T::from_reply(self.command(command)?)
    }
}

#[cold]
fn unexpected<T>() -> Result<T> {
    Err(Error::from("the server's reply has an unexpected form"))
}

/// `OK`.
impl FromReply for () {
    fn from_reply(reply: Reply) -> Result<Self> {
        if reply == Reply::OK { Ok(()) } else { unexpected() }
    }
}

impl FromReply for i64 {
    fn from_reply(reply: Reply) -> Result<Self> {
        reply.as_integer().map_or_else(unexpected, Ok)
    }
}

/// A number of things.
impl FromReply for usize {
    fn from_reply(reply: Reply) -> Result<Self> {
        let number = reply.as_integer().and_then(|number| Self::try_from(number).ok());
        number.map_or_else(unexpected, Ok)
    }
}

/// 1 or 0.
impl FromReply for bool {
    fn from_reply(reply: Reply) -> Result<Self> {
        Ok(i64::from_reply(reply)? != 0)
    }
}

impl FromReply for f64 {
    fn from_reply(reply: Reply) -> Result<Self> {
        reply.as_double().map_or_else(unexpected, Ok)
    }
}

impl FromReply for Vec<u8> {
    fn from_reply(reply: Reply) -> Result<Self> {
        match reply {
            Reply::Bulk(bytes) => Ok(bytes),
            _ => unexpected(),
        }
    }
}

/// Nothing where there is nil, or no item.
impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        match reply {
            Reply::Nil => Ok(None),
            Reply::Array(items) if items.is_empty() => Ok(None),
            reply => T::from_reply(reply).map(Some),
        }
    }
}

/// The items of a list or a set, the pairs of a map.
impl<T: FromReply> FromReply for Vec<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        match reply {
            Reply::Array(items) | Reply::Set(items) => items.into_iter().map(T::from_reply).collect(),
            Reply::Map(pairs) => {
                let pairs = pairs.into_iter().map(|(key, value)| Reply::Array(vec![key, value]));
                pairs.map(T::from_reply).collect()
            }
            _ => unexpected(),
        }
    }
}

/// A list of two.
impl<A: FromReply, B: FromReply> FromReply for (A, B) {
    fn from_reply(reply: Reply) -> Result<Self> {
        let Reply::Array(items) = reply else { return unexpected() };
        let Ok([first, second]) = <[Reply; 2]>::try_from(items) else { return unexpected() };
        Ok((A::from_reply(first)?, B::from_reply(second)?))
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Debug;

    use super::*;

    #[test]
    fn replies_are_read_by_the_type_that_is_wanted() {
        fn check<T: FromReply + PartialEq + Debug>(wire: &str, expected: Option<T>) {
            let reply = Reply::parse(wire.as_bytes()).unwrap();
            assert_eq!(T::from_reply(reply).ok(), expected, "{wire}");
        }
        check("+OK\r\n", Some(()));
        check::<()>(":1\r\n", None);
        check(":-5\r\n", Some(-5_i64));
        check::<i64>("$1\r\n5\r\n", None);
        check(":5\r\n", Some(5_usize));
        check::<usize>(":-5\r\n", None);
        check(":1\r\n", Some(true));
        check("#f\r\n", Some(false));
        check(",1.5\r\n", Some(1.5));
        check(",-inf\r\n", Some(f64::NEG_INFINITY));
        check::<f64>(":1\r\n", None);
        check("$1\r\na\r\n", Some(b"a".to_vec()));
        check("_\r\n", Some(None::<Vec<u8>>));
        check("*0\r\n", Some(None::<(Vec<u8>, f64)>));
        check("*2\r\n$1\r\na\r\n,2\r\n", Some(Some((b"a".to_vec(), 2.0))));
        check("~2\r\n$1\r\na\r\n$1\r\nb\r\n", Some(vec![b"a".to_vec(), b"b".to_vec()]));
        check("%1\r\n$1\r\na\r\n$1\r\nb\r\n", Some(vec![(b"a".to_vec(), b"b".to_vec())]));
        check("*1\r\n*2\r\n:1\r\n_\r\n", Some(vec![(1_i64, None::<i64>)]));
        check::<(i64, i64)>("*1\r\n:1\r\n", None);
        check::<Vec<i64>>("$1\r\na\r\n", None);
    }
}
