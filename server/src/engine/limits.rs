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
pub const MEMORY_CHECK_PAUSE: Duration = Duration::from_millis(1);

/// From so much memory in use on, new memory comes in huge pages. What they round up, some megabytes, weighs little beside
/// that much, and several times as much as the data beside a few small values.
pub const HUGE_PAGES_FROM_BYTES: u64 = 32 << 20;

/// When the engine works for more than this share of the time, in percent, what can wait has to: the log is not applied
/// before it is long.
pub const BUSY_PERCENT: u128 = 10;

/// Pause between two rounds of housekeeping for clients and statistics.
pub const HOUSEKEEPING_PAUSE: Duration = Duration::from_millis(100);

/// The clock is checked at least this often during a pause of clients, because somebody may set it.
pub const MAX_PAUSE_SLEEP: Duration = Duration::from_secs(1);

/// Keys of a file that are taken in between two looks at the log and at the clock.
pub const IMPORTED_KEYS_PER_TURN: u64 = 1000;

/// About how many bytes a message to a client that caches keys takes besides the keys.
pub const INVALIDATION_BYTES: usize = 40;

/// Keys that are removed in one go from a table of cached keys that is too large.
pub const TRACKED_KEYS_REMOVED_AT_ONCE: usize = 10_000;

/// Keys, or small portions of fields of one key, that expire in one go before other work gets its turn.
pub const MAX_EXPIRIES_PER_TURN: usize = 200;

/// Keys on disk that are looked up in one go because their time has come: what others need is read in between.
pub const MAX_COLD_EXPIRIES_PER_TURN: usize = 200;

/// Pause between two looks for keys on disk whose time has come, when none is near, in milliseconds.
pub const COLD_EXPIRY_PAUSE_MS: u64 = 1000;

/// How often a request may be started again because it needed something from disk. Each time it needed something new,
/// so this bounds only what a procedure can make the server do.
pub const MAX_RETRIES: u32 = 100_000;

/// Uploaded modules that may wait to be compiled, unless all are of one request.
pub const MAX_WAITING_UPLOADS: usize = 1000;

/// Bytes of the same.
pub const MAX_WAITING_UPLOAD_BYTES: usize = 256 << 20;

/// The first calls of a module that takes more memory than this are made in the background where that is possible: the
/// interpreter compiles a function when it is called first, for some tens of milliseconds for each MB.
pub const MAX_COLD_MODULE_BYTES: usize = 64 << 10;

/// For how long a worker without a task, and the engine that has just given one away, stay awake for what comes next.
pub const STAY_AWAKE: Duration = Duration::from_micros(100);

/// For how long a call that may go on in the background stays on the engine's thread by the clock, and by the thread's
/// own time after that. The fuel ends most calls long before; but what commands do costs little fuel.
pub const INLINE_TURN: Duration = Duration::from_millis(10);

/// The same for each unit of `wasm-inline-fuel`, when that is more, in nanoseconds.
pub const INLINE_TURN_NS_PER_FUEL: u64 = 10;

/// Values in the RESP reply of a procedure, those in others included.
pub const MAX_REPLY_VALUES: usize = 1_000_000;

/// Bytes of the error text of a procedure: it is kept in statistics and logs.
pub const MAX_ERROR_BYTES: usize = 4096;

/// Keys, and ranges of names, that one call in the background may read: the engine looks at each of them in one go when
/// the call ends.
pub const MAX_BACKGROUND_READS: usize = 1_000_000;

/// Keys that one call in the background may change: the engine takes them in in one go, at microseconds for each.
pub const MAX_BACKGROUND_CHANGES: usize = 100_000;

/// Pause before the second try of a call in the background that was in conflict with others; it doubles with each try.
pub const FIRST_CONFLICT_PAUSE_US: u64 = 200;

/// The longest pause between two tries, in microseconds.
pub const MAX_CONFLICT_PAUSE_US: u64 = 20_000;

/// How often that pause doubles at most.
pub const MAX_CONFLICT_DOUBLINGS: u32 = 16;

/// How often it is looked at whether a call that has run but waits, for room or the disk, is stopped or out of time.
pub const END_CHECK_PAUSE: Duration = Duration::from_millis(10);

/// From so many long runs on, of which shorter ones are subtracted, a procedure runs in the background from the start.
pub const HABIT: u8 = 2;

/// Long runs are counted up to this number.
pub const STRONGEST_HABIT: u8 = 4;

/// Of a procedure that takes long on the engine's thread for a reason that its fuel does not tell: its commands, or what
/// the interpreter has to compile. It is tried there again after this many calls less [`HABIT`].
pub const TURN_HABIT: u8 = 64;

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

/// Bytes of an unknown command and of each of its arguments that the error repeats.
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
