//! Value types as plain data structures and pure functions.
//!
//! Owns: how a value lies in memory, what an operation on it yields, how numbers and patterns are read and written.
//! Must not know: keys, clients, replies, storage. Every value clones in O(1) and is copied, in chunks, when it is
//! written to while shared: undoing a change is putting back the old clone.

pub mod bits;
pub mod glob;
pub mod lcs;
pub mod number;

mod chunked;
mod memory;
mod string;
mod value;

pub use chunked::{CHUNK_LEN, ChunkedBytes};
pub use memory::allocation_size;
pub use number::{IntegerBuffer, LongDouble, format_float, parse_float, parse_integer};
pub use string::StringValue;
pub use value::{Kind, Value};
