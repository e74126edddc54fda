//! Hash commands.

use super::element_scan::{ElementScan, scan_reply};
use super::random::{Count, copy_repeated, different_ranks, max_copied_bytes, visit_ranks};
use super::{Command, Context, Error, Flags, Group, Result, flag, integer, scan};
use crate::keyspace::{EventKind, events};
use crate::options::Options;
use crate::protocol::{Reply, Shape};
use crate::types::{
    Collection, CopiedItems, HashValue, IntegerBuffer, LongDouble, PackedLimits, Recorder, SharedItems,
    parse_integer,
};

const WRITE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];
const READ: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("hdel", -3, hdel).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields to be removed",
        "Removes fields from a hash.",
        "key field [field ...]",
    ),
    Command::new("hexists", 3, hexists).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Tells whether a hash has a field.",
        "key field",
    ),
    Command::new("hget", 3, hget).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Returns the value of a field.",
        "key field",
    ),
    Command::new("hgetall", 2, hgetall).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields",
        "Returns all fields and values of a hash.",
        "key",
    ),
    Command::new("hincrby", 4, hincrby).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Adds to the integer value of a field, which is 0 if there is none.",
        "key field increment",
    ),
    Command::new("hincrbyfloat", 4, hincrbyfloat).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "2.6.0",
        "O(1)",
        "Adds to the floating-point value of a field, which is 0 if there is none.",
        "key field increment",
    ),
    Command::new("hkeys", 2, hkeys).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields",
        "Returns all fields of a hash.",
        "key",
    ),
    Command::new("hlen", 2, hlen).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Returns the number of fields of a hash.",
        "key",
    ),
    Command::new("hmget", -3, hmget).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields asked for",
        "Returns the values of several fields.",
        "key field [field ...]",
    ),
    Command::new("hmset", -4, hmset).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields",
        "Sets the values of several fields; the old form of HSET.",
        "key field value [field value ...]",
    ),
    Command::new("hrandfield", -2, hrandfield).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Hash,
        "6.2.0",
        "O(N) where N is the number of fields returned",
        "Returns random fields of a hash; with a negative count the same one may come again.",
        "key [count [WITHVALUES]]",
    ),
    Command::new("hscan", -3, hscan).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Hash,
        "2.8.0",
        "O(1) for a call, O(N) for a whole walk over N fields",
        "Walks the fields of a hash in steps: a field that is there all the time is found.",
        "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    ),
    Command::new("hset", -4, hset).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(1) for each field",
        "Sets the values of fields and creates the hash if there is none.",
        "key field value [field value ...]",
    ),
    Command::new("hsetnx", 4, hsetnx).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Sets the value of a field if there is no such field.",
        "key field value",
    ),
    Command::new("hstrlen", 3, hstrlen).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "3.2.0",
        "O(1)",
        "Returns the length of the value of a field in bytes.",
        "key field",
    ),
    Command::new("hvals", 2, hvals).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields",
        "Returns all values of a hash.",
        "key",
    ),
];

/// Up to where hashes have their small form.
pub(super) fn limits(options: &Options) -> PackedLimits {
    PackedLimits {
        entries: options.hash_max_listpack_entries as usize,
        element_bytes: options.hash_max_listpack_value as usize,
    }
}

/// The hash at the key that the first argument names, for a command that reads it.
fn read<'a>(ctx: &'a mut Context<'_>, args: &[&[u8]]) -> Result<Option<&'a HashValue>> {
    Ok(ctx.keyspace.get_as(ctx.session.database, args[1])?)
}

fn hset(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(set_fields(ctx, args, "hset")?.into())
}

fn hmset(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_fields(ctx, args, "hmset")?;
    Ok(Reply::OK)
}

/// Sets the fields of HSET; gives how many are new.
fn set_fields(ctx: &mut Context<'_>, args: &[&[u8]], command: &str) -> Result<usize> {
    let (pairs, rest) = args[2..].as_chunks();
    if !rest.is_empty() {
        return Err(Error::wrong_arity(command));
    }
    let limits = limits(&ctx.server.options);
    let set = |hash: &mut HashValue, recorder: &mut dyn Recorder| {
        pairs.iter().filter(|[field, value]| hash.set(field, value, limits, recorder)).count()
    };
    Ok(ctx.keyspace.update_or_create(ctx.session.database, args[1], events::HSET, set)?)
}

fn hsetnx(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (field, value) = (args[2], args[3]);
    let limits = limits(&ctx.server.options);
    let set = |hash: &mut HashValue, recorder: &mut dyn Recorder| {
        hash.get(field).is_none() && hash.set(field, value, limits, recorder)
    };
    let is_new = ctx.keyspace.update_or_create(ctx.session.database, args[1], events::HSET, set)?;
    Ok(Reply::flag(is_new))
}

fn hdel(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let remove = |hash: &mut HashValue, recorder: &mut dyn Recorder| {
        args[2..].iter().filter(|field| hash.remove(field, recorder)).count()
    };
    let removed = ctx.keyspace.update(ctx.session.database, args[1], events::HDEL, remove)?;
    Ok(removed.unwrap_or(0).into())
}

fn hget(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let value = read(ctx, args)?.and_then(|hash| hash.get(args[2]));
    Ok(value.map_or(Reply::Null, Reply::bytes))
}

fn hmget(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let hash = read(ctx, args)?;
    let value = |field: &&[u8]| hash.and_then(|hash| hash.get(field)).map_or(Reply::Null, Reply::bytes);
    Ok(Reply::Array(args[2..].iter().map(value).collect()))
}

fn hgetall(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(Reply::Items(Shape::Map, read(ctx, args)?.map_or_else(SharedItems::default, HashValue::items)))
}

fn hkeys(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(Reply::Items(Shape::Array, read(ctx, args)?.map_or_else(SharedItems::default, HashValue::fields)))
}

fn hvals(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(Reply::Items(Shape::Array, read(ctx, args)?.map_or_else(SharedItems::default, HashValue::values)))
}

fn hlen(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(read(ctx, args)?.map_or(0, Collection::len).into())
}

fn hexists(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(Reply::flag(read(ctx, args)?.is_some_and(|hash| hash.get(args[2]).is_some())))
}

fn hstrlen(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(read(ctx, args)?.and_then(|hash| hash.get(args[2])).map_or(0, <[u8]>::len).into())
}

fn hincrby(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let increment = integer(args[3])?;
    let sum = change_field(ctx, args, events::HINCRBY, |before| {
        let before = before.map_or(Some(0), parse_integer);
        let before = before.ok_or(Error::text("ERR hash value is not an integer"))?;
        let sum = before.checked_add(increment);
        let sum = sum.ok_or(Error::OVERFLOW)?;
        Ok((sum, IntegerBuffer::new().format(sum).to_vec()))
    })?;
    Ok(Reply::Integer(sum))
}

fn hincrbyfloat(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let increment = LongDouble::parse(args[3]).ok_or(Error::NOT_A_FLOAT)?;
    if matches!(increment, LongDouble::Infinite { .. }) {
        return Err(Error::text("ERR value is NaN or Infinity"));
    }
    let sum = change_field(ctx, args, events::HINCRBYFLOAT, |before| {
        let before = LongDouble::parse(before.unwrap_or(b"0"));
        let before = before.ok_or(Error::text("ERR hash value is not a float"))?;
        let sum = before.checked_add(increment);
        let sum = sum.ok_or(Error::NOT_FINITE)?.format();
        Ok((sum.clone(), sum.into_bytes()))
    })?;
    Ok(sum.into())
}

/// Gives the field that the second argument names the value that `change` makes of the one before, unless it refuses;
/// with something else for the reply.
fn change_field<R>(
    ctx: &mut Context<'_>,
    args: &[&[u8]],
    event: EventKind,
    change: impl FnOnce(Option<&[u8]>) -> Result<(R, Vec<u8>)>,
) -> Result<R> {
    let limits = limits(&ctx.server.options);
    let update = |hash: &mut HashValue, recorder: &mut dyn Recorder| {
        let (reply, value) = change(hash.get(args[2]))?;
        hash.replace(args[2], &value, limits, recorder);
        Ok(reply)
    };
    ctx.keyspace.update_or_create(ctx.session.database, args[1], event, update)?
}

fn hrandfield(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (count, with_values) = match args[2..] {
        [] => {
            let hash = read(ctx, args)?;
            let field = hash.and_then(|hash| hash.nth(fastrand::usize(..hash.len())));
            return Ok(field.map_or(Reply::Null, |(field, _)| Reply::bytes(field)));
        }
        [count] => (Count::parse(count)?, false),
        [count, option] if flag(option, "WITHVALUES") => (Count::parse_of_pairs(count)?, true),
        [count, ..] => {
            Count::parse(count)?;
            return Err(Error::SYNTAX);
        }
    };
    let max_bytes = max_copied_bytes(ctx);
    let Some(hash) = read(ctx, args)? else { return Ok(Reply::Array(Vec::new())) };
    let copy = |copied: &mut CopiedItems, (field, value): (&[u8], &[u8])| {
        copied.push(field);
        if with_values {
            copied.push(value);
        }
    };
    let items = match count {
        Count::Different(count) if count >= hash.len() && with_values => hash.items(),
        Count::Different(count) if count >= hash.len() => hash.fields(),
        Count::Different(count) => {
            let ranks = different_ranks(count, hash.len());
            let mut copied = CopiedItems::default();
            let visit = |entry| copy(&mut copied, entry);
            visit_ranks(&ranks, hash.len(), hash.iter(), |rank| hash.nth(rank), visit);
            copied.into()
        }
        Count::Repeated(count) => copy_repeated(max_bytes, count, hash.len(), |rank, copied| {
            hash.nth(rank).into_iter().for_each(|entry| copy(copied, entry));
        })?
        .into(),
    };
    Ok(Reply::Items(if with_values { Shape::Pairs } else { Shape::Array }, items))
}

fn hscan(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let cursor = scan::cursor(args[2])?;
    let Some(hash) = read(ctx, args)? else { return Ok(scan_reply(0, SharedItems::default())) };
    let options = ElementScan::parse(&args[3..], true)?;
    let mut found = CopiedItems::default();
    let next = hash.scan(cursor, options.count, |field, value| {
        if options.wants(field) {
            found.push(field);
            if !options.without_values {
                found.push(value);
            }
        }
    });
    Ok(scan_reply(next, found))
}

#[cfg(test)]
mod tests;
