//! WATCH: which connections want to know that a key was touched.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::Key;
use super::observe::Observer;

/// A connection, as the keyspace knows it.
pub type WatcherId = u64;

/// The watched keys of all connections.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    keys: HashMap<(u8, Key), Vec<WatcherId>>,
    /// The same the other way round: what each connection watches.
    by_watcher: HashMap<WatcherId, Vec<(u8, Key)>>,
    dirty: HashSet<WatcherId>,
    /// Watched keys that the current transaction touched; they count when it commits.
    touched: Vec<(u8, Key)>,
    /// Told of every touched key, watched or not.
    pub observer: Observer,
}

impl Watchers {
    pub fn watch(&mut self, watcher: WatcherId, database: u8, key: &[u8]) {
        let key = (database, Key::new(key));
        let watchers = self.keys.entry(key.clone()).or_default();
        if !watchers.contains(&watcher) {
            watchers.push(watcher);
            self.by_watcher.entry(watcher).or_default().push(key);
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
    }

    pub fn is_dirty(&self, watcher: WatcherId) -> bool {
        self.dirty.contains(&watcher)
    }

    /// What a connection watches.
    pub fn watched_by(&self, watcher: WatcherId) -> &[(u8, Key)] {
        self.by_watcher.get(&watcher).map_or(&[], Vec::as_slice)
    }

    pub fn touch(&mut self, database: u8, key: &[u8]) {
        self.observer.touch(database, key);
        if !self.keys.is_empty() {
            let key = (database, Key::new(key));
            if self.keys.contains_key(&key) {
                self.touched.push(key);
            }
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
        self.observer.commit();
        for key in self.touched.drain(..) {
            if let Some(watchers) = self.keys.get(&key) {
                self.dirty.extend(watchers);
            }
        }
    }
}
