//! A queued event: everything that the procedure will be given, stored as fields of a stream's entry.

use crate::keyspace::{Event, Key};
use crate::types::{Value, parse_integer, stream};

/// The longest string value, before or after an event, that is kept with the event. A longer one is left out: the
/// procedure can read the key.
pub const MAX_VALUE_BYTES: usize = 16 << 10;

/// The elements that an event is about are kept with it if they have at most this many bytes in total.
pub const MAX_ELEMENTS_BYTES: usize = 16 << 10;

/// About how much memory an entry takes in addition to its fields: its places in the stream and in the index.
const ENTRY_OVERHEAD_BYTES: u64 = 64;

const EVENT: &[u8] = b"event";
const DATABASE: &[u8] = b"database";
const KEY: &[u8] = b"key";
const BEFORE: &[u8] = b"before";
const AFTER: &[u8] = b"after";
const ELEMENT: &[u8] = b"element";

/// An event that waits for its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the event.
    pub event: String,
    /// The number of the database.
    pub database: u8,
    /// The key.
    pub key: Key,
    /// The value before, if it is given to procedures and not too long.
    pub before: Option<Vec<u8>>,
    /// The value after, if it is given to procedures and not too long.
    pub after: Option<Vec<u8>>,
    /// The elements that the event is about, if they are not too long.
    pub elements: Vec<Vec<u8>>,
}

impl Entry {
    /// Makes the entry of an event.
    #[must_use]
    pub fn of_event(event: &Event) -> Self {
        let elements_bytes: usize = event.elements.iter().map(|element| element.len()).sum();
        let elements: &[Box<[u8]>] = if elements_bytes > MAX_ELEMENTS_BYTES { &[] } else { &event.elements };
        Self {
            event: event.kind.name.to_owned(),
            database: event.database,
            key: event.key.clone(),
            before: event.before.as_ref().and_then(kept),
            after: event.after.as_ref().and_then(kept),
            elements: elements.iter().map(|element| element.to_vec()).collect(),
        }
    }

    /// Reads a stream's entry. Ignores fields that do not belong to an event.
    #[must_use]
    pub fn of_stream(stored: &stream::Entry<'_>) -> Self {
        let mut entry = Self {
            event: String::new(),
            database: 0,
            key: Key::new(b""),
            before: None,
            after: None,
            elements: Vec::new(),
        };
        let mut fields = stored.fields();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match name {
                EVENT => entry.event = String::from_utf8_lossy(value).into_owned(),
                DATABASE => entry.database = number(value),
                KEY => entry.key = Key::new(value),
                BEFORE => entry.before = Some(value.to_vec()),
                AFTER => entry.after = Some(value.to_vec()),
                ELEMENT => entry.elements.push(value.to_vec()),
                _ => {}
            }
        }
        entry
    }

    /// Reads only database and key of a stream's entry.
    #[must_use]
    pub fn key_of_stream<'a>(stored: &stream::Entry<'a>) -> (u8, &'a [u8]) {
        let (mut database, mut key): (u8, &[u8]) = (0, b"");
        let mut fields = stored.fields();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match name {
                DATABASE => database = number(value),
                // The fields after it are not needed.
                KEY => {
                    key = value;
                    break;
                }
                _ => {}
            }
        }
        (database, key)
    }

    /// Names and values in turn.
    #[must_use]
    pub fn fields<'a>(&'a self, database: &'a str) -> Vec<&'a [u8]> {
        let mut fields = vec![EVENT, self.event.as_bytes(), DATABASE, database.as_bytes(), KEY, &self.key];
        if let Some(before) = &self.before {
            fields.extend([BEFORE, before]);
        }
        if let Some(after) = &self.after {
            fields.extend([AFTER, after]);
        }
        for element in &self.elements {
            fields.extend([ELEMENT, element]);
        }
        fields
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let elements: usize = self.elements.iter().map(Vec::len).sum();
        let fields = self.event.len() + self.key.len() + value(&self.before) + value(&self.after) + elements;
        ENTRY_OVERHEAD_BYTES + fields as u64
    }

    /// Like [`Self::bytes`], for a stream's entry that has only the fields of an event.
    #[must_use]
    pub fn bytes_of_stream(stored: &stream::Entry<'_>) -> u64 {
        let mut fields = stored.fields();
        let mut bytes = ENTRY_OVERHEAD_BYTES;
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            if name != DATABASE {
                bytes += value.len() as u64;
            }
        }
        bytes
    }
}

/// A value as it is kept.
fn kept(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(string) if string.len() <= MAX_VALUE_BYTES => Some(string.to_bytes().into_owned()),
        _ => None,
    }
}

/// Parses a small number; anything else counts as 0.
fn number(text: &[u8]) -> u8 {
    parse_integer(text).and_then(|number| u8::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::events;
    use crate::types::stream::{NodeLimits, StreamId};
    use crate::types::{ListValue, StreamValue, StringValue};

    fn event(before: Option<Value>, after: Option<Value>, elements: &[&[u8]]) -> Event {
        let elements = elements.iter().map(|element| Box::from(*element)).collect();
        Event { kind: events::SET, database: 3, key: Key::new(b"k"), before, after, elements }
    }

    fn string(length: usize) -> Value {
        StringValue::raw(&vec![b'x'; length]).into()
    }

    #[track_caller]
    fn check(event: &Event, before: Option<usize>, after: Option<usize>, elements: usize) {
        let entry = Entry::of_event(event);
        let length = |value: &Option<Vec<u8>>| value.as_ref().map(Vec::len);
        assert_eq!((length(&entry.before), length(&entry.after)), (before, after));
        assert_eq!(entry.elements.len(), elements);
        let mut stream = StreamValue::default();
        let limits = NodeLimits { entries: 0, bytes: 0 };
        // The second one shares the names of the first.
        for seq in 1..=2 {
            let id = StreamId::new(1, seq);
            stream.append(id, &entry.fields("3"), limits, &mut ());
            let stored = stream.get(id).expect("it was added");
            assert_eq!(Entry::of_stream(&stored), entry);
            assert_eq!(Entry::key_of_stream(&stored), (3, &b"k"[..]));
            assert_eq!(Entry::bytes_of_stream(&stored), entry.bytes());
        }
    }

    #[test]
    fn an_event_is_kept_whole_as_far_as_it_is_short() {
        check(&event(None, Some(string(0)), &[]), None, Some(0), 0);
        check(&event(Some(string(5)), None, &[b"a", b""]), Some(5), None, 2);
        check(
            &event(Some(string(MAX_VALUE_BYTES)), Some(string(MAX_VALUE_BYTES + 1)), &[]),
            Some(MAX_VALUE_BYTES),
            None,
            0,
        );
        check(
            &event(Some(ListValue::default().into()), Some(StringValue::from_integer(42).into()), &[]),
            None,
            Some(2),
            0,
        );
        check(&event(None, None, &[&[0; MAX_ELEMENTS_BYTES]]), None, None, 1);
        check(&event(None, None, &[&[0; MAX_ELEMENTS_BYTES], b"x"]), None, None, 0);
    }
}
