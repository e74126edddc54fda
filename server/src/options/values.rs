//! Types of the options that are not plain numbers or texts.

use std::fmt;
use std::net::IpAddr;
use std::ops::{Index, IndexMut};

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

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// The address.
    pub ip: IpAddr,
    /// Whether the server starts without it if the machine does not have it; written as a `-` in front.
    pub is_optional: bool,
}

impl From<IpAddr> for BindAddress {
    fn from(ip: IpAddr) -> Self {
        Self { ip, is_optional: false }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_optional { "-" } else { "" };
        write!(f, "{mark}{}", self.ip)
    }
}
