//! Every size, count and time that bounds the store, in one place.

/// The version of the layout of rows and records that this build writes (`docs/storage-format.md`).
///
/// 1: strings only. 2: collections too. 3: the system database too. A directory of an earlier version becomes one of
/// this version when it is opened.
pub const FORMAT_VERSION: u64 = 3;

/// How many numbered databases there are, as `SELECT` counts them.
pub const DATABASES: usize = 16;

/// The database after the numbered ones. No command can select, flush or exchange it: the server keeps its own values
/// there.
pub const SYSTEM_DATABASE: u8 = DATABASES as u8;

/// How many databases there are, the system database included.
pub const ALL_DATABASES: usize = DATABASES + 1;

/// The length of each chunk of a long string except the last. In bytes. redb rounds the pages of a long row up to a
/// power of two and needs a little space itself, so a chunk of 64 KiB would take 128 KiB.
pub const CHUNK_BYTES: usize = 64 * 1024 - 256;

/// The longest string that is kept inside its key's row; longer ones are kept in chunks. In bytes.
pub const INLINE_BYTES: usize = CHUNK_BYTES;

/// The longest label of a block of a collection. In bytes.
pub const LABEL_BYTES: usize = 64;

/// The longest string of all, which is Redis' default `proto-max-bulk-len`. In bytes.
pub const STRING_BYTES: u64 = 512 * 1024 * 1024;

/// The longest value of one row of the log, chosen like [`CHUNK_BYTES`]: a longer group is split into several rows of
/// one commit. In bytes.
pub const LOG_PART_BYTES: usize = 64 * 1024 - 256;

/// Groups that wait in the log thread's queue are committed together up to this size. In bytes.
pub const LOG_COMMIT_BYTES: usize = 8 * 1024 * 1024;

/// The most rows of the log that one commit removes, so that an append never waits long for it.
pub const TRUNCATE_ROWS: usize = 4096;

/// Memory that redb may use to cache pages of the log, which is read once and in order. In bytes.
pub const LOG_CACHE_BYTES: usize = 256 * 1024;

/// How much of the log the smallest round of the apply thread takes: at least one group, whatever its size. In bytes. A
/// whole round is in memory at once.
pub const ROUND_BYTES: usize = 8 * 1024 * 1024;

/// How many changes such a round takes, unless one group alone has more.
pub const ROUND_CHANGES: usize = 100_000;

/// The most by which a round grows with the log: the more changes a round has, the more of them fall on the same page,
/// and each page that is touched is written.
pub const MAX_ROUND_FACTOR: usize = 8;

/// How many rows the sweeper removes in one commit.
pub const SWEEP_ROWS: usize = 4096;

/// The log is applied when nothing was appended to it for this long.
pub const IDLE_MS: u64 = 200;

/// How long the apply thread waits before each round for silence or a less busy engine, while the log is short. It is
/// long, because beside a busy engine a round takes processor time from the engine.
pub const PATIENCE_MS: u64 = 60_000;

/// The first pause before a failed commit is tried again; it doubles up to [`RETRY_MAX_MS`].
pub const RETRY_MIN_MS: u64 = 50;

/// The longest pause before a failed commit is tried again.
pub const RETRY_MAX_MS: u64 = 1000;

/// How often a failing commit is retried after the store was told to close.
pub const CLOSE_RETRIES: u32 = 3;

/// Bits of the filter for each key that is on disk when the filter is made.
pub const FILTER_BITS_PER_KEY: u64 = 10;

/// The least size of the filter: room for the keys that are added to it later. In bytes.
pub const FILTER_MIN_BYTES: u64 = 64 * 1024;

/// The most memory that the filter takes, enough for 100 million keys. In bytes.
pub const FILTER_MAX_BYTES: u64 = 128 * 1024 * 1024;
