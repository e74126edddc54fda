//! The harness of the tests that reach kvasm through a socket, as any client would: servers started and stopped in
//! directories of their own, raw connections, random commands, and the comparison of two servers' replies.
//!
//! It knows the protocol and nothing of kvasm's insides. Every server can be kvasm or redis-server, so that a test of
//! what both promise is proved against Redis itself: `KVASM_BIN=redis-server cargo test -p kvasm-tests`.

pub mod binary;
pub mod clients;
pub mod compare;
pub mod facts;
pub mod generate;
pub mod guest;
pub mod history;
pub mod line;
pub mod load;
pub mod raw;
pub mod recorder;
pub mod replay;
pub mod server;
pub mod value;

pub use raw::Raw;
pub use server::{Options, Server};
pub use value::Value;

use std::path::{Path, PathBuf};

/// The root of the repository.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// How often something is repeated: the environment variable `name` if it is set, else `rounds`, ten times as much
/// when `KVASM_SOAK` is set.
///
/// # Panics
/// When the variable is not a number.
#[must_use]
pub fn rounds(name: &str, rounds: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) if std::env::var_os("KVASM_SOAK").is_some() => rounds * 10,
        Err(_) => rounds,
    }
}
