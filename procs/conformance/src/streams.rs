//! Streams, through every method of the SDK.

use kvasm_sdk::prelude::*;

/// Reads a stream; the ranges are from `first` to before `second`.
#[procedure]
pub fn stream_read(
    db: &Db,
    key: &[u8],
    method: &str,
    first: Option<&str>,
    second: Option<&str>,
) -> Result<Reply> {
    let stream = db.stream(key);
    let id = |word: Option<&str>| StreamId::parse(word.unwrap_or_default());
    match method {
        "get" => stream.get(id(first)?)?.into_reply(),
        "range" => stream.range(id(first)?..id(second)?)?.collect::<Vec<_>>().into_reply(),
        "rev" => stream.range(..)?.rev().collect::<Vec<_>>().into_reply(),
        "len" => stream.len()?.into_reply(),
        "is_empty" => stream.is_empty()?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Changes a stream.
#[procedure]
pub fn stream_write(db: &mut Db, key: &[u8], method: &str, words: &[&[u8]]) -> Result<Reply> {
    let now_ms = db.time_us() / 1000;
    let mut stream = db.stream_mut(key);
    let ids = || words.iter().map(StreamId::parse).collect::<Result<Vec<_>>>();
    let pairs = |words: &'_ [&[u8]]| {
        words.chunks_exact(2).map(|pair| (pair[0].to_vec(), pair[1].to_vec())).collect::<Vec<_>>()
    };
    match method {
        // Its id is that of this moment.
        "add" => (stream.add(pairs(words))?.ms == now_ms).into_reply(),
        "add_with_id" => stream.add_with_id(StreamId::parse(words[0])?, pairs(&words[1..]))?.into_reply(),
        "delete" => stream.delete(StreamId::parse(words[0])?)?.into_reply(),
        "delete_all" => stream.delete_all(ids()?)?.into_reply(),
        "trim_to" => stream.trim_to(core::str::from_utf8(words[0])?.parse()?)?.into_reply(),
        "trim_before" => stream.trim_before(StreamId::parse(words[0])?)?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Fills a stream with so many entries and reads it in pages; whether each came once, in order.
#[procedure]
pub fn stream_pages(db: &mut Db, key: &[u8], count: u32) -> Result<bool> {
    for number in 0..count {
        db.stream_mut(key).add([("number", number)])?;
    }
    let stream = db.stream(key);
    let expected = || (0..count).map(|number| number.to_string().into_bytes());
    let number = |entry: Entry| entry.get("number").unwrap_or_default().to_vec();
    Ok(stream.range(..)?.map(number).eq(expected())
        && stream.range(..)?.rev().map(number).eq(expected().rev()))
}
