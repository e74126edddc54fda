//! Value types as plain data structures and pure functions.
//!
//! Owns: how a value lies in memory, what an operation on it yields, how numbers and patterns are read and written.
//! Must not know: keys, clients, replies, storage. Every value clones in O(1) and is copied, in chunks, when it is
//! written to while shared: undoing a change is putting back the old clone.
//!
//! Values with elements are made of blocks: `block` packs entries into one piece of memory, `tree` orders many of them,
//! `blocks` changes such a tree and tells a `recorder`, `dictionary` finds entries by hash. `collection` says what all
//! these values have in common.

pub mod bits;
pub mod block;
pub mod geohash;
pub mod glob;
pub mod hyperloglog;
pub mod lcs;
pub mod number;
pub mod stream;

mod blocks;
mod chunked;
mod collection;
mod deadlines;
mod dictionary;
mod hash;
mod integers;
mod list;
mod memory;
mod pairs;
mod recorder;
mod set;
mod sorted_set;
mod string;
mod tree;
mod value;

pub use block::{Block, CopiedItems, SharedItems};
pub use blocks::LabelBytes;
pub use chunked::{CHUNK_LEN, ChunkedBytes};
pub use collection::{Collection, PackedLimits, StoredBlocks};
pub use hash::{HashValue, MAX_END_MS};
pub use list::{End, ListValue};
pub use memory::allocation_size;
pub use number::{IntegerBuffer, LongDouble, format_float, parse_float, parse_integer};
pub use recorder::Recorder;
pub use set::{Member, SetLimits, SetValue};
pub use sorted_set::{SortedSetValue, members, scored, scored_items, sorted_items};
pub use stream::StreamValue;
pub use string::StringValue;
pub use tree::WARMED_AT_ONCE;
pub use value::{Kind, Typed, Value};
