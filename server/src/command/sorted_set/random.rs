//! Random members of sorted sets.

use crate::command::random::{Count, copy_repeated, different_ranks, max_copied_bytes};
use crate::command::{Command, Context, Error, Flags, Group, Result, flag};
use crate::protocol::Reply;
use crate::types::{Collection, SharedItems, scored_items};

use super::{read, reply};

/// The rows of these commands.
pub const COMMANDS: &[Command] =
    &[Command::new("zrandmember", -2, zrandmember).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::SortedSet,
        "6.2.0",
        "O(M*log(N)) where M is the number of members returned",
        "Returns random members of a sorted set.",
        "key [count [WITHSCORES]]",
    )];

fn zrandmember(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (count, with_scores) = match args[2..] {
        [] => {
            let member = read(ctx, args[1])?.and_then(|set| set.nth(fastrand::usize(..set.len())));
            return Ok(member.map_or(Reply::Null, |(member, _)| Reply::bytes(member)));
        }
        [count] => (Count::parse(count)?, false),
        [count, option] if flag(option, "WITHSCORES") => (Count::parse_of_pairs(count)?, true),
        [count, ..] => {
            Count::parse(count)?;
            return Err(Error::SYNTAX);
        }
    };
    let max_bytes = max_copied_bytes(ctx);
    let Some(set) = read(ctx, args[1])? else { return Ok(reply(SharedItems::default(), with_scores)) };
    let items = match count {
        Count::Different(count) if count >= set.len() => set.items(0..set.len(), false),
        Count::Different(count) => {
            let ranks = different_ranks(count, set.len());
            scored_items(ranks.into_iter().filter_map(|rank| set.nth(rank)))
        }
        Count::Repeated(count) => copy_repeated(max_bytes, count, set.len(), |rank, copied| {
            if let Some((member, score)) = set.nth(rank) {
                copied.push(member);
                copied.push(&score.to_le_bytes());
            }
        })?
        .into(),
    };
    Ok(reply(items, with_scores))
}
