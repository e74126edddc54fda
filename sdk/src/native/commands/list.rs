//! Lists.

use alloc::format;
use alloc::vec::Vec;

use super::arguments::{SYNTAX_ERROR, bulk, bulks, count, integer, is, optional_count, range};
use super::{Row, reads, writes};
use crate::native::store::{Changed, Store};
use crate::native::value::List;
use crate::{Reply, Result};

pub const COMMANDS: &[Row] = &[
    reads("LINDEX", 3, |store, words| {
        let list = read(store, words)?;
        Ok(bulk(index(words[2], list.len())?.and_then(|index| list.get(index))))
    }),
    writes("LINSERT", 5, insert),
    reads("LLEN", 2, |store, words| Ok(count(read(store, words)?.len()))),
    writes("LPOP", -2, |store, words| pop(store, "lpop", words)),
    reads("LPOS", 3, |store, words| {
        let position = read(store, words)?.iter().position(|value| value == words[2]);
        Ok(position.map_or(Reply::Nil, count))
    }),
    writes("LPUSH", -3, |store, words| push(store, "lpush", words)),
    reads("LRANGE", 4, |store, words| {
        let list = read(store, words)?;
        Ok(bulks(list.range(range(words[2], words[3], list.len())?)))
    }),
    writes("LREM", 4, remove),
    writes("LSET", 4, set),
    writes("LTRIM", 4, trim),
    writes("RPOP", -2, |store, words| pop(store, "rpop", words)),
    writes("RPUSH", -3, |store, words| push(store, "rpush", words)),
];

fn read(store: &Store, words: &[&[u8]]) -> Result<List> {
    Ok(store.get::<List>(words[1])?.cloned().unwrap_or_default())
}

/// The index from the front; `None` when it is not in the list.
fn index(text: &[u8], len: usize) -> Result<Option<usize>> {
    let index = integer(text)?;
    let index = if index < 0 { index.saturating_add(len as i64) } else { index };
    Ok(usize::try_from(index).ok().filter(|index| *index < len))
}

fn changed_at(changed: &mut Changed, index: usize) {
    changed.element(format!("{index}"));
}

/// Triggers are told the indexes that the new elements have.
fn push(store: &mut Store, event: &'static str, words: &[&[u8]]) -> Result<Reply> {
    store.update(event, words[1], |list: &mut List, changed| {
        let is_front = event == "lpush";
        let first = if is_front { 0 } else { list.len() };
        for (at, value) in words[2..].iter().enumerate() {
            if is_front {
                list.push_front(value.to_vec());
            } else {
                list.push_back(value.to_vec());
            }
            changed_at(changed, first + at);
        }
        Ok(count(list.len()))
    })
}

/// Triggers are told the indexes that the elements had.
fn pop(store: &mut Store, event: &'static str, words: &[&[u8]]) -> Result<Reply> {
    let wanted = optional_count(&words[2..])?;
    if store.get::<List>(words[1])?.is_none() {
        return Ok(Reply::Nil);
    }
    store.update(event, words[1], |list: &mut List, changed| {
        let taken = wanted.unwrap_or(1).min(list.len());
        let is_front = event == "lpop";
        let start = if is_front { 0 } else { list.len() - taken };
        let mut values: Vec<Vec<u8>> = list.drain(start..start + taken).collect();
        (start..start + taken).for_each(|index| changed_at(changed, index));
        if !is_front {
            values.reverse();
        }
        Ok(if wanted.is_some() { bulks(&values) } else { bulk(values.first()) })
    })
}

fn set(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    if store.get::<List>(words[1])?.is_none() {
        return Err("ERR no such key".into());
    }
    store.update("lset", words[1], |list: &mut List, changed| {
        let index = index(words[2], list.len())?.ok_or("ERR index out of range")?;
        list[index] = words[3].into();
        changed_at(changed, index);
        Ok(Reply::OK)
    })
}

fn insert(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let behind = match words[2] {
        word if is(word, "BEFORE") => 0,
        word if is(word, "AFTER") => 1,
        _ => return Err(SYNTAX_ERROR.into()),
    };
    if store.get::<List>(words[1])?.is_none() {
        return Ok(Reply::Integer(0));
    }
    store.update("linsert", words[1], |list: &mut List, changed| {
        let Some(pivot) = list.iter().position(|value| value == words[3]) else {
            return Ok(Reply::Integer(-1));
        };
        list.insert(pivot + behind, words[4].into());
        changed_at(changed, pivot + behind);
        Ok(count(list.len()))
    })
}

/// Triggers are told the indexes that the elements had.
fn remove(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let wanted = integer(words[2])?;
    store.update("lrem", words[1], |list: &mut List, changed| {
        let equal = list.iter().enumerate().filter(|(_, value)| *value == words[3]);
        let mut indexes: Vec<usize> = equal.map(|(index, _)| index).collect();
        let limit = if wanted == 0 { indexes.len() } else { wanted.unsigned_abs() as usize };
        if wanted < 0 {
            indexes.drain(..indexes.len().saturating_sub(limit));
        } else {
            indexes.truncate(limit);
        }
        indexes.iter().for_each(|index| changed_at(changed, *index));
        indexes.iter().rev().for_each(|index| drop(list.remove(*index)));
        Ok(count(indexes.len()))
    })
}

/// It happens, and tells no elements, even when it removes none.
fn trim(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    store.update("ltrim", words[1], |list: &mut List, changed| {
        let kept = range(words[2], words[3], list.len())?;
        if !list.is_empty() {
            changed.touch();
        }
        list.truncate(kept.end);
        list.drain(..kept.start.min(list.len()));
        Ok(Reply::OK)
    })
}
