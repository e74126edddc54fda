//! Procedures by their module: `EVALWASM` and its relatives, and the cache of uploaded modules.

use std::fmt::Write as _;
use std::sync::Arc;

use super::arguments::{integer, is_flush_mode};
use super::help::help;
use super::{Call, Command, Context, Error, Flags, Group, Outcome, Result};
use crate::procedure::{EVAL_EXPORT, Module};
use crate::protocol::Reply;
use crate::state::{Digest, Server, Session, Upload, digest_of, module_limits};

/// What calls a procedure, as Redis marks what calls a script.
pub(super) const EVAL: &[Flags] =
    &[Flags::NOSCRIPT, Flags::STALE, Flags::SKIP_MONITOR, Flags::MAY_REPLICATE, Flags::NO_MANDATORY_KEYS];
/// What calls a procedure that may only read.
pub(super) const EVAL_RO: &[Flags] =
    &[Flags::READONLY, Flags::NOSCRIPT, Flags::STALE, Flags::SKIP_MONITOR, Flags::NO_MANDATORY_KEYS];
const DEPENDS: &str = "Depends on the procedure that is executed.";

pub(super) const COMMANDS: &[Command] = &[
    Command::outcome("evalwasm", -3, evalwasm).flags(EVAL).counted_keys(2).uploads(uploads_of_eval).docs(
        Group::Scripting,
        "kvasm 0.1",
        DEPENDS,
        "Runs a WebAssembly module given as binary or text, as one transaction.",
        "module numkeys [key [key ...]] [arg [arg ...]]",
    ),
    Command::outcome("evalwasm_ro", -3, evalwasm_ro)
        .flags(EVAL_RO)
        .counted_keys(2)
        .uploads(uploads_of_eval)
        .docs(
            Group::Scripting,
            "kvasm 0.1",
            DEPENDS,
            "Runs a WebAssembly module that may only read.",
            "module numkeys [key [key ...]] [arg [arg ...]]",
        ),
    Command::outcome("evalwasmsha", -3, evalwasmsha).flags(EVAL).counted_keys(2).docs(
        Group::Scripting,
        "kvasm 0.1",
        DEPENDS,
        "Runs a module from the cache by its SHA-1.",
        "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    ),
    Command::outcome("evalwasmsha_ro", -3, evalwasmsha_ro).flags(EVAL_RO).counted_keys(2).docs(
        Group::Scripting,
        "kvasm 0.1",
        DEPENDS,
        "Runs a module from the cache by its SHA-1; it may only read.",
        "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    ),
    Command::container("wasm", WASM).docs(
        Group::Scripting,
        "kvasm 0.1",
        "Depends on subcommand.",
        "A container for commands of the module cache.",
        "",
    ),
];

const WASM: &[Command] = &[
    Command::new("load", 3, wasm_load).flags(&[Flags::NOSCRIPT]).uploads(uploads_of_load).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N) with N being the length of the module.",
        "Puts a module into the cache and returns its SHA-1.",
        "module",
    ),
    Command::new("exists", -3, wasm_exists).flags(&[Flags::NOSCRIPT]).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N) with N being the number of digests.",
        "Tells which modules are in the cache.",
        "sha1 [sha1 ...]",
    ),
    Command::new("list", 2, wasm_list).flags(&[Flags::NOSCRIPT]).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N log N) with N being the number of modules.",
        "Lists the modules of the cache, the most recently used first.",
        "",
    ),
    Command::new("flush", -2, wasm_flush).flags(&[Flags::NOSCRIPT]).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N) with N being the number of modules.",
        "Empties the cache.",
        "[ASYNC | SYNC]",
    ),
    help(Group::Scripting, "kvasm 0.1"),
];

fn evalwasm(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let (_, module) = cached(ctx, args[1])?;
    call(module, args, false)
}

fn evalwasm_ro(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let (_, module) = cached(ctx, args[1])?;
    call(module, args, true)
}

fn evalwasmsha(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let module = by_digest(ctx, args[1])?;
    call(module, args, false)
}

fn evalwasmsha_ro(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let module = by_digest(ctx, args[1])?;
    call(module, args, true)
}

fn wasm_load(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (digest, _) = cached(ctx, args[2])?;
    Ok(hex(&digest).into())
}

fn wasm_exists(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let cache = &ctx.server.modules;
    let found = |text: &&[u8]| parse_digest(text).is_some_and(|digest| cache.contains(&digest));
    Ok(Reply::Array(args[2..].iter().map(|text| Reply::flag(found(text))).collect()))
}

fn wasm_list(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let entry = |(digest, cached): (Digest, &crate::state::Cached)| {
        let module = &cached.module;
        let exports = module.procedures().iter().map(|procedure| &procedure.name);
        Reply::fields([
            ("sha1", hex(&digest).into()),
            ("upload_size", cached.upload_bytes.into()),
            ("size", module.size_bytes().into()),
            ("procedures", Reply::list(exports)),
        ])
    };
    Ok(Reply::Array(ctx.server.modules.list().into_iter().map(entry).collect()))
}

fn wasm_flush(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    match args.get(2) {
        None => {}
        Some(mode) if args.len() == 3 && is_flush_mode(mode) => {}
        Some(_) => return Err(Error::text("ERR WASM FLUSH only support SYNC|ASYNC option")),
    }
    ctx.server.modules.clear();
    Ok(Reply::OK)
}

/// The digest and the compiled form of an upload, from the cache or by way of the gate.
fn cached(ctx: &mut Context<'_>, upload: &[u8]) -> Result<(Digest, Arc<Module>)> {
    let Context { server, session, .. } = ctx;
    let limits = module_limits(&server.options);
    // What is too large is not worth a look.
    limits.check_size(upload)?;
    let digest = digest_of(upload);
    if let Some(module) = server.modules.get(&digest) {
        return Ok((digest, module));
    }
    let verdict = session.compilations.verdict(digest, upload, &limits);
    let module = verdict.map_err(|missing| Error::NotCompiled(vec![missing]))?.clone()?;
    let options = &server.options;
    let (max_len, max_bytes) = (options.wasm_cache_max_len as usize, options.wasm_cache_max_size as usize);
    server.modules.insert(digest, Arc::clone(&module), upload.len(), max_len, max_bytes);
    Ok((digest, module))
}

/// The compiled forms of uploads. When a request comes here first, that fails with [`Error::NotCompiled`].
pub(super) fn compile(ctx: &Context<'_>, uploads: &[&[u8]]) -> Result<Vec<Arc<Module>>> {
    let limits = module_limits(&ctx.server.options);
    let (mut modules, mut missing) = (Vec::new(), Vec::new());
    for upload in uploads {
        limits.check_size(upload)?;
        match ctx.session.compilations.verdict(digest_of(upload), upload, &limits) {
            Ok(verdict) => modules.push(verdict.clone()?),
            Err(upload) => missing.push(upload),
        }
    }
    if missing.is_empty() { Ok(modules) } else { Err(Error::NotCompiled(missing)) }
}

/// What of uploads has yet to pass the gate.
pub(super) fn not_compiled(server: &Server, session: &Session, uploads: &[&[u8]]) -> Vec<Upload> {
    let limits = module_limits(&server.options);
    // What is too large fails without a look at it.
    let uploads = uploads.iter().filter(|upload| limits.check_size(upload).is_ok());
    uploads
        .filter_map(|upload| session.compilations.verdict(digest_of(upload), upload, &limits).err())
        .collect()
}

fn uploads_of_eval(server: &Server, session: &Session, args: &[&[u8]]) -> Vec<Upload> {
    not_cached(server, session, args[1])
}

fn uploads_of_load(server: &Server, session: &Session, args: &[&[u8]]) -> Vec<Upload> {
    not_cached(server, session, args[2])
}

/// An upload that the cache has not, and that has yet to pass the gate.
fn not_cached(server: &Server, session: &Session, upload: &[u8]) -> Vec<Upload> {
    let mut missing = not_compiled(server, session, &[upload]);
    missing.retain(|upload| !server.modules.contains(&upload.digest));
    missing
}

fn by_digest(ctx: &mut Context<'_>, text: &[u8]) -> Result<Arc<Module>> {
    parse_digest(text)
        .and_then(|digest| ctx.server.modules.get(&digest))
        .ok_or(Error::text("NOSCRIPT No matching module. Please use EVALWASM."))
}

fn call(module: Arc<Module>, args: &[&[u8]], read_only: bool) -> Result<Outcome> {
    let missing = || Error::from(format!("ERR {}", module.why_no_eval()));
    let procedure = module.find(EVAL_EXPORT).ok_or_else(missing)?;
    call_with_keys(module, procedure, EVAL_EXPORT, args, read_only, Error::NOT_AN_INTEGER)
}

/// The call that a command with `numkeys` as its third word asks for; `bad_count` is the error when that is no number.
pub(super) fn call_with_keys(
    module: Arc<Module>,
    procedure: usize,
    name: &str,
    args: &[&[u8]],
    read_only: bool,
    bad_count: Error,
) -> Result<Outcome> {
    let count = integer(args[2]).map_err(|_| bad_count)?;
    let count = usize::try_from(count).map_err(|_| Error::text("ERR Number of keys can't be negative"))?;
    let end = 3 + count.min(args.len());
    if end > args.len() {
        return Err(Error::text("ERR Number of keys can't be greater than number of args"));
    }
    Ok(Outcome::Call(Call {
        module,
        procedure,
        name: name.to_owned(),
        keys: 3..end,
        arguments: end..args.len(),
        read_only,
    }))
}

fn hex(digest: &Digest) -> String {
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parse_digest(text: &[u8]) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let nibble = |digit: u8| (digit as char).to_digit(16);
        *byte = (nibble(pair[0])? << 4 | nibble(pair[1])?) as u8;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_its_text_in_any_case() {
        let digest = digest_of(b"module");
        assert_eq!(parse_digest(hex(&digest).as_bytes()), Some(digest));
        assert_eq!(parse_digest(hex(&digest).to_uppercase().as_bytes()), Some(digest));
        for text in ["", "ab", &"g".repeat(40), &"a".repeat(41)] {
            assert_eq!(parse_digest(text.as_bytes()), None, "{text}");
        }
    }
}
