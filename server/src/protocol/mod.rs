//! The Redis protocol: replies as data, their RESP2 and RESP3 encodings, and the scanning of requests.
//!
//! Owns everything that knows bytes on the wire, and is the only room of the crate `redis-protocol`, which the tests
//! compare with.
//! Must not know sockets, keys or commands: it is given buffers and gives back buffers.

mod decode;
mod encode;
#[cfg(test)]
mod oracle_tests;
mod reply;
mod request;

pub use decode::{BadReply, check_reply, decode_reply, decode_request};
pub use encode::encode;
pub use reply::{ErrorReply, Reply, Shape};
pub use request::{ProtocolError, Request, RequestLimits, RequestParser, split_inline};

/// The protocol version that a connection speaks, as chosen with `HELLO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// RESP2, which every connection starts with.
    #[default]
    Resp2,
    /// RESP3, with maps, sets, doubles and push messages.
    Resp3,
}

impl Version {
    /// Its number.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}
