//! A value of any type. Every `match` on it or on [`Kind`] names all variants: a new type is a compile error wherever
//! it has to be thought of.

use super::StringValue;

/// The content of a key; cloning it is O(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Bytes or a number.
    String(StringValue),
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Of [`Value::String`].
    String,
}

impl Kind {
    /// All types, in the order in which they are declared.
    pub const ALL: [Self; 1] = [Self::String];

    /// What TYPE answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
        }
    }

    /// The type with this name, in any case of its letters.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name.eq_ignore_ascii_case(kind.name().as_bytes()))
    }
}

impl Value {
    /// The type of this value.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::String(_) => Kind::String,
        }
    }

    /// What OBJECT ENCODING answers.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::String(string) => string.encoding(),
        }
    }

    /// Any byte of what the value has on the heap; for bringing it into the processor's caches.
    #[must_use]
    pub fn first_byte(&self) -> u8 {
        match self {
            Self::String(string) => string.contiguous().and_then(<[u8]>::first).copied().unwrap_or(0),
        }
    }

    /// Bytes of memory that the value takes on the heap.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        match self {
            Self::String(string) => string.memory_usage(),
        }
    }
}

impl From<StringValue> for Value {
    fn from(string: StringValue) -> Self {
        Self::String(string)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, StringValue, Value};

    #[test]
    fn a_value_takes_three_words() {
        assert!(size_of::<Value>() <= 24);
    }

    #[test]
    fn types_are_known_by_their_names() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name().as_bytes()), Some(kind));
        }
        assert_eq!(Kind::from_name(b"STRING"), Some(Kind::String));
        assert_eq!(Kind::from_name(b"strings"), None);
        assert_eq!(Value::from(StringValue::from_integer(1)).kind(), Kind::String);
    }
}
