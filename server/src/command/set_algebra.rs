//! Set commands that combine several sets.
//!
//! The sets are cloned, which is O(1), so that all of them can be looked at together.

use super::arguments::{at_least, cardinality_limit};
use super::sets::limits;
use super::{Command, Context, Error, Flags, Group, Result, set_or_delete};
use crate::keyspace::events;
use crate::protocol::{Reply, Shape};
use crate::types::{Collection, Member, SetLimits, SetValue};

const READ: &[Flags] = &[Flags::READONLY];
const STORE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM];

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("sdiff", -2, sdiff).flags(READ).keys(1, -1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(N*M) where N is the number of members of the first set and M the number of sets",
        "Returns the members of a set that no other set has.",
        "key [key ...]",
    ),
    Command::new("sdiffstore", -3, sdiffstore).flags(STORE).keys_from(1).docs(
        Group::Set,
        "1.0.0",
        "O(N*M) where N is the number of members of the first set and M the number of sets",
        "Stores the members of a set that no other set has.",
        "destination key [key ...]",
    ),
    Command::new("sinter", -2, sinter).flags(READ).keys(1, -1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(N*M) where N is the number of members of the smallest set and M the number of sets",
        "Returns the members that all sets have.",
        "key [key ...]",
    ),
    Command::new("sintercard", -3, sintercard).flags(READ).counted_keys(1).docs(
        Group::Set,
        "7.0.0",
        "O(N*M) where N is the number of members of the smallest set and M the number of sets",
        "Returns how many members all sets have; with a limit it stops counting there.",
        "numkeys key [key ...] [LIMIT limit]",
    ),
    Command::new("sinterstore", -3, sinterstore).flags(STORE).keys_from(1).docs(
        Group::Set,
        "1.0.0",
        "O(N*M) where N is the number of members of the smallest set and M the number of sets",
        "Stores the members that all sets have.",
        "destination key [key ...]",
    ),
    Command::new("sunion", -2, sunion).flags(READ).keys(1, -1, 1).docs(
        Group::Set,
        "1.0.0",
        "O(N) where N is the number of members of all sets together",
        "Returns the members that any set has.",
        "key [key ...]",
    ),
    Command::new("sunionstore", -3, sunionstore).flags(STORE).keys_from(1).docs(
        Group::Set,
        "1.0.0",
        "O(N) where N is the number of members of all sets together",
        "Stores the members that any set has.",
        "destination key [key ...]",
    ),
];

/// The sets at these keys; an empty one for a key that does not exist.
fn sets(ctx: &mut Context<'_>, keys: &[&[u8]]) -> Result<Vec<SetValue>> {
    let database = ctx.session.database;
    let mut sets = Vec::with_capacity(keys.len());
    for key in keys {
        sets.push(ctx.keyspace.get_as::<SetValue>(database, key)?.cloned().unwrap_or_default());
    }
    Ok(sets)
}

/// The members that all sets have.
fn intersection(sets: &mut [SetValue]) -> impl Iterator<Item = Member<'_>> {
    sets.sort_by_key(Collection::len);
    let (smallest, others) = sets.split_at(1);
    smallest[0].members().filter(move |member| others.iter().all(|other| other.contains(member)))
}

/// The members of the first set that no other has.
fn difference(sets: &mut [SetValue]) -> impl Iterator<Item = Member<'_>> {
    let lens = sets.iter().map(Collection::len);
    let removes = is_soonest_removed(lens);
    let (first, mut others) = sets.split_at_mut(1);
    if removes {
        // It is a clone, which copies only what it changes.
        for member in others.iter().flat_map(SetValue::members) {
            first[0].remove(&member, &mut ());
        }
        others = &mut [];
    }
    // A member is found soonest where there are most.
    others.sort_by_key(|other| std::cmp::Reverse(other.len()));
    first[0].members().filter(move |member| !others.iter().any(|other| other.contains(member)))
}

/// Whether a difference of sets of these lengths is made sooner by removing the members of the others from the first than
/// by looking for each member of the first in the others. The second stops where it finds one, so it has an advantage.
pub(super) fn is_soonest_removed(mut lens: impl ExactSizeIterator<Item = usize>) -> bool {
    let count = lens.len();
    let first = lens.next().unwrap_or_default();
    first.saturating_mul(count) / 2 > lens.fold(first, usize::saturating_add)
}

/// The members that any set has.
fn union(sets: &mut [SetValue], limits: SetLimits) -> SetValue {
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    // What is added to a clone of a big set copies only what it changes.
    let (mut union, others) = match sets {
        [first, others @ ..] if limits.are_exceeded_by(first.len()) => (first.clone(), &*others),
        all => (SetValue::default(), &*all),
    };
    for member in others.iter().flat_map(SetValue::members) {
        union.add(&member, limits, &mut ());
    }
    union
}

fn sinter(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut sets = sets(ctx, &args[1..])?;
    Ok(Reply::Items(Shape::Set, intersection(&mut sets).collect()))
}

fn sdiff(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut sets = sets(ctx, &args[1..])?;
    Ok(Reply::Items(Shape::Set, difference(&mut sets).collect()))
}

fn sunion(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut sets = sets(ctx, &args[1..])?;
    Ok(Reply::Items(Shape::Set, union(&mut sets, limits(&ctx.server.options)).items()))
}

fn sinterstore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut sets = sets(ctx, &args[2..])?;
    let result = collect(intersection(&mut sets), limits(&ctx.server.options));
    set_or_delete(ctx, args[1], result.into(), events::SINTERSTORE)
}

fn sdiffstore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut sets = sets(ctx, &args[2..])?;
    let result = collect(difference(&mut sets), limits(&ctx.server.options));
    set_or_delete(ctx, args[1], result.into(), events::SDIFFSTORE)
}

fn sunionstore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut sets = sets(ctx, &args[2..])?;
    let result = union(&mut sets, limits(&ctx.server.options));
    set_or_delete(ctx, args[1], result.into(), events::SUNIONSTORE)
}

fn collect<'a>(members: impl Iterator<Item = Member<'a>>, limits: SetLimits) -> SetValue {
    let mut set = SetValue::default();
    for member in members {
        set.add(&member, limits, &mut ());
    }
    set
}

fn sintercard(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let keys = at_least(1, args[1], "ERR numkeys should be greater than 0")?;
    if keys > args.len() - 2 {
        return Err(Error::text("ERR Number of keys can't be greater than number of args"));
    }
    let (keys, options) = args[2..].split_at(keys);
    let limit = cardinality_limit(options)?;
    let mut sets = sets(ctx, keys)?;
    Ok(intersection(&mut sets).take(limit).count().into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn sets_are_combined() {
        Fixture::new().check(&[
            ("sadd a 1 2 3 4", ":4"),
            ("sadd b 3 4 5 x", ":4"),
            ("sinter a b", "[$3 $4]"),
            ("sinter b a none", "[]"),
            ("sdiff a b", "[$1 $2]"),
            ("sdiff a none", "[$1 $2 $3 $4]"),
            ("sdiff none a", "[]"),
            ("sunion a none", "[$1 $2 $3 $4]"),
            ("sunionstore u a b a", ":6"),
            ("smismember u 1 2 3 4 5 x", "[:1 :1 :1 :1 :1 :1]"),
        ]);
    }

    #[test]
    fn a_difference_is_the_same_however_it_is_made() {
        let mut fixture = Fixture::new();
        for (key, numbers) in [("big", 0..1000), ("most", 2..1000), ("small", 10..20)] {
            let members: Vec<String> = numbers.map(|number| format!("m{number}")).collect();
            fixture.run(&format!("sadd {key} {}", members.join(" ")));
        }
        fixture.check(&[
            ("sadd one m1", ":1"),
            ("sdiff big most one", "[$m0]"),
            ("sdiffstore d big small one none", ":989"),
            ("sismember d m1", ":0"),
            ("sismember d m15", ":0"),
            ("sismember d m0", ":1"),
            ("scard big", ":1000"),
            ("sdiff big one small big", "[]"),
            ("sdiffstore e big most most most", ":2"),
            ("object encoding e", "$listpack"),
        ]);
    }

    #[test]
    fn members_are_removed_where_the_others_have_few() {
        let check = |lens: &[usize], expected| {
            assert_eq!(is_soonest_removed(lens.iter().copied()), expected, "{lens:?}");
        };
        check(&[], false);
        check(&[1000], false);
        check(&[1000, 1], false);
        check(&[1000, 1, 1], true);
        check(&[1000, 400, 99], true);
        check(&[1000, 400, 100], false);
        check(&[2, 1000, 1000], false);
    }

    #[test]
    fn results_replace_what_was_at_the_destination() {
        let mut fixture = Fixture::new();
        fixture.check(&[("sadd a 1 2 x", ":3"), ("sadd b 1 2", ":2"), ("set d text ex 100", "+OK")]);
        fixture.check_events("sinterstore d a b", &["0 sinterstore d"]);
        fixture.check(&[("ttl d", ":-1"), ("object encoding d", "$intset"), ("smembers d", "[$1 $2]")]);
        fixture.check_events("sdiffstore d a b", &["0 sdiffstore d"]);
        fixture.check_events("sunionstore e a b", &["0 new e", "0 sunionstore e"]);
        fixture.check(&[("smembers d", "[$x]"), ("object encoding e", "$listpack")]);
        fixture.check_events("sdiffstore d b a", &["0 del d"]);
        fixture.check_events("sinterstore a a b", &["0 sinterstore a"]);
        fixture.check(&[("sdiffstore d b a", ":0"), ("set s x", "+OK"), ("smembers a", "[$1 $2]")]);
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        fixture.check(&[("sinterstore d none s", wrong), ("sunion a s", wrong), ("sdiff none s", wrong)]);
    }

    #[test]
    fn common_members_are_counted_up_to_a_limit() {
        let negative = "-ERR LIMIT can't be negative";
        Fixture::new().check(&[
            ("sadd a 1 2 3", ":3"),
            ("sadd b 2 3 4", ":3"),
            ("sintercard 2 a b", ":2"),
            ("sintercard 2 a b limit 1", ":1"),
            ("sintercard 2 a b limit 1 LIMIT 0", ":2"),
            ("sintercard 0 a", "-ERR numkeys should be greater than 0"),
            ("sintercard x a", "-ERR numkeys should be greater than 0"),
            ("sintercard 2 a", "-ERR Number of keys can't be greater than number of args"),
            ("sintercard 1 a limit -1", negative),
            ("sintercard 1 a limit x", negative),
            ("sintercard 1 a limit", "-ERR syntax error"),
            ("sintercard 1 a what 1", "-ERR syntax error"),
        ]);
    }

    #[test]
    fn a_union_with_a_big_set_leaves_that_as_it_was() {
        let mut fixture = Fixture::new();
        let members: Vec<String> = (0..2000).map(|number| format!("m{number}")).collect();
        fixture.check(&[
            (&format!("sadd a {}", members.join(" ")), ":2000"),
            ("sadd b m1 new", ":2"),
            ("sunionstore d b a", ":2001"),
            ("scard a", ":2000"),
            ("sismember a new", ":0"),
            ("sdiff d a", "[$new]"),
            ("sintercard 2 d a", ":2000"),
        ]);
    }
}
