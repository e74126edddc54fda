//! A value of any type. Every `match` on it or on [`Kind`] names all variants: a new type is a compile error wherever
//! it has to be thought of.

use super::block::Block;
use super::blocks::LabelBytes;
use super::collection::{Collection, StoredBlocks};
use super::dictionary::Dictionary;
use super::{HashValue, ListValue, SetValue, SortedSetValue, StreamValue, StringValue};

/// The content of a key; cloning it is O(1).
#[derive(Debug, Clone)]
pub enum Value {
    /// Bytes or a number.
    String(StringValue),
    /// Elements in an order of their own.
    List(ListValue),
    /// Different members without an order.
    Set(SetValue),
    /// Members ordered by a score.
    SortedSet(SortedSetValue),
    /// Fields with values.
    Hash(HashValue),
    /// Entries in the order of their ids.
    Stream(StreamValue),
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Of [`Value::String`].
    String,
    /// Of [`Value::List`].
    List,
    /// Of [`Value::Set`].
    Set,
    /// Of [`Value::SortedSet`].
    SortedSet,
    /// Of [`Value::Hash`].
    Hash,
    /// Of [`Value::Stream`].
    Stream,
}

impl Kind {
    /// All types, in the order in which they are declared.
    pub const ALL: [Self; 6] =
        [Self::String, Self::List, Self::Set, Self::SortedSet, Self::Hash, Self::Stream];

    /// What TYPE answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }

    /// The number that stands for the type in records and rows; it never changes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::String => 0,
            Self::List => 1,
            Self::Set => 2,
            Self::SortedSet => 3,
            Self::Hash => 4,
            Self::Stream => 5,
        }
    }

    /// The type that this number stands for.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// Evaluates `$string` for a string and `$collection` for any other type, whose value is bound to the same name.
macro_rules! each {
    ($value:expr, $name:ident => $string:expr, $collection:expr) => {
        match $value {
            Value::String($name) => $string,
            Value::List($name) => $collection,
            Value::Set($name) => $collection,
            Value::SortedSet($name) => $collection,
            Value::Hash($name) => $collection,
            Value::Stream($name) => $collection,
        }
    };
}

/// About how many bytes so many elements take, judged by the first, the middle and the last one.
fn estimate(elements: usize, bytes_at: impl Fn(usize) -> usize) -> usize {
    /// What an element takes beside its bytes.
    const OVERHEAD: usize = 16;
    let Some(last) = elements.checked_sub(1) else { return 0 };
    let sampled = [0, last / 2, last].map(bytes_at);
    elements * (sampled.iter().sum::<usize>() / sampled.len() + OVERHEAD)
}

impl Value {
    /// The type of this value.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::String(_) => Kind::String,
            Self::List(_) => Kind::List,
            Self::Set(_) => Kind::Set,
            Self::SortedSet(_) => Kind::SortedSet,
            Self::Hash(_) => Kind::Hash,
            Self::Stream(_) => Kind::Stream,
        }
    }

    /// What OBJECT ENCODING answers.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        each!(self, value => value.encoding(), value.encoding())
    }

    /// Any byte of what the value has on the heap; for bringing it into the processor's caches.
    #[must_use]
    pub fn first_byte(&self) -> u8 {
        each!(self, value => value.contiguous().and_then(<[u8]>::first).copied().unwrap_or(0), {
            let _ = value;
            0
        })
    }

    /// Brings what look-ups of these elements in big values will touch into the processor's caches.
    pub fn warm<'a>(lookups: impl Iterator<Item = (&'a Self, &'a [u8])>) {
        Dictionary::warm(lookups.filter_map(|(value, element)| Some((value.dictionary()?, element))));
    }

    fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::String(_) | Self::List(_) | Self::Stream(_) => None,
            Self::Set(set) => set.dictionary(),
            Self::SortedSet(set) => set.dictionary(),
            Self::Hash(hash) => hash.dictionary(),
        }
    }

    /// Bytes of memory that the value takes on the heap.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        each!(self, value => value.memory_usage(), value.memory_usage())
    }

    /// About how many bytes of memory it takes, judged by a few of its elements: takes the same short time whatever the
    /// number of elements.
    #[must_use]
    pub fn estimated_bytes(&self) -> usize {
        match self {
            Self::String(string) => string.len(),
            Self::List(list) => estimate(list.len(), |rank| list.get(rank).map_or(0, <[u8]>::len)),
            Self::Set(set) => estimate(set.len(), |rank| set.nth(rank).map_or(0, |member| member.len())),
            Self::SortedSet(set) => {
                estimate(set.len(), |rank| set.nth(rank).map_or(0, |(member, _)| member.len()))
            }
            Self::Hash(hash) => estimate(hash.len(), |rank| {
                hash.nth(rank).map_or(0, |(name, value)| name.len() + value.len())
            }),
            Self::Stream(stream) => {
                let newest = stream.top_id().and_then(|id| stream.get(id));
                let bytes = newest.map_or(0, |entry| entry.fields().map(<[u8]>::len).sum());
                estimate(stream.len(), |_| bytes)
            }
        }
    }

    /// How many elements it has; 1 for a string.
    #[must_use]
    pub fn elements(&self) -> usize {
        each!(self, value => { let _ = value; 1 }, value.len())
    }

    /// When the first of its elements that have an end does end, in milliseconds of unix time.
    #[must_use]
    pub fn next_end_ms(&self) -> Option<u64> {
        if let Self::Hash(hash) = self { hash.next_end_ms() } else { None }
    }

    /// What is stored beside the blocks of a collection.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        each!(self, value => { let _ = value; Vec::new() }, value.header())
    }

    /// Visits all blocks of a collection in the order of their labels.
    pub fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        each!(self, value => { let _ = value; }, value.for_each_block(visit));
    }

    /// All of the value as bytes: equal values made by the same changes have the same. For tests.
    #[cfg(test)]
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        each!(self, value => value.to_bytes().into_owned(), {
            let mut image = Collection::header(value);
            value.for_each_block(&mut |label, block| {
                image.extend_from_slice(&label);
                image.extend_from_slice(block.bytes());
            });
            image
        })
    }

    /// The collection with this header and these blocks; `None` if there is none, as is damage.
    #[must_use]
    pub fn restore(kind: Kind, header: &[u8], blocks: StoredBlocks) -> Option<Self> {
        Some(match kind {
            Kind::String => return None,
            Kind::List => Self::List(ListValue::restore(header, blocks)?),
            Kind::Set => Self::Set(SetValue::restore(header, blocks)?),
            Kind::SortedSet => Self::SortedSet(SortedSetValue::restore(header, blocks)?),
            Kind::Hash => Self::Hash(HashValue::restore(header, blocks)?),
            Kind::Stream => Self::Stream(StreamValue::restore(header, blocks)?),
        })
    }
}

/// A type of value: what a command names when it asks for one.
pub trait Typed: Sized {
    /// The value, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;

    /// The value for changing it, if it is of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
}

/// Says that a type is a variant of [`Value`].
macro_rules! variant {
    ($type:ident, $variant:ident) => {
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }

        impl Typed for $type {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$variant(value) = value { Some(value) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(value) = value { Some(value) } else { None }
            }
        }
    };
}

variant!(StringValue, String);
variant!(ListValue, List);
variant!(SetValue, Set);
variant!(SortedSetValue, SortedSet);
variant!(HashValue, Hash);
variant!(StreamValue, Stream);

#[cfg(test)]
mod tests {
    use super::{Kind, StringValue, Value};

    #[test]
    fn a_value_takes_three_words() {
        assert!(size_of::<Value>() <= 24);
    }

    #[test]
    fn types_are_known_by_their_numbers() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(Kind::from_number(6), None);
        assert_eq!(Value::from(StringValue::from_integer(1)).kind(), Kind::String);
    }
}
