//! DUMP and RESTORE: values in Redis' own format.

use super::rdb_values::{plain, stored};
use super::{Command, Context, Error, Flags, Group, Result, flag, integer, unsigned};
use crate::keyspace::{Expiry, events};
use crate::protocol::Reply;
use crate::rdb;

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("dump", 2, dump).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Generic,
        "2.6.0",
        "O(N) where N is the number of bytes of the value",
        "Returns a value in Redis' own format, with a checksum.",
        "key",
    ),
    Command::new("restore", -4, restore).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::Generic,
        "2.6.0",
        "O(N*log(N)) where N is the number of elements",
        "Creates a key from what DUMP returned, here or in Redis.",
        "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    ),
];

const BAD_FORMAT: Error = Error::text("ERR Bad data format");

fn dump(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let value = ctx.keyspace.get(ctx.session.database, args[1])?;
    Ok(value.map(|value| rdb::dump(&plain(value))).into())
}

struct RestoreOptions {
    replace: bool,
    absolute: bool,
}

fn restore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let options = parse_options(&args[4..])?;
    if !options.replace && ctx.keyspace.peek(database, key)?.is_some() {
        return Err(Error::text("BUSYKEY Target key name already exists."));
    }
    let ttl_ms = unsigned(args[2], "ERR Invalid TTL value, must be >= 0")?;
    let value = rdb::restore(args[3]).map_err(|error| match error {
        rdb::Error::VersionOrChecksum => Error::text("ERR DUMP payload version or checksum are wrong"),
        _ => BAD_FORMAT,
    })?;
    let value = stored(value, &ctx.server.options).ok_or(BAD_FORMAT)?;
    let now_ms = ctx.keyspace.now_ms();
    let expiry = match ttl_ms {
        0 => Expiry::Clear,
        at if options.absolute => Expiry::At(at),
        ttl => Expiry::At(now_ms.saturating_add(ttl)),
    };
    // As in Redis, what has ended already is not made.
    if matches!(expiry, Expiry::At(at) if at <= now_ms) {
        ctx.keyspace.delete(database, key, events::DEL)?;
    } else {
        ctx.keyspace.put_new((database, key), value, expiry, events::RESTORE)?;
    }
    Ok(Reply::OK)
}

fn parse_options(mut args: &[&[u8]]) -> Result<RestoreOptions> {
    let mut options = RestoreOptions { replace: false, absolute: false };
    // When or how often a key was used is not kept; the numbers are checked as in Redis, which takes one of them.
    let (mut has_idle_time, mut has_frequency) = (false, false);
    while let [word, rest @ ..] = args {
        args = rest;
        match word {
            _ if flag(word, "REPLACE") => options.replace = true,
            _ if flag(word, "ABSTTL") => options.absolute = true,
            _ if flag(word, "IDLETIME") && !has_frequency => {
                if take_number(&mut args)? < 0 {
                    return Err(Error::text("ERR Invalid IDLETIME value, must be >= 0"));
                }
                has_idle_time = true;
            }
            _ if flag(word, "FREQ") && !has_idle_time => {
                if !(0..=255).contains(&take_number(&mut args)?) {
                    return Err(Error::text("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                }
                has_frequency = true;
            }
            _ => return Err(Error::SYNTAX),
        }
    }
    Ok(options)
}

fn take_number(args: &mut &[&[u8]]) -> Result<i64> {
    let (number, rest) = args.split_first().ok_or(Error::SYNTAX)?;
    *args = rest;
    integer(number)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::testing::Fixture;
    use super::*;
    use crate::types::{MAX_END_MS, Value};

    /// The bytes as a word in double quotes.
    fn quoted(bytes: &[u8]) -> String {
        let mut word = String::from("\"");
        for byte in bytes {
            let _ = write!(word, "\\x{byte:02x}");
        }
        word + "\""
    }

    fn dumped(fixture: &mut Fixture, key: &str) -> String {
        match fixture.run(&format!("DUMP {key}")) {
            Reply::Bytes(payload) => quoted(&payload),
            other => panic!("DUMP {key}: {other:?}"),
        }
    }

    #[test]
    fn a_dump_is_a_use_of_its_key() {
        let mut fixture = Fixture::new();
        fixture.check_events("DUMP k", &["0 keymiss k"]);
        fixture.run("SET k 1");
        fixture.now_us += 10_000_000;
        fixture.check(&[("OBJECT IDLETIME k", ":10")]);
        fixture.run("DUMP k");
        fixture.check(&[("OBJECT IDLETIME k", ":0")]);
    }

    #[test]
    fn a_restored_key_has_what_the_dumped_one_had() {
        let check = |make: &[&str], questions: &[&str]| {
            let mut fixture = Fixture::new();
            for request in make {
                fixture.run(request);
            }
            let payload = dumped(&mut fixture, "k");
            let answers = |fixture: &mut Fixture| {
                questions.iter().map(|question| format!("{:?}", fixture.run(question))).collect::<Vec<_>>()
            };
            let before = answers(&mut fixture);
            fixture.check(&[(&format!("RESTORE k 0 {payload} REPLACE"), "+OK")]);
            assert_eq!(answers(&mut fixture), before, "{make:?}");
        };
        check(&["HSET k a 1 b 2"], &["HGETALL k", "HTTL k FIELDS 2 a b"]);
        check(
            &["HSET k a 1 b 2 c 3", "HPEXPIRE k 5000 FIELDS 1 a", "HEXPIRE k 7 FIELDS 1 c"],
            &["HGETALL k", "HPEXPIRETIME k FIELDS 3 a b c"],
        );
        check(
            &[
                "XADD k 1-1 a 1",
                "XADD k 2-1 a 2",
                "XADD k 3-1 a 3",
                "XGROUP CREATE k g 0",
                "XREADGROUP GROUP g alice COUNT 1 STREAMS k >",
                "XREADGROUP GROUP g bob COUNT 1 STREAMS k >",
                "XREADGROUP GROUP g alice COUNT 1 STREAMS k >",
            ],
            &["XRANGE k - +", "XPENDING k g - + 10", "XINFO STREAM k FULL"],
        );
    }

    #[test]
    fn a_field_cannot_end_later_than_the_end_of_time() {
        let fields: rdb::Strings = ["f", "v"].iter().collect();
        let mut fixture = Fixture::new();
        for (end_ms, expected) in [(MAX_END_MS, "+OK"), (MAX_END_MS + 1, "-ERR Bad data format")] {
            let value = rdb::Value::ExpiringHash(fields.clone(), vec![Some(end_ms)]);
            let request = format!("RESTORE k 0 {} REPLACE", quoted(&rdb::dump(&value)));
            fixture.check(&[(&request, expected)]);
        }
    }

    #[test]
    fn a_replaced_key_is_announced_as_in_redis() {
        let mut fixture = Fixture::new();
        fixture.run("SET k v");
        let payload = dumped(&mut fixture, "k");
        let now_ms = fixture.now_us / 1000;
        let ended = format!("RESTORE k {now_ms} {payload} REPLACE ABSTTL");
        fixture.check_events(&format!("RESTORE k 0 {payload} REPLACE"), &["0 new k", "0 restore k"]);
        fixture.check_events(&ended, &["0 del k"]);
        fixture.check(&[("EXISTS k", ":0")]);
        fixture.check_events(&ended, &[]);
        fixture.check_events(&format!("RESTORE k 0 {payload}"), &["0 new k", "0 restore k"]);
    }

    #[test]
    fn triggers_see_the_value_that_was_replaced() {
        let mut fixture = Fixture::new();
        let payload = {
            fixture.run("SET k new");
            dumped(&mut fixture, "k")
        };
        fixture.run("SET k old");
        let (classes, _) = fixture.keyspace.journal().listened();
        fixture.keyspace.journal_mut().listen(classes, true);
        fixture.run_within(&format!("RESTORE k 0 {payload} REPLACE"));
        let text = |value: &Option<Value>| match value {
            Some(Value::String(string)) => string.to_bytes().into_owned(),
            other => panic!("{other:?}"),
        };
        let events = fixture.keyspace.commit();
        let texts: Vec<_> = events
            .iter()
            .filter(|event| event.kind == events::RESTORE)
            .map(|event| [text(&event.before), text(&event.after)])
            .collect();
        assert_eq!(texts, [[b"old".to_vec(), b"new".to_vec()]]);
    }

    #[test]
    fn options_are_those_of_redis() {
        let mut fixture = Fixture::new();
        fixture.run("SET k v");
        let payload = dumped(&mut fixture, "k");
        for (options, expected) in [
            ("IDLETIME 1", "+OK"),
            ("IDLETIME 1 idletime 2", "+OK"),
            ("FREQ 255", "+OK"),
            ("FREQ 1 IDLETIME 1", "-ERR syntax error"),
            ("IDLETIME 1 FREQ 1", "-ERR syntax error"),
            ("IDLETIME", "-ERR syntax error"),
            ("IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
            ("FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("FREQ x", "-ERR value is not an integer or out of range"),
            ("what", "-ERR syntax error"),
        ] {
            fixture.check(&[(&format!("RESTORE k 0 {payload} REPLACE {options}"), expected)]);
        }
    }
}
