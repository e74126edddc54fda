//! Replays the log on top of a keyspace whose keys are all on disk. Knows no changes but records.

use std::collections::{BTreeMap, HashMap};

use super::entry::NEVER;
use super::{Key, Keyspace, Loaded};
use crate::store::StorageId;
use crate::store::record::{BlockChange, Change, Damage, Value as Stored};
use crate::types::{Kind, StoredBlocks, StringValue, Value};

/// A keyspace during the replay of the log.
///
/// Records of collections change the bytes of blocks, so the replay works on these blocks, and builds values from them
/// once, at the end.
#[derive(Debug)]
pub struct Replay {
    keyspace: Keyspace,
    collections: HashMap<(StorageId, Key), Parts>,
}

/// A collection as header and blocks.
#[derive(Debug)]
struct Parts {
    kind: Kind,
    header: Vec<u8>,
    blocks: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why the log could not be replayed.
#[derive(Debug)]
pub enum ReplayError<E> {
    /// A value could not be loaded.
    Load(E),
    /// A record does not fit what it changes.
    Damage(Damage),
}

impl Replay {
    /// Starts with a keyspace as it is on disk.
    #[must_use]
    pub fn new(keyspace: Keyspace) -> Self {
        Self { keyspace, collections: HashMap::new() }
    }

    /// Applies one change of the log. To change part of a cold value it first gets the value from `load`.
    pub fn apply<E>(
        &mut self,
        change: &Change<'_>,
        sequence: u64,
        mut load: impl FnMut(StorageId, &[u8]) -> Result<Option<Loaded>, E>,
    ) -> Result<(), ReplayError<E>> {
        match *change {
            Change::Put { head, value } => {
                let value = restored(&value).ok_or(ReplayError::Damage(Damage::NO_SUCH_VALUE))?;
                self.forget(head.database, head.key, !head.created, sequence);
                let loaded = Loaded { value, expires_at_ms: head.expires_at_ms };
                self.keyspace.place(head.database, head.key, loaded);
            }
            Change::Delete { database, key } => self.forget(database, key, true, sequence),
            Change::Block { database, key, label, change } => {
                if let Some(parts) = self.parts(database, key, &mut load)? {
                    parts.change(label, &change).map_err(ReplayError::Damage)?;
                }
            }
            Change::Header { database, key, header } => {
                if let Some(parts) = self.parts(database, key, &mut load)? {
                    parts.header = header.to_vec();
                }
            }
            Change::Expire { database, key, expires_at_ms } => {
                self.make_resident(database, key, &mut load)?;
                self.expire(database, key, expires_at_ms);
            }
            Change::Splice { database, key, offset, bytes, length } => {
                self.make_resident(database, key, &mut load)?;
                if let Some(Value::String(string)) = self.value(database, key) {
                    string.set_range(offset as usize, bytes);
                    debug_assert_eq!(string.len() as u64, length);
                }
            }
            Change::Flush { database } => {
                self.keyspace.databases[usize::from(database)] = super::Database::default();
                self.keyspace.storages.flush(database);
            }
            Change::Swap { a, b } => self.keyspace.exchange(a, b),
            Change::System { table, name, content } => {
                let name = (table, name.to_vec());
                self.keyspace.restore_definition(name, content.map(<[u8]>::to_vec));
            }
        }
        Ok(())
    }

    /// The keyspace after all changes.
    pub fn finish(mut self) -> Result<Keyspace, Damage> {
        for ((storage, key), parts) in std::mem::take(&mut self.collections) {
            // The database has been flushed since.
            let Some(database) = self.keyspace.database_of(storage) else { continue };
            let position = self.keyspace.seed.position(&key);
            let held = &mut self.keyspace.databases[usize::from(database)];
            let Some(place) = held.table.find(position, &key) else { continue };
            let blocks = StoredBlocks(parts.blocks.into_iter().collect());
            let restored = Value::restore(parts.kind, &parts.header, blocks).ok_or(Damage::NO_SUCH_VALUE)?;
            let before = std::mem::replace(&mut held.table.entry_mut(place).value, restored);
            held.note_field_end(place, before.next_end_ms());
        }
        Ok(self.keyspace)
    }

    /// The header and blocks of the collection at a key.
    fn parts<E>(
        &mut self,
        database: u8,
        key: &[u8],
        load: &mut impl FnMut(StorageId, &[u8]) -> Result<Option<Loaded>, E>,
    ) -> Result<Option<&mut Parts>, ReplayError<E>> {
        let name = (self.keyspace.storages.storage(database), Key::new(key));
        if !self.collections.contains_key(&name) {
            self.make_resident(database, key, load)?;
            let Some(value) = self.value(database, key) else { return Ok(None) };
            let parts = Parts::of(value);
            self.collections.insert(name.clone(), parts);
        }
        Ok(self.collections.get_mut(&name))
    }

    fn expire(&mut self, database: u8, key: &[u8], expires_at_ms: Option<u64>) {
        let position = self.keyspace.seed.position(key);
        let held = &mut self.keyspace.databases[usize::from(database)];
        if let Some(place) = held.table.find(position, key) {
            held.set_expiry(place, expires_at_ms.unwrap_or(NEVER));
        }
    }

    fn value(&mut self, database: u8, key: &[u8]) -> Option<&mut Value> {
        let position = self.keyspace.seed.position(key);
        let table = &mut self.keyspace.databases[usize::from(database)].table;
        let place = table.find(position, key)?;
        table.get_mut(place).map(|entry| &mut entry.value)
    }

    /// Removes a key from memory or from the known keys on disk. If it is not resident and `existed`, it was on disk.
    fn forget(&mut self, database: u8, key: &[u8], existed: bool, sequence: u64) {
        let keyspace = &mut self.keyspace;
        self.collections.remove(&(keyspace.storages.storage(database), Key::new(key)));
        let position = keyspace.seed.position(key);
        let held = &mut keyspace.databases[usize::from(database)];
        if let Some(place) = held.table.find(position, key) {
            held.remove(place);
        } else if existed {
            held.cold.leave();
        }
        held.cold.note_absent(Key::new(key), sequence);
    }

    fn make_resident<E>(
        &mut self,
        database: u8,
        key: &[u8],
        load: &mut impl FnMut(StorageId, &[u8]) -> Result<Option<Loaded>, E>,
    ) -> Result<(), ReplayError<E>> {
        let keyspace = &mut self.keyspace;
        let position = keyspace.seed.position(key);
        if keyspace.databases[usize::from(database)].table.find(position, key).is_none()
            && let Some(loaded) = load(keyspace.storages.storage(database), key).map_err(ReplayError::Load)?
        {
            keyspace.databases[usize::from(database)].cold.leave();
            keyspace.place(database, key, loaded);
        }
        Ok(())
    }
}

/// The value that a record holds; `None` if there is no such value.
fn restored(stored: &Stored<'_>) -> Option<Value> {
    Some(match stored {
        Stored::Integer(integer) => StringValue::from_integer(*integer).into(),
        Stored::Bytes(bytes) => StringValue::verbatim(bytes).into(),
        Stored::Collection(collection) => {
            let blocks = collection.blocks.iter().map(|(label, block)| (label.to_vec(), block.to_vec()));
            let kind = Kind::from_number(collection.kind)?;
            Value::restore(kind, collection.header, StoredBlocks(blocks.collect()))?
        }
    })
}

impl Parts {
    fn of(value: &Value) -> Self {
        let mut blocks = BTreeMap::new();
        value.for_each_block(&mut |label, block| {
            blocks.insert(label.to_vec(), block.bytes().to_vec());
        });
        Self { kind: value.kind(), header: value.header(), blocks }
    }

    fn change(&mut self, label: &[u8], change: &BlockChange<'_>) -> Result<(), Damage> {
        if let Some(after) = change.apply(self.blocks.remove(label))? {
            self.blocks.insert(label.to_vec(), after);
        }
        Ok(())
    }
}
