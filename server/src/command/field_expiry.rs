//! Commands that set, read and remove the ends of fields of hashes, as Redis has them since 7.4 and 8.0.
//!
//! The keyspace removes fields whose end has come before a command sees the hash; so nothing here asks for that.

use std::cmp::Ordering;

use super::hashes::limits;
use super::{Command, Context, Error, ExpiryOption, Flags, Group, Result, flag, integer};
use crate::keyspace::{EventKind, events};
use crate::protocol::Reply;
use crate::types::{HashValue, MAX_END_MS, PackedLimits, Recorder};

const SET: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];
const WRITE: &[Flags] = &[Flags::WRITE, Flags::FAST];
const READ: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("hexpire", -6, hexpire).flags(SET).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Sets the time to live of fields in seconds.",
        "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    Command::new("hpexpire", -6, hpexpire).flags(SET).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Sets the time to live of fields in milliseconds.",
        "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    Command::new("hexpireat", -6, hexpireat).flags(SET).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Sets the time at which fields expire, in seconds of unix time.",
        "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    Command::new("hpexpireat", -6, hpexpireat).flags(SET).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Sets the time at which fields expire, in milliseconds of unix time.",
        "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    Command::new("httl", -5, httl).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Returns the time to live of fields in seconds.",
        "key FIELDS numfields field [field ...]",
    ),
    Command::new("hpttl", -5, hpttl).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Returns the time to live of fields in milliseconds.",
        "key FIELDS numfields field [field ...]",
    ),
    Command::new("hexpiretime", -5, hexpiretime).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Returns the time at which fields expire, in seconds of unix time.",
        "key FIELDS numfields field [field ...]",
    ),
    Command::new("hpexpiretime", -5, hpexpiretime).flags(READ).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Returns the time at which fields expire, in milliseconds of unix time.",
        "key FIELDS numfields field [field ...]",
    ),
    Command::new("hpersist", -5, hpersist).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "7.4.0",
        "O(N) where N is the number of fields named",
        "Removes the time to live of fields.",
        "key FIELDS numfields field [field ...]",
    ),
    Command::new("hgetdel", -5, hgetdel).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "8.0.0",
        "O(N) where N is the number of fields named",
        "Returns the values of fields and removes the fields.",
        "key FIELDS numfields field [field ...]",
    ),
    Command::new("hgetex", -5, hgetex).flags(WRITE).keys(1, 1, 1).docs(
        Group::Hash,
        "8.0.0",
        "O(N) where N is the number of fields named",
        "Returns the values of fields, and sets or removes their time to live.",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] \
         FIELDS numfields field [field ...]",
    ),
    Command::new("hsetex", -6, hsetex).flags(SET).keys(1, 1, 1).docs(
        Group::Hash,
        "8.0.0",
        "O(N) where N is the number of fields",
        "Sets the values of fields with a time to live, under a condition if one is given.",
        "key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | \
         KEEPTTL] FIELDS numfields field value [field value ...]",
    ),
];

/// The replies for a field that is not there, or has no end.
const NO_FIELD: Reply = Reply::Integer(-2);
const NO_END: Reply = Reply::Integer(-1);

/// Reads what comes last in most of these commands: `FIELDS`, the number of fields, and the fields.
fn named_fields<'a, 'b>(arguments: &'b [&'a [u8]], not_positive: &'static str) -> Result<&'b [&'a [u8]]> {
    let [word, number, fields @ ..] = arguments else { return Err(MISPLACED_FIELDS) };
    if !flag(word, "FIELDS") {
        return Err(MISPLACED_FIELDS);
    }
    let number = integer(number).ok().filter(|number| *number > 0).ok_or(Error::text(not_positive))?;
    if number as u64 != fields.len() as u64 {
        return Err(Error::text("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(fields)
}

const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";

const MISPLACED_FIELDS: Error =
    Error::text("ERR Mandatory argument FIELDS is missing or not at the right position");

/// Reads an end, or a time to live that may be 0.
fn end_ms(ctx: &Context<'_>, option: ExpiryOption, argument: &[u8], command: &str) -> Result<u64> {
    let amount = integer(argument)?;
    if amount < 0 {
        return Err(Error::text("ERR invalid expire time, must be >= 0"));
    }
    let end = option.end_ms(amount, ctx.keyspace.now_ms()).and_then(|end| u64::try_from(end).ok());
    let end = end.filter(|end| *end <= MAX_END_MS);
    end.ok_or_else(|| Error::invalid_expire_time(command))
}

/// What a command does with the ends of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewEnd {
    /// It leaves them.
    Keep,
    /// It removes them.
    None,
    /// It sets them, in milliseconds of unix time.
    At(u64),
    /// It sets them to a time that has come: the fields go.
    Past,
}

impl NewEnd {
    fn at(end_ms: u64, now_ms: u64) -> Self {
        if end_ms > now_ms { Self::At(end_ms) } else { Self::Past }
    }

    fn event(self) -> EventKind {
        match self {
            Self::Keep | Self::Past => events::HDEL,
            Self::None => events::HPERSIST,
            Self::At(_) => events::HEXPIRE,
        }
    }
}

/// Under which condition a field gets an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    /// If it has one already, or none.
    Presence(bool),
    /// If the new one compares so with the present one; a field without an end ends last of all.
    Order(Ordering),
}

impl Condition {
    fn parse(argument: &[u8]) -> Self {
        match argument {
            _ if flag(argument, "NX") => Self::Presence(false),
            _ if flag(argument, "XX") => Self::Presence(true),
            _ if flag(argument, "GT") => Self::Order(Ordering::Greater),
            _ if flag(argument, "LT") => Self::Order(Ordering::Less),
            _ => Self::Always,
        }
    }

    fn allows(self, before: Option<u64>, end_ms: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Presence(wanted) => before.is_some() == wanted,
            Self::Order(wanted) => before.map_or(Ordering::Less, |before| end_ms.cmp(&before)) == wanted,
        }
    }
}

/// Refuses a key of another type before anything else is looked at, as Redis does.
fn check_type(ctx: &mut Context<'_>, key: &[u8]) -> Result<()> {
    ctx.keyspace.peek_as::<HashValue>(ctx.session.database, key)?;
    Ok(())
}

fn hexpire(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_ends(ctx, args, ExpiryOption::Seconds, "hexpire")
}

fn hpexpire(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_ends(ctx, args, ExpiryOption::Milliseconds, "hpexpire")
}

fn hexpireat(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_ends(ctx, args, ExpiryOption::UnixSeconds, "hexpireat")
}

fn hpexpireat(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_ends(ctx, args, ExpiryOption::UnixMilliseconds, "hpexpireat")
}

fn set_ends(ctx: &mut Context<'_>, args: &[&[u8]], option: ExpiryOption, command: &str) -> Result {
    check_type(ctx, args[1])?;
    let end_ms = end_ms(ctx, option, args[2], command)?;
    let condition = Condition::parse(args[3]);
    let rest = if condition == Condition::Always { &args[3..] } else { &args[4..] };
    let fields = named_fields(rest, "ERR Parameter `numFields` should be greater than 0")?;
    let (limits, end) = (limits(&ctx.server.options), NewEnd::at(end_ms, ctx.keyspace.now_ms()));
    change_fields(ctx, args[1], fields, end.event(), NO_FIELD, |hash, field, recorder| {
        if hash.get(field).is_none() {
            return NO_FIELD;
        }
        if !condition.allows(hash.end_ms(field), end_ms) {
            return Reply::Integer(0);
        }
        if end == NewEnd::Past {
            hash.remove(field, recorder);
            return Reply::Integer(2);
        }
        hash.set_end(field, Some(end_ms), limits, recorder);
        Reply::Integer(1)
    })
}

/// Does something to each of the fields of a hash that may not be there, and answers what that gives for each of them.
fn change_fields(
    ctx: &mut Context<'_>,
    key: &[u8],
    fields: &[&[u8]],
    event: EventKind,
    missing: Reply,
    mut change: impl FnMut(&mut HashValue, &[u8], &mut dyn Recorder) -> Reply,
) -> Result {
    let changed =
        ctx.keyspace.update(ctx.session.database, key, event, |hash: &mut HashValue, recorder| {
            fields.iter().map(|field| change(hash, field, recorder)).collect()
        })?;
    Ok(Reply::Array(changed.unwrap_or_else(|| vec![missing; fields.len()])))
}

fn httl(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let now_ms = ctx.keyspace.now_ms();
    read_ends(ctx, args, |end_ms| end_ms.saturating_sub(now_ms).div_ceil(1000))
}

fn hpttl(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let now_ms = ctx.keyspace.now_ms();
    read_ends(ctx, args, |end_ms| end_ms.saturating_sub(now_ms))
}

fn hexpiretime(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    // Rounded up, unlike those of keys, as in Redis.
    read_ends(ctx, args, |end_ms| end_ms.div_ceil(1000))
}

fn hpexpiretime(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    read_ends(ctx, args, |end_ms| end_ms)
}

fn read_ends(ctx: &mut Context<'_>, args: &[&[u8]], form: impl Fn(u64) -> u64) -> Result {
    let hash = ctx.keyspace.get_as::<HashValue>(ctx.session.database, args[1])?;
    let fields = named_fields(&args[2..], NOT_POSITIVE)?;
    let end = |field: &&[u8]| {
        let Some(hash) = hash.filter(|hash| hash.get(field).is_some()) else { return NO_FIELD };
        hash.end_ms(field).map_or(NO_END, |end_ms| Reply::Integer(form(end_ms) as i64))
    };
    Ok(Reply::Array(fields.iter().map(end).collect()))
}

fn hpersist(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_type(ctx, args[1])?;
    let fields = named_fields(&args[2..], NOT_POSITIVE)?;
    let limits = limits(&ctx.server.options);
    change_fields(ctx, args[1], fields, events::HPERSIST, NO_FIELD, |hash, field, recorder| {
        let had_end = hash.end_ms(field).is_some();
        match hash.set_end(field, None, limits, recorder) {
            false => NO_FIELD,
            true if had_end => Reply::Integer(1),
            true => NO_END,
        }
    })
}

/// The value of a field as a reply.
fn value(hash: &HashValue, field: &[u8]) -> Reply {
    hash.get(field).map_or(Reply::Null, Reply::bytes)
}

fn hgetdel(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_type(ctx, args[1])?;
    let fields = named_fields(&args[2..], NOT_POSITIVE)?;
    change_fields(ctx, args[1], fields, events::HDEL, Reply::Null, |hash, field, recorder| {
        let value = value(hash, field);
        hash.remove(field, recorder);
        value
    })
}

fn hgetex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_type(ctx, args[1])?;
    let (end, rest) = if flag(args[2], "PERSIST") {
        (NewEnd::None, &args[3..])
    } else if let Some(option) = ExpiryOption::named(args[2]) {
        let end_ms = end_ms(ctx, option, args[3], "hgetex")?;
        (NewEnd::at(end_ms, ctx.keyspace.now_ms()), &args[4..])
    } else {
        (NewEnd::Keep, &args[2..])
    };
    let fields = named_fields(rest, NOT_POSITIVE)?;
    let limits = limits(&ctx.server.options);
    change_fields(ctx, args[1], fields, end.event(), Reply::Null, |hash, field, recorder| {
        let value = value(hash, field);
        apply(hash, field, end, limits, recorder);
        value
    })
}

/// Does with the end of a field what is wanted, if there is such a field.
fn apply(hash: &mut HashValue, field: &[u8], end: NewEnd, limits: PackedLimits, recorder: &mut dyn Recorder) {
    match end {
        NewEnd::Keep => {}
        NewEnd::None => {
            hash.set_end(field, None, limits, recorder);
        }
        NewEnd::At(end_ms) => {
            hash.set_end(field, Some(end_ms), limits, recorder);
        }
        NewEnd::Past => {
            hash.remove(field, recorder);
        }
    }
}

/// The arguments of HSETEX.
#[derive(Clone, Copy, Debug)]
struct SetOptions<'a, 'b> {
    /// Whether all fields must be there already, or none.
    presence: Option<bool>,
    end: NewEnd,
    pairs: &'b [[&'a [u8]; 2]],
}

impl<'a, 'b> SetOptions<'a, 'b> {
    fn parse(ctx: &Context<'_>, mut arguments: &'b [&'a [u8]]) -> Result<Self> {
        let (mut presence, mut end) = (None, None);
        while let [option, rest @ ..] = arguments {
            arguments = rest;
            match rest {
                _ if flag(option, "FNX") || flag(option, "FXX") => {
                    if presence.replace(flag(option, "FXX")).is_some() {
                        return Err(Error::text("ERR Only one of FXX or FNX arguments can be specified"));
                    }
                }
                [number, pairs @ ..] if flag(option, "FIELDS") => {
                    let number = integer(number).ok().filter(|number| (1..=i32::MAX.into()).contains(number));
                    let number = number.ok_or(Error::text("ERR invalid number of fields"))?;
                    let (pairs, rest) = pairs.as_chunks();
                    if !rest.is_empty() || pairs.len() as u64 != number as u64 {
                        return Err(Error::wrong_arity("hsetex"));
                    }
                    return Ok(Self { presence, end: end.unwrap_or(NewEnd::None), pairs });
                }
                _ if flag(option, "FIELDS") => return Err(Error::wrong_arity("hsetex")),
                _ => arguments = Self::parse_end(ctx, option, rest, &mut end)?,
            }
        }
        Err(Error::text("ERR missing FIELDS argument"))
    }

    /// Reads an option about ends; gives what is behind it.
    fn parse_end(
        ctx: &Context<'_>,
        option: &[u8],
        rest: &'b [&'a [u8]],
        end: &mut Option<NewEnd>,
    ) -> Result<&'b [&'a [u8]]> {
        let expiry = ExpiryOption::named(option);
        if expiry.is_none() && !flag(option, "KEEPTTL") {
            return Err(format!("ERR unknown argument: {}", String::from_utf8_lossy(option)).into());
        }
        if end.is_some() {
            return Err(Error::text(
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ));
        }
        let Some(expiry) = expiry else {
            *end = Some(NewEnd::Keep);
            return Ok(rest);
        };
        let [amount, rest @ ..] = rest else { return Err(Error::text("ERR missing expire time")) };
        *end = Some(NewEnd::at(end_ms(ctx, expiry, amount, "hsetex")?, ctx.keyspace.now_ms()));
        Ok(rest)
    }
}

fn hsetex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let SetOptions { presence, end, pairs } = SetOptions::parse(ctx, &args[2..])?;
    let hash = ctx.keyspace.peek_as::<HashValue>(database, key)?;
    if let Some(wanted) = presence {
        let is_there = |field: &[u8]| hash.is_some_and(|hash| hash.get(field).is_some());
        if pairs.iter().any(|[field, _]| is_there(field) != wanted) {
            return Ok(Reply::Integer(0));
        }
    }
    let limits = limits(&ctx.server.options);
    ctx.keyspace.update_or_create(database, key, events::HSET, |hash: &mut HashValue, recorder| {
        for [field, value] in pairs {
            hash.replace(field, value, limits, recorder);
            if end != NewEnd::Past {
                apply(hash, field, end, limits, recorder);
            }
        }
    })?;
    match end {
        NewEnd::Keep | NewEnd::None => {}
        NewEnd::At(_) => ctx.keyspace.announce(database, key, events::HEXPIRE),
        // As in Redis they are set first.
        NewEnd::Past => {
            ctx.keyspace.update(database, key, events::HDEL, |hash: &mut HashValue, recorder| {
                for [field, _] in pairs {
                    apply(hash, field, end, limits, recorder);
                }
            })?;
        }
    }
    Ok(Reply::Integer(1))
}

#[cfg(test)]
mod tests;
