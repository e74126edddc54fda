//! Strings.

use alloc::format;
use alloc::vec::Vec;

use super::arguments::{SYNTAX_ERROR, bulk, integer, wrong_arity};
use super::{Row, reads, writes};
use crate::native::store::{Expiry, Store};
use crate::{Reply, Result};

/// The longest string of the server.
const MAX_STRING_BYTES: usize = 512 << 20;

pub const COMMANDS: &[Row] = &[
    writes("APPEND", 3, append),
    writes("DECR", 2, |store, words| add(store, "incrby", words[1], -1)),
    writes("DECRBY", 3, |store, words| {
        let delta = integer(words[2])?.checked_neg().ok_or("ERR decrement would overflow")?;
        add(store, "incrby", words[1], delta)
    }),
    reads("GET", 2, |store, words| Ok(bulk(store.get(words[1])?))),
    writes("GETDEL", 2, |store, words| {
        let reply = bulk(store.get(words[1])?);
        store.remove("del", words[1]);
        Ok(reply)
    }),
    reads("GETRANGE", 4, get_range),
    writes("INCR", 2, |store, words| add(store, "incrby", words[1], 1)),
    writes("INCRBY", 3, |store, words| add(store, "incrby", words[1], integer(words[2])?)),
    reads("MGET", -2, |store, words| {
        // A value of another type counts as missing.
        Ok(Reply::Array(words[1..].iter().map(|key| bulk(store.get(key).unwrap_or_default())).collect()))
    }),
    writes("MSET", -3, set_many),
    writes("PSETEX", 4, |store, words| set(store, &[b"SET", words[1], words[3], b"PX", words[2]])),
    writes("SET", -3, set),
    writes("SETEX", 4, |store, words| set(store, &[b"SET", words[1], words[3], b"EX", words[2]])),
    writes("SETNX", 3, |store, words| {
        let reply = set(store, &[b"SET", words[1], words[2], b"NX"])?;
        Ok(Reply::Integer(i64::from(!reply.is_nil())))
    }),
    writes("SETRANGE", 4, set_range),
    reads("STRLEN", 2, |store, words| Ok(Reply::Integer(length(&read(store, words[1])?)))),
];

/// The string at a key, empty when there is none.
fn read(store: &Store, key: &[u8]) -> Result<Vec<u8>> {
    Ok(store.get::<Vec<u8>>(key)?.cloned().unwrap_or_default())
}

fn append(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let mut value = read(store, words[1])?;
    string_end(value.len(), words[2])?;
    value.extend_from_slice(words[2]);
    let reply = Reply::Integer(length(&value));
    store.set("append", words[1], value, None);
    Ok(reply)
}

fn add(store: &mut Store, event: &'static str, key: &[u8], delta: i64) -> Result<Reply> {
    let value = store.get::<Vec<u8>>(key)?.map_or(Ok(0), |value| integer(value))?;
    let sum = value.checked_add(delta).ok_or("ERR increment or decrement would overflow")?;
    store.set(event, key, format!("{sum}").into_bytes(), None);
    Ok(Reply::Integer(sum))
}

fn get_range(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let (start, end) = (integer(words[2])?, integer(words[3])?);
    let value = read(store, words[1])?;
    let from_end = |index: i64| if index < 0 { index.saturating_add(length(&value)) } else { index };
    let both_before = start < 0 && end < 0 && start > end;
    let start = usize::try_from(from_end(start)).unwrap_or(0);
    let end = usize::try_from(from_end(end)).unwrap_or(0).min(value.len().saturating_sub(1));
    let part = if both_before { None } else { value.get(start..=end) };
    Ok(Reply::bulk(part.unwrap_or_default()))
}

fn set(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let (key, value) = (words[1], words[2]);
    let options = SetOptions::parse(&words[3..], store.now_ms())?;
    let old = if options.get { bulk(store.get(key)?) } else { Reply::Nil };
    let is_refused =
        if store.value(key).is_none() { options.only_if_exists } else { options.only_if_missing };
    if is_refused {
        return Ok(if options.get { old } else { Reply::Nil });
    }
    store.set("set", key, value.to_vec(), if options.keep_expiry { None } else { Some(Expiry::Never) });
    match options.expires_at_ms {
        Some(at_ms) if at_ms <= store.now_ms() => drop(store.remove("del", key)),
        Some(at_ms) => drop(store.set_expiry("expire", key, Some(at_ms))),
        None => {}
    }
    Ok(if options.get { old } else { Reply::OK })
}

/// The options of `SET`.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command, which go together in any way")]
struct SetOptions {
    only_if_exists: bool,
    only_if_missing: bool,
    get: bool,
    keep_expiry: bool,
    expires_at_ms: Option<u64>,
}

impl SetOptions {
    fn parse(words: &[&[u8]], now_ms: u64) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (unit_ms, base_ms) = match word.to_ascii_uppercase().as_slice() {
                b"NX" => {
                    options.only_if_missing = true;
                    continue;
                }
                b"XX" => {
                    options.only_if_exists = true;
                    continue;
                }
                b"GET" => {
                    options.get = true;
                    continue;
                }
                b"KEEPTTL" => {
                    options.keep_expiry = true;
                    continue;
                }
                b"EX" => (1000, now_ms),
                b"PX" => (1, now_ms),
                b"EXAT" => (1000, 0),
                b"PXAT" => (1, 0),
                _ => return Err(SYNTAX_ERROR.into()),
            };
            let time = integer(words.next().ok_or(SYNTAX_ERROR)?)?;
            let at_ms = time.checked_mul(unit_ms).and_then(|time| time.checked_add_unsigned(base_ms));
            let at_ms = at_ms.filter(|_| time > 0).ok_or("ERR invalid expire time in 'set' command")?;
            if options.expires_at_ms.replace(at_ms.cast_unsigned()).is_some() {
                return Err(SYNTAX_ERROR.into());
            }
        }
        let two_conditions = options.only_if_exists && options.only_if_missing;
        let two_expiries = options.keep_expiry && options.expires_at_ms.is_some();
        if two_conditions || two_expiries { Err(SYNTAX_ERROR.into()) } else { Ok(options) }
    }
}

fn set_many(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    if words.len().is_multiple_of(2) {
        return Err(wrong_arity("mset"));
    }
    for pair in words[1..].chunks(2) {
        store.set("set", pair[0], pair[1].to_vec(), Some(Expiry::Never));
    }
    Ok(Reply::OK)
}

fn set_range(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let offset = usize::try_from(integer(words[2])?).map_err(|_| "ERR offset is out of range")?;
    let mut value = read(store, words[1])?;
    if words[3].is_empty() {
        return Ok(Reply::Integer(length(&value)));
    }
    let end = string_end(offset, words[3])?;
    value.resize(value.len().max(end), 0);
    value[offset..end].copy_from_slice(words[3]);
    let reply = Reply::Integer(length(&value));
    store.set("setrange", words[1], value, None);
    Ok(reply)
}

/// Where a string ends when `added` is put at `offset`.
fn string_end(offset: usize, added: &[u8]) -> Result<usize> {
    let end = offset.checked_add(added.len()).filter(|end| *end <= MAX_STRING_BYTES);
    end.ok_or_else(|| "ERR string exceeds maximum allowed size (proto-max-bulk-len)".into())
}

fn length(value: &[u8]) -> i64 {
    value.len() as i64
}
