//! ACL categories of commands, derived from the rows as Redis derives them.

use super::{Flags, Found, Group};

/// All categories, in the order in which Redis lists them.
const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Categories of commands whose group and flags do not tell.
const EXTRA: &[(&str, &[&str])] = &[
    ("dbsize", &["keyspace"]),
    ("flushall", &["keyspace", "dangerous"]),
    ("flushdb", &["keyspace", "dangerous"]),
    ("info", &["dangerous"]),
    ("keys", &["dangerous"]),
    ("lastsave", &["admin", "dangerous"]),
    ("restore", &["dangerous"]),
    ("role", &["admin", "dangerous"]),
    ("sort", &["set", "sortedset", "list", "dangerous"]),
    ("sort_ro", &["set", "sortedset", "list", "dangerous"]),
    ("swapdb", &["keyspace", "dangerous"]),
];

/// The categories of a command, without their `@`.
pub(super) fn categories(command: Found) -> Vec<&'static str> {
    CATEGORIES.iter().copied().filter(|category| is_in(command, category)).collect()
}

/// Whether a command is in a category, in lower case.
pub(super) fn is_in(command: Found, category: &str) -> bool {
    let row = command.row;
    let by_flag = match category {
        "read" => row.is(Flags::READONLY) && row.group != Group::Scripting,
        "write" => row.is(Flags::WRITE),
        "admin" | "dangerous" => row.is(Flags::ADMIN),
        "pubsub" => row.is(Flags::PUBSUB),
        "fast" => row.is(Flags::FAST),
        "slow" => !row.is(Flags::FAST),
        "blocking" => row.is(Flags::BLOCKING),
        _ => false,
    };
    // A container does nothing itself.
    let by_group = row.subcommands.is_empty() || !command.is_container();
    let by_group = by_group && of_group(row.group, command.parent.name) == Some(category);
    let by_name = EXTRA.iter().any(|(name, extra)| *name == command.full_name() && extra.contains(&category));
    by_flag || by_group || by_name
}

fn of_group(group: Group, top_name: &str) -> Option<&'static str> {
    match group {
        Group::Generic if top_name == "wait" => Some("connection"),
        Group::Generic if top_name.starts_with("sort") => None,
        Group::Generic => Some("keyspace"),
        Group::String => Some("string"),
        Group::Set => Some("set"),
        Group::Hash => Some("hash"),
        Group::Bitmap => Some("bitmap"),
        Group::SortedSet => Some("sortedset"),
        Group::Geo => Some("geo"),
        Group::List => Some("list"),
        Group::HyperLogLog => Some("hyperloglog"),
        Group::Stream => Some("stream"),
        Group::Connection => Some("connection"),
        Group::Transactions => Some("transaction"),
        Group::Scripting => Some("scripting"),
        // As in Redis, these are everybody's, wherever they are documented.
        Group::Server if top_name == "command" => Some("connection"),
        Group::Server | Group::PubSub => None,
    }
}
