//! Random members of sorted sets.

use std::collections::HashSet;

use crate::command::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::protocol::{Reply, Shape};
use crate::types::{Collection, SharedItems, SortedSetValue, scored_items};

use super::read;

/// The rows of these commands.
pub const COMMANDS: &[Command] =
    &[Command::new("zrandmember", -2, zrandmember).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "6.2.0",
        "O(M*log(N)) where M is the number of members returned",
        "Returns random members of a sorted set.",
        "key [count [WITHSCORES]]",
    )];

/// The most members that are given when they may come more than once: the reply is built in memory.
const MAX_REPEATED: usize = 10_000_000;

fn zrandmember(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (count, shape) = match args[2..] {
        [] => return one(ctx, args[1]),
        [count] => (parse_count(count)?, Shape::Members),
        [count, option] if flag(option, "WITHSCORES") => {
            let count = parse_count(count)?;
            if count.unsigned_abs() > i64::MAX as u64 / 2 {
                return Err(Error::text("ERR value is out of range"));
            }
            (count, Shape::Scored)
        }
        [count, ..] => return Err(parse_count(count).err().unwrap_or(Error::SYNTAX)),
    };
    let Some(set) = read(ctx, args[1])? else { return Ok(Reply::Items(shape, SharedItems::default())) };
    let len = set.len();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let items = if count >= 0 && wanted >= len {
        set.items(0..len, false)
    } else if count >= 0 {
        pick(set, different(len, wanted).into_iter())
    } else if wanted > MAX_REPEATED {
        return Err(Error::text("ERR value is out of range"));
    } else {
        pick(set, std::iter::repeat_with(|| fastrand::usize(..len)).take(wanted))
    };
    Ok(Reply::Items(shape, items))
}

fn parse_count(argument: &[u8]) -> Result<i64> {
    let count = integer(argument)?;
    if count == i64::MIN {
        return Err(Error::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    Ok(count)
}

fn one(ctx: &mut Context<'_>, key: &[u8]) -> Result {
    let set = read(ctx, key)?;
    let member = set.and_then(|set| set.nth(fastrand::usize(..set.len())));
    Ok(member.map_or(Reply::Null, |(member, _)| Reply::bytes(member)))
}

fn pick(set: &SortedSetValue, places: impl Iterator<Item = usize>) -> SharedItems {
    scored_items(places.filter_map(|place| set.nth(place)))
}

/// So many different numbers below `len`, each choice as likely as any other, in random order.
fn different(len: usize, count: usize) -> Vec<usize> {
    let (mut chosen, mut seen) = (Vec::with_capacity(count), HashSet::with_capacity(count));
    // Floyd's algorithm: a number that has come before makes room for the greatest so far.
    for greatest in len - count..len {
        let number = fastrand::usize(..=greatest);
        let number = if seen.insert(number) { number } else { greatest };
        seen.insert(number);
        chosen.push(number);
    }
    fastrand::shuffle(&mut chosen);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_different_and_equally_likely() {
        let mut counts = [0_u32; 10];
        for _ in 0..20_000 {
            let numbers = different(10, 4);
            assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 4);
            numbers.into_iter().for_each(|number| counts[number] += 1);
        }
        // Eight thousand each; the standard deviation is below 70.
        assert!(counts.iter().all(|count| count.abs_diff(8000) < 420), "{counts:?}");
        let mut all = different(5, 5);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }
}
