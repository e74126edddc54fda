//! Durable libraries of procedures: `FUNCTION`, `FCALL` and `FCALL_RO`, as Redis clients know them.

mod dump;
mod running;

use std::sync::Arc;

use super::arguments::{flag, is_flush_mode, log_count};
use super::help::{help, wrong_arguments};
use super::procedure::{EVAL, EVAL_RO, call_with_keys, compile, not_compiled};
use super::{Command, Context, Error, Flags, Group, Outcome, Result, trigger};
use crate::procedure::Placement;
use crate::protocol::Reply;
use crate::state::{Libraries, Library, LibraryError, ProcedureLogEntry, Server, Session, Upload};
use crate::store::SystemTable;
use crate::trigger::{Definition, Triggers};
use crate::types::glob;

const DEPENDS: &str = "Depends on the function that is executed.";

pub(super) const COMMANDS: &[Command] = &[
    Command::outcome("fcall", -3, fcall).flags(EVAL).counted_keys(2).docs(
        Group::Scripting,
        "7.0.0",
        DEPENDS,
        "Calls a function of a library, as one transaction.",
        "function numkeys [key [key ...]] [arg [arg ...]]",
    ),
    Command::outcome("fcall_ro", -3, fcall_ro).flags(EVAL_RO).counted_keys(2).docs(
        Group::Scripting,
        "7.0.0",
        DEPENDS,
        "Calls a function of a library that cannot write.",
        "function numkeys [key [key ...]] [arg [arg ...]]",
    ),
    Command::container("function", FUNCTION).docs(
        Group::Scripting,
        "7.0.0",
        "Depends on subcommand.",
        "A container for commands of libraries.",
        "",
    ),
];

const BAD_COUNT: Error = Error::text("ERR Bad number of keys provided");

const CHANGE: &[Flags] = &[Flags::WRITE, Flags::NOSCRIPT, Flags::CHANGES_SETTINGS];

const FUNCTION: &[Command] = &[
    Command::new("load", -3, load).flags(CHANGE).flags(&[Flags::DENYOOM]).uploads(uploads_of_load).docs(
        Group::Scripting,
        "7.0.0",
        "O(N) with N being the length of the module.",
        "Creates a durable library from a WebAssembly module.",
        "[REPLACE] function-code",
    ),
    Command::new("delete", 3, delete).flags(CHANGE).docs(
        Group::Scripting,
        "7.0.0",
        "O(N) with N being the number of functions.",
        "Deletes a library, its functions and its triggers.",
        "library-name",
    ),
    Command::new("flush", -2, flush).flags(CHANGE).docs(
        Group::Scripting,
        "7.0.0",
        "O(N) with N being the number of functions.",
        "Deletes all libraries.",
        "[ASYNC | SYNC]",
    ),
    Command::new("dump", 2, dump::dump).flags(&[Flags::NOSCRIPT]).docs(
        Group::Scripting,
        "7.0.0",
        "O(N) with N being the length of the modules.",
        "Returns all libraries as one string of bytes, for FUNCTION RESTORE.",
        "",
    ),
    Command::new("restore", -3, dump::restore)
        .flags(CHANGE)
        .flags(&[Flags::DENYOOM])
        .uploads(dump::uploads)
        .docs(
            Group::Scripting,
            "7.0.0",
            "O(N) with N being the length of the modules.",
            "Creates the libraries of a FUNCTION DUMP of kvasm, all of them or none.",
            "serialized-value [FLUSH | APPEND | REPLACE]",
        ),
    Command::new("list", -2, list).flags(&[Flags::NOSCRIPT]).docs(
        Group::Scripting,
        "7.0.0",
        "O(N) with N being the number of functions.",
        "Describes the libraries.",
        "[LIBRARYNAME library-name-pattern] [WITHCODE]",
    ),
    Command::new("stats", 2, running::stats).flags(&[Flags::NOSCRIPT, Flags::ALLOW_BUSY]).docs(
        Group::Scripting,
        "7.0.0",
        "O(N) with N being the number of functions that run in the background.",
        "Tells which functions run in the background, and how many there are.",
        "",
    ),
    Command::new("kill", -2, running::kill).flags(&[Flags::NOSCRIPT, Flags::ALLOW_BUSY]).docs(
        Group::Scripting,
        "7.0.0",
        "O(N) with N being the number of functions that run in the background.",
        "Stops the functions that run in the background, or those of one name; all that they did is undone.",
        "[function-name]",
    ),
    Command::new("log", -2, log).flags(&[Flags::NOSCRIPT]).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N) with N being the number of lines.",
        "Shows the last lines that procedures logged, or drops them.",
        "[count | RESET]",
    ),
    help(Group::Scripting, "7.0.0"),
];

fn fcall(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let (library, procedure) = find(ctx, args[1])?;
    call_with_keys(Arc::clone(&library.module), procedure, &text(args[1]), args, false, BAD_COUNT)
}

fn fcall_ro(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let (library, procedure) = find(ctx, args[1])?;
    if !library.module.procedures()[procedure].read_only {
        return Err(Error::text("ERR Can not execute a script with write flag using *_ro command."));
    }
    call_with_keys(Arc::clone(&library.module), procedure, &text(args[1]), args, true, BAD_COUNT)
}

fn find<'a>(ctx: &'a Context<'_>, name: &[u8]) -> Result<(&'a Library, usize)> {
    ctx.server.libraries.function(name).ok_or(Error::FUNCTION_NOT_FOUND)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn load(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (replace, code) = match &args[2..] {
        [code] => (false, *code),
        [word, code] if flag(word, "REPLACE") => (true, *code),
        [word, ..] => return Err(format!("ERR Unknown option given: {}", text(word)).into()),
        [] => return Err(Error::SYNTAX),
    };
    let (name, module) = Library::parse(code)?;
    if !replace && ctx.keyspace.definition(SystemTable::Library, name.as_bytes()).is_some() {
        return Err(LibraryError::Exists(name.to_owned()).into());
    }
    let library = Library::new(name, code, compile(ctx, &[module])?.remove(0))?;
    ctx.server.libraries.check(&library, replace)?;
    let (libraries, triggers) = (&ctx.server.libraries, &ctx.server.triggers);
    let declared = declared_triggers(libraries, triggers, ctx.keyspace.databases(), &library)?;
    check_users(ctx, &library.name, Some(&library))?;
    refuse_losses(ctx, name, &declared)?;
    drop_triggers_of(ctx, name, &declared)?;
    ctx.keyspace.define(SystemTable::Library, name.as_bytes(), Some(code));
    ctx.server.libraries.insert(library);
    for definition in declared {
        trigger::store(ctx, definition);
    }
    Ok(name.to_owned().into())
}

fn uploads_of_load(server: &Server, session: &Session, args: &[&[u8]]) -> Vec<Upload> {
    let parsed = Library::parse(args[args.len() - 1]);
    parsed.map_or(Vec::new(), |(_, module)| not_compiled(server, session, &[module]))
}

impl From<LibraryError> for Error {
    fn from(error: LibraryError) -> Self {
        format!("{} {error}", error.code()).into()
    }
}

/// The triggers that a library declares, checked against those that are there.
fn declared_triggers(
    libraries: &Libraries,
    triggers: &Triggers,
    databases: u8,
    library: &Library,
) -> Result<Vec<Definition>> {
    let mut declared: Vec<Definition> = Vec::new();
    for line in library.module.triggers() {
        let words = line.split_ascii_whitespace().map(str::as_bytes);
        let definition = Definition::parse(words, databases)
            .map_err(|error| Error::from(format!("ERR trigger declaration '{line}': {error}")))?;
        let known = library.module.find(&definition.function).is_some()
            || libraries.function(definition.function.as_bytes()).is_some();
        if !known {
            let (name, function) = (&definition.name, &definition.function);
            return Err(format!("ERR trigger '{name}' calls '{function}', which is not a function").into());
        }
        let other = triggers.get(&definition.name);
        let taken = other.is_some_and(|other| !of_library(&other.definition, &library.name));
        if taken || declared.iter().any(|earlier| earlier.name == definition.name) {
            return Err(format!("ERR trigger '{}' already exists", definition.name).into());
        }
        declared.push(Definition { library: Some(library.name.clone()), ..definition });
    }
    Ok(declared)
}

/// Refuses to take functions away that triggers of others call. `successor` is what takes the library's place.
fn check_users(ctx: &Context<'_>, library: &str, successor: Option<&Library>) -> Result<()> {
    let Some(current) = ctx.server.libraries.get(library) else { return Ok(()) };
    for trigger in ctx.server.triggers.iter() {
        let definition = &trigger.definition;
        let calls_it = current.module.find(&definition.function).is_some();
        let stays = successor.is_some_and(|next| next.module.find(&definition.function).is_some());
        if calls_it && !stays && !of_library(definition, library) {
            let (name, function) = (&definition.name, &definition.function);
            return Err(format!(
                "ERR Library '{library}' is in use: trigger '{name}' calls its function '{function}'"
            )
            .into());
        }
    }
    Ok(())
}

/// Refuses triggers that call functions which no library has.
fn check_references(libraries: &Libraries, triggers: &Triggers) -> Result<()> {
    let lost = |definition: &Definition| libraries.function(definition.function.as_bytes()).is_none();
    let Some(trigger) = triggers.iter().find(|trigger| lost(&trigger.definition)) else { return Ok(()) };
    let (name, function) = (&trigger.definition.name, &trigger.definition.function);
    Err(format!("ERR Libraries are in use: trigger '{name}' calls their function '{function}'").into())
}

/// Whether a library has declared a trigger.
fn of_library(definition: &Definition, library: &str) -> bool {
    definition.library.as_deref() == Some(library)
}

/// Refuses to take triggers of a library away that still have something to deliver. Those that are `declared` again keep
/// it.
fn refuse_losses(ctx: &mut Context<'_>, library: &str, declared: &[Definition]) -> Result<()> {
    let triggers = ctx.server.triggers.clone();
    for trigger in triggers.iter().filter(|trigger| of_library(&trigger.definition, library)) {
        let name = &trigger.definition.name;
        if !declared.iter().any(|definition| definition.name == *name) {
            trigger::refuse_loss(ctx, name)?;
        }
    }
    Ok(())
}

/// Removes the triggers of a library, with their queues unless they are `declared` again.
fn drop_triggers_of(ctx: &mut Context<'_>, library: &str, declared: &[Definition]) -> Result<()> {
    let triggers = ctx.server.triggers.clone();
    for trigger in triggers.iter().filter(|trigger| of_library(&trigger.definition, library)) {
        let name = &trigger.definition.name;
        if !declared.iter().any(|definition| definition.name == *name) {
            trigger::drop_queue(ctx, name)?;
        }
        trigger::remove(ctx, name);
    }
    Ok(())
}

fn delete(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let name = text(args[2]);
    // A library that exceeds limits which were lowered since is stored but not loaded; it can be deleted all the same.
    if ctx.keyspace.definition(SystemTable::Library, name.as_bytes()).is_none() {
        return Err(Error::text("ERR Library not found"));
    }
    check_users(ctx, &name, None)?;
    refuse_losses(ctx, &name, &[])?;
    remove(ctx, &name)?;
    Ok(Reply::OK)
}

fn remove(ctx: &mut Context<'_>, name: &str) -> Result<()> {
    drop_triggers_of(ctx, name, &[])?;
    ctx.keyspace.define(SystemTable::Library, name.as_bytes(), None);
    ctx.server.libraries.remove(name);
    Ok(())
}

fn flush(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    if args.len() > 3 {
        return Err(wrong_arguments(args));
    }
    if args.get(2).is_some_and(|mode| !is_flush_mode(mode)) {
        return Err(Error::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    let created = |definition: &Definition| definition.library.is_none();
    if let Some(trigger) = ctx.server.triggers.iter().find(|trigger| created(&trigger.definition)) {
        let name = &trigger.definition.name;
        return Err(format!("ERR Libraries are in use: trigger '{name}' calls one of their functions").into());
    }
    // As with `delete`: not all that are stored are loaded.
    let stored = ctx.keyspace.definitions(SystemTable::Library);
    let names: Vec<String> = stored.iter().map(|(name, _)| text(name)).collect();
    for name in &names {
        refuse_losses(ctx, name, &[])?;
    }
    for name in names {
        remove(ctx, &name)?;
    }
    Ok(Reply::OK)
}

fn list(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (mut pattern, mut with_code) = (None, false);
    let mut words = args[2..].iter();
    while let Some(word) = words.next() {
        if flag(word, "WITHCODE") && !with_code {
            with_code = true;
        } else if flag(word, "LIBRARYNAME") && pattern.is_none() {
            pattern = Some(*words.next().ok_or(Error::text("ERR library name argument was not given"))?);
        } else {
            return Err(format!("ERR Unknown argument {}", text(word)).into());
        }
    }
    let libraries = ctx.server.libraries.iter();
    let wanted = libraries.filter(|library| {
        pattern.is_none_or(|pattern| glob::matches_ignoring_case(pattern, library.name.as_bytes()))
    });
    Ok(Reply::Array(wanted.map(|library| describe(library, with_code)).collect()))
}

fn describe(library: &Library, with_code: bool) -> Reply {
    let functions = library.module.procedures().iter().map(|procedure| {
        let flags = [
            (procedure.read_only, "no-writes"),
            (procedure.placement == Placement::Background, "background"),
            (procedure.placement == Placement::Inline, "inline"),
        ];
        let flags =
            flags.into_iter().filter(|(applies, _)| *applies).map(|(_, name)| Reply::simple(name)).collect();
        Reply::fields([
            ("name", procedure.name.clone().into()),
            ("description", Reply::Null),
            ("flags", Reply::Set(flags)),
        ])
    });
    let mut fields = vec![
        ("library_name", library.name.clone().into()),
        ("engine", Reply::text("WASM")),
        ("functions", Reply::Array(functions.collect())),
    ];
    if with_code {
        fields.push(("library_code", Reply::bytes(&library.code)));
    }
    Reply::fields(fields)
}

fn log(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    const SHOWN_BY_DEFAULT: usize = 10;
    let count = match &args[2..] {
        [] => SHOWN_BY_DEFAULT,
        [word] if flag(word, "RESET") => {
            ctx.server.procedure_log.clear();
            return Ok(Reply::OK);
        }
        [count] => log_count(count)?,
        _ => return Err(Error::SYNTAX),
    };
    let entry = |entry: &ProcedureLogEntry| {
        Reply::fields([
            ("time_us", entry.time_us.into()),
            ("level", Reply::text(entry.level.name())),
            ("procedure", entry.procedure.clone().into()),
            ("message", Reply::bytes(&entry.message)),
        ])
    };
    Ok(Reply::Array(ctx.server.procedure_log.iter().take(count).map(entry).collect()))
}
