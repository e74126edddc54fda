//! The data directory: its lock, its two files, and whether they are what this version can read.
//!
//! Nothing is written to a directory before it is known to be good. A new directory is created by renaming a complete
//! `data.redb` into place, so a crash in the middle leaves nothing that looks like data.

use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::databases::Databases;
use super::error::StoreError;
use super::file::{DatabaseFile, damaged};
use super::limits::{FORMAT_VERSION, LOG_CACHE_BYTES};
use super::overlay;
use super::row::{self, meta};

/// A locked directory with both files, checked but not open.
pub(super) struct Directory {
    pub log: PathBuf,
    pub data: PathBuf,
    /// Locked for as long as this exists. On a file system without locks nothing is locked.
    _lock: File,
}

impl Directory {
    /// Locks and checks a directory; creates it if it does not exist.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(path)
            .map_err(|error| StoreError::NoDirectory { directory: path.to_owned(), error })?;
        let lock = lock(path)?;
        let directory = Self { log: path.join("log.redb"), data: path.join("data.redb"), _lock: lock };
        match (directory.log.exists(), directory.data.exists()) {
            (true, true) => directory.check()?,
            (false, false) => directory.create(path)?,
            (false, true) => return Err(StoreError::Missing(directory.log)),
            // The log is created first, so this may be what an interrupted creation left.
            (true, false) if directory.is_only_begun()? => directory.create(path)?,
            (true, false) => return Err(StoreError::Missing(directory.data)),
        }
        Ok(directory)
    }

    /// Checks `data.redb`, whose version counts for both files.
    fn check(&self) -> Result<(), StoreError> {
        let format = overlay::look(&self.data, |database| {
            get_meta(&database.begin_read()?.open_table(row::META)?, meta::FORMAT)
        });
        match format.map_err(|error| StoreError::redb(&self.data, error))? {
            0 => Err(StoreError::damaged(&self.data, "it has no format version")),
            format if format > u128::from(FORMAT_VERSION) => {
                Err(StoreError::NewerFormat { file: self.data.clone(), found: format as u64 })
            }
            _ => Ok(()),
        }
    }

    /// Whether the log has never seen a complete directory. Logs of earlier versions have no mark, but groups, unless all
    /// of these were applied.
    fn is_only_begun(&self) -> Result<bool, StoreError> {
        overlay::look(&self.log, |database| {
            let transaction = database.begin_read()?;
            let is_complete = transaction.open_table(row::META)?.get(meta::COMPLETE)?.is_some();
            Ok(!is_complete && transaction.open_table(row::LOG)?.is_empty()?)
        })
        .map_err(|error| StoreError::redb(&self.log, error))
    }

    fn create(&self, directory: &Path) -> Result<(), StoreError> {
        let random = RandomState::new();
        let seed = u128::from(random.hash_one(0)) << 64 | u128::from(random.hash_one(1));
        create_file(&self.log, &|database| create_log(database, seed))?;
        create_file(&self.data, &|database| create_data(database, seed))?;
        File::open(directory)
            .and_then(|file| file.sync_all())
            .map_err(|error| StoreError::io(directory, error))
    }
}

/// Locks the directory itself, so that no lock file is left behind.
fn lock(path: &Path) -> Result<File, StoreError> {
    let file = File::open(path).map_err(|error| StoreError::io(path, error))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Creates a file under a temporary name, fills it and renames it.
fn create_file(path: &Path, fill: &dyn Fn(&Database) -> Result<(), redb::Error>) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    if let Err(error) = std::fs::remove_file(&new)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(StoreError::io(&new, error));
    }
    let make = || -> Result<(), redb::Error> {
        let database = Builder::new().set_cache_size(LOG_CACHE_BYTES).create(&new)?;
        fill(&database)?;
        Ok(database.close()?)
    };
    make().map_err(|error| StoreError::redb(&new, error))?;
    std::fs::rename(&new, path).map_err(|error| StoreError::io(path, error))
}

fn create_log(database: &Database, seed: u128) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(row::LOG)?;
    transaction.open_table(row::META)?.insert(meta::SEED, seed)?;
    Ok(transaction.commit()?)
}

fn create_data(database: &Database, seed: u128) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        transaction.open_table(row::KEYS)?;
        transaction.open_table(row::ELEMENTS)?;
        transaction.open_table(row::EXPIRIES)?;
        transaction.open_table(row::SYSTEM)?;
        transaction.open_table(row::GARBAGE)?;
        let mut table = transaction.open_table(row::META)?;
        table.insert(meta::FORMAT, u128::from(FORMAT_VERSION))?;
        table.insert(meta::SEED, seed)?;
        table.insert(meta::APPLIED, 0)?;
        table.insert(meta::NEXT_GENERATION, 0)?;
        let databases = Databases::new();
        table.insert(meta::NEXT_STORAGE, u128::from(databases.next()))?;
        let mut table = transaction.open_table(row::DATABASES)?;
        for database in 0..super::limits::ALL_DATABASES as u8 {
            table.insert(database, (databases.storage(database).number(), 0))?;
        }
    }
    Ok(transaction.commit()?)
}

/// Marks a directory of an older format as one of this format. So far each format has only added to the one before.
pub(super) fn upgrade(data: &DatabaseFile) -> Result<(), redb::Error> {
    let format = get_meta(&data.begin_read()?.open_table(row::META)?, meta::FORMAT)?;
    if format == u128::from(FORMAT_VERSION) {
        return Ok(());
    }
    let mut transaction = data.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(row::META)?.insert(meta::FORMAT, u128::from(FORMAT_VERSION))?;
    Ok(transaction.commit()?)
}

/// Notes in the log that there is a `data.redb` beside it.
pub(super) fn mark_complete(log: &DatabaseFile) -> Result<(), redb::Error> {
    if log.begin_read()?.open_table(row::META)?.get(meta::COMPLETE)?.is_some() {
        return Ok(());
    }
    let transaction = log.begin_write()?;
    transaction.open_table(row::META)?.insert(meta::COMPLETE, 1)?;
    Ok(transaction.commit()?)
}

/// A value of the open table `meta`.
pub(super) fn get_meta(
    table: &impl ReadableTable<&'static str, u128>,
    name: &str,
) -> Result<u128, redb::Error> {
    Ok(table.get(name)?.ok_or_else(|| damaged(format!("it has no entry `{name}`")))?.value())
}
