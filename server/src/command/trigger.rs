//! Triggers: `TRIGGER CREATE` and its relatives.

use super::{Command, Context, Error, Flags, Group, Result};
use crate::protocol::Reply;
use crate::store::SystemTable;
use crate::trigger::{Definition, Trigger};

pub(super) const COMMANDS: &[Command] = &[Command::container("trigger", TRIGGER).docs(
    Group::Scripting,
    "kvasm 0.1",
    "Depends on subcommand.",
    "A container for commands of triggers.",
    "",
)];

const CHANGE: &[Flags] = &[Flags::WRITE, Flags::NOSCRIPT];
const LOOK: &[Flags] = &[Flags::NOSCRIPT];

const TRIGGER: &[Command] = &[
    Command::new("create", -9, create).flags(CHANGE).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(1)",
        "Creates a rule: when one of these events happens on keys like this, call that function.",
        "name ON event[,event ...] KEYS pattern [DB index] CALL function [ENABLED | DISABLED]",
    ),
    Command::new("drop", 3, drop_one).flags(CHANGE).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(1)",
        "Removes a trigger.",
        "name",
    ),
    Command::new("enable", 3, enable).flags(CHANGE).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(1)",
        "Puts a trigger in force.",
        "name",
    ),
    Command::new("disable", 3, disable).flags(CHANGE).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(1)",
        "Puts a trigger out of force.",
        "name",
    ),
    Command::new("list", 2, list).flags(LOOK).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N) with N being the number of triggers.",
        "Names the triggers.",
        "",
    ),
    Command::new("info", 3, info).flags(LOOK).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(1)",
        "Describes a trigger and tells how often it ran and failed.",
        "name",
    ),
    Command::new("help", 2, help).flags(&[Flags::LOADING, Flags::STALE]).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(1)",
        "Tells what the subcommands do.",
        "",
    ),
];

fn create(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result {
    let words = arguments[2..].iter().copied();
    let definition = Definition::parse(words, context.keyspace.databases())
        .map_err(|error| Error::from(format!("ERR {error}")))?;
    if context.server.triggers.get(&definition.name).is_some() {
        return Err(format!("ERR trigger '{}' already exists", definition.name).into());
    }
    if context.server.libraries.function(definition.function.as_bytes()).is_none() {
        return Err(Error::text("ERR Function not found"));
    }
    store(context, definition);
    Ok(Reply::OK)
}

fn drop_one(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result {
    let name = find(context, arguments[2])?.definition.name.clone();
    context.keyspace.define(SystemTable::Trigger, name.as_bytes(), None);
    context.server.triggers.remove(&name);
    Ok(Reply::OK)
}

fn enable(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result {
    set_enabled(context, arguments[2], true)
}

fn disable(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result {
    set_enabled(context, arguments[2], false)
}

fn set_enabled(context: &mut Context<'_>, name: &[u8], enabled: bool) -> Result {
    let definition = find(context, name)?.definition.clone();
    store(context, Definition { enabled, ..definition });
    Ok(Reply::OK)
}

fn store(context: &mut Context<'_>, definition: Definition) {
    let bytes = definition.to_bytes();
    context.keyspace.define(SystemTable::Trigger, definition.name.as_bytes(), Some(&bytes));
    context.server.triggers.insert(definition);
}

fn find<'a>(context: &'a Context<'_>, name: &[u8]) -> Result<&'a Trigger> {
    let found = std::str::from_utf8(name).ok().and_then(|name| context.server.triggers.get(name));
    found.ok_or(Error::text("ERR no such trigger"))
}

fn list(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::list(context.server.triggers.iter().map(|trigger| &trigger.definition.name)))
}

fn info(context: &mut Context<'_>, arguments: &[&[u8]]) -> Result {
    let trigger = find(context, arguments[2])?;
    let (definition, counts) = (&trigger.definition, trigger.counts());
    let field = |name: &'static str, value: Reply| (Reply::text(name), value);
    Ok(Reply::Map(vec![
        field("name", definition.name.clone().into()),
        field("on", Reply::list(&definition.events)),
        field("keys", Reply::bytes(&definition.pattern)),
        field("db", definition.database.map(i64::from).into()),
        field("call", definition.function.clone().into()),
        field("enabled", Reply::Boolean(definition.enabled)),
        field("library", definition.library.clone().into()),
        field("runs", Reply::Integer(counts.runs as i64)),
        field("failures", Reply::Integer(counts.failures as i64)),
        field("last_error", counts.last_error.into()),
    ]))
}

fn help(_: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::Array(
        [
            "TRIGGER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "CREATE <name> ON <event>[,<event> ...] KEYS <pattern> [DB <index>] CALL <function> [ENABLED|DISABLED]",
            "    Create a rule that calls a library function when such an event happens on such a key.",
            "DISABLE <name>",
            "    Put a trigger out of force.",
            "DROP <name>",
            "    Remove a trigger.",
            "ENABLE <name>",
            "    Put a trigger in force.",
            "INFO <name>",
            "    Describe a trigger and tell how often it ran and failed.",
            "LIST",
            "    Return the names of the triggers.",
            "HELP",
            "    Print this help.",
        ]
        .map(Reply::simple)
        .to_vec(),
    ))
}
