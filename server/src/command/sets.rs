//! Set commands on one set, and SMOVE. `set_algebra` has those that combine several.

use super::arguments::at_least;
use super::element_scan::{ElementScan, scan_reply};
use super::random::{Count, copy_repeated, different_ranks, max_copied_bytes, visit_ranks};
use super::{Command, Context, Error, Flags, Group, Result, scan};
use crate::keyspace::events;
use crate::options::Options;
use crate::protocol::{Reply, Shape};
use crate::types::{
    Collection, CopiedItems, Member, PackedLimits, Recorder, SetLimits, SetValue, SharedItems,
};

const WRITE: &[Flags] = &[Flags::WRITE, Flags::FAST];
const READ: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("sadd", -3, sadd).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(1, 1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(1) for each member",
        "Adds members to a set and creates it if there is none.",
        "key member [member ...]",
    ),
    Command::new("scard", 2, scard).flags(READ).keys(1, 1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(1)",
        "Returns the number of members of a set.",
        "key",
    ),
    Command::new("sismember", 3, sismember).flags(READ).keys(1, 1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(1)",
        "Tells whether a set has a member.",
        "key member",
    ),
    Command::new("smembers", 2, smembers).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(N) where N is the number of members",
        "Returns all members of a set.",
        "key",
    ),
    Command::new("smismember", -3, smismember).flags(READ).keys(1, 1, 1).docs(
        Group::Set,
        "6.2.0",
        "O(N) where N is the number of members asked for",
        "Tells for each of several members whether a set has it.",
        "key member [member ...]",
    ),
    Command::new("smove", 4, smove).flags(WRITE).keys(1, 2, 1).docs(
        Group::Set,
        "1.0.0",
        "O(1)",
        "Moves a member from one set to another.",
        "source destination member",
    ),
    Command::new("spop", -2, spop).flags(WRITE).keys(1, 1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(1) without a count, otherwise O(N) where N is the count",
        "Removes random members from a set and returns them.",
        "key [count]",
    ),
    Command::new("srandmember", -2, srandmember).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(1) without a count, otherwise O(N) where N is the count without its sign",
        "Returns random members of a set; with a negative count the same one may come again.",
        "key [count]",
    ),
    Command::new("srem", -3, srem).flags(WRITE).keys(1, 1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(N) where N is the number of members to be removed",
        "Removes members from a set.",
        "key member [member ...]",
    ),
    Command::new("sscan", -3, sscan).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Set,
        "2.8.0",
        "O(1) for a call, O(N) for a whole walk over N members",
        "Walks the members of a set in steps: a member that is there all the time is found.",
        "key cursor [MATCH pattern] [COUNT count]",
    ),
];

/// Up to where sets have their small forms.
pub(super) fn limits(options: &Options) -> SetLimits {
    SetLimits {
        integers: options.set_max_intset_entries as usize,
        packed: PackedLimits {
            entries: options.set_max_listpack_entries as usize,
            element_bytes: options.set_max_listpack_value as usize,
        },
    }
}

fn sadd(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let limits = limits(&ctx.server.options);
    let added = ctx.keyspace.update_or_create(
        ctx.session.database,
        args[1],
        events::SADD,
        |set: &mut SetValue, recorder| {
            args[2..].iter().filter(|member| set.add(member, limits, recorder)).count()
        },
    )?;
    Ok(added.into())
}

fn srem(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let remove = |set: &mut SetValue, recorder: &mut dyn Recorder| {
        args[2..].iter().filter(|member| set.remove(member, recorder)).count()
    };
    let removed = ctx.keyspace.update(ctx.session.database, args[1], events::SREM, remove)?;
    Ok(removed.unwrap_or(0).into())
}

fn scard(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let set = ctx.keyspace.get_as::<SetValue>(ctx.session.database, args[1])?;
    Ok(set.map_or(0, Collection::len).into())
}

fn sismember(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let set = ctx.keyspace.get_as::<SetValue>(ctx.session.database, args[1])?;
    Ok(Reply::flag(set.is_some_and(|set| set.contains(args[2]))))
}

fn smismember(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let set = ctx.keyspace.get_as::<SetValue>(ctx.session.database, args[1])?;
    let has = |member: &&[u8]| Reply::flag(set.is_some_and(|set| set.contains(member)));
    Ok(Reply::Array(args[2..].iter().map(has).collect()))
}

fn smembers(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let set = ctx.keyspace.get_as::<SetValue>(ctx.session.database, args[1])?;
    Ok(Reply::Items(Shape::Set, set.map_or_else(SharedItems::default, SetValue::items)))
}

fn smove(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, source, target, member) = (ctx.session.database, args[1], args[2], args[3]);
    let limits = limits(&ctx.server.options);
    let Some(set) = ctx.keyspace.peek_as::<SetValue>(database, source)? else {
        return Ok(Reply::Integer(0));
    };
    let is_member = set.contains(member);
    ctx.keyspace.peek_as::<SetValue>(database, target)?;
    if is_member && source != target {
        ctx.keyspace.update(database, source, events::SREM, |set: &mut SetValue, recorder| {
            set.remove(member, recorder)
        })?;
        ctx.keyspace.update_or_create(database, target, events::SADD, |set: &mut SetValue, recorder| {
            set.add(member, limits, recorder)
        })?;
    }
    Ok(Reply::flag(is_member))
}

fn spop(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let database = ctx.session.database;
    match args[2..] {
        [] => {
            let pop = |set: &mut SetValue, recorder: &mut dyn Recorder| {
                let rank = fastrand::usize(..set.len());
                let member = set.nth(rank)?.to_vec();
                set.remove_ranks(&[rank], recorder);
                Some(member)
            };
            Ok(ctx.keyspace.update(database, args[1], events::SPOP, pop)?.flatten().into())
        }
        [count] => {
            let count = at_least(0, count, "ERR value is out of range, must be positive")?;
            let popped =
                ctx.keyspace.update(database, args[1], events::SPOP, |set: &mut SetValue, recorder| {
                    if count >= set.len() {
                        return set.take(recorder).items();
                    }
                    let ranks = different_ranks(count, set.len());
                    let members = at_ranks(set, &ranks);
                    set.remove_ranks(&ranks, recorder);
                    members
                })?;
            Ok(Reply::Items(Shape::Set, popped.unwrap_or_default()))
        }
        _ => Err(Error::SYNTAX),
    }
}

fn srandmember(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let count = match args[2..] {
        [] => None,
        [count] => Some(Count::parse(count)?),
        _ => return Err(Error::SYNTAX),
    };
    let limit = max_copied_bytes(ctx);
    let set = ctx.keyspace.get_as::<SetValue>(ctx.session.database, args[1])?;
    let Some(set) = set else {
        return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Null });
    };
    let items = match count {
        None => {
            let member = set.nth(fastrand::usize(..set.len()));
            return Ok(member.map_or(Reply::Null, |member| Reply::bytes(&member)));
        }
        Some(Count::Different(count)) if count >= set.len() => set.items(),
        Some(Count::Different(count)) => at_ranks(set, &different_ranks(count, set.len())),
        Some(Count::Repeated(count)) => copy_repeated(limit, count, set.len(), |rank, copied| {
            set.nth(rank).into_iter().for_each(|member| copied.push(&member));
        })?
        .into(),
    };
    Ok(Reply::Items(Shape::Array, items))
}

/// Copies of the members of these ascending ranks.
fn at_ranks(set: &SetValue, ranks: &[usize]) -> SharedItems {
    let mut members = CopiedItems::default();
    let copy = |member: Member<'_>| members.push(&member);
    visit_ranks(ranks, set.len(), set.members(), |rank| set.nth(rank), copy);
    members.into()
}

fn sscan(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let cursor = scan::cursor(args[2])?;
    let Some(set) = ctx.keyspace.get_as::<SetValue>(ctx.session.database, args[1])? else {
        return Ok(scan_reply(0, SharedItems::default()));
    };
    let options = ElementScan::parse(&args[3..], false)?;
    let mut found = CopiedItems::default();
    let next = set.scan(cursor, options.count, |member| {
        if options.wants(member) {
            found.push(member);
        }
    });
    Ok(scan_reply(next, found))
}

#[cfg(test)]
mod tests;
