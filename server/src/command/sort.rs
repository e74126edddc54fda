//! SORT and `SORT_RO`: the elements of a list, set or sorted set in the order of numbers or texts, which may stand at
//! other keys.

use std::cmp::Ordering;
use std::ops::Range;

use super::{Command, Context, Error, Flags, Group, Result, flag, integer, set_or_delete};
use crate::keyspace::events;
use crate::protocol::{Reply, Shape};
use crate::types::{
    Collection, End, HashValue, ListValue, SharedItems, StringValue, Typed, Value, members, parse_float,
};

const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements and M the number of returned ones; O(N) if \
                          they are not sorted";

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("sort", -2, sort).flags(&[Flags::WRITE, Flags::DENYOOM]).sorted_keys(true).docs(
        Group::Generic,
        "1.0.0",
        COMPLEXITY,
        "Returns or stores the elements of a list, set or sorted set in order.",
        "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] \
         [STORE destination]",
    ),
    Command::new("sort_ro", -2, sort_ro).flags(&[Flags::READONLY]).sorted_keys(false).docs(
        Group::Generic,
        "7.0.0",
        COMPLEXITY,
        "Returns the elements of a list, set or sorted set in order.",
        "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
    ),
];

/// What a command asks for.
#[derive(Debug, Default)]
struct Request<'a> {
    /// Where what is compared stands; the elements themselves are compared if it is `None`.
    by: Option<Pattern<'a>>,
    /// Whether the elements stay in the order that they have.
    unsorted: bool,
    gets: Vec<Pattern<'a>>,
    offset: i64,
    /// At most so many; negative for all.
    count: Option<i64>,
    descending: bool,
    alphabetic: bool,
    destination: Option<&'a [u8]>,
}

/// The name of a key, or of a field of a hash, in which an asterisk stands for an element.
#[derive(Clone, Copy, Debug)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// What no key can be named by.
    Nothing,
    /// A key.
    Key { before: &'a [u8], behind: &'a [u8], field: Option<&'a [u8]> },
}

/// An element and what it is compared by.
struct Row<'a> {
    element: &'a [u8],
    /// Equal ones stay in this order.
    index: usize,
    weight: Weight,
}

enum Weight {
    Number(f64),
    /// The element's own text.
    Own,
    /// Another text; one that does not exist comes first.
    Text(Option<StringValue>),
}

fn sort(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let request = Request::parse(&args[2..], true)?;
    run(ctx, args[1], request)
}

fn sort_ro(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let request = Request::parse(&args[2..], false)?;
    run(ctx, args[1], request)
}

fn run(ctx: &mut Context<'_>, key: &[u8], mut request: Request<'_>) -> Result {
    let value = ctx.keyspace.get(ctx.session.database, key)?.cloned();
    let value = value.unwrap_or_else(|| ListValue::default().into());
    let is_procedure = ctx.mailbox.is_none();
    if request.unsorted && matches!(value, Value::Set(_)) && (request.destination.is_some() || is_procedure) {
        // What is kept, or decides what is kept, does not depend on the order within a set.
        request = Request { unsorted: false, alphabetic: true, by: None, ..request };
    }
    let range = request.range(value.elements());
    let items = if request.unsorted {
        ordered(&value, range.clone(), request.descending)?
    } else {
        ordered(&value, 0..value.elements(), false)?
    };
    let mut elements: Vec<&[u8]> = items.iter().collect();
    if !request.unsorted {
        elements = request.sorted(ctx, &elements, range)?;
    }
    match request.destination {
        Some(destination) => store(ctx, destination, &request.gets, &elements),
        None if request.gets.is_empty() => {
            Ok(Reply::Items(Shape::Array, elements.iter().collect::<SharedItems>()))
        }
        None => {
            let found = look_up_all(ctx, &request.gets, &elements)?;
            Ok(Reply::Array(found.into_iter().map(|value| value.map_or(Reply::Null, Reply::Bulk)).collect()))
        }
    }
}

/// A range of a value's elements in its own order, or backwards from its end; a set has only one order.
fn ordered(value: &Value, range: Range<usize>, descending: bool) -> Result<SharedItems> {
    Ok(match value {
        Value::List(list) if descending => {
            let items = list.range(list.len() - range.end, range.len());
            items.iter().collect::<Vec<_>>().into_iter().rev().collect()
        }
        Value::List(list) => list.range(range.start, range.len()),
        Value::Set(set) if range.len() == set.len() => set.items(),
        Value::Set(set) => set.items().iter().skip(range.start).take(range.len()).collect(),
        Value::SortedSet(set) if descending => {
            let len = set.len();
            members(set.items(len - range.end..len - range.start, true))
        }
        Value::SortedSet(set) => members(set.items(range, false)),
        _ => return Err(Error::WRONG_TYPE),
    })
}

impl<'a> Request<'a> {
    fn parse(mut options: &[&'a [u8]], may_store: bool) -> Result<Self> {
        let mut request = Self::default();
        while let [option, rest @ ..] = options {
            options = match rest {
                _ if flag(option, "ASC") => {
                    request.descending = false;
                    rest
                }
                _ if flag(option, "DESC") => {
                    request.descending = true;
                    rest
                }
                _ if flag(option, "ALPHA") => {
                    request.alphabetic = true;
                    rest
                }
                [offset, count, rest @ ..] if flag(option, "LIMIT") => {
                    (request.offset, request.count) = (integer(offset)?, Some(integer(count)?));
                    rest
                }
                [key, rest @ ..] if may_store && flag(option, "STORE") => {
                    request.destination = Some(key);
                    rest
                }
                [pattern, rest @ ..] if flag(option, "BY") => {
                    // Once it is said that nothing is to be sorted, that stands, as in Redis.
                    request.unsorted |= !pattern.contains(&b'*');
                    request.by = Some(Pattern::parse(pattern));
                    rest
                }
                [pattern, rest @ ..] if flag(option, "GET") => {
                    request.gets.push(Pattern::parse(pattern));
                    rest
                }
                _ => return Err(Error::SYNTAX),
            };
        }
        Ok(request)
    }

    /// Which of so many elements are wanted.
    fn range(&self, len: usize) -> Range<usize> {
        let within = |number: i64| usize::try_from(number).map_or(0, |number| number.min(len));
        let start = within(self.offset);
        let count = self.count.filter(|count| *count >= 0).map_or(len, within);
        start..len.min(start + count)
    }

    /// The elements of a range of the order that is asked for.
    fn sorted<'e>(
        &self,
        ctx: &mut Context<'_>,
        elements: &[&'e [u8]],
        wanted: Range<usize>,
    ) -> Result<Vec<&'e [u8]>> {
        let weights = match self.by {
            Some(pattern) => {
                look_up_all(ctx, &[pattern], elements)?.into_iter().map(|text| self.weight(text)).collect()
            }
            None if self.alphabetic => elements.iter().map(|_| Ok(Weight::Own)).collect(),
            None => elements.iter().map(|element| number(element)).collect::<Result<Vec<_>>>(),
        }?;
        let rows = elements.iter().zip(weights).enumerate();
        let mut rows: Vec<Row<'e>> =
            rows.map(|(index, (element, weight))| Row { element, index, weight }).collect();
        let order = |one: &Row<'_>, other: &Row<'_>| {
            let order = one.compare(other);
            (if self.descending { order.reverse() } else { order }).then(one.index.cmp(&other.index))
        };
        if wanted.end < rows.len() {
            rows.select_nth_unstable_by(wanted.end, order);
            rows.truncate(wanted.end);
        }
        rows.sort_unstable_by(order);
        Ok(rows[wanted].iter().map(|row| row.element).collect())
    }

    fn weight(&self, text: Option<StringValue>) -> Result<Weight> {
        match text {
            _ if self.alphabetic => Ok(Weight::Text(text)),
            Some(text) => number(&text.to_bytes()),
            None => Ok(Weight::Number(0.0)),
        }
    }
}

impl Row<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        match (&self.weight, &other.weight) {
            (Weight::Number(one), Weight::Number(another)) => {
                // Neither is NaN; there is one zero.
                let order = one.partial_cmp(another).unwrap_or(Ordering::Equal);
                order.then_with(|| self.element.cmp(other.element))
            }
            (Weight::Text(one), Weight::Text(another)) => {
                let [one, another] = [one, another].map(|text| text.as_ref().map(StringValue::to_bytes));
                one.cmp(&another)
            }
            _ => self.element.cmp(other.element),
        }
    }
}

/// A number as C's `strtod` reads it from a whole text: spaces may be before it, and a zero byte ends it.
fn number(text: &[u8]) -> Result<Weight> {
    const NOT_A_NUMBER: Error = Error::text("ERR One or more scores can't be converted into double");
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Ok(Weight::Number(0.0));
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    parse_float(&text[start..]).map(Weight::Number).ok_or(NOT_A_NUMBER)
}

impl<'a> Pattern<'a> {
    fn parse(pattern: &'a [u8]) -> Self {
        if pattern == b"#" {
            return Self::Element;
        }
        let Some(asterisk) = pattern.iter().position(|byte| *byte == b'*') else { return Self::Nothing };
        let (before, behind) = (&pattern[..asterisk], &pattern[asterisk + 1..]);
        match behind.windows(2).position(|arrow| arrow == b"->") {
            // An arrow at the end is a part of the key's name.
            Some(arrow) if arrow + 2 < behind.len() => {
                Self::Key { before, behind: &behind[..arrow], field: Some(&behind[arrow + 2..]) }
            }
            _ => Self::Key { before, behind, field: None },
        }
    }

    /// The key for an element.
    fn key(&self, element: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Key { before, behind, .. } => Some([before, element, behind].concat()),
            Self::Element | Self::Nothing => None,
        }
    }

    /// What is there for an element; `None` too if it is of another type.
    fn look_up(&self, ctx: &mut Context<'_>, element: &[u8]) -> Result<Option<StringValue>> {
        let Some(key) = self.key(element) else {
            return Ok(matches!(self, Self::Element).then(|| StringValue::raw(element)));
        };
        let value = ctx.keyspace.get(ctx.session.database, &key)?;
        Ok(match self {
            Self::Key { field: Some(field), .. } => {
                let hash = value.and_then(HashValue::of);
                hash.and_then(|hash| hash.get(field)).map(StringValue::raw)
            }
            _ => value.and_then(StringValue::of).cloned(),
        })
    }
}

/// What all patterns name for all elements, element by element.
fn look_up_all(
    ctx: &mut Context<'_>,
    patterns: &[Pattern<'_>],
    elements: &[&[u8]],
) -> Result<Vec<Option<StringValue>>> {
    let keys =
        || elements.iter().flat_map(|element| patterns.iter().filter_map(|pattern| pattern.key(element)));
    ctx.keyspace.require(ctx.session.database, keys())?;
    let mut found = Vec::with_capacity(patterns.len() * elements.len());
    for element in elements {
        for pattern in patterns {
            found.push(pattern.look_up(ctx, element)?);
        }
    }
    Ok(found)
}

/// Where the last destination is among all arguments.
pub(super) fn destination(arguments: &[&[u8]]) -> Option<usize> {
    let (mut at, mut found) = (2, None);
    while at + 1 < arguments.len() {
        let is = |word| flag(arguments[at], word);
        if is("STORE") {
            found = Some(at + 1);
        }
        at += if is("LIMIT") {
            3
        } else if is("STORE") || is("BY") || is("GET") {
            2
        } else {
            1
        };
    }
    found
}

/// Stores elements, or what patterns name for them, as a list in the place of whatever the key holds, which goes if there
/// are none; answers how many there are.
fn store(ctx: &mut Context<'_>, key: &[u8], gets: &[Pattern<'_>], elements: &[&[u8]]) -> Result {
    let mut list = ListValue::default();
    if gets.is_empty() {
        list.push(End::Right, elements, &mut ());
    } else {
        for value in look_up_all(ctx, gets, elements)? {
            list.push(End::Right, &[&value.as_ref().map(StringValue::to_bytes).unwrap_or_default()], &mut ());
        }
    }
    set_or_delete(ctx, key, list.into(), events::SORTSTORE)
}

#[cfg(test)]
mod tests;
