//! Types of the options that are not plain numbers or texts.

use std::fmt;
use std::ops::{BitOr, Index, IndexMut};

/// An enum that is written by name.
pub(super) trait Named: Copy + PartialEq + 'static {
    /// Every value with its name, in the order in which errors list them.
    const NAMES: &'static [(&'static str, Self)];

    /// The name of this value.
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

/// What a reply to a write promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// The write is on disk within a second.
    EverySecond,
    /// The write is on disk.
    Always,
    /// The write is on disk when the server has shut down.
    No,
}

impl Named for AppendFsync {
    const NAMES: &'static [(&'static str, Self)] =
        &[("everysec", Self::EverySecond), ("always", Self::Always), ("no", Self::No)];
}

impl fmt::Display for AppendFsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much the server's log tells; each level includes those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything, for people who work on the server.
    Debug,
    /// Much that is rarely useful.
    Verbose,
    /// What one wants to know in production.
    Notice,
    /// Only what needs attention.
    Warning,
}

impl Named for LogLevel {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("debug", Self::Debug),
        ("verbose", Self::Verbose),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
    ];
}

/// What happens when the memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxmemoryPolicy {
    /// Writes are refused.
    NoEviction,
}

impl Named for MaxmemoryPolicy {
    const NAMES: &'static [(&'static str, Self)] = &[("noeviction", Self::NoEviction)];
}

/// Classes of clients with their own output limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputClass {
    /// Clients that send commands.
    Normal,
    /// Replicas: there are none yet, the limits are kept for tools that set them.
    Replica,
    /// Clients that are subscribed to a channel or pattern.
    PubSub,
}

impl OutputClass {
    pub(super) const ALL: [Self; 3] = [Self::Normal, Self::Replica, Self::PubSub];

    /// The class of that name, in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("replica") {
            return Some(Self::Replica);
        }
        Self::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(name))
    }

    /// The name that Redis prints.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Replica => "slave",
            Self::PubSub => "pubsub",
        }
    }
}

/// The limit of replies that wait for one client; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferLimit {
    /// Above this many bytes the client is disconnected at once.
    pub hard_bytes: u64,
    /// Above this many bytes it is disconnected after `soft_s`.
    pub soft_bytes: u64,
    /// Seconds that it may stay above `soft_bytes`.
    pub soft_s: u32,
}

/// A limit for each class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOutputBufferLimits([BufferLimit; OutputClass::ALL.len()]);

impl Default for ClientOutputBufferLimits {
    /// The limits of Redis.
    fn default() -> Self {
        let limit = |hard_mib: u64, soft_mib: u64, soft_s| BufferLimit {
            hard_bytes: hard_mib * super::MIB,
            soft_bytes: soft_mib * super::MIB,
            soft_s,
        };
        Self([limit(0, 0, 0), limit(256, 64, 60), limit(32, 8, 60)])
    }
}

impl Index<OutputClass> for ClientOutputBufferLimits {
    type Output = BufferLimit;

    fn index(&self, class: OutputClass) -> &BufferLimit {
        &self.0[class as usize]
    }
}

impl IndexMut<OutputClass> for ClientOutputBufferLimits {
    fn index_mut(&mut self, class: OutputClass) -> &mut BufferLimit {
        &mut self.0[class as usize]
    }
}

/// A set of classes of keyspace events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyFlags(u16);

impl NotifyFlags {
    /// Nothing is published.
    pub const NONE: Self = Self(0);
    /// `K`: on `__keyspace@db__:key`.
    pub const KEYSPACE: Self = Self(1);
    /// `E`: on `__keyevent@db__:event`.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: events that every type has, such as del and expire.
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`: string events.
    pub const STRING: Self = Self(1 << 3);
    /// `l`: list events.
    pub const LIST: Self = Self(1 << 4);
    /// `s`: set events.
    pub const SET: Self = Self(1 << 5);
    /// `h`: hash events.
    pub const HASH: Self = Self(1 << 6);
    /// `z`: sorted set events.
    pub const SORTED_SET: Self = Self(1 << 7);
    /// `x`: a key has expired.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: a key was evicted.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`: stream events.
    pub const STREAM: Self = Self(1 << 10);
    /// `d`: module events.
    pub const MODULE: Self = Self(1 << 11);
    /// `m`: a key that was looked up does not exist.
    pub const KEY_MISS: Self = Self(1 << 12);
    /// `n`: a key was created.
    pub const NEW_KEY: Self = Self(1 << 13);
    /// `A`: what `g$lshzxetd` stands for.
    pub const ALL: Self = Self(((1 << 12) - 1) & !0b11);

    /// The letters in the order in which Redis prints them.
    const LETTERS: [(char, Self); 14] = [
        ('g', Self::GENERIC),
        ('$', Self::STRING),
        ('l', Self::LIST),
        ('s', Self::SET),
        ('h', Self::HASH),
        ('z', Self::SORTED_SET),
        ('x', Self::EXPIRED),
        ('e', Self::EVICTED),
        ('t', Self::STREAM),
        ('d', Self::MODULE),
        ('K', Self::KEYSPACE),
        ('E', Self::KEYEVENT),
        ('m', Self::KEY_MISS),
        // Redis leaves this one out after an A; printed, it survives CONFIG REWRITE.
        ('n', Self::NEW_KEY),
    ];

    /// Reads letters; `None` if one of them is not known.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Self> {
        letters.chars().try_fold(Self::NONE, |flags, letter| {
            if letter == 'A' {
                return Some(flags | Self::ALL);
            }
            Self::LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, flag)| flags | *flag)
        })
    }

    /// Whether every class of `flags` is in this set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for NotifyFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for NotifyFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_all = self.contains(Self::ALL);
        if has_all {
            f.write_str("A")?;
        }
        for (letter, flag) in Self::LETTERS {
            if self.contains(flag) && !(has_all && Self::ALL.contains(flag)) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}
