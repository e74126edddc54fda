//! Tests written as data, so that the same table runs natively and against a server.
//!
//! A [`Scenario`] is a list of calls and commands with the replies they must have, on an empty database. [`check`]
//! runs it on any [`Backend`]; [`Native`] is the one of this crate, and a test of the server brings its own, which loads
//! the compiled module and talks to a socket.

use alloc::string::String;
use alloc::vec::Vec;

use crate::native::{InvokeProcedure, InvokeTrigger};
use crate::{Command, Db, Error, Procedure, Reply, Result, Trigger};

/// Steps on one database, which is empty at first.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The promise that the scenario checks.
    pub name: &'static str,
    /// What is done, in order.
    pub steps: &'static [Step],
}

/// One request and the reply it must have.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// `FCALL function numkeys key ... arg ...`
    Call(&'static str, &'static [&'static str], &'static [&'static str], Expect),
    /// The words of a command.
    Command(&'static [&'static str], Expect),
}

/// A reply as it can be written in a constant.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// Nil.
    Nil,
    /// The status `OK`.
    Ok,
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// A double, in its text form.
    Double(&'static str),
    /// A bulk string.
    Bulk(&'static str),
    /// An array.
    Array(&'static [Expect]),
    /// A member of a sorted set with its score, as an array of a bulk string and a double.
    Scored(&'static str, &'static str),
    /// An error with this text.
    Error(&'static str),
    /// An error whose text begins so, where the rest differs between servers and native tests.
    ErrorStart(&'static str),
    /// Any error, where the server's own text is not that of native tests.
    AnyError,
}

impl Expect {
    /// Whether `outcome` is the reply.
    #[must_use]
    pub fn matches(&self, outcome: &Result<Reply>) -> bool {
        match (self, outcome) {
            (Self::Error(text), Err(error)) => error.text() == *text,
            (Self::ErrorStart(text), Err(error)) => error.text().starts_with(text),
            (_, Err(_)) => matches!(self, Self::AnyError),
            (_, Ok(reply)) => self.equals(reply),
        }
    }

    fn equals(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::Nil, Reply::Nil) => true,
            (Self::Ok, reply) => *reply == Reply::OK,
            (Self::Integer(expected), Reply::Integer(number)) => expected == number,
            (Self::Boolean(expected), Reply::Boolean(boolean)) => expected == boolean,
            (Self::Double(expected), Reply::Double(text)) => expected == text,
            (Self::Bulk(expected), Reply::Bulk(bytes)) => expected.as_bytes() == bytes,
            (Self::Scored(member, score), Reply::Array(items)) => match items.as_slice() {
                [first, second] => Self::Bulk(member).equals(first) && Self::Double(score).equals(second),
                _ => false,
            },
            (Self::Array(expected), Reply::Array(items)) => {
                let mut pairs = expected.iter().zip(items);
                expected.len() == items.len() && pairs.all(|(expected, item)| expected.equals(item))
            }
            _ => false,
        }
    }
}

/// Where scenarios run.
pub trait Backend {
    /// Empties the database.
    fn reset(&mut self);
    /// Calls a function of the library.
    fn call(&mut self, function: &str, keys: &[&[u8]], args: &[&[u8]]) -> Result<Reply>;
    /// Runs a command as a client does.
    fn command(&mut self, words: &[&[u8]]) -> Result<Reply>;
}

/// Runs every scenario.
///
/// # Panics
/// When a reply is not the expected one, naming scenario and step.
pub fn check(backend: &mut impl Backend, scenarios: &[Scenario]) {
    for scenario in scenarios {
        backend.reset();
        for (index, step) in scenario.steps.iter().enumerate() {
            let bytes = |words: &[&'static str]| words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>();
            let (outcome, expected) = match step {
                Step::Call(function, keys, args, expected) => {
                    (backend.call(function, &bytes(keys), &bytes(args)), expected)
                }
                Step::Command(words, expected) => (backend.command(&bytes(words)), expected),
            };
            let name = scenario.name;
            assert!(expected.matches(&outcome), "{name}, step {}, {step:?}: got {outcome:?}", index + 1);
        }
    }
}

/// The backend of native tests: the procedures and triggers of a library on a [`Db::test`].
#[derive(Debug)]
pub struct Native {
    db: Db,
    procedures: Vec<(&'static str, &'static str, InvokeProcedure)>,
    triggers: Vec<(&'static str, InvokeTrigger)>,
}

impl Native {
    /// Without any function.
    #[must_use]
    pub fn new() -> Self {
        Self { db: Db::test(), procedures: Vec::new(), triggers: Vec::new() }
    }

    /// Adds a procedure.
    #[must_use]
    pub fn procedure<P: Procedure>(mut self) -> Self {
        self.procedures.push((P::NAME, P::USAGE, P::invoke));
        self
    }

    /// Adds a trigger.
    #[must_use]
    pub fn trigger<T: Trigger>(mut self) -> Self {
        self.triggers.push((T::DECLARATION, T::invoke));
        self
    }
}

impl Default for Native {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Native {
    fn reset(&mut self) {
        self.db = Db::test();
        for (declaration, invoke) in &self.triggers {
            self.db.install_by(declaration, *invoke);
        }
    }

    fn call(&mut self, function: &str, keys: &[&[u8]], args: &[&[u8]]) -> Result<Reply> {
        let Some((name, usage, invoke)) = self.procedures.iter().find(|(name, ..)| *name == function) else {
            return Err("ERR Function not found".into());
        };
        self.db.call_by(name, usage, *invoke, keys, args)
    }

    fn command(&mut self, words: &[&[u8]]) -> Result<Reply> {
        let name = String::from_utf8_lossy(words.first().ok_or_else(|| Error::new("empty command"))?);
        self.db.execute(Command::new(&name).args(&words[1..]))
    }
}
