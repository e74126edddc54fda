//! Every bound of the engine and of connections that no option sets, in one place.

use std::time::Duration;

/// Commands that one client may have queued between MULTI and EXEC take at most this many bytes. Redis bounds them by
/// its query buffer; here they have left that buffer.
pub const MAX_QUEUED_BYTES: usize = 1 << 30;

/// A group goes to the log as soon as it has this many bytes, without waiting for its time.
pub const GROUP_BYTES: usize = 1 << 20;

/// Used buffers of groups that are kept for the next ones.
pub const MAX_SPARE_BUFFERS: usize = 3;

/// The memory in use is measured at most this often, because measuring takes as long as several commands.
pub const MEMORY_CHECK_PAUSE_US: u64 = 1000;

/// When the engine works for more than this share of the time, in percent, what can wait has to: the log is not applied
/// before it is long.
pub const BUSY_PERCENT: u128 = 10;

/// Keys, or small portions of fields of one key, that expire in one go before other work gets its turn.
pub const MAX_EXPIRIES_PER_TURN: usize = 200;

/// Keys on disk that are looked up in one go because their time has come: what others need is read in between.
pub const MAX_COLD_EXPIRIES_PER_TURN: usize = 200;

/// Pause between two looks for keys on disk whose time has come, when none is near, in milliseconds.
pub const COLD_EXPIRY_PAUSE_MS: u64 = 1000;

/// How often a request may be started again because it needed something from disk. Each time it needed something new,
/// so this bounds only what a procedure can make the server do.
pub const MAX_RETRIES: u32 = 100_000;

/// For how long a worker without a task, and the engine that has just given one away, stay awake for what comes next.
pub const STAY_AWAKE: Duration = Duration::from_micros(100);

/// Keys that one call in the background may read: the engine looks at each of them in one go when the call ends.
pub const MAX_BACKGROUND_READS: usize = 1_000_000;

/// Pause before the second try of a call in the background that others came in between of; it doubles with each try.
pub const FIRST_CONFLICT_PAUSE_US: u64 = 200;

/// The longest pause between two tries, in microseconds.
pub const MAX_CONFLICT_PAUSE_US: u64 = 20_000;

/// How often it is looked at whether a call that has run but waits, for room or the disk, is stopped or out of time.
pub const END_CHECK_PAUSE: Duration = Duration::from_millis(10);

/// Procedures of which it is remembered that they take long.
pub const MAX_HABITS: usize = 10_000;

/// Bytes read from a connection at once.
pub const READ_BYTES: usize = 64 << 10;

/// Replies are sent when this many bytes of them wait, before more commands are run.
pub const OUTPUT_HIGH_WATER_BYTES: usize = 256 << 10;

/// A buffer of a connection that became larger than this is not kept, in bytes.
pub const KEPT_BUFFER_BYTES: usize = 64 << 10;

/// A client that only announces a long argument makes the server reserve at most this many bytes for it.
pub const MAX_RESERVED_BYTES: usize = 16 << 20;

/// Characters of an unknown command and of each of its arguments that the error repeats.
pub const MAX_QUOTED_LEN: usize = 128;

/// What MONITOR shows of one transaction takes at most this many bytes; the rest is left out.
pub const MAX_SHOWN_BYTES: usize = 32 << 20;

/// Triggers that run in one transaction.
pub const MAX_CASCADE_RUNS: usize = 1_000_000;

/// Deliveries are made for about this long in one go before other work gets its turn, in microseconds.
pub const DELIVERY_TURN_US: u64 = 1000;

/// Pause between two looks whether deliveries, which a pause or the disk holds up, may go on, in milliseconds.
pub const HELD_DELIVERY_PAUSE_MS: u64 = 50;

/// The longest time without a look for deliveries, in milliseconds.
pub const MAX_DELIVERY_PAUSE_MS: u64 = 1000;
