//! What the engine has to know before it can serve: all but the keys themselves.

use super::databases::Databases;
use super::directory::get_meta;
use super::error::StoreError;
use super::file::{DatabaseFile, no_panic};
use super::limits::ALL_DATABASES;
use super::log::Groups;
use super::position::Seed;
use super::reader::View;
use super::record::SystemTable;
use super::row::{self, meta};
use super::write::read_databases;

/// What was found when a store was opened.
pub struct Recovery {
    /// The seed of this directory's positions.
    pub seed: Seed,
    /// Which storage holds which database, as of `applied`.
    pub databases: Databases,
    /// The number of keys of each database on disk, as of `applied`.
    pub key_counts: [u64; ALL_DATABASES],
    /// The definitions of the server, as of `applied`.
    pub system: Vec<SystemRow>,
    /// The rows contain everything up to this sequence.
    pub applied: u64,
    /// The sequence of the last group. The next group to append gets the next sequence.
    pub last_sequence: u64,
    /// The groups after `applied`. Replay them before [`super::Store::start_applying`].
    pub groups: Groups,
}

/// A definition of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemRow {
    /// What kind of definition it is.
    pub table: SystemTable,
    /// Its name.
    pub name: Box<[u8]>,
    /// What it says.
    pub content: Box<[u8]>,
}

/// Reads what the engine has to know, and the size of the log in bytes.
pub(super) fn recover(log: &DatabaseFile, data: &DatabaseFile) -> Result<(Recovery, u64), StoreError> {
    let fail_log = |error| StoreError::redb(log.path(), error);
    let fail_data = |error| StoreError::redb(data.path(), error);
    let log_seed =
        || -> Result<u128, redb::Error> { get_meta(&log.begin_read()?.open_table(row::META)?, meta::SEED) };
    let recovered = || -> Result<_, redb::Error> {
        let transaction = data.begin_read()?;
        let table = transaction.open_table(row::META)?;
        let seed = get_meta(&table, meta::SEED)?;
        let applied = get_meta(&table, meta::APPLIED)? as u64;
        let (databases, key_counts) = read_databases(&transaction.open_table(row::DATABASES)?, &table)?;
        Ok((seed, applied, databases, key_counts, View::new(transaction).system()?))
    };
    let (seed, applied, databases, key_counts, system) = no_panic(recovered).map_err(fail_data)?;
    if no_panic(log_seed).map_err(fail_log)? != seed {
        return Err(StoreError::damaged(log.path(), "it belongs to another data.redb"));
    }
    let groups = no_panic(|| Groups::after(log, applied)).map_err(fail_log)?;
    let (last_sequence, log_bytes) = no_panic(|| groups.extent()).map_err(fail_log)?;
    let seed = Seed::new(seed);
    let recovery = Recovery { seed, databases, key_counts, system, applied, last_sequence, groups };
    Ok((recovery, log_bytes))
}
