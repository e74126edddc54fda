//! The layout of rows: the tables of both files and the bytes of their keys and values.
//!
//! `docs/storage-format.md` describes all of it; a test opens rows written by hand from that description.

use redb::TableDefinition;

use super::databases::StorageId;
use super::position::Position;

/// (sequence, part) -> a part of that group.
pub(super) const LOG: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("log");
/// Storage, position and key -> [`KeyRow`].
pub(super) const KEYS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("keys");
/// Generation and element key -> element. A generation belongs to one value of one key and is never used
/// again, so the key need not stand in every row of its elements.
pub(super) const ELEMENTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("elements");
/// Time of expiry, then as in [`KEYS`], so that keys that are due come first.
pub(super) const EXPIRIES: TableDefinition<&[u8], ()> = TableDefinition::new("expiries");
/// Database -> (storage, number of its keys).
pub(super) const DATABASES: TableDefinition<u8, (u64, u64)> = TableDefinition::new("databases");
/// (kind of definition, name) -> content.
pub(super) const SYSTEM: TableDefinition<(u8, &[u8]), &[u8]> = TableDefinition::new("system");
/// (kind of garbage, generation or storage): what the sweeper has to remove.
pub(super) const GARBAGE: TableDefinition<(u8, u64), ()> = TableDefinition::new("garbage");
/// Single values by name; in both files.
pub(super) const META: TableDefinition<&str, u128> = TableDefinition::new("meta");

/// Names in [`META`].
pub(super) mod meta {
    /// The version of the layout. Only in `data.redb`, for both files.
    pub const FORMAT: &str = "format";
    /// The seed of positions, which also shows that the two files belong together. In both.
    pub const SEED: &str = "seed";
    /// Only in `log.redb`: that the directory is complete, so that `data.redb` can be missing only if it was lost.
    pub const COMPLETE: &str = "complete";
    /// The sequence of the last group of the log that is contained in the rows.
    pub const APPLIED: &str = "applied";
    /// The next generation to use.
    pub const NEXT_GENERATION: &str = "next_generation";
    /// The next storage to use.
    pub const NEXT_STORAGE: &str = "next_storage";
}

/// In [`GARBAGE`]: the elements of a generation.
pub(super) const GARBAGE_GENERATION: u8 = 0;
/// In [`GARBAGE`]: the keys of a storage.
pub(super) const GARBAGE_STORAGE: u8 = 1;

const PREFIX_BYTES: usize = StorageId::BYTES + Position::BYTES;
const TIME_BYTES: usize = 8;

const INTEGER: u8 = 0;
const INLINE: u8 = 1;
const LONG: u8 = 2;
const PACKED: u8 = 3;
const BLOCKS: u8 = 4;
const FLAG_EXPIRES: u8 = 1;

/// Writes the key of a row of [`KEYS`] into `row`, whose content is replaced.
pub(super) fn write_key(row: &mut Vec<u8>, storage: StorageId, position: Position, key: &[u8]) {
    row.clear();
    row.extend_from_slice(&storage.to_bytes());
    row.extend_from_slice(&position.to_bytes());
    row.extend_from_slice(key);
}

/// Reads what [`write_key`] wrote.
pub(super) fn read_key(row: &[u8]) -> Option<(StorageId, Position, &[u8])> {
    let (storage, rest) = row.split_first_chunk()?;
    let (position, key) = rest.split_first_chunk()?;
    Some((StorageId::from_bytes(*storage), Position::from_bytes(*position), key))
}

/// The least key of [`KEYS`] in a storage at or after a position.
pub(super) fn key_bound(storage: StorageId, position: Position) -> [u8; PREFIX_BYTES] {
    let mut bound = [0; PREFIX_BYTES];
    bound[..StorageId::BYTES].copy_from_slice(&storage.to_bytes());
    bound[StorageId::BYTES..].copy_from_slice(&position.to_bytes());
    bound
}

/// The least key of [`KEYS`] after all of a storage.
pub(super) fn storage_end(storage: StorageId) -> [u8; PREFIX_BYTES] {
    key_bound(StorageId::from_number(storage.number() + 1), Position::MIN)
}

/// Writes the key of a row of [`EXPIRIES`] into `row`, given the key of the row of [`KEYS`].
pub(super) fn write_expiry(row: &mut Vec<u8>, expires_at_ms: u64, key_row: &[u8]) {
    row.clear();
    row.extend_from_slice(&expires_at_ms.to_be_bytes());
    row.extend_from_slice(key_row);
}

/// Reads what [`write_expiry`] wrote: the time and the key of the row of [`KEYS`].
pub(super) fn read_expiry(row: &[u8]) -> Option<(u64, &[u8])> {
    let (time, key_row) = row.split_first_chunk::<TIME_BYTES>()?;
    Some((u64::from_be_bytes(*time), key_row))
}

/// The key of a chunk of a long string in [`ELEMENTS`].
pub(super) fn chunk_key(generation: u64, index: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&generation.to_be_bytes());
    key[8..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Writes the key of a block of a collection in [`ELEMENTS`] into `row`, whose content is replaced.
pub(super) fn write_block_key(row: &mut Vec<u8>, generation: u64, label: &[u8]) {
    row.clear();
    row.extend_from_slice(&generation.to_be_bytes());
    row.extend_from_slice(label);
}

/// The label in what [`write_block_key`] wrote.
pub(super) fn read_label(row: &[u8]) -> &[u8] {
    row.get(size_of::<u64>()..).unwrap_or_default()
}

/// A row of [`KEYS`]: all of a small value, or where the elements of a big one are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyRow<'a> {
    /// Unix time in milliseconds.
    pub expires_at_ms: Option<u64>,
    pub body: Body<'a>,
}

/// What a row of [`KEYS`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body<'a> {
    Integer(i64),
    Inline(&'a [u8]),
    /// A string of this many bytes, whose chunks are in [`ELEMENTS`]. What no chunk covers is zero.
    Long {
        length: u64,
        generation: u64,
    },
    /// A collection of the type with this number, which has a single block.
    Packed {
        kind: u8,
        header: &'a [u8],
        block: &'a [u8],
    },
    /// A collection whose blocks are in [`ELEMENTS`].
    Blocks {
        kind: u8,
        header: &'a [u8],
        generation: u64,
    },
}

impl<'a> KeyRow<'a> {
    /// Writes the row's value into `row`, whose content is replaced.
    pub fn write(&self, row: &mut Vec<u8>) {
        row.clear();
        let kind = match self.body {
            Body::Integer(_) => INTEGER,
            Body::Inline(_) => INLINE,
            Body::Long { .. } => LONG,
            Body::Packed { .. } => PACKED,
            Body::Blocks { .. } => BLOCKS,
        };
        match self.expires_at_ms {
            None => row.extend_from_slice(&[kind, 0]),
            Some(time_ms) => {
                row.extend_from_slice(&[kind, FLAG_EXPIRES]);
                row.extend_from_slice(&time_ms.to_le_bytes());
            }
        }
        match self.body {
            Body::Integer(value) => row.extend_from_slice(&value.to_le_bytes()),
            Body::Inline(bytes) => row.extend_from_slice(bytes),
            Body::Long { length, generation } => {
                row.extend_from_slice(&length.to_le_bytes());
                row.extend_from_slice(&generation.to_le_bytes());
            }
            Body::Packed { kind, header, block } => {
                row.push(kind);
                row.extend_from_slice(&(header.len() as u32).to_le_bytes());
                row.extend_from_slice(header);
                row.extend_from_slice(block);
            }
            Body::Blocks { kind, header, generation } => {
                row.push(kind);
                row.extend_from_slice(&generation.to_le_bytes());
                row.extend_from_slice(header);
            }
        }
    }

    /// Reads what [`KeyRow::write`] wrote.
    pub fn read(row: &'a [u8]) -> Option<Self> {
        let (&[kind, flags], rest) = row.split_first_chunk()?;
        let (expires_at_ms, rest) = match flags {
            0 => (None, rest),
            FLAG_EXPIRES => {
                let (time, rest) = rest.split_first_chunk()?;
                (Some(u64::from_le_bytes(*time)), rest)
            }
            _ => return None,
        };
        let body = match kind {
            INTEGER => Body::Integer(i64::from_le_bytes(rest.try_into().ok()?)),
            INLINE => Body::Inline(rest),
            LONG => {
                let (length, generation) = rest.split_first_chunk()?;
                Body::Long {
                    length: u64::from_le_bytes(*length),
                    generation: u64::from_le_bytes(generation.try_into().ok()?),
                }
            }
            PACKED => {
                let (&kind, rest) = rest.split_first()?;
                let (length, rest) = rest.split_first_chunk()?;
                let (header, block) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                Body::Packed { kind, header, block }
            }
            BLOCKS => {
                let (&kind, rest) = rest.split_first()?;
                let (generation, header) = rest.split_first_chunk()?;
                Body::Blocks { kind, header, generation: u64::from_le_bytes(*generation) }
            }
            _ => return None,
        };
        Some(Self { expires_at_ms, body })
    }

    /// The generation of the value's elements, if it has any.
    pub fn generation(&self) -> Option<u64> {
        match self.body {
            Body::Long { generation, .. } | Body::Blocks { generation, .. } => Some(generation),
            Body::Integer(_) | Body::Inline(_) | Body::Packed { .. } => None,
        }
    }

    /// The number of the value's type; 0 for strings.
    pub fn kind(&self) -> u8 {
        match self.body {
            Body::Integer(_) | Body::Inline(_) | Body::Long { .. } => 0,
            Body::Packed { kind, .. } | Body::Blocks { kind, .. } => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_row_reads_back_as_it_was_written(
            expires_at_ms: Option<u64>, kind in 0..5_u8, number: u64, generation: u64, bytes: Vec<u8>
        ) {
            let body = match kind {
                0 => Body::Integer(number as i64),
                1 => Body::Inline(&bytes),
                2 => Body::Long { length: number, generation },
                3 => Body::Packed { kind, header: &bytes[bytes.len() / 2..], block: &bytes },
                _ => Body::Blocks { kind, header: &bytes, generation },
            };
            let mut row = vec![7];
            KeyRow { expires_at_ms, body }.write(&mut row);
            prop_assert_eq!(KeyRow::read(&row), Some(KeyRow { expires_at_ms, body }));
        }

        #[test]
        fn keys_of_rows_sort_by_time_storage_position_and_key(
            a: (u64, u32, u32, Vec<u8>), b: (u64, u32, u32, Vec<u8>)
        ) {
            let rows = |(time, storage, position, key): &(u64, u32, u32, Vec<u8>)| {
                let (mut row, mut expiry) = (Vec::new(), Vec::new());
                let position = Position::new(u64::from(*position)).unwrap();
                write_key(&mut row, StorageId::from_number(u64::from(*storage)), position, key);
                write_expiry(&mut expiry, *time, &row);
                assert_eq!(read_expiry(&expiry), Some((*time, &row[..])));
                assert_eq!(read_key(&row), Some((StorageId::from_number(u64::from(*storage)), position, &key[..])));
                (row, expiry)
            };
            let (rows_a, rows_b) = (rows(&a), rows(&b));
            prop_assert_eq!(rows_a.0.cmp(&rows_b.0), (a.1, a.2, &a.3).cmp(&(b.1, b.2, &b.3)));
            prop_assert_eq!(rows_a.1.cmp(&rows_b.1), a.cmp(&b));
        }

        #[test]
        fn no_bytes_make_the_reader_of_rows_panic(row: Vec<u8>) {
            let _ = (KeyRow::read(&row), read_key(&row), read_expiry(&row));
        }
    }

    #[test]
    fn rows_that_nobody_wrote_are_refused() {
        let table: [&[u8]; 7] =
            [b"", b"\x01", b"\x09\x00", b"\x01\x02", b"\x01\x01123", b"\x00\x001234567", b"\x02\x0012345678"];
        for row in table {
            assert_eq!(KeyRow::read(row), None, "{row:?}");
        }
    }
}
