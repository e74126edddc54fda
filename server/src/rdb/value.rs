//! Values, and reading them in every form that Redis 3 to 8.0 writes.

use std::io::Read;

use super::input::Input;
use super::packed::{intset, listpack, ziplist};
use super::stream::Stream;
use super::{Error, Result};
use crate::types::CopiedItems;

/// Strings one behind the other: a short one takes hardly more than its own bytes, so that a payload cannot become
/// many times what Redis has of it.
pub type Strings = CopiedItems;

/// A value in plain vectors.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes.
    String(Vec<u8>),
    /// Elements in order.
    List(Strings),
    /// Members.
    Set(Strings),
    /// Members, and the score of each.
    SortedSet(Strings, Vec<f64>),
    /// Fields and values in turn.
    Hash(Strings),
    /// Fields and values in turn, and when each field ends, in milliseconds of unix time.
    ExpiringHash(Strings, Vec<Option<u64>>),
    /// Entries and consumer groups.
    Stream(Stream),
}

const WRONG_END: Error = Error::Malformed("the end of a field");

/// The numbers of the forms.
pub mod form {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const SORTED_SET_TEXT: u8 = 3;
    pub const HASH: u8 = 4;
    pub const SORTED_SET: u8 = 5;
    pub const MODULE: u8 = 6;
    pub const MODULE_2: u8 = 7;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const SORTED_SET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const SORTED_SET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_3: u8 = 21;
    pub const EXPIRING_HASH: u8 = 24;
    pub const EXPIRING_HASH_LISTPACK: u8 = 25;
}

impl Value {
    /// Reads a value of the form with this number.
    pub fn read(kind: u8, input: &mut Input<impl Read>) -> Result<Self> {
        let value = match kind {
            form::STRING => return Ok(Self::String(input.string()?)),
            form::LIST => Self::List(strings(input, 1)?),
            form::SET => Self::Set(strings(input, 1)?),
            form::HASH => Self::Hash(strings(input, 2)?),
            form::SORTED_SET_TEXT => scored(input, Input::text_float)?,
            form::SORTED_SET => scored(input, |input| input.u64().map(f64::from_bits))?,
            form::LIST_ZIPLIST => Self::List(packed(input, ziplist)?),
            form::LIST_QUICKLIST => {
                Self::List(nodes(input, |input, strings| ziplist(&input.string()?, strings))?)
            }
            form::LIST_QUICKLIST_2 => Self::List(nodes(input, quicklist_node)?),
            form::SET_INTSET => Self::Set(packed(input, intset)?),
            form::SET_LISTPACK => Self::Set(packed(input, listpack)?),
            form::HASH_ZIPLIST => Self::Hash(in_pairs(packed(input, ziplist)?)?),
            form::HASH_LISTPACK => Self::Hash(in_pairs(packed(input, listpack)?)?),
            form::EXPIRING_HASH => expiring_fields(input)?,
            form::EXPIRING_HASH_LISTPACK => {
                // The first of the ends, which are in the listpack too.
                input.u64()?;
                expiring_triples(&packed(input, listpack)?)?
            }
            form::SORTED_SET_ZIPLIST => scored_pairs(packed(input, ziplist)?)?,
            form::SORTED_SET_LISTPACK => scored_pairs(packed(input, listpack)?)?,
            form::STREAM | form::STREAM_2 | form::STREAM_3 => {
                return Ok(Self::Stream(Stream::read(kind, input)?));
            }
            form::MODULE | form::MODULE_2 => return Err(Error::Unsupported("the value of a module")),
            _ => return Err(Error::Unsupported("a value of a newer form")),
        };
        if value.is_valid() { Ok(value) } else { Err(Error::Malformed("an empty value or a wrong score")) }
    }

    /// Whether it is one that a key can hold.
    fn is_valid(&self) -> bool {
        match self {
            Self::String(_) | Self::Stream(_) => true,
            Self::List(strings)
            | Self::Set(strings)
            | Self::Hash(strings)
            | Self::ExpiringHash(strings, _) => !strings.is_empty(),
            Self::SortedSet(members, scores) => {
                !members.is_empty() && scores.iter().all(|score| !score.is_nan())
            }
        }
    }
}

/// Reads so many as a length in front says. The length is a claim, so memory is taken for what has come.
pub fn read_many<R: Read, T>(
    input: &mut Input<R>,
    mut read: impl FnMut(&mut Input<R>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = input.length()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read(input)?);
    }
    Ok(items)
}

/// Reads so many items, each of so many strings, as a length in front says.
fn strings(input: &mut Input<impl Read>, strings_per_item: usize) -> Result<Strings> {
    let mut strings = Strings::default();
    for _ in 0..input.length()? {
        for _ in 0..strings_per_item {
            strings.push(&input.string()?);
        }
    }
    Ok(strings)
}

/// Reads a single packed list.
fn packed(input: &mut Input<impl Read>, read: impl Fn(&[u8], &mut Strings) -> Result<()>) -> Result<Strings> {
    let mut strings = Strings::default();
    read(&input.string()?, &mut strings)?;
    Ok(strings)
}

/// Reads so many nodes of a list as a length in front says.
fn nodes<R: Read>(
    input: &mut Input<R>,
    read: impl Fn(&mut Input<R>, &mut Strings) -> Result<()>,
) -> Result<Strings> {
    let mut strings = Strings::default();
    for _ in 0..input.length()? {
        read(input, &mut strings)?;
    }
    Ok(strings)
}

fn quicklist_node(input: &mut Input<impl Read>, strings: &mut Strings) -> Result<()> {
    const PLAIN: u64 = 1;
    const PACKED: u64 = 2;
    match input.length()? {
        PLAIN => strings.push(&input.string()?),
        PACKED => listpack(&input.string()?, strings)?,
        _ => return Err(Error::Malformed("an unknown node of a list")),
    }
    Ok(())
}

fn in_pairs(strings: Strings) -> Result<Strings> {
    if strings.len().is_multiple_of(2) {
        Ok(strings)
    } else {
        Err(Error::Malformed("a field without a value"))
    }
}

/// Strings in pairs.
pub fn pairs(strings: &Strings) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut strings = strings.iter();
    std::iter::from_fn(move || Some((strings.next()?, strings.next()?)))
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn scored<R: Read>(input: &mut Input<R>, read_score: impl Fn(&mut Input<R>) -> Result<f64>) -> Result<Value> {
    let (mut members, mut scores) = (Strings::default(), Vec::new());
    for _ in 0..input.length()? {
        members.push(&input.string()?);
        scores.push(read_score(input)?);
    }
    Ok(Value::SortedSet(members, scores))
}

fn scored_pairs(strings: Strings) -> Result<Value> {
    let (mut members, mut scores) = (Strings::default(), Vec::new());
    for (member, score) in pairs(&in_pairs(strings)?) {
        members.push(member);
        scores.push(number(score).ok_or(Error::Malformed("a score that is no number"))?);
    }
    Ok(Value::SortedSet(members, scores))
}

/// Fields whose ends count from the first of them, plus one: 0 is none.
fn expiring_fields(input: &mut Input<impl Read>) -> Result<Value> {
    let first_ms = input.u64()?;
    let (mut fields, mut ends) = (Strings::default(), Vec::new());
    for _ in 0..input.length()? {
        ends.push(match input.length()? {
            0 => None,
            after => Some(first_ms.checked_add(after - 1).ok_or(WRONG_END)?),
        });
        fields.push(&input.string()?);
        fields.push(&input.string()?);
    }
    Ok(Value::ExpiringHash(fields, ends))
}

/// Fields in a row with their values and ends; an end of 0 is none.
fn expiring_triples(strings: &Strings) -> Result<Value> {
    if !strings.len().is_multiple_of(3) {
        return Err(Error::Malformed("a field without a value or an end"));
    }
    let (mut fields, mut ends) = (Strings::default(), Vec::new());
    let mut strings = strings.iter();
    while let (Some(name), Some(value), Some(end)) = (strings.next(), strings.next(), strings.next()) {
        fields.push(name);
        fields.push(value);
        let end_ms: u64 = number(end).ok_or(WRONG_END)?;
        ends.push((end_ms > 0).then_some(end_ms));
    }
    Ok(Value::ExpiringHash(fields, ends))
}
