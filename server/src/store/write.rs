//! One round of the apply thread, second half: writing it to the rows of `data.redb`.
//!
//! Everything happens in one transaction of redb together with the new applied sequence, so that rows, counts
//! of keys and sequence always agree. A count changes only where a row appears or disappears.

use std::collections::BTreeMap;
use std::io::Write as _;

use redb::{ReadableTable, Table, WriteTransaction};

use super::databases::{Databases, StorageId};
use super::directory::get_meta;
use super::file::damaged;
use super::filter::Filter;
use super::limits::{ALL_DATABASES, CHUNK_BYTES, INLINE_BYTES, SYSTEM_DATABASE};
use super::position::Position;
use super::record::{Collection, Damage, Value};
use super::round::{Entry, KeyChange, Round};
use super::row::{self, Body, KeyRow, meta};

/// The databases and the numbers of their keys, as the rows have them.
pub(super) fn read_databases(
    databases: &impl ReadableTable<u8, (u64, u64)>,
    meta_table: &impl ReadableTable<&'static str, u128>,
) -> Result<(Databases, [u64; ALL_DATABASES]), redb::Error> {
    let (mut ids, mut counts) = ([StorageId::SYSTEM; ALL_DATABASES], [0; ALL_DATABASES]);
    for index in 0..ALL_DATABASES {
        let Some(row) = databases.get(index as u8)? else {
            // A directory that was made before there was a system database.
            if index == usize::from(SYSTEM_DATABASE) {
                continue;
            }
            return Err(damaged(format!("it has no database {index}")));
        };
        let (storage, count) = row.value();
        ids[index] = StorageId::from_number(storage);
        counts[index] = count;
    }
    let storages = Databases::restore(ids, get_meta(meta_table, meta::NEXT_STORAGE)? as u64);
    Ok((storages, counts))
}

/// Writes a round that brings the rows to `sequence`. Returns how many keys it wrote.
///
/// `before_each_key` may block, which lets a round give way to the engine.
pub(super) fn write_round(
    transaction: &WriteTransaction,
    round: &Round<'_>,
    sequence: u64,
    filter: &Filter,
    before_each_key: impl Fn(),
) -> Result<u64, redb::Error> {
    let mut meta_table = transaction.open_table(row::META)?;
    let mut databases_table = transaction.open_table(row::DATABASES)?;
    let (databases, counts) = read_databases(&databases_table, &meta_table)?;
    let mut writer = KeyWriter {
        keys: transaction.open_table(row::KEYS)?,
        elements: transaction.open_table(row::ELEMENTS)?,
        expiries: transaction.open_table(row::EXPIRIES)?,
        garbage: transaction.open_table(row::GARBAGE)?,
        next_generation: get_meta(&meta_table, meta::NEXT_GENERATION)? as u64,
        filter,
        created: 0,
        key_row: Vec::new(),
        value_row: Vec::new(),
        expiry_row: Vec::new(),
        element_row: Vec::new(),
    };
    let mut after = [0; ALL_DATABASES];
    for (index, count) in after.iter_mut().enumerate() {
        let before = databases.database(round.databases.storage(index as u8));
        *count = before.map_or(0, |database| counts[usize::from(database)]);
    }
    let mut keys = 0;
    for run in round.entries.chunk_by(Entry::same_key) {
        before_each_key();
        // Keys of a database that is flushed later in the round are not written at all.
        if let Some(database) = round.databases.database(run[0].storage) {
            writer.created = 0;
            writer.write(run)?;
            let count = &mut after[usize::from(database)];
            *count = count.saturating_add_signed(writer.created);
            keys += 1;
        }
    }
    for storage in &round.flushed {
        writer.garbage.insert((row::GARBAGE_STORAGE, storage.number()), ())?;
    }
    meta_table.insert(meta::NEXT_GENERATION, u128::from(writer.next_generation))?;
    meta_table.insert(meta::NEXT_STORAGE, u128::from(round.databases.next()))?;
    meta_table.insert(meta::APPLIED, u128::from(sequence))?;
    for (index, count) in after.into_iter().enumerate() {
        let row = (round.databases.storage(index as u8).number(), count);
        databases_table.insert(index as u8, row)?;
    }
    let mut system = transaction.open_table(row::SYSTEM)?;
    for ((table, name), content) in &round.system {
        match content {
            Some(content) => drop(system.insert((table.number(), *name), *content)?),
            None => drop(system.remove((table.number(), *name))?),
        }
    }
    Ok(keys)
}

/// The parts of a row of [`row::KEYS`] that other rows depend on, before it is overwritten or removed.
#[derive(Clone, Copy)]
struct Before {
    expires_at_ms: Option<u64>,
    generation: Option<u64>,
}

/// An owned row of [`row::KEYS`] that can be changed.
struct Current {
    expires_at_ms: Option<u64>,
    body: CurrentBody,
}

enum CurrentBody {
    Small(Vec<u8>),
    Long { length: u64, generation: u64 },
}

/// Writes all rows of a key, one key after the other.
struct KeyWriter<'txn> {
    keys: Table<'txn, &'static [u8], &'static [u8]>,
    elements: Table<'txn, &'static [u8], &'static [u8]>,
    expiries: Table<'txn, &'static [u8], ()>,
    garbage: Table<'txn, (u8, u64), ()>,
    next_generation: u64,
    filter: &'txn Filter,
    /// How many keys there are more (or less) than before.
    created: i64,
    /// The key of the current key's row.
    key_row: Vec<u8>,
    // Kept to reuse their memory.
    value_row: Vec<u8>,
    expiry_row: Vec<u8>,
    element_row: Vec<u8>,
}

impl KeyWriter<'_> {
    /// Writes the outcome of all changes of one key.
    fn write(&mut self, run: &[Entry<'_>]) -> Result<(), redb::Error> {
        let first = &run[0];
        row::write_key(&mut self.key_row, first.storage, first.position, first.key);
        // Changes before the last one that replaces the whole key do not matter.
        let whole = |entry: &Entry<'_>| matches!(entry.change, KeyChange::Put { .. } | KeyChange::Delete);
        let mut rest = &run[run.iter().rposition(whole).unwrap_or(0)..];
        if let [Entry { change: KeyChange::Put { value, expires_at_ms }, .. }, after @ ..] = rest {
            let mut expires_at_ms = *expires_at_ms;
            rest = after;
            while let [Entry { change: KeyChange::Expire(time_ms), .. }, after @ ..] = rest {
                (expires_at_ms, rest) = (*time_ms, after);
            }
            self.put((first.storage, first.position), *value, expires_at_ms)?;
        }
        while let [entry, after @ ..] = rest {
            rest = after;
            match entry.change {
                KeyChange::Block { .. } | KeyChange::Header(_) => {
                    let is_block = |entry: &Entry<'_>| {
                        matches!(entry.change, KeyChange::Block { .. } | KeyChange::Header(_))
                    };
                    let more = after.iter().take_while(|entry| is_block(entry)).count();
                    let all = &run[run.len() - after.len() - 1..][..=more];
                    rest = &after[more..];
                    self.change_collection((first.storage, first.position), all)?;
                }
                KeyChange::Put { value, expires_at_ms } => {
                    self.put((first.storage, first.position), value, expires_at_ms)?;
                }
                KeyChange::Delete => self.delete()?,
                KeyChange::Expire(expires_at_ms) => self.expire(expires_at_ms)?,
                KeyChange::Splice { offset, bytes, length } => {
                    self.splice((first.storage, first.position), offset, bytes, length)?;
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        place: (StorageId, Position),
        value: Value<'_>,
        expires_at_ms: Option<u64>,
    ) -> Result<(), redb::Error> {
        let body = match value {
            Value::Integer(value) => Body::Integer(value),
            Value::Bytes(bytes) if bytes.len() <= INLINE_BYTES => Body::Inline(bytes),
            Value::Bytes(bytes) => {
                let generation = self.new_generation();
                for (index, chunk) in bytes.chunks(CHUNK_BYTES).enumerate() {
                    self.elements.insert(&row::chunk_key(generation, index as u32)[..], chunk)?;
                }
                Body::Long { length: bytes.len() as u64, generation }
            }
            Value::Collection(collection) => self.put_collection(collection)?,
        };
        self.insert(place, &KeyRow { expires_at_ms, body })
    }

    /// Writes the blocks of a new collection, unless its only block fits into the key's row.
    fn put_collection<'v>(&mut self, collection: Collection<'v>) -> Result<Body<'v>, redb::Error> {
        let Collection { kind, header, blocks } = collection;
        let mut iterator = blocks.iter();
        if let (Some(([], block)), None) = (iterator.next(), iterator.next())
            && block.len() <= INLINE_BYTES
        {
            return Ok(Body::Packed { kind, header, block });
        }
        let generation = self.new_generation();
        for (label, block) in blocks.iter() {
            row::write_block_key(&mut self.element_row, generation, label);
            self.elements.insert(&self.element_row[..], block)?;
        }
        Ok(Body::Blocks { kind, header, generation })
    }

    /// Applies several changes of a collection at once, so that each block is read and written once. Does nothing for a
    /// key that does not exist.
    fn change_collection(
        &mut self,
        place: (StorageId, Position),
        changes: &[Entry<'_>],
    ) -> Result<(), redb::Error> {
        let Some(guard) = self.keys.get(&self.key_row[..])? else { return Ok(()) };
        let KeyRow { expires_at_ms, body } = read_row(guard.value())?;
        let (kind, mut header, generation, single) = match body {
            Body::Packed { kind, header, block } => (kind, header.to_vec(), None, Some(block.to_vec())),
            Body::Blocks { kind, header, generation } => (kind, header.to_vec(), Some(generation), None),
            Body::Integer(_) | Body::Inline(_) | Body::Long { .. } => {
                return Err(damaged("the log changes elements of a string"));
            }
        };
        drop(guard);
        let mut blocks: BTreeMap<&[u8], Option<Vec<u8>>> = BTreeMap::new();
        if let Some(block) = single {
            blocks.insert(&[], Some(block));
        }
        let mut is_header_new = false;
        for entry in changes {
            match entry.change {
                KeyChange::Block { label, change } => {
                    let before = match (blocks.remove(label), generation) {
                        (Some(block), _) => block,
                        (None, Some(generation)) => self.block(generation, label)?,
                        (None, None) => None,
                    };
                    let after = change.apply(before).map_err(|damage: Damage| damaged(damage.to_string()))?;
                    blocks.insert(label, after);
                }
                KeyChange::Header(new) => {
                    header = new.to_vec();
                    is_header_new = true;
                }
                _ => {}
            }
        }
        let Some(generation) = generation else {
            let block = blocks.remove(&[][..]).flatten().unwrap_or_default();
            let body = Body::Packed { kind, header: &header, block: &block };
            return self.insert(place, &KeyRow { expires_at_ms, body });
        };
        for (label, block) in blocks {
            row::write_block_key(&mut self.element_row, generation, label);
            match block {
                Some(block) => drop(self.elements.insert(&self.element_row[..], &block[..])?),
                None => drop(self.elements.remove(&self.element_row[..])?),
            }
        }
        if !is_header_new {
            return Ok(());
        }
        let body = Body::Blocks { kind, header: &header, generation };
        self.insert(place, &KeyRow { expires_at_ms, body })
    }

    fn block(&mut self, generation: u64, label: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        row::write_block_key(&mut self.element_row, generation, label);
        Ok(self.elements.get(&self.element_row[..])?.map(|block| block.value().to_vec()))
    }

    fn delete(&mut self) -> Result<(), redb::Error> {
        let Some(old) = self.keys.remove(&self.key_row[..])? else { return Ok(()) };
        let before = Before::of(old.value())?;
        drop(old);
        self.created -= 1;
        self.replace(Some(before), None, None)
    }

    /// Does nothing for a key that does not exist.
    fn expire(&mut self, expires_at_ms: Option<u64>) -> Result<(), redb::Error> {
        let before = {
            let Some(old) = self.keys.get(&self.key_row[..])? else { return Ok(()) };
            let old_row = read_row(old.value())?;
            KeyRow { expires_at_ms, ..old_row }.write(&mut self.value_row);
            Before { expires_at_ms: old_row.expires_at_ms, generation: old_row.generation() }
        };
        self.keys.insert(&self.key_row[..], &self.value_row[..])?;
        self.replace(Some(before), expires_at_ms, before.generation)
    }

    /// A key that does not exist counts as an empty string.
    fn splice(
        &mut self,
        place: (StorageId, Position),
        offset: u64,
        bytes: &[u8],
        length: u64,
    ) -> Result<(), redb::Error> {
        let Current { expires_at_ms, body } = self.current()?;
        match body {
            CurrentBody::Small(mut string) if length.max(string.len() as u64) <= INLINE_BYTES as u64 => {
                string.resize(string.len().max(length as usize), 0);
                string[offset as usize..][..bytes.len()].copy_from_slice(bytes);
                self.insert(place, &KeyRow { expires_at_ms, body: Body::Inline(&string) })
            }
            CurrentBody::Small(string) => {
                let generation = self.new_generation();
                self.patch(generation, 0, &string)?;
                self.patch(generation, offset, bytes)?;
                let length = length.max(string.len() as u64);
                self.insert(place, &KeyRow { expires_at_ms, body: Body::Long { length, generation } })
            }
            CurrentBody::Long { length: before, generation } => {
                self.patch(generation, offset, bytes)?;
                let length = length.max(before);
                self.insert(place, &KeyRow { expires_at_ms, body: Body::Long { length, generation } })
            }
        }
    }

    fn current(&self) -> Result<Current, redb::Error> {
        let Some(guard) = self.keys.get(&self.key_row[..])? else {
            return Ok(Current { expires_at_ms: None, body: CurrentBody::Small(Vec::new()) });
        };
        let KeyRow { expires_at_ms, body } = read_row(guard.value())?;
        let body = match body {
            Body::Inline(bytes) => CurrentBody::Small(bytes.to_vec()),
            Body::Long { length, generation } => CurrentBody::Long { length, generation },
            Body::Integer(value) => {
                let mut digits = Vec::new();
                write!(digits, "{value}").map_err(redb::Error::Io)?;
                CurrentBody::Small(digits)
            }
            Body::Packed { .. } | Body::Blocks { .. } => {
                return Err(damaged("the log changes bytes of a collection"));
            }
        };
        Ok(Current { expires_at_ms, body })
    }

    /// Writes bytes into the chunks of a long string. Chunks that are missing are zero, and stay missing.
    fn patch(&mut self, generation: u64, offset: u64, mut bytes: &[u8]) -> Result<(), redb::Error> {
        let mut at = offset;
        while !bytes.is_empty() {
            let start = (at % CHUNK_BYTES as u64) as usize;
            let (here, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - start));
            let key = row::chunk_key(generation, (at / CHUNK_BYTES as u64) as u32);
            let mut chunk = match self.elements.get(&key[..])? {
                Some(chunk) if here.len() < CHUNK_BYTES => chunk.value().to_vec(),
                _ => Vec::new(),
            };
            chunk.resize(chunk.len().max(start + here.len()), 0);
            chunk[start..start + here.len()].copy_from_slice(here);
            self.elements.insert(&key[..], &chunk[..])?;
            at += here.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Writes the current key's row and the rows that depend on it.
    fn insert(&mut self, place: (StorageId, Position), new: &KeyRow<'_>) -> Result<(), redb::Error> {
        new.write(&mut self.value_row);
        let before = match self.keys.insert(&self.key_row[..], &self.value_row[..])? {
            Some(old) => Some(Before::of(old.value())?),
            None => None,
        };
        if before.is_none() {
            self.created += 1;
            self.filter.insert(place.0, place.1);
        }
        self.replace(before, new.expires_at_ms, new.generation())
    }

    /// Updates the rows that depend on a row of [`row::KEYS`] after that row has changed.
    fn replace(
        &mut self,
        before: Option<Before>,
        expires_at_ms: Option<u64>,
        generation: Option<u64>,
    ) -> Result<(), redb::Error> {
        let before = before.unwrap_or(Before { expires_at_ms: None, generation: None });
        if before.expires_at_ms != expires_at_ms {
            if let Some(time_ms) = before.expires_at_ms {
                row::write_expiry(&mut self.expiry_row, time_ms, &self.key_row);
                self.expiries.remove(&self.expiry_row[..])?;
            }
            if let Some(time_ms) = expires_at_ms {
                row::write_expiry(&mut self.expiry_row, time_ms, &self.key_row);
                self.expiries.insert(&self.expiry_row[..], ())?;
            }
        }
        if let Some(dead) = before.generation.filter(|&dead| Some(dead) != generation) {
            self.garbage.insert((row::GARBAGE_GENERATION, dead), ())?;
        }
        Ok(())
    }

    fn new_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation - 1
    }
}

impl Before {
    fn of(row: &[u8]) -> Result<Self, redb::Error> {
        let row = read_row(row)?;
        Ok(Self { expires_at_ms: row.expires_at_ms, generation: row.generation() })
    }
}

/// Reads a row of [`row::KEYS`].
pub(super) fn read_row(row: &[u8]) -> Result<KeyRow<'_>, redb::Error> {
    KeyRow::read(row).ok_or_else(|| damaged("it has a row of no known kind"))
}
