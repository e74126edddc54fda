//! Lists, through every method of the SDK.

use kvasm_sdk::prelude::*;

/// Reads a list.
#[procedure]
pub fn list_read(db: &Db, key: &[u8], method: &str, word: Option<&str>) -> Result<Reply> {
    let list = db.list(key);
    let word = word.unwrap_or_default();
    match method {
        "get" => list.get(word.parse()?)?.into_reply(),
        "front" => list.front()?.into_reply(),
        "back" => list.back()?.into_reply(),
        "range" => list.range(word.parse::<usize>()?..)?.collect::<Vec<_>>().into_reply(),
        "range_to" => list.range(..word.parse::<usize>()?)?.collect::<Vec<_>>().into_reply(),
        "iter" => list.iter()?.collect::<Vec<_>>().into_reply(),
        "rev" => list.iter()?.rev().collect::<Vec<_>>().into_reply(),
        "position" => list.position(word)?.into_reply(),
        "len" => list.len()?.into_reply(),
        "is_empty" => list.is_empty()?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Changes a list.
#[procedure]
pub fn list_write(db: &mut Db, key: &[u8], method: &str, words: &[&[u8]]) -> Result<Reply> {
    let mut list = db.list_mut(key);
    let first = words.first().copied().unwrap_or_default();
    let index = |at: usize| {
        let word = words.get(at).copied().unwrap_or_default();
        Ok::<usize, Error>(core::str::from_utf8(word)?.parse()?)
    };
    match method {
        "push_back" => list.push_back(first)?.into_reply(),
        "push_back_all" => list.push_back_all(words)?.into_reply(),
        "push_front" => list.push_front(first)?.into_reply(),
        "push_front_all" => list.push_front_all(words)?.into_reply(),
        "pop_back" => list.pop_back()?.into_reply(),
        "pop_front" => list.pop_front()?.into_reply(),
        "set" => list.set(index(0)?, words[1])?.into_reply(),
        "remove" => list.remove(first)?.into_reply(),
        "trim" => list.trim(index(0)?..index(1)?)?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Fills a list with so many elements and reads it in pages from both ends; whether each came once, in order.
#[procedure]
pub fn list_pages(db: &mut Db, key: &[u8], count: u32) -> Result<bool> {
    db.list_mut(key).push_back_all(0..count)?;
    let list = db.list(key);
    let expected = || (0..count).map(|number| number.to_string().into_bytes());
    let (mut both, mut numbers) = (list.iter()?, expected());
    let mut meets = both.len() == count as usize;
    while let Some(front) = numbers.next() {
        meets &= both.next() == Some(front) && both.next_back() == numbers.next_back();
    }
    Ok(meets
        && both.next().is_none()
        && list.iter()?.eq(expected())
        && list.iter()?.rev().eq(expected().rev()))
}
