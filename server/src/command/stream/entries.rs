//! Adding, reading and removing entries.

use super::super::{Command, Context, Error, Flags, Group, Result, flag, integer, unsigned};
use super::arguments::{ChangeOptions, NewId, id, ids, node_limits, range_end, range_start};
use super::{entry_reply, id_reply};
use crate::keyspace::events;
use crate::protocol::Reply;
use crate::types::stream::{Counters, Direction, StreamId};
use crate::types::{Collection, StreamValue};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("xadd", -5, xadd).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(1), and O(N) for trimming where N is the number of entries removed",
        "Adds an entry to a stream, which is created if there is none. Trimming with ~ removes whole blocks, which are \
         smaller than those of Redis.",
        "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value \
         [field value ...]",
    ),
    Command::new("xdel", -3, xdel).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(log(N)) for each id where N is the number of entries of the stream",
        "Removes entries from a stream.",
        "key id [id ...]",
    ),
    Command::new("xlen", 2, xlen).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Returns the number of entries of a stream.",
        "key",
    ),
    Command::new("xrange", -4, xrange).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(log(N)+M) where N is the number of entries of the stream and M of those returned",
        "Returns the entries from one id to another.",
        "key start end [COUNT count]",
    ),
    Command::new("xrevrange", -4, xrevrange).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(log(N)+M) where N is the number of entries of the stream and M of those returned",
        "Returns the entries from one id to another, the highest id first.",
        "key end start [COUNT count]",
    ),
    Command::new("xsetid", -3, xsetid).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Sets the last id of a stream, after which its entries are added.",
        "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    ),
    Command::new("xtrim", -4, xtrim).flags(&[Flags::WRITE]).keys(1, 1, 1).docs(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of entries removed",
        "Removes entries from the front of a stream. With ~ whole blocks are removed, which are smaller than those of \
         Redis.",
        "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]",
    ),
];

fn xadd(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let options = ChangeOptions::of_xadd(args, &ctx.server.options)?;
    let fields = &args[options.end..];
    let Some(new_id) = options.id.filter(|_| !fields.is_empty() && fields.len().is_multiple_of(2)) else {
        return Err(Error::wrong_arity("xadd"));
    };
    if new_id == NewId::Exactly(StreamId::MIN) {
        return Err(Error::text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let before = ctx.keyspace.peek_as::<StreamValue>(database, key)?.map(StreamValue::counters);
    if before.is_none() && options.must_exist {
        return Ok(Reply::Null);
    }
    let last = before.unwrap_or_default().last_id;
    if last == StreamId::MAX {
        return Err(Error::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = new_id.choose(last, ctx.keyspace.now_ms()).ok_or(Error::text(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))?;
    let limits = node_limits(&ctx.server.options);
    let removed = ctx.keyspace.update_or_create::<StreamValue, _>(
        database,
        key,
        events::XADD,
        |stream, recorder| {
            stream.append(id, fields, limits, recorder);
            options.trim.map_or(0, |trim| stream.trim(&trim, recorder))
        },
    )?;
    if removed > 0 {
        ctx.keyspace.announce(database, key, events::XTRIM);
    }
    Ok(id_reply(id))
}

fn xdel(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    if ctx.keyspace.peek_as::<StreamValue>(database, key)?.is_none() {
        return Ok(Reply::Integer(0));
    }
    let ids = ids(&args[2..])?;
    let removed =
        ctx.keyspace.update::<StreamValue, _>(database, key, events::XDEL, |stream, recorder| {
            stream.remove(&ids, recorder)
        })?;
    Ok(removed.unwrap_or(0).into())
}

fn xlen(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let stream = ctx.keyspace.get_as::<StreamValue>(ctx.session.database, args[1])?;
    Ok(stream.map_or(0, Collection::len).into())
}

fn xrange(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Direction::Forward)
}

fn xrevrange(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    range(ctx, args, Direction::Backward)
}

fn range(ctx: &mut Context<'_>, args: &[&[u8]], direction: Direction) -> Result {
    let (start, end) = match direction {
        Direction::Forward => (args[2], args[3]),
        Direction::Backward => (args[3], args[2]),
    };
    let (start, end) = (range_start(start)?, range_end(end)?);
    let count = range_count(&args[4..])?;
    let Some(stream) = ctx.keyspace.get_as::<StreamValue>(ctx.session.database, args[1])? else {
        return Ok(Reply::Array(Vec::new()));
    };
    if count == 0 {
        return Ok(Reply::NullArray);
    }
    let entries = stream.range(start, end, direction).take(count);
    Ok(Reply::Array(entries.map(|entry| entry_reply(&entry)).collect()))
}

/// The last COUNT; a negative one is none at all.
fn range_count(mut options: &[&[u8]]) -> Result<usize> {
    let mut count = usize::MAX;
    while let [option, rest @ ..] = options {
        let [number, rest @ ..] = rest else { return Err(Error::SYNTAX) };
        if !flag(option, "COUNT") {
            return Err(Error::SYNTAX);
        }
        count = usize::try_from(integer(number)?).unwrap_or(0);
        options = rest;
    }
    Ok(count)
}

fn xtrim(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let trim = ChangeOptions::of_xtrim(args, &ctx.server.options)?;
    let (database, key) = (ctx.session.database, args[1]);
    let removed =
        ctx.keyspace.update::<StreamValue, _>(database, key, events::XTRIM, |stream, recorder| {
            stream.trim(&trim, recorder)
        })?;
    Ok(removed.unwrap_or(0).into())
}

fn xsetid(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    const BELOW_TOP: &str = "ERR The ID specified in XSETID is smaller than the target stream top item";
    let (database, key) = (ctx.session.database, args[1]);
    let last_id = id(args[2], 0)?;
    let (mut entries_added, mut max_deleted_id) = (None, None);
    let mut options = &args[3..];
    while let [option, value, rest @ ..] = options {
        if flag(option, "ENTRIESADDED") {
            entries_added = Some(unsigned(value, "ERR entries_added must be positive")?);
        } else if flag(option, "MAXDELETEDID") {
            let deleted = id(value, 0)?;
            if deleted > last_id {
                return Err(Error::text(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            max_deleted_id = Some(deleted);
        } else {
            return Err(Error::SYNTAX);
        }
        options = rest;
    }
    if !options.is_empty() {
        return Err(Error::SYNTAX);
    }
    let stream = ctx.keyspace.peek_as::<StreamValue>(database, key)?.ok_or(Error::NO_SUCH_KEY)?;
    let before = stream.counters();
    if last_id < before.max_deleted_id {
        return Err(Error::text(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if stream.top_id().is_some_and(|top| last_id < top) {
        return Err(Error::text(BELOW_TOP));
    }
    if stream.len() > 0 && entries_added.is_some_and(|added| added < stream.len() as u64) {
        return Err(Error::text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    let after = Counters {
        last_id,
        // Zero, as in Redis, is as if none had been given.
        max_deleted_id: max_deleted_id.filter(|id| *id != StreamId::MIN).unwrap_or(before.max_deleted_id),
        entries_added: entries_added.unwrap_or(before.entries_added),
    };
    ctx.keyspace.update::<StreamValue, _>(database, key, events::XSETID, |stream, recorder| {
        stream.set_counters(after, recorder);
    })?;
    if after == before {
        ctx.keyspace.announce(database, key, events::XSETID);
    }
    Ok(Reply::OK)
}
