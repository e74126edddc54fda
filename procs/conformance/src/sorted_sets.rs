//! Sorted sets, through every method of the SDK.

use kvasm_sdk::prelude::*;

use core::ops::Bound;

/// Reads a sorted set; the ranges are from `first` to before `second`.
#[procedure]
pub fn sorted_set_read(
    db: &Db,
    key: &[u8],
    method: &str,
    first: Option<&str>,
    second: Option<&str>,
) -> Result<Reply> {
    let set = db.sorted_set(key);
    let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
    match method {
        "score" => set.score(first)?.into_reply(),
        "rank" => set.rank(first)?.into_reply(),
        "reverse_rank" => set.reverse_rank(first)?.into_reply(),
        "range" => set.range(first.parse::<usize>()?..second.parse()?)?.collect::<Vec<_>>().into_reply(),
        "rev" => set.range(..)?.rev().collect::<Vec<_>>().into_reply(),
        "range_by_score" => {
            set.range_by_score(first.parse::<f64>()?..second.parse()?)?.collect::<Vec<_>>().into_reply()
        }
        "range_above" => {
            let scores = (Bound::Excluded(first.parse::<f64>()?), Bound::Unbounded);
            set.range_by_score(scores)?.rev().collect::<Vec<_>>().into_reply()
        }
        "range_by_member" => set.range_by_member(first..second)?.collect::<Vec<_>>().into_reply(),
        "range_to_member" => set.range_by_member(..=first)?.rev().collect::<Vec<_>>().into_reply(),
        "count" => set.count(first.parse::<f64>()?..=second.parse()?)?.into_reply(),
        "len" => set.len()?.into_reply(),
        "is_empty" => set.is_empty()?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Changes a sorted set; `words` are members with their scores, where the method needs both.
#[procedure]
pub fn sorted_set_write(db: &mut Db, key: &[u8], method: &str, words: &[&[u8]]) -> Result<Reply> {
    let mut set = db.sorted_set_mut(key);
    let first = words.first().copied().unwrap_or_default();
    let number = |at: usize| {
        let word = words.get(at).copied().unwrap_or_default();
        Ok::<f64, Error>(core::str::from_utf8(word)?.parse()?)
    };
    match method {
        "add" => set.add(first, number(1)?)?.into_reply(),
        "add_all" => {
            let pairs = (0..words.len() / 2).map(|at| Ok((words[2 * at], number(2 * at + 1)?)));
            set.add_all(pairs.collect::<Result<Vec<_>>>()?)?.into_reply()
        }
        "increment" => set.increment(first, number(1)?)?.into_reply(),
        "remove" => set.remove(first)?.into_reply(),
        "remove_all" => set.remove_all(words)?.into_reply(),
        "remove_range" => set.remove_range(number(0)? as usize..number(1)? as usize)?.into_reply(),
        "remove_range_by_score" => set.remove_range_by_score(number(0)?..=number(1)?)?.into_reply(),
        "pop_min" => set.pop_min()?.into_reply(),
        "pop_max" => set.pop_max()?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Fills a sorted set with so many members and reads it in pages; whether each came once, in order.
#[procedure]
pub fn sorted_set_pages(db: &mut Db, key: &[u8], count: u32) -> Result<bool> {
    db.sorted_set_mut(key).add_all((0..count).map(|number| (number, f64::from(number) / 2.0)))?;
    let set = db.sorted_set(key);
    let members =
        |from: u32| (from..count).map(|number| (number.to_string().into_bytes(), f64::from(number) / 2.0));
    let half = count / 2;
    Ok(set.range(..)?.eq(members(0))
        && set.range(..)?.rev().eq(members(0).rev())
        && set.range_by_score(f64::from(half) / 2.0..)?.eq(members(half)))
}
