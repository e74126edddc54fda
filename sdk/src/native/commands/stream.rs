//! Streams, without consumer groups.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{SYNTAX_ERROR, bulks, count, integer, is, wrong_arity};
use super::{Row, reads, writes};
use crate::native::store::Store;
use crate::native::value::Stream;
use crate::{Error, IntoReply, Reply, Result, StreamId};

pub const COMMANDS: &[Row] = &[
    writes("XADD", -5, add),
    writes("XDEL", -3, |store, words| {
        let ids = words[2..].iter().map(|id| bound(id, 0)).collect::<Result<Vec<_>>>()?;
        store.update("xdel", words[1], |stream: &mut Stream, changed| {
            let mut gone = 0;
            for id in ids {
                if stream.entries.remove(&id).is_some() {
                    changed.element(id.to_string());
                    gone += 1;
                }
            }
            Ok(count(gone))
        })
    }),
    reads("XLEN", 2, |store, words| Ok(count(read(store, words)?.entries.len()))),
    reads("XRANGE", -4, |store, words| range(store, words, false)),
    reads("XREVRANGE", -4, |store, words| range(store, words, true)),
    writes("XTRIM", -4, |store, words| {
        let (kept, rest) = Kept::parse(&words[2..])?.ok_or(SYNTAX_ERROR)?;
        if rest.is_empty() { trim(store, words[1], kept).map(count) } else { Err(SYNTAX_ERROR.into()) }
    }),
];

type Words<'a> = &'a [&'a [u8]];

/// What trimming leaves.
#[derive(Clone, Copy)]
enum Kept {
    Last(usize),
    From(StreamId),
}

impl Kept {
    /// `MAXLEN | MINID`, perhaps `=`, and how much; `None` when the words do not begin so. What follows them, too.
    fn parse(words: Words<'_>) -> Result<Option<(Self, Words<'_>)>> {
        let [option, words @ ..] = words else { return Ok(None) };
        let is_length = is(option, "MAXLEN");
        if !is_length && !is(option, "MINID") {
            return Ok(None);
        }
        let (threshold, rest) = match words {
            [b"~", ..] => {
                return Err(
                    "ERR the test database trims streams exactly, not with '~': test it with a server".into(),
                );
            }
            [b"=", threshold, rest @ ..] | [threshold, rest @ ..] => (threshold, rest),
            [] => return Err(SYNTAX_ERROR.into()),
        };
        let kept = if is_length {
            let len = usize::try_from(integer(threshold)?);
            Self::Last(len.map_err(|_| "ERR The MAXLEN argument must be >= 0.")?)
        } else {
            Self::From(bound(threshold, 0)?)
        };
        Ok(Some((kept, rest)))
    }
}

fn read<'s>(store: &'s Store, words: &[&[u8]]) -> Result<Cow<'s, Stream>> {
    let stream = store.get::<Stream>(words[1])?;
    Ok(stream.map_or_else(|| Cow::Owned(Stream::default()), Cow::Borrowed))
}

fn add(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let mut rest = &words[2..];
    let may_create = !is(rest[0], "NOMKSTREAM");
    if !may_create {
        rest = &rest[1..];
    }
    let mut kept = None;
    if let Some((parsed, behind)) = Kept::parse(rest)? {
        (kept, rest) = (Some(parsed), behind);
    }
    let [wanted, fields @ ..] = rest else { return Err(wrong_arity("xadd")) };
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(wrong_arity("xadd"));
    }
    let last_id = match store.get::<Stream>(words[1])? {
        Some(stream) => stream.last_id,
        None if may_create => StreamId::MIN,
        None => return Ok(Reply::Nil),
    };
    let id = new_id(wanted, last_id, store.now_ms())?;
    store.update("xadd", words[1], |stream: &mut Stream, changed| {
        stream.entries.insert(id, fields.iter().map(|word| word.to_vec()).collect());
        stream.last_id = id;
        changed.element(id.to_string());
        Ok(())
    })?;
    if let Some(kept) = kept {
        trim(store, words[1], kept)?;
    }
    id.into_reply()
}

/// The id that a new entry gets, by `*`, `ms-*`, `ms` or `ms-sequence`.
fn new_id(wanted: &[u8], last: StreamId, now_ms: u64) -> Result<StreamId> {
    let too_low = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    let id = match wanted.strip_suffix(b"*") {
        Some(b"") => Some(StreamId::at_ms(now_ms)).filter(|id| *id > last).or(last.next()),
        Some(ms) => {
            let ms = bound(ms.strip_suffix(b"-").ok_or(INVALID_ID)?, 0)?.ms;
            if ms == last.ms { last.next().filter(|next| next.ms == ms) } else { Some(StreamId::at_ms(ms)) }
        }
        None => Some(bound(wanted, 0)?),
    };
    match id {
        Some(StreamId::MIN) => Err("ERR The ID specified in XADD must be greater than 0-0".into()),
        Some(id) if id > last => Ok(id),
        _ => Err(too_low.into()),
    }
}

/// How many entries it removed. Triggers are not told which.
fn trim(store: &mut Store, key: &[u8], kept: Kept) -> Result<usize> {
    store.update("xtrim", key, |stream: &mut Stream, changed| {
        let before = stream.entries.len();
        match kept {
            Kept::Last(len) => {
                while stream.entries.len() > len {
                    stream.entries.pop_first();
                }
            }
            Kept::From(id) => stream.entries = stream.entries.split_off(&id),
        }
        let removed = before - stream.entries.len();
        if removed > 0 {
            changed.touch();
        }
        Ok(removed)
    })
}

fn range(store: &mut Store, words: &[&[u8]], is_reverse: bool) -> Result<Reply> {
    let (low, high) = if is_reverse { (words[3], words[2]) } else { (words[2], words[3]) };
    let (low, high) = (lowest(low)?, highest(high)?);
    let limit = match words[4..] {
        [] => usize::MAX,
        [option, limit] if is(option, "COUNT") => usize::try_from(integer(limit)?).unwrap_or(0),
        _ => return Err(SYNTAX_ERROR.into()),
    };
    let stream = read(store, words)?;
    if limit == 0 && store.value(words[1]).is_some() {
        return Ok(Reply::Nil);
    }
    if low > high {
        return Ok(Reply::Array(Vec::new()));
    }
    let reply =
        |(id, fields): (&StreamId, &Vec<Vec<u8>>)| Ok(Reply::Array(vec![(*id).into_reply()?, bulks(fields)]));
    let entries = stream.entries.range(low..=high);
    let found: Result<Vec<_>> = if is_reverse {
        entries.rev().take(limit).map(reply).collect()
    } else {
        entries.take(limit).map(reply).collect()
    };
    found.map(Reply::Array)
}

const INVALID_ID: &str = "ERR Invalid stream ID specified as stream command argument";

fn lowest(text: &[u8]) -> Result<StreamId> {
    match text.strip_prefix(b"(") {
        None if text == b"-" => Ok(StreamId::MIN),
        None if text == b"+" => Ok(StreamId::MAX),
        None => bound(text, 0),
        Some(text) => {
            bound(text, 0)?.next().ok_or_else(|| Error::from("ERR invalid start ID for the interval"))
        }
    }
}

fn highest(text: &[u8]) -> Result<StreamId> {
    match text.strip_prefix(b"(") {
        None if text == b"-" => Ok(StreamId::MIN),
        None if text == b"+" => Ok(StreamId::MAX),
        None => bound(text, u64::MAX),
        Some(text) => bound(text, u64::MAX)?
            .previous()
            .ok_or_else(|| Error::from("ERR invalid end ID for the interval")),
    }
}

/// An id of which the sequence may be missing.
fn bound(text: &[u8], sequence: u64) -> Result<StreamId> {
    let text = core::str::from_utf8(text).map_err(|_| INVALID_ID)?;
    match text.parse() {
        Ok(ms) => Ok(StreamId { ms, sequence }),
        Err(_) => StreamId::parse(text).map_err(|_| INVALID_ID.into()),
    }
}
