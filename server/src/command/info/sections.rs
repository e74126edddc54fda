//! The sections of `INFO` and their fields: those that clients and tools of Redis read, and our own, which begin with
//! `kvasm_`. What does not exist here (replicas, forks) has the value of a Redis that does not use it.

use std::fs;

use super::super::full_name;
use super::super::memory::{Report, ratio};
use super::{Context, Fields, REDIS_VERSION, Section};
use crate::memory;
use crate::state::Handle;

/// Every section, in the order of the report.
pub(super) const SECTIONS: &[Section] = &[
    Section { title: "Server", is_default: true, write: server },
    Section { title: "Clients", is_default: true, write: clients },
    Section { title: "Memory", is_default: true, write: memory },
    Section { title: "Persistence", is_default: true, write: persistence },
    Section { title: "Stats", is_default: true, write: stats },
    Section { title: "Replication", is_default: true, write: replication },
    Section { title: "CPU", is_default: true, write: cpu },
    Section { title: "Modules", is_default: true, write: |_, _| {} },
    Section { title: "Wasm", is_default: true, write: wasm },
    Section { title: "Commandstats", is_default: false, write: command_stats },
    Section { title: "Errorstats", is_default: true, write: error_stats },
    Section { title: "Latencystats", is_default: false, write: latency_stats },
    Section { title: "Cluster", is_default: true, write: cluster },
    Section { title: "Keyspace", is_default: true, write: keyspace },
];

const SECONDS_PER_DAY: u64 = 86_400;
/// Redis' clock of uses has 24 bits.
const LRU_CLOCK_SECONDS: u64 = 1 << 24;

/// What Redis tells of replicas, the cluster, and values that are moved or freed later.
const UNUSED_MEMORY: &[(&str, &str)] = &[
    ("mem_not_counted_for_evict", "0"),
    ("mem_replication_backlog", "0"),
    ("mem_total_replication_buffers", "0"),
    ("mem_clients_slaves", "0"),
    ("mem_cluster_links", "0"),
    ("active_defrag_running", "0"),
    ("lazyfree_pending_objects", "0"),
    ("lazyfreed_objects", "0"),
];

/// What Redis tells of its snapshots and of rewriting its log.
const UNUSED_PERSISTENCE: &[(&str, &str)] = &[
    ("current_cow_peak", "0"),
    ("current_cow_size", "0"),
    ("current_cow_size_age", "0"),
    ("current_fork_perc", "0.00"),
    ("current_save_keys_processed", "0"),
    ("current_save_keys_total", "0"),
    ("rdb_bgsave_in_progress", "0"),
    ("rdb_last_bgsave_time_sec", "-1"),
    ("rdb_current_bgsave_time_sec", "-1"),
    ("rdb_saves", "0"),
    ("rdb_last_cow_size", "0"),
    ("rdb_last_load_keys_expired", "0"),
    ("rdb_last_load_keys_loaded", "0"),
    ("aof_rewrite_in_progress", "0"),
    ("aof_rewrite_scheduled", "0"),
    ("aof_last_rewrite_time_sec", "-1"),
    ("aof_current_rewrite_time_sec", "-1"),
    ("aof_rewrites", "0"),
    ("aof_rewrites_consecutive_failures", "0"),
    ("aof_last_cow_size", "0"),
    ("aof_base_size", "0"),
    ("aof_pending_rewrite", "0"),
    ("aof_pending_bio_fsync", "0"),
    ("aof_delayed_fsync", "0"),
    ("module_fork_in_progress", "0"),
    ("module_fork_last_cow_size", "0"),
];

/// What Redis counts of replicas, evictions, forks, moved values, and threads for reading and writing.
const UNUSED_STATS: &[(&str, &str)] = &[
    ("total_net_repl_input_bytes", "0"),
    ("total_net_repl_output_bytes", "0"),
    ("instantaneous_input_repl_kbps", "0.00"),
    ("instantaneous_output_repl_kbps", "0.00"),
    ("sync_full", "0"),
    ("sync_partial_ok", "0"),
    ("sync_partial_err", "0"),
    ("expired_stale_perc", "0.00"),
    ("expired_time_cap_reached_count", "0"),
    ("evicted_keys", "0"),
    ("evicted_clients", "0"),
    ("total_eviction_exceeded_time", "0"),
    ("current_eviction_exceeded_time", "0"),
    ("pubsubshard_channels", "0"),
    ("latest_fork_usec", "0"),
    ("total_forks", "0"),
    ("migrate_cached_sockets", "0"),
    ("slave_expires_tracked_keys", "0"),
    ("active_defrag_hits", "0"),
    ("active_defrag_misses", "0"),
    ("active_defrag_key_hits", "0"),
    ("active_defrag_key_misses", "0"),
    ("total_active_defrag_time", "0"),
    ("current_active_defrag_time", "0"),
    ("unexpected_error_replies", "0"),
    ("dump_payload_sanitizations", "0"),
    ("io_threaded_reads_processed", "0"),
    ("io_threaded_writes_processed", "0"),
    ("reply_buffer_shrinks", "0"),
    ("reply_buffer_expands", "0"),
];

fn server(ctx: &Context<'_>, fields: &mut Fields) {
    let server = &*ctx.server;
    let uptime_s = server.started.elapsed().as_secs();
    fields.add("redis_version", REDIS_VERSION);
    fields.add("kvasm_version", env!("CARGO_PKG_VERSION"));
    fields.add("redis_git_sha1", "00000000");
    fields.add("redis_git_dirty", 0);
    fields.add("redis_build_id", 0);
    fields.add("redis_mode", "standalone");
    fields.add("os", operating_system());
    fields.add("arch_bits", usize::BITS);
    fields.add("monotonic_clock", "POSIX clock_gettime");
    fields.add("multiplexing_api", "epoll");
    fields.add("atomicvar_api", "c11-builtin");
    fields.add("gcc_version", "0.0.0");
    fields.add("process_id", std::process::id());
    fields.add("process_supervised", "no");
    fields.add("run_id", &server.run_id);
    fields.add("tcp_port", server.port);
    fields.add("server_time_usec", ctx.keyspace.now_us());
    fields.add("uptime_in_seconds", uptime_s);
    fields.add("uptime_in_days", uptime_s / SECONDS_PER_DAY);
    fields.add("hz", server.options.hz);
    fields.add("configured_hz", server.options.hz);
    fields.add("lru_clock", ctx.keyspace.now_us() / 1_000_000 % LRU_CLOCK_SECONDS);
    fields.add("executable", path(std::env::current_exe().ok().as_deref()));
    fields.add("config_file", path(server.config_file.as_deref()));
    fields.add("io_threads_active", 0);
}

fn path(path: Option<&std::path::Path>) -> String {
    path.map_or(String::new(), |path| path.display().to_string())
}

fn operating_system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = fs::read_to_string("/proc/sys/kernel/ostype").unwrap_or_default();
    let name = if name.is_empty() { std::env::consts::OS } else { name.trim() };
    format!("{name} {} {}", release.trim(), std::env::consts::ARCH)
}

fn clients(ctx: &Context<'_>, fields: &mut Fields) {
    let most = |bytes: fn(&Handle) -> usize| {
        ctx.server.clients.iter().map(|(_, handle)| bytes(handle)).max().unwrap_or(0)
    };
    let query_bytes =
        |handle: &Handle| handle.session.as_ref().map_or(0, |session| session.query_buffer_bytes);
    fields.add("connected_clients", ctx.server.clients.len());
    fields.add("cluster_connections", 0);
    fields.add("maxclients", ctx.server.options.maxclients);
    fields.add("client_recent_max_input_buffer", most(query_bytes));
    fields.add("client_recent_max_output_buffer", most(|handle| handle.mailbox.bytes()));
    fields.add("blocked_clients", ctx.server.waiting.len());
    fields.add("tracking_clients", ctx.server.tracking.client_count());
    fields.add("clients_in_timeout_table", ctx.server.waiting.timed());
}

fn memory(ctx: &Context<'_>, fields: &mut Fields) {
    let server = &*ctx.server;
    let report = Report::of(ctx);
    let percent = |part: u64, whole: u64| format!("{:.2}%", 100.0 * ratio(part, whole));
    fields.add_bytes("used_memory", report.used);
    fields.add_bytes("used_memory_rss", report.resident);
    fields.add_bytes("used_memory_peak", report.peak);
    fields.add("used_memory_peak_perc", percent(report.used, report.peak));
    fields.add("used_memory_overhead", report.overhead());
    fields.add("used_memory_startup", report.startup);
    fields.add("used_memory_dataset", report.dataset());
    fields.add("used_memory_dataset_perc", percent(report.dataset(), report.net()));
    fields.add_bytes("total_system_memory", memory::total_bytes());
    for name in ["used_memory_lua", "used_memory_vm_total"] {
        fields.add_bytes(name, 0);
    }
    fields.add("used_memory_vm_eval", 0);
    fields.add("used_memory_vm_functions", 0);
    fields.add("used_memory_scripts_eval", report.modules);
    fields.add("used_memory_functions", report.libraries);
    fields.add_bytes("used_memory_scripts", report.modules + report.libraries);
    fields.add("number_of_cached_scripts", server.modules.list().len());
    fields.add("number_of_functions", server.libraries.function_count());
    fields.add("number_of_libraries", server.libraries.iter().count());
    fields.add_bytes("maxmemory", server.options.maxmemory);
    fields.add("maxmemory_policy", "noeviction");
    allocator(&report, fields);
    fields.add("mem_clients_normal", report.clients);
    fields.add("mem_aof_buffer", report.pending);
    fields.add("mem_allocator", "jemalloc");
    fields.add_all(UNUSED_MEMORY);
}

fn allocator(report: &Report, fields: &mut Fields) {
    fields.add("allocator_allocated", report.used);
    fields.add("allocator_active", report.active);
    fields.add("allocator_resident", report.allocator_resident);
    for (names, part, whole) in [
        (["allocator_frag_ratio", "allocator_frag_bytes"], report.active, report.used),
        (["allocator_rss_ratio", "allocator_rss_bytes"], report.allocator_resident, report.active),
        (["rss_overhead_ratio", "rss_overhead_bytes"], report.resident, report.allocator_resident),
        (["mem_fragmentation_ratio", "mem_fragmentation_bytes"], report.resident, report.used),
    ] {
        fields.add(names[0], format_args!("{:.2}", ratio(part, whole)));
        fields.add(names[1], part as i64 - whole as i64);
    }
}

fn persistence(ctx: &Context<'_>, fields: &mut Fields) {
    let store = &ctx.server.store;
    let status = if store.failure.is_none() { "ok" } else { "err" };
    let last_group = ctx.keyspace.journal().last_group();
    fields.add("loading", 0);
    fields.add("async_loading", 0);
    // Groups of changes that a crash could still take back.
    fields.add("rdb_changes_since_last_save", last_group.saturating_sub(store.durable));
    fields.add("rdb_last_save_time", store.last_commit_s);
    fields.add("rdb_last_bgsave_status", status);
    fields.add("aof_enabled", 1);
    fields.add("aof_last_bgrewrite_status", "ok");
    fields.add("aof_last_write_status", status);
    fields.add("aof_current_size", store.log_bytes);
    fields.add("aof_buffer_length", ctx.keyspace.journal().pending_bytes());
    fields.add_all(UNUSED_PERSISTENCE);
    fields.add("kvasm_last_error", store.failure.as_deref().unwrap_or_default());
    fields.add("kvasm_last_group", last_group);
    fields.add("kvasm_durable_group", store.durable);
    fields.add("kvasm_applied_group", store.applied);
    fields.add("kvasm_log_bytes", store.log_bytes);
    fields.add("kvasm_commits", store.commits);
    fields.add("kvasm_last_commit_usec", store.last_commit_us);
    fields.add("kvasm_pending_bytes", ctx.keyspace.journal().pending_bytes());
    fields.add("kvasm_cold_keys", ctx.keyspace.cold_keys());
    fields.add("kvasm_loaded_keys", ctx.keyspace.statistics().loaded);
}

fn stats(ctx: &Context<'_>, fields: &mut Fields) {
    let (counted, keys) = (&ctx.server.statistics, ctx.keyspace.statistics());
    let (tracked_keys, tracked_items, prefixes) = ctx.server.tracking.counts();
    fields.add("total_connections_received", counted.connections);
    fields.add("total_commands_processed", counted.commands);
    fields.add("instantaneous_ops_per_sec", counted.instantaneous_ops);
    fields.add("total_net_input_bytes", counted.received_bytes);
    fields.add("total_net_output_bytes", counted.sent_bytes);
    fields.add("instantaneous_input_kbps", kilobytes(counted.instantaneous_received_bytes));
    fields.add("instantaneous_output_kbps", kilobytes(counted.instantaneous_sent_bytes));
    fields.add("total_reads_processed", counted.reads);
    fields.add("total_writes_processed", counted.writes);
    fields.add("rejected_connections", counted.rejected_connections);
    fields.add("expired_keys", keys.expired);
    fields.add("expired_subkeys", keys.expired_fields);
    fields.add("expire_cycle_cpu_milliseconds", counted.expiry_us / 1000);
    fields.add("keyspace_hits", keys.hits);
    fields.add("keyspace_misses", keys.misses);
    fields.add("pubsub_channels", ctx.server.pubsub.channels().count());
    fields.add("pubsub_patterns", ctx.server.pubsub.pattern_count());
    fields.add("tracking_total_keys", tracked_keys);
    fields.add("tracking_total_items", tracked_items);
    fields.add("tracking_total_prefixes", prefixes);
    fields.add("total_error_replies", counted.error_replies);
    fields.add("client_query_buffer_limit_disconnections", counted.query_limit_disconnections);
    fields.add("client_output_buffer_limit_disconnections", counted.output_limit_disconnections);
    fields.add_all(UNUSED_STATS);
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1024.0)
}

fn replication(ctx: &Context<'_>, fields: &mut Fields) {
    fields.add("role", "master");
    fields.add("connected_slaves", 0);
    fields.add("master_failover_state", "no-failover");
    fields.add("master_replid", &ctx.server.run_id);
    fields.add("master_replid2", "0".repeat(40));
    fields.add("master_repl_offset", 0);
    fields.add("second_repl_offset", -1);
    fields.add("repl_backlog_active", 0);
    fields.add("repl_backlog_size", 0);
    fields.add("repl_backlog_first_byte_offset", 0);
    fields.add("repl_backlog_histlen", 0);
}

fn cpu(_: &Context<'_>, fields: &mut Fields) {
    // The thread that answers is the main one: the engine's.
    for (path, thread) in [("/proc/self/stat", ""), ("/proc/thread-self/stat", "_main_thread")] {
        let (user_s, system_s) = processor_seconds(&fs::read_to_string(path).unwrap_or_default());
        fields.add(format_args!("used_cpu_sys{thread}"), format_args!("{system_s:.6}"));
        fields.add(format_args!("used_cpu_user{thread}"), format_args!("{user_s:.6}"));
    }
    fields.add("used_cpu_sys_children", "0.000000");
    fields.add("used_cpu_user_children", "0.000000");
}

/// Seconds that a process spent in user and in system mode, from the text of its `/proc/.../stat`; 0 if there is none.
fn processor_seconds(stat: &str) -> (f64, f64) {
    /// Linux counts in hundredths of a second towards programs, whatever its own clock.
    const TICKS_PER_SECOND: f64 = 100.0;
    // The process' name, in parentheses, may contain anything; fields 14 and 15 are the 12th and 13th behind it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let mut ticks = fields.split_ascii_whitespace().skip(11).map(|field| field.parse().unwrap_or(0.0));
    let mut seconds = || ticks.next().unwrap_or(0.0) / TICKS_PER_SECOND;
    (seconds(), seconds())
}

fn wasm(ctx: &Context<'_>, fields: &mut Fields) {
    let (server, counted) = (&*ctx.server, &ctx.server.statistics);
    fields.add("kvasm_libraries", server.libraries.iter().count());
    fields.add("kvasm_functions", server.libraries.function_count());
    fields.add("kvasm_cached_modules", server.modules.list().len());
    fields.add("kvasm_procedure_calls", counted.procedure_calls);
    fields.add("kvasm_background_running", server.running.len());
    fields.add("kvasm_background_calls", counted.background_calls);
    fields.add("kvasm_background_conflicts", counted.background_conflicts);
    fields.add("kvasm_triggers", server.triggers.iter().count());
    fields.add("kvasm_trigger_runs", counted.trigger_runs);
    fields.add("kvasm_trigger_failures", counted.trigger_failures);
    fields.add("kvasm_trigger_retries", counted.trigger_retries);
    let totals = server.queues.totals();
    fields.add("kvasm_trigger_queued", totals.queued);
    fields.add("kvasm_trigger_queued_bytes", totals.bytes);
    fields.add("kvasm_trigger_running", totals.running);
    fields.add("kvasm_trigger_dead_letters", totals.dead_letters);
}

fn command_stats(ctx: &Context<'_>, fields: &mut Fields) {
    for (place, counted) in ctx.server.statistics.per_command.iter().enumerate() {
        if counted.calls + counted.rejected_calls + counted.failed_calls == 0 {
            continue;
        }
        let duration_us = counted.duration_ns / 1000;
        let per_call_us = counted.duration_ns as f64 / 1000.0 / counted.calls.max(1) as f64;
        fields.add(
            format_args!("cmdstat_{}", full_name(place)),
            format_args!(
                "calls={},usec={duration_us},usec_per_call={per_call_us:.2},rejected_calls={},failed_calls={}",
                counted.calls, counted.rejected_calls, counted.failed_calls
            ),
        );
    }
}

fn latency_stats(ctx: &Context<'_>, fields: &mut Fields) {
    let percents = &ctx.server.options.latency_tracking_info_percentiles;
    for (place, counted) in ctx.server.statistics.per_command.iter().enumerate() {
        if counted.latency.calls() > 0 {
            let percentile = |percent: &f64| {
                format!("p{percent}={:.3}", counted.latency.percentile_ns(*percent) as f64 / 1000.0)
            };
            fields.add(
                format_args!("latency_percentiles_usec_{}", full_name(place)),
                percents.iter().map(percentile).collect::<Vec<_>>().join(","),
            );
        }
    }
}

fn error_stats(ctx: &Context<'_>, fields: &mut Fields) {
    for (code, count) in &ctx.server.statistics.errors {
        fields.add(format_args!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn cluster(_: &Context<'_>, fields: &mut Fields) {
    fields.add("cluster_enabled", 0);
}

fn keyspace(ctx: &Context<'_>, fields: &mut Fields) {
    for number in 0..ctx.keyspace.databases() {
        let (keys, expires) = ctx.keyspace.count(number);
        if keys > 0 {
            let average_ms = ctx.keyspace.average_ttl_ms(number);
            let counted = format_args!("keys={keys},expires={expires},avg_ttl={average_ms}");
            fields.add(format_args!("db{number}"), counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_process_is_called() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
        assert_eq!(processor_seconds(stat), (1.5, 0.25));
        assert_eq!(processor_seconds(""), (0.0, 0.0));
    }
}
