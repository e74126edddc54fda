//! Entries that were delivered and not acknowledged: XACK, XPENDING, XCLAIM, XAUTOCLAIM.

use hashbrown::HashMap;

use super::super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use super::arguments::{id, ids, range_end, range_start};
use super::{consumer_event, entry_reply, id_reply, no_group, read_group, seen};
use crate::keyspace::events;
use crate::protocol::Reply;
use crate::types::stream::{self, ConsumerNumber, Pending, Position, StreamId};
use crate::types::{Recorder, StreamValue};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("xack", -4, xack).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(log(N)) for each id where N is the number of pending entries",
        "Acknowledges entries, which are then no longer pending.",
        "key group id [id ...]",
    ),
    Command::new("xautoclaim", -6, xautoclaim).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Stream,
        "6.2.0",
        "O(log(N)+M) where N is the number of pending entries and M of those looked at, at most ten times COUNT",
        "Gives pending entries that have waited long to another consumer, in the order of their ids.",
        "key group consumer min-idle-time start [COUNT count] [JUSTID]",
    ),
    Command::new("xclaim", -6, xclaim).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(log(N)) for each id where N is the number of pending entries",
        "Gives pending entries to another consumer.",
        "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] \
         [FORCE] [JUSTID] [LASTID lastid]",
    ),
    Command::new("xpending", -3, xpending).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(C*log(N)) without a range where C is the number of consumers and N of pending entries; O(C+log(N)+M) with \
         one where M is the number of entries looked at",
        "Returns what is known of pending entries.",
        "key group [[IDLE min-idle-time] start end count [consumer]]",
    ),
];

fn xack(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, group) = (ctx.session.database, args[1], args[2]);
    let stream = ctx.keyspace.get_as::<StreamValue>(database, key)?;
    if stream.and_then(|stream| stream.group(group)).is_none() {
        return Ok(Reply::Integer(0));
    }
    let ids = ids(&args[3..])?;
    let acknowledged =
        ctx.keyspace.update::<StreamValue, _>(database, key, events::BOOKKEEPING, |stream, recorder| {
            let group = stream.group_mut(group)?;
            Some(ids.iter().filter(|id| group.acknowledge(**id, recorder)).count())
        })?;
    Ok(acknowledged.flatten().unwrap_or(0).into())
}

/// The range form of XPENDING.
#[derive(Debug)]
struct PendingQuery<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> PendingQuery<'a> {
    /// `None` for the short form.
    fn parse(args: &[&'a [u8]]) -> Result<Option<Self>> {
        /// A range and its length.
        const MIN_ARGUMENTS: usize = 3;
        /// With IDLE and a consumer. As in Redis, what is too many without IDLE is ignored.
        const MAX_ARGUMENTS: usize = 6;
        let (min_idle_ms, range) = match args {
            [] => return Ok(None),
            [option, min_idle_ms, range @ ..] if flag(option, "IDLE") && args.len() >= MIN_ARGUMENTS => {
                (integer(min_idle_ms)?, range)
            }
            _ => (0, args),
        };
        let [start, end, count, ..] = range else { return Err(Error::SYNTAX) };
        if args.len() > MAX_ARGUMENTS {
            return Err(Error::SYNTAX);
        }
        let count = usize::try_from(integer(count)?).unwrap_or(0);
        let (start, end) = (range_start(start)?, range_end(end)?);
        Ok(Some(Self { min_idle_ms, start, end, count, consumer: range.get(3).copied() }))
    }
}

fn xpending(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let query = PendingQuery::parse(&args[3..])?;
    let now_ms = ctx.keyspace.now_ms();
    let (_, group) = read_group(ctx, args[1], args[2])?;
    Ok(match query {
        None => summary(group),
        Some(query) => Reply::Array(pending_entries(group, &query, now_ms)),
    })
}

/// How many entries are pending, the first and the last of them, and how many each consumer has.
fn summary(group: &stream::Group) -> Reply {
    let first = group.pending_range(StreamId::MIN, StreamId::MAX).next().map(|(id, _)| id);
    let consumers = group.consumers().into_iter().filter_map(|(name, consumer)| {
        let count = group.count_owned(consumer.number);
        (count > 0).then(|| Reply::Array(vec![Reply::bytes(name), count.to_string().into()]))
    });
    let consumers = if first.is_some() { Reply::Array(consumers.collect()) } else { Reply::NullArray };
    Reply::Array(vec![
        group.count_pending().into(),
        first.map(|id| id.to_string()).into(),
        group.last_pending().map(|id| id.to_string()).into(),
        consumers,
    ])
}

fn pending_entries(group: &stream::Group, query: &PendingQuery<'_>, now_ms: u64) -> Vec<Reply> {
    let idle_ms = |pending: &Pending| (now_ms as i64).saturating_sub(pending.delivered_ms as i64);
    let is_idle = |pending: &Pending| query.min_idle_ms == 0 || idle_ms(pending) >= query.min_idle_ms;
    let reply = |id: StreamId, name: &[u8], pending: Pending| {
        Reply::Array(vec![
            id_reply(id),
            Reply::bytes(name),
            Reply::Integer(idle_ms(&pending).max(0)),
            pending.deliveries.into(),
        ])
    };
    if let Some(name) = query.consumer {
        let Some(consumer) = group.consumer(name) else { return Vec::new() };
        let owned = group.owned(consumer.number, query.start).take_while(|id| *id <= query.end);
        let owned = owned.filter_map(|id| Some((id, group.pending(id)?)));
        let found = owned.filter(|(_, pending)| is_idle(pending)).take(query.count);
        return found.map(|(id, pending)| reply(id, name, pending)).collect();
    }
    let names: HashMap<ConsumerNumber, &[u8]> =
        group.consumers().into_iter().map(|(name, consumer)| (consumer.number, name)).collect();
    let all = group.pending_range(query.start, query.end);
    let found = all.filter(|(_, pending)| is_idle(pending)).take(query.count);
    found.filter_map(|(id, pending)| Some(reply(id, names.get(&pending.consumer)?, pending))).collect()
}

/// What XCLAIM does to the entries that it gives away.
#[derive(Debug)]
struct ClaimOptions {
    min_idle_ms: u64,
    ids: Vec<StreamId>,
    delivered_ms: u64,
    deliveries: Option<u64>,
    /// Whether entries are given away that are not pending.
    is_forced: bool,
    only_ids: bool,
    last_id: StreamId,
}

impl ClaimOptions {
    fn parse(args: &[&[u8]], now_ms: u64) -> Result<Self> {
        let min_idle_ms =
            integer(args[4]).map_err(|_| Error::text("ERR Invalid min-idle-time argument for XCLAIM"))?;
        let ids: Vec<StreamId> = args[5..].iter().map_while(|argument| id(argument, 0).ok()).collect();
        let mut options = &args[5 + ids.len()..];
        let mut parsed = Self {
            min_idle_ms: u64::try_from(min_idle_ms).unwrap_or(0),
            ids,
            delivered_ms: now_ms,
            deliveries: None,
            is_forced: false,
            only_ids: false,
            last_id: StreamId::MIN,
        };
        while let [option, rest @ ..] = options {
            options = if flag(option, "FORCE") {
                parsed.is_forced = true;
                rest
            } else if flag(option, "JUSTID") {
                parsed.only_ids = true;
                rest
            } else if let [value, rest @ ..] = rest {
                parsed.take_pair(option, value, now_ms)?;
                rest
            } else {
                return Err(unknown_option(option));
            };
        }
        Ok(parsed)
    }

    fn take_pair(&mut self, option: &[u8], value: &[u8], now_ms: u64) -> Result<()> {
        let number = |name: &str| {
            integer(value).map_err(|_| Error::from(format!("ERR Invalid {name} option argument for XCLAIM")))
        };
        // A time that has not come yet, or never was, is now.
        let past = |time_ms: i64| u64::try_from(time_ms).map_or(now_ms, |time_ms| time_ms.min(now_ms));
        if flag(option, "IDLE") {
            self.delivered_ms = past((now_ms as i64).saturating_sub(number("IDLE")?));
        } else if flag(option, "TIME") {
            self.delivered_ms = past(number("TIME")?);
        } else if flag(option, "RETRYCOUNT") {
            self.deliveries = u64::try_from(number("RETRYCOUNT")?).ok();
        } else if flag(option, "LASTID") {
            self.last_id = id(value, 0)?;
        } else {
            return Err(unknown_option(option));
        }
        Ok(())
    }
}

fn unknown_option(option: &[u8]) -> Error {
    format!("ERR Unrecognized XCLAIM option '{}'", String::from_utf8_lossy(option)).into()
}

impl ClaimOptions {
    /// What is to be known of an entry afterwards; `None` if it is not to be given away.
    fn claim(&self, stream: &StreamValue, group: &[u8], id: StreamId, now_ms: u64) -> Option<(u64, u64)> {
        stream.get(id)?;
        let deliveries = match stream.group(group)?.pending(id) {
            Some(pending) if is_idle(pending, self.min_idle_ms, now_ms) => pending.deliveries,
            None if self.is_forced => 1,
            Some(_) | None => return None,
        };
        let more = u64::from(!self.only_ids);
        Some((self.delivered_ms, self.deliveries.unwrap_or(deliveries.saturating_add(more))))
    }
}

fn xclaim(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, group_name, name) = (ctx.session.database, args[1], args[2], args[3]);
    let now_ms = ctx.keyspace.now_ms();
    read_group(ctx, key, group_name)?;
    let options = ClaimOptions::parse(args, now_ms)?;
    let (stream, group) = read_group(ctx, key, group_name)?;
    let is_any = options.ids.iter().any(|id| options.claim(stream, group_name, *id, now_ms).is_some());
    let event = if is_any { consumer_event(group, name) } else { events::BOOKKEEPING };
    let claimed = ctx.keyspace.update::<StreamValue, _>(database, key, event, |stream, recorder| {
        let group = stream.group_mut(group_name)?;
        let position = group.position();
        let last_delivered = position.last_delivered.max(options.last_id);
        group.set_position(Position { last_delivered, ..position }, recorder);
        let mut replies = Vec::new();
        for id in &options.ids {
            let claim = options.claim(stream, group_name, *id, now_ms);
            let is_gone = stream.get(*id).is_none();
            let group = stream.group_mut(group_name)?;
            if is_gone {
                group.acknowledge(*id, recorder);
            }
            let Some((delivered_ms, deliveries)) = claim else { continue };
            let consumer = see_active(group, name, now_ms, recorder);
            group.set_pending(*id, Pending { consumer, delivered_ms, deliveries }, recorder);
            replies.push(claim_reply(stream, *id, options.only_ids));
        }
        Some(replies)
    })?;
    let replies = claimed.flatten().ok_or_else(|| no_group(key, group_name, ""))?;
    Ok(Reply::Array(replies))
}

/// The consumer that gets entries now.
fn see_active(
    group: &mut stream::Group,
    name: &[u8],
    now_ms: u64,
    recorder: &mut dyn Recorder,
) -> ConsumerNumber {
    let consumer = group.consumer_or_new(name, now_ms, recorder);
    group.set_consumer(name, seen(consumer, now_ms, true), recorder);
    consumer.number
}

fn is_idle(pending: Pending, min_idle_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(pending.delivered_ms) >= min_idle_ms
}

fn claim_reply(stream: &StreamValue, id: StreamId, only_id: bool) -> Reply {
    match stream.get(id) {
        Some(entry) if !only_id => entry_reply(&entry),
        Some(_) | None => id_reply(id),
    }
}

/// The options of XAUTOCLAIM.
#[derive(Debug)]
struct AutoclaimOptions {
    min_idle_ms: u64,
    start: StreamId,
    /// Entries at most, those that are gone included.
    count: usize,
    only_ids: bool,
}

impl AutoclaimOptions {
    fn parse(args: &[&[u8]]) -> Result<Self> {
        const DEFAULT_COUNT: usize = 100;
        /// As in Redis, whose memory for the ids of entries that are gone would not suffice for more.
        const MAX_COUNT: i64 = i64::MAX / 16;
        let min_idle_ms =
            integer(args[4]).map_err(|_| Error::text("ERR Invalid min-idle-time argument for XAUTOCLAIM"))?;
        let min_idle_ms = u64::try_from(min_idle_ms).unwrap_or(0);
        let start = range_start(args[5])?;
        let mut parsed = Self { min_idle_ms, start, count: DEFAULT_COUNT, only_ids: false };
        let mut options = &args[6..];
        while let [option, rest @ ..] = options {
            options = match rest {
                [number, rest @ ..] if flag(option, "COUNT") => {
                    let count = integer(number).ok().filter(|count| (1..=MAX_COUNT).contains(count));
                    parsed.count = count.ok_or(Error::text("ERR COUNT must be > 0"))? as usize;
                    rest
                }
                _ if flag(option, "JUSTID") => {
                    parsed.only_ids = true;
                    rest
                }
                _ => return Err(Error::SYNTAX),
            };
        }
        Ok(parsed)
    }
}

/// What XAUTOCLAIM found among the pending entries, before anything is changed.
#[derive(Debug, Default)]
struct Found {
    claimed: Vec<(StreamId, Pending)>,
    /// They are pending but no longer in the stream.
    gone: Vec<StreamId>,
    /// Where the next call is to go on.
    next: StreamId,
}

impl Found {
    fn search(stream: &StreamValue, group: &stream::Group, options: &AutoclaimOptions, now_ms: u64) -> Self {
        /// So many entries are looked at for each one that is wanted.
        const ATTEMPTS: usize = 10;
        let mut found = Self::default();
        let mut attempts = options.count.saturating_mul(ATTEMPTS);
        for (id, pending) in group.pending_range(options.start, StreamId::MAX) {
            if attempts == 0 || found.claimed.len() + found.gone.len() == options.count {
                found.next = id;
                break;
            }
            attempts -= 1;
            if stream.get(id).is_none() {
                found.gone.push(id);
            } else if is_idle(pending, options.min_idle_ms, now_ms) {
                found.claimed.push((id, pending));
            }
        }
        found
    }
}

fn xautoclaim(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key, group_name, name) = (ctx.session.database, args[1], args[2], args[3]);
    let options = AutoclaimOptions::parse(args);
    if options.is_err() {
        // As in Redis, a missing key is announced before wrong options are told.
        ctx.keyspace.get(database, key)?;
    }
    let options = options?;
    let now_ms = ctx.keyspace.now_ms();
    let (stream, group) = read_group(ctx, key, group_name)?;
    let found = Found::search(stream, group, &options, now_ms);
    let event = if found.claimed.is_empty() { events::BOOKKEEPING } else { consumer_event(group, name) };
    let entries = found.claimed.iter().map(|(id, _)| claim_reply(stream, *id, options.only_ids));
    let reply = Reply::Array(vec![
        id_reply(found.next),
        Reply::Array(entries.collect()),
        Reply::Array(found.gone.iter().map(|id| id_reply(*id)).collect()),
    ]);
    ctx.keyspace.update::<StreamValue, _>(database, key, event, |stream, recorder| {
        let group = stream.group_mut(group_name)?;
        for id in &found.gone {
            group.acknowledge(*id, recorder);
        }
        for (id, pending) in &found.claimed {
            let consumer = see_active(group, name, now_ms, recorder);
            let deliveries = pending.deliveries.saturating_add(u64::from(!options.only_ids));
            group.set_pending(*id, Pending { consumer, delivered_ms: now_ms, deliveries }, recorder);
        }
        Some(())
    })?;
    Ok(reply)
}
