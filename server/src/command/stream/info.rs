//! XINFO: what is known of a stream, its groups and their consumers.

use hashbrown::HashMap;

use super::super::help::{help, wrong_arguments};
use super::super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use super::{entry_reply, id_reply, no_group_of};
use crate::protocol::Reply;
use crate::types::stream::{self, Consumer, ConsumerNumber, Direction, StreamId};
use crate::types::{Collection, StreamValue};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[Command::container("xinfo", SUBCOMMANDS).docs(
    Group::Stream,
    "5.0.0",
    "Depends on subcommand.",
    "Tells what is known of a stream.",
    "",
)];

const SUBCOMMANDS: &[Command] = &[
    Command::new("consumers", 4, consumers).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(N*log(N)) where N is the number of consumers",
        "Returns the consumers of a group.",
        "key group",
    ),
    Command::new("groups", 3, groups).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of groups",
        "Returns the consumer groups of a stream.",
        "key",
    ),
    help(Group::Stream, "5.0.0"),
    Command::new("stream", -3, stream).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of blocks of the stream",
        "Returns what is known of a stream, with FULL also its first entries, its groups and their pending entries.",
        "key [FULL [COUNT count]]",
    ),
];

fn read<'c>(ctx: &'c mut Context<'_>, key: &[u8]) -> Result<&'c StreamValue> {
    ctx.keyspace.get_as::<StreamValue>(ctx.session.database, key)?.ok_or(Error::NO_SUCH_KEY)
}

fn consumers(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let now_ms = ctx.keyspace.now_ms();
    let group = read(ctx, args[2])?.group(args[3]).ok_or_else(|| no_group_of(args[2], args[3]))?;
    let idle_ms = |time_ms: u64| now_ms.saturating_sub(time_ms) as i64;
    let consumers = group.consumers().into_iter().map(|(name, consumer)| {
        Reply::fields([
            ("name", Reply::bytes(name)),
            ("pending", group.count_owned(consumer.number).into()),
            ("idle", Reply::Integer(idle_ms(consumer.seen_ms))),
            ("inactive", Reply::Integer(consumer.active_ms.map_or(-1, idle_ms))),
        ])
    });
    Ok(Reply::Array(consumers.collect()))
}

fn groups(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let stream = read(ctx, args[2])?;
    let groups = stream.groups().map(|group| {
        Reply::fields([
            ("name", Reply::bytes(group.name())),
            ("consumers", group.count_consumers().into()),
            ("pending", group.count_pending().into()),
            ("last-delivered-id", id_reply(group.position().last_delivered)),
            ("entries-read", entries_read(group)),
            ("lag", stream.lag(group).into()),
        ])
    });
    Ok(Reply::Array(groups.collect()))
}

fn entries_read(group: &stream::Group) -> Reply {
    group.position().entries_read.map(|read| read as i64).into()
}

fn stream(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    const DEFAULT_COUNT: usize = 10;
    // As in Redis, the key is looked at before the options.
    read(ctx, args[2])?;
    let count = match &args[3..] {
        [] => None,
        [full] if flag(full, "FULL") => Some(DEFAULT_COUNT),
        [full, count, number] if flag(full, "FULL") && flag(count, "COUNT") => {
            match usize::try_from(integer(number)?) {
                Ok(0) => Some(usize::MAX),
                Ok(count) => Some(count),
                Err(_) => Some(DEFAULT_COUNT),
            }
        }
        _ => return Err(wrong_arguments(args)),
    };
    let stream = read(ctx, args[2])?;
    let mut described = summary(stream);
    described.extend(match count {
        None => [
            ("groups", stream.groups().len().into()),
            ("first-entry", edge(stream, Direction::Forward)),
            ("last-entry", edge(stream, Direction::Backward)),
        ]
        .to_vec(),
        Some(count) => {
            let entries = stream.range(StreamId::MIN, StreamId::MAX, Direction::Forward).take(count);
            let groups = stream.groups().map(|group| describe_group(stream, group, count));
            vec![
                ("entries", Reply::Array(entries.map(|entry| entry_reply(&entry)).collect())),
                ("groups", Reply::Array(groups.collect())),
            ]
        }
    });
    Ok(Reply::fields(described))
}

fn summary(stream: &StreamValue) -> Vec<(&'static str, Reply)> {
    let (counters, blocks) = (stream.counters(), stream.count_blocks());
    vec![
        ("length", stream.len().into()),
        ("radix-tree-keys", blocks.into()),
        // Redis' tree has one node more than keys, mostly.
        ("radix-tree-nodes", (blocks + 1).into()),
        ("last-generated-id", id_reply(counters.last_id)),
        ("max-deleted-entry-id", id_reply(counters.max_deleted_id)),
        ("entries-added", counters.entries_added.into()),
        ("recorded-first-entry-id", id_reply(stream.first_id().unwrap_or(StreamId::MIN))),
    ]
}

fn edge(stream: &StreamValue, direction: Direction) -> Reply {
    let entry = stream.range(StreamId::MIN, StreamId::MAX, direction).next();
    entry.map_or(Reply::Null, |entry| entry_reply(&entry))
}

fn describe_group(stream: &StreamValue, group: &stream::Group, count: usize) -> Reply {
    let consumers = group.consumers();
    let names: HashMap<ConsumerNumber, &[u8]> =
        consumers.iter().map(|(name, consumer)| (consumer.number, *name)).collect();
    let pending = group.pending_range(StreamId::MIN, StreamId::MAX).take(count);
    let pending = pending.filter_map(|(id, pending)| {
        Some(Reply::Array(vec![
            id_reply(id),
            Reply::bytes(names.get(&pending.consumer)?),
            pending.delivered_ms.into(),
            pending.deliveries.into(),
        ]))
    });
    let consumers = consumers.iter().map(|(name, consumer)| describe_consumer(group, name, *consumer, count));
    Reply::fields([
        ("name", Reply::bytes(group.name())),
        ("last-delivered-id", id_reply(group.position().last_delivered)),
        ("entries-read", entries_read(group)),
        ("lag", stream.lag(group).into()),
        ("pel-count", group.count_pending().into()),
        ("pending", Reply::Array(pending.collect())),
        ("consumers", Reply::Array(consumers.collect())),
    ])
}

fn describe_consumer(group: &stream::Group, name: &[u8], consumer: Consumer, count: usize) -> Reply {
    let owned = group.owned(consumer.number, StreamId::MIN).take(count);
    let owned = owned.filter_map(|id| {
        let pending = group.pending(id)?;
        Some(Reply::Array(vec![id_reply(id), pending.delivered_ms.into(), pending.deliveries.into()]))
    });
    Reply::fields([
        ("name", Reply::bytes(name)),
        ("seen-time", consumer.seen_ms.into()),
        ("active-time", Reply::Integer(consumer.active_ms.map_or(-1, |active_ms| active_ms as i64))),
        ("pel-count", group.count_owned(consumer.number).into()),
        ("pending", Reply::Array(owned.collect())),
    ])
}
