//! Values with expiry, and the list of what happened to them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::value::{Typed, Value};
use crate::Result;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// What stands at a key.
#[derive(Clone, Debug)]
struct Entry {
    /// Shared with what undo would put back.
    value: Arc<Value>,
    expires_at_ms: Option<u64>,
}

/// What happened to a key: what a trigger gets to know.
#[derive(Clone, Debug)]
pub struct Change {
    pub event: &'static str,
    pub key: Vec<u8>,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
    pub elements: Vec<Vec<u8>>,
    /// How many triggers stand between this change and a client's command.
    pub depth: usize,
}

/// What a change of a value with elements did.
#[derive(Debug, Default)]
pub struct Changed {
    /// Those that it is about.
    elements: Vec<Vec<u8>>,
    /// Whether it did anything.
    anything: bool,
}

impl Changed {
    /// Something happened to an element.
    pub fn element(&mut self, element: impl Into<Vec<u8>>) {
        self.elements.push(element.into());
        self.anything = true;
    }

    /// Something happened, and not to elements that are told.
    pub fn touch(&mut self) {
        self.anything = true;
    }
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
    random: u64,
}

impl Store {
    pub fn new(now_us: u64) -> Self {
        Self { entries: BTreeMap::new(), now_us, changes: VecDeque::new(), depth: 0, random: 0 }
    }

    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    pub fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// A number of a sequence that is the same in every test (splitmix64).
    pub fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A value of any type.
    pub fn value(&self, key: &[u8]) -> Option<&Value> {
        Some(&self.entries.get(key)?.value)
    }

    /// A value of one type. `Err` when it is of another.
    pub fn get<T: Typed>(&self, key: &[u8]) -> Result<Option<&T>> {
        match self.value(key).map(T::of) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => Err(WRONG_TYPE.into()),
        }
    }

    /// When the key expires; `None` when it does not exist.
    pub fn expiry(&self, key: &[u8]) -> Option<Expiry> {
        Some(self.entries.get(key)?.expires_at_ms.map_or(Expiry::Never, Expiry::AtMs))
    }

    /// Sets the value; without an `expiry` the key keeps the one that it has.
    pub fn set(&mut self, event: &'static str, key: &[u8], value: impl Into<Value>, expiry: Option<Expiry>) {
        self.put(event, key, Arc::new(value.into()), expiry, Vec::new());
    }

    /// Changes a value with elements, an empty one where there is none. One that has lost all of them is deleted; one in
    /// which nothing has changed is as if it had not been looked at. On an `Err` nothing has changed.
    pub fn update<T: Typed, R>(
        &mut self,
        event: &'static str,
        key: &[u8],
        change: impl FnOnce(&mut T, &mut Changed) -> Result<R>,
    ) -> Result<R> {
        let mut value = self.get::<T>(key)?.cloned().unwrap_or_default();
        let mut changed = Changed::default();
        let result = change(&mut value, &mut changed)?;
        if changed.anything {
            let is_gone = value.is_gone();
            self.put(event, key, Arc::new(value.into()), None, changed.elements);
            if is_gone {
                self.remove("del", key);
            }
        }
        Ok(result)
    }

    /// Changes the expiry alone. Whether the key exists.
    pub fn set_expiry(&mut self, event: &'static str, key: &[u8], expires_at_ms: Option<u64>) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        entry.expires_at_ms = expires_at_ms;
        let value = entry.value.bytes();
        self.record(event, key, value.clone(), value, Vec::new());
        true
    }

    /// The value that was there.
    pub fn remove(&mut self, event: &'static str, key: &[u8]) -> Option<Value> {
        let value = self.entries.remove(key)?.value;
        self.record(event, key, value.bytes(), None, Vec::new());
        Some(Arc::unwrap_or_clone(value))
    }

    /// Puts everything back to what it was, except that random numbers are not drawn twice.
    pub fn undo(&mut self, saved: Self) {
        *self = Self { random: self.random, ..saved };
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

    fn put(
        &mut self,
        event: &'static str,
        key: &[u8],
        value: Arc<Value>,
        expiry: Option<Expiry>,
        elements: Vec<Vec<u8>>,
    ) {
        let expires_at_ms = match expiry.or_else(|| self.expiry(key)) {
            Some(Expiry::AtMs(at)) => Some(at),
            Some(Expiry::Never) | None => None,
        };
        let after = value.bytes();
        let before = self.entries.insert(key.to_vec(), Entry { value, expires_at_ms });
        if before.is_none() {
            self.record("new", key, None, after.clone(), Vec::new());
        }
        self.record(event, key, before.and_then(|entry| entry.value.bytes()), after, elements);
    }

    fn record(
        &mut self,
        event: &'static str,
        key: &[u8],
        before: Option<Vec<u8>>,
        after: Option<Vec<u8>>,
        elements: Vec<Vec<u8>>,
    ) {
        let depth = self.depth;
        self.changes.push_back(Change { event, key: key.to_vec(), before, after, elements, depth });
    }
}
