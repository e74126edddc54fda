//! SET and its relatives: assigning a value or a time to live, under conditions.

use super::{Command, Context, Error, ExpiryOption, Flags, Group, Result, flag};
use crate::keyspace::{Content, Expiry, events};
use crate::protocol::Reply;

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("set", -3, set).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Sets the string value of a key, whatever the key held before.",
        "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
         PXAT unix-time-milliseconds | KEEPTTL]",
    ),
    Command::new("setex", 4, setex).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::String,
        "2.0.0",
        "O(1)",
        "Sets the string value of a key and its time to live in seconds.",
        "key seconds value",
    ),
    Command::new("psetex", 4, psetex).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::String,
        "2.6.0",
        "O(1)",
        "Sets the string value of a key and its time to live in milliseconds.",
        "key milliseconds value",
    ),
    Command::new("setnx", 3, setnx).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Sets the string value of a key if the key does not exist.",
        "key value",
    ),
    Command::new("getex", -2, getex).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::String,
        "6.2.0",
        "O(1)",
        "Returns the string value of a key and sets or removes its time to live.",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    ),
];

/// Under which condition SET sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Absent,
    Present,
}

/// What SET and GETEX are to do to the time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime<'a> {
    Keep,
    Persist,
    Ends(ExpiryOption, &'a [u8]),
}

/// The options of SET.
#[derive(Debug, Default, PartialEq, Eq)]
struct SetOptions<'a> {
    condition: Option<Condition>,
    get: bool,
    lifetime: Option<Lifetime<'a>>,
}

impl<'a> SetOptions<'a> {
    fn parse(mut options: &[&'a [u8]]) -> Result<Self> {
        let mut parsed = Self::default();
        while let Some((option, rest)) = options.split_first() {
            let condition = match option {
                _ if flag(option, "NX") => Some(Condition::Absent),
                _ if flag(option, "XX") => Some(Condition::Present),
                _ => None,
            };
            if condition.is_some() {
                if parsed.condition.is_some() && parsed.condition != condition {
                    return Err(Error::SYNTAX);
                }
                parsed.condition = condition;
                options = rest;
            } else if flag(option, "GET") {
                parsed.get = true;
                options = rest;
            } else {
                options = take_lifetime(options, "KEEPTTL", Lifetime::Keep, &mut parsed.lifetime)?;
            }
        }
        Ok(parsed)
    }
}

/// Reads one option that concerns the time to live: `word`, or one of those that set it. Gives the arguments behind.
///
/// The same option may come again, and the last one counts; another one may not.
fn take_lifetime<'a, 'b>(
    options: &'b [&'a [u8]],
    word: &str,
    meaning: Lifetime<'a>,
    lifetime: &mut Option<Lifetime<'a>>,
) -> Result<&'b [&'a [u8]]> {
    let (new, rest) = match options {
        [option, rest @ ..] if flag(option, word) => (meaning, rest),
        [option, amount, rest @ ..] => match ExpiryOption::named(option) {
            Some(option) => (Lifetime::Ends(option, amount), rest),
            None => return Err(Error::SYNTAX),
        },
        _ => return Err(Error::SYNTAX),
    };
    let compatible = match (*lifetime, new) {
        (None, _) => true,
        (Some(Lifetime::Ends(before, _)), Lifetime::Ends(after, _)) => before == after,
        (Some(before), after) => before == after,
    };
    if !compatible {
        return Err(Error::SYNTAX);
    }
    *lifetime = Some(new);
    Ok(rest)
}

fn set(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    if args.len() == 3 {
        ctx.keyspace.set(database, key, Content::String(args[2]), Expiry::Clear, events::SET)?;
        return Ok(Reply::OK);
    }
    let options = SetOptions::parse(&args[3..])?;
    let expiry = match options.lifetime {
        None | Some(Lifetime::Persist) => Expiry::Clear,
        Some(Lifetime::Keep) => Expiry::Keep,
        Some(Lifetime::Ends(option, amount)) => {
            Expiry::At(option.positive_end_ms(amount, ctx.keyspace.now_ms(), "set")?)
        }
    };
    let before = if options.get { Some(ctx.keyspace.get_string(database, key)?.cloned()) } else { None };
    let done = assign(ctx, key, args[2], expiry, options.condition)?;
    Ok(match before {
        Some(before) => before.into(),
        None if done => Reply::OK,
        None => Reply::Null,
    })
}

/// Sets a key if the condition is met; tells whether it was.
fn assign(
    ctx: &mut Context<'_>,
    key: &[u8],
    value: &[u8],
    expiry: Expiry,
    condition: Option<Condition>,
) -> Result<bool> {
    let database = ctx.session.database;
    if let Some(condition) = condition {
        let exists = ctx.keyspace.peek(database, key)?.is_some();
        if exists != (condition == Condition::Present) {
            return Ok(false);
        }
    }
    ctx.keyspace.set(database, key, Content::String(value), expiry, events::SET)?;
    if matches!(expiry, Expiry::At(_)) {
        ctx.keyspace.announce(database, key, events::EXPIRE);
    }
    Ok(true)
}

fn setex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_until(ctx, args, ExpiryOption::Seconds, "setex")
}

fn psetex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_until(ctx, args, ExpiryOption::Milliseconds, "psetex")
}

fn set_until(ctx: &mut Context<'_>, args: &[&[u8]], option: ExpiryOption, command: &str) -> Result {
    let end_ms = option.positive_end_ms(args[2], ctx.keyspace.now_ms(), command)?;
    assign(ctx, args[1], args[3], Expiry::At(end_ms), None)?;
    Ok(Reply::OK)
}

fn setnx(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(Reply::flag(assign(ctx, args[1], args[2], Expiry::Clear, Some(Condition::Absent))?))
}

fn getex(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let (mut options, mut lifetime) = (&args[2..], None);
    while !options.is_empty() {
        options = take_lifetime(options, "PERSIST", Lifetime::Persist, &mut lifetime)?;
    }
    // As in Redis, a wrong time does not matter to a key that does not exist.
    let Some(string) = ctx.keyspace.get_string(database, key)?.cloned() else { return Ok(Reply::Null) };
    match lifetime {
        None | Some(Lifetime::Keep) => {}
        Some(Lifetime::Persist) => {
            if ctx.keyspace.peek(database, key)?.is_some_and(|entry| entry.expires_at_ms().is_some()) {
                ctx.keyspace.set_expiry(database, key, None, events::PERSIST)?;
            }
        }
        Some(Lifetime::Ends(option, amount)) => {
            let now_ms = ctx.keyspace.now_ms();
            let end_ms = option.positive_end_ms(amount, now_ms, "getex")?;
            if end_ms <= now_ms {
                ctx.keyspace.delete(database, key, events::DEL)?;
            } else {
                ctx.keyspace.set_expiry(database, key, Some(end_ms), events::EXPIRE)?;
            }
        }
    }
    Ok(string.into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[track_caller]
    fn check(options: &str, expected: &Result<SetOptions<'_>>) {
        let options: Vec<&[u8]> = options.split_whitespace().map(str::as_bytes).collect();
        assert_eq!(&SetOptions::parse(&options), expected);
    }

    #[test]
    fn options_combine_as_in_redis() {
        let ends = |option, amount: &'static str| Some(Lifetime::Ends(option, amount.as_bytes()));
        let seconds = ends(ExpiryOption::Seconds, "2");
        check("", &Ok(SetOptions::default()));
        check("nx", &Ok(SetOptions { condition: Some(Condition::Absent), ..SetOptions::default() }));
        check("EX 1 ex 2", &Ok(SetOptions { lifetime: seconds, ..SetOptions::default() }));
        check(
            "xx get PXAT 5 XX",
            &Ok(SetOptions {
                condition: Some(Condition::Present),
                get: true,
                lifetime: ends(ExpiryOption::UnixMilliseconds, "5"),
            }),
        );
        check("KEEPTTL keepttl", &Ok(SetOptions { lifetime: Some(Lifetime::Keep), ..SetOptions::default() }));
        for wrong in ["nx xx", "ex", "ex 1 px 1", "ex 1 keepttl", "keepttl exat 1", "persist", "1"] {
            check(wrong, &Err(Error::SYNTAX));
        }
    }

    #[test]
    fn conditions_and_old_values_are_honoured() {
        Fixture::new().check(&[
            ("set k 1 xx", "nil"),
            ("set k 1 nx get", "nil"),
            ("set k 2 nx get", "$1"),
            ("set k 2 nx", "nil"),
            ("set k 2 xx get", "$1"),
            ("get k", "$2"),
            ("setnx k 3", ":0"),
            ("setnx j 3", ":1"),
        ]);
    }

    #[test]
    fn a_time_to_live_is_set_kept_and_cleared() {
        Fixture::new().check(&[
            ("set k 1 ex 100", "+OK"),
            ("ttl k", ":100"),
            ("set k 2 keepttl", "+OK"),
            ("ttl k", ":100"),
            ("set k 3", "+OK"),
            ("ttl k", ":-1"),
            ("psetex k 5000 4", "+OK"),
            ("pttl k", ":5000"),
            ("getex k persist", "$4"),
            ("ttl k", ":-1"),
            ("getex k ex 7", "$4"),
            ("ttl k", ":7"),
            ("getex k exat 1", "$4"),
            ("exists k", ":0"),
            ("getex k ex x", "nil"),
            ("setex k 0 v", "-ERR invalid expire time in 'setex' command"),
            ("set k v px 9223372036854775807", "-ERR invalid expire time in 'set' command"),
            ("set k v pxat 1", "+OK"),
            ("get k", "nil"),
        ]);
    }
}
