//! Arithmetic on strings that are numbers.

use super::{Command, Context, Error, Flags, Group, Result, integer};
use crate::keyspace::{Edit, Keyspace, events};
use crate::protocol::Reply;
use crate::types::{LongDouble, StringValue};

/// The properties that these commands share.
const FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("incr", 2, incr).flags(FLAGS).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Adds one to an integer, which is 0 if the key does not exist.",
        "key",
    ),
    Command::new("decr", 2, decr).flags(FLAGS).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Subtracts one from an integer, which is 0 if the key does not exist.",
        "key",
    ),
    Command::new("incrby", 3, incrby).flags(FLAGS).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Adds to an integer, which is 0 if the key does not exist.",
        "key increment",
    ),
    Command::new("decrby", 3, decrby).flags(FLAGS).keys(1, 1, 1).docs(
        Group::String,
        "1.0.0",
        "O(1)",
        "Subtracts from an integer, which is 0 if the key does not exist.",
        "key decrement",
    ),
    Command::new("incrbyfloat", 3, incrbyfloat).flags(FLAGS).keys(1, 1, 1).docs(
        Group::String,
        "2.6.0",
        "O(1)",
        "Adds to a floating-point number, which is 0 if the key does not exist.",
        "key increment",
    ),
];

fn incr(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(ctx, args[1], 1)
}

fn decr(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(ctx, args[1], -1)
}

fn incrby(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(ctx, args[1], integer(args[2])?)
}

fn decrby(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let negated = integer(args[2])?.checked_neg();
    add(ctx, args[1], negated.ok_or(Error::text("ERR decrement would overflow"))?)
}

fn add(ctx: &mut Context<'_>, key: &[u8], increment: i64) -> Result {
    add_integer(ctx.keyspace, ctx.session.database, key, increment).map(Reply::Integer)
}

/// Adds to the integer at a key, which is 0 if there is none, and gives the sum.
pub fn add_integer(keyspace: &mut Keyspace, database: u8, key: &[u8], increment: i64) -> Result<i64> {
    let zero = StringValue::from_integer(0);
    let edit = |string: &mut StringValue| {
        let sum = string.as_integer().ok_or(Error::NOT_AN_INTEGER);
        let sum = sum.and_then(|before| before.checked_add(increment).ok_or(Error::OVERFLOW));
        let edit = sum.as_ref().map_or(Edit::Unchanged, |sum| {
            *string = StringValue::from_integer(*sum);
            Edit::Whole
        });
        (sum, edit)
    };
    keyspace.edit_or_create(database, key, events::INCRBY, zero, edit)?
}

fn incrbyfloat(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let zero = StringValue::from_integer(0);
    let edit = |string: &mut StringValue| {
        // The value first, and then the increment: both have the same error, so it cannot be told.
        let sum = LongDouble::parse(&string.to_bytes()).zip(LongDouble::parse(args[2]));
        let sum = sum.ok_or(Error::NOT_A_FLOAT);
        let sum = sum.and_then(|(before, increment)| before.checked_add(increment).ok_or(Error::NOT_FINITE));
        let edit = sum.as_ref().map_or(Edit::Unchanged, |sum| {
            // Not an integer even if it looks like one, as in Redis.
            *string = StringValue::verbatim(sum.format().as_bytes());
            Edit::Whole
        });
        (sum.map(|_| string.clone()), edit)
    };
    let sum = ctx.keyspace.edit_or_create(ctx.session.database, args[1], events::INCRBYFLOAT, zero, edit)?;
    Ok(sum?.into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn integers_are_added_within_their_range() {
        Fixture::new().check(&[
            ("incr k", ":1"),
            ("incrby k 41", ":42"),
            ("decr k", ":41"),
            ("decrby k -9223372036854775808", "-ERR decrement would overflow"),
            ("decrby k -9223372036854775766", ":9223372036854775807"),
            ("incr k", "-ERR increment or decrement would overflow"),
            ("get k", "$9223372036854775807"),
            ("incrby k x", "-ERR value is not an integer or out of range"),
            ("set k 1x", "+OK"),
            ("incr k", "-ERR value is not an integer or out of range"),
            ("incrby new x", "-ERR value is not an integer or out of range"),
            ("exists new", ":0"),
        ]);
    }

    #[test]
    fn floats_are_added_with_the_digits_of_redis() {
        Fixture::new().check(&[
            ("incrbyfloat k 0.1", "$0.1"),
            ("incrbyfloat k 0.2", "$0.3"),
            ("object encoding k", "$embstr"),
            ("set k 3.0e3", "+OK"),
            ("incrbyfloat k 200", "$3200"),
            ("incrbyfloat k inf", "-ERR increment would produce NaN or Infinity"),
            ("incrbyfloat k nan", "-ERR value is not a valid float"),
            ("incr k", ":3201"),
        ]);
    }

    #[test]
    fn a_refused_change_is_none() {
        let mut fixture = Fixture::new();
        fixture.check(&[("set k x", "+OK")]);
        fixture.keyspace.watch(1, 0, b"k").expect("in memory");
        fixture.check(&[("incr k", "-ERR value is not an integer or out of range")]);
        assert!(!fixture.keyspace.is_dirty(1));
        fixture.check(&[("append k y", ":2")]);
        assert!(fixture.keyspace.is_dirty(1));
    }
}
