//! A seeded stream of commands that a client might send and of those that none should: small pools of keys so that
//! commands meet, numbers at the edges, options in any case and combination, wrong arity.
//!
//! Commands are built from `templates.rs`; what a word of a template stands for is decided in `words.rs`.

mod streams;
mod templates;
mod words;

use crate::line;
use fastrand::Rng;
use std::fmt;
use words::Words;

/// Ordinary connections: the first speaks RESP2 at the start and mostly later, the second RESP3.
pub const ORDINARY: std::ops::Range<usize> = 0..2;
/// Connections that only subscribe: the first speaks RESP2 at the start, the second RESP3.
pub const SUBSCRIBERS: std::ops::Range<usize> = 2..4;

/// The groups of commands of one type each, which are equally frequent.
const TYPES: &[&[&str]] = &[
    templates::HASHES,
    templates::LISTS,
    templates::SETS,
    templates::SORTED_SETS,
    templates::GEO,
    templates::SORTING,
    streams::STREAMS,
    streams::SKETCHES,
];

/// One thing done to both servers.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// A command on the connection of that index.
    Command(usize, Vec<Vec<u8>>),
    /// SCAN with these options from cursor 0 until it is through.
    Scan(usize, Vec<Vec<u8>>),
    /// A SET of a key with a life of a millisecond or less, a wait until that has passed, and a look at the key:
    /// whether the server removed it in time or only now, a client sees the same.
    ShortLife(usize, Vec<Vec<u8>>),
    /// The end of the server and its start with the data that it has kept; all clients connect anew.
    Restart(End),
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is asked to, with SIGTERM.
    Terminate,
    /// By SIGKILL.
    Kill,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Command(connection, arguments) => write!(out, "{connection}> {}", line::print(arguments)),
            Step::Scan(connection, options) => {
                write!(out, "{connection}> (whole) SCAN 0 {}", line::print(options))
            }
            Step::ShortLife(connection, set) => {
                write!(out, "{connection}> (expires) {}", line::print(set))
            }
            Step::Restart(end) => write!(out, "(restart: {end:?})"),
        }
    }
}

/// The steps of one seed, without end.
pub struct Generator {
    random: Rng,
    in_transaction: [bool; SUBSCRIBERS.end],
    /// How many steps there have been: what rises with it are the ids of stream entries.
    steps: u64,
    restart: Option<(u64, End)>,
}

impl Generator {
    /// The stream of that seed.
    #[must_use]
    pub fn new(seed: u64) -> Generator {
        let in_transaction = [false; SUBSCRIBERS.end];
        Generator { random: Rng::with_seed(seed), in_transaction, steps: 0, restart: None }
    }

    /// With a restart at that step.
    #[must_use]
    pub fn with_restart(self, step: u64, end: End) -> Generator {
        Generator { restart: Some((step, end)), ..self }
    }

    fn step(&mut self) -> Step {
        self.steps += 1;
        if let Some((_, end)) = self.restart.filter(|(step, _)| *step == self.steps) {
            self.in_transaction = [false; SUBSCRIBERS.end];
            return Step::Restart(end);
        }
        let connection = self.random.usize(ORDINARY);
        // Not within MULTI: what EXEC answers after a HELLO is half in one protocol and half in the other, and a short
        // life would begin at a time that nobody waits for.
        let in_transaction = self.in_transaction[connection];
        match self.random.u32(..1000) {
            700..780 => self.command(connection, templates::TRANSACTION),
            780..840 if !in_transaction => self.command(connection, templates::SESSION),
            840..870 => self.command(connection, templates::PUBLISH),
            870..880 if !in_transaction => {
                Step::Command(connection, line::arguments(["HELLO 2", "HELLO 3"][connection]))
            }
            880..930 => {
                let subscriber = self.random.usize(SUBSCRIBERS);
                self.command(subscriber, templates::SUBSCRIBE)
            }
            930..970 => Step::Scan(connection, self.words().expand(templates::SCAN_OPTIONS)),
            970.. if !in_transaction => {
                Step::ShortLife(connection, self.words().expand(templates::SHORT_LIFE))
            }
            0..350 => self.command(connection, templates::DATA),
            _ => {
                let group = TYPES[self.random.usize(..TYPES.len())];
                self.command(connection, group)
            }
        }
    }

    fn words(&mut self) -> Words<'_> {
        Words::new(&mut self.random, self.steps)
    }

    fn command(&mut self, connection: usize, templates: &[&str]) -> Step {
        let template = templates[self.random.usize(..templates.len())];
        let mut words = self.words();
        let mut arguments = words.expand(template);
        // COMMAND with fewer arguments describes every command there is; SPOP pops a random member; ZRANK takes one more
        // since Redis 7.2, and HELLO does nothing if one of its options is wrong.
        if !["COMMAND", "HELLO protocol SETNAME", "SPOP", "ZRANK", "ZREVRANK"]
            .iter()
            .any(|name| template.starts_with(name))
        {
            words.damage(&mut arguments);
        }
        match arguments[0].as_slice() {
            b"MULTI" | b"multi" => self.in_transaction[connection] = true,
            b"EXEC" | b"DISCARD" | b"RESET" if arguments.len() == 1 => {
                self.in_transaction[connection] = false;
            }
            _ => {}
        }
        Step::Command(connection, arguments)
    }
}

impl Iterator for Generator {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(self.step())
    }
}

#[cfg(test)]
mod tests {
    use super::{Generator, Step};
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_is_always_the_same_stream() {
        let stream = |seed| Generator::new(seed).take(2000).collect::<Vec<Step>>();
        assert!(stream(7) == stream(7));
        assert!(stream(7) != stream(8));
    }

    #[test]
    fn every_template_is_used() {
        let names: BTreeSet<Vec<u8>> = Generator::new(1)
            .take(30_000)
            .filter_map(|step| match step {
                Step::Command(_, arguments) => arguments.first().map(|name| name.to_ascii_uppercase()),
                _ => None,
            })
            .collect();
        let groups = [super::templates::DATA, super::templates::TRANSACTION];
        for template in groups.iter().chain(super::TYPES).copied().flatten() {
            let name = template.split(' ').next().unwrap();
            assert!(names.contains(name.as_bytes()), "{name}");
        }
    }
}
