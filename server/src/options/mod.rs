//! The options of the server: one table drives the command line, the configuration file, `CONFIG` and
//! `docs/options.md`.
//!
//! An entry of the table is a field of [`Options`], so the server reads an option as a plain value, and everything
//! that goes by names and text goes through [`TABLE`]. This module knows nothing of sockets, commands or replies:
//! values are text, errors are text.

mod command_line;
#[cfg(test)]
mod document;
mod file;
mod kinds;
mod of_redis;
mod values;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::keyspace::EventClasses;
use crate::store::limits::STRING_BYTES;

pub use command_line::{CommandLine, Startup, help, parse_command_line};
pub use file::{apply_file, rewrite, rewrite_file, split_words};
pub use values::{
    AppendFsync, BindAddress, BufferLimit, ClientOutputBufferLimits, LogLevel, MaxmemoryPolicy, OutputClass,
};

use kinds::{
    Addresses, Choice, Clamped, Flags, Integer, Kind, OnlyValue, OutputLimits, Percentiles, Size, Text, YesNo,
};

/// Bytes in `1kb`.
const KIB: u64 = 1 << 10;
/// Bytes in `1mb`.
const MIB: u64 = 1 << 20;
/// Bytes in `1gb`.
const GIB: u64 = 1 << 30;
/// The largest size and the largest 64-bit integer that an option takes, as in Redis.
const MAX: u64 = i64::MAX as u64;
/// The largest 32-bit integer that an option takes, as in Redis.
const MAX_INT: u32 = i32::MAX as u32;

/// When an option may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only by the command line or the configuration file.
    AtStart,
    /// By `CONFIG SET` too.
    AtRunTime,
}

/// One option, by name and as text.
pub struct Entry {
    /// The name in the configuration file, on the command line (after `--`) and in `CONFIG`; lower case.
    pub name: &'static str,
    /// What it does, in plain sentences.
    pub help: &'static str,
    /// When it may be changed.
    pub change: Change,
    /// Whether the value may be several words.
    is_list: bool,
    accepts: fn() -> String,
    get: fn(&Options) -> String,
    show: fn(&Options) -> String,
    set: fn(&mut Options, &str) -> Result<(), String>,
}

impl Entry {
    /// What the option takes, for people: `0 to 65535`, `yes or no`, ...
    #[must_use]
    pub fn accepts(&self) -> String {
        (self.accepts)()
    }

    /// The value as `CONFIG GET` shows it: sizes in bytes.
    #[must_use]
    pub fn get(&self, options: &Options) -> String {
        (self.get)(options)
    }

    /// The value as one would write it into a configuration file: sizes with their unit.
    #[must_use]
    pub fn show(&self, options: &Options) -> String {
        (self.show)(options)
    }

    /// Sets the value from text; an error leaves the options as they were.
    pub fn set(&self, options: &mut Options, value: &str) -> Result<(), String> {
        (self.set)(options, value)
    }
}

/// Declares the options: each entry becomes a field of [`Options`] and a row of [`TABLE`], with its documentation as
/// the help text.
macro_rules! options {
    ($( $(#[doc = $help:literal])+ $name:literal => $field:ident: $type:ty = $default:expr, $kind:expr, $change:ident; )+) => {
        /// The value of every option.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Options {
            $( $(#[doc = $help])+ pub $field: $type, )+
        }

        impl Default for Options {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        /// Every option, in the order of the documentation.
        pub static TABLE: &[Entry] = &[ $( Entry {
            name: $name,
            help: concat!($($help),+),
            change: Change::$change,
            is_list: is_list(&$kind),
            accepts: || $kind.accepts(),
            get: |options| $kind.print(&options.$field),
            show: |options| $kind.show(&options.$field),
            set: |options, value| {
                options.$field = $kind.parse(value, &options.$field)?;
                Ok(())
            },
        }, )+ ];
    };
}

/// Whether options of this kind take several words.
const fn is_list<K: Kind>(_: &K) -> bool {
    K::IS_LIST
}

options! {
    // The network.

    /// TCP port to listen on; 0 lets the system choose a free one.
    "port" => port: u16 = 6379, Integer::new(0, u16::MAX), AtStart;
    /// IP addresses to listen on.
    "bind" => bind: Vec<BindAddress> = vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into()], Addresses, AtStart;
    /// Length of the queue of connections that are not accepted yet.
    "tcp-backlog" => tcp_backlog: u32 = 511, Integer::new(0, MAX_INT), AtStart;
    /// Seconds between probes of idle connections; 0 sends none.
    "tcp-keepalive" => tcp_keepalive_s: u32 = 300, Integer::new(0, MAX_INT), AtRunTime;
    /// Seconds after which an idle client is disconnected; 0 never.
    "timeout" => timeout_s: u32 = 0, Integer::new(0, MAX_INT), AtRunTime;
    /// Clients that may be connected at the same time; fewer where the system lets the process open fewer files.
    "maxclients" => maxclients: u32 = 10_000, Integer::new(1, u32::MAX), AtRunTime;
    /// Password that clients must give with AUTH; empty asks for none.
    "requirepass" => requirepass: String = String::new(), Text, AtRunTime;
    /// Bytes in one argument of a command, and in one string value. The files have no room for more than 512mb.
    "proto-max-bulk-len" => proto_max_bulk_len: u64 = STRING_BYTES, Size::new(MIB, STRING_BYTES), AtRunTime;
    /// Bytes that a client may have sent of commands that are not complete yet.
    "client-query-buffer-limit" => client_query_buffer_limit: u64 = GIB, Size::new(MIB, MAX), AtRunTime;
    /// Keys that the table of client-side caching holds; beyond that clients are told to forget some. 0 is no limit.
    "tracking-table-max-keys" => tracking_table_max_keys: u64 = 1_000_000, Integer::new(0, MAX), AtRunTime;
    /// Bytes of replies that may wait for a client of a class (normal, slave, pubsub) before it is disconnected:
    /// hard limit, soft limit, seconds above the soft limit; 0 is no limit. The soft limit of normal is ignored.
    /// What is sent to any client unasked (messages, MONITOR, tracking) is bounded by the limits of pubsub.
    "client-output-buffer-limit" => client_output_buffer_limit: ClientOutputBufferLimits
        = ClientOutputBufferLimits::default(), OutputLimits, AtRunTime;

    // The data.

    /// Directory of the data; it is created if it does not exist.
    "dir" => dir: String = "./data".to_owned(), Text, AtStart;
    /// Number of databases that SELECT can reach: always 16.
    "databases" => databases: () = (), OnlyValue("16"), AtStart;
    /// What a reply to a write promises: `always` that it is on disk, `everysec` that it will be within a second, `no`
    /// that it will be when the server shuts down or the log's buffer is half full.
    "appendfsync" => appendfsync: AppendFsync = AppendFsync::EverySecond, Choice::<AppendFsync>::new(), AtRunTime;
    /// Bytes of memory that the data may take; 0 is no limit. Writes that would need more are refused.
    "maxmemory" => maxmemory: u64 = 0, Size::new(0, u64::MAX), AtRunTime;
    /// What happens when the memory is full: only noeviction is supported, which refuses writes.
    "maxmemory-policy" => maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::NoEviction,
        Choice::<MaxmemoryPolicy>::new(), AtRunTime;
    /// Bytes of log.redb above which writes wait until the log has been applied. It may grow beyond that by what is
    /// waiting in memory then, at most log-buffer-size.
    "log-max-size" => log_max_size: u64 = GIB, Size::new(MIB, MAX), AtRunTime;
    /// Bytes of changes that may wait in memory for the disk before writes wait too.
    "log-buffer-size" => log_buffer_size: u64 = 64 * MIB, Size::new(MIB, MAX), AtRunTime;
    /// Milliseconds between commits of the log with `appendfsync everysec`.
    "log-commit-interval-ms" => log_commit_interval_ms: u32 = 20, Integer::new(1, 1000), AtRunTime;
    /// Bytes of memory in which redb keeps pages of data.redb; what the system caches of the file comes on top.
    "store-cache-size" => store_cache_size: u64 = 256 << 10, Size::new(64 << 10, MAX), AtStart;

    // The forms of values.

    /// Fields up to which a hash is kept in one piece of memory.
    "hash-max-listpack-entries" => hash_max_listpack_entries: u64 = 512, Integer::new(0, MAX), AtRunTime;
    /// Bytes of the longest field or value up to which a hash is kept in one piece of memory.
    "hash-max-listpack-value" => hash_max_listpack_value: u64 = 64, Size::new(0, MAX), AtRunTime;
    /// Integers up to which a set of integers is kept sorted in one piece of memory.
    "set-max-intset-entries" => set_max_intset_entries: u64 = 512, Integer::new(0, MAX), AtRunTime;
    /// Members up to which a set is kept in one piece of memory.
    "set-max-listpack-entries" => set_max_listpack_entries: u64 = 128, Integer::new(0, MAX), AtRunTime;
    /// Bytes of the longest member up to which a set is kept in one piece of memory.
    "set-max-listpack-value" => set_max_listpack_value: u64 = 64, Size::new(0, MAX), AtRunTime;
    /// Members up to which a sorted set is kept in one piece of memory.
    "zset-max-listpack-entries" => zset_max_listpack_entries: u64 = 128, Integer::new(0, MAX), AtRunTime;
    /// Bytes of the longest member up to which a sorted set is kept in one piece of memory.
    "zset-max-listpack-value" => zset_max_listpack_value: u64 = 64, Size::new(0, MAX), AtRunTime;
    /// Bytes of a HyperLogLog up to which it is kept sparse.
    "hll-sparse-max-bytes" => hll_sparse_max_bytes: u64 = 3000, Size::new(0, MAX), AtRunTime;
    /// Entries in one block of a stream; 0 is no limit.
    "stream-node-max-entries" => stream_node_max_entries: u64 = 100, Integer::new(0, MAX), AtRunTime;
    /// Bytes in one block of a stream; blocks are never longer than 1000 bytes unless one entry is.
    "stream-node-max-bytes" => stream_node_max_bytes: u64 = 4096, Size::new(0, MAX), AtRunTime;

    // What the server tells.

    /// Classes of keyspace events that are published, as letters: K keyspace, E keyevent, g generic, $ string, l list,
    /// s set, h hash, z sorted set, x expired, e evicted, t stream, d module, m key miss, n new key, A for `g$lshzxetd`.
    "notify-keyspace-events" => notify_keyspace_events: EventClasses = EventClasses::NONE, Flags, AtRunTime;
    /// Microseconds that a command must take to enter the slow log; 0 enters every command, negative none.
    "slowlog-log-slower-than" => slowlog_log_slower_than_us: i64 = 10_000, Integer::new(-1, i64::MAX), AtRunTime;
    /// Entries that the slow log keeps.
    "slowlog-max-len" => slowlog_max_len: u64 = 128, Integer::new(0, MAX), AtRunTime;
    /// Milliseconds that something must take to be recorded for LATENCY; 0 records nothing.
    "latency-monitor-threshold" => latency_monitor_threshold_ms: u64 = 0, Integer::new(0, MAX), AtRunTime;
    /// Whether the times that calls of each command take are counted, for INFO latencystats and LATENCY HISTOGRAM.
    "latency-tracking" => latency_tracking: bool = true, YesNo, AtRunTime;
    /// Percentiles that INFO latencystats shows.
    "latency-tracking-info-percentiles" => latency_tracking_info_percentiles: Vec<f64> = vec![50.0, 99.0, 99.9],
        Percentiles, AtRunTime;
    /// What the server's log has: lines of that level and more severe ones.
    "loglevel" => loglevel: LogLevel = LogLevel::Notice, Choice::<LogLevel>::new(), AtRunTime;
    /// File of the server's log; empty is the standard output.
    "logfile" => logfile: String = String::new(), Text, AtStart;
    /// Times a second that background work (expiry, time-outs) runs.
    "hz" => hz: u32 = 10, Clamped { min: 1, max: 500 }, AtRunTime;

    // WebAssembly procedures and triggers.

    /// Fuel of one call, about one unit per instruction; the default lasts about 5 seconds of processor time on an idle
    /// machine.
    "wasm-fuel" => wasm_fuel: u64 = 5_000_000_000, Integer::new(1, MAX), AtRunTime;
    /// Fuel that a call may use on the thread that serves all clients; beyond, it is undone and runs again in the
    /// background. Inside MULTI and in synchronous triggers it fails instead. The default lasts about a millisecond; a
    /// call whose commands take more than ten times as long goes on in the background, too.
    "wasm-inline-fuel" => wasm_inline_fuel: u64 = 1_000_000, Integer::new(1, MAX), AtRunTime;
    /// Milliseconds that one call may take, with all its tries in the background.
    "wasm-deadline-ms" => wasm_deadline_ms: u64 = 60_000, Integer::new(1, 3_600_000), AtRunTime;
    /// Threads for procedures in the background; 0 is as many as the machine has processors.
    "wasm-workers" => wasm_workers: u32 = 0, Integer::new(0, 256), AtStart;
    /// Calls that may be in the background at the same time, those that wait for a thread included.
    "wasm-max-background" => wasm_max_background: u32 = 1000, Integer::new(1, 1_000_000), AtRunTime;
    /// How many times a background call is tried while other clients keep changing what it reads; during the last try
    /// their writes to those keys wait.
    "wasm-max-tries" => wasm_max_tries: u32 = 10, Integer::new(1, 1000), AtRunTime;
    /// Bytes of changes that one call in the background may make, and of messages that it may publish.
    "wasm-max-changes-size" => wasm_max_changes_size: u64 = 512 * MIB, Size::new(64 * KIB, GIB), AtRunTime;
    /// Bytes of linear memory of one call.
    "wasm-max-memory" => wasm_max_memory: u64 = 64 * MIB, Size::new(64 * KIB, 2 * GIB), AtRunTime;
    /// Bytes of a module, as it is uploaded.
    "wasm-max-module-size" => wasm_max_module_size: u64 = 4 * MIB, Size::new(KIB, GIB), AtRunTime;
    /// Functions in a module, imports included.
    "wasm-max-functions" => wasm_max_functions: u32 = 10_000, Integer::new(1, 1_000_000), AtRunTime;
    /// Parameters and locals of one function.
    "wasm-max-locals" => wasm_max_locals: u32 = 1000, Integer::new(1, 4000), AtRunTime;
    /// Depth of nested blocks in one function.
    "wasm-max-nesting" => wasm_max_nesting: u32 = 256, Integer::new(1, 900), AtRunTime;
    /// Bytes of the interpreter's value stack.
    "wasm-max-stack" => wasm_max_stack: u64 = MIB, Size::new(64 * KIB, 8 * MIB), AtRunTime;
    /// Elements of a table.
    "wasm-max-table-size" => wasm_max_table_size: u32 = 10_000, Integer::new(0, 1_000_000), AtRunTime;
    /// Bytes of the reply of one call.
    "wasm-max-reply-size" => wasm_max_reply_size: u64 = 64 * MIB, Size::new(KIB, GIB), AtRunTime;
    /// Bytes that one call may log; each line counts 32 more than its text.
    "wasm-max-log-size" => wasm_max_log_size: u64 = 64 * KIB, Size::new(0, 16 * MIB), AtRunTime;
    /// Entries that FUNCTION LOG keeps.
    "wasm-log-ring-len" => wasm_log_ring_len: u32 = 128, Integer::new(0, 1_000_000), AtRunTime;
    /// Modules that the cache of EVALWASM keeps.
    "wasm-cache-max-len" => wasm_cache_max_len: u32 = 1000, Integer::new(1, 1_000_000), AtRunTime;
    /// Bytes of modules that the cache of EVALWASM keeps.
    "wasm-cache-max-size" => wasm_cache_max_size: u64 = 64 * MIB, Size::new(KIB, MAX), AtRunTime;
    /// Depth to which triggers may fire triggers.
    "trigger-max-depth" => trigger_max_depth: u32 = 16, Integer::new(1, 1000), AtRunTime;
    /// Fuel of all the triggers that one command or procedure fires.
    "trigger-max-fuel" => trigger_max_fuel: u64 = 10_000_000, Integer::new(1, MAX), AtRunTime;
    /// Entries that the queue of one asynchronous trigger holds; writes that would add more wait or are refused.
    "trigger-queue-max-len" => trigger_queue_max_len: u64 = 1_000_000, Integer::new(1, MAX), AtRunTime;
    /// Bytes of the entries that the queue of one asynchronous trigger holds.
    "trigger-queue-max-bytes" => trigger_queue_max_bytes: u64 = 256 * MIB, Size::new(KIB, MAX), AtRunTime;
    /// Dead letters that one asynchronous trigger keeps; beyond that, deliveries are tried again and again.
    "trigger-max-dead-letters" => trigger_max_dead_letters: u64 = 10_000, Integer::new(0, 1_000_000), AtRunTime;

    // What tools of Redis ask for.

    /// Compatibility only: kvasm makes no snapshots, because the data is always on disk.
    "save" => save: () = (), OnlyValue(""), AtRunTime;
    /// Compatibility only: every change is kept; appendfsync decides when it reaches the disk.
    "appendonly" => appendonly: () = (), OnlyValue("yes"), AtRunTime;
}

/// The entry of that name, in any case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    // The names that Redis' options about small values had before 7.0.
    let name = &name.to_ascii_lowercase().replace("-ziplist-", "-listpack-");
    TABLE.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// Why `CONFIG SET` changed nothing; worded as Redis 7 does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// No option has that name.
    Unknown(String),
    /// The option with that name, as the client wrote it, and what is wrong with it.
    Failed(String, String),
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            Self::Failed(name, reason) => {
                write!(f, "CONFIG SET failed (possibly related to argument '{name}') - {reason}")
            }
        }
    }
}

impl Options {
    /// Names and values of the options whose (lower-case) name is wanted: `CONFIG GET`.
    pub fn get_matching(&self, mut is_wanted: impl FnMut(&str) -> bool) -> Vec<(&'static str, String)> {
        TABLE
            .iter()
            .filter(|entry| is_wanted(entry.name))
            .map(|entry| (entry.name, entry.get(self)))
            .collect()
    }

    /// Sets pairs of names and values, all of them or none: `CONFIG SET`.
    pub fn set_all(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), SetError> {
        let mut changed = self.clone();
        let mut entries: Vec<&'static Entry> = Vec::with_capacity(pairs.len());
        // As in Redis, an unknown or fixed name is told before any wrong value.
        for (name, _) in pairs {
            let name = String::from_utf8_lossy(name).into_owned();
            let entry = find(&name).ok_or_else(|| SetError::Unknown(name.clone()))?;
            let reason = if entry.change == Change::AtStart {
                "can't set immutable config"
            } else if entries.iter().any(|other| other.name == entry.name) {
                "duplicate parameter"
            } else {
                entries.push(entry);
                continue;
            };
            return Err(SetError::Failed(name, reason.to_owned()));
        }
        for (entry, (name, value)) in entries.iter().zip(pairs) {
            std::str::from_utf8(value)
                .map_err(|_| "argument must be valid UTF-8".to_owned())
                .and_then(|value| entry.set(&mut changed, value))
                .map_err(|reason| SetError::Failed(String::from_utf8_lossy(name).into_owned(), reason))?;
        }
        *self = changed;
        Ok(())
    }
}
