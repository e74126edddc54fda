//! Sets.

use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{bulks, count, flag, integer, optional_count};
use super::scan::scan;
use super::{Row, reads, writes};
use crate::native::store::Store;
use crate::native::value::Set;
use crate::{Reply, Result};

pub const COMMANDS: &[Row] = &[
    writes("SADD", -3, |store, words| Ok(count(add(store, words[1], &words[2..])?))),
    reads("SCARD", 2, |store, words| Ok(count(read(store, words[1])?.len()))),
    reads("SDIFF", -2, |store, words| combine(store, words, |all, next| &all - next)),
    reads("SINTER", -2, |store, words| combine(store, words, |all, next| &all & next)),
    reads("SISMEMBER", 3, |store, words| Ok(flag(read(store, words[1])?.contains(words[2])))),
    reads("SMEMBERS", 2, |store, words| Ok(members(&read(store, words[1])?))),
    reads("SMISMEMBER", -3, |store, words| {
        let set = read(store, words[1])?;
        Ok(Reply::Array(words[2..].iter().map(|member| flag(set.contains(*member))).collect()))
    }),
    writes("SMOVE", 4, |store, words| {
        // Both must be sets, even when there is nothing to move.
        let (source, destination) = (read(store, words[1])?, read(store, words[2])?);
        let is_member = source.contains(words[3]);
        if is_member && words[1] != words[2] {
            remove(store, words[1], &words[3..])?;
            if !destination.contains(words[3]) {
                add(store, words[2], &words[3..])?;
            }
        }
        Ok(flag(is_member))
    }),
    writes("SPOP", -2, pop),
    reads("SRANDMEMBER", -2, random_member),
    writes("SREM", -3, |store, words| Ok(count(remove(store, words[1], &words[2..])?))),
    reads("SSCAN", -3, |store, words| {
        scan(words, read(store, words[1])?, |member| member, |member| vec![member])
    }),
    reads("SUNION", -2, |store, words| combine(store, words, |all, next| &all | next)),
];

fn read(store: &Store, key: &[u8]) -> Result<Set> {
    Ok(store.get::<Set>(key)?.cloned().unwrap_or_default())
}

fn members(set: &Set) -> Reply {
    Reply::Set(set.iter().map(|member| Reply::bulk(&**member)).collect())
}

/// How many are new.
fn add(store: &mut Store, key: &[u8], added: &[&[u8]]) -> Result<usize> {
    store.update("sadd", key, |set: &mut Set, changed| {
        let new: Vec<_> = added.iter().filter(|member| set.insert(member.to_vec())).collect();
        new.iter().for_each(|member| changed.element(**member));
        Ok(new.len())
    })
}

/// How many were there.
fn remove(store: &mut Store, key: &[u8], removed: &[&[u8]]) -> Result<usize> {
    store.update("srem", key, |set: &mut Set, changed| {
        let gone: Vec<_> = removed.iter().filter(|member| set.remove(**member)).collect();
        gone.iter().for_each(|member| changed.element(**member));
        Ok(gone.len())
    })
}

fn combine(store: &mut Store, words: &[&[u8]], both: fn(Set, &Set) -> Set) -> Result<Reply> {
    let sets: Vec<Set> = words[1..].iter().map(|key| read(store, key)).collect::<Result<_>>()?;
    let all = sets[1..].iter().fold(sets[0].clone(), both);
    Ok(members(&all))
}

fn pop(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let wanted = optional_count(&words[2..])?;
    let mut left: Vec<Vec<u8>> = read(store, words[1])?.into_iter().collect();
    let mut popped = Vec::new();
    while popped.len() < wanted.unwrap_or(1) && !left.is_empty() {
        popped.push(left.swap_remove(choose(store, left.len())));
    }
    store.update("spop", words[1], |set: &mut Set, changed| {
        for member in &popped {
            set.remove(member);
            changed.element(&**member);
        }
        Ok(())
    })?;
    Ok(match wanted {
        Some(_) => members(&popped.into_iter().collect()),
        None => popped.pop().map_or(Reply::Nil, Reply::Bulk),
    })
}

/// With a negative count, a member may be given several times.
fn random_member(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let mut members: Vec<Vec<u8>> = read(store, words[1])?.into_iter().collect();
    let wanted = words.get(2).map(|count| integer(count)).transpose()?;
    let mut chosen = Vec::new();
    for _ in 0..wanted.unwrap_or(1).unsigned_abs() {
        if members.is_empty() {
            break;
        }
        let index = choose(store, members.len());
        let is_repeated = wanted.is_some_and(|count| count < 0);
        chosen.push(if is_repeated { members[index].clone() } else { members.swap_remove(index) });
    }
    Ok(if wanted.is_some() { bulks(&chosen) } else { chosen.pop().map_or(Reply::Nil, Reply::Bulk) })
}

fn choose(store: &mut Store, len: usize) -> usize {
    (store.random() % len as u64) as usize
}
