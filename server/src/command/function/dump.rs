//! `FUNCTION DUMP` and `FUNCTION RESTORE`: all libraries as one string of bytes, and back.
//!
//! The bytes are ours: no other server can use a library's module, and Redis' libraries are no use here. They are
//! [`MAGIC`], the format's version, of each library its length in 4 bytes (little-endian) and what was uploaded, and the
//! SHA-1 of all that.

use std::collections::{BTreeSet, HashSet};

use sha1::{Digest as _, Sha1};

use super::super::help::wrong_arguments;
use super::super::{Context, Error, Result, flag};
use super::{
    check_references, compile, declared_triggers, drop_triggers_of, not_compiled, of_library, refuse_losses,
    text,
};
use crate::protocol::Reply;
use crate::state::{Libraries, Library, LibraryError, Server, Session, Upload};
use crate::store::SystemTable;
use crate::trigger::{Definition, Triggers};

const MAGIC: &[u8] = b"kvasm-functions";
const VERSION: u8 = 1;
/// Bytes of a SHA-1.
const CHECKSUM_LEN: usize = 20;
/// Bytes of a library's length.
const LENGTH_LEN: usize = size_of::<u32>();

const DAMAGED: Error = Error::text("ERR DUMP payload version or checksum are wrong");

pub(super) fn dump(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let libraries = ctx.keyspace.definitions(SystemTable::Library);
    Ok(encode(libraries.into_iter().map(|(_, code)| code)).into())
}

fn encode<'a>(codes: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = [MAGIC, &[VERSION]].concat();
    for code in codes {
        bytes.extend_from_slice(&(code.len() as u32).to_le_bytes());
        bytes.extend_from_slice(code);
    }
    let checksum = Sha1::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// What was uploaded of each library; `None` when these are not the bytes of a dump.
fn decode(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_LEN)?)?;
    let mut rest = content.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
    if Sha1::digest(content).as_slice() != checksum {
        return None;
    }
    let mut codes = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_at_checked(LENGTH_LEN)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (code, behind) = behind.split_at_checked(length)?;
        codes.push(code);
        rest = behind;
    }
    Some(codes)
}

/// What becomes of the libraries that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// They go.
    Flush,
    /// They stay, and none may be among those restored.
    Append,
    /// Those that are restored too are replaced.
    Replace,
}

pub(super) fn restore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let policy = match &args[3..] {
        [] => Policy::Append,
        [word] if flag(word, "APPEND") => Policy::Append,
        [word] if flag(word, "REPLACE") => Policy::Replace,
        [word] if flag(word, "FLUSH") => Policy::Flush,
        [_] => {
            return Err(Error::text(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
        _ => return Err(wrong_arguments(args)),
    };
    let codes = decode(args[2]).ok_or(DAMAGED)?;
    Plan::of(ctx, &codes, policy)?.carry_out(ctx)?;
    Ok(Reply::OK)
}

pub(super) fn uploads(server: &Server, session: &Session, args: &[&[u8]]) -> Vec<Upload> {
    let codes = decode(args[2]).unwrap_or_default();
    let modules: Vec<&[u8]> = codes.iter().filter_map(|code| Some(Library::parse(code).ok()?.1)).collect();
    not_compiled(server, session, &modules)
}

/// Everything as it will be, which is all found out before anything changes.
struct Plan {
    libraries: Libraries,
    triggers: Triggers,
    /// The libraries that go, or are replaced.
    removed: BTreeSet<String>,
    restored: Vec<Library>,
    declared: Vec<Definition>,
}

impl Plan {
    fn of(ctx: &Context<'_>, codes: &[&[u8]], policy: Policy) -> Result<Self> {
        let restored = compile_libraries(ctx, codes)?;
        let stored = ctx.keyspace.definitions(SystemTable::Library);
        let names: HashSet<&str> = restored.iter().map(|library| &*library.name).collect();
        let goes = |name: &str| match policy {
            Policy::Flush => true,
            Policy::Append => false,
            Policy::Replace => names.contains(name),
        };
        let removed: BTreeSet<String> =
            stored.iter().map(|(name, _)| text(name)).filter(|name| goes(name)).collect();
        let (mut libraries, mut triggers) = (ctx.server.libraries.clone(), ctx.server.triggers.clone());
        for name in &removed {
            libraries.remove(name);
            let declared = triggers.iter().filter(|trigger| of_library(&trigger.definition, name));
            let declared: Vec<String> = declared.map(|trigger| trigger.definition.name.clone()).collect();
            for name in declared {
                triggers.remove(&name);
            }
        }
        for library in &restored {
            // One that exceeds limits which were lowered since is stored, but not loaded.
            let is_stored = ctx.keyspace.definition(SystemTable::Library, library.name.as_bytes()).is_some();
            if is_stored && !removed.contains(&library.name) {
                return Err(LibraryError::Exists(library.name.clone()).into());
            }
            libraries.check(library, false)?;
            libraries.insert(library.clone());
        }
        let mut all_declared = Vec::new();
        for library in &restored {
            for definition in declared_triggers(&libraries, &triggers, ctx.keyspace.databases(), library)? {
                triggers.insert(definition.clone());
                all_declared.push(definition);
            }
        }
        check_references(&libraries, &triggers)?;
        Ok(Self { libraries, triggers, removed, restored, declared: all_declared })
    }

    fn carry_out(self, ctx: &mut Context<'_>) -> Result<()> {
        for name in &self.removed {
            refuse_losses(ctx, name, &self.declared)?;
        }
        for name in &self.removed {
            drop_triggers_of(ctx, name, &self.declared)?;
            ctx.keyspace.define(SystemTable::Library, name.as_bytes(), None);
        }
        for library in &self.restored {
            ctx.keyspace.define(SystemTable::Library, library.name.as_bytes(), Some(&library.code));
        }
        for definition in &self.declared {
            let bytes = definition.to_bytes();
            ctx.keyspace.define(SystemTable::Trigger, definition.name.as_bytes(), Some(&bytes));
        }
        (ctx.server.libraries, ctx.server.triggers) = (self.libraries, self.triggers);
        Ok(())
    }
}

/// All modules at once, so that the request has to wait but once.
fn compile_libraries(ctx: &Context<'_>, codes: &[&[u8]]) -> Result<Vec<Library>> {
    let parsed = codes.iter().map(|code| Library::parse(code)).collect::<std::result::Result<Vec<_>, _>>()?;
    let uploads: Vec<&[u8]> = parsed.iter().map(|(_, module)| *module).collect();
    let compiled = parsed.iter().zip(codes).zip(compile(ctx, &uploads)?);
    Ok(compiled
        .map(|(((name, _), code), module)| Library::new(name, code, module))
        .collect::<std::result::Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bytes_of_a_dump_are_read() {
        let codes: [&[u8]; 3] = [b"one", b"", &[0xff; 300]];
        let dump = encode(codes.into_iter());
        assert_eq!(decode(&dump).as_deref(), Some(&codes[..]));
        assert_eq!(decode(&encode(std::iter::empty())).as_deref(), Some(&[][..]));
        for place in 0..dump.len() {
            let mut damaged = dump.clone();
            damaged[place] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {place} changed");
            assert_eq!(decode(&dump[..place]), None, "cut at {place}");
        }
    }

    #[test]
    fn a_forged_length_is_refused() {
        for forged in [&[9, 0, 0, 0, b'x'][..], &[0xff; 4], &[0, 0, 0]] {
            let mut bytes = [MAGIC, &[VERSION], forged].concat();
            let checksum = Sha1::digest(&bytes);
            bytes.extend_from_slice(&checksum);
            assert_eq!(decode(&bytes), None, "{forged:?}");
        }
    }
}
