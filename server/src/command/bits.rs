//! Bitmap commands: strings as arrays of bits. `bitfield` has those that see integers in them.

use super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::keyspace::{Content, Edit, Expiry, events};
use crate::protocol::Reply;
use crate::types::{StringValue, Value, bits};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("setbit", 4, setbit).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::Bitmap,
        "2.2.0",
        "O(1)",
        "Sets or clears a bit of a string, which grows as needed, and returns what the bit was.",
        "key offset value",
    ),
    Command::new("getbit", 3, getbit).flags(&[Flags::READONLY, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Bitmap,
        "2.2.0",
        "O(1)",
        "Returns a bit of a string.",
        "key offset",
    ),
    Command::new("bitcount", -2, bitcount).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Bitmap,
        "2.6.0",
        "O(N) where N is the length of the part",
        "Counts the bits that are set in a string or a part of it.",
        "key [start end [BYTE | BIT]]",
    ),
    Command::new("bitpos", -3, bitpos).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Bitmap,
        "2.8.7",
        "O(N) where N is the length of the part",
        "Finds the first bit that is set, or clear, in a string or a part of it.",
        "key bit [start [end [BYTE | BIT]]]",
    ),
    Command::new("bitop", -4, bitop).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(2, -1, 1).docs(
        Group::Bitmap,
        "2.6.0",
        "O(N) where N is the length of the longest source",
        "Combines strings bit by bit and stores the result.",
        "<AND | OR | XOR | NOT> destkey key [key ...]",
    ),
];

/// An offset in bits, given in units of `width` bits; it must lie within `proto-max-bulk-len`.
pub(super) fn offset(ctx: &Context<'_>, argument: &[u8], width: u64) -> Result<u64> {
    const BAD_OFFSET: Error = Error::text("ERR bit offset is not an integer or out of range");
    let offset = integer(argument).ok().and_then(|offset| u64::try_from(offset).ok());
    let offset = offset.and_then(|offset| offset.checked_mul(width));
    offset.filter(|offset| offset / 8 < ctx.server.options.proto_max_bulk_len).ok_or(BAD_OFFSET)
}

fn setbit(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let offset = offset(ctx, args[2], 1)?;
    let bit = match integer(args[3]) {
        Ok(0) => false,
        Ok(1) => true,
        _ => return Err(Error::text("ERR bit is not an integer or out of range")),
    };
    let empty = StringValue::raw(b"");
    let edit = |string: &mut StringValue| {
        let byte = offset / 8;
        let grown = string.len() as u64 <= byte;
        let before = bits::set_bit(string, offset, bit);
        let changed = grown || before != bit;
        (before, if changed { Edit::Bytes(byte..byte + 1) } else { Edit::Unchanged })
    };
    let before = ctx.keyspace.edit_or_create(ctx.session.database, args[1], events::SETBIT, empty, edit)?;
    Ok(Reply::flag(before))
}

fn getbit(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let offset = offset(ctx, args[2], 1)?;
    let string = ctx.keyspace.get_string(ctx.session.database, args[1])?;
    Ok(Reply::flag(string.is_some_and(|string| bits::get_bit(string, offset))))
}

/// Reads `BYTE` or `BIT`; what is not there means bytes.
fn unit(argument: Option<&&[u8]>) -> Result<bits::Unit> {
    match argument {
        None => Ok(bits::Unit::Byte),
        Some(word) if flag(word, "BYTE") => Ok(bits::Unit::Byte),
        Some(word) if flag(word, "BIT") => Ok(bits::Unit::Bit),
        Some(_) => Err(Error::SYNTAX),
    }
}

fn bitcount(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    // As in Redis, wrong arguments do not matter to a key that does not exist.
    let Some(string) = ctx.keyspace.get_string(ctx.session.database, args[1])? else {
        return Ok(Reply::Integer(0));
    };
    let range = match args.len() {
        2 => None,
        4 | 5 => {
            let (start, end) = (integer(args[2])?, integer(args[3])?);
            // As in Redis, nor does the unit matter to a part that ends before it starts, both counted from the end.
            if end < start && start < 0 {
                return Ok(Reply::Integer(0));
            }
            Some((start, end, unit(args.get(4))?))
        }
        _ => return Err(Error::SYNTAX),
    };
    Ok(Reply::Integer(bits::count_bits(string, range) as i64))
}

fn bitpos(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let bit = match integer(args[2])? {
        0 => false,
        1 => true,
        _ => return Err(Error::text("ERR The bit argument must be 1 or 0.")),
    };
    // As in Redis, a key that does not exist is an endless row of zeroes, and wrong arguments do not matter to it.
    let Some(string) = ctx.keyspace.get_string(ctx.session.database, args[1])? else {
        return Ok(Reply::Integer(if bit { -1 } else { 0 }));
    };
    if args.len() > 6 {
        return Err(Error::SYNTAX);
    }
    let start = args.get(3).map_or(Ok(0), |start| integer(start))?;
    let unit = unit(args.get(5))?;
    let end = args.get(4).map(|end| integer(end)).transpose()?;
    let found = bits::find_bit(string, bit, start, end, unit);
    Ok(Reply::Integer(found.map_or(-1, |offset| offset as i64)))
}

fn bitop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let database = ctx.session.database;
    let operation = match args[1] {
        word if flag(word, "AND") => bits::Operation::And,
        word if flag(word, "OR") => bits::Operation::Or,
        word if flag(word, "XOR") => bits::Operation::Xor,
        word if flag(word, "NOT") => bits::Operation::Not,
        _ => return Err(Error::SYNTAX),
    };
    let (target, keys) = (args[2], &args[3..]);
    if operation == bits::Operation::Not && keys.len() != 1 {
        return Err(Error::text("ERR BITOP NOT must be called with a single source key."));
    }
    let mut sources = Vec::with_capacity(keys.len());
    for key in keys {
        let string = ctx.keyspace.get_string(database, key)?;
        sources.push(string.cloned().unwrap_or_else(|| StringValue::raw(b"")));
    }
    let result = bits::combine(operation, &sources.iter().collect::<Vec<_>>());
    let length = result.len();
    if length == 0 {
        ctx.keyspace.delete(database, target, events::DEL)?;
    } else {
        let content = Content::Value(Value::String(result));
        ctx.keyspace.set(database, target, content, Expiry::Clear, events::SET)?;
    }
    Ok(length.into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn bits_are_set_and_read() {
        Fixture::new().check(&[
            ("setbit k 7 1", ":0"),
            ("setbit k 7 1", ":1"),
            ("getbit k 7", ":1"),
            ("getbit k 100", ":0"),
            ("getbit none 0", ":0"),
            ("setbit k 23 0", ":0"),
            ("strlen k", ":3"),
            ("setbit k -1 1", "-ERR bit offset is not an integer or out of range"),
            ("setbit k 4294967296 1", "-ERR bit offset is not an integer or out of range"),
            ("setbit k 0 2", "-ERR bit is not an integer or out of range"),
        ]);
    }

    #[test]
    fn bits_are_counted_and_found() {
        Fixture::new().check(&[
            ("set k foobar", "+OK"),
            ("bitcount k", ":26"),
            ("bitcount k 1 1", ":6"),
            ("bitcount k 5 30 bit", ":17"),
            ("bitcount k 1", "-ERR syntax error"),
            ("bitcount k 1 2 x", "-ERR syntax error"),
            ("bitcount k 2 1 x", "-ERR syntax error"),
            ("bitcount k -1 -2 x", ":0"),
            ("bitcount none 1", ":0"),
            ("bitpos k 1", ":1"),
            ("bitpos k 0 0 0 bit", ":0"),
            ("bitpos k 1 0 0 bit", ":-1"),
            ("bitpos k 2", "-ERR The bit argument must be 1 or 0."),
            ("bitpos k 1 x", "-ERR value is not an integer or out of range"),
            ("bitpos k 1 0 -1 bit x", "-ERR syntax error"),
            ("bitpos none 0 x", ":0"),
            ("bitpos none 1", ":-1"),
        ]);
    }

    #[test]
    fn strings_are_combined() {
        Fixture::new().check(&[
            ("mset a abc b ab", "+OK"),
            ("bitop and d a b", ":3"),
            ("get d", "$ab\\x00"),
            ("bitop xor d a a", ":3"),
            ("bitop not d a b", "-ERR BITOP NOT must be called with a single source key."),
            ("bitop nand d a", "-ERR syntax error"),
            ("bitop or d none none", ":0"),
            ("exists d", ":0"),
        ]);
    }
}
