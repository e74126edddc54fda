//! Client-side caching: which clients must be told when which keys change.
//!
//! As in Redis, keys are told apart by their names alone, whatever the database. Must not know how clients are told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;

use super::ClientId;
use crate::keyspace::Key;

/// Which keys a client is told about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrackingMode {
    /// Those that it has read.
    #[default]
    Read,
    /// Those that it has read right after `CLIENT CACHING YES`.
    OptIn,
    /// Those that it has read, but not right after `CLIENT CACHING NO`.
    OptOut,
    /// All that begin with one of its prefixes.
    Broadcast,
}

/// What one client has asked for.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    /// Which keys it is told about.
    pub mode: TrackingMode,
    /// Whether it is not told about its own changes.
    pub no_loop: bool,
    /// The client that is told instead.
    pub redirect: Option<ClientId>,
    /// Whether that client has turned out to be gone.
    pub is_broken: bool,
    /// Whether `CLIENT CACHING` holds for the next command.
    pub caching: bool,
    /// With [`TrackingMode::Broadcast`]: the prefixes of its keys.
    pub prefixes: BTreeSet<Vec<u8>>,
}

/// A key that clients have read since they were last told about it.
#[derive(Debug)]
struct Read {
    key: Key,
    /// The clients, in order; some may have gone since.
    clients: Vec<ClientId>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Tracking {
    trackers: BTreeMap<ClientId, Tracker>,
    /// In no particular order, so that one can be picked at random.
    reads: Vec<Read>,
    /// The place of each key in `reads`.
    places: HashMap<Key, usize>,
    /// The total number of clients in `reads`.
    items: usize,
    /// Keys that were dropped from the table for lack of room.
    evicted: Vec<(Key, Vec<ClientId>)>,
    prefixes: BTreeMap<Vec<u8>, BTreeSet<ClientId>>,
}

impl Tracking {
    /// Whether no client tracks keys.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.trackers.is_empty()
    }

    /// What a client has asked for, if anything.
    #[must_use]
    pub fn get(&self, client: ClientId) -> Option<&Tracker> {
        self.trackers.get(&client)
    }

    /// Mutable access to it; do not change mode and prefixes.
    pub fn get_mut(&mut self, client: ClientId) -> Option<&mut Tracker> {
        self.trackers.get_mut(&client)
    }

    /// All clients that track keys.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> {
        self.trackers.keys().copied()
    }

    /// Sets what a client asks for; adds prefixes to the ones that it has.
    pub fn start(&mut self, client: ClientId, mut tracker: Tracker) {
        for prefix in &tracker.prefixes {
            self.prefixes.entry(prefix.clone()).or_default().insert(client);
        }
        if let Some(before) = self.trackers.remove(&client) {
            tracker.prefixes.extend(before.prefixes);
            tracker.caching = before.caching;
        }
        self.trackers.insert(client, tracker);
    }

    /// Forgets what a client asked for. The keys that it has read are forgotten when they change.
    pub fn stop(&mut self, client: ClientId) {
        let Some(tracker) = self.trackers.remove(&client) else { return };
        for prefix in tracker.prefixes {
            if let Some(clients) = self.prefixes.get_mut(&prefix) {
                clients.remove(&client);
                if clients.is_empty() {
                    self.prefixes.remove(&prefix);
                }
            }
        }
        if self.is_idle() {
            *self = Self::default();
        }
    }

    /// Ends the effect of `CLIENT CACHING`.
    pub fn end_caching(&mut self, client: ClientId) {
        if let Some(tracker) = self.trackers.get_mut(&client) {
            tracker.caching = false;
        }
    }

    /// Whether to remember what a client reads now.
    #[must_use]
    pub fn wants_reads(&self, client: ClientId) -> bool {
        self.trackers.get(&client).is_some_and(|tracker| match tracker.mode {
            TrackingMode::Read => true,
            TrackingMode::OptIn => tracker.caching,
            TrackingMode::OptOut => !tracker.caching,
            TrackingMode::Broadcast => false,
        })
    }

    /// Remembers that a client has read a key. If that makes more than `max_keys` (0: no limit), another key is
    /// dropped.
    pub fn remember(&mut self, client: ClientId, key: &[u8], max_keys: u64) {
        if let Some(place) = self.places.get(key) {
            let clients = &mut self.reads[*place].clients;
            if let Err(at) = clients.binary_search(&client) {
                clients.insert(at, client);
                self.items += 1;
            }
            return;
        }
        if max_keys > 0 && self.reads.len() as u64 >= max_keys {
            self.evict();
        }
        let key = Key::new(key);
        self.places.insert(key.clone(), self.reads.len());
        self.reads.push(Read { key, clients: vec![client] });
        self.items += 1;
    }

    /// Takes the clients that have read a key, and forgets the key.
    pub fn forget(&mut self, key: &[u8]) -> Vec<ClientId> {
        self.places.get(key).copied().map(|place| self.take(place).clients).unwrap_or_default()
    }

    /// Forgets all that was read.
    pub fn forget_all(&mut self) {
        (self.reads, self.places, self.items) = (Vec::new(), HashMap::new(), 0);
        self.evicted.clear();
    }

    /// Drops keys until there are `max_keys` (0: no limit), but only a limited number in each call.
    pub fn shrink(&mut self, max_keys: u64, at_once: usize) {
        let excess = if max_keys == 0 { 0 } else { self.reads.len().saturating_sub(max_keys as usize) };
        (0..excess.min(at_once)).for_each(|_| self.evict());
    }

    /// Takes the keys that were dropped, each with the clients that have read it.
    pub fn take_evicted(&mut self) -> Vec<(Key, Vec<ClientId>)> {
        mem::take(&mut self.evicted)
    }

    /// The tracked prefixes of a key.
    pub fn prefixes_of<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.prefixes.keys().map(Vec::as_slice).filter(|prefix| key.starts_with(prefix))
    }

    /// The clients to tell about keys with this prefix.
    #[must_use]
    pub fn clients_of_prefix(&self, prefix: &[u8]) -> Vec<ClientId> {
        self.prefixes.get(prefix).map(|clients| clients.iter().copied().collect()).unwrap_or_default()
    }

    /// How many clients track keys.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.trackers.len()
    }

    /// The number of keys in the table, the number of pairs of a key and a client, and the number of prefixes.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.reads.len(), self.items, self.prefixes.len())
    }

    fn evict(&mut self) {
        if !self.reads.is_empty() {
            let Read { key, clients } = self.take(fastrand::usize(..self.reads.len()));
            self.evicted.push((key, clients));
        }
    }

    fn take(&mut self, place: usize) -> Read {
        let read = self.reads.swap_remove(place);
        self.places.remove(&read.key);
        if let Some(moved) = self.reads.get(place) {
            self.places.insert(moved.key.clone(), place);
        }
        self.items -= read.clients.len();
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(mode: TrackingMode, prefixes: &[&str]) -> Tracker {
        let prefixes = prefixes.iter().map(|prefix| prefix.as_bytes().to_vec()).collect();
        Tracker { mode, prefixes, ..Tracker::default() }
    }

    #[test]
    fn a_key_is_told_once_to_each_who_read_it() {
        let mut tracking = Tracking::default();
        tracking.start(1, Tracker::default());
        for client in [2, 1, 2] {
            tracking.remember(client, b"a", 0);
            tracking.remember(client, b"b", 0);
        }
        assert_eq!(tracking.counts(), (2, 4, 0));
        assert_eq!(tracking.forget(b"a"), [1, 2]);
        assert!(tracking.forget(b"a").is_empty());
        assert_eq!(tracking.forget(b"b"), [1, 2]);
        assert_eq!(tracking.counts(), (0, 0, 0));
    }

    #[test]
    fn the_table_holds_no_more_keys_than_it_may_and_those_that_left_are_told() {
        let mut tracking = Tracking::default();
        tracking.start(1, Tracker::default());
        for number in 0..100 {
            tracking.remember(1, format!("key:{number}").as_bytes(), 10);
        }
        assert_eq!(tracking.counts(), (10, 10, 0));
        assert_eq!(tracking.take_evicted().len(), 90);
        tracking.shrink(3, 5);
        assert_eq!((tracking.counts().0, tracking.take_evicted().len()), (5, 5));
        tracking.shrink(0, 5);
        assert_eq!(tracking.counts().0, 5, "0 is no limit");
        let left: Vec<Key> = tracking.places.keys().cloned().collect();
        assert!(left.iter().all(|key| tracking.forget(key) == [1]), "every key is found at its place");
    }

    #[test]
    fn each_mode_remembers_what_it_says() {
        for (mode, without, with) in [
            (TrackingMode::Read, true, true),
            (TrackingMode::OptIn, false, true),
            (TrackingMode::OptOut, true, false),
            (TrackingMode::Broadcast, false, false),
        ] {
            let mut tracking = Tracking::default();
            assert!(!tracking.wants_reads(1));
            tracking.start(1, tracker(mode, &[]));
            assert_eq!(tracking.wants_reads(1), without, "{mode:?}");
            tracking.get_mut(1).expect("it has started").caching = true;
            assert_eq!(tracking.wants_reads(1), with, "{mode:?}");
        }
    }

    #[test]
    fn prefixes_add_up_until_their_client_stops() {
        let mut tracking = Tracking::default();
        tracking.start(1, tracker(TrackingMode::Broadcast, &["a"]));
        tracking.start(1, tracker(TrackingMode::Broadcast, &["b"]));
        tracking.start(2, tracker(TrackingMode::Broadcast, &[""]));
        let of = |tracking: &Tracking, key: &[u8]| -> Vec<Vec<ClientId>> {
            tracking.prefixes_of(key).map(|prefix| tracking.clients_of_prefix(prefix)).collect()
        };
        assert_eq!(of(&tracking, b"abc"), [[2], [1]]);
        assert_eq!(of(&tracking, b"b"), [[2], [1]]);
        assert_eq!(of(&tracking, b"c"), [[2]]);
        tracking.stop(2);
        assert_eq!(of(&tracking, b"c"), Vec::<Vec<ClientId>>::new());
        assert!(!tracking.is_idle());
        tracking.stop(1);
        assert_eq!((tracking.is_idle(), tracking.counts()), (true, (0, 0, 0)));
    }
}
