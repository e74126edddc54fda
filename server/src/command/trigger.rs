//! Triggers: `TRIGGER CREATE` and its relatives.

mod dead_letters;

use super::{Command, Context, Error, Flags, Group, Result, flag};
use crate::protocol::Reply;
use crate::store::SystemTable;
use crate::trigger::queue::Totals;
use crate::trigger::{Asynchronous, Definition, Trigger};

pub(super) const COMMANDS: &[Command] = &[Command::container("trigger", TRIGGER).docs(
    Group::Scripting,
    "kvasm 0.1",
    "Depends on subcommand.",
    "A container for commands of triggers.",
    "",
)];

const CHANGE: &[Flags] = &[Flags::WRITE, Flags::NOSCRIPT, Flags::CHANGES_SETTINGS];
const LOOK: &[Flags] = &[Flags::NOSCRIPT];

const TRIGGER: &[Command] = &[
    Command::new("create", -9, create).flags(CHANGE).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(1)",
        "Creates a rule: when one of these events happens on keys like this, call that function.",
        "name [ASYNC | SYNC] ON event[,event ...] KEYS pattern [DB index] CALL function [CONCURRENCY count] \
         [TRIES count] [BACKOFF milliseconds] [FUEL count] [COALESCE] [ONFULL <DELAY | REFUSE>] [ENABLED | DISABLED]",
    ),
    Command::new("deadletter", -4, dead_letters::dead_letter).flags(CHANGE).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N) with N being the number of dead letters shown, put into the queue again or dropped.",
        "Shows the deliveries that were given up, the oldest first, puts them into the queue again, or drops them.",
        "<LIST name [COUNT count] | RETRY name [id | ALL] | DROP name [id | ALL]>",
    ),
    Command::new("drop", -3, drop_one).flags(CHANGE).docs(
        Group::Scripting,
        "kvasm 0.1",
        "O(N) with N being the number of its queued events.",
        "Removes a trigger; one that has queued events or dead letters only with FORCE.",
        "name [FORCE]",
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

fn create(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let words = args[2..].iter().copied();
    let definition = Definition::parse(words, ctx.keyspace.databases())
        .map_err(|error| Error::from(format!("ERR {error}")))?;
    if ctx.server.triggers.get(&definition.name).is_some() {
        return Err(format!("ERR trigger '{}' already exists", definition.name).into());
    }
    if ctx.server.libraries.function(definition.function.as_bytes()).is_none() {
        return Err(Error::FUNCTION_NOT_FOUND);
    }
    store(ctx, definition);
    Ok(Reply::OK)
}

fn drop_one(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let name = find(ctx, args[2])?.definition.name.clone();
    let is_forced = match &args[3..] {
        [] => false,
        [word] if flag(word, "FORCE") => true,
        _ => return Err(Error::SYNTAX),
    };
    if !is_forced {
        refuse_loss(ctx, &name)?;
    }
    drop_queue(ctx, &name)?;
    remove(ctx, &name);
    Ok(Reply::OK)
}

/// Removes what a trigger has still to deliver.
pub(super) fn drop_queue(ctx: &mut Context<'_>, name: &str) -> Result<()> {
    let Context { keyspace, server, .. } = ctx;
    Ok(server.queues.drop_queue(keyspace, name)?)
}

/// Removes a trigger, but not its queue.
pub(super) fn remove(ctx: &mut Context<'_>, name: &str) {
    ctx.keyspace.define(SystemTable::Trigger, name.as_bytes(), None);
    ctx.server.triggers.remove(name);
}

/// Refuses to remove a trigger with which events would be lost that nobody has seen to.
pub(super) fn refuse_loss(ctx: &mut Context<'_>, name: &str) -> Result<()> {
    let Context { keyspace, server, .. } = ctx;
    let (totals, _) = server.queues.totals_of(keyspace, name)?;
    if totals.queued == 0 && totals.dead_letters == 0 {
        return Ok(());
    }
    let (queued, dead) = (totals.queued, totals.dead_letters);
    Err(format!(
        "ERR trigger '{name}' still has {queued} queued and {dead} dead deliveries; TRIGGER DROP {name} FORCE drops \
         it with them"
    )
    .into())
}

fn enable(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_enabled(ctx, args[2], true)
}

fn disable(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_enabled(ctx, args[2], false)
}

fn set_enabled(ctx: &mut Context<'_>, name: &[u8], enabled: bool) -> Result {
    let definition = Definition::clone(&find(ctx, name)?.definition);
    store(ctx, Definition { enabled, ..definition });
    Ok(Reply::OK)
}

/// Adds a trigger, or changes it.
pub(super) fn store(ctx: &mut Context<'_>, definition: Definition) {
    let bytes = definition.to_bytes();
    ctx.keyspace.define(SystemTable::Trigger, definition.name.as_bytes(), Some(&bytes));
    ctx.server.triggers.insert(definition);
}

fn find<'a>(ctx: &'a Context<'_>, name: &[u8]) -> Result<&'a Trigger> {
    let found = std::str::from_utf8(name).ok().and_then(|name| ctx.server.triggers.get(name));
    found.ok_or(Error::text("ERR no such trigger"))
}

fn list(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::list(ctx.server.triggers.iter().map(|trigger| &trigger.definition.name)))
}

fn info(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let trigger = find(ctx, args[2])?.clone();
    let (definition, counts) = (&trigger.definition, trigger.counts());
    let mode = if definition.asynchronous.is_some() { "async" } else { "sync" };
    let mut fields = vec![
        ("name", definition.name.clone().into()),
        ("mode", Reply::text(mode)),
        ("on", Reply::list(&definition.events)),
        ("keys", Reply::bytes(&definition.pattern)),
        ("db", definition.database.map(i64::from).into()),
        ("call", definition.function.clone().into()),
        ("enabled", Reply::Boolean(definition.enabled)),
        ("library", definition.library.clone().into()),
        ("runs", counts.runs.into()),
        ("failures", counts.failures.into()),
        ("last_error", counts.last_error.clone().into()),
    ];
    fields.extend(definition.asynchronous.iter().flat_map(options_of));
    let Context { keyspace, server, .. } = ctx;
    let (totals, oldest_ms) = server.queues.totals_of(keyspace, &definition.name)?;
    // One that became synchronous may still have something to deliver.
    if definition.asynchronous.is_some() || totals != Totals::default() {
        let age_ms = oldest_ms.map(|oldest_ms| keyspace.now_ms().saturating_sub(oldest_ms) as i64);
        fields.extend([
            ("queued", totals.queued.into()),
            ("queued_bytes", totals.bytes.into()),
            ("running", totals.running.into()),
            ("done", Reply::Integer((counts.runs - counts.failures) as i64)),
            ("failed", counts.failures.into()),
            ("retried", counts.retries.into()),
            ("dead_letters", totals.dead_letters.into()),
            ("oldest_age_ms", age_ms.into()),
        ]);
    }
    Ok(Reply::fields(fields))
}

fn options_of(options: &Asynchronous) -> [(&'static str, Reply); 6] {
    [
        ("concurrency", Reply::Integer(options.concurrency.into())),
        ("tries", Reply::Integer(options.tries.into())),
        ("backoff_ms", options.backoff_ms.into()),
        ("fuel", options.fuel.map(|fuel| fuel as i64).into()),
        ("coalesce", Reply::Boolean(options.coalesce)),
        ("on_full", Reply::text(options.when_full.name())),
    ]
}

fn help(_: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::Array(
        [
            "TRIGGER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "CREATE <name> [ASYNC|SYNC] ON <event>[,<event> ...] KEYS <pattern> [DB <index>] CALL <function> [<opt> ...]",
            "    Create a rule that calls a library function when such an event happens on such a key. Options are:",
            "    * ENABLED|DISABLED",
            "      Whether it is in force.",
            "    * CONCURRENCY <count>, TRIES <count>, BACKOFF <milliseconds>, FUEL <count>, COALESCE, ONFULL DELAY|REFUSE",
            "      How the events of an ASYNC trigger are queued and delivered.",
            "DEADLETTER LIST <name> [COUNT <count>]",
            "    Return the deliveries that were given up, the oldest first.",
            "DEADLETTER RETRY <name> [<id>|ALL]",
            "    Put deliveries that were given up into the queue again.",
            "DEADLETTER DROP <name> [<id>|ALL]",
            "    Forget deliveries that were given up.",
            "DISABLE <name>",
            "    Put a trigger out of force.",
            "DROP <name> [FORCE]",
            "    Remove a trigger. One that has queued events or dead letters is removed only with FORCE.",
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
