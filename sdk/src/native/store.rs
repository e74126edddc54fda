//! Strings with expiry, and the list of what happened to them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// A key's value.
#[derive(Clone, Debug)]
struct Entry {
    value: Vec<u8>,
    expires_at_ms: Option<u64>,
}

/// What happened to a key: what a trigger gets to know.
#[derive(Clone, Debug)]
pub struct Change {
    pub event: &'static str,
    pub key: Vec<u8>,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
    /// How many triggers stand between this change and a client's command.
    pub depth: usize,
}

/// When a key expires.
#[derive(Clone, Copy, PartialEq)]
pub enum Expiry {
    Never,
    AtMs(u64),
}

/// The data of a test.
#[derive(Clone, Debug)]
pub struct Store {
    entries: BTreeMap<Vec<u8>, Entry>,
    now_us: u64,
    changes: VecDeque<Change>,
    /// The depth of the changes to come.
    pub depth: usize,
}

impl Store {
    pub fn new(now_us: u64) -> Self {
        Self { entries: BTreeMap::new(), now_us, changes: VecDeque::new(), depth: 0 }
    }

    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    pub fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        Some(&self.entries.get(key)?.value)
    }

    /// When the key expires; `None` when it does not exist.
    pub fn expiry(&self, key: &[u8]) -> Option<Expiry> {
        Some(self.entries.get(key)?.expires_at_ms.map_or(Expiry::Never, Expiry::AtMs))
    }

    /// Sets the value; without an `expiry` the key keeps the one that it has.
    pub fn set(&mut self, event: &'static str, key: &[u8], value: Vec<u8>, expiry: Option<Expiry>) {
        let expires_at_ms = match expiry.or_else(|| self.expiry(key)) {
            Some(Expiry::AtMs(at)) => Some(at),
            Some(Expiry::Never) | None => None,
        };
        let after = Some(value.clone());
        let before = self.entries.insert(key.to_vec(), Entry { value, expires_at_ms });
        self.record(event, key, before.map(|entry| entry.value), after);
    }

    /// Changes the expiry alone. Whether the key exists.
    pub fn set_expiry(&mut self, event: &'static str, key: &[u8], expires_at_ms: Option<u64>) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        entry.expires_at_ms = expires_at_ms;
        let value = Some(entry.value.clone());
        self.record(event, key, value.clone(), value);
        true
    }

    /// The value that was there.
    pub fn remove(&mut self, event: &'static str, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.entries.remove(key)?.value;
        self.record(event, key, Some(value.clone()), None);
        Some(value)
    }

    /// Moves the clock. The keys whose time has come, in the order of their expiry.
    pub fn advance(&mut self, time_us: u64) -> Vec<Vec<u8>> {
        self.now_us = self.now_us.saturating_add(time_us);
        let now_ms = self.now_ms();
        let due = self.entries.iter().filter_map(|(key, entry)| Some((entry.expires_at_ms?, key.clone())));
        let mut due: Vec<_> = due.filter(|(at, _)| *at <= now_ms).collect();
        due.sort();
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// The oldest change not taken yet.
    pub fn take_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Forgets the changes so far, which then no trigger sees.
    pub fn forget_changes(&mut self) {
        self.changes.clear();
        self.depth = 0;
    }

    fn record(&mut self, event: &'static str, key: &[u8], before: Option<Vec<u8>>, after: Option<Vec<u8>>) {
        self.changes.push_back(Change { event, key: key.to_vec(), before, after, depth: self.depth });
    }
}
