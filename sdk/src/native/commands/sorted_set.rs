//! Sorted sets.

mod add;
mod range;

use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{count, optional_count};
use super::{Row, reads, writes};
use crate::native::store::Store;
use crate::native::value::SortedSet;
use crate::{Reply, Result};
use range::{Bounds, By};

pub const COMMANDS: &[Row] = &[
    writes("ZADD", -4, add::add),
    reads("ZCARD", 2, |store, words| Ok(count(read(store, words)?.0.len()))),
    reads("ZCOUNT", 4, |store, words| count_between(store, words, By::Score)),
    writes("ZINCRBY", 4, add::increment),
    reads("ZLEXCOUNT", 4, |store, words| count_between(store, words, By::Member)),
    reads("ZMSCORE", -3, |store, words| {
        let set = read(store, words)?;
        let score = |member: &&[u8]| set.0.get(*member).map_or(Reply::Nil, |score| Reply::from(*score));
        Ok(Reply::Array(words[2..].iter().map(score).collect()))
    }),
    writes("ZPOPMAX", -2, |store, words| pop(store, "zpopmax", words)),
    writes("ZPOPMIN", -2, |store, words| pop(store, "zpopmin", words)),
    reads("ZRANGE", -4, |store, words| range::range(store, words, None, false)),
    reads("ZRANGEBYLEX", -4, |store, words| range::range(store, words, Some(By::Member), false)),
    reads("ZRANGEBYSCORE", -4, |store, words| range::range(store, words, Some(By::Score), false)),
    reads("ZRANK", 3, |store, words| rank(store, words, false)),
    writes("ZREM", -3, |store, words| {
        store.update("zrem", words[1], |set: &mut SortedSet, changed| {
            let gone: Vec<_> = words[2..].iter().filter(|member| set.0.remove(**member).is_some()).collect();
            gone.iter().for_each(|member| changed.element(**member));
            Ok(count(gone.len()))
        })
    }),
    writes("ZREMRANGEBYLEX", 4, |store, words| remove(store, "zremrangebylex", words, By::Member)),
    writes("ZREMRANGEBYRANK", 4, |store, words| remove(store, "zremrangebyrank", words, By::Rank)),
    writes("ZREMRANGEBYSCORE", 4, |store, words| remove(store, "zremrangebyscore", words, By::Score)),
    reads("ZREVRANGE", -4, |store, words| range::range(store, words, Some(By::Rank), true)),
    reads("ZREVRANGEBYLEX", -4, |store, words| range::range(store, words, Some(By::Member), true)),
    reads("ZREVRANGEBYSCORE", -4, |store, words| range::range(store, words, Some(By::Score), true)),
    reads("ZREVRANK", 3, |store, words| rank(store, words, true)),
    reads("ZSCORE", 3, |store, words| {
        Ok(read(store, words)?.0.get(words[2]).map_or(Reply::Nil, |score| Reply::from(*score)))
    }),
];

fn read(store: &Store, words: &[&[u8]]) -> Result<SortedSet> {
    Ok(store.get::<SortedSet>(words[1])?.cloned().unwrap_or_default())
}

fn count_between(store: &mut Store, words: &[&[u8]], by: By) -> Result<Reply> {
    let bounds = Bounds::parse(by, words[2], words[3])?;
    Ok(count(bounds.select(&read(store, words)?).len()))
}

fn rank(store: &mut Store, words: &[&[u8]], is_reverse: bool) -> Result<Reply> {
    let set = read(store, words)?;
    let rank = set.ordered().iter().position(|(member, _)| *member == words[2]);
    let rank = rank.map(|rank| if is_reverse { set.0.len() - 1 - rank } else { rank });
    Ok(rank.map_or(Reply::Nil, count))
}

fn remove(store: &mut Store, event: &'static str, words: &[&[u8]], by: By) -> Result<Reply> {
    let bounds = Bounds::parse(by, words[2], words[3])?;
    store.update(event, words[1], |set: &mut SortedSet, changed| {
        let members: Vec<Vec<u8>> = bounds.select(set).into_iter().map(|(member, _)| member).collect();
        for member in &members {
            set.0.remove(member);
            changed.element(&**member);
        }
        Ok(count(members.len()))
    })
}

/// With a count the reply is a list of pairs, without one it is the pair itself.
fn pop(store: &mut Store, event: &'static str, words: &[&[u8]]) -> Result<Reply> {
    let wanted = optional_count(&words[2..])?;
    store.update(event, words[1], |set: &mut SortedSet, changed| {
        let mut ordered: Vec<_> =
            set.ordered().into_iter().map(|(member, score)| (member.clone(), score)).collect();
        if event == "zpopmax" {
            ordered.reverse();
        }
        ordered.truncate(wanted.unwrap_or(1));
        for (member, _) in &ordered {
            set.0.remove(member);
            changed.element(&**member);
        }
        let mut pairs = ordered.into_iter().map(scored);
        Ok(match wanted {
            Some(_) => Reply::Array(pairs.collect()),
            None => pairs.next().unwrap_or(Reply::Array(Vec::new())),
        })
    })
}

/// A member with its score.
fn scored((member, score): (Vec<u8>, f64)) -> Reply {
    Reply::Array(vec![Reply::Bulk(member), Reply::from(score)])
}
