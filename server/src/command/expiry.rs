//! Commands that set, read and remove the time to live of a key of any type.

use std::cmp::Ordering;

use super::{Command, Context, Error, ExpiryOption, Flags, Group, Result, flag, integer};
use crate::keyspace::{Entry, events};
use crate::protocol::Reply;

const WRITE: &[Flags] = &[Flags::WRITE, Flags::FAST];
const READ: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("expire", -3, expire).flags(WRITE).keys(1, 1, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Sets the time to live of a key in seconds.",
        "key seconds [NX | XX | GT | LT]",
    ),
    Command::new("pexpire", -3, pexpire).flags(WRITE).keys(1, 1, 1).docs(
        Group::Generic,
        "2.6.0",
        "O(1)",
        "Sets the time to live of a key in milliseconds.",
        "key milliseconds [NX | XX | GT | LT]",
    ),
    Command::new("expireat", -3, expireat).flags(WRITE).keys(1, 1, 1).docs(
        Group::Generic,
        "1.2.0",
        "O(1)",
        "Sets the time at which a key expires, in seconds of unix time.",
        "key unix-time-seconds [NX | XX | GT | LT]",
    ),
    Command::new("pexpireat", -3, pexpireat).flags(WRITE).keys(1, 1, 1).docs(
        Group::Generic,
        "2.6.0",
        "O(1)",
        "Sets the time at which a key expires, in milliseconds of unix time.",
        "key unix-time-milliseconds [NX | XX | GT | LT]",
    ),
    Command::new("ttl", 2, ttl).flags(READ).keys(1, 1, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Returns the time to live of a key in seconds.",
        "key",
    ),
    Command::new("pttl", 2, pttl).flags(READ).keys(1, 1, 1).docs(
        Group::Generic,
        "2.6.0",
        "O(1)",
        "Returns the time to live of a key in milliseconds.",
        "key",
    ),
    Command::new("expiretime", 2, expiretime).flags(READ).keys(1, 1, 1).docs(
        Group::Generic,
        "7.0.0",
        "O(1)",
        "Returns the time at which a key expires, in seconds of unix time.",
        "key",
    ),
    Command::new("pexpiretime", 2, pexpiretime).flags(READ).keys(1, 1, 1).docs(
        Group::Generic,
        "7.0.0",
        "O(1)",
        "Returns the time at which a key expires, in milliseconds of unix time.",
        "key",
    ),
    Command::new("persist", 2, persist).flags(WRITE).keys(1, 1, 1).docs(
        Group::Generic,
        "2.2.0",
        "O(1)",
        "Removes the time to live of a key.",
        "key",
    ),
];

/// Under which conditions a time to live is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Conditions {
    /// Whether the key must have one already.
    presence: Option<bool>,
    /// How the new end must compare with the present one; without a time to live a key ends last of all.
    order: Option<Ordering>,
}

impl Conditions {
    fn parse(options: &[&[u8]]) -> Result<Self> {
        const WORDS: [&str; 4] = ["NX", "XX", "GT", "LT"];
        if let Some(other) = options.iter().find(|option| !WORDS.iter().any(|word| flag(option, word))) {
            return Err(format!("ERR Unsupported option {}", String::from_utf8_lossy(other)).into());
        }
        let [nx, xx, gt, lt] = WORDS.map(|word| options.iter().any(|option| flag(option, word)));
        if nx && (xx || gt || lt) {
            return Err(Error::text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if gt && lt {
            return Err(Error::text("ERR GT and LT options at the same time are not compatible"));
        }
        let presence = (nx || xx).then_some(xx);
        let order = gt.then_some(Ordering::Greater).or(lt.then_some(Ordering::Less));
        Ok(Self { presence, order })
    }

    /// Whether a key that ends at `before` may be given another end.
    fn allow(self, before: Option<u64>, end_ms: i64) -> bool {
        let order = before.map_or(Ordering::Less, |before| i128::from(end_ms).cmp(&i128::from(before)));
        self.presence.is_none_or(|wanted| wanted == before.is_some())
            && self.order.is_none_or(|wanted| wanted == order)
    }
}

fn expire(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_end(ctx, args, ExpiryOption::Seconds, "expire")
}

fn pexpire(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_end(ctx, args, ExpiryOption::Milliseconds, "pexpire")
}

fn expireat(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_end(ctx, args, ExpiryOption::UnixSeconds, "expireat")
}

fn pexpireat(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_end(ctx, args, ExpiryOption::UnixMilliseconds, "pexpireat")
}

fn set_end(ctx: &mut Context<'_>, args: &[&[u8]], option: ExpiryOption, command: &str) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let conditions = Conditions::parse(&args[3..])?;
    let now_ms = ctx.keyspace.now_ms();
    let end_ms = option.end_ms(integer(args[2])?, now_ms);
    let end_ms = end_ms.ok_or_else(|| Error::invalid_expire_time(command))?;
    let Some(entry) = ctx.keyspace.peek(database, key)? else { return Ok(Reply::Integer(0)) };
    if !conditions.allow(entry.expires_at_ms(), end_ms) {
        return Ok(Reply::Integer(0));
    }
    match u64::try_from(end_ms) {
        Ok(end_ms) if end_ms > now_ms => {
            ctx.keyspace.set_expiry(database, key, Some(end_ms), events::EXPIRE)?;
        }
        // What ends in the past ends now.
        _ => {
            ctx.keyspace.delete(database, key, events::DEL)?;
        }
    }
    Ok(Reply::Integer(1))
}

fn ttl(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let now_ms = ctx.keyspace.now_ms();
    read_end(ctx, args, |end_ms| to_seconds(end_ms.saturating_sub(now_ms)))
}

fn pttl(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let now_ms = ctx.keyspace.now_ms();
    read_end(ctx, args, |end_ms| end_ms.saturating_sub(now_ms))
}

fn expiretime(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    read_end(ctx, args, to_seconds)
}

fn pexpiretime(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    read_end(ctx, args, |end_ms| end_ms)
}

/// To the nearest second, as Redis rounds.
fn to_seconds(time_ms: u64) -> u64 {
    (time_ms + 500) / 1000
}

/// Answers the end of a key in the wanted form: -2 without a key, -1 without an end.
fn read_end(ctx: &mut Context<'_>, args: &[&[u8]], form: impl FnOnce(u64) -> u64) -> Result {
    let entry = ctx.keyspace.inspect(ctx.session.database, args[1])?;
    Ok(Reply::Integer(match entry.map(Entry::expires_at_ms) {
        None => -2,
        Some(None) => -1,
        Some(Some(end_ms)) => form(end_ms) as i64,
    }))
}

fn persist(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let has_end = ctx.keyspace.peek(database, key)?.is_some_and(|entry| entry.expires_at_ms().is_some());
    if has_end {
        ctx.keyspace.set_expiry(database, key, None, events::PERSIST)?;
    }
    Ok(Reply::flag(has_end))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn conditions_compare_with_the_present_end() {
        let parse = |options: &str| {
            let options: Vec<&[u8]> = options.split_whitespace().map(str::as_bytes).collect();
            Conditions::parse(&options)
        };
        for (options, before, allowed) in [
            ("", None, true),
            ("", Some(100), true),
            ("NX", None, true),
            ("NX", Some(100), false),
            ("xx", None, false),
            ("xx", Some(100), true),
            ("gt", None, false),
            ("gt", Some(50), false),
            ("gt", Some(49), true),
            ("lt", None, true),
            ("lt", Some(50), false),
            ("lt", Some(51), true),
            ("xx lt", None, false),
        ] {
            let conditions = parse(options).expect("conditions");
            assert_eq!(conditions.allow(before, 50), allowed, "{options} {before:?}");
        }
        for options in ["nx xx", "nx gt", "gt lt", "ex"] {
            assert!(parse(options).is_err(), "{options}");
        }
        assert!(parse("lt").is_ok_and(|conditions| conditions.allow(Some(0), i64::MIN)));
    }

    #[test]
    fn ends_are_set_and_read() {
        Fixture::new().check(&[
            ("expire k 10", ":0"),
            ("ttl k", ":-2"),
            ("set k v", "+OK"),
            ("ttl k", ":-1"),
            ("expire k 10", ":1"),
            ("pttl k", ":10000"),
            ("pexpire k 1499", ":1"),
            ("ttl k", ":1"),
            ("pexpire k 1500", ":1"),
            ("ttl k", ":2"),
            ("expireat k 33177117420", ":1"),
            ("expiretime k", ":33177117420"),
            ("pexpireat k 33177117420999", ":1"),
            ("pexpiretime k", ":33177117420999"),
            ("persist k", ":1"),
            ("persist k", ":0"),
            ("expire k x", "-ERR value is not an integer or out of range"),
            ("expire k 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
            ("pexpire k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
            ("expire k 1 what", "-ERR Unsupported option what"),
            ("pexpireat k -9223372036854775808", ":1"),
            ("exists k", ":0"),
        ]);
    }
}
