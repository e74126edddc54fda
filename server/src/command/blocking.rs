//! What commands that may wait have in common: BLPOP, XREAD and their relatives.
//!
//! Such a command looks for what it wants, and when there is nothing, gives [`Outcome::Block`]. The engine then runs it
//! again, as a transaction of its own, each time that one of its keys was written by others, until it gives a reply or
//! its time is over. Where nobody can wait, in MULTI and in procedures, [`Block::refused`] is the reply.
//!
//! [`Outcome::Block`]: super::Outcome::Block

use std::ops::Range;
use std::time::Duration;

use super::arguments::{at_least, flag};
use super::{Context, Error, Outcome, Result};
use crate::protocol::Reply;
use crate::state::{Arguments, Session};
use crate::types::{Kind, parse_float, parse_integer};

/// A command that waits until one of its keys is written.
#[derive(Debug)]
pub struct Block {
    /// The command that is run again. It may differ from what the client sent where that depends on the time.
    pub request: Arguments,
    /// Which of its arguments are the keys.
    pub keys: Range<usize>,
    /// The type that a key must have for the command to be run again.
    pub kind: Kind,
    /// Whether it is run again, too, when a key is gone or has another type; it then answers an error.
    pub wakes_when_gone: bool,
    /// For how long it waits; `None` is for ever.
    pub timeout: Option<Duration>,
    /// What is answered when that time is over.
    pub late: Reply,
    /// What is answered where nobody can wait.
    pub refused: Reply,
}

impl Block {
    /// A command that waits with the arguments that it was given, for keys of one type.
    #[must_use]
    pub fn new(args: &[&[u8]], keys: Range<usize>, kind: Kind, timeout: Option<Duration>) -> Self {
        let (request, late, refused) = (Arguments::new(args), Reply::NullArray, Reply::NullArray);
        Self { request, keys, kind, wakes_when_gone: false, timeout, late, refused }
    }
}

/// Which of its keys a command is to look at: all, or only the one that was written, when it is run again for that.
pub fn keys_to_try(session: &Session, keys: &[&[u8]]) -> Range<usize> {
    let woken_by = session.woken_by.as_ref();
    let written = woken_by.and_then(|written| keys.iter().position(|key| **key == **written));
    written.map_or(0..keys.len(), |index| index..index + 1)
}

/// A timeout in seconds, with a fraction; `None` is for ever.
pub fn timeout_in_seconds(argument: &[u8]) -> Result<Option<Duration>> {
    const NEGATIVE: Error = Error::text("ERR timeout is negative");
    const OUT_OF_RANGE: Error = Error::text("ERR timeout is out of range");
    let seconds = parse_float(argument).ok_or(Error::text("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(NEGATIVE);
    }
    // A part of a millisecond is a whole one, because 0 would be for ever.
    let timeout_ms = (seconds * 1000.0).ceil();
    if timeout_ms >= i64::MAX as f64 {
        return Err(OUT_OF_RANGE);
    }
    Ok((timeout_ms > 0.0).then(|| Duration::from_millis(timeout_ms as u64)))
}

/// A timeout in whole milliseconds; `None` is for ever.
pub fn timeout_in_ms(argument: &[u8]) -> Result<Option<Duration>> {
    let timeout = parse_integer(argument);
    let timeout_ms = timeout.ok_or(Error::text("ERR timeout is not an integer or out of range"))?;
    let timeout_ms = u64::try_from(timeout_ms).map_err(|_| Error::text("ERR timeout is negative"))?;
    Ok((timeout_ms > 0).then(|| Duration::from_millis(timeout_ms)))
}

/// A command of keys and, behind them, a timeout: its answer is what `pop` makes of the first key that has something; else
/// it waits for one that holds a value of that kind.
pub(super) fn pop_or_wait(
    ctx: &mut Context<'_>,
    args: &[&[u8]],
    kind: Kind,
    mut pop: impl FnMut(&mut Context<'_>, &[u8]) -> Result<Option<Reply>>,
) -> Result<Outcome> {
    let last = args.len() - 1;
    let (keys, timeout) = (&args[1..last], timeout_in_seconds(args[last])?);
    for key in &keys[keys_to_try(ctx.session, keys)] {
        if let Some(reply) = pop(ctx, key)? {
            return Ok(Outcome::Reply(reply));
        }
    }
    Ok(Outcome::Block(Box::new(Block::new(args, 1..last, kind, timeout))))
}

/// Takes so many elements from an end of a key's value; gives nothing if there is none.
type Pop<End> = fn(&mut Context<'_>, &[u8], End, usize) -> Result<Option<Reply>>;

/// The arguments of LMPOP and ZMPOP, and of their waiting forms behind a timeout: from an end of the first of these keys
/// that has elements, so many are taken.
struct MultiPop<'a, 'b, End> {
    keys: &'b [&'a [u8]],
    end: End,
    count: usize,
}

impl<'a, 'b, End: Copy> MultiPop<'a, 'b, End> {
    /// Reads `numkeys key [key ...] end [COUNT count]`.
    fn parse(args: &'b [&'a [u8]], end: fn(&[u8]) -> Result<End>) -> Result<Self> {
        let (number, rest) = args.split_first().ok_or(Error::SYNTAX)?;
        let number = at_least(1, number, "ERR numkeys should be greater than 0")?;
        let (keys, rest) = rest.split_at_checked(number).ok_or(Error::SYNTAX)?;
        let (end_name, options) = rest.split_first().ok_or(Error::SYNTAX)?;
        let end = end(end_name)?;
        let count = match options {
            [] => 1,
            [option, count, rest @ ..] if flag(option, "COUNT") => {
                let count = at_least(1, count, "ERR count should be greater than 0")?;
                if rest.is_empty() { count } else { return Err(Error::SYNTAX) }
            }
            _ => return Err(Error::SYNTAX),
        };
        Ok(Self { keys, end, count })
    }

    /// The name of the first key that has elements, and what `pop` makes of them.
    fn run(&self, ctx: &mut Context<'_>, pop: Pop<End>) -> Result<Option<Reply>> {
        for key in &self.keys[keys_to_try(ctx.session, self.keys)] {
            if let Some(popped) = pop(ctx, key, self.end, self.count)? {
                return Ok(Some(Reply::Array(vec![Reply::bytes(key), popped])));
            }
        }
        Ok(None)
    }
}

/// LMPOP and ZMPOP.
pub(super) fn multi_pop<End: Copy>(
    ctx: &mut Context<'_>,
    args: &[&[u8]],
    end: fn(&[u8]) -> Result<End>,
    pop: Pop<End>,
) -> Result {
    Ok(MultiPop::parse(&args[1..], end)?.run(ctx, pop)?.unwrap_or(Reply::NullArray))
}

/// BLMPOP and BZMPOP, of keys of one kind.
pub(super) fn multi_pop_or_wait<End: Copy>(
    ctx: &mut Context<'_>,
    args: &[&[u8]],
    kind: Kind,
    end: fn(&[u8]) -> Result<End>,
    pop: Pop<End>,
) -> Result<Outcome> {
    const FIRST_KEY: usize = 3;
    let request = MultiPop::parse(&args[2..], end)?;
    let timeout = timeout_in_seconds(args[1])?;
    let keys = FIRST_KEY..FIRST_KEY + request.keys.len();
    let block = || Outcome::Block(Box::new(Block::new(args, keys, kind, timeout)));
    Ok(request.run(ctx, pop)?.map_or_else(block, Outcome::Reply))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Key;

    #[test]
    fn timeouts_are_read_as_redis_does() {
        let out_of_range = || Err(Error::text("ERR timeout is out of range"));
        let wrong = || Err(Error::text("ERR timeout is not a float or out of range"));
        for (text, expected) in [
            ("0", Ok(None)),
            ("0.0", Ok(None)),
            ("1", Ok(Some(1000))),
            ("0.0001", Ok(Some(1))),
            ("1.0005", Ok(Some(1001))),
            ("0x10", Ok(Some(16_000))),
            ("-0.001", Err(Error::text("ERR timeout is negative"))),
            ("1e20", out_of_range()),
            ("inf", out_of_range()),
            ("nan", wrong()),
            ("x", wrong()),
            ("", wrong()),
        ] {
            let expected = expected.map(|timeout| timeout.map(Duration::from_millis));
            assert_eq!(timeout_in_seconds(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_command_that_was_woken_looks_at_the_written_key_alone() {
        let mut session = Session::new(1, None, None, 0);
        let keys: [&[u8]; 3] = [b"a", b"b", b"b"];
        assert_eq!(keys_to_try(&session, &keys), 0..3);
        session.woken_by = Some(Key::new(b"b"));
        assert_eq!(keys_to_try(&session, &keys), 1..2);
    }
}
