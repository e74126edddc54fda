//! XREAD and XREADGROUP: what is new in streams.

use std::ops::Range;
use std::time::Duration;

use super::super::blocking::{Block, keys_to_try, timeout_in_ms};
use super::super::{Command, Context, Error, Flags, Group, Outcome, Result, flag, integer};
use super::{arguments, consumer_event, entry_reply, has_maps, id_reply, no_group, seen};
use crate::protocol::Reply;
use crate::state::Arguments;
use crate::types::stream::{Delivery, Direction, Pending, StreamId};
use crate::types::{Kind, StreamValue, Value};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::outcome("xread", -4, xread).flags(&[Flags::READONLY, Flags::BLOCKING]).keys_behind("STREAMS", 1).docs(
        Group::Stream,
        "5.0.0",
        "O(log(N)+M) for each stream where N is the number of its entries and M of those returned",
        "Returns entries of streams after given ids, or waits for some.",
        "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    ),
    Command::outcome("xreadgroup", -7, xreadgroup)
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .keys_behind("STREAMS", 4)
        .docs(
            Group::Stream,
            "5.0.0",
            "O(log(N)+M) for each stream where N is the number of its entries and M of those returned",
            "Returns entries of streams that no consumer of a group has had, or waits for some; or those that a consumer \
             has not acknowledged.",
            "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
        ),
];

/// Stands for the id `>`. As in Redis, the highest id means the same.
const NEW: StreamId = StreamId::MAX;

/// The reader of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
}

/// The arguments of either command.
#[derive(Debug)]
struct Request<'a, 'b> {
    /// Entries of each stream at most.
    count: usize,
    reader: Option<Reader<'a>>,
    is_pending: bool,
    block: Option<Wait>,
    /// Where the keys are among the arguments.
    keys_at: Range<usize>,
    keys: &'b [&'a [u8]],
    ids: &'b [&'a [u8]],
}

/// For how long is waited; `None` is for ever.
#[derive(Clone, Copy, Debug)]
struct Wait(Option<Duration>);

impl<'a, 'b> Request<'a, 'b> {
    fn parse(args: &'b [&'a [u8]], is_of_group: bool) -> Result<Self> {
        let only_of_group = |option: &str| {
            if is_of_group {
                Ok(())
            } else {
                Err(Error::from(format!(
                    "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
                )))
            }
        };
        let (mut count, mut reader, mut is_pending, mut block) = (usize::MAX, None, true, None);
        let mut options = &args[1..];
        let streams = loop {
            options = match options {
                [option, rest @ ..] if flag(option, "STREAMS") && !rest.is_empty() => break rest,
                [option, timeout, rest @ ..] if flag(option, "BLOCK") => {
                    block = Some(Wait(timeout_in_ms(timeout)?));
                    rest
                }
                [option, number, rest @ ..] if flag(option, "COUNT") => {
                    count = usize::try_from(integer(number)?).unwrap_or(0);
                    rest
                }
                [option, group, consumer, rest @ ..] if flag(option, "GROUP") => {
                    only_of_group("GROUP")?;
                    reader = Some(Reader { group, consumer });
                    rest
                }
                [option, rest @ ..] if flag(option, "NOACK") => {
                    only_of_group("NOACK")?;
                    is_pending = false;
                    rest
                }
                _ => return Err(Error::SYNTAX),
            };
        };
        if streams.len() % 2 != 0 {
            return Err(Error::text(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ));
        }
        if is_of_group && reader.is_none() {
            return Err(Error::text("ERR Missing GROUP option for XREADGROUP"));
        }
        let (keys, ids) = streams.split_at(streams.len() / 2);
        let first_key = args.len() - streams.len();
        Ok(Self {
            count: if count == 0 { usize::MAX } else { count },
            reader,
            is_pending,
            block,
            keys_at: first_key..first_key + keys.len(),
            keys,
            ids,
        })
    }

    /// Leaves only the stream that was written, if the command was woken by that.
    fn narrow(&mut self, ctx: &Context<'_>) {
        let range = keys_to_try(ctx.session, self.keys);
        (self.keys, self.ids) = (&self.keys[range.clone()], &self.ids[range]);
    }

    /// The id behind which the entries of each stream are wanted. Nothing is changed before all of them are known.
    fn positions(&self, ctx: &mut Context<'_>) -> Result<Vec<StreamId>> {
        let pairs = self.keys.iter().zip(self.ids);
        pairs.map(|(key, id)| self.position(ctx, key, id)).collect()
    }

    fn position(&self, ctx: &mut Context<'_>, key: &[u8], id: &[u8]) -> Result<StreamId> {
        let (last_id, top_id) = if let Some(Reader { group, .. }) = self.reader {
            check_group(ctx, key, group)?;
            (StreamId::MIN, None)
        } else {
            let stream = ctx.keyspace.get_as::<StreamValue>(ctx.session.database, key)?;
            stream.map_or((StreamId::MIN, None), |stream| (stream.counters().last_id, stream.top_id()))
        };
        match (id, self.reader) {
            (b"$", None) => Ok(last_id),
            // Of Redis 7.4: the last entry, or the first to come if there is none.
            (b"+", None) => Ok(top_id.and_then(StreamId::previous).unwrap_or(StreamId::MIN)),
            (b"$", Some(_)) => Err(Error::text(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
                 an empty result set.",
            )),
            (b"+", Some(_)) => Err(Error::text(
                "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return \
                 an empty result set.",
            )),
            (b">", Some(_)) => Ok(NEW),
            (b">", None) => Err(Error::text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            )),
            _ => arguments::id(id, 0),
        }
    }
}

/// The group must be there; one who waited for it is told if it went in the meantime.
fn check_group(ctx: &mut Context<'_>, key: &[u8], group: &[u8]) -> Result<()> {
    let database = ctx.session.database;
    if ctx.session.woken_by.is_none() {
        let stream = ctx.keyspace.get_as::<StreamValue>(database, key)?;
        return match stream.and_then(|stream| stream.group(group)) {
            Some(_) => Ok(()),
            None => Err(no_group(key, group, " in XREADGROUP with GROUP option")),
        };
    }
    let value = ctx.keyspace.peek(database, key)?.map(|entry| &entry.value);
    let Some(Value::Stream(stream)) = value else {
        return Err(Error::text("UNBLOCKED the stream key no longer exists"));
    };
    stream
        .group(group)
        .map(|_| ())
        .ok_or(Error::text("NOGROUP the consumer group this client was blocked on no longer exists"))
}

fn xread(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let mut request = Request::parse(args, false)?;
    request.narrow(ctx);
    let positions = request.positions(ctx)?;
    let mut found = Vec::new();
    for (key, after) in request.keys.iter().zip(&positions) {
        let stream = ctx.keyspace.peek_as::<StreamValue>(ctx.session.database, key)?;
        let Some((stream, start)) = stream.zip(after.next()) else { continue };
        let entries = stream.range(start, StreamId::MAX, Direction::Forward).take(request.count);
        let entries: Vec<Reply> = entries.map(|entry| entry_reply(&entry)).collect();
        if !entries.is_empty() {
            found.push((*key, Reply::Array(entries)));
        }
    }
    Ok(reply_or_wait(ctx, args, &request, &positions, found))
}

fn xreadgroup(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let mut request = Request::parse(args, true)?;
    request.narrow(ctx);
    let positions = request.positions(ctx)?;
    let Some(reader) = request.reader else { return Err(Error::SYNTAX) };
    let mut found = Vec::new();
    for (key, after) in request.keys.iter().zip(&positions) {
        let entries = if *after == NEW {
            read_new(ctx, key, reader, &request)?
        } else {
            Some(read_history(ctx, key, reader, *after, request.count)?)
        };
        found.extend(entries.map(|entries| (*key, Reply::Array(entries))));
    }
    Ok(reply_or_wait(ctx, args, &request, &positions, found))
}

/// The entries of each stream that has any. If none has, nothing, or a wait for some behind the ids that `$` and `+` are now.
fn reply_or_wait(
    ctx: &Context<'_>,
    args: &[&[u8]],
    request: &Request<'_, '_>,
    positions: &[StreamId],
    found: Vec<(&[u8], Reply)>,
) -> Outcome {
    if !found.is_empty() {
        return Outcome::Reply(streams_reply(ctx, found));
    }
    let Some(Wait(timeout)) = request.block else { return Outcome::Reply(Reply::NullArray) };
    let mut block = Block::new(args, request.keys_at.clone(), Kind::Stream, timeout);
    block.wakes_when_gone = request.reader.is_some();
    if request.ids.iter().any(|id| matches!(id, [b'$' | b'+'])) {
        let ids: Vec<String> = positions.iter().map(StreamId::to_string).collect();
        let mut args = args.to_vec();
        args.truncate(request.keys_at.end);
        args.extend(ids.iter().map(String::as_bytes));
        block.request = Arguments::new(&args);
    }
    Outcome::Block(Box::new(block))
}

/// The entries that the group has not had; `None` if there are none.
fn read_new(
    ctx: &mut Context<'_>,
    key: &[u8],
    reader: Reader<'_>,
    request: &Request<'_, '_>,
) -> Result<Option<Vec<Reply>>> {
    let (database, now_ms) = (ctx.session.database, ctx.keyspace.now_ms());
    let Reader { group, consumer: name } = reader;
    let Some(stream) = ctx.keyspace.get_as::<StreamValue>(database, key)? else { return Ok(None) };
    let Some(found) = stream.group(group) else { return Ok(None) };
    let has_new = stream.top_id() > Some(found.position().last_delivered);
    // One who asks in vain does not become a consumer; and whoever waits has asked once, not whenever the stream was
    // written.
    if !has_new && (ctx.session.woken_by.is_some() || found.consumer(name).is_none()) {
        return Ok(None);
    }
    let event = consumer_event(found, name);
    let entries = ctx.keyspace.update::<StreamValue, _>(database, key, event, |stream, recorder| {
        let consumer = stream.group_mut(group)?.consumer_or_new(name, now_ms, recorder);
        let delivery = Delivery {
            consumer: consumer.number,
            count: request.count,
            now_ms,
            is_pending: request.is_pending,
        };
        let mut entries = Vec::new();
        stream.deliver(group, &delivery, recorder, |entry| entries.push(entry_reply(entry)));
        let consumer = seen(consumer, now_ms, !entries.is_empty());
        stream.group_mut(group)?.set_consumer(name, consumer, recorder);
        (!entries.is_empty()).then_some(entries)
    })?;
    Ok(entries.flatten())
}

/// The entries behind an id that the consumer has not acknowledged. Those that are there are delivered once more.
fn read_history(
    ctx: &mut Context<'_>,
    key: &[u8],
    reader: Reader<'_>,
    after: StreamId,
    count: usize,
) -> Result<Vec<Reply>> {
    let (database, now_ms) = (ctx.session.database, ctx.keyspace.now_ms());
    let Reader { group, consumer: name } = reader;
    let Some(stream) = ctx.keyspace.get_as::<StreamValue>(database, key)? else { return Ok(Vec::new()) };
    let Some(found) = stream.group(group) else { return Ok(Vec::new()) };
    let (event, start) = (consumer_event(found, name), after.next().unwrap_or(StreamId::MAX));
    let mut ids = Vec::new();
    if let Some(consumer) = found.consumer(name) {
        ids.extend(found.owned(consumer.number, start).take(count));
    }
    let replies = ids.iter().map(|id| match stream.get(*id) {
        Some(entry) => entry_reply(&entry),
        None => Reply::Array(vec![id_reply(*id), Reply::NullArray]),
    });
    let replies: Vec<Reply> = replies.collect();
    ctx.keyspace.update::<StreamValue, _>(database, key, event, |stream, recorder| {
        ids.retain(|id| stream.get(*id).is_some());
        let group = stream.group_mut(group)?;
        let consumer = group.consumer_or_new(name, now_ms, recorder);
        for id in &ids {
            let pending = group.pending(*id)?;
            let deliveries = pending.deliveries.saturating_add(1);
            group.set_pending(*id, Pending { delivered_ms: now_ms, deliveries, ..pending }, recorder);
        }
        group.set_consumer(name, seen(consumer, now_ms, !replies.is_empty()), recorder);
        Some(())
    })?;
    Ok(replies)
}

fn streams_reply(ctx: &Context<'_>, found: Vec<(&[u8], Reply)>) -> Reply {
    let found = found.into_iter().map(|(key, entries)| (Reply::bytes(key), entries));
    if has_maps(ctx) {
        Reply::Map(found.collect())
    } else {
        Reply::Array(found.map(|(key, entries)| Reply::Array(vec![key, entries])).collect())
    }
}
