//! What a trigger says, as text of `TRIGGER CREATE` and as it is stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::asynchronous::{Asynchronous, MAX_BACKOFF_MS, MAX_CONCURRENCY, MAX_TRIES, WhenFull};
use crate::keyspace::{Event, EventClasses, EventKind, events};
use crate::types::{glob, parse_integer};

/// The longest name of a trigger, in bytes.
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
    /// The library that declared it, and that it is deleted with; `None` if a client created it.
    pub library: Option<String>,
    /// How its events are delivered; `None` if it runs in the transaction of the event. Absent from definitions that
    /// older versions stored, which had only such triggers.
    #[serde(default)]
    pub asynchronous: Option<Asynchronous>,
}

/// Why a text is not a definition. Displays as the text of an error reply.
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
    /// The number given for this option is out of range.
    Number {
        /// The option.
        option: &'static str,
        /// The least number.
        min: u64,
        /// The greatest number.
        max: u64,
    },
    /// This option is for asynchronous triggers.
    OnlyAsynchronous(&'static str),
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
            Self::Number { option, min, max } => {
                write!(formatter, "{option} is a number from {min} to {max}")
            }
            Self::OnlyAsynchronous(option) => write!(formatter, "{option} is an option of ASYNC triggers"),
        }
    }
}

impl Definition {
    /// Reads `name [ASYNC|SYNC] ON event[,event ...] KEYS pattern [DB n] CALL function [option ...]`, where an option is
    /// `ENABLED` or `DISABLED`, or one of an asynchronous trigger.
    pub fn parse<'a>(
        words: impl IntoIterator<Item = &'a [u8]>,
        databases: u8,
    ) -> Result<Self, DefinitionError> {
        let mut words = Words(words.into_iter());
        let name = name(words.next()?)?;
        let mut word = words.next()?;
        let is_asynchronous = word.eq_ignore_ascii_case(b"ASYNC");
        if is_asynchronous || word.eq_ignore_ascii_case(b"SYNC") {
            word = words.next()?;
        }
        if !word.eq_ignore_ascii_case(b"ON") {
            return Err(DefinitionError::Syntax);
        }
        let events = event_names(words.next()?)?;
        words.keyword("KEYS")?;
        let pattern = words.next()?.to_vec();
        let mut word = words.next()?;
        let mut database = None;
        if word.eq_ignore_ascii_case(b"DB") {
            let number = parse_integer(words.next()?).ok_or(DefinitionError::Database)?;
            let number = u8::try_from(number).ok().filter(|number| *number < databases);
            database = Some(number.ok_or(DefinitionError::Database)?);
            word = words.next()?;
        }
        if !word.eq_ignore_ascii_case(b"CALL") {
            return Err(DefinitionError::Syntax);
        }
        let function = self::name(words.next()?)?;
        let mut definition = Self {
            name,
            events,
            pattern,
            database,
            function,
            enabled: true,
            library: None,
            asynchronous: is_asynchronous.then(Asynchronous::default),
        };
        while let Some(word) = words.0.next() {
            definition.read_option(word, &mut words)?;
        }
        Ok(definition)
    }

    /// Reads one of the options at the end.
    fn read_option<'a>(
        &mut self,
        word: &[u8],
        words: &mut Words<impl Iterator<Item = &'a [u8]>>,
    ) -> Result<(), DefinitionError> {
        const OPTIONS: [&str; 8] =
            ["ENABLED", "DISABLED", "CONCURRENCY", "TRIES", "BACKOFF", "FUEL", "COALESCE", "ONFULL"];
        let option = OPTIONS.into_iter().find(|option| word.eq_ignore_ascii_case(option.as_bytes()));
        let option = option.ok_or(DefinitionError::Syntax)?;
        if matches!(option, "ENABLED" | "DISABLED") {
            self.enabled = option == "ENABLED";
            return Ok(());
        }
        let asynchronous = self.asynchronous.as_mut().ok_or(DefinitionError::OnlyAsynchronous(option))?;
        match option {
            "CONCURRENCY" => asynchronous.concurrency = words.number(option, 1, MAX_CONCURRENCY)?,
            "TRIES" => asynchronous.tries = words.number(option, 1, MAX_TRIES)?,
            "BACKOFF" => asynchronous.backoff_ms = words.number(option, 0, MAX_BACKOFF_MS)?,
            "FUEL" => asynchronous.fuel = Some(words.number(option, 1, i64::MAX as u64)?),
            "COALESCE" => asynchronous.coalesce = true,
            _ => {
                let word = words.next()?;
                let modes = [WhenFull::Delay, WhenFull::Refuse];
                let mode = modes.into_iter().find(|mode| word.eq_ignore_ascii_case(mode.name().as_bytes()));
                asynchronous.when_full = mode.ok_or(DefinitionError::Syntax)?;
            }
        }
        Ok(())
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

    /// The number of an option.
    fn number<N: TryFrom<i64> + Into<u64> + Copy + PartialOrd>(
        &mut self,
        option: &'static str,
        min: N,
        max: N,
    ) -> Result<N, DefinitionError> {
        let number = parse_integer(self.next()?).and_then(|number| N::try_from(number).ok());
        let number = number.filter(|number| (min..=max).contains(number));
        number.ok_or(DefinitionError::Number { option, min: min.into(), max: max.into() })
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
            asynchronous: None,
        };
        assert_eq!(full, expected);
        assert_eq!(Definition::from_bytes(&full.to_bytes()), Some(full));
        assert!(parse("t ON set KEYS * CALL f").unwrap().enabled);
    }

    #[test]
    fn the_options_of_an_asynchronous_trigger_are_read_and_survive_storage() {
        let plain = parse("t Async on set keys * call f").unwrap();
        assert_eq!(plain.asynchronous, Some(Asynchronous::default()));
        assert_eq!(parse("t sync on set keys * call f"), parse("t on set keys * call f"));
        let full = parse(
            "t ASYNC ON set KEYS * CALL f concurrency 4 TRIES 9 BACKOFF 10 FUEL 5000 COALESCE ONFULL refuse DISABLED",
        )
        .unwrap();
        let expected = Asynchronous {
            concurrency: 4,
            tries: 9,
            backoff_ms: 10,
            fuel: Some(5000),
            coalesce: true,
            when_full: WhenFull::Refuse,
        };
        assert_eq!((full.asynchronous.as_ref(), full.enabled), (Some(&expected), false));
        assert_eq!(Definition::from_bytes(&full.to_bytes()), Some(full));
    }

    #[test]
    fn a_definition_of_a_version_without_asynchronous_triggers_is_read() {
        let stored =
            br#"{"name":"t","events":["set"],"pattern":[42],"database":null,"function":"f","enabled":true,
                          "library":null}"#;
        assert_eq!(Definition::from_bytes(stored), Some(parse("t ON set KEYS * CALL f").unwrap()));
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
            "t ASYNC SYNC ON set KEYS * CALL f",
            "t ASYNC ON set KEYS * CALL f TRIES",
            "t ASYNC ON set KEYS * CALL f ONFULL never",
        ];
        for text in syntax {
            assert_eq!(parse(text), Err(DefinitionError::Syntax), "{text}");
        }
        assert_eq!(parse("t ON sett KEYS * CALL f"), Err(DefinitionError::UnknownEvent("sett".into())));
        assert_eq!(parse("t ON set KEYS * DB 16 CALL f"), Err(DefinitionError::Database));
        let number = |option, max| Err(DefinitionError::Number { option, min: 1, max });
        for (option, expected) in [
            ("TRIES 0", number("TRIES", MAX_TRIES.into())),
            ("CONCURRENCY 1001", number("CONCURRENCY", MAX_CONCURRENCY.into())),
            ("FUEL -1", number("FUEL", i64::MAX as u64)),
            ("FUEL x", number("FUEL", i64::MAX as u64)),
        ] {
            assert_eq!(parse(&format!("t ASYNC ON set KEYS * CALL f {option}")), expected);
        }
        assert_eq!(
            parse("t SYNC ON set KEYS * CALL f TRIES 3"),
            Err(DefinitionError::OnlyAsynchronous("TRIES"))
        );
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
