//! The reader thread: answers questions about rows of `data.redb`, so that the engine never waits for the disk.
//!
//! Rows may be older than the log. Keys in the log are in memory, and the engine asks only about keys that it knows
//! nothing about. Every answer carries the token of its question.

use std::ops::Bound;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;

use redb::{ReadTransaction, ReadableTable};

use super::StoreEvent;
use super::databases::StorageId;
use super::error::StoreError;
use super::file::damaged;
use super::limits::CHUNK_BYTES;
use super::position::{Position, Seed};
use super::record::SystemTable;
use super::recovery::SystemRow;
use super::row::{self, Body};
use super::shared::Shared;
use super::write::read_row;

/// What the reader thread is asked.
pub(super) enum ReadMessage {
    Load { token: u64, keys: Vec<KeyAt> },
    ScanPage { token: u64, storage: StorageId, from: Position, limit: usize },
    DueExpiries { token: u64, now_ms: u64, after: Option<ExpiryCursor>, limit: usize },
    Close,
}

/// A key and the storage of its database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyAt {
    /// The storage, by [`super::Databases::storage`].
    pub storage: StorageId,
    /// The key.
    pub key: Box<[u8]>,
}

/// A key's value as stored in rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Unix time in milliseconds at which the key expires, or `None` for never.
    pub expires_at_ms: Option<u64>,
    /// The value.
    pub value: StoredValue,
}

/// The value of a [`StoredKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredValue {
    /// A string that is the canonical decimal form of this integer.
    Integer(i64),
    /// A string of at most [`super::limits::INLINE_BYTES`] bytes.
    Bytes(Vec<u8>),
    /// A longer string, in chunks of [`CHUNK_BYTES`] bytes; only the last may be shorter.
    Chunks(Vec<Vec<u8>>),
    /// A value with elements.
    Collection {
        /// The number of its type.
        kind: u8,
        /// What stands beside the blocks.
        header: Vec<u8>,
        /// Labels and blocks in the order of the labels.
        blocks: LabelledBlocks,
    },
}

/// A key in a [`ScanPage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedKey {
    /// The key's position.
    pub position: Position,
    /// The key.
    pub key: Box<[u8]>,
    /// The number of its value's type; 0 for strings.
    pub kind: u8,
    /// Unix time in milliseconds at which the key expires, or `None` for never.
    pub expires_at_ms: Option<u64>,
}

/// Keys in order of position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanPage {
    /// All keys from the requested position up to the one before `next`.
    pub keys: Vec<ScannedKey>,
    /// Where the next page starts, or `None` if there is none.
    pub next: Option<Position>,
}

/// A key that has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueKey {
    /// The key and its storage.
    pub at: KeyAt,
    /// Unix time in milliseconds at which the key expires.
    pub expires_at_ms: u64,
}

/// Keys that have expired, ordered by when they did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DuePage {
    /// The keys.
    pub keys: Vec<DueKey>,
    /// Where to continue, if there are more than the limit.
    pub more: Option<ExpiryCursor>,
    /// Otherwise, when the next key expires. Unix time in milliseconds.
    pub next_at_ms: Option<u64>,
}

/// A place in the order of expiries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryCursor(Vec<u8>);

/// Runs until it is told to close.
pub(super) fn run(shared: &Shared, messages: &Receiver<ReadMessage>) {
    while let Ok(message) = messages.recv() {
        let event = match message {
            ReadMessage::Close => return,
            ReadMessage::Load { token, keys } => {
                shared.counters.loaded_keys.add(keys.len() as u64);
                StoreEvent::Loaded { token, result: read(shared, |view| view.load(shared.seed, &keys)) }
            }
            ReadMessage::ScanPage { token, storage, from, limit } => {
                StoreEvent::Scanned { token, result: read(shared, |view| view.scan(storage, from, limit)) }
            }
            ReadMessage::DueExpiries { token, now_ms, after, limit } => StoreEvent::Due {
                token,
                result: read(shared, |view| view.due(now_ms, after.as_ref(), limit)),
            },
        };
        (shared.on_event)(event);
    }
}

/// Adds every key on disk to the filter, then announces it.
pub(super) fn fill_filter(shared: &Shared) {
    let walk = |view: &View| -> Result<bool, redb::Error> {
        for row in view.0.open_table(row::KEYS)?.range::<&[u8]>(..)? {
            if shared.closing.load(Relaxed) {
                return Ok(false);
            }
            let (key, _) = row?;
            let (storage, position, _) = row::read_key(key.value()).ok_or_else(bad_key)?;
            shared.filter.insert(storage, position);
        }
        Ok(true)
    };
    match read(shared, walk) {
        Ok(true) => (shared.on_event)(StoreEvent::FilterReady(shared.filter.clone())),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "missing keys will be looked up on disk"),
    }
}

/// Runs a question on a new snapshot.
pub(super) fn read<T>(
    shared: &Shared,
    question: impl FnOnce(&View) -> Result<T, redb::Error>,
) -> Result<T, StoreError> {
    shared.data.begin_read().and_then(|transaction| question(&View(transaction))).map_err(|error| {
        shared.counters.read_failures.add(1);
        shared.data.discard();
        StoreError::redb(shared.data.path(), error)
    })
}

/// A snapshot of the rows.
pub(super) struct View(ReadTransaction);

impl View {
    pub const fn new(transaction: ReadTransaction) -> Self {
        Self(transaction)
    }

    /// The values of keys, in the order of the keys; `None` for one that is not there.
    pub fn load(&self, seed: Seed, keys: &[KeyAt]) -> Result<Vec<Option<StoredKey>>, redb::Error> {
        let (table, elements) = (self.0.open_table(row::KEYS)?, self.0.open_table(row::ELEMENTS)?);
        let mut key_row = Vec::new();
        let load_one = |KeyAt { storage, key }: &KeyAt| {
            row::write_key(&mut key_row, *storage, seed.position(key), key);
            let Some(guard) = table.get(&key_row[..])? else { return Ok(None) };
            let found = read_row(guard.value())?;
            let value = match found.body {
                Body::Integer(value) => StoredValue::Integer(value),
                Body::Inline(bytes) => StoredValue::Bytes(bytes.to_vec()),
                Body::Long { length, generation } => {
                    StoredValue::Chunks(load_chunks(&elements, length, generation)?)
                }
                Body::Packed { kind, header, block } => StoredValue::Collection {
                    kind,
                    header: header.to_vec(),
                    blocks: vec![(Vec::new(), block.to_vec())],
                },
                Body::Blocks { kind, header, generation } => StoredValue::Collection {
                    kind,
                    header: header.to_vec(),
                    blocks: load_blocks(&elements, generation)?,
                },
            };
            Ok(Some(StoredKey { expires_at_ms: found.expires_at_ms, value }))
        };
        keys.iter().map(load_one).collect()
    }

    /// The keys of a storage from a position on. A page ends between two positions, so it may be longer than
    /// the limit by the keys that share the last one.
    pub fn scan(&self, storage: StorageId, from: Position, limit: usize) -> Result<ScanPage, redb::Error> {
        let table = self.0.open_table(row::KEYS)?;
        let (start, end) = (row::key_bound(storage, from), row::storage_end(storage));
        let mut page = ScanPage::default();
        for row in table.range(&start[..]..&end[..])? {
            let (key, value) = row?;
            let (_, position, key) = row::read_key(key.value()).ok_or_else(bad_key)?;
            if page.keys.len() >= limit && page.keys.last().is_none_or(|last| last.position != position) {
                page.next = Some(position);
                break;
            }
            let row = read_row(value.value())?;
            let (kind, expires_at_ms) = (row.kind(), row.expires_at_ms);
            page.keys.push(ScannedKey { position, key: key.into(), kind, expires_at_ms });
        }
        Ok(page)
    }

    /// The keys that expire at or before a time. Skips keys of flushed databases.
    pub fn due(
        &self,
        now_ms: u64,
        after: Option<&ExpiryCursor>,
        limit: usize,
    ) -> Result<DuePage, redb::Error> {
        let mut live = Vec::new();
        for row in self.0.open_table(row::DATABASES)?.range::<u8>(..)? {
            live.push(StorageId::from_number(row?.1.value().0));
        }
        let table = self.0.open_table(row::EXPIRIES)?;
        let start = after.map_or(Bound::Unbounded, |cursor| Bound::Excluded(&cursor.0[..]));
        let mut page = DuePage::default();
        for row in table.range::<&[u8]>((start, Bound::Unbounded))? {
            let (expiry, ()) = row.map(|(key, value)| (key, value.value()))?;
            let (expires_at_ms, key_row) = row::read_expiry(expiry.value()).ok_or_else(bad_key)?;
            let (storage, _, key) = row::read_key(key_row).ok_or_else(bad_key)?;
            if !live.contains(&storage) {
                continue;
            }
            if expires_at_ms > now_ms {
                page.next_at_ms = Some(expires_at_ms);
                break;
            }
            page.keys.push(DueKey { at: KeyAt { storage, key: key.into() }, expires_at_ms });
            if page.keys.len() >= limit {
                page.more = Some(ExpiryCursor(expiry.value().to_vec()));
                break;
            }
        }
        Ok(page)
    }

    /// All definitions of the server.
    pub fn system(&self) -> Result<Vec<SystemRow>, redb::Error> {
        let mut rows = Vec::new();
        for row in self.0.open_table(row::SYSTEM)?.range::<(u8, &[u8])>(..)? {
            let (key, content) = row?;
            let (number, name) = key.value();
            let table = SystemTable::from_number(number)
                .ok_or_else(|| damaged(format!("it has definitions of no known kind ({number})")))?;
            rows.push(SystemRow { table, name: name.into(), content: content.value().into() });
        }
        Ok(rows)
    }
}

/// All chunks of a long string. Bytes without a row are zero.
fn load_chunks(
    elements: &impl ReadableTable<&'static [u8], &'static [u8]>,
    length: u64,
    generation: u64,
) -> Result<Vec<Vec<u8>>, redb::Error> {
    if length > super::limits::STRING_BYTES {
        return Err(damaged("it has a string beyond the longest possible"));
    }
    let lengths = (0..length).step_by(CHUNK_BYTES).map(|at| (length - at).min(CHUNK_BYTES as u64) as usize);
    let mut chunks: Vec<Vec<u8>> = lengths.map(|length| vec![0; length]).collect();
    let (start, end) = (generation.to_be_bytes(), (generation + 1).to_be_bytes());
    for row in elements.range(&start[..]..&end[..])? {
        let (key, bytes) = row?;
        let index = key.value().get(8..12).and_then(|index| index.try_into().ok()).map(u32::from_be_bytes);
        let chunk = index.and_then(|index| chunks.get_mut(index as usize));
        match chunk.and_then(|chunk| chunk.get_mut(..bytes.value().len())) {
            Some(place) => place.copy_from_slice(bytes.value()),
            None => return Err(damaged("it has a chunk beyond the end of its string")),
        }
    }
    Ok(chunks)
}

/// Labels and blocks in the order of the labels.
pub type LabelledBlocks = Vec<(Vec<u8>, Vec<u8>)>;

/// All blocks of a collection with their labels, in the order of the labels.
fn load_blocks(
    elements: &impl ReadableTable<&'static [u8], &'static [u8]>,
    generation: u64,
) -> Result<LabelledBlocks, redb::Error> {
    let (start, end) = (generation.to_be_bytes(), (generation + 1).to_be_bytes());
    let mut blocks = Vec::new();
    for row in elements.range(&start[..]..&end[..])? {
        let (key, block) = row?;
        blocks.push((row::read_label(key.value()).to_vec(), block.value().to_vec()));
    }
    Ok(blocks)
}

fn bad_key() -> redb::Error {
    damaged("it has a row whose key is too short")
}
