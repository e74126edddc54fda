//! XREAD and XREADGROUP: what is new in streams.

use super::super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use super::{arguments, consumer_event, entry_reply, has_maps, id_reply, no_group, seen};
use crate::protocol::Reply;
use crate::types::StreamValue;
use crate::types::stream::{Delivery, Direction, Pending, StreamId};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("xread", -4, xread).flags(&[Flags::READONLY, Flags::BLOCKING]).keys_behind("STREAMS", 1).docs(
        Group::Stream,
        "5.0.0",
        "O(log(N)+M) for each stream where N is the number of its entries and M of those returned",
        "Returns entries of streams behind given ids.",
        "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    ),
    Command::new("xreadgroup", -7, xreadgroup)
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .keys_behind("STREAMS", 4)
        .docs(
            Group::Stream,
            "5.0.0",
            "O(log(N)+M) for each stream where N is the number of its entries and M of those returned",
            "Returns entries of streams that no consumer of a group has had, or those that one consumer still has.",
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
    keys: &'b [&'a [u8]],
    ids: &'b [&'a [u8]],
}

impl<'a, 'b> Request<'a, 'b> {
    fn parse(args: &'b [&'a [u8]], is_of_group: bool) -> Result<Self> {
        let only_of_group = |option: &str| match is_of_group {
            true => Ok(()),
            false => Err(Error::from(format!(
                "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
            ))),
        };
        let (mut count, mut reader, mut is_pending) = (usize::MAX, None, true);
        let mut options = &args[1..];
        let streams = loop {
            options = match options {
                [option, rest @ ..] if flag(option, "STREAMS") && !rest.is_empty() => break rest,
                [option, timeout, rest @ ..] if flag(option, "BLOCK") => {
                    check_timeout(timeout)?;
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
        Ok(Self { count: if count == 0 { usize::MAX } else { count }, reader, is_pending, keys, ids })
    }

    /// The id behind which the entries of each stream are wanted. Nothing is changed before all of them are known.
    fn positions(&self, ctx: &mut Context<'_>) -> Result<Vec<StreamId>> {
        let pairs = self.keys.iter().zip(self.ids);
        pairs.map(|(key, id)| self.position(ctx, key, id)).collect()
    }

    fn position(&self, ctx: &mut Context<'_>, key: &[u8], id: &[u8]) -> Result<StreamId> {
        let stream = match (self.reader, id) {
            (None, b"$") | (Some(_), _) => ctx.keyspace.get_as::<StreamValue>(ctx.session.database, key)?,
            (None, _) => None,
        };
        if let Some(Reader { group, .. }) = self.reader
            && stream.is_none_or(|stream| stream.group(group).is_none())
        {
            return Err(no_group(key, group, " in XREADGROUP with GROUP option"));
        }
        match (id, self.reader) {
            (b"$", None) => Ok(stream.map_or(StreamId::MIN, |stream| stream.counters().last_id)),
            (b"$", Some(_)) => Err(Error::text(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
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

/// A time to wait, in milliseconds: not negative, and not beyond the end of time.
fn check_timeout(argument: &[u8]) -> Result<()> {
    let timeout = integer(argument);
    let timeout_ms = timeout.map_err(|_| Error::text("ERR timeout is not an integer or out of range"))?;
    if timeout_ms < 0 { Err(Error::text("ERR timeout is negative")) } else { Ok(()) }
}

fn xread(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let request = Request::parse(args, false)?;
    let positions = request.positions(ctx)?;
    let mut found = Vec::new();
    for (key, after) in request.keys.iter().zip(positions) {
        let stream = ctx.keyspace.get_as::<StreamValue>(ctx.session.database, key)?;
        let Some((stream, start)) = stream.zip(after.next()) else { continue };
        let entries = stream.range(start, StreamId::MAX, Direction::Forward).take(request.count);
        let entries: Vec<Reply> = entries.map(|entry| entry_reply(&entry)).collect();
        if !entries.is_empty() {
            found.push((*key, Reply::Array(entries)));
        }
    }
    Ok(streams_reply(ctx, found))
}

fn xreadgroup(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let request = Request::parse(args, true)?;
    let positions = request.positions(ctx)?;
    let Some(reader) = request.reader else { return Err(Error::SYNTAX) };
    let mut found = Vec::new();
    for (key, after) in request.keys.iter().zip(positions) {
        let entries = if after == NEW {
            read_new(ctx, key, reader, &request)?
        } else {
            Some(read_history(ctx, key, reader, after, request.count)?)
        };
        found.extend(entries.map(|entries| (*key, Reply::Array(entries))));
    }
    Ok(streams_reply(ctx, found))
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

/// The entries of each stream that has any; nothing if none has.
fn streams_reply(ctx: &Context<'_>, found: Vec<(&[u8], Reply)>) -> Reply {
    if found.is_empty() {
        return Reply::NullArray;
    }
    let found = found.into_iter().map(|(key, entries)| (Reply::bytes(key), entries));
    if has_maps(ctx) {
        Reply::Map(found.collect())
    } else {
        Reply::Array(found.map(|(key, entries)| Reply::Array(vec![key, entries])).collect())
    }
}
