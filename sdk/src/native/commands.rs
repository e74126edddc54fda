//! The commands that the test database understands, with the errors of Redis.

use alloc::format;
use alloc::string::String;

use super::store::{Expiry, Store};
use crate::{Error, Reply, Result};

/// The longest string of the server.
const MAX_STRING_BYTES: usize = 512 << 20;

const SYNTAX_ERROR: &str = "ERR syntax error";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

/// `words` begins with the name, in upper case.
type Run = fn(&mut Store, words: &[&[u8]]) -> Result<Reply>;

struct Row {
    name: &'static str,
    /// The number of words, the name included; negative for a least number.
    arity: isize,
    writes: bool,
    run: Run,
}

const fn reads(name: &'static str, arity: isize, run: Run) -> Row {
    Row { name, arity, writes: false, run }
}

const fn writes(name: &'static str, arity: isize, run: Run) -> Row {
    Row { name, arity, writes: true, run }
}

const TABLE: &[Row] = &[
    writes("APPEND", 3, append),
    writes("DECR", 2, |store, words| add(store, "decrby", words[1], -1)),
    writes("DECRBY", 3, |store, words| {
        let delta = integer(words[2])?.checked_neg().ok_or("ERR decrement would overflow")?;
        add(store, "decrby", words[1], delta)
    }),
    writes("DEL", -2, |store, words| Ok(count(&words[1..], |key| store.remove("del", key).is_some()))),
    reads("EXISTS", -2, |store, words| Ok(count(&words[1..], |key| store.get(key).is_some()))),
    writes("EXPIRE", 3, |store, words| expire(store, words, 1000, true)),
    writes("EXPIREAT", 3, |store, words| expire(store, words, 1000, false)),
    reads("EXPIRETIME", 2, |store, words| Ok(expiry(store, words[1], |at, _| at / 1000))),
    reads("GET", 2, |store, words| Ok(bulk(store.get(words[1])))),
    writes("GETDEL", 2, |store, words| Ok(bulk(store.remove("del", words[1]).as_deref()))),
    reads("GETRANGE", 4, get_range),
    writes("INCR", 2, |store, words| add(store, "incrby", words[1], 1)),
    writes("INCRBY", 3, |store, words| add(store, "incrby", words[1], integer(words[2])?)),
    reads("MGET", -2, |store, words| {
        Ok(Reply::Array(words[1..].iter().map(|key| bulk(store.get(key))).collect()))
    }),
    writes("MSET", -3, set_many),
    writes("PERSIST", 2, |store, words| {
        let had = matches!(store.expiry(words[1]), Some(Expiry::AtMs(_)));
        Ok(Reply::Integer(i64::from(had && store.set_expiry("persist", words[1], None))))
    }),
    writes("PEXPIRE", 3, |store, words| expire(store, words, 1, true)),
    writes("PEXPIREAT", 3, |store, words| expire(store, words, 1, false)),
    reads("PEXPIRETIME", 2, |store, words| Ok(expiry(store, words[1], |at, _| at))),
    writes("PSETEX", 4, |store, words| set(store, &[b"SET", words[1], words[3], b"PX", words[2]])),
    reads("PTTL", 2, |store, words| Ok(expiry(store, words[1], |at, now| at - now))),
    writes("RENAME", 3, rename),
    writes("SET", -3, set),
    writes("SETEX", 4, |store, words| set(store, &[b"SET", words[1], words[3], b"EX", words[2]])),
    writes("SETNX", 3, |store, words| {
        let reply = set(store, &[b"SET", words[1], words[2], b"NX"])?;
        Ok(Reply::Integer(i64::from(!reply.is_nil())))
    }),
    writes("SETRANGE", 4, set_range),
    reads("STRLEN", 2, |store, words| Ok(Reply::Integer(store.get(words[1]).map_or(0, length)))),
    reads("TTL", 2, |store, words| Ok(expiry(store, words[1], |at, now| (at - now + 500) / 1000))),
    reads("TYPE", 2, |store, words| {
        Ok(Reply::Status(if store.get(words[1]).is_some() { "string" } else { "none" }.into()))
    }),
    writes("UNLINK", -2, |store, words| Ok(count(&words[1..], |key| store.remove("del", key).is_some()))),
];

/// Runs one command. `Err` when it is not known here, or fails as it would in the server.
pub fn run(store: &mut Store, words: &[&[u8]], may_write: bool) -> Result<Reply> {
    let name = String::from_utf8_lossy(words.first().copied().unwrap_or_default());
    let Some(row) = TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(&name)) else {
        return Err(Error::new(format!(
            "ERR the test database has no command '{name}': test it with a server"
        )));
    };
    let count = words.len().cast_signed();
    if if row.arity < 0 { count < -row.arity } else { count != row.arity } {
        let name = row.name.to_ascii_lowercase();
        return Err(Error::new(format!("ERR wrong number of arguments for '{name}' command")));
    }
    if row.writes && !may_write {
        return Err("ERR Write commands are not allowed from read-only scripts.".into());
    }
    (row.run)(store, words)
}

fn append(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let mut value = store.get(words[1]).unwrap_or_default().to_vec();
    string_end(value.len(), words[2])?;
    value.extend_from_slice(words[2]);
    let reply = Reply::Integer(length(&value));
    store.set("append", words[1], value, None);
    Ok(reply)
}

fn add(store: &mut Store, event: &'static str, key: &[u8], delta: i64) -> Result<Reply> {
    let value = store.get(key).map_or(Ok(0), integer)?;
    let sum = value.checked_add(delta).ok_or("ERR increment or decrement would overflow")?;
    store.set(event, key, format!("{sum}").into_bytes(), None);
    Ok(Reply::Integer(sum))
}

/// `unit_ms` is the unit of the number given, which counts from now or from 1970.
fn expire(store: &mut Store, words: &[&[u8]], unit_ms: i64, from_now: bool) -> Result<Reply> {
    let now_ms = store.now_ms();
    let base_ms = if from_now { now_ms.cast_signed() } else { 0 };
    let at = integer(words[2])?.checked_mul(unit_ms).and_then(|time| time.checked_add(base_ms));
    let at = at.ok_or_else(|| {
        let name = String::from_utf8_lossy(words[0]).to_ascii_lowercase();
        Error::new(format!("ERR invalid expire time in '{name}' command"))
    })?;
    let at_ms = u64::try_from(at).unwrap_or(0);
    let existed = if at_ms <= now_ms {
        store.remove("del", words[1]).is_some()
    } else {
        store.set_expiry("expire", words[1], Some(at_ms))
    };
    Ok(Reply::Integer(i64::from(existed)))
}

/// -2 without the key, -1 without an expiry, else what `read` makes of the expiry and the present in milliseconds.
fn expiry(store: &Store, key: &[u8], read: fn(i64, i64) -> i64) -> Reply {
    Reply::Integer(match store.expiry(key) {
        None => -2,
        Some(Expiry::Never) => -1,
        Some(Expiry::AtMs(at)) => read(at.cast_signed(), store.now_ms().cast_signed()),
    })
}

fn get_range(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let (start, end) = (integer(words[2])?, integer(words[3])?);
    let value = store.get(words[1]).unwrap_or_default();
    let from_end = |index: i64| if index < 0 { index.saturating_add(length(value)) } else { index };
    let both_before = start < 0 && end < 0 && start > end;
    let start = usize::try_from(from_end(start)).unwrap_or(0);
    let end = usize::try_from(from_end(end)).unwrap_or(0).min(value.len().saturating_sub(1));
    let part = if both_before { None } else { value.get(start..=end) };
    Ok(Reply::bulk(part.unwrap_or_default()))
}

fn rename(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let expiry = store.expiry(words[1]).ok_or("ERR no such key")?;
    let value = store.get(words[1]).unwrap_or_default().to_vec();
    if words[1] != words[2] {
        store.remove("rename_from", words[1]);
        store.set("rename_to", words[2], value, Some(expiry));
    }
    Ok(Reply::OK)
}

fn set(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let (key, value) = (words[1], words[2]);
    let options = SetOptions::parse(&words[3..], store.now_ms())?;
    let old = bulk(store.get(key));
    let is_refused = if old.is_nil() { options.only_if_exists } else { options.only_if_missing };
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
        return Err("ERR wrong number of arguments for 'mset' command".into());
    }
    for pair in words[1..].chunks(2) {
        store.set("set", pair[0], pair[1].to_vec(), Some(Expiry::Never));
    }
    Ok(Reply::OK)
}

fn set_range(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let offset = usize::try_from(integer(words[2])?).map_err(|_| "ERR offset is out of range")?;
    let mut value = store.get(words[1]).unwrap_or_default().to_vec();
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

fn count(keys: &[&[u8]], mut test: impl FnMut(&[u8]) -> bool) -> Reply {
    Reply::Integer(keys.iter().filter(|key| test(key)).count() as i64)
}

fn bulk(value: Option<&[u8]>) -> Reply {
    value.map_or(Reply::Nil, Reply::bulk)
}

fn length(value: &[u8]) -> i64 {
    value.len() as i64
}

/// As Redis reads integers: no plus sign, no leading zero, no space.
fn integer(text: &[u8]) -> Result<i64> {
    let number: Option<i64> = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let canonical = number.filter(|number| format!("{number}").as_bytes() == text);
    canonical.ok_or_else(|| NOT_AN_INTEGER.into())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_every_name_once() {
        let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        assert!(names.is_sorted_by(|first, second| first < second), "{names:?}");
    }

    /// Runs lines of words separated by spaces, `""` being the empty word; the replies are those of redis-server 7.0.
    fn check(lines: &[(&str, &str)]) {
        let mut store = Store::new(1_700_000_000_000_000);
        for (line, expected) in lines {
            let words: Vec<&[u8]> =
                line.split(' ').map(|word| if word == "\"\"" { &[][..] } else { word.as_bytes() }).collect();
            let reply = run(&mut store, &words, true).unwrap_or_else(Reply::Error).encode();
            let reply = String::from_utf8(reply).unwrap().trim_end().replace("\r\n", " ");
            assert_eq!(&reply, expected, "{line}");
        }
    }

    #[test]
    fn strings_behave_as_in_redis() {
        check(&[
            ("GET k", "_"),
            ("set k v", "+OK"),
            ("GET k", "$1 v"),
            ("APPEND k w", ":2"),
            ("STRLEN k", ":2"),
            ("SETRANGE k 4 x", ":5"),
            ("GETRANGE k 0 1", "$2 vw"),
            ("GETRANGE k -1 -1", "$1 x"),
            ("GETRANGE k -1 -3", "$0"),
            ("GETRANGE k 3 99", "$2 \0x"),
            ("GETRANGE nothing 0 -1", "$0"),
            ("SETRANGE nothing 0 \"\"", ":0"),
            ("SETRANGE k -1 x", "-ERR offset is out of range"),
            ("SETRANGE k 536870912 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
            ("MSET a 1 b 2", "+OK"),
            ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
            ("MGET a none b", "*3 $1 1 _ $1 2"),
            ("SETNX a 9", ":0"),
            ("GETDEL a", "$1 1"),
            ("EXISTS a b b", ":2"),
            ("TYPE b", "+string"),
            ("RENAME b c", "+OK"),
            ("RENAME b c", "-ERR no such key"),
            ("DEL b c k", ":2"),
            ("GET", "-ERR wrong number of arguments for 'get' command"),
            ("HSET h f v", "-ERR the test database has no command 'HSET': test it with a server"),
        ]);
    }

    #[test]
    fn numbers_behave_as_in_redis() {
        check(&[
            ("INCR n", ":1"),
            ("INCRBY n 9", ":10"),
            ("DECR n", ":9"),
            ("DECRBY n -1", ":10"),
            ("INCRBY n 9223372036854775800", "-ERR increment or decrement would overflow"),
            ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
            ("INCRBY n 01", "-ERR value is not an integer or out of range"),
            ("SET n +1", "+OK"),
            ("INCR n", "-ERR value is not an integer or out of range"),
        ]);
    }

    #[test]
    fn set_has_all_its_options() {
        check(&[
            ("SET k 1 XX", "_"),
            ("SET k 1 NX EX 10", "+OK"),
            ("SET k 2 NX", "_"),
            ("SET k 2 NX GET", "$1 1"),
            ("SET k 2 XX KEEPTTL GET", "$1 1"),
            ("TTL k", ":10"),
            ("SET k 3", "+OK"),
            ("PTTL k", ":-1"),
            ("SET k 3 PXAT 1700000001500", "+OK"),
            ("PTTL k", ":1500"),
            ("SET k 3 EXAT 1", "+OK"),
            ("EXISTS k", ":0"),
            ("SET k 3 NX XX", "-ERR syntax error"),
            ("SET k 3 EX 1 PX 1", "-ERR syntax error"),
            ("SET k 3 EX 1 KEEPTTL", "-ERR syntax error"),
            ("SET k 3 EX", "-ERR syntax error"),
            ("SET k 3 EX 0", "-ERR invalid expire time in 'set' command"),
            ("SET k 3 EX x", "-ERR value is not an integer or out of range"),
            ("SETEX k 5 v", "+OK"),
            ("PSETEX k 5000 v", "+OK"),
            ("PEXPIRETIME k", ":1700000005000"),
        ]);
    }

    #[test]
    fn expiry_behaves_as_in_redis() {
        check(&[
            ("EXPIRE k 1", ":0"),
            ("TTL k", ":-2"),
            ("SET k v", "+OK"),
            ("EXPIRE k 10", ":1"),
            ("EXPIRETIME k", ":1700000010"),
            ("PERSIST k", ":1"),
            ("PERSIST k", ":0"),
            ("PEXPIREAT k 1700000000001", ":1"),
            ("PTTL k", ":1"),
            ("APPEND k w", ":2"),
            ("PTTL k", ":1"),
            ("EXPIREAT k 9223372036854775807", "-ERR invalid expire time in 'expireat' command"),
            ("PEXPIRE k -1", ":1"),
            ("EXISTS k", ":0"),
        ]);
    }

    #[test]
    fn a_reading_call_cannot_write() {
        let mut store = Store::new(0);
        for row in TABLE {
            let words = std::vec![row.name.as_bytes(); row.arity.unsigned_abs()];
            let refused = run(&mut store, &words, false).is_err_and(|error| {
                error.text() == "ERR Write commands are not allowed from read-only scripts."
            });
            assert_eq!(refused, row.writes, "{}", row.name);
        }
    }
}
