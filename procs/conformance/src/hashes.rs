//! Hashes, through every method of the SDK.

use kvasm_sdk::prelude::*;

/// Reads a hash.
#[procedure]
pub fn hash_read(db: &Db, key: &[u8], method: &str, fields: &[&[u8]]) -> Result<Reply> {
    let hash = db.hash(key);
    let first = fields.first().copied().unwrap_or_default();
    match method {
        "get" => hash.get(first)?.into_reply(),
        "get_many" => hash.get_many(fields)?.into_reply(),
        "get_all" => sorted(hash.get_all()?).into_reply(),
        "iter" => sorted(hash.iter()?.collect()).into_reply(),
        "fields" => sorted(hash.fields()?).into_reply(),
        "values" => sorted(hash.values()?).into_reply(),
        "contains" => hash.contains(first)?.into_reply(),
        "len" => hash.len()?.into_reply(),
        "is_empty" => hash.is_empty()?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Changes a hash.
#[procedure]
pub fn hash_write(db: &mut Db, key: &[u8], method: &str, words: &[&[u8]]) -> Result<Reply> {
    let mut hash = db.hash_mut(key);
    let (first, second) =
        (words.first().copied().unwrap_or_default(), words.get(1).copied().unwrap_or_default());
    match method {
        "set" => hash.set(first, second)?.into_reply(),
        "set_all" => hash.set_all(words.chunks_exact(2).map(|pair| (pair[0], pair[1])))?.into_reply(),
        "set_if_absent" => hash.set_if_absent(first, second)?.into_reply(),
        "increment" => hash.increment(first, core::str::from_utf8(second)?.parse()?)?.into_reply(),
        "delete" => hash.delete(first)?.into_reply(),
        "delete_all" => hash.delete_all(words)?.into_reply(),
        // Its own writes are read by what writes, too.
        "get" => hash.get(first)?.into_reply(),
        other => Err(format!("there is no {other}").into()),
    }
}

/// Fills a hash with so many fields and reads it in pages; whether each came once.
#[procedure]
pub fn hash_pages(db: &mut Db, key: &[u8], count: u32) -> Result<bool> {
    db.hash_mut(key).set_all((0..count).map(|number| (number, 2 * number)))?;
    let mut seen = vec![0; count as usize];
    for (field, value) in db.hash(key).iter()? {
        let number = |text: Vec<u8>| Ok::<u32, Error>(core::str::from_utf8(&text)?.parse()?);
        let (field, value) = (number(field)?, number(value)?);
        seen[field as usize] += value - 2 * field + 1;
    }
    Ok(seen.iter().all(|times| *times == 1))
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items
}
