//! Stream commands: `entries` adds, reads and removes entries, `read` waits for them, `groups` and `pending` share them
//! among consumers, `info` describes. What they have in common is in `arguments`.

mod arguments;
pub(super) mod entries;
pub(super) mod groups;
pub(super) mod info;
pub(super) mod pending;
pub(super) mod read;

#[cfg(test)]
mod tests;

pub(super) use arguments::node_limits;

use super::{Context, Error, Result};
use crate::keyspace::{EventKind, events};
use crate::protocol::{Reply, Shape, Version};
use crate::types::StreamValue;
use crate::types::stream::{Consumer, Entry, Group, StreamId};

/// An id as it is sent.
fn id_reply(id: StreamId) -> Reply {
    id.to_string().into()
}

/// An entry as it is sent: its id and its fields.
fn entry_reply(entry: &Entry<'_>) -> Reply {
    Reply::Array(vec![id_reply(entry.id), Reply::Items(Shape::Array, entry.shared_fields())])
}

/// Whether a client speaks RESP3, in which the replies of several streams are a map.
fn has_maps(ctx: &Context<'_>) -> bool {
    ctx.session.version == Version::Resp3
}

/// The error for a group that is not there, or its stream.
fn no_group(key: &[u8], group: &[u8], context: &str) -> Error {
    let [key, group] = [key, group].map(String::from_utf8_lossy);
    format!("NOGROUP No such key '{key}' or consumer group '{group}'{context}").into()
}

/// The error of the commands that found the key but not the group.
fn no_group_of(key: &[u8], group: &[u8]) -> Error {
    let [key, group] = [key, group].map(String::from_utf8_lossy);
    format!("NOGROUP No such consumer group '{group}' for key name '{key}'").into()
}

/// The event of a command that may bring a consumer into being, if it will.
fn consumer_event(group: &Group, consumer: &[u8]) -> EventKind {
    match group.consumer(consumer) {
        Some(_) => events::BOOKKEEPING,
        None => events::XGROUP_CREATECONSUMER,
    }
}

/// The stream at a key that is read, and the group in it that must be there.
fn read_group<'c>(
    ctx: &'c mut Context<'_>,
    key: &[u8],
    group: &[u8],
) -> Result<(&'c StreamValue, &'c Group)> {
    let stream = ctx.keyspace.get_as::<StreamValue>(ctx.session.database, key)?;
    let found = stream.and_then(|stream| Some((stream, stream.group(group)?)));
    found.ok_or_else(|| no_group(key, group, ""))
}

/// Notes that a consumer asked for entries, and whether it got any.
fn seen(consumer: Consumer, now_ms: u64, is_active: bool) -> Consumer {
    let active_ms = if is_active { Some(now_ms) } else { consumer.active_ms };
    Consumer { seen_ms: now_ms, active_ms, ..consumer }
}
