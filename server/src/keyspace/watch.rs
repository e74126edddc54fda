//! Keys that are watched (WATCH: the connection asks later whether one was touched) or awaited (a blocked client: the
//! engine is told when one was written).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use super::Key;
use super::observe::Observer;
use crate::store::limits::SYSTEM_DATABASE;

/// A connection, as the keyspace knows it.
pub type WatcherId = u64;

/// Who watches a key or waits for it.
#[derive(Debug, Default)]
struct Interest {
    watchers: Vec<WatcherId>,
    /// Whether clients wait for it to be written.
    is_awaited: bool,
}

impl Interest {
    fn is_gone(&self) -> bool {
        self.watchers.is_empty() && !self.is_awaited
    }
}

/// The watched and awaited keys of all connections.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    keys: HashMap<(u8, Key), Interest>,
    /// The reverse: what each connection watches.
    by_watcher: HashMap<WatcherId, Vec<(u8, Key)>>,
    dirty: HashSet<WatcherId>,
    /// Watched and awaited keys that the current transaction has touched; they count when it commits.
    touched: Vec<(u8, Key)>,
    /// Awaited keys that committed transactions have touched, in order.
    ready: VecDeque<(u8, Key)>,
    /// Notes every touched key, watched or not.
    pub observer: Observer,
}

impl Watchers {
    pub fn watch(&mut self, watcher: WatcherId, database: u8, key: &[u8]) {
        let key = (database, Key::new(key));
        let watchers = &mut self.keys.entry(key.clone()).or_default().watchers;
        if !watchers.contains(&watcher) {
            watchers.push(watcher);
            self.by_watcher.entry(watcher).or_default().push(key);
        }
    }

    pub fn unwatch(&mut self, watcher: WatcherId) {
        self.dirty.remove(&watcher);
        for key in self.by_watcher.remove(&watcher).unwrap_or_default() {
            if let Entry::Occupied(mut interest) = self.keys.entry(key) {
                interest.get_mut().watchers.retain(|other| *other != watcher);
                if interest.get().is_gone() {
                    interest.remove();
                }
            }
        }
    }

    pub fn is_dirty(&self, watcher: WatcherId) -> bool {
        self.dirty.contains(&watcher)
    }

    /// Notes whether clients wait for a key.
    pub fn set_awaited(&mut self, database: u8, key: &Key, is_awaited: bool) {
        match self.keys.entry((database, key.clone())) {
            Entry::Occupied(mut interest) => {
                interest.get_mut().is_awaited = is_awaited;
                if interest.get().is_gone() {
                    interest.remove();
                }
            }
            Entry::Vacant(vacant) if is_awaited => {
                vacant.insert(Interest { is_awaited, ..Interest::default() });
            }
            Entry::Vacant(_) => {}
        }
    }

    /// What a connection watches.
    pub fn watched_by(&self, watcher: WatcherId) -> &[(u8, Key)] {
        self.by_watcher.get(&watcher).map_or(&[], Vec::as_slice)
    }

    pub fn touch(&mut self, database: u8, key: &[u8]) {
        // No client knows these keys.
        if database == SYSTEM_DATABASE {
            return;
        }
        self.observer.touch(database, key);
        if !self.keys.is_empty() {
            let key = (database, Key::new(key));
            // The same key is often touched several times in a row.
            if self.keys.contains_key(&key) && self.touched.last() != Some(&key) {
                self.touched.push(key);
            }
        }
    }

    /// The watched and awaited keys of one database.
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
            if let Some(interest) = self.keys.get(&key) {
                self.dirty.extend(&interest.watchers);
                if interest.is_awaited {
                    self.ready.push_back(key);
                }
            }
        }
    }

    pub fn next_ready(&mut self) -> Option<(u8, Key)> {
        self.ready.pop_front()
    }
}
