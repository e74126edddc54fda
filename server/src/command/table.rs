//! The rows of the command table, and looking them up.

use std::sync::OnceLock;

use hashbrown::HashTable;

use super::key_places::Keys;
use super::{Context, Outcome, Result};
use crate::protocol::Reply;
use crate::state::{Server, Session, Upload};

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

    // What only this server asks for.

    /// It is run rather than queued between MULTI and EXEC.
    pub const RUNS_IN_MULTI: Self = Self(1 << 19);
    /// A RESP2 client may run it while it is subscribed to something.
    pub const WHILE_SUBSCRIBED: Self = Self(1 << 20);
    /// It may change options, libraries or triggers, which others have to be told of.
    pub const CHANGES_SETTINGS: Self = Self(1 << 21);
    /// It is about the server rather than its data: a procedure in the background has to ask the engine.
    pub const ABOUT_SERVER: Self = Self(1 << 22);

    /// Names in the order in which Redis prints them; neither `MAY_REPLICATE` nor this server's own are printed.
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

/// What most commands for administrators are.
pub const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

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
    /// Which modules it brings that have to pass the gate before it can run; `None` if it never brings any.
    pub uploads: Option<Uploads>,
}

/// Tells what of a command's arguments has to pass the gate.
pub type Uploads = fn(&Server, &Session, &[&[u8]]) -> Vec<Upload>;

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
            uploads: None,
        }
    }

    /// Says which modules it brings.
    #[must_use]
    pub const fn uploads(mut self, uploads: Uploads) -> Self {
        self.uploads = Some(uploads);
        self
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

    /// Whether it does nothing but call a procedure.
    #[must_use]
    pub fn calls_procedure(&self) -> bool {
        self.is(Flags::NO_MANDATORY_KEYS)
    }

    /// Whether it may change keys. A procedure that is not read-only may.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.is(Flags::WRITE) || self.calls_procedure() && !self.is(Flags::READONLY)
    }

    /// Whether it may change anything that other clients can see.
    #[must_use]
    pub fn affects_others(&self) -> bool {
        self.is(Flags::WRITE) || self.is(Flags::MAY_REPLICATE)
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
    super::sorted_set::add::COMMANDS,
    super::sorted_set::range::COMMANDS,
    super::sorted_set::pop::COMMANDS,
    super::sorted_set::random::COMMANDS,
    super::sorted_set::combine::COMMANDS,
    super::geo::COMMANDS,
    super::geo::search::COMMANDS,
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

/// A command or subcommand that has been looked up.
#[derive(Clone, Copy)]
pub struct Found {
    /// Its row.
    pub row: &'static Command,
    /// The container of a subcommand, or the row itself.
    pub parent: &'static Command,
    /// Its place among all commands and subcommands.
    pub place: usize,
}

/// Why a request could not be looked up.
#[derive(Clone, Copy)]
pub enum NotFound {
    /// There is no such command.
    Command,
    /// This container has no such subcommand.
    Subcommand(&'static Command),
}

impl Found {
    /// Its name, with that of its container: `get`, `client|list`.
    #[must_use]
    pub fn full_name(self) -> &'static str {
        full_name(self.place)
    }

    /// Whether it does nothing without a subcommand.
    #[must_use]
    pub fn is_container(self) -> bool {
        matches!(self.row.run, Run::Container)
    }

    /// Its subcommands.
    pub fn subcommands(self) -> impl Iterator<Item = Self> {
        let rows = self.row.subcommands.iter().zip(self.place + 1..);
        rows.map(move |(row, place)| Self { row, parent: self.row, place })
    }

    /// The subcommand named in any case.
    fn subcommand(self, name: &[u8]) -> Option<Self> {
        self.subcommands().find(|own| own.row.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

struct Index {
    by_name: HashTable<Found>,
    /// Every command and subcommand at its place, with its full name.
    places: Vec<(Found, String)>,
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
        let mut places = Vec::new();
        for row in all() {
            let found = Found { row, parent: row, place: places.len() };
            let of = |found: &Found| hash(found.row.name.as_bytes());
            by_name.insert_unique(of(&found), found, of);
            places.push((found, row.name.to_owned()));
            places.extend(found.subcommands().map(|own| (own, format!("{}|{}", row.name, own.row.name))));
        }
        Index { by_name, places }
    })
}

/// The command named in any case.
fn lookup(name: &[u8]) -> Option<Found> {
    if name.len() > MAX_NAME_LEN {
        return None;
    }
    let is_it = |found: &Found| found.row.name.as_bytes().eq_ignore_ascii_case(name);
    index().by_name.find(hash(name), is_it).copied()
}

/// The command or subcommand that a request calls, whatever the number of its arguments.
pub fn find(arguments: &[&[u8]]) -> std::result::Result<Found, NotFound> {
    let command = arguments.first().and_then(|name| lookup(name)).ok_or(NotFound::Command)?;
    match arguments.get(1) {
        Some(name) if !command.row.subcommands.is_empty() => {
            command.subcommand(name).ok_or(NotFound::Subcommand(command.row))
        }
        _ => Ok(command),
    }
}

/// The command or subcommand of a name such as `get` or `client|list`.
#[must_use]
pub fn find_named(name: &[u8]) -> Option<Found> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let command = lookup(parts.next()?)?;
    match parts.next() {
        None => Some(command),
        Some(own) => command.subcommand(own),
    }
}

/// All commands and subcommands, each at its place.
pub fn places() -> impl Iterator<Item = Found> {
    index().places.iter().map(|(found, _)| *found)
}

/// The command at a place that was found.
#[must_use]
pub fn at(place: usize) -> Found {
    index().places[place].0
}

/// The name of the command at a place: `get`, or with that of its container `client|list`.
#[must_use]
pub fn full_name(place: usize) -> &'static str {
    index().places.get(place).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case_and_is_documented() {
        for command in all() {
            let upper = command.name.to_ascii_uppercase();
            let found = find_named(upper.as_bytes());
            assert!(found.is_some_and(|found| std::ptr::eq(found.row, command)), "{upper}");
            for row in std::iter::once(command).chain(command.subcommands) {
                assert!(!row.summary.is_empty() && !row.since.is_empty(), "{} {}", command.name, row.name);
                assert!(row.name.len() <= MAX_NAME_LEN && row.arity != 0, "{}", row.name);
                assert!(!(row.is(Flags::WRITE) && row.is(Flags::READONLY)), "{}", row.name);
            }
        }
        assert!(find_named(b"nope").is_none());
    }

    #[test]
    fn every_command_and_subcommand_has_a_place_of_its_own() {
        for (place, found) in places().enumerate() {
            let name = found.full_name();
            assert_eq!(found.place, place, "{name}");
            assert_eq!(find_named(name.as_bytes()).map(|found| found.place), Some(place), "{name}");
            assert!(std::ptr::eq(at(place).row, found.row), "{name}");
            let words: Vec<&[u8]> = name.split('|').map(str::as_bytes).collect();
            assert_eq!(find(&words).map(|found| found.place).ok(), Some(place), "{name}");
        }
        assert_eq!(full_name(usize::MAX), "");
    }

    #[test]
    fn a_request_is_found_whatever_the_number_of_its_arguments() {
        let name = |request: &str| {
            let words: Vec<&[u8]> = request.split_terminator(' ').map(str::as_bytes).collect();
            match find(&words) {
                Ok(found) => found.full_name(),
                Err(NotFound::Command) => "no command",
                Err(NotFound::Subcommand(_)) => "no subcommand",
            }
        };
        for (request, expected) in [
            ("GET", "get"),
            ("get a b c", "get"),
            ("config", "config"),
            ("CONFIG Get", "config|get"),
            ("command", "command"),
            ("config nope", "no subcommand"),
            ("config|get", "no command"),
            ("nope", "no command"),
            ("", "no command"),
        ] {
            assert_eq!(name(request), expected, "{request}");
        }
    }
}
