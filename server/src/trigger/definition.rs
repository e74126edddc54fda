//! What a trigger says, as text of `TRIGGER CREATE` and as it is stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keyspace::{Event, EventClasses, EventKind, events};
use crate::types::glob;

/// Triggers may be named with this many bytes.
const MAX_NAME_LEN: usize = 256;

/// A trigger's rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name, unique in the server.
    pub name: String,
    /// The names of the events it waits for.
    pub events: Vec<String>,
    /// The pattern of the keys it concerns, as in `KEYS`.
    pub pattern: Vec<u8>,
    /// The database it concerns; `None` for all.
    pub database: Option<u8>,
    /// The library function it calls.
    pub function: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// The library that declared it and takes it along when it goes; `None` when a client created it.
    pub library: Option<String>,
}

/// Why a text is not a definition; displayed as the text of an error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefinitionError {
    /// A word is missing or in the wrong place.
    Syntax,
    /// There is no event of this name.
    UnknownEvent(String),
    /// The database does not exist.
    Database,
    /// A name is empty, too long or not text.
    Name,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => formatter.write_str("syntax error"),
            Self::UnknownEvent(name) => write!(formatter, "unknown event '{name}'"),
            Self::Database => formatter.write_str("DB index is out of range"),
            Self::Name => write!(
                formatter,
                "names of triggers and functions are text of 1 to {MAX_NAME_LEN} bytes without spaces"
            ),
        }
    }
}

impl Definition {
    /// Reads `name ON event[,event ...] KEYS pattern [DB n] CALL function [ENABLED|DISABLED]`.
    pub fn parse<'a>(
        words: impl IntoIterator<Item = &'a [u8]>,
        databases: u8,
    ) -> Result<Self, DefinitionError> {
        let mut words = Words(words.into_iter());
        let name = name(words.next()?)?;
        words.keyword("ON")?;
        let events = event_names(words.next()?)?;
        words.keyword("KEYS")?;
        let pattern = words.next()?.to_vec();
        let mut word = words.next()?;
        let mut database = None;
        if word.eq_ignore_ascii_case(b"DB") {
            let number = crate::types::parse_integer(words.next()?).ok_or(DefinitionError::Database)?;
            let number = u8::try_from(number).ok().filter(|number| *number < databases);
            database = Some(number.ok_or(DefinitionError::Database)?);
            word = words.next()?;
        }
        if !word.eq_ignore_ascii_case(b"CALL") {
            return Err(DefinitionError::Syntax);
        }
        let function = self::name(words.next()?)?;
        let enabled = match words.0.next() {
            None => true,
            Some(word) if word.eq_ignore_ascii_case(b"ENABLED") => true,
            Some(word) if word.eq_ignore_ascii_case(b"DISABLED") => false,
            Some(_) => return Err(DefinitionError::Syntax),
        };
        match words.0.next() {
            None => Ok(Self { name, events, pattern, database, function, enabled, library: None }),
            Some(_) => Err(DefinitionError::Syntax),
        }
    }

    /// The form in which it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of strings and numbers has no value that JSON cannot express.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the stored form; `None` when it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether the event concerns it.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.enabled
            && self.database.is_none_or(|database| database == event.database)
            && self.events.iter().any(|name| name == event.kind.name)
            && glob::matches(&self.pattern, &event.key)
    }

    /// The classes of its events.
    #[must_use]
    pub fn classes(&self) -> EventClasses {
        let kinds = self.events.iter().filter_map(|name| kind(name));
        kinds.fold(EventClasses::NONE, |classes, kind| classes.with(kind.class))
    }
}

struct Words<I>(I);

impl<'a, I: Iterator<Item = &'a [u8]>> Words<I> {
    fn next(&mut self) -> Result<&'a [u8], DefinitionError> {
        self.0.next().ok_or(DefinitionError::Syntax)
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), DefinitionError> {
        let found = self.next()?.eq_ignore_ascii_case(keyword.as_bytes());
        found.then_some(()).ok_or(DefinitionError::Syntax)
    }
}

fn kind(name: &str) -> Option<EventKind> {
    events::ALL.iter().copied().find(|kind| kind.name == name)
}

fn event_names(word: &[u8]) -> Result<Vec<String>, DefinitionError> {
    word.split(|byte| *byte == b',')
        .map(|name| {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            kind(&name).map(|kind| kind.name.to_owned()).ok_or(DefinitionError::UnknownEvent(name))
        })
        .collect()
}

fn name(word: &[u8]) -> Result<String, DefinitionError> {
    let name = std::str::from_utf8(word).map_err(|_| DefinitionError::Name)?;
    let valid = (1..=MAX_NAME_LEN).contains(&name.len()) && !name.contains(char::is_whitespace);
    valid.then(|| name.to_owned()).ok_or(DefinitionError::Name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Key;

    fn parse(text: &str) -> Result<Definition, DefinitionError> {
        Definition::parse(text.split(' ').map(str::as_bytes), 16)
    }

    #[test]
    fn every_part_of_a_definition_is_read_and_survives_storage() {
        let full = parse("t on Set,del keys user:* db 3 call f disabled").unwrap();
        let expected = Definition {
            name: "t".into(),
            events: vec!["set".into(), "del".into()],
            pattern: b"user:*".to_vec(),
            database: Some(3),
            function: "f".into(),
            enabled: false,
            library: None,
        };
        assert_eq!(full, expected);
        assert_eq!(Definition::from_bytes(&full.to_bytes()), Some(full));
        assert!(parse("t ON set KEYS * CALL f").unwrap().enabled);
    }

    #[test]
    fn what_is_wrong_with_a_definition_is_said() {
        let syntax = [
            "t",
            "t ON",
            "t ON set KEYS *",
            "t ON set KEYS * f",
            "t ON set KEYS * CALL f ENABLED x",
            "t ON set KEYS * CALL f maybe",
            "t AT set KEYS * CALL f",
        ];
        for text in syntax {
            assert_eq!(parse(text), Err(DefinitionError::Syntax), "{text}");
        }
        assert_eq!(parse("t ON sett KEYS * CALL f"), Err(DefinitionError::UnknownEvent("sett".into())));
        assert_eq!(parse("t ON set KEYS * DB 16 CALL f"), Err(DefinitionError::Database));
        let long = "x".repeat(MAX_NAME_LEN + 1);
        assert_eq!(parse(&format!("{long} ON set KEYS * CALL f")), Err(DefinitionError::Name));
    }

    #[test]
    fn an_event_matches_by_name_database_and_key() {
        let event = |kind, database, key: &[u8]| Event {
            kind,
            database,
            key: Key::new(key),
            before: None,
            after: None,
            elements: Vec::new(),
        };
        let trigger = parse("t ON set KEYS user:* DB 1 CALL f").unwrap();
        assert!(trigger.matches(&event(events::SET, 1, b"user:1")));
        assert!(!trigger.matches(&event(events::DEL, 1, b"user:1")));
        assert!(!trigger.matches(&event(events::SET, 0, b"user:1")));
        assert!(!trigger.matches(&event(events::SET, 1, b"other")));
        assert!(!Definition { enabled: false, ..trigger }.matches(&event(events::SET, 1, b"user:1")));
    }
}
