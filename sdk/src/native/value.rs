//! The types of values, as plain as can be: a test has little data.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::StreamId;

/// What stands at a key.
#[derive(Clone, Debug)]
pub enum Value {
    String(Vec<u8>),
    Hash(Hash),
    List(List),
    Set(Set),
    SortedSet(SortedSet),
    Stream(Stream),
}

/// Fields with their values.
pub type Hash = BTreeMap<Vec<u8>, Vec<u8>>;
/// Elements in a row.
pub type List = VecDeque<Vec<u8>>;
/// Members.
pub type Set = BTreeSet<Vec<u8>>;

/// Members with their scores.
#[derive(Clone, Debug, Default)]
pub struct SortedSet(pub BTreeMap<Vec<u8>, f64>);

/// Entries by their ids.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub entries: BTreeMap<StreamId, Vec<Vec<u8>>>,
    /// The highest id that an entry has had.
    pub last_id: StreamId,
}

impl SortedSet {
    /// The members with their scores, in order.
    pub fn ordered(&self) -> Vec<(&Vec<u8>, f64)> {
        let mut members: Vec<_> = self.0.iter().map(|(member, score)| (member, *score)).collect();
        // They are in the order of the members, and a stable sort leaves equal scores so.
        members.sort_by(|(_, first), (_, second)| first.total_cmp(second));
        members
    }
}

impl Value {
    /// As `TYPE` tells it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::SortedSet(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }

    /// The value as a trigger is given it: one with elements is not.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        String::of(self).cloned()
    }
}

/// Bytes.
type String = Vec<u8>;

/// A type that a value can have.
pub trait Typed: Clone + Default + Into<Value> {
    /// The value, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;

    /// Whether the key goes, because nothing is left in the value.
    fn is_gone(&self) -> bool;
}

macro_rules! typed {
    ($($kind:ty, $variant:ident, $is_gone:expr;)*) => {
        $(
            impl From<$kind> for Value {
                fn from(value: $kind) -> Self {
                    Self::$variant(value)
                }
            }

            impl Typed for $kind {
                fn of(value: &Value) -> Option<&Self> {
                    match value {
                        Value::$variant(value) => Some(value),
                        _ => None,
                    }
                }

                fn is_gone(&self) -> bool {
                    let is_gone: fn(&Self) -> bool = $is_gone;
                    is_gone(self)
                }
            }
        )*
    };
}

typed! {
    String, String, |_| false;
    Hash, Hash, Hash::is_empty;
    List, List, List::is_empty;
    Set, Set, Set::is_empty;
    SortedSet, SortedSet, |set| set.0.is_empty();
    Stream, Stream, |_| false;
}
