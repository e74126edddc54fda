//! Values, and reading them in every form that Redis 3 to 8.0 writes.

use std::io::Read;

use super::input::Input;
use super::packed::{intset, listpack, ziplist};
use super::stream::Stream;
use super::{Error, Result};

/// A value in plain vectors.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes.
    String(Vec<u8>),
    /// Elements in order.
    List(Vec<Vec<u8>>),
    /// Members.
    Set(Vec<Vec<u8>>),
    /// Members with scores.
    SortedSet(Vec<(Vec<u8>, f64)>),
    /// Fields with values.
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    /// Fields with values, some of which have an end.
    ExpiringHash(Vec<ExpiringField>),
    /// Entries and consumer groups.
    Stream(Stream),
}

/// A field of a hash of which some fields have an end.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiringField {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// When it ends, in milliseconds of unix time.
    pub end_ms: Option<u64>,
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
            form::LIST => Self::List(read_many(input, Input::string)?),
            form::SET => Self::Set(read_many(input, Input::string)?),
            form::HASH => Self::Hash(read_many(input, |input| Ok((input.string()?, input.string()?)))?),
            form::SORTED_SET_TEXT => {
                Self::SortedSet(read_many(input, |input| Ok((input.string()?, input.text_float()?)))?)
            }
            form::SORTED_SET => Self::SortedSet(read_many(input, |input| {
                Ok((input.string()?, f64::from_bits(input.u64()?)))
            })?),
            form::LIST_ZIPLIST => Self::List(ziplist(&input.string()?)?),
            form::LIST_QUICKLIST => Self::List(read_many(input, |input| ziplist(&input.string()?))?.concat()),
            form::LIST_QUICKLIST_2 => Self::List(read_many(input, quicklist_node)?.concat()),
            form::SET_INTSET => Self::Set(intset(&input.string()?)?),
            form::SET_LISTPACK => Self::Set(listpack(&input.string()?)?),
            form::HASH_ZIPLIST => Self::Hash(pairs(ziplist(&input.string()?)?)?),
            form::HASH_LISTPACK => Self::Hash(pairs(listpack(&input.string()?)?)?),
            form::EXPIRING_HASH => Self::ExpiringHash(expiring_fields(input)?),
            form::EXPIRING_HASH_LISTPACK => {
                // The first of the ends, which are in the listpack too.
                input.u64()?;
                Self::ExpiringHash(expiring_triples(listpack(&input.string()?)?)?)
            }
            form::SORTED_SET_ZIPLIST => Self::SortedSet(scored(ziplist(&input.string()?)?)?),
            form::SORTED_SET_LISTPACK => Self::SortedSet(scored(listpack(&input.string()?)?)?),
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
            Self::List(elements) | Self::Set(elements) => !elements.is_empty(),
            Self::Hash(fields) => !fields.is_empty(),
            Self::ExpiringHash(fields) => !fields.is_empty(),
            Self::SortedSet(members) => {
                !members.is_empty() && members.iter().all(|(_, score)| !score.is_nan())
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

fn quicklist_node(input: &mut Input<impl Read>) -> Result<Vec<Vec<u8>>> {
    const PLAIN: u64 = 1;
    const PACKED: u64 = 2;
    match input.length()? {
        PLAIN => Ok(vec![input.string()?]),
        PACKED => listpack(&input.string()?),
        _ => Err(Error::Malformed("an unknown node of a list")),
    }
}

fn pairs(elements: Vec<Vec<u8>>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    if !elements.len().is_multiple_of(2) {
        return Err(Error::Malformed("a field without a value"));
    }
    let mut elements = elements.into_iter();
    Ok(std::iter::from_fn(|| Some((elements.next()?, elements.next()?))).collect())
}

fn scored(elements: Vec<Vec<u8>>) -> Result<Vec<(Vec<u8>, f64)>> {
    let parse = |(member, score): (Vec<u8>, Vec<u8>)| {
        let score = std::str::from_utf8(&score).ok().and_then(|text| text.parse().ok());
        Ok((member, score.ok_or(Error::Malformed("a score that is no number"))?))
    };
    pairs(elements)?.into_iter().map(parse).collect()
}

/// Fields whose ends count from the first of them, plus one: 0 is none.
fn expiring_fields(input: &mut Input<impl Read>) -> Result<Vec<ExpiringField>> {
    let first_ms = input.u64()?;
    read_many(input, |input| {
        let end_ms = match input.length()? {
            0 => None,
            after => Some(first_ms.checked_add(after - 1).ok_or(WRONG_END)?),
        };
        Ok(ExpiringField { name: input.string()?, value: input.string()?, end_ms })
    })
}

/// Fields in a row with their values and ends; an end of 0 is none.
fn expiring_triples(elements: Vec<Vec<u8>>) -> Result<Vec<ExpiringField>> {
    if !elements.len().is_multiple_of(3) {
        return Err(Error::Malformed("a field without a value or an end"));
    }
    let mut elements = elements.into_iter();
    let triples = std::iter::from_fn(|| Some((elements.next()?, elements.next()?, elements.next()?)));
    let field = |(name, value, end): (Vec<u8>, Vec<u8>, Vec<u8>)| {
        let end_ms: u64 =
            std::str::from_utf8(&end).ok().and_then(|text| text.parse().ok()).ok_or(WRONG_END)?;
        Ok(ExpiringField { name, value, end_ms: (end_ms > 0).then_some(end_ms) })
    };
    triples.map(field).collect()
}
