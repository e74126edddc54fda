//! OBJECT: how the value of a key is kept.

use super::{Command, Context, Error, Flags, Group, Result};
use crate::keyspace::Entry;
use crate::protocol::Reply;
use crate::types::{StringValue, Value};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[Command::container("object", SUBCOMMANDS).docs(
    Group::Generic,
    "2.2.3",
    "Depends on subcommand.",
    "Tells how the value of a key is kept.",
    "",
)];

const SUBCOMMANDS: &[Command] = &[
    Command::new("encoding", 3, encoding).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Generic,
        "2.2.3",
        "O(1)",
        "Returns in which form the value of a key is kept.",
        "key",
    ),
    Command::new("freq", 3, freq).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Generic,
        "4.0.0",
        "O(1)",
        "Would return how often a key is used, which is not counted.",
        "key",
    ),
    super::help::help(Group::Generic, "6.2.0"),
    Command::new("idletime", 3, idletime).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Generic,
        "2.2.3",
        "O(1)",
        "Returns for how many seconds a key has not been used.",
        "key",
    ),
    Command::new("refcount", 3, refcount).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Generic,
        "2.2.3",
        "O(1)",
        "Returns how many references there are to the value of a key.",
        "key",
    ),
];

/// Answers what is known of a key, or nothing without a key.
fn describe(ctx: &mut Context<'_>, args: &[&[u8]], describe: impl FnOnce(&Entry) -> Result) -> Result {
    ctx.keyspace.peek(ctx.session.database, args[2])?.map_or(Ok(Reply::Null), describe)
}

fn encoding(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    describe(ctx, args, |entry| Ok(Reply::text(entry.value.encoding())))
}

fn freq(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    describe(ctx, args, |_| {
        Err(Error::text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ))
    })
}

fn idletime(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let now_s = ctx.keyspace.now_ms() / 1000;
    describe(ctx, args, |entry| Ok(Reply::Integer(entry.idle_s(now_s) as i64)))
}

fn refcount(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    /// Redis keeps one object for each number below this, and tells `INT_MAX` for it; clients' tests look at that.
    const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
    describe(ctx, args, |entry| {
        Ok(Reply::Integer(match &entry.value {
            Value::String(StringValue::Integer(number)) if SHARED_INTEGERS.contains(number) => {
                i32::MAX.into()
            }
            _ => 1,
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn values_are_described() {
        let long = format!("set long {}", "x".repeat(45));
        Fixture::new().check(&[
            ("mset int 10000 short x shared 9999", "+OK"),
            (&long, "+OK"),
            ("object encoding int", "$int"),
            ("object encoding short", "$embstr"),
            ("object encoding long", "$raw"),
            ("object encoding none", "nil"),
            ("object refcount int", ":1"),
            ("object refcount shared", ":2147483647"),
            ("object idletime int", ":0"),
            ("object freq none", "nil"),
        ]);
    }
}
