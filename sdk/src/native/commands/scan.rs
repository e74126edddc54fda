//! `HSCAN` and `SSCAN`: the elements in pages.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{SYNTAX_ERROR, integer, is};
use crate::native::glob;
use crate::{Reply, Result};

/// Few elements are given in one page, whatever is asked for, as Redis does with its compact encodings.
const SINGLE_PAGE: usize = 128;

/// The page of `elements` that the words ask for. `name_of` is what a pattern is matched against, `words_of` what is
/// given of an element.
///
/// Elements come in the order of a hash of their names, of which the cursor is the next: so an element that stays is
/// given, whatever comes and goes in between.
pub fn scan<T>(
    words: &[&[u8]],
    elements: impl IntoIterator<Item = T>,
    name_of: fn(&T) -> &Vec<u8>,
    words_of: fn(T) -> Vec<Vec<u8>>,
) -> Result<Reply> {
    let cursor = core::str::from_utf8(words[2]).ok().and_then(|text| text.parse::<u64>().ok());
    let cursor = cursor.ok_or("ERR invalid cursor")?;
    let (mut pattern, mut count) = (None, 10);
    for option in words[3..].chunks(2) {
        match *option {
            [name, value] if is(name, "MATCH") => pattern = Some(value),
            [name, value] if is(name, "COUNT") => count = integer(value)?,
            _ => return Err(SYNTAX_ERROR.into()),
        }
    }
    let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(SYNTAX_ERROR)?;
    let mut elements: Vec<(u64, T)> =
        elements.into_iter().map(|element| (hash(name_of(&element)), element)).collect();
    let count = if elements.len() <= SINGLE_PAGE { SINGLE_PAGE } else { count };
    elements.sort_by_key(|(hash, _)| *hash);
    elements.retain(|(hash, _)| *hash >= cursor);
    let next = elements.get(count).map_or(0, |(hash, _)| *hash);
    let page = elements.into_iter().filter(|(hash, _)| next == 0 || *hash < next);
    let page =
        page.filter(|(_, element)| pattern.is_none_or(|pattern| glob::matches(pattern, name_of(element))));
    let words = page.flat_map(|(_, element)| words_of(element)).map(Reply::Bulk);
    Ok(Reply::Array(vec![Reply::bulk(format!("{next}")), Reply::Array(words.collect())]))
}

/// FNV-1a, of 48 bits, since some clients keep cursors in a double; never 0, which is the cursor of the start.
fn hash(name: &[u8]) -> u64 {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 16).max(1)
}
