//! The hash table of a database's resident keys, ordered well enough for SCAN.
//!
//! 4096 small tables, so no growth ever moves more than one table's keys at once, and a walk in the order of positions
//! sorts only one table at a time. A SCAN cursor is a position, so it stays valid whatever happens
//! to the tables, and after a restart.

use std::collections::BTreeSet;
use std::hint::black_box;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::limits::{MAX_ORDERS, UNORDERED_KEYS, WARMED_AT_ONCE};
use super::{Entry, Key};
use crate::store::{Position, SLOTS, Seed};
use crate::types::Value;

/// How many of Redis Cluster's 16384 slots share one small table, as a power of two. With a table for each, the tables of a
/// few keys would take half a megabyte.
const SHARED_BITS: u32 = 2;

/// The resident keys of one database.
#[derive(Debug)]
pub(super) struct Table {
    /// Empty until the first key, because most of the 16 databases stay empty.
    slots: Vec<HashTable<Box<Entry>>>,
    /// As [`SHARED_BITS`].
    shared_bits: u32,
    len: usize,
    /// Of slots with many keys that are being walked.
    orders: Vec<Order>,
}

/// The positions of a slot's keys in order, and perhaps some of keys that are gone. Made by the first step of a walk, so
/// that the next ones need not sort all keys of the slot again; it goes when a walk has come to its end.
#[derive(Debug)]
struct Order {
    slot: usize,
    positions: BTreeSet<Position>,
}

impl Order {
    fn of(slot: usize, table: &HashTable<Box<Entry>>, seed: &Seed) -> Self {
        Self { slot, positions: table.iter().map(|entry| seed.position(&entry.key)).collect() }
    }

    /// Adds the entries from a position on, those of each position together, until there are more than `limit`.
    fn walk<'a>(
        &mut self,
        table: &'a HashTable<Box<Entry>>,
        seed: &Seed,
        from: Position,
        limit: usize,
        found: &mut Vec<(Position, &'a Entry)>,
    ) {
        let mut gone = Vec::new();
        for position in self.positions.range(from..) {
            let before = found.len();
            let there = table.iter_hash(table_hash(*position));
            let there = there.filter(|entry| seed.position(&entry.key) == *position);
            found.extend(there.map(|entry| (*position, &**entry)));
            if found.len() == before {
                gone.push(*position);
            }
            if found.len() > limit {
                break;
            }
        }
        for position in gone {
            self.positions.remove(&position);
        }
    }
}

/// Where an entry is, valid until the table changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    slot: usize,
    bucket: usize,
}

/// hashbrown wants its 7 tag bits at the top and its bucket bits at the bottom; a position's hash has 34 bits.
fn table_hash(position: Position) -> u64 {
    position.get() << 30 | position.get() >> 4 & 0x3fff_ffff
}

impl Default for Table {
    fn default() -> Self {
        Self { slots: Vec::new(), shared_bits: SHARED_BITS, len: 0, orders: Vec::new() }
    }
}

impl Table {
    /// A table for few keys, which is cheap to make.
    pub fn small() -> Self {
        Self { shared_bits: SLOTS.trailing_zeros(), ..Self::default() }
    }

    fn slot(&self, position: Position) -> usize {
        position.slot() as usize >> self.shared_bits
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn find(&self, position: Position, key: &[u8]) -> Option<Place> {
        let slot = self.slot(position);
        let table = self.slots.get(slot)?;
        let bucket = table.find_bucket_index(table_hash(position), |entry| entry.key[..] == *key)?;
        Some(Place { slot, bucket })
    }

    /// Brings into the processor's caches the memory that look-ups of these positions, and of one element in each, will
    /// touch.
    ///
    /// Each look-up is a chain of loads that miss the caches. Here one loop loads the same link of all chains, so the
    /// processor waits for them together.
    pub fn warm(&self, lookups: &[(Position, &[u8])]) {
        if self.slots.is_empty() {
            return;
        }
        let mut entries: SmallVec<[(&Entry, &[u8]); WARMED_AT_ONCE]> = SmallVec::new();
        for (position, element) in lookups {
            // Equal tags are enough here: the entry is nearly always the right one.
            entries.extend(
                self.slots[self.slot(*position)]
                    .find(table_hash(*position), |_| true)
                    .map(|entry| (&**entry, *element)),
            );
        }
        for (entry, _) in &entries {
            black_box(entry.expires_at_ms);
        }
        for (entry, _) in &entries {
            black_box(entry.value.first_byte());
        }
        Value::warm(entries.into_iter().map(|(entry, element)| (&entry.value, element)));
    }

    pub fn get(&self, place: Place) -> Option<&Entry> {
        self.slots[place.slot].get_bucket(place.bucket).map(|entry| &**entry)
    }

    pub fn get_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.slots[place.slot].get_bucket_mut(place.bucket).map(|entry| &mut **entry)
    }

    /// The entry at a place. The table must not have changed since the place was found.
    pub fn entry_mut(&mut self, place: Place) -> &mut Entry {
        self.get_mut(place).expect("a place is valid until the table changes")
    }

    /// Adds an entry for a key that has none.
    pub fn insert(&mut self, seed: &Seed, position: Position, entry: Box<Entry>) {
        if self.slots.is_empty() {
            self.slots.resize_with(usize::from(SLOTS) >> self.shared_bits, HashTable::new);
        }
        self.len += 1;
        let slot = self.slot(position);
        for order in &mut self.orders {
            if order.slot == slot {
                order.positions.insert(position);
            }
        }
        self.slots[slot]
            .insert_unique(table_hash(position), entry, |entry| table_hash(seed.position(&entry.key)));
    }

    pub fn remove(&mut self, place: Place) -> Option<Box<Entry>> {
        let table = &mut self.slots[place.slot];
        let (entry, _) = table.get_bucket_entry(place.bucket).ok()?.remove();
        self.len -= 1;
        if table.is_empty() {
            *table = HashTable::new();
            self.orders.retain(|order| order.slot != place.slot);
        }
        Some(entry)
    }

    /// The entries from `from` on in the order of positions: whole slots, until there are at least `limit` entries.
    /// Also returns the position where the next call starts; `None` at the end.
    pub fn scan(
        &mut self,
        seed: &Seed,
        from: Position,
        limit: usize,
    ) -> (Vec<(Position, &Entry)>, Option<Position>) {
        let mut found: Vec<(Position, &Entry)> = Vec::new();
        let first = self.slot(from);
        let Self { slots, orders, .. } = self;
        for (slot, table) in slots.iter().enumerate().skip(first) {
            if table.len() > UNORDERED_KEYS.max(limit.saturating_sub(found.len())) {
                let mut order = match orders.iter().position(|order| order.slot == slot) {
                    Some(at) => orders.remove(at),
                    None => Order::of(slot, table, seed),
                };
                order.walk(table, seed, from, limit, &mut found);
                if found.len() > limit {
                    orders.truncate(MAX_ORDERS - 1);
                    orders.insert(0, order);
                }
            } else {
                let start = found.len();
                let entries = table.iter().map(|entry| (seed.position(&entry.key), &**entry));
                found.extend(entries.filter(|(position, _)| *position >= from));
                found[start..].sort_unstable_by_key(|(position, _)| *position);
            }
            if found.len() > limit {
                return Self::cut(found, limit);
            }
        }
        (found, None)
    }

    /// Keys that share a position must be returned together: no cursor can point between them.
    fn cut(mut found: Vec<(Position, &Entry)>, limit: usize) -> (Vec<(Position, &Entry)>, Option<Position>) {
        let last = found[limit.max(1) - 1].0;
        let end = found.partition_point(|(position, _)| *position <= last);
        found.truncate(end);
        (found, last.next())
    }

    /// A random key; `choose(n)` returns a random number below `n`.
    pub fn random(&self, mut choose: impl FnMut(usize) -> usize) -> Option<&Entry> {
        if self.len == 0 {
            return None;
        }
        // A weighted choice of the slot first: every key is equally likely.
        let mut index = choose(self.len);
        for table in &self.slots {
            if index < table.len() {
                return table.iter().nth(index).map(|entry| &**entry);
            }
            index -= table.len();
        }
        None
    }

    /// Removes the number of a savepoint from every entry.
    pub fn forget_savepoints(&mut self) {
        for table in &mut self.slots {
            table.iter_mut().for_each(|entry| entry.stamp.set_savepoint(0));
        }
    }

    /// Bytes of the tables themselves.
    pub fn allocated_bytes(&self) -> usize {
        let headers = self.slots.capacity() * size_of::<HashTable<Box<Entry>>>();
        headers + self.slots.iter().map(HashTable::allocation_size).sum::<usize>()
    }

    pub fn contains(&self, position: Position, key: &Key) -> bool {
        self.find(position, key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::keyspace::entry::{NEVER, Stamp};
    use crate::types::StringValue;

    const SEED: Seed = Seed::new(7);

    fn name(number: usize) -> Vec<u8> {
        format!("{{t}}:{number}").into_bytes()
    }

    fn insert(table: &mut Table, key: &[u8]) {
        let (key, value) = (Key::new(key), StringValue::from_integer(1).into());
        let entry = Entry { key: key.clone(), value, expires_at_ms: NEVER, stamp: Stamp::at(0) };
        table.insert(&SEED, SEED.position(&key), Box::new(entry));
    }

    fn remove(table: &mut Table, key: &[u8]) {
        let place = table.find(SEED.position(key), key).unwrap();
        table.remove(place);
    }

    #[test]
    fn a_walk_sorts_a_slot_with_many_keys_once_and_misses_none_whatever_comes_and_goes() {
        const KEYS: usize = UNORDERED_KEYS + 1000;
        for mut table in [Table::default(), Table::small()] {
            (0..KEYS).for_each(|number| insert(&mut table, &name(number)));
            insert(&mut table, b"elsewhere");
            let (mut from, mut steps, mut found) = (Some(Position::MIN), 0, Vec::new());
            while let Some(position) = from {
                let (page, next) = table.scan(&SEED, position, 100);
                assert!(page.len() >= 100 || next.is_none());
                found.extend(page.iter().map(|(_, entry)| entry.key.clone()));
                assert!(page.is_sorted_by_key(|(position, _)| *position));
                if steps < KEYS / 200 {
                    assert_eq!(table.orders.len(), 1, "step {steps}");
                    remove(&mut table, &name(steps));
                    insert(&mut table, &name(KEYS + steps));
                }
                (from, steps) = (next, steps + 1);
            }
            assert!(table.orders.is_empty(), "the walk has ended");
            let different: HashSet<&Key> = found.iter().collect();
            assert_eq!(different.len(), found.len());
            assert!((KEYS / 200..KEYS).all(|number| different.contains(&Key::new(&name(number)))));
            let (page, next) = table.scan(&SEED, Position::MIN, usize::MAX);
            assert_eq!((page.len(), next, table.orders.len()), (KEYS + 1, None, 0));
        }
    }

    #[test]
    fn few_orders_are_kept_and_none_of_an_empty_slot() {
        let mut table = Table::small();
        let few = |table: &mut Table| table.scan(&SEED, Position::MIN, 10).0.len();
        (0..=UNORDERED_KEYS).for_each(|number| insert(&mut table, &name(number)));
        assert_eq!((few(&mut table), table.orders.len()), (10, 1));
        (0..=UNORDERED_KEYS).for_each(|number| remove(&mut table, &name(number)));
        assert_eq!((few(&mut table), table.orders.len()), (0, 0));
    }
}
