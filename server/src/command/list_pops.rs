//! Commands that take elements out of lists, and those of them that wait until there is one.

use std::time::Duration;

use super::arguments::at_least;
use super::blocking::{Block, multi_pop, multi_pop_or_wait, pop_or_wait, timeout_in_seconds};
use super::{Command, Context, Error, Flags, Group, Outcome, Result, flag};
use crate::keyspace::{EventKind, events};
use crate::protocol::{Reply, Shape};
use crate::types::{Collection, End, Kind, ListValue, Recorder};

const POP: &[Flags] = &[Flags::WRITE, Flags::FAST];
const MOVE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM];
const BLOCKING_POP: &[Flags] = &[Flags::WRITE, Flags::NOSCRIPT, Flags::BLOCKING];
const BLOCKING_MOVE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::NOSCRIPT, Flags::BLOCKING];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("lpop", -2, lpop).flags(POP).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(N) where N is the number of elements returned",
        "Removes the first elements of a list and returns them.",
        "key [count]",
    ),
    Command::new("rpop", -2, rpop).flags(POP).keys(1, 1, 1).docs(
        Group::List,
        "1.0.0",
        "O(N) where N is the number of elements returned",
        "Removes the last elements of a list and returns them.",
        "key [count]",
    ),
    Command::new("lmpop", -4, lmpop).flags(&[Flags::WRITE]).counted_keys(1).docs(
        Group::List,
        "7.0.0",
        "O(N + M) where N is the number of keys and M the number of elements returned",
        "Removes elements from the first list that there is, and returns them.",
        "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    ),
    Command::new("lmove", 5, lmove).flags(MOVE).keys(1, 2, 1).docs(
        Group::List,
        "6.2.0",
        "O(1)",
        "Moves an element from an end of a list to an end of another, and returns it.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    ),
    Command::new("rpoplpush", 3, rpoplpush).flags(MOVE).keys(1, 2, 1).docs(
        Group::List,
        "1.2.0",
        "O(1)",
        "Moves the last element of a list to the start of another, and returns it.",
        "source destination",
    ),
    Command::outcome("blpop", -3, blpop).flags(BLOCKING_POP).keys(1, -2, 1).docs(
        Group::List,
        "2.0.0",
        "O(N) where N is the number of keys",
        "Removes the first element of the first list that there is, or waits for one.",
        "key [key ...] timeout",
    ),
    Command::outcome("brpop", -3, brpop).flags(BLOCKING_POP).keys(1, -2, 1).docs(
        Group::List,
        "2.0.0",
        "O(N) where N is the number of keys",
        "Removes the last element of the first list that there is, or waits for one.",
        "key [key ...] timeout",
    ),
    Command::outcome("blmpop", -5, blmpop).flags(&[Flags::WRITE, Flags::BLOCKING]).counted_keys(2).docs(
        Group::List,
        "7.0.0",
        "O(N + M) where N is the number of keys and M the number of elements returned",
        "Removes elements from the first list that there is, or waits for one.",
        "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    ),
    Command::outcome("blmove", 6, blmove).flags(BLOCKING_MOVE).keys(1, 2, 1).docs(
        Group::List,
        "6.2.0",
        "O(1)",
        "Moves an element from an end of a list to an end of another, or waits for one.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
    ),
    Command::outcome("brpoplpush", 4, brpoplpush).flags(BLOCKING_MOVE).keys(1, 2, 1).docs(
        Group::List,
        "2.2.0",
        "O(1)",
        "Moves the last element of a list to the start of another, or waits for one.",
        "source destination timeout",
    ),
];

/// The end that an argument names.
fn end(argument: &[u8]) -> Result<End> {
    match argument {
        name if flag(name, "LEFT") => Ok(End::Left),
        name if flag(name, "RIGHT") => Ok(End::Right),
        _ => Err(Error::SYNTAX),
    }
}

fn pop_event(end: End) -> EventKind {
    if end == End::Left { events::LPOP } else { events::RPOP }
}

/// Takes one element out; `None` if there is no list.
fn pop(ctx: &mut Context<'_>, key: &[u8], end: End) -> Result<Option<Reply>> {
    let pop = |list: &mut ListValue, recorder: &mut dyn Recorder| list.pop(end, recorder);
    let popped = ctx.keyspace.update(ctx.session.database, key, pop_event(end), pop)?;
    Ok(popped.flatten().map(Reply::from))
}

/// Takes some elements out, in the order of popping; `None` if there is no list.
fn pop_some(ctx: &mut Context<'_>, key: &[u8], end: End, count: usize) -> Result<Option<Reply>> {
    let pop = |list: &mut ListValue, recorder: &mut dyn Recorder| {
        let count = count.min(list.len());
        let start = if end == End::Left { 0 } else { list.len() - count };
        let reply = match end {
            End::Left => Reply::Items(Shape::Array, list.range(0, count)),
            End::Right => Reply::list(list.iter_back().take(count)),
        };
        list.remove(start, count, recorder);
        reply
    };
    Ok(ctx.keyspace.update(ctx.session.database, key, pop_event(end), pop)?)
}

fn lpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop_command(ctx, args, End::Left, "lpop")
}

fn rpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop_command(ctx, args, End::Right, "rpop")
}

fn pop_command(ctx: &mut Context<'_>, args: &[&[u8]], end: End, name: &str) -> Result {
    match args {
        [_, key] => Ok(pop(ctx, key, end)?.unwrap_or(Reply::Null)),
        [_, key, count] => {
            let count = at_least(0, count, "ERR value is out of range, must be positive")?;
            Ok(pop_some(ctx, key, end, count)?.unwrap_or(Reply::NullArray))
        }
        _ => Err(Error::wrong_arity(name)),
    }
}

fn lmpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    multi_pop(ctx, args, end, pop_some)
}

fn blmpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    multi_pop_or_wait(ctx, args, Kind::List, end, pop_some)
}

fn wait(block: Block) -> Outcome {
    Outcome::Block(Box::new(block))
}

fn blpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    pop_end_or_wait(ctx, args, End::Left)
}

fn brpop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    pop_end_or_wait(ctx, args, End::Right)
}

fn pop_end_or_wait(ctx: &mut Context<'_>, args: &[&[u8]], end: End) -> Result<Outcome> {
    pop_or_wait(ctx, args, Kind::List, |ctx, key| {
        Ok(pop(ctx, key, end)?.map(|popped| Reply::Array(vec![Reply::bytes(key), popped])))
    })
}

/// From which end of a list an element goes to which end of another.
#[derive(Clone, Copy)]
struct Way {
    from: End,
    to: End,
}

const RIGHT_TO_LEFT: Way = Way { from: End::Right, to: End::Left };

impl Way {
    fn parse(from: &[u8], to: &[u8]) -> Result<Self> {
        Ok(Self { from: end(from)?, to: end(to)? })
    }
}

/// Moves an element; `None` if there is no list to take it from.
fn move_element(ctx: &mut Context<'_>, source: &[u8], target: &[u8], way: Way) -> Result<Option<Reply>> {
    let database = ctx.session.database;
    let list = ctx.keyspace.peek_as::<ListValue>(database, source)?;
    let Some(element) = list.and_then(|list| list.end(way.from)).map(<[u8]>::to_vec) else {
        return Ok(None);
    };
    // Nothing may have changed when the other key turns out to be of another type.
    ctx.keyspace.peek_as::<ListValue>(database, target)?;
    // In this order, as in Redis, a list of one element is never empty while it is turned round.
    let pushed = if way.to == End::Left { events::LPUSH } else { events::RPUSH };
    let push = |list: &mut ListValue, recorder: &mut dyn Recorder| list.push(way.to, &[&element], recorder);
    ctx.keyspace.update_or_create(database, target, pushed, push)?;
    pop(ctx, source, way.from)?;
    Ok(Some(element.into()))
}

fn lmove(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let way = Way::parse(args[3], args[4])?;
    Ok(move_element(ctx, args[1], args[2], way)?.unwrap_or(Reply::Null))
}

fn rpoplpush(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(move_element(ctx, args[1], args[2], RIGHT_TO_LEFT)?.unwrap_or(Reply::Null))
}

fn blmove(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let way = Way::parse(args[3], args[4])?;
    move_or_wait(ctx, args, way, timeout_in_seconds(args[5])?)
}

fn brpoplpush(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    move_or_wait(ctx, args, RIGHT_TO_LEFT, timeout_in_seconds(args[3])?)
}

fn move_or_wait(
    ctx: &mut Context<'_>,
    args: &[&[u8]],
    way: Way,
    timeout: Option<Duration>,
) -> Result<Outcome> {
    Ok(match move_element(ctx, args[1], args[2], way)? {
        Some(reply) => Outcome::Reply(reply),
        // Only the source is waited for.
        None => wait(Block { refused: Reply::Null, ..Block::new(args, 1..2, Kind::List, timeout) }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn elements_are_popped_from_either_end() {
        let positive = "-ERR value is out of range, must be positive";
        Fixture::new().check(&[
            ("rpush l a b c d e f", ":6"),
            ("lpop l", "$a"),
            ("rpop l", "$f"),
            ("lpop l 0", "[]"),
            ("rpop l 2", "[$e $d]"),
            ("lpop l 100", "[$b $c]"),
            ("exists l", ":0"),
            ("lpop l", "nil"),
            ("lpop l 0", "nil"),
            ("lpop l x", positive),
            ("rpop l -1", positive),
            ("rpop l 1 2", "-ERR wrong number of arguments for 'rpop' command"),
            ("set s x", "+OK"),
            ("lpop s 0", WRONG_TYPE),
            ("rpop s", WRONG_TYPE),
        ]);
    }

    #[test]
    fn the_first_list_that_there_is_is_popped() {
        Fixture::new().check(&[
            ("rpush b 1 2 3 4", ":4"),
            ("lmpop 2 a b right count 2", "[$b [$4 $3]]"),
            ("blmpop 0 2 a b LEFT", "[$b [$1]]"),
            ("blpop a b 0", "[$b $2]"),
            ("brpop a b 0", "nil"),
            ("lmpop 1 a left", "nil"),
            ("set s x", "+OK"),
            ("lmpop 2 a s left", WRONG_TYPE),
            ("blpop a s 0", WRONG_TYPE),
            ("lmpop 0 a left", "-ERR numkeys should be greater than 0"),
            ("lmpop 2 a left", "-ERR syntax error"),
            ("lmpop 1 a up", "-ERR syntax error"),
            ("lmpop 1 a left count", "-ERR syntax error"),
            ("lmpop 1 a left count x", "-ERR count should be greater than 0"),
            ("lmpop 1 a left count 1 count 1", "-ERR syntax error"),
            ("blmpop x 0 a left", "-ERR numkeys should be greater than 0"),
            ("blmpop x 1 a left", "-ERR timeout is not a float or out of range"),
            ("blpop b -1", "-ERR timeout is negative"),
        ]);
    }

    #[test]
    fn an_element_moves_from_list_to_list() {
        Fixture::new().check(&[
            ("rpush a 1 2 3", ":3"),
            ("lmove a b left right", "$1"),
            ("rpoplpush a b", "$3"),
            ("lrange b 0 -1", "[$3 $1]"),
            ("blmove a a right left 0", "$2"),
            ("brpoplpush a b 0", "$2"),
            ("exists a", ":0"),
            ("lmove b b left right", "$2"),
            ("lrange b 0 -1", "[$3 $1 $2]"),
            ("lmove a b left left", "nil"),
            ("blmove a b left left 0", "nil"),
            ("set s x", "+OK"),
            ("lmove b s left left", WRONG_TYPE),
            ("lmove s b left left", WRONG_TYPE),
            ("lmove a s left left", "nil"),
            ("lmove a b up left", "-ERR syntax error"),
            ("blmove a b up left x", "-ERR syntax error"),
            ("llen b", ":3"),
        ]);
    }

    #[test]
    fn taking_out_raises_the_events_of_redis() {
        let mut fixture = Fixture::new();
        fixture.check(&[("rpush a 1 2 3", ":3")]);
        fixture.check_events("lpop a", &["0 lpop a"]);
        fixture.check_events("lpop a 0", &[]);
        fixture.check_events("rpop none", &[]);
        fixture.check_events("lmove a b right left", &["0 new b", "0 lpush b", "0 rpop a"]);
        fixture.check_events("blmove a b left right 0", &["0 rpush b", "0 lpop a", "0 del a"]);
        fixture.check_events("lmpop 1 b left count 5", &["0 lpop b", "0 del b"]);
    }

    #[test]
    fn what_finds_no_list_waits_for_its_keys() {
        let mut fixture = Fixture::new();
        let args: [&[u8]; 4] = [b"blpop", b"a", b"b", b"1.5"];
        let outcome = fixture.with_context(|ctx| blpop(ctx, &args)).expect("no error");
        let Outcome::Block(block) = outcome else { panic!("{outcome:?}") };
        assert_eq!(block.request.slices(), args);
        assert_eq!((block.keys, block.kind), (1..3, Kind::List));
        assert_eq!(block.timeout, Some(Duration::from_millis(1500)));
        let args: [&[u8]; 7] = [b"blmpop", b"0", b"2", b"a", b"b", b"left", b""];
        let outcome = fixture.with_context(|ctx| blmpop(ctx, &args[..6])).expect("no error");
        let Outcome::Block(block) = outcome else { panic!("{outcome:?}") };
        assert_eq!((block.keys, block.timeout), (3..5, None));
    }
}
