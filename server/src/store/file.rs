//! One redb file that can be closed and opened again while threads use it.
//!
//! After a failed read or write redb refuses everything until the file is opened again. So code that sees a failure
//! calls [`DatabaseFile::discard`], and the next transaction reopens the file.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, WriteTransaction};

/// Opens an existing file with a cache of the given number of bytes.
pub(super) type Opener = Box<dyn Fn(&Path, usize) -> Result<Database, redb::Error> + Send + Sync>;

/// A redb file and how to open it.
pub(super) struct DatabaseFile {
    path: PathBuf,
    cache_bytes: usize,
    opener: Opener,
    /// `None` between a failure and the next transaction.
    database: RwLock<Option<Database>>,
}

impl DatabaseFile {
    /// Opens an existing file.
    pub fn open(path: PathBuf, cache_bytes: usize, opener: Opener) -> Result<Self, redb::Error> {
        let file = Self { path, cache_bytes, opener, database: RwLock::new(None) };
        file.begin_read()?.close()?;
        Ok(file)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the file in bytes; 0 if it cannot be read.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// A snapshot of the last commit.
    pub fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        self.with(|database| Ok(database.begin_read()?))
    }

    /// The file's only write transaction.
    pub fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        self.with(|database| Ok(database.begin_write()?))
    }

    /// Closes the file after a failure. Transactions that are still alive fail.
    pub fn discard(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Closes the file for good.
    pub fn close(&self) -> Result<(), redb::Error> {
        match self.database.write().unwrap_or_else(PoisonError::into_inner).take() {
            Some(database) => no_panic(|| Ok(database.close()?)),
            None => Ok(()),
        }
    }

    /// Leaks the file instead of closing it: closing is a commit, and a damaged file must stay as it was found.
    pub fn abandon(self) {
        std::mem::forget(self.database);
    }

    fn with<T>(&self, begin: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        if let Some(database) = &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            return begin(database);
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            *database = Some((self.opener)(&self.path, self.cache_bytes)?);
        }
        begin(database.as_ref().ok_or(redb::Error::DatabaseClosed)?)
    }
}

/// The ordinary [`Opener`].
pub(super) fn open_database(path: &Path, cache_bytes: usize) -> Result<Database, redb::Error> {
    no_panic(|| Ok(Builder::new().set_cache_size(cache_bytes).open(path)?))
}

/// Runs code that reads a file which may be damaged. redb may panic on a file that something else has changed; that
/// counts as damage.
pub(super) fn no_panic<T>(read: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged("its structure makes no sense")))
}

/// The error for rows that are not what the store wrote.
pub(super) fn damaged(reason: impl Into<String>) -> redb::Error {
    redb::Error::Corrupted(reason.into())
}
