//! What the tests of the store share: a model of its content, an open store with its events, and a simulated disk that
//! crashes or is full.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redb::{Builder, StorageBackend};

use super::file::Opener;
use super::limits::ALL_DATABASES;
use super::record::{Change, Encoder, Value, decode};
use super::*;

/// The value and expiry of every key of a database.
type Keys = BTreeMap<Vec<u8>, (Content, Option<u64>)>;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    String(Vec<u8>),
    Collection { kind: u8, header: Vec<u8>, blocks: BTreeMap<Vec<u8>, Vec<u8>> },
}

impl Content {
    /// The length of a string; `None` for a collection.
    pub fn string_len(&self) -> Option<usize> {
        if let Self::String(string) = self { Some(string.len()) } else { None }
    }
}

/// What a store should contain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    pub keys: [Keys; ALL_DATABASES],
    pub system: BTreeMap<(SystemTable, Vec<u8>), Vec<u8>>,
}

impl Model {
    pub fn apply(&mut self, change: &Change<'_>) {
        match *change {
            Change::Put { head, value } => {
                let value = match value {
                    Value::Integer(value) => Content::String(value.to_string().into_bytes()),
                    Value::Bytes(bytes) => Content::String(bytes.to_vec()),
                    Value::Collection(record::Collection { kind, header, blocks }) => {
                        let blocks = blocks.iter().map(|(label, block)| (label.to_vec(), block.to_vec()));
                        Content::Collection { kind, header: header.to_vec(), blocks: blocks.collect() }
                    }
                };
                self.keys[usize::from(head.database)].insert(head.key.to_vec(), (value, head.expires_at_ms));
            }
            Change::Splice { database, key, offset, bytes, length } => {
                let empty = (Content::String(Vec::new()), None);
                let (content, _) = self.keys[usize::from(database)].entry(key.to_vec()).or_insert(empty);
                let Content::String(string) = content else { panic!("a splice of a collection") };
                string.resize(string.len().max(length as usize), 0);
                string[offset as usize..][..bytes.len()].copy_from_slice(bytes);
            }
            Change::Block { database, key, label, change } => {
                let content = self.keys[usize::from(database)].get_mut(key).map(|(content, _)| content);
                let Some(Content::Collection { blocks, .. }) = content else { panic!("no collection") };
                if let Some(after) = change.apply(blocks.remove(label)).unwrap() {
                    blocks.insert(label.to_vec(), after);
                }
            }
            Change::Header { database, key, header: new } => {
                let content = self.keys[usize::from(database)].get_mut(key).map(|(content, _)| content);
                let Some(Content::Collection { header, .. }) = content else { panic!("no collection") };
                *header = new.to_vec();
            }
            Change::Expire { database, key, expires_at_ms } => {
                if let Some((_, time_ms)) = self.keys[usize::from(database)].get_mut(key) {
                    *time_ms = expires_at_ms;
                }
            }
            Change::Delete { database, key } => drop(self.keys[usize::from(database)].remove(key)),
            Change::Flush { database } => self.keys[usize::from(database)].clear(),
            Change::Swap { a, b } => self.keys.swap(usize::from(a), usize::from(b)),
            Change::System { table, name, content: Some(content) } => {
                self.system.insert((table, name.to_vec()), content.to_vec());
            }
            Change::System { table, name, content: None } => {
                self.system.remove(&(table, name.to_vec()));
            }
        }
    }

    pub fn apply_group(&mut self, group: &[u8]) {
        for transaction in decode(group).unwrap() {
            for change in transaction.unwrap() {
                self.apply(&change.unwrap());
            }
        }
    }

    pub fn counts(&self) -> [u64; ALL_DATABASES] {
        std::array::from_fn(|index| self.keys[index].len() as u64)
    }
}

/// A group of one transaction.
pub fn group(changes: &[Change<'_>]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin();
    for change in changes {
        encoder.push(change);
    }
    encoder.end();
    encoder.finish()
}

/// A change that stores a string without expiry in database 0.
pub fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Change<'a> {
    let head = record::PutHead { database: 0, key, expires_at_ms: None, created: true };
    Change::Put { head, value: Value::Bytes(value) }
}

/// An open store and what it says.
pub struct Opened {
    pub store: Store,
    pub recovery: Recovery,
    pub events: Receiver<StoreEvent>,
}

pub fn options(directory: &Path) -> StoreOptions {
    StoreOptions { directory: directory.to_owned(), log_max_bytes: 1 << 20, cache_bytes: 1 << 20 }
}

impl Opened {
    pub fn try_open(directory: &Path) -> Result<Self, StoreError> {
        Self::try_open_with(directory, Box::new(open_database), Box::new(open_database))
    }

    pub fn try_open_with(directory: &Path, log: Opener, data: Opener) -> Result<Self, StoreError> {
        let (sender, events) = channel();
        let on_event = Box::new(move |event| drop(sender.send(event)));
        let (store, recovery) = Store::open_with(&options(directory), on_event, log, data)?;
        Ok(Self { store, recovery, events })
    }

    pub fn open(directory: &Path) -> Self {
        Self::try_open(directory).unwrap()
    }

    /// The first event that answers the question.
    pub fn wait<T>(&self, mut answer: impl FnMut(StoreEvent) -> Option<T>) -> T {
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(30)).expect("the store answers");
            if let StoreEvent::Failed { reason } = event {
                panic!("{reason}");
            }
            if let Some(answer) = answer(event) {
                return answer;
            }
        }
    }

    pub fn append_and_wait(&self, sequence: u64, changes: &[Change<'_>]) {
        self.store.append(group(changes), sequence);
        self.wait_for_commit(sequence);
    }

    pub fn wait_for_commit(&self, sequence: u64) {
        self.wait(|event| {
            matches!(event, StoreEvent::Committed { sequence: s, .. } if s >= sequence).then_some(())
        });
    }

    pub fn apply_and_wait(&self, sequence: u64) {
        self.store.start_applying();
        while self.store.applied() < sequence {
            self.store.apply_now();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn load(&self, storage: StorageId, keys: &[&[u8]]) -> Vec<Option<StoredKey>> {
        let keys = keys.iter().map(|key| KeyAt { storage, key: (*key).into() }).collect();
        self.store.load(77, keys);
        self.wait(|event| match event {
            StoreEvent::Loaded { token: 77, result } => Some(result.unwrap()),
            _ => None,
        })
    }

    pub fn scan(&self, storage: StorageId, from: Position, limit: usize) -> ScanPage {
        self.store.scan_page(78, storage, from, limit);
        self.wait(|event| match event {
            StoreEvent::Scanned { token: 78, result } => Some(result.unwrap()),
            _ => None,
        })
    }

    pub fn due(&self, now_ms: u64, after: Option<ExpiryCursor>, limit: usize) -> DuePage {
        self.store.due_expiries(79, now_ms, after, limit);
        self.wait(|event| match event {
            StoreEvent::Due { token: 79, result } => Some(result.unwrap()),
            _ => None,
        })
    }

    /// What the rows contain, by the storages of some point of the journal.
    pub fn rows(&self, databases: &Databases) -> Model {
        let mut model = Model::default();
        for database in 0..ALL_DATABASES as u8 {
            let storage = databases.storage(database);
            let mut from = Some(Position::MIN);
            while let Some(at) = from {
                let page = self.scan(storage, at, 3);
                assert!(
                    page.keys
                        .iter()
                        .all(|key| key.position >= at && page.next.is_none_or(|n| key.position < n))
                );
                let keys: Vec<&[u8]> = page.keys.iter().map(|key| &*key.key).collect();
                for (scanned, loaded) in page.keys.iter().zip(self.load(storage, &keys)) {
                    let loaded = loaded.expect("a scanned key can be loaded");
                    assert_eq!(loaded.expires_at_ms, scanned.expires_at_ms);
                    let content = (content_of(&loaded.value), loaded.expires_at_ms);
                    let old = model.keys[usize::from(database)].insert(scanned.key.to_vec(), content);
                    assert_eq!(old, None, "no key is scanned twice");
                }
                from = page.next;
            }
        }
        model.system = self
            .recovery
            .system
            .iter()
            .map(|row| ((row.table, row.name.to_vec()), row.content.to_vec()))
            .collect();
        model
    }

    /// What the engine has after recovery: the rows, with the log applied to them.
    pub fn recover(&mut self) -> Model {
        let mut model = self.rows(&self.recovery.databases);
        assert_eq!(model.counts(), self.recovery.key_counts);
        for group in &mut self.recovery.groups {
            let group = group.unwrap().1;
            model.apply_group(&group);
            for change in decode(&group).unwrap().flat_map(|transaction| transaction.unwrap()) {
                match change.unwrap() {
                    Change::Flush { database } => drop(self.recovery.databases.flush(database)),
                    Change::Swap { a, b } => self.recovery.databases.swap(a, b),
                    _ => {}
                }
            }
        }
        model
    }
}

/// What a loaded value is; the form of a string must fit its length.
pub fn content_of(value: &StoredValue) -> Content {
    Content::String(match value {
        StoredValue::Collection { kind, header, blocks } => {
            let blocks = blocks.iter().cloned().collect();
            return Content::Collection { kind: *kind, header: header.clone(), blocks };
        }
        StoredValue::Integer(value) => value.to_string().into_bytes(),
        StoredValue::Bytes(bytes) => {
            assert!(bytes.len() <= limits::INLINE_BYTES);
            bytes.clone()
        }
        StoredValue::Chunks(chunks) => {
            let (last, others) = chunks.split_last().unwrap();
            assert!(others.iter().all(|chunk| chunk.len() == limits::CHUNK_BYTES));
            assert!((1..=limits::CHUNK_BYTES).contains(&last.len()));
            chunks.concat()
        }
    })
}

/// What was written to a file and not yet synced.
#[derive(Debug, Clone)]
enum Write {
    At(u64, Vec<u8>),
    Length(u64),
}

/// A file in memory that knows what would survive a crash.
#[derive(Debug, Clone, Default)]
struct Image {
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Write>,
}

fn write(bytes: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Length(length) => bytes.resize(*length as usize, 0),
        Write::At(offset, data) => {
            let end = *offset as usize + data.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[*offset as usize..end].copy_from_slice(data);
        }
    }
}

/// The two files of a store on a disk that can crash and be full.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    images: Arc<Mutex<[Image; 2]>>,
    full: Arc<[AtomicBool; 2]>,
    /// Which of the next syncs succeeds but reports failure, counted from 1; 0 for none.
    failing_sync: Arc<[AtomicU64; 2]>,
}

const NAMES: [&str; 2] = ["log.redb", "data.redb"];

impl Disk {
    /// Takes over the files of a closed store.
    pub fn load(directory: &Path) -> Self {
        let images = NAMES.map(|name| {
            let current = std::fs::read(directory.join(name)).unwrap();
            Image { durable: current.clone(), current, unsynced: Vec::new() }
        });
        Self { images: Arc::new(Mutex::new(images)), full: Arc::default(), failing_sync: Arc::default() }
    }

    /// Opens the store on this disk. The files in the directory only serve the checks before.
    pub fn open(&self, directory: &Path) -> Opened {
        let opener = |index| -> Opener {
            let backend = Backend { disk: self.clone(), index };
            Box::new(move |_, cache_bytes| {
                Ok(Builder::new().set_cache_size(cache_bytes).create_with_backend(backend.clone())?)
            })
        };
        Opened::try_open_with(directory, opener(0), opener(1)).unwrap()
    }

    /// Makes writes to the log (0) or the rows (1) fail, or succeed again.
    pub fn set_full(&self, index: usize, full: bool) {
        self.full[index].store(full, SeqCst);
    }

    /// Makes a later sync of the log (0) or the rows (1) succeed but report failure.
    pub fn fail_sync(&self, index: usize, later: u64) {
        self.failing_sync[index].store(later, SeqCst);
    }

    /// Writes to a directory what a crash at this moment could leave: all that was synced, and any of the
    /// sectors that were written since.
    pub fn crash(&self, directory: &Path, random: &mut fastrand::Rng) {
        const SECTOR: usize = 512;
        let images = self.images.lock().unwrap().clone();
        for (name, image) in NAMES.iter().zip(images) {
            let mut bytes = image.durable;
            let kept = [0.0, 0.5, 1.0][random.usize(..3)];
            for unsynced in image.unsynced {
                match unsynced {
                    Write::Length(_) if random.f64() < kept => write(&mut bytes, &unsynced),
                    Write::Length(_) => {}
                    Write::At(offset, data) => {
                        for (n, sector) in data.chunks(SECTOR).enumerate() {
                            if random.f64() < kept {
                                write(&mut bytes, &Write::At(offset + (n * SECTOR) as u64, sector.to_vec()));
                            }
                        }
                    }
                }
            }
            std::fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

/// One file of a [`Disk`], as redb sees it.
#[derive(Debug, Clone)]
struct Backend {
    disk: Disk,
    index: usize,
}

impl Backend {
    fn change(&self, change: Write) -> io::Result<()> {
        if self.disk.full[self.index].load(SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let image = &mut self.disk.images.lock().unwrap()[self.index];
        write(&mut image.current, &change);
        image.unsynced.push(change);
        Ok(())
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.images.lock().unwrap()[self.index].current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let images = self.disk.images.lock().unwrap();
        let bytes = images[self.index].current.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Write::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let image = &mut self.disk.images.lock().unwrap()[self.index];
        let unsynced = std::mem::take(&mut image.unsynced);
        for change in unsynced {
            write(&mut image.durable, &change);
        }
        let later = &self.disk.failing_sync[self.index];
        match later.fetch_update(SeqCst, SeqCst, |later| later.checked_sub(1)) {
            Ok(1) => Err(io::Error::other("the sync failed")),
            _ => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Write::At(offset, data.to_vec()))
    }
}
