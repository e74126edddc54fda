//! Commands for keys of any type: existence, type, names, copies.
//!
//! `expiry` has those about the time to live, `object` those about how a value is kept, `scan` those that walk.

use super::blocking::{Block, timeout_in_ms};
use super::connection::database;
use super::{Command, Context, Error, Flags, Group, Outcome, Result, flag, integer};
use crate::keyspace::events;
use crate::protocol::Reply;
use crate::types::Kind;

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("del", -2, del).flags(&[Flags::WRITE]).keys(1, -1, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(N) where N is the number of keys",
        "Deletes keys.",
        "key [key ...]",
    ),
    Command::new("unlink", -2, del).flags(&[Flags::WRITE, Flags::FAST]).keys(1, -1, 1).docs(
        Group::Generic,
        "4.0.0",
        "O(N) where N is the number of keys",
        "Deletes keys; here the same as DEL.",
        "key [key ...]",
    ),
    Command::new("exists", -2, exists).flags(&[Flags::READONLY, Flags::FAST]).keys(1, -1, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(N) where N is the number of keys",
        "Counts how many of the named keys exist.",
        "key [key ...]",
    ),
    Command::new("touch", -2, touch).flags(&[Flags::READONLY, Flags::FAST]).keys(1, -1, 1).docs(
        Group::Generic,
        "3.2.1",
        "O(N) where N is the number of keys",
        "Counts how many of the named keys exist, and notes that they were used.",
        "key [key ...]",
    ),
    Command::new("type", 2, type_of).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Returns the type of the value of a key.",
        "key",
    ),
    Command::new("rename", 3, rename).flags(&[Flags::WRITE]).keys(1, 2, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Gives a key another name, in place of any key of that name.",
        "key newkey",
    ),
    Command::new("renamenx", 3, renamenx).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 2, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Gives a key another name if there is no key of that name.",
        "key newkey",
    ),
    Command::new("copy", -3, copy).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 2, 1).docs(
        Group::Generic,
        "6.2.0",
        "O(1), because copies share their memory until one is changed",
        "Copies the value and the time to live of a key to another key.",
        "source destination [DB destination-db] [REPLACE]",
    ),
    Command::new("move", 3, move_to).flags(&[Flags::WRITE, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Moves a key to another database if there is no key of that name.",
        "key db",
    ),
    Command::new("randomkey", 1, randomkey).flags(&[Flags::READONLY]).docs(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Returns the name of a random key.",
        "",
    ),
    Command::outcome("wait", 3, wait).flags(&[Flags::NOSCRIPT]).docs(
        Group::Generic,
        "3.0.0",
        "O(1)",
        "Returns how many replicas have this connection's writes: none, because there are no replicas. Waits for those \
         that are asked for until the time is over.",
        "numreplicas timeout",
    ),
];

fn del(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    count(args, |key| Ok(ctx.keyspace.delete(ctx.session.database, key, events::DEL)?))
}

fn exists(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    count(args, |key| Ok(ctx.keyspace.exists(ctx.session.database, key)?))
}

fn touch(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    count(args, |key| Ok(ctx.keyspace.get(ctx.session.database, key)?.is_some()))
}

/// How many of the keys have a property.
fn count(args: &[&[u8]], mut has: impl FnMut(&[u8]) -> Result<bool>) -> Result {
    let mut found = 0;
    for key in &args[1..] {
        found += i64::from(has(key)?);
    }
    Ok(Reply::Integer(found))
}

fn type_of(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let entry = ctx.keyspace.inspect(ctx.session.database, args[1])?;
    Ok(Reply::simple(entry.map_or("none", |entry| entry.value.kind().name())))
}

fn rename(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    rename_key(ctx, args[1], args[2])?;
    Ok(Reply::OK)
}

fn renamenx(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let database = ctx.session.database;
    if ctx.keyspace.peek(database, args[1])?.is_none() {
        return Err(Error::NO_SUCH_KEY);
    }
    if ctx.keyspace.peek(database, args[2])?.is_some() {
        return Ok(Reply::Integer(0));
    }
    rename_key(ctx, args[1], args[2])?;
    Ok(Reply::Integer(1))
}

/// Renames a key that must exist; its own name is no change.
fn rename_key(ctx: &mut Context<'_>, old: &[u8], new: &[u8]) -> Result<()> {
    let database = ctx.session.database;
    let exists = if old == new {
        ctx.keyspace.peek(database, old)?.is_some()
    } else {
        let (left, arrived) = (events::RENAME_FROM, events::RENAME_TO);
        ctx.keyspace.move_key((database, old), (database, new), left, arrived)?
    };
    if exists { Ok(()) } else { Err(Error::NO_SUCH_KEY) }
}

/// What is said of a copy or move of a key to itself.
const SAME_OBJECT: Error = Error::text("ERR source and destination objects are the same");

fn copy(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut target = (ctx.session.database, args[2]);
    let mut replace = false;
    let mut options = &args[3..];
    while let [option, rest @ ..] = options {
        options = match rest {
            _ if flag(option, "REPLACE") => {
                replace = true;
                rest
            }
            [number, rest @ ..] if flag(option, "DB") => {
                target.0 = database(ctx, integer(number)?)?;
                rest
            }
            _ => return Err(Error::SYNTAX),
        };
    }
    let source = (ctx.session.database, args[1]);
    if source == target {
        return Err(SAME_OBJECT);
    }
    if ctx.keyspace.get(source.0, source.1)?.is_none() {
        return Ok(Reply::Integer(0));
    }
    if !replace && ctx.keyspace.peek(target.0, target.1)?.is_some() {
        return Ok(Reply::Integer(0));
    }
    Ok(Reply::flag(ctx.keyspace.copy_key(source, target, events::COPY_TO)?))
}

fn move_to(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let source = (ctx.session.database, args[1]);
    let target = (database(ctx, integer(args[2])?)?, args[1]);
    if source == target {
        return Err(SAME_OBJECT);
    }
    if ctx.keyspace.peek(target.0, target.1)?.is_some() {
        return Ok(Reply::Integer(0));
    }
    let (left, arrived) = (events::MOVE_FROM, events::MOVE_TO);
    Ok(Reply::flag(ctx.keyspace.move_key(source, target, left, arrived)?))
}

fn randomkey(ctx: &mut Context<'_>, _args: &[&[u8]]) -> Result {
    let key = ctx.keyspace.random_key(ctx.session.database)?;
    Ok(key.map_or(Reply::Null, |key| Reply::bytes(&key)))
}

fn wait(_ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let (wanted, timeout) = (integer(args[1])?, timeout_in_ms(args[2])?);
    let replicas = Reply::Integer(0);
    if wanted <= 0 {
        return Ok(Outcome::Reply(replicas));
    }
    // No key ends its wait.
    let block = Block::new(args, 0..0, Kind::String, timeout);
    Ok(Outcome::Block(Box::new(Block { late: replicas.clone(), refused: replicas, ..block })))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn keys_are_counted_and_deleted() {
        Fixture::new().check(&[
            ("mset a 1 b 2", "+OK"),
            ("exists a a c", ":2"),
            ("touch a b c", ":2"),
            ("type a", "+string"),
            ("type c", "+none"),
            ("del a a c", ":1"),
            ("unlink b", ":1"),
            ("randomkey", "nil"),
        ]);
    }

    #[test]
    fn renaming_takes_the_time_to_live_along() {
        Fixture::new().check(&[
            ("rename a b", "-ERR no such key"),
            ("renamenx a b", "-ERR no such key"),
            ("set a 1 ex 100", "+OK"),
            ("set b 2", "+OK"),
            ("renamenx c b", "-ERR no such key"),
            ("renamenx a b", ":0"),
            ("renamenx a a", ":0"),
            ("rename a a", "+OK"),
            ("rename a b", "+OK"),
            ("ttl b", ":100"),
            ("mget a b", "[nil $1]"),
            ("renamenx b c", ":1"),
        ]);
    }

    #[test]
    fn copies_and_moves_spare_what_is_there() {
        Fixture::new().check(&[
            ("copy a b", ":0"),
            ("set a 1 ex 100", "+OK"),
            ("copy a b", ":1"),
            ("ttl b", ":100"),
            ("set b 2", "+OK"),
            ("copy a b", ":0"),
            ("copy a b replace", ":1"),
            ("get b", "$1"),
            ("copy a a", "-ERR source and destination objects are the same"),
            ("copy a a db 1", ":1"),
            ("copy a b db", "-ERR syntax error"),
            ("copy a b db 16", "-ERR DB index is out of range"),
            (
                "copy a b db 2147483648",
                "-ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
            ("move a 1", ":0"),
            ("move b 1", ":1"),
            ("move b 1", ":0"),
            ("move a 0", "-ERR source and destination objects are the same"),
            ("exists b", ":0"),
        ]);
    }

    #[test]
    fn a_moved_key_raises_its_events_in_the_order_of_redis() {
        let mut fixture = Fixture::new();
        fixture.check(&[("mset a 1 b 2", "+OK"), ("setex c 100 3", "+OK")]);
        fixture.check_events("rename a b", &["0 new b", "0 rename_from a", "0 rename_to b"]);
        fixture.check_events("move b 1", &["1 new b", "0 move_from b", "1 move_to b"]);
        fixture.check_events("copy c d", &["0 new d", "0 copy_to d"]);
        fixture.check_events("copy c d replace", &["0 new d", "0 copy_to d"]);
        fixture.check_events("set c 1 px 5", &["0 set c", "0 expire c"]);
        fixture.check_events("expire c -1", &["0 del c"]);
        fixture.check_events("get c", &["0 keymiss c"]);
        fixture.check_events("append e x", &["0 new e", "0 append e"]);
    }
}
