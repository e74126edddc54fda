//! Keyspace events: what happened to a key, in the words of Redis' notifications.
//!
//! One list serves notifications, triggers and tests. All interests are merged into one set of classes, so a change
//! that nobody listens to costs one comparison.

use super::Key;
use crate::types::Value;

/// A set of event classes, with the letters of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClasses(u32);

/// The letters in the order in which `CONFIG GET` prints them, and the class of each.
const LETTERS: [(char, EventClasses); 14] = [
    ('g', EventClasses::GENERIC),
    ('$', EventClasses::STRING),
    ('l', EventClasses::LIST),
    ('s', EventClasses::SET),
    ('h', EventClasses::HASH),
    ('z', EventClasses::SORTED_SET),
    ('x', EventClasses::EXPIRED),
    ('e', EventClasses::EVICTED),
    ('t', EventClasses::STREAM),
    ('d', EventClasses::MODULE),
    ('K', EventClasses::KEYSPACE),
    ('E', EventClasses::KEYEVENT),
    ('m', EventClasses::KEY_MISS),
    // Redis does not print this one after an A. We do, so that CONFIG REWRITE keeps it.
    ('n', EventClasses::NEW),
];

impl std::fmt::Display for EventClasses {
    /// The letters as Redis prints them, with `A` where it applies.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.contains(Self::ALL);
        if all {
            formatter.write_str("A")?;
        }
        for (letter, class) in LETTERS {
            if self.contains(class) && !(all && Self::ALL.contains(class)) {
                write!(formatter, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl EventClasses {
    /// No class.
    pub const NONE: Self = Self(0);
    /// `DEL`, `EXPIRE`, `RENAME` and other commands of all types.
    pub const GENERIC: Self = Self(1);
    /// String commands.
    pub const STRING: Self = Self(1 << 1);
    /// List commands.
    pub const LIST: Self = Self(1 << 2);
    /// Set commands.
    pub const SET: Self = Self(1 << 3);
    /// Hash commands.
    pub const HASH: Self = Self(1 << 4);
    /// Sorted set commands.
    pub const SORTED_SET: Self = Self(1 << 5);
    /// Keys that expired.
    pub const EXPIRED: Self = Self(1 << 6);
    /// Keys evicted for `maxmemory`.
    pub const EVICTED: Self = Self(1 << 7);
    /// Stream commands.
    pub const STREAM: Self = Self(1 << 8);
    /// Module key types; never raised here, accepted for compatibility.
    pub const MODULE: Self = Self(1 << 9);
    /// Keys that did not exist before.
    pub const NEW: Self = Self(1 << 10);
    /// Reads of keys that do not exist.
    pub const KEY_MISS: Self = Self(1 << 11);
    /// Publish to `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Self = Self(1 << 12);
    /// Publish to `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Self = Self(1 << 13);
    /// What the letter `A` stands for: all classes but key misses and new keys.
    pub const ALL: Self = Self((1 << 10) - 1);

    /// Reads the letters of `notify-keyspace-events`; `None` when one is unknown.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Self> {
        letters.chars().try_fold(Self::NONE, |classes, letter| {
            let class = match letter {
                'A' => Self::ALL,
                other => LETTERS.iter().find(|(known, _)| *known == other)?.1,
            };
            Some(classes.with(class))
        })
    }

    /// The union of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The name and class of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// As in notifications, for example `set`.
    pub name: &'static str,
    /// The class that listeners choose it by.
    pub class: EventClasses,
    /// Whether it counts as a change for clients that watch the key or wait for it.
    pub touches: bool,
}

impl EventKind {
    const fn new(name: &'static str, class: EventClasses) -> Self {
        Self { name, class, touches: true }
    }
}

/// The events that the commands of this release raise, and the keyspace itself.
pub mod events {
    use super::{EventClasses, EventKind};

    /// `SET` and its relatives.
    pub const SET: EventKind = EventKind::new("set", EventClasses::STRING);
    /// `SETRANGE`.
    pub const SETRANGE: EventKind = EventKind::new("setrange", EventClasses::STRING);
    /// `SETBIT` and `BITFIELD`.
    pub const SETBIT: EventKind = EventKind::new("setbit", EventClasses::STRING);
    /// `APPEND`.
    pub const APPEND: EventKind = EventKind::new("append", EventClasses::STRING);
    /// `INCR`, `DECR`, `INCRBY`, `DECRBY`.
    pub const INCRBY: EventKind = EventKind::new("incrby", EventClasses::STRING);
    /// `INCRBYFLOAT`.
    pub const INCRBYFLOAT: EventKind = EventKind::new("incrbyfloat", EventClasses::STRING);
    /// `LPUSH`, and what moves an element to the left of a list.
    pub const LPUSH: EventKind = EventKind::new("lpush", EventClasses::LIST);
    /// `RPUSH`, and what moves an element to the right of a list.
    pub const RPUSH: EventKind = EventKind::new("rpush", EventClasses::LIST);
    /// `LPOP`, and what else takes an element from the left of a list.
    pub const LPOP: EventKind = EventKind::new("lpop", EventClasses::LIST);
    /// `RPOP`, and what else takes an element from the right of a list.
    pub const RPOP: EventKind = EventKind::new("rpop", EventClasses::LIST);
    /// `SORT` with `STORE`.
    pub const SORTSTORE: EventKind = EventKind::new("sortstore", EventClasses::LIST);
    /// `LINSERT`.
    pub const LINSERT: EventKind = EventKind::new("linsert", EventClasses::LIST);
    /// `LSET`.
    pub const LSET: EventKind = EventKind::new("lset", EventClasses::LIST);
    /// `LREM`.
    pub const LREM: EventKind = EventKind::new("lrem", EventClasses::LIST);
    /// `LTRIM`, even if it removes nothing.
    pub const LTRIM: EventKind = EventKind::new("ltrim", EventClasses::LIST);
    /// `HSET`, `HMSET` and `HSETNX`.
    pub const HSET: EventKind = EventKind::new("hset", EventClasses::HASH);
    /// `HDEL`.
    pub const HDEL: EventKind = EventKind::new("hdel", EventClasses::HASH);
    /// `HINCRBY`.
    pub const HINCRBY: EventKind = EventKind::new("hincrby", EventClasses::HASH);
    /// `HINCRBYFLOAT`.
    pub const HINCRBYFLOAT: EventKind = EventKind::new("hincrbyfloat", EventClasses::HASH);
    /// Fields got an end.
    pub const HEXPIRE: EventKind = EventKind::new("hexpire", EventClasses::HASH);
    /// Fields lost their ends.
    pub const HPERSIST: EventKind = EventKind::new("hpersist", EventClasses::HASH);
    /// Fields' ends came.
    pub const HEXPIRED: EventKind = EventKind::new("hexpired", EventClasses::HASH);
    /// `SADD`, and `SMOVE` at its destination.
    pub const SADD: EventKind = EventKind::new("sadd", EventClasses::SET);
    /// `SREM`, and `SMOVE` at its source.
    pub const SREM: EventKind = EventKind::new("srem", EventClasses::SET);
    /// `SPOP`.
    pub const SPOP: EventKind = EventKind::new("spop", EventClasses::SET);
    /// `SINTERSTORE`.
    pub const SINTERSTORE: EventKind = EventKind::new("sinterstore", EventClasses::SET);
    /// `SUNIONSTORE`.
    pub const SUNIONSTORE: EventKind = EventKind::new("sunionstore", EventClasses::SET);
    /// `SDIFFSTORE`.
    pub const SDIFFSTORE: EventKind = EventKind::new("sdiffstore", EventClasses::SET);
    /// `ZADD` and `GEOADD`.
    pub const ZADD: EventKind = EventKind::new("zadd", EventClasses::SORTED_SET);
    /// `ZINCRBY` and `ZADD` with `INCR`.
    pub const ZINCR: EventKind = EventKind::new("zincr", EventClasses::SORTED_SET);
    /// `ZREM`.
    pub const ZREM: EventKind = EventKind::new("zrem", EventClasses::SORTED_SET);
    /// `ZREMRANGEBYLEX`.
    pub const ZREMRANGEBYLEX: EventKind = EventKind::new("zremrangebylex", EventClasses::SORTED_SET);
    /// `ZREMRANGEBYRANK`.
    pub const ZREMRANGEBYRANK: EventKind = EventKind::new("zremrangebyrank", EventClasses::SORTED_SET);
    /// `ZREMRANGEBYSCORE`.
    pub const ZREMRANGEBYSCORE: EventKind = EventKind::new("zremrangebyscore", EventClasses::SORTED_SET);
    /// `ZPOPMIN` and its relatives.
    pub const ZPOPMIN: EventKind = EventKind::new("zpopmin", EventClasses::SORTED_SET);
    /// `ZPOPMAX` and its relatives.
    pub const ZPOPMAX: EventKind = EventKind::new("zpopmax", EventClasses::SORTED_SET);
    /// `ZRANGESTORE`.
    pub const ZRANGESTORE: EventKind = EventKind::new("zrangestore", EventClasses::SORTED_SET);
    /// `ZUNIONSTORE`.
    pub const ZUNIONSTORE: EventKind = EventKind::new("zunionstore", EventClasses::SORTED_SET);
    /// `ZINTERSTORE`.
    pub const ZINTERSTORE: EventKind = EventKind::new("zinterstore", EventClasses::SORTED_SET);
    /// `ZDIFFSTORE`.
    pub const ZDIFFSTORE: EventKind = EventKind::new("zdiffstore", EventClasses::SORTED_SET);
    /// `GEOSEARCHSTORE`.
    pub const GEOSEARCHSTORE: EventKind = EventKind::new("geosearchstore", EventClasses::SORTED_SET);
    /// `GEORADIUS` and `GEORADIUSBYMEMBER` with `STORE` or `STOREDIST`.
    pub const GEORADIUSSTORE: EventKind = EventKind::new("georadiusstore", EventClasses::SORTED_SET);
    /// `PFADD` and `PFMERGE`.
    pub const PFADD: EventKind = EventKind::new("pfadd", EventClasses::STRING);
    /// `XADD`.
    pub const XADD: EventKind = EventKind::new("xadd", EventClasses::STREAM);
    /// `XDEL`.
    pub const XDEL: EventKind = EventKind::new("xdel", EventClasses::STREAM);
    /// `XTRIM`, and the options of `XADD` that trim.
    pub const XTRIM: EventKind = EventKind::new("xtrim", EventClasses::STREAM);
    /// `XSETID`.
    pub const XSETID: EventKind = EventKind::new("xsetid", EventClasses::STREAM);
    /// A consumer group was made.
    pub const XGROUP_CREATE: EventKind = EventKind::new("xgroup-create", EventClasses::STREAM);
    /// A consumer group was moved.
    pub const XGROUP_SETID: EventKind = EventKind::new("xgroup-setid", EventClasses::STREAM);
    /// A consumer group was removed.
    pub const XGROUP_DESTROY: EventKind = EventKind::new("xgroup-destroy", EventClasses::STREAM);
    /// A consumer came into being.
    pub const XGROUP_CREATECONSUMER: EventKind =
        EventKind::new("xgroup-createconsumer", EventClasses::STREAM);
    /// A consumer was removed.
    pub const XGROUP_DELCONSUMER: EventKind = EventKind::new("xgroup-delconsumer", EventClasses::STREAM);
    /// A key was deleted by a command.
    pub const DEL: EventKind = EventKind::new("del", EventClasses::GENERIC);
    /// A key got a time to live.
    pub const EXPIRE: EventKind = EventKind::new("expire", EventClasses::GENERIC);
    /// A key lost its time to live.
    pub const PERSIST: EventKind = EventKind::new("persist", EventClasses::GENERIC);
    /// The old name of a renamed key.
    pub const RENAME_FROM: EventKind = EventKind::new("rename_from", EventClasses::GENERIC);
    /// The new name of a renamed key.
    pub const RENAME_TO: EventKind = EventKind::new("rename_to", EventClasses::GENERIC);
    /// A key left for another database.
    pub const MOVE_FROM: EventKind = EventKind::new("move_from", EventClasses::GENERIC);
    /// A key came from another database.
    pub const MOVE_TO: EventKind = EventKind::new("move_to", EventClasses::GENERIC);
    /// The destination of `COPY`.
    pub const COPY_TO: EventKind = EventKind::new("copy_to", EventClasses::GENERIC);
    /// `RESTORE`.
    pub const RESTORE: EventKind = EventKind::new("restore", EventClasses::GENERIC);
    /// A key's time to live ended.
    pub const EXPIRED: EventKind = EventKind::new("expired", EventClasses::EXPIRED);
    /// A key that did not exist came to be.
    pub const NEW: EventKind = EventKind::new("new", EventClasses::NEW);
    /// Nobody hears of it: for a step of a change that raises its events itself, and for changes that have none.
    pub const SILENT: EventKind = EventKind::new("", EventClasses::NONE);
    /// What a consumer group notes of its consumers and their entries: nobody hears of it, and as in Redis it is no
    /// change to those who watch the key or wait for it.
    pub const BOOKKEEPING: EventKind = EventKind { name: "", class: EventClasses::NONE, touches: false };
    /// A key that does not exist was read.
    pub const KEY_MISS: EventKind = EventKind::new("keymiss", EventClasses::KEY_MISS);

    /// All of them, for checking the names that a trigger's definition gives.
    pub const ALL: &[EventKind] = &[
        SET,
        SETRANGE,
        SETBIT,
        APPEND,
        INCRBY,
        INCRBYFLOAT,
        LPUSH,
        RPUSH,
        LPOP,
        RPOP,
        LINSERT,
        LSET,
        LREM,
        LTRIM,
        SORTSTORE,
        HSET,
        HDEL,
        HINCRBY,
        HINCRBYFLOAT,
        HEXPIRE,
        HPERSIST,
        HEXPIRED,
        SADD,
        SREM,
        SPOP,
        SINTERSTORE,
        SUNIONSTORE,
        SDIFFSTORE,
        ZADD,
        ZINCR,
        ZREM,
        ZREMRANGEBYLEX,
        ZREMRANGEBYRANK,
        ZREMRANGEBYSCORE,
        ZPOPMIN,
        ZPOPMAX,
        ZRANGESTORE,
        ZUNIONSTORE,
        ZINTERSTORE,
        ZDIFFSTORE,
        GEOSEARCHSTORE,
        GEORADIUSSTORE,
        PFADD,
        XADD,
        XDEL,
        XTRIM,
        XSETID,
        XGROUP_CREATE,
        XGROUP_SETID,
        XGROUP_DESTROY,
        XGROUP_CREATECONSUMER,
        XGROUP_DELCONSUMER,
        DEL,
        EXPIRE,
        PERSIST,
        RENAME_FROM,
        RENAME_TO,
        MOVE_FROM,
        MOVE_TO,
        COPY_TO,
        RESTORE,
        EXPIRED,
        NEW,
        KEY_MISS,
    ];
}

/// Something that happened to a key.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The number of the database.
    pub database: u8,
    /// The key.
    pub key: Key,
    /// The value before, where triggers asked for values.
    pub before: Option<Value>,
    /// The value after, where triggers asked for values.
    pub after: Option<Value>,
    /// The elements that a change of a collection is about (fields, members, indexes, ids), where triggers asked for
    /// values.
    pub elements: Vec<Box<[u8]>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(letters: &str, printed: Option<&str>) {
        assert_eq!(
            EventClasses::parse(letters).map(|classes| classes.to_string()).as_deref(),
            printed,
            "{letters}"
        );
    }

    #[test]
    fn every_event_has_a_row_in_the_documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/triggers.md");
        let text = std::fs::read_to_string(path).expect("docs/triggers.md");
        let cells: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
        for event in events::ALL {
            let name = format!("`{}`", event.name);
            assert!(cells.iter().any(|cell| cell.contains(&name)), "{name} is not in docs/triggers.md");
        }
    }

    #[test]
    fn letters_are_read_and_printed_as_redis_does() {
        check("", Some(""));
        check("KEA", Some("AKE"));
        check("AKEmn", Some("AKEmn"));
        check("g$lshzxetdKE", Some("AKE"));
        check("Ex", Some("xE"));
        check("K$g", Some("g$K"));
        check("q", None);
    }
}
