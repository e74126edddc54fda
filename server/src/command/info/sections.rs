//! The sections of `INFO` and their fields: those that clients and tools of Redis read, and our own, which begin with
//! `kvasm_`. What does not exist here (replicas, forks) has the value of a Redis that does not use it.

use std::fs;

use super::super::full_name;
use super::{Context, Fields, REDIS_VERSION, Section};
use crate::memory;

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
    fields.add("process_id", std::process::id());
    fields.add("process_supervised", "no");
    fields.add("run_id", &server.run_id);
    fields.add("tcp_port", server.port);
    fields.add("server_time_usec", ctx.keyspace.now_us());
    fields.add("uptime_in_seconds", uptime_s);
    fields.add("uptime_in_days", uptime_s / SECONDS_PER_DAY);
    fields.add("hz", server.options.hz);
    fields.add("configured_hz", server.options.hz);
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
    fields.add("connected_clients", ctx.server.clients.len());
    fields.add("cluster_connections", 0);
    fields.add("maxclients", ctx.server.options.maxclients);
    fields.add("blocked_clients", ctx.server.waiting.len());
    fields.add("tracking_clients", ctx.server.tracking.client_count());
    fields.add("clients_in_timeout_table", ctx.server.waiting.timed());
}

fn memory(ctx: &Context<'_>, fields: &mut Fields) {
    let server = &*ctx.server;
    let used = memory::used_bytes();
    let active = memory::active_bytes();
    let resident = memory::resident_bytes();
    let peak = server.statistics.peak_memory_bytes.max(used);
    let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    fields.add_bytes("used_memory", used);
    fields.add_bytes("used_memory_rss", resident);
    fields.add_bytes("used_memory_peak", peak);
    fields.add("used_memory_peak_perc", format_args!("{:.2}%", 100.0 * ratio(used, peak)));
    fields.add("used_memory_overhead", ctx.keyspace.table_bytes());
    fields.add("allocator_allocated", used);
    fields.add("allocator_active", active);
    fields.add_bytes("total_system_memory", memory::total_bytes());
    fields.add("used_memory_lua", 0);
    fields.add("number_of_cached_scripts", server.modules.list().len());
    fields.add("number_of_functions", server.libraries.function_count());
    fields.add("number_of_libraries", server.libraries.iter().count());
    fields.add_bytes("maxmemory", server.options.maxmemory);
    fields.add("maxmemory_policy", "noeviction");
    fields.add("allocator_frag_ratio", format_args!("{:.2}", ratio(active, used)));
    fields.add("mem_fragmentation_ratio", format_args!("{:.2}", ratio(resident, used)));
    fields.add("mem_fragmentation_bytes", resident as i64 - used as i64);
    fields.add("mem_allocator", "jemalloc");
    fields.add("active_defrag_running", 0);
    fields.add("lazyfree_pending_objects", 0);
}

fn persistence(ctx: &Context<'_>, fields: &mut Fields) {
    let store = &ctx.server.store;
    let status = if store.failure.is_none() { "ok" } else { "err" };
    let last_group = ctx.keyspace.journal().last_group();
    fields.add("loading", 0);
    fields.add("async_loading", 0);
    // Groups of changes that a crash could still take back.
    fields.add("rdb_changes_since_last_save", last_group.saturating_sub(store.durable));
    fields.add("rdb_bgsave_in_progress", 0);
    fields.add("rdb_last_save_time", store.last_commit_s);
    fields.add("rdb_last_bgsave_status", status);
    fields.add("aof_enabled", 1);
    fields.add("aof_rewrite_in_progress", 0);
    fields.add("aof_rewrite_scheduled", 0);
    fields.add("aof_last_bgrewrite_status", "ok");
    fields.add("aof_last_write_status", status);
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
    fields.add("rejected_connections", counted.rejected_connections);
    fields.add("sync_full", 0);
    fields.add("sync_partial_ok", 0);
    fields.add("sync_partial_err", 0);
    fields.add("expired_keys", keys.expired);
    fields.add("expired_subkeys", keys.expired_fields);
    fields.add("evicted_keys", 0);
    fields.add("evicted_clients", 0);
    fields.add("keyspace_hits", keys.hits);
    fields.add("keyspace_misses", keys.misses);
    fields.add("pubsub_channels", ctx.server.pubsub.channels().count());
    fields.add("pubsub_patterns", ctx.server.pubsub.pattern_count());
    fields.add("pubsubshard_channels", 0);
    fields.add("latest_fork_usec", 0);
    fields.add("total_forks", 0);
    fields.add("tracking_total_keys", tracked_keys);
    fields.add("tracking_total_items", tracked_items);
    fields.add("tracking_total_prefixes", prefixes);
    fields.add("unexpected_error_replies", 0);
    fields.add("total_error_replies", counted.error_replies);
    fields.add("client_query_buffer_limit_disconnections", counted.query_limit_disconnections);
    fields.add("client_output_buffer_limit_disconnections", counted.output_limit_disconnections);
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
    let (user_s, system_s) = processor_seconds(&fs::read_to_string("/proc/self/stat").unwrap_or_default());
    fields.add("used_cpu_sys", format_args!("{system_s:.6}"));
    fields.add("used_cpu_user", format_args!("{user_s:.6}"));
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
            let counted = format_args!("keys={keys},expires={expires},avg_ttl=0");
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
