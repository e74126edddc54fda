//! Who wants to know which keys were touched: connections that watch some keys, and one observer of all.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::Key;

/// A connection, as the keyspace knows it.
pub type WatcherId = u64;

/// What a transaction touched, for the observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// A key of a database.
    Key(u8, Key),
    /// Every key of some database.
    All,
}

/// The watched keys of all connections.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    keys: HashMap<(u8, Key), Vec<WatcherId>>,
    /// The same the other way round: what each connection watches.
    by_watcher: HashMap<WatcherId, Vec<(u8, Key)>>,
    dirty: HashSet<WatcherId>,
    /// Whether every touched key is noted, watched or not.
    is_observed: bool,
    /// Whether any touched key is to be looked at: some are watched, or all are observed.
    is_listening: bool,
    /// What the current transaction touched; it counts when it commits.
    touched: Vec<Touched>,
    /// What committed transactions touched and the observer has not taken yet.
    committed: Vec<Touched>,
}

impl Watchers {
    pub fn watch(&mut self, watcher: WatcherId, database: u8, key: &[u8]) {
        let key = (database, Key::new(key));
        let watchers = self.keys.entry(key.clone()).or_default();
        if !watchers.contains(&watcher) {
            watchers.push(watcher);
            self.by_watcher.entry(watcher).or_default().push(key);
            self.is_listening = true;
        }
    }

    pub fn unwatch(&mut self, watcher: WatcherId) {
        self.dirty.remove(&watcher);
        for key in self.by_watcher.remove(&watcher).unwrap_or_default() {
            if let Entry::Occupied(mut watchers) = self.keys.entry(key) {
                watchers.get_mut().retain(|other| *other != watcher);
                if watchers.get().is_empty() {
                    watchers.remove();
                }
            }
        }
        self.is_listening = self.is_observed || !self.keys.is_empty();
    }

    pub fn observe(&mut self, is_observed: bool) {
        self.is_observed = is_observed;
        self.is_listening = is_observed || !self.keys.is_empty();
        if !is_observed {
            self.committed = Vec::new();
        }
    }

    pub fn is_dirty(&self, watcher: WatcherId) -> bool {
        self.dirty.contains(&watcher)
    }

    pub fn touch(&mut self, database: u8, key: &[u8]) {
        if self.is_listening {
            let key = (database, Key::new(key));
            if self.is_observed || self.keys.contains_key(&key) {
                self.touched.push(Touched::Key(key.0, key.1));
            }
        }
    }

    /// Notes that a whole database changed; of the watched keys each one is to be noted too.
    pub fn touch_all(&mut self) {
        if self.is_observed {
            self.touched.push(Touched::All);
        }
    }

    /// The watched keys of one database.
    pub fn keys_of(&self, database: u8) -> Vec<Key> {
        self.keys.keys().filter(|(number, _)| *number == database).map(|(_, key)| key.clone()).collect()
    }

    pub fn touched_len(&self) -> usize {
        self.touched.len()
    }

    pub fn rollback(&mut self, len: usize) {
        self.touched.truncate(len);
    }

    pub fn commit(&mut self) {
        for touched in &self.touched {
            if let Touched::Key(database, key) = touched
                && let Some(watchers) = self.keys.get(&(*database, key.clone()))
            {
                self.dirty.extend(watchers);
            }
        }
        if self.is_observed {
            self.committed.append(&mut self.touched);
        } else {
            self.touched.clear();
        }
    }

    pub fn take_committed(&mut self) -> Vec<Touched> {
        std::mem::take(&mut self.committed)
    }
}
