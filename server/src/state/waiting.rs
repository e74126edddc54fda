//! Clients whose commands wait for a key to be written: who waits for which key, in order of arrival.
//!
//! Plain data. The keyspace is told which keys are awaited, and reports when one was written; the engine acts on it.
//! There are at most as many waiters as clients, and their requests have the same limits as any.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::{Arguments, ClientId};
use crate::keyspace::{Key, Keyspace};
use crate::protocol::Reply;
use crate::types::Kind;

/// A command that waits.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// The command, to be run again when one of its keys was written.
    pub request: Rc<Arguments>,
    /// The keys, with the numbers of their databases.
    pub keys: Vec<(u8, Key)>,
    /// The type that a key must have for the command to be run again.
    pub kind: Kind,
    /// Whether it is also run again when a key was deleted or has another type.
    pub wakes_when_gone: bool,
    /// Whether its wait has a time limit.
    pub is_timed: bool,
    /// What it is answered when its time is over.
    pub late: Reply,
}

/// The clients that wait for one key.
#[derive(Debug, Default)]
struct Queue {
    /// Ordered by number of arrival.
    clients: BTreeMap<u64, ClientId>,
    /// How many of them are woken when the key is deleted.
    wake_when_gone: usize,
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Each with its number of arrival.
    waiters: HashMap<ClientId, (u64, Waiter)>,
    queues: HashMap<(u8, Key), Queue>,
    last_arrival: u64,
}

impl Waiting {
    /// Adds a client behind those that already wait. A client has at most one waiting command.
    pub fn add(&mut self, keyspace: &mut Keyspace, client: ClientId, waiter: Waiter) {
        self.last_arrival += 1;
        for (database, key) in &waiter.keys {
            let queue = self.queues.entry((*database, key.clone())).or_default();
            // A key may be named twice, but counts once.
            if queue.clients.insert(self.last_arrival, client).is_none() {
                queue.wake_when_gone += usize::from(waiter.wakes_when_gone);
            }
            keyspace.set_awaited(*database, key, true);
        }
        self.waiters.insert(client, (self.last_arrival, waiter));
    }

    /// Ends the wait of a client and returns its command.
    pub fn remove(&mut self, keyspace: &mut Keyspace, client: ClientId) -> Option<Waiter> {
        let (arrival, waiter) = self.waiters.remove(&client)?;
        for name in &waiter.keys {
            let Some(queue) = self.queues.get_mut(name) else { continue };
            if queue.clients.remove(&arrival).is_some() {
                queue.wake_when_gone -= usize::from(waiter.wakes_when_gone);
            }
            if queue.clients.is_empty() {
                self.queues.remove(name);
                keyspace.set_awaited(name.0, &name.1, false);
            }
        }
        Some(waiter)
    }

    /// The waiting command of a client.
    #[must_use]
    pub fn get(&self, client: ClientId) -> Option<&Waiter> {
        self.waiters.get(&client).map(|(_, waiter)| waiter)
    }

    /// The first client that waits for a key and arrived after number `arrival`, with its own number.
    #[must_use]
    pub fn next(&self, key: &(u8, Key), arrival: u64) -> Option<(u64, ClientId)> {
        let (arrival, client) = self.queues.get(key)?.clients.range(arrival + 1..).next()?;
        Some((*arrival, *client))
    }

    /// Whether any client is woken when this key is deleted.
    #[must_use]
    pub fn matters_when_gone(&self, key: &(u8, Key)) -> bool {
        self.queues.get(key).is_some_and(|queue| queue.wake_when_gone > 0)
    }

    /// How many clients wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many of them have a time limit.
    #[must_use]
    pub fn timed(&self) -> usize {
        self.waiters.values().filter(|(_, waiter)| waiter.is_timed).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Databases, Seed};

    fn waiter(keys: &[&str], wakes_when_gone: bool) -> Waiter {
        Waiter {
            request: Rc::default(),
            keys: keys.iter().map(|key| (0, Key::new(key.as_bytes()))).collect(),
            kind: Kind::List,
            wakes_when_gone,
            is_timed: false,
            late: Reply::Null,
        }
    }

    #[track_caller]
    fn check(waiting: &Waiting, key: &str, expected: &[ClientId]) {
        let name = (0, Key::new(key.as_bytes()));
        let mut found = Vec::new();
        let mut last = 0;
        while let Some((arrival, client)) = waiting.next(&name, last) {
            found.push(client);
            last = arrival;
        }
        assert_eq!(found, expected, "{key}");
    }

    #[test]
    fn each_key_has_its_waiters_in_the_order_of_coming() {
        let mut keyspace = Keyspace::new(Seed::new(1), Databases::new(), &[0; 17], 0);
        let mut waiting = Waiting::default();
        waiting.add(&mut keyspace, 7, waiter(&["a", "b", "a"], false));
        waiting.add(&mut keyspace, 3, waiter(&["a"], true));
        waiting.add(&mut keyspace, 5, waiter(&["b", "a"], false));
        check(&waiting, "a", &[7, 3, 5]);
        check(&waiting, "b", &[7, 5]);
        assert!(waiting.matters_when_gone(&(0, Key::new(b"a"))));
        assert!(waiting.remove(&mut keyspace, 3).is_some() && waiting.remove(&mut keyspace, 3).is_none());
        assert!(!waiting.matters_when_gone(&(0, Key::new(b"a"))));
        check(&waiting, "a", &[7, 5]);
        for client in [5, 7] {
            waiting.remove(&mut keyspace, client);
        }
        assert!(waiting.is_empty() && waiting.queues.is_empty());
    }
}
