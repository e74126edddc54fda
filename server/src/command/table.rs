//! The rows of the command table, and looking them up.

use std::sync::OnceLock;

use hashbrown::HashTable;

use super::{Context, Outcome, Result};
use crate::protocol::Reply;

/// How a command is carried out.
#[derive(Clone, Copy)]
pub enum Run {
    /// It answers.
    Reply(fn(&mut Context<'_>, &[&[u8]]) -> Result<Reply>),
    /// It may ask the engine for more than an answer.
    Outcome(fn(&mut Context<'_>, &[&[u8]]) -> Result<Outcome>),
    /// It only has subcommands.
    Container,
}

/// Properties of a command, with the names that `COMMAND` gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// It may change keys.
    pub const WRITE: Self = Self(1);
    /// It reads keys and changes none.
    pub const READONLY: Self = Self(1 << 1);
    /// It is refused when memory is full.
    pub const DENYOOM: Self = Self(1 << 2);
    /// It is for administrators.
    pub const ADMIN: Self = Self(1 << 3);
    /// It belongs to publish/subscribe.
    pub const PUBSUB: Self = Self(1 << 4);
    /// Procedures may not run it.
    pub const NOSCRIPT: Self = Self(1 << 5);
    /// It may be run while data is loaded.
    pub const LOADING: Self = Self(1 << 6);
    /// It may be run on stale data.
    pub const STALE: Self = Self(1 << 7);
    /// It calls a procedure: MONITOR shows it before what that does.
    pub const SKIP_MONITOR: Self = Self(1 << 8);
    /// It does not enter the slow log.
    pub const SKIP_SLOWLOG: Self = Self(1 << 9);
    /// It takes constant time.
    pub const FAST: Self = Self(1 << 10);
    /// It may be run without authentication.
    pub const NO_AUTH: Self = Self(1 << 11);
    /// It may not be queued by MULTI.
    pub const NO_MULTI: Self = Self(1 << 12);
    /// Its key positions depend on its arguments.
    pub const MOVABLEKEYS: Self = Self(1 << 13);
    /// It may block.
    pub const BLOCKING: Self = Self(1 << 14);
    /// What it does may be seen by others although it is not known to write: it publishes, or calls a procedure.
    pub const MAY_REPLICATE: Self = Self(1 << 15);
    /// It may be called without any key although it can take keys.
    pub const NO_MANDATORY_KEYS: Self = Self(1 << 16);
    /// It may not be run while data is loaded in the background.
    pub const NO_ASYNC_LOADING: Self = Self(1 << 17);
    /// It may be run while a procedure keeps the server busy.
    pub const ALLOW_BUSY: Self = Self(1 << 18);

    /// Names in the order in which Redis prints them; it does not print `MAY_REPLICATE`.
    pub const NAMES: [(Self, &'static str); 18] = [
        (Self::WRITE, "write"),
        (Self::READONLY, "readonly"),
        (Self::DENYOOM, "denyoom"),
        (Self::ADMIN, "admin"),
        (Self::PUBSUB, "pubsub"),
        (Self::NOSCRIPT, "noscript"),
        (Self::BLOCKING, "blocking"),
        (Self::LOADING, "loading"),
        (Self::STALE, "stale"),
        (Self::SKIP_MONITOR, "skip_monitor"),
        (Self::SKIP_SLOWLOG, "skip_slowlog"),
        (Self::FAST, "fast"),
        (Self::NO_AUTH, "no_auth"),
        (Self::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Self::NO_ASYNC_LOADING, "no_async_loading"),
        (Self::NO_MULTI, "no_multi"),
        (Self::MOVABLEKEYS, "movablekeys"),
        (Self::ALLOW_BUSY, "allow_busy"),
    ];

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Which arguments of a command are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// None.
    None,
    /// Every `step`th from `first` to `last`; a negative `last` counts from the end.
    Range {
        /// The first key.
        first: usize,
        /// The last key.
        last: isize,
        /// From one to the next.
        step: usize,
    },
    /// The argument at this place says how many keys follow it.
    Counted {
        /// Where the number is.
        at: usize,
    },
    /// A destination, and behind it, at this place, the number of keys that follow.
    StoredCounted {
        /// Where the number is.
        at: usize,
    },
    /// The first argument, and the one behind the last `STORE` or `STOREDIST` from a place on.
    Stored {
        /// Where such an option can be for the first time.
        from: usize,
    },
    /// The first argument, and the destination among the options of `SORT`; others are in what the key holds.
    Sorted {
        /// Whether there can be a destination.
        may_store: bool,
    },
    /// Behind this word, which is at `from` or later, are as many keys as other arguments behind them.
    Behind {
        /// In capitals.
        word: &'static str,
        /// Where it is looked for.
        from: usize,
    },
    /// A destination first, then as [`Keys::Range`] from there on to the end.
    From {
        /// The first key.
        first: usize,
    },
}

/// The groups of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Commands of all types.
    Generic,
    /// Strings.
    String,
    /// Bits of strings.
    Bitmap,
    /// Lists.
    List,
    /// Hashes.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Places on the earth.
    Geo,
    /// Sketches that count different elements.
    HyperLogLog,
    /// Entries in the order of their ids.
    Stream,
    /// Connections.
    Connection,
    /// MULTI and EXEC.
    Transactions,
    /// Publish/subscribe.
    PubSub,
    /// Administration.
    Server,
    /// Procedures.
    Scripting,
}

impl Group {
    /// The name in `COMMAND DOCS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::List => "list",
            Self::Hash => "hash",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Geo => "geo",
            Self::HyperLogLog => "hyperloglog",
            Self::Stream => "stream",
            Self::Connection => "connection",
            Self::Transactions => "transactions",
            Self::PubSub => "pubsub",
            Self::Server => "server",
            Self::Scripting => "scripting",
        }
    }
}

/// A row of the table.
pub struct Command {
    /// Its name in lower case; of a subcommand, without its container's.
    pub name: &'static str,
    /// Its handler.
    pub run: Run,
    /// How many arguments it takes, its name included; negative: at least so many.
    pub arity: i32,
    /// Its properties.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: Keys,
    /// Where it is documented.
    pub group: Group,
    /// The Redis version that brought it, or this server's own, as `kvasm 0.1`.
    pub since: &'static str,
    /// Its complexity.
    pub complexity: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its arguments, as in the Redis documentation: `key value [NX | XX] [GET]`.
    pub syntax: &'static str,
    /// Its subcommands.
    pub subcommands: &'static [Command],
}

impl Command {
    /// A row with a handler that answers.
    pub const fn new(
        name: &'static str,
        arity: i32,
        run: fn(&mut Context<'_>, &[&[u8]]) -> Result<Reply>,
    ) -> Self {
        Self::with(name, arity, Run::Reply(run))
    }

    /// A row with a handler that may ask the engine for more.
    pub const fn outcome(
        name: &'static str,
        arity: i32,
        run: fn(&mut Context<'_>, &[&[u8]]) -> Result<Outcome>,
    ) -> Self {
        Self::with(name, arity, Run::Outcome(run))
    }

    /// A row that only has subcommands.
    #[must_use]
    pub const fn container(name: &'static str, subcommands: &'static [Self]) -> Self {
        let mut row = Self::with(name, -2, Run::Container);
        row.subcommands = subcommands;
        row
    }

    const fn with(name: &'static str, arity: i32, run: Run) -> Self {
        Self {
            name,
            run,
            arity,
            flags: Flags(0),
            keys: Keys::None,
            group: Group::Server,
            since: "",
            complexity: "",
            summary: "",
            syntax: "",
            subcommands: &[],
        }
    }

    /// Adds subcommands to a row that has a handler of its own.
    #[must_use]
    pub const fn subcommands(mut self, subcommands: &'static [Self]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Adds properties.
    #[must_use]
    pub const fn flags(mut self, flags: &[Flags]) -> Self {
        let mut next = 0;
        while next < flags.len() {
            self.flags = self.flags.with(flags[next]);
            next += 1;
        }
        self
    }

    /// Says where the keys are.
    #[must_use]
    pub const fn keys(mut self, first: usize, last: isize, step: usize) -> Self {
        self.keys = Keys::Range { first, last, step };
        self
    }

    /// Says that argument `at` tells how many keys follow it.
    #[must_use]
    pub const fn counted_keys(mut self, at: usize) -> Self {
        self.keys = Keys::Counted { at };
        self.flags = self.flags.with(Flags::MOVABLEKEYS);
        self
    }

    /// Says that all arguments from `first` on are keys, and that the first of them is used in another way.
    #[must_use]
    pub const fn keys_from(mut self, first: usize) -> Self {
        self.keys = Keys::From { first };
        self
    }

    /// Says that a destination comes before argument `at`, which tells how many keys follow it.
    #[must_use]
    pub const fn stored_counted_keys(mut self, at: usize) -> Self {
        self.keys = Keys::StoredCounted { at };
        self.flags = self.flags.with(Flags::MOVABLEKEYS);
        self
    }

    /// Says that the first argument is a key, and so is what follows `STORE` or `STOREDIST` from a place on.
    #[must_use]
    pub const fn stored_keys(mut self, from: usize) -> Self {
        self.keys = Keys::Stored { from };
        self.flags = self.flags.with(Flags::MOVABLEKEYS);
        self
    }

    /// Says that the keys are those of `SORT`.
    #[must_use]
    pub const fn sorted_keys(mut self, may_store: bool) -> Self {
        self.keys = Keys::Sorted { may_store };
        self.flags = self.flags.with(Flags::MOVABLEKEYS);
        self
    }

    /// Says that the keys are the first half of what is behind this word, which is at `from` or later.
    #[must_use]
    pub const fn keys_behind(mut self, word: &'static str, from: usize) -> Self {
        self.keys = Keys::Behind { word, from };
        self.flags = self.flags.with(Flags::MOVABLEKEYS);
        self
    }

    /// Adds what the documentation says.
    #[must_use]
    pub const fn docs(
        mut self,
        group: Group,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
        syntax: &'static str,
    ) -> Self {
        self.group = group;
        self.since = since;
        self.complexity = complexity;
        self.summary = summary;
        self.syntax = syntax;
        self
    }

    /// Whether so many arguments, the name included, are right.
    #[must_use]
    pub fn accepts(&self, arguments: usize) -> bool {
        if self.arity >= 0 {
            arguments == self.arity as usize
        } else {
            arguments >= self.arity.unsigned_abs() as usize
        }
    }

    /// Whether it has that property.
    #[must_use]
    pub fn is(&self, flag: Flags) -> bool {
        self.flags.has(flag)
    }

    /// The places of its keys among the arguments.
    pub fn key_places(&self, arguments: &[&[u8]]) -> impl Iterator<Item = usize> + use<> {
        let count = arguments.len();
        let counted = |at: usize| {
            let number = arguments.get(at).and_then(|number| crate::types::parse_integer(number));
            let number = number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
            let first = (at + 1).min(count);
            first..first.saturating_add(number).min(count)
        };
        let (mut before, mut behind) = (None, None);
        let (range, step) = match self.keys {
            Keys::None => (0..0, 1),
            Keys::Range { first, last, step } => {
                let last = if last < 0 { count as isize + last } else { last };
                let end = usize::try_from(last + 1).unwrap_or(0).min(count);
                (first.min(end)..end, step)
            }
            Keys::Counted { at } => (counted(at), 1),
            Keys::StoredCounted { at } => {
                before = (at <= count).then(|| at - 1);
                (counted(at), 1)
            }
            Keys::Stored { from } => {
                let is_option = |place: &usize| {
                    let argument = arguments[*place];
                    argument.eq_ignore_ascii_case(b"STORE") || argument.eq_ignore_ascii_case(b"STOREDIST")
                };
                behind = (from..count.saturating_sub(1)).rev().find(is_option).map(|place| place + 1);
                (1..count.min(2), 1)
            }
            Keys::Sorted { may_store } => {
                behind = super::sort::destination(arguments).filter(|_| may_store);
                (1..count.min(2), 1)
            }
            Keys::Behind { word, from } => {
                let is_word = |argument: &&[u8]| argument.eq_ignore_ascii_case(word.as_bytes());
                let behind = arguments.iter().skip(from).position(is_word);
                let first = behind.map_or(count, |at| from + at + 1);
                (first..first + (count - first) / 2, 1)
            }
            Keys::From { first } => (first.min(count)..count, 1),
        };
        before.into_iter().chain(range.step_by(step)).chain(behind)
    }
}

/// The rows of all groups.
const GROUPS: &[&[Command]] = &[
    super::strings::COMMANDS,
    super::assign::COMMANDS,
    super::counters::COMMANDS,
    super::bits::COMMANDS,
    super::bitfield::COMMANDS,
    super::lists::COMMANDS,
    super::list_pops::COMMANDS,
    super::hashes::COMMANDS,
    super::field_expiry::COMMANDS,
    super::sets::COMMANDS,
    super::set_algebra::COMMANDS,
    super::sorted_set::COMMANDS,
    super::sorted_set::THEMES[0],
    super::sorted_set::THEMES[1],
    super::sorted_set::THEMES[2],
    super::sorted_set::THEMES[3],
    super::sorted_set::THEMES[4],
    super::geo::COMMANDS,
    super::geo::SEARCHES,
    super::hyperloglog::COMMANDS,
    super::stream::entries::COMMANDS,
    super::stream::read::COMMANDS,
    super::stream::groups::COMMANDS,
    super::stream::pending::COMMANDS,
    super::stream::info::COMMANDS,
    super::dump::COMMANDS,
    super::generic::COMMANDS,
    super::sort::COMMANDS,
    super::object::COMMANDS,
    super::expiry::COMMANDS,
    super::scan::COMMANDS,
    super::connection::COMMANDS,
    super::client::COMMANDS,
    super::transaction::COMMANDS,
    super::pubsub::COMMANDS,
    super::server::COMMANDS,
    super::config::COMMANDS,
    super::info::COMMANDS,
    super::monitor::COMMANDS,
    super::memory::COMMANDS,
    super::latency::COMMANDS,
    super::introspection::COMMANDS,
    super::procedure::COMMANDS,
    super::function::COMMANDS,
    super::trigger::COMMANDS,
];

/// All commands, containers but not their subcommands, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// Names are no longer than this, so looking one up needs no allocation.
const MAX_NAME_LEN: usize = 24;

struct Index {
    by_name: HashTable<(&'static Command, usize)>,
    /// The full name of every command and subcommand, at its place.
    names: Vec<String>,
}

fn hash(name: &[u8]) -> u64 {
    // FNV-1a over the lower-case name: names are short and known, so nothing stronger is needed.
    let folded = name.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte | 0x20)).wrapping_mul(0x0100_0000_01b3)
    });
    folded ^ folded << 32
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut by_name = HashTable::new();
        let mut names = Vec::new();
        for command in all() {
            let of = |(command, _): &(&Command, usize)| hash(command.name.as_bytes());
            by_name.insert_unique(hash(command.name.as_bytes()), (command, names.len()), of);
            names.push(command.name.to_owned());
            names.extend(command.subcommands.iter().map(|own| format!("{}|{}", command.name, own.name)));
        }
        Index { by_name, names }
    })
}

/// The row of a command named in any case, and its place among all commands and subcommands.
#[must_use]
pub fn lookup(name: &[u8]) -> Option<(&'static Command, usize)> {
    if name.len() > MAX_NAME_LEN {
        return None;
    }
    let found = index().by_name.find(hash(name), |(row, _)| row.name.as_bytes().eq_ignore_ascii_case(name));
    found.copied()
}

/// The row of a subcommand named in any case, and how far behind its container's place its own is.
#[must_use]
pub fn subcommand(container: &'static Command, name: &[u8]) -> Option<(&'static Command, usize)> {
    let mut rows = container.subcommands.iter().zip(1..);
    rows.find(|(row, _)| row.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The name of the command at a place: `get`, or with that of its container `client|list`.
#[must_use]
pub fn full_name(place: usize) -> &'static str {
    index().names.get(place).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case_and_is_documented() {
        for command in all() {
            let upper = command.name.to_ascii_uppercase();
            assert!(lookup(upper.as_bytes()).is_some_and(|(row, _)| std::ptr::eq(row, command)), "{upper}");
            for row in std::iter::once(command).chain(command.subcommands) {
                assert!(!row.summary.is_empty() && !row.since.is_empty(), "{} {}", command.name, row.name);
                assert!(row.name.len() <= MAX_NAME_LEN && row.arity != 0, "{}", row.name);
                assert!(!(row.is(Flags::WRITE) && row.is(Flags::READONLY)), "{}", row.name);
            }
        }
        assert!(lookup(b"nope").is_none());
    }

    #[test]
    fn every_command_and_subcommand_has_a_place_of_its_own() {
        for (place, name) in index().names.iter().enumerate() {
            let mut parts = name.split('|');
            let (row, first) = lookup(parts.next().unwrap_or_default().as_bytes()).unwrap();
            let behind = parts.next().map_or(0, |own| subcommand(row, own.as_bytes()).unwrap().1);
            assert_eq!(first + behind, place, "{name}");
        }
        assert_eq!(full_name(usize::MAX), "");
    }

    #[track_caller]
    fn check_keys(request: &str, expected: &[usize]) {
        let arguments: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let (command, _) = lookup(arguments[0]).unwrap();
        assert_eq!(command.key_places(&arguments).collect::<Vec<_>>(), expected, "{request}");
    }

    #[test]
    fn keys_are_where_the_rows_say() {
        check_keys("get a", &[1]);
        check_keys("mset a 1 b 2", &[1, 3]);
        check_keys("mget a b c", &[1, 2, 3]);
        check_keys("rename a b", &[1, 2]);
        check_keys("bitop and d a b", &[2, 3, 4]);
        check_keys("ping", &[]);
        check_keys("fcall f 2 a b c", &[3, 4]);
        check_keys("fcall f 9 a b c", &[3, 4, 5]);
        check_keys("fcall f -1 a", &[]);
        check_keys("zunionstore d 2 a b weights 1 2", &[1, 3, 4]);
        check_keys("zunionstore d x a b", &[1]);
        check_keys("zunionstore d 5 a", &[1, 3]);
        check_keys("georadius k 1 2 3 m", &[1]);
        check_keys("georadius k 1 2 3 m store a storedist b", &[1, 9]);
        check_keys("georadiusbymember k m 1 m desc Store a", &[1, 7]);
        check_keys("georadiusbymember k m 1 m desc store", &[1]);
        check_keys("sort k", &[1]);
        check_keys("sort k store a by store get store limit store store Store b store", &[1, 12]);
        check_keys("sort k get", &[1]);
        check_keys("sort_ro k store b", &[1]);
        check_keys("xread count 1 streams a b 1 2", &[4, 5]);
        check_keys("xreadgroup group streams c Streams a 1", &[5]);
        check_keys("xread count 1 a", &[]);
        check_keys("xread count 1 streams", &[]);
    }
}
