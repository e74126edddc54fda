//! What is noted after a command: counts, how long it took, and what monitors and tracking clients must know of it.

use std::time::{Duration, Instant};

use super::Engine;
use crate::command::{self, Flags, Found};
use crate::protocol::Reply;
use crate::state::{Session, SlowLog, SlowLogEntry};

impl Engine {
    /// Counts a reply, and the command that it answers unless that was refused before it ran, and shows that command to
    /// who observes.
    pub(super) fn account(
        &mut self,
        session: &Session,
        ran: Option<Found>,
        arguments: &[&[u8]],
        reply: &Reply,
    ) {
        self.count(session, ran, arguments, reply);
        if let Some(found) = ran {
            self.show_to_observers(session, found, arguments);
        }
    }

    /// Shows a command that has run to monitors, and notes what it read for clients that cache.
    pub(super) fn show_to_observers(&mut self, session: &Session, found: Found, arguments: &[&[u8]]) {
        let core = self.core();
        if core.server.is_observed() {
            core.observe(session, found.row, arguments);
        }
    }

    /// Counts a reply, and the command that it answers unless that was refused before it ran.
    pub(super) fn count(
        &mut self,
        session: &Session,
        ran: Option<Found>,
        arguments: &[&[u8]],
        reply: &Reply,
    ) {
        let before = self.clock.now;
        self.clock.now = Instant::now();
        let duration = self.clock.now.duration_since(before);
        let time_s = self.clock.unix_s();
        let server = &mut self.core().server;
        if let Reply::Error(text) = reply {
            server.statistics.count_error(text);
        }
        let Some(found) = ran else { return };
        server.statistics.commands += 1;
        let counted = server.statistics.command(found.place);
        counted.calls += 1;
        counted.duration_ns += duration.as_nanos() as u64;
        counted.failed_calls += u64::from(reply.is_error());
        if server.options.latency_tracking {
            counted.latency.add(duration.as_nanos() as u64);
        }
        let latency_threshold_ms = server.options.latency_monitor_threshold_ms;
        if latency_threshold_ms > 0 {
            let event = if found.row.is(Flags::FAST) { "fast-command" } else { "command" };
            server.latency.add(event, time_s, duration.as_millis() as u64, latency_threshold_ms);
        }
        let threshold_us = server.options.slowlog_log_slower_than_us;
        let duration_us = duration.as_micros() as i64;
        let is_slow = threshold_us >= 0 && duration_us >= threshold_us;
        if is_slow && !found.row.is(Flags::SKIP_SLOWLOG) {
            let entry = SlowLogEntry {
                id: 0,
                time_s,
                duration_us: duration_us as u64,
                arguments: SlowLog::shorten(&command::redact(arguments)),
                address: session.address.map(|address| address.to_string()).unwrap_or_default(),
                name: session.name.clone(),
            };
            server.slow_log.add(entry, server.options.slowlog_max_len as usize);
        }
    }

    /// Adds an event to the latency history if it took long.
    pub(super) fn note_latency(&mut self, event: &'static str, took: Duration) {
        let time_s = self.clock.unix_s();
        let server = &mut self.core().server;
        let threshold_ms = server.options.latency_monitor_threshold_ms;
        server.latency.add(event, time_s, took.as_millis() as u64, threshold_ms);
    }
}
