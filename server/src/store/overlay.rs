//! Looking into a redb file without changing it.
//!
//! redb marks a file when it opens it, repairs it after a crash, and refuses to open for reading only what
//! needs repair. So it is given a file whose changes stay in memory and are forgotten: few pages, because a
//! repair of `data.redb` only reads what the last commit recorded for it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, StorageBackend};

use super::file::no_panic;
use super::limits::LOG_CACHE_BYTES;

const PAGE_BYTES: u64 = 4096;

/// Opens a file, asks it something and forgets what redb changed.
pub(super) fn look<T>(
    path: &Path,
    question: impl FnOnce(&Database) -> Result<T, redb::Error>,
) -> Result<T, redb::Error> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Err(redb::Error::Corrupted("it is empty".to_owned()));
    }
    let overlay = Overlay { file, changes: Mutex::new(Changes { length, pages: BTreeMap::new() }) };
    no_panic(|| {
        // Not closed, which is a commit: in a damaged file redb panics there, and once more while it unwinds,
        // which aborts the process. What is lost is a small cache, once.
        let database =
            ManuallyDrop::new(Builder::new().set_cache_size(LOG_CACHE_BYTES).create_with_backend(overlay)?);
        question(&database)
    })
}

/// A file and what was written over it.
#[derive(Debug)]
struct Overlay {
    file: File,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    length: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the file; what lies behind its end is zero.
    fn read_file(&self, offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        while !out.is_empty() {
            match self.file.read_at(out, at)? {
                0 => {
                    out.fill(0);
                    return Ok(());
                }
                read => (at, out) = (at + read as u64, &mut out[read..]),
            }
        }
        Ok(())
    }
}

/// Splits a range of the file at the borders of pages: page, offset in it, length.
fn pages(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + length as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let start = at;
        at = ((at / PAGE_BYTES + 1) * PAGE_BYTES).min(end);
        (start < end).then_some((start / PAGE_BYTES, (start % PAGE_BYTES) as usize, (at - start) as usize))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.changes();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > changes.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_file(offset, out)?;
        let mut done = 0;
        for (page, start, length) in pages(offset, out.len()) {
            if let Some(bytes) = changes.pages.get(&page) {
                out[done..done + length].copy_from_slice(&bytes[start..start + length]);
            }
            done += length;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.changes().length = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        let mut done = 0;
        for (page, start, length) in pages(offset, data.len()) {
            let bytes = match changes.pages.entry(page) {
                Entry::Occupied(bytes) => bytes.into_mut(),
                Entry::Vacant(place) => {
                    let mut bytes = vec![0; PAGE_BYTES as usize];
                    self.read_file(page * PAGE_BYTES, &mut bytes)?;
                    place.insert(bytes)
                }
            };
            bytes[start..start + length].copy_from_slice(&data[done..done + length]);
            done += length;
        }
        Ok(())
    }
}
