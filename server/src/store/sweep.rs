//! Removes rows that nothing refers to any more, a few at a time.
//!
//! A flush, or the removal of a long value, adds one row to `garbage` in the same transaction; the rows that this row
//! stands for are removed later. So both are quick whatever their size, and a crash leaks nothing.

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::databases::StorageId;
use super::file::damaged;
use super::limits::SWEEP_ROWS;
use super::row;
use super::write::read_row;

/// What one step did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Swept {
    /// How many rows it removed.
    pub rows: usize,
    /// Whether there is more to remove.
    pub more: bool,
}

/// Removes up to [`SWEEP_ROWS`] rows.
pub(super) fn sweep(transaction: &WriteTransaction) -> Result<Swept, redb::Error> {
    let mut garbage = transaction.open_table(row::GARBAGE)?;
    let mut rows = 0;
    while rows < SWEEP_ROWS {
        let Some((kind, number)) = garbage.first()?.map(|(key, _)| key.value()) else { break };
        let limit = SWEEP_ROWS - rows;
        let removed = match kind {
            row::GARBAGE_GENERATION => sweep_generation(transaction, number, limit)?,
            row::GARBAGE_STORAGE => {
                let storage = StorageId::from_number(number);
                sweep_storage(transaction, storage, limit, &mut garbage)?
            }
            _ => return Err(damaged("it has garbage of no known kind")),
        };
        rows += removed;
        if removed < limit {
            garbage.remove((kind, number))?;
            rows += 1;
        }
    }
    Ok(Swept { rows, more: !garbage.is_empty()? })
}

fn sweep_generation(
    transaction: &WriteTransaction,
    generation: u64,
    limit: usize,
) -> Result<usize, redb::Error> {
    let mut elements = transaction.open_table(row::ELEMENTS)?;
    let (start, end) = (generation.to_be_bytes(), (generation + 1).to_be_bytes());
    let mut removed = 0;
    for row in elements.extract_from_if(&start[..]..&end[..], |_, _| true)?.take(limit) {
        row?;
        removed += 1;
    }
    Ok(removed)
}

fn sweep_storage(
    transaction: &WriteTransaction,
    storage: StorageId,
    limit: usize,
    garbage: &mut redb::Table<'_, (u8, u64), ()>,
) -> Result<usize, redb::Error> {
    let mut keys = transaction.open_table(row::KEYS)?;
    let mut expiries = transaction.open_table(row::EXPIRIES)?;
    let start = row::key_bound(storage, super::position::Position::MIN);
    let end = row::storage_end(storage);
    let mut expiry_row = Vec::new();
    let mut removed = 0;
    for row in keys.extract_from_if(&start[..]..&end[..], |_, _| true)?.take(limit) {
        let (key, value) = row?;
        let value = read_row(value.value())?;
        if let Some(time_ms) = value.expires_at_ms {
            row::write_expiry(&mut expiry_row, time_ms, key.value());
            expiries.remove(&expiry_row[..])?;
        }
        if let Some(generation) = value.generation() {
            garbage.insert((row::GARBAGE_GENERATION, generation), ())?;
        }
        removed += 1;
    }
    Ok(removed)
}
