//! Hashes.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{bulk, bulks, count, flag, integer, lower, pairs, read_integer};
use super::scan::scan;
use super::{Row, reads, writes};
use crate::native::store::Store;
use crate::native::value::Hash;
use crate::{Reply, Result};

pub const COMMANDS: &[Row] = &[
    writes("HDEL", -3, |store, words| {
        store.update("hdel", words[1], |hash: &mut Hash, changed| {
            let gone = words[2..].iter().filter(|field| {
                let existed = hash.remove(**field).is_some();
                if existed {
                    changed.element(**field);
                }
                existed
            });
            Ok(count(gone.count()))
        })
    }),
    reads("HEXISTS", 3, |store, words| Ok(flag(read(store, words)?.contains_key(words[2])))),
    reads("HGET", 3, |store, words| Ok(bulk(read(store, words)?.get(words[2])))),
    reads("HGETALL", 2, |store, words| {
        let pair = |(field, value): (&Vec<u8>, &Vec<u8>)| (Reply::bulk(&**field), Reply::bulk(&**value));
        Ok(Reply::Map(read(store, words)?.iter().map(pair).collect()))
    }),
    writes("HINCRBY", 4, increment),
    reads("HKEYS", 2, |store, words| Ok(bulks(read(store, words)?.keys()))),
    reads("HLEN", 2, |store, words| Ok(count(read(store, words)?.len()))),
    reads("HMGET", -3, |store, words| {
        let hash = read(store, words)?;
        Ok(Reply::Array(words[2..].iter().map(|field| bulk(hash.get(*field))).collect()))
    }),
    writes("HMSET", -4, |store, words| set(store, words).map(|_| Reply::OK)),
    reads("HSCAN", -3, |store, words| {
        scan(words, read(store, words)?, |(field, _)| field, |(field, value)| vec![field, value])
    }),
    writes("HSET", -4, |store, words| set(store, words).map(count)),
    writes("HSETNX", 4, |store, words| {
        let is_new = !read(store, words)?.contains_key(words[2]);
        if is_new {
            set(store, words)?;
        }
        Ok(flag(is_new))
    }),
    reads("HSTRLEN", 3, |store, words| Ok(count(read(store, words)?.get(words[2]).map_or(0, Vec::len)))),
    reads("HVALS", 2, |store, words| Ok(bulks(read(store, words)?.values()))),
];

fn read(store: &Store, words: &[&[u8]]) -> Result<Hash> {
    Ok(store.get::<Hash>(words[1])?.cloned().unwrap_or_default())
}

/// How many of the fields are new.
fn set(store: &mut Store, words: &[&[u8]]) -> Result<usize> {
    let name = lower(words[0]);
    let fields = pairs(&name, &words[2..])?;
    store.update("hset", words[1], |hash: &mut Hash, changed| {
        let mut new = 0;
        for (field, value) in fields {
            new += usize::from(hash.insert(field.into(), value.into()).is_none());
            changed.element(field);
        }
        Ok(new)
    })
}

fn increment(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let delta = integer(words[3])?;
    store.update("hincrby", words[1], |hash: &mut Hash, changed| {
        let value = hash.get(words[2]).map_or(Some(0), |value| read_integer(value));
        let value = value.ok_or("ERR hash value is not an integer")?;
        let sum = value.checked_add(delta).ok_or("ERR increment or decrement would overflow")?;
        hash.insert(words[2].into(), format!("{sum}").into_bytes());
        changed.element(words[2]);
        Ok(Reply::Integer(sum))
    })
}
