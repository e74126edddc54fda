//! Procedures and triggers for the kvasm key-value server, written in Rust.
//!
//! ```
//! use kvasm_sdk::prelude::*;
//!
//! /// `FCALL transfer 2 alice bob 10`
//! #[procedure]
//! pub fn transfer(db: &mut Db, from: &[u8], to: &[u8], amount: i64) -> Result<i64> {
//!     let left = db.increment(from, -amount);
//!     if left < 0 {
//!         return Err("INSUFFICIENT the account does not hold that much".into()); // undoes everything
//!     }
//!     db.increment(to, amount);
//!     Ok(left)
//! }
//!
//! // The same function, in a native test:
//! let mut db = Db::test();
//! db.put(b"alice", b"25");
//! assert_eq!(db.call::<transfer>(&[b"alice", b"bob"], &[b"10"]), Ok(Reply::Integer(15)));
//! assert_eq!(db.call::<transfer>(&[b"alice", b"bob"], &[b"99"]).unwrap_err().code(), "INSUFFICIENT");
//! assert_eq!(db.get(b"alice").as_deref(), Some(b"15".as_slice()));
//! ```
//!
//! Compiled for `wasm32-unknown-unknown`, a [`Db`] is the server's data, reached through the imports of the module
//! `kvasm_1`; compiled for any other target, it is a small store in memory made by `Db::test()`. The `README.md` beside
//! this crate says what a guest's crate consists of, and how it is uploaded.
//!
//! # Parameters
//!
//! The parameters after the database are taken in order from the keys followed by the arguments of the call, and all
//! of them must be used up: what matters to the procedure is the order, what is a key matters to the client. Their
//! types are those that implement [`Parameter`]: bytes, text, numbers, `bool`; `Option` for those that may be missing
//! at the end; `&[&[u8]]` for all the rest. What cannot be parsed is an error that names the parameter.
//!
//! # Results
//!
//! What implements [`IntoReply`]: `()` is `OK`, numbers, text and bytes, `Option` (nil), `Vec` and tuples (arrays), a
//! [`Reply`] for everything else. An `Err` ends the procedure with that error and undoes all that it did.
//!
//! # Values with elements
//!
//! `db.hash(key)`, `db.list(key)`, `db.set(key)`, `db.sorted_set(key)` and `db.stream(key)` read; `db.hash_mut(key)` and
//! so on write, too. Each of their methods is one command, except that the ranges and scans are iterators which fetch
//! in pages. They return a `Result`, which a procedure usually passes on by `?`: then the client gets the server's error
//! (`WRONGTYPE`, ...) and all is undone. [`Error::kind`] tells errors apart for a procedure that handles them.
//!
//! # Read-only procedures
//!
//! With `&Db` only the reading methods can be called, and these link only the reading imports: the server finds by the
//! module's call graph that the procedure cannot write.
//!
//! ```compile_fail,E0596
//! # use kvasm_sdk::prelude::*;
//! #[procedure]
//! fn sneaky(db: &Db, key: &[u8]) {
//!     db.put(key, b"written all the same");
//! }
//! ```
//! ```compile_fail,E0596
//! # use kvasm_sdk::prelude::*;
//! #[procedure]
//! fn sneaky(db: &Db, key: &[u8]) -> Result<usize> {
//!     db.list_mut(key).push_back("written all the same")
//! }
//! ```
//! ```compile_fail,E0599
//! # use kvasm_sdk::prelude::*;
//! #[procedure]
//! fn sneaky(db: &Db, key: &[u8]) -> Result<usize> {
//!     db.list(key).push_back("written all the same")
//! }
//! ```

#![no_std]

extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

mod collection;
mod command;
mod db;
mod decimal;
mod error;
mod event;
mod from_reply;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
mod input;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod procedure;
mod reply;
mod resp;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[cfg(any(test, all(target_arch = "wasm32", feature = "runtime")))]
mod heap;

pub use collection::{Entry, Hash, List, Set, SortedSet, Stream, StreamId};
pub use command::{Argument, Command};
pub use db::{Db, LogLevel};
pub use error::{Error, ErrorKind, Result};
pub use event::Event;
pub use input::{Input, Parameter};
pub use kvasm_sdk_macros::{procedure, trigger};
pub use procedure::{Procedure, Trigger};
pub use reply::{IntoReply, Reply};

/// All that a guest usually needs, with the parts of `alloc` that the standard prelude would bring.
pub mod prelude {
    pub use alloc::borrow::ToOwned;
    pub use alloc::boxed::Box;
    pub use alloc::format;
    pub use alloc::string::{String, ToString};
    pub use alloc::vec;
    pub use alloc::vec::Vec;

    pub use crate::{
        Command, Db, Entry, Error, ErrorKind, Event, IntoReply, LogLevel, Reply, Result, StreamId, procedure,
        trigger,
    };
}

/// What the attributes refuse, each with an error at the place of the mistake.
///
/// ```compile_fail,E0277
/// # use kvasm_sdk::prelude::*;
/// #[procedure]
/// fn parameter_of_a_foreign_type(db: &Db, time: core::time::Duration) {}
/// ```
/// ```compile_fail,E0277
/// # use kvasm_sdk::prelude::*;
/// #[procedure]
/// fn result_of_a_foreign_type(db: &Db) -> core::time::Duration { core::time::Duration::ZERO }
/// ```
/// ```compile_fail
/// # use kvasm_sdk::prelude::*;
/// #[procedure]
/// fn without_a_database(amount: i64) {}
/// ```
/// ```compile_fail
/// # use kvasm_sdk::prelude::*;
/// #[procedure]
/// fn optional_before_required(db: &Db, first: Option<i64>, second: i64) {}
/// ```
/// ```compile_fail
/// # use kvasm_sdk::prelude::*;
/// #[procedure]
/// fn generic<T>(db: &Db) {}
/// ```
/// ```compile_fail
/// # use kvasm_sdk::prelude::*;
/// #[trigger(on = "set")]
/// fn without_a_pattern(db: &Db, event: &Event) {}
/// ```
/// ```compile_fail
/// # use kvasm_sdk::prelude::*;
/// #[trigger(on = "set", keys = "two words")]
/// fn pattern_of_two_words(db: &Db, event: &Event) {}
/// ```
/// ```compile_fail
/// # use kvasm_sdk::prelude::*;
/// #[trigger(on = "set", keys = "*", tries = 3)]
/// fn tries_of_a_synchronous_trigger(db: &Db, event: &Event) {}
/// ```
/// ```compile_fail
/// # use kvasm_sdk::prelude::*;
/// #[trigger(on = "set", keys = "*", mode = "later")]
/// fn mode_that_there_is_not(db: &Db, event: &Event) {}
/// ```
#[cfg(doctest)]
mod refused {}

#[cfg(target_arch = "wasm32")]
use guest::Host;
#[cfg(not(target_arch = "wasm32"))]
use native::Host;
