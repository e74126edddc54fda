//! Sets, through every method of the SDK.

use kvasm_sdk::prelude::*;

/// Reads a set.
#[procedure]
pub fn set_read(db: &Db, key: &[u8], method: &str, words: &[&[u8]]) -> Result<Reply> {
    let set = db.set(key);
    let first = words.first().copied().unwrap_or_default();
    match method {
        "contains" => set.contains(first)?.into_reply(),
        "contains_each" => set.contains_each(words)?.into_reply(),
        "members" => sorted(set.members()?).into_reply(),
        "iter" => sorted(set.iter()?.collect()).into_reply(),
        "random" => set.random()?.into_reply(),
        "union" => sorted(set.union(words)?).into_reply(),
        "intersection" => sorted(set.intersection(words)?).into_reply(),
        "difference" => sorted(set.difference(words)?).into_reply(),
        "len" => set.len()?.into_reply(),
        "is_empty" => set.is_empty()?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Changes a set.
#[procedure]
pub fn set_write(db: &mut Db, key: &[u8], method: &str, words: &[&[u8]]) -> Result<Reply> {
    let mut set = db.set_mut(key);
    let first = words.first().copied().unwrap_or_default();
    match method {
        "add" => set.add(first)?.into_reply(),
        "add_all" => set.add_all(words)?.into_reply(),
        "remove" => set.remove(first)?.into_reply(),
        "remove_all" => set.remove_all(words)?.into_reply(),
        "pop" => set.pop()?.into_reply(),
        "move_to" => set.move_to(first, words[1])?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Fills a set with so many members and reads it in pages; whether each came once.
#[procedure]
pub fn set_pages(db: &mut Db, key: &[u8], count: u32) -> Result<bool> {
    let member = |number: u32| format!("member {number}");
    db.set_mut(key).add_all((0..count).map(member))?;
    let seen = sorted(db.set(key).iter()?.collect());
    Ok(seen == sorted((0..count).map(|number| member(number).into_bytes()).collect()))
}

fn sorted(mut members: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    members.sort_unstable();
    members
}
