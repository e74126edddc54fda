//! Which storage holds which numbered database.
//!
//! Rows name a storage, not a database, so that `FLUSHDB` and `SWAPDB` change two small rows whatever the
//! number of keys. The engine and the apply thread replay the same journal through this one state machine,
//! which is why they agree on the storages without telling each other.

use super::limits::{ALL_DATABASES, DATABASES, SYSTEM_DATABASE};

/// Names the rows of one database between two flushes. Ids are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(u64);

impl StorageId {
    /// Its length in a row's key, in bytes: enough for more flushes than can ever happen.
    pub const BYTES: usize = 6;

    /// The storage of the system database: the highest possible id, so that it is unused in directories made before
    /// there was a system database.
    pub(super) const SYSTEM: Self = Self((1 << (Self::BYTES * 8)) - 1);

    pub(super) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }

    /// The id as it stands in a row's key: big-endian.
    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [_, _, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut number = [0; 8];
        number[2..].copy_from_slice(&bytes);
        Self(u64::from_be_bytes(number))
    }
}

/// The storage of every database, as of one point of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Databases {
    storages: [StorageId; ALL_DATABASES],
    next: u64,
}

impl Databases {
    /// The databases of a new directory: all empty.
    #[must_use]
    pub fn new() -> Self {
        let first = |index| {
            if index == usize::from(SYSTEM_DATABASE) { StorageId::SYSTEM } else { StorageId(index as u64) }
        };
        Self { storages: std::array::from_fn(first), next: DATABASES as u64 }
    }

    pub(super) const fn restore(storages: [StorageId; ALL_DATABASES], next: u64) -> Self {
        Self { storages, next }
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The storage of a database, which is below [`ALL_DATABASES`].
    #[must_use]
    pub fn storage(&self, database: u8) -> StorageId {
        self.storages[usize::from(database)]
    }

    /// The database that a storage holds, or `None` if the storage was flushed.
    #[must_use]
    pub fn database(&self, storage: StorageId) -> Option<u8> {
        self.storages.iter().position(|&candidate| candidate == storage).map(|index| index as u8)
    }

    /// Empties a database by giving it a new storage. Returns the old one, whose rows are now garbage.
    pub fn flush(&mut self, database: u8) -> StorageId {
        let new = StorageId(self.next);
        self.next += 1;
        std::mem::replace(&mut self.storages[usize::from(database)], new)
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, a: u8, b: u8) {
        self.storages.swap(usize::from(a), usize::from(b));
    }
}

impl Default for Databases {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_never_used_twice() {
        let mut databases = Databases::new();
        let first = databases.storage(3);
        databases.swap(3, 5);
        assert_eq!(databases.database(first), Some(5));
        assert_eq!(databases.flush(5), first);
        assert_eq!(databases.database(first), None);
        databases.swap(5, 5);
        let second = databases.flush(5);
        assert!(second.number() >= DATABASES as u64);
        assert_ne!(databases.storage(5), second);
    }

    #[test]
    fn the_system_database_has_the_last_storage_in_every_directory() {
        let (system, numbered) = (usize::from(SYSTEM_DATABASE), 0..SYSTEM_DATABASE);
        let mut databases = Databases::new();
        numbered.clone().for_each(|database| _ = databases.flush(database));
        assert_eq!(databases.storage(SYSTEM_DATABASE), StorageId::SYSTEM);
        assert_eq!(databases.database(StorageId::SYSTEM), Some(system as u8));
        assert!(
            numbered.map(|database| databases.storage(database)).all(|storage| storage < StorageId::SYSTEM)
        );
        assert_eq!(StorageId::SYSTEM.to_bytes(), [0xff; StorageId::BYTES]);
    }

    #[test]
    fn ids_keep_their_order_in_rows() {
        let ids = [0, 1, 255, 256, 1 << 40].map(StorageId);
        assert!(ids.windows(2).all(|pair| pair[0].to_bytes() < pair[1].to_bytes()));
        assert_eq!(ids.map(|id| StorageId::from_bytes(id.to_bytes())), ids);
    }
}
