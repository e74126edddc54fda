//! Keys with values of any type, and their expiry.

use alloc::format;
use alloc::string::String;

use super::arguments::{count, flag, integer, is};
use super::{Row, reads, writes};
use crate::native::store::{Expiry, Store};
use crate::native::value::Value;
use crate::{Error, Reply, Result};

pub const COMMANDS: &[Row] = &[
    writes("DEL", -2, delete),
    reads("EXISTS", -2, |store, words| {
        Ok(count(words[1..].iter().filter(|key| store.value(key).is_some()).count()))
    }),
    writes("EXPIRE", -3, |store, words| expire(store, words, 1000, true)),
    writes("EXPIREAT", -3, |store, words| expire(store, words, 1000, false)),
    reads("EXPIRETIME", 2, |store, words| Ok(expiry(store, words[1], |at, _| at / 1000))),
    writes("PERSIST", 2, |store, words| {
        let had = matches!(store.expiry(words[1]), Some(Expiry::AtMs(_)));
        Ok(flag(had && store.set_expiry("persist", words[1], None)))
    }),
    writes("PEXPIRE", -3, |store, words| expire(store, words, 1, true)),
    writes("PEXPIREAT", -3, |store, words| expire(store, words, 1, false)),
    reads("PEXPIRETIME", 2, |store, words| Ok(expiry(store, words[1], |at, _| at))),
    reads("PTTL", 2, |store, words| Ok(expiry(store, words[1], |at, now| at - now))),
    writes("RENAME", 3, rename),
    reads("TTL", 2, |store, words| Ok(expiry(store, words[1], |at, now| (at - now + 500) / 1000))),
    reads("TYPE", 2, |store, words| {
        Ok(Reply::Status(store.value(words[1]).map_or("none", Value::type_name).into()))
    }),
    writes("UNLINK", -2, delete),
];

fn delete(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    Ok(count(words[1..].iter().filter(|key| store.remove("del", key).is_some()).count()))
}

/// `unit_ms` is the unit of the number given, which counts from now or from 1970.
fn expire(store: &mut Store, words: &[&[u8]], unit_ms: i64, from_now: bool) -> Result<Reply> {
    let now_ms = store.now_ms();
    let condition = Condition::parse(&words[3..])?;
    let base_ms = if from_now { now_ms.cast_signed() } else { 0 };
    let at = integer(words[2])?.checked_mul(unit_ms).and_then(|time| time.checked_add(base_ms));
    let at = at.ok_or_else(|| {
        let name = String::from_utf8_lossy(words[0]).to_ascii_lowercase();
        Error::new(format!("ERR invalid expire time in '{name}' command"))
    })?;
    let at_ms = u64::try_from(at).unwrap_or(0);
    if !store.expiry(words[1]).is_some_and(|present| condition.allows(present, at_ms)) {
        return Ok(flag(false));
    }
    if at_ms <= now_ms {
        store.remove("del", words[1]);
    } else {
        store.set_expiry("expire", words[1], Some(at_ms));
    }
    Ok(flag(true))
}

/// When an expiry is set, depending on the present one.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
struct Condition {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Condition {
    fn parse(words: &[&[u8]]) -> Result<Self> {
        let mut condition = Self::default();
        for word in words {
            let flag = match *word {
                word if is(word, "NX") => &mut condition.only_without,
                word if is(word, "XX") => &mut condition.only_with,
                word if is(word, "GT") => &mut condition.only_later,
                word if is(word, "LT") => &mut condition.only_earlier,
                word => {
                    let word = String::from_utf8_lossy(word);
                    return Err(Error::new(format!("ERR Unsupported option {word}")));
                }
            };
            *flag = true;
        }
        if condition.only_without && (condition.only_with || condition.only_later || condition.only_earlier) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if condition.only_later && condition.only_earlier {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(condition)
    }

    /// A key without an expiry counts as one that expires after all others.
    fn allows(&self, present: Expiry, at_ms: u64) -> bool {
        match present {
            Expiry::Never => !self.only_with && !self.only_later,
            Expiry::AtMs(present_ms) => {
                !self.only_without
                    && (!self.only_later || at_ms > present_ms)
                    && (!self.only_earlier || at_ms < present_ms)
            }
        }
    }
}

/// -2 without the key, -1 without an expiry, else what `read` makes of the expiry and the present in milliseconds.
fn expiry(store: &Store, key: &[u8], read: fn(i64, i64) -> i64) -> Reply {
    Reply::Integer(match store.expiry(key) {
        None => -2,
        Some(Expiry::Never) => -1,
        Some(Expiry::AtMs(at)) => read(at.cast_signed(), store.now_ms().cast_signed()),
    })
}

fn rename(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let expiry = store.expiry(words[1]).ok_or("ERR no such key")?;
    if words[1] != words[2]
        && let Some(value) = store.remove("rename_from", words[1])
    {
        store.set("rename_to", words[2], value, Some(expiry));
    }
    Ok(Reply::OK)
}
