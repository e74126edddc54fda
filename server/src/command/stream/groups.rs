//! XGROUP: making, moving and removing consumer groups and their consumers.

use super::super::help::{help, wrong_arguments};
use super::super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use super::{arguments, consumer_event, no_group_of};
use crate::keyspace::events;
use crate::protocol::Reply;
use crate::types::StreamValue;
use crate::types::stream::{Position, StreamId};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[Command::container("xgroup", SUBCOMMANDS).docs(
    Group::Stream,
    "5.0.0",
    "Depends on subcommand.",
    "Manages the consumer groups of a stream.",
    "",
)];

const SUBCOMMANDS: &[Command] = &[
    Command::new("create", -5, create).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(2, 2, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of groups of the stream",
        "Creates a consumer group that begins to read after an id.",
        "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
    ),
    Command::new("createconsumer", 5, create_consumer)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(2, 2, 1)
        .docs(Group::Stream, "6.2.0", "O(1)", "Creates a consumer of a group.", "key group consumer"),
    Command::new("delconsumer", 5, delete_consumer).flags(&[Flags::WRITE]).keys(2, 2, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of entries that are pending for the consumer",
        "Removes a consumer from its group, with its pending entries.",
        "key group consumer",
    ),
    Command::new("destroy", 4, destroy).flags(&[Flags::WRITE]).keys(2, 2, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of entries that are pending in the group",
        "Removes a consumer group.",
        "key group",
    ),
    help(Group::Stream, "5.0.0"),
    Command::new("setid", -5, set_id).flags(&[Flags::WRITE]).keys(2, 2, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Sets the last id that was delivered to a group.",
        "key group <id | $> [ENTRIESREAD entries-read]",
    ),
];

const NO_STREAM: Error = Error::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option \
     to create an empty stream automatically.",
);

/// The options of CREATE and SETID.
#[derive(Debug, Default)]
struct Options {
    makes_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: &[&[u8]], may_make_stream: bool) -> Result<Self> {
        let mut parsed = Self::default();
        let mut options = &args[5..];
        while !options.is_empty() {
            options = match options {
                [option, rest @ ..] if may_make_stream && flag(option, "MKSTREAM") => {
                    parsed.makes_stream = true;
                    rest
                }
                [option, number, rest @ ..] if flag(option, "ENTRIESREAD") => {
                    parsed.entries_read =
                        match integer(number)? {
                            -1 => None,
                            read => Some(u64::try_from(read).map_err(|_| {
                                Error::text("ERR value for ENTRIESREAD must be positive or -1")
                            })?),
                        };
                    rest
                }
                _ => return Err(wrong_arguments(args)),
            };
        }
        Ok(parsed)
    }
}

/// The stream that must be there, as it must have the group, unless a group is to be made.
fn check_group(ctx: &mut Context<'_>, key: &[u8], group: &[u8]) -> Result<()> {
    let stream = ctx.keyspace.peek_as::<StreamValue>(ctx.session.database, key)?.ok_or(NO_STREAM)?;
    stream.group(group).map(|_| ()).ok_or_else(|| no_group_of(key, group))
}

fn create(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    /// All options once.
    const MAX_ARGUMENTS: usize = 8;
    let (database, key, group) = (ctx.session.database, args[2], args[3]);
    let options = Options::parse(args, true)?;
    let stream = ctx.keyspace.peek_as::<StreamValue>(database, key)?;
    if stream.is_none() && !options.makes_stream {
        return Err(NO_STREAM);
    }
    if args.len() > MAX_ARGUMENTS {
        return Err(wrong_arguments(args));
    }
    let last_delivered = match args[4] {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.counters().last_id),
        other => arguments::id(other, 0)?,
    };
    if stream.is_some_and(|stream| stream.group(group).is_some()) {
        return Err(Error::text("BUSYGROUP Consumer Group name already exists"));
    }
    let position = Position { last_delivered, entries_read: options.entries_read };
    ctx.keyspace.update_or_create::<StreamValue, _>(
        database,
        key,
        events::XGROUP_CREATE,
        |stream, recorder| {
            stream.create_group(group, position, recorder);
        },
    )?;
    Ok(Reply::OK)
}

fn set_id(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    /// With its option.
    const MAX_ARGUMENTS: usize = 7;
    let (database, key, group) = (ctx.session.database, args[2], args[3]);
    let options = Options::parse(args, false)?;
    check_group(ctx, key, group)?;
    if args.len() > MAX_ARGUMENTS {
        return Err(wrong_arguments(args));
    }
    let stream = ctx.keyspace.peek_as::<StreamValue>(database, key)?;
    let last_delivered = match args[4] {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.counters().last_id),
        other => arguments::id_or_edge(other, 0)?,
    };
    let position = Position { last_delivered, entries_read: options.entries_read };
    let is_same =
        stream.and_then(|stream| stream.group(group)).is_some_and(|group| group.position() == position);
    ctx.keyspace.update::<StreamValue, _>(database, key, events::XGROUP_SETID, |stream, recorder| {
        stream.group_mut(group)?.set_position(position, recorder);
        Some(())
    })?;
    if is_same {
        ctx.keyspace.announce(database, key, events::XGROUP_SETID);
    }
    Ok(Reply::OK)
}

fn destroy(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, group) = (ctx.session.database, args[2], args[3]);
    ctx.keyspace.peek_as::<StreamValue>(database, key)?.ok_or(NO_STREAM)?;
    let existed = ctx.keyspace.update::<StreamValue, _>(
        database,
        key,
        events::XGROUP_DESTROY,
        |stream, recorder| stream.destroy_group(group, recorder),
    )?;
    Ok(Reply::flag(existed == Some(true)))
}

fn create_consumer(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, group, name) = (ctx.session.database, args[2], args[3], args[4]);
    check_group(ctx, key, group)?;
    let now_ms = ctx.keyspace.now_ms();
    let stream = ctx.keyspace.peek_as::<StreamValue>(database, key)?;
    let Some(found) = stream.and_then(|stream| stream.group(group)) else { return Err(NO_STREAM) };
    if found.consumer(name).is_some() {
        return Ok(Reply::Integer(0));
    }
    let event = consumer_event(found, name);
    ctx.keyspace.update::<StreamValue, _>(database, key, event, |stream, recorder| {
        stream.group_mut(group)?.consumer_or_new(name, now_ms, recorder);
        Some(())
    })?;
    Ok(Reply::Integer(1))
}

fn delete_consumer(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, group, name) = (ctx.session.database, args[2], args[3], args[4]);
    check_group(ctx, key, group)?;
    let removed = ctx.keyspace.update::<StreamValue, _>(
        database,
        key,
        events::XGROUP_DELCONSUMER,
        |stream, recorder| stream.group_mut(group)?.remove_consumer(name, recorder),
    )?;
    Ok(removed.flatten().unwrap_or(0).into())
}
