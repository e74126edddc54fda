//! Connections. Each has a task that reads what has arrived, hands every complete request to the engine in order, and
//! writes all the replies at once.
//!
//! Owns sockets and buffers. Must not know commands, keys or what a reply means.

mod connection;
mod listener;

pub use connection::{StopRequest, StopSender};
pub use listener::{ListenError, Listener, make_room_for};
