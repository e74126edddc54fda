//! The commands that the test database understands, with the errors and the replies in RESP3 of Redis.

mod arguments;
mod hash;
mod keys;
mod list;
mod scan;
mod set;
mod sorted_set;
mod stream;
mod strings;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;

use super::store::Store;
use crate::{Error, Reply, Result};

/// `words` begins with the name.
type Run = fn(&mut Store, words: &[&[u8]]) -> Result<Reply>;

struct Row {
    name: &'static str,
    /// The number of words, the name included; negative for a least number.
    arity: isize,
    writes: bool,
    run: Run,
}

const fn reads(name: &'static str, arity: isize, run: Run) -> Row {
    Row { name, arity, writes: false, run }
}

const fn writes(name: &'static str, arity: isize, run: Run) -> Row {
    Row { name, arity, writes: true, run }
}

const GROUPS: &[&[Row]] = &[
    hash::COMMANDS,
    keys::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    sorted_set::COMMANDS,
    stream::COMMANDS,
    strings::COMMANDS,
];

/// Runs one command. `Err` when it is not known here, or fails as it would in the server.
pub fn run(store: &mut Store, words: &[&[u8]], may_write: bool) -> Result<Reply> {
    let name = String::from_utf8_lossy(words.first().copied().unwrap_or_default());
    let Some(row) = GROUPS.iter().copied().flatten().find(|row| row.name.eq_ignore_ascii_case(&name)) else {
        return Err(Error::new(format!(
            "ERR the test database has no command '{name}': test it with a server"
        )));
    };
    let count = words.len().cast_signed();
    if if row.arity < 0 { count < -row.arity } else { count != row.arity } {
        return Err(arguments::wrong_arity(row.name));
    }
    if row.writes && !may_write {
        return Err("ERR Write commands are not allowed from read-only scripts.".into());
    }
    (row.run)(store, words)
}
