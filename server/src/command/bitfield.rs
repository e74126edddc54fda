//! BITFIELD: integers of any width at any place in a string.

use std::ops::Range;

use super::bits::offset;
use super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::keyspace::{Edit, events};
use crate::protocol::Reply;
use crate::types::StringValue;
use crate::types::bits::{FieldType, Overflow, get_field, increment_field, set_field};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("bitfield", -2, bitfield).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::Bitmap,
        "3.2.0",
        "O(1) for each operation",
        "Reads, sets and increments integers of any width within a string.",
        "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] \
         <SET encoding offset value | INCRBY encoding offset increment> ...]",
    ),
    Command::new("bitfield_ro", -2, bitfield_ro).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Bitmap,
        "6.0.0",
        "O(1) for each operation",
        "Reads integers of any width within a string.",
        "key [GET encoding offset [GET encoding offset ...]]",
    ),
];

/// What to do with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

/// An operation on one field.
#[derive(Clone, Copy, Debug)]
struct Operation {
    action: Action,
    field: FieldType,
    /// In bits.
    offset: u64,
}

impl Operation {
    /// The bytes that the field lies in.
    fn bytes(&self) -> Range<u64> {
        self.offset / 8..(self.offset + self.field.bits()).div_ceil(8)
    }

    fn read(&self, string: &StringValue) -> i64 {
        get_field(string, self.field, self.offset)
    }

    /// Whether it writes nothing, because its number does not fit and it is not to be made fit.
    fn fails(&self, string: &StringValue) -> bool {
        let may_fail =
            matches!(self.action, Action::Set(_, Overflow::Fail) | Action::Increment(_, Overflow::Fail));
        may_fail && self.run(&mut string.clone()).0.is_none()
    }

    /// Carries it out and tells whether that changed the field; the number is `None` where it does not fit.
    fn run(&self, string: &mut StringValue) -> (Option<i64>, bool) {
        let before = self.read(string);
        let result = match self.action {
            Action::Get => Some(before),
            Action::Set(number, overflow) => set_field(string, self.field, self.offset, number, overflow),
            Action::Increment(number, overflow) => {
                increment_field(string, self.field, self.offset, number, overflow)
            }
        };
        (result, self.read(string) != before)
    }
}

/// Reads the operations; `OVERFLOW` concerns those that follow it.
fn parse(ctx: &Context<'_>, mut args: &[&[u8]]) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    while !args.is_empty() {
        args = match args {
            [word, kind, rest @ ..] if flag(word, "OVERFLOW") => {
                overflow = parse_overflow(kind)?;
                rest
            }
            [word, field, place, rest @ ..] if flag(word, "GET") => {
                operations.push(parse_field(ctx, field, place, Action::Get)?);
                rest
            }
            [word, field, place, number, rest @ ..] if flag(word, "SET") || flag(word, "INCRBY") => {
                let mut operation = parse_field(ctx, field, place, Action::Get)?;
                let action = if flag(word, "SET") { Action::Set } else { Action::Increment };
                operation.action = action(integer(number)?, overflow);
                operations.push(operation);
                rest
            }
            _ => return Err(Error::SYNTAX),
        };
    }
    Ok(operations)
}

fn parse_overflow(word: &[u8]) -> Result<Overflow> {
    match word {
        _ if flag(word, "WRAP") => Ok(Overflow::Wrap),
        _ if flag(word, "SAT") => Ok(Overflow::Saturate),
        _ if flag(word, "FAIL") => Ok(Overflow::Fail),
        _ => Err(Error::text("ERR Invalid OVERFLOW type specified")),
    }
}

/// Reads the type and place of a field; a place that starts with `#` counts fields, not bits.
fn parse_field(ctx: &Context<'_>, field: &[u8], place: &[u8], action: Action) -> Result<Operation> {
    let field = FieldType::parse(field).ok_or(Error::text(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    ))?;
    let offset = match place {
        [b'#', index @ ..] => offset(ctx, index, field.bits())?,
        place => offset(ctx, place, 1)?,
    };
    Ok(Operation { action, field, offset })
}

fn bitfield(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let operations = parse(ctx, &args[2..])?;
    let written = operations.iter().filter(|operation| operation.action != Action::Get);
    let written =
        written.map(Operation::bytes).reduce(|one, other| one.start.min(other.start)..one.end.max(other.end));
    let Some(written) = written else { return read_all(ctx, args[1], &operations) };
    // As in Redis, a string that grows although no number fits says nothing of it.
    let nothing = StringValue::raw(b"");
    let before = ctx.keyspace.peek_string(ctx.session.database, args[1])?.unwrap_or(&nothing);
    let mut writes = operations.iter().filter(|operation| operation.action != Action::Get);
    let event = if writes.all(|write| write.fails(before)) { events::SILENT } else { events::SETBIT };
    let edit = |string: &mut StringValue| {
        let mut changed = (string.len() as u64) < written.end;
        // As in Redis, the string grows even if no number fits.
        string.grow_to(written.end as usize);
        let run = |operation: &Operation| {
            let (result, has_changed) = operation.run(string);
            changed |= has_changed;
            Reply::from(result)
        };
        let replies = operations.iter().map(run).collect();
        (replies, if changed { Edit::Bytes(written) } else { Edit::Unchanged })
    };
    let empty = StringValue::raw(b"");
    let replies = ctx.keyspace.edit_or_create(ctx.session.database, args[1], event, empty, edit)?;
    Ok(Reply::Array(replies))
}

fn bitfield_ro(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let operations = parse(ctx, &args[2..])?;
    if operations.iter().any(|operation| operation.action != Action::Get) {
        return Err(Error::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_all(ctx, args[1], &operations)
}

fn read_all(ctx: &mut Context<'_>, key: &[u8], operations: &[Operation]) -> Result {
    let string = ctx.keyspace.get_string(ctx.session.database, key)?;
    let number = |operation: &Operation| string.map_or(0, |string| operation.read(string)).into();
    Ok(Reply::Array(operations.iter().map(number).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn fields_are_set_incremented_and_read() {
        Fixture::new().check(&[
            ("bitfield k set u8 0 255 get i8 0 incrby u4 #1 2", "[:0 :-1 :1]"),
            ("bitfield_ro k get u8 0 get i64 #1", "[:241 :0]"),
            ("bitfield k overflow sat incrby u8 0 100 overflow fail incrby u8 0 1", "[:255 nil]"),
            ("bitfield k", "[]"),
            ("bitfield none overflow fail set u8 8 256", "[nil]"),
            ("strlen none", ":2"),
        ]);
    }

    #[test]
    fn a_string_that_only_grows_raises_no_event_of_its_bits() {
        let mut fixture = Fixture::new();
        for (request, events) in [
            ("bitfield k overflow fail set u8 0 256", &["0 new k"][..]),
            ("bitfield k overflow fail set u8 0 256 incrby i8 8 128", &[]),
            ("bitfield k overflow fail set u8 0 256 incrby u8 0 7", &["0 setbit k"]),
            ("bitfield k overflow fail incrby u8 0 249", &[]),
            ("bitfield k overflow fail incrby u8 0 249 overflow wrap set u8 32 0", &["0 setbit k"]),
        ] {
            fixture.check_events(request, events);
        }
        fixture.check(&[("strlen k", ":5"), ("bitfield_ro k get u8 0", "[:7]")]);
    }

    #[test]
    fn wrong_operations_are_refused_before_any_is_run() {
        const BAD_TYPE: &str = "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        Fixture::new().check(&[
            ("bitfield k set u8 0 1 set u64 0 1", BAD_TYPE),
            ("bitfield k set u8 0 1 get u8 #-1", "-ERR bit offset is not an integer or out of range"),
            ("bitfield k set u8 #9223372036854775807 1", "-ERR bit offset is not an integer or out of range"),
            ("bitfield k set u8 0 x", "-ERR value is not an integer or out of range"),
            ("bitfield k set u8 0 1 get", "-ERR syntax error"),
            ("bitfield k overflow x", "-ERR Invalid OVERFLOW type specified"),
            ("bitfield_ro k set u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
            ("exists k", ":0"),
        ]);
    }
}
