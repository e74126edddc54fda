//! `MEMORY`: what takes how much of it.

use super::help::help;
use super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::memory;
use crate::protocol::Reply;
use crate::state::Session;

const ABOUT_SERVER: &[Flags] = &[Flags::ABOUT_SERVER];

/// The rows of this file.
pub const COMMANDS: &[Command] = &[Command::container("memory", MEMORY).docs(
    Group::Server,
    "4.0.0",
    "Depends on the subcommand",
    "Tells what takes how much memory.",
    "",
)];

const MEMORY: &[Command] = &[
    Command::new("doctor", 2, doctor).flags(ABOUT_SERVER).docs(
        Group::Server,
        "4.0.0",
        "O(N) where N is the number of clients",
        "Tells what is unusual in the use of memory, in words.",
        "",
    ),
    help(Group::Server, "4.0.0"),
    Command::new("malloc-stats", 2, malloc_stats).flags(ABOUT_SERVER).docs(
        Group::Server,
        "4.0.0",
        "Depends on how much memory is allocated",
        "Returns the allocator's own statistics.",
        "",
    ),
    Command::new("purge", 2, purge).flags(ABOUT_SERVER).docs(
        Group::Server,
        "4.0.0",
        "O(1)",
        "Does nothing: memory that is not used goes back to the system by itself within a second.",
        "",
    ),
    Command::new("stats", 2, stats).flags(ABOUT_SERVER).docs(
        Group::Server,
        "4.0.0",
        "O(N) where N is the number of clients",
        "Returns how much memory is used for what, in bytes.",
        "",
    ),
    Command::new("usage", -3, usage).flags(&[Flags::READONLY]).keys(2, 2, 1).docs(
        Group::Server,
        "4.0.0",
        "O(1)",
        "Returns how many bytes of memory a key and its value take; nothing is estimated from samples.",
        "key [SAMPLES count]",
    ),
];

fn usage(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut options = &args[3..];
    while let [option, rest @ ..] = options {
        match rest {
            [count, rest @ ..] if flag(option, "SAMPLES") && integer(count)? >= 0 => options = rest,
            _ => return Err(Error::SYNTAX),
        }
    }
    let entry = ctx.keyspace.peek(ctx.session.database, args[2])?;
    Ok(entry.map_or(Reply::Null, |entry| entry.memory_usage().into()))
}

/// What is known of the use of memory, in bytes.
pub(super) struct Report {
    pub used: u64,
    pub active: u64,
    pub allocator_resident: u64,
    pub resident: u64,
    pub peak: u64,
    pub startup: u64,
    pub clients: u64,
    pub modules: u64,
    pub libraries: u64,
    pub pending: u64,
    tables: u64,
    keys: u64,
}

impl Report {
    pub fn of(ctx: &Context<'_>) -> Self {
        let server = &*ctx.server;
        let used = memory::used_bytes();
        // The session of the client that asks is not in the registry.
        let sessions = server.clients.iter().map(|(_, handle)| {
            let session = handle.session.as_deref();
            let buffered = session.map_or(0, |session| session.query_buffer_bytes + session.queued_bytes());
            (size_of::<Session>() + buffered + handle.mailbox.bytes()) as u64
        });
        Self {
            used,
            active: memory::active_bytes(),
            allocator_resident: memory::allocator_resident_bytes(),
            resident: memory::resident_bytes(),
            peak: server.statistics.peak_memory_bytes.max(used),
            startup: server.startup_memory_bytes,
            clients: sessions.sum(),
            modules: server.modules.bytes() as u64,
            libraries: server.libraries.iter().map(|library| library.module.size_bytes() as u64).sum(),
            pending: ctx.keyspace.journal().pending_bytes() as u64,
            tables: ctx.keyspace.table_bytes() as u64,
            keys: (0..ctx.keyspace.databases()).map(|number| ctx.keyspace.count(number).0 as u64).sum(),
        }
    }

    /// What does not grow with the data, and what keeps it in order.
    pub fn overhead(&self) -> u64 {
        self.startup + self.clients + self.modules + self.libraries + self.pending + self.tables
    }

    pub fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }

    /// Bytes that the data has added since the start.
    pub fn net(&self) -> u64 {
        self.used.saturating_sub(self.startup)
    }
}

pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn stats(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let report = Report::of(ctx);
    let mut fields: Vec<(Reply, Reply)> = Vec::new();
    let mut add = |name: &'static str, value: Reply| fields.push((Reply::text(name), value));
    let bytes = |bytes: u64| Reply::from(bytes);
    let difference = |one: u64, other: u64| Reply::Integer(one as i64 - other as i64);
    add("peak.allocated", bytes(report.peak));
    add("total.allocated", bytes(report.used));
    add("startup.allocated", bytes(report.startup));
    add("replication.backlog", bytes(0));
    add("clients.slaves", bytes(0));
    add("clients.normal", bytes(report.clients));
    add("cluster.links", bytes(0));
    add("aof.buffer", bytes(report.pending));
    add("lua.caches", bytes(report.modules));
    add("functions.caches", bytes(report.libraries));
    for number in 0..ctx.keyspace.databases() {
        if ctx.keyspace.count(number).0 > 0 {
            let table = ctx.keyspace.database_table_bytes(number) as u64;
            let parts = [("main", table), ("expires", 0), ("slot-to-keys", 0)];
            let parts = parts.map(|(name, part)| (format!("overhead.hashtable.{name}").into(), bytes(part)));
            fields.push((format!("db.{number}").into(), Reply::Map(parts.into())));
        }
    }
    let mut add = |name: &'static str, value: Reply| fields.push((Reply::text(name), value));
    add("overhead.total", bytes(report.overhead()));
    add("keys.count", bytes(report.keys));
    add("keys.bytes-per-key", bytes(report.net().checked_div(report.keys).unwrap_or(0)));
    add("dataset.bytes", bytes(report.dataset()));
    add("dataset.percentage", Reply::Double(100.0 * ratio(report.dataset(), report.net())));
    add("peak.percentage", Reply::Double(100.0 * ratio(report.used, report.peak)));
    add("allocator.allocated", bytes(report.used));
    add("allocator.active", bytes(report.active));
    add("allocator.resident", bytes(report.allocator_resident));
    add("allocator-fragmentation.ratio", Reply::Double(ratio(report.active, report.used)));
    add("allocator-fragmentation.bytes", difference(report.active, report.used));
    add("allocator-rss.ratio", Reply::Double(ratio(report.allocator_resident, report.active)));
    add("allocator-rss.bytes", difference(report.allocator_resident, report.active));
    add("rss-overhead.ratio", Reply::Double(ratio(report.resident, report.allocator_resident)));
    add("rss-overhead.bytes", difference(report.resident, report.allocator_resident));
    add("fragmentation", Reply::Double(ratio(report.resident, report.used)));
    add("fragmentation.bytes", difference(report.resident, report.used));
    Ok(Reply::Map(fields))
}

fn doctor(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let findings = findings(&Report::of(ctx), ctx.server.clients.len() as u64);
    let text = if findings.is_empty() { "Nothing is unusual.".to_owned() } else { findings.join("\n") };
    Ok(Reply::Verbatim(format!("{text}\n")))
}

/// What is unusual.
fn findings(report: &Report, clients: u64) -> Vec<&'static str> {
    /// Less than this says nothing.
    const LITTLE_BYTES: u64 = 5 << 20;
    /// Waste below this is no matter.
    const WASTE_BYTES: u64 = 10 << 20;
    /// What clients usually wait for takes less than this, each.
    const CLIENT_BYTES: u64 = 200 << 10;
    if report.used < LITTLE_BYTES {
        return vec!["The server uses too little memory for any judgement."];
    }
    let wastes = |part: u64, whole: u64, limit: f64| {
        ratio(part, whole) > limit && part.saturating_sub(whole) > WASTE_BYTES
    };
    let all = [
        (
            ratio(report.peak, report.used) > 1.5,
            "Peak: once, more than 1.5 times as much memory was in use as now; pages of that time may be resident still.",
        ),
        (
            wastes(report.resident, report.used, 1.4),
            "Fragmentation: the process has more than 1.4 times the memory that it has allocated.",
        ),
        (
            wastes(report.active, report.used, 1.1),
            "Allocator: its pages are not full, which is usual after values of many sizes were replaced.",
        ),
        (
            report.clients / clients.max(1) > CLIENT_BYTES,
            "Clients: what waits for them takes more than 200 kB each; CLIENT LIST shows who does not read.",
        ),
    ];
    all.into_iter().filter_map(|(applies, text)| applies.then_some(text)).collect()
}

fn malloc_stats(_: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::Verbatim(memory::allocator_report()))
}

fn purge(_: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn the_memory_of_a_key_is_told_whole() {
        let mut fixture = Fixture::new();
        fixture.run("SET short 1");
        fixture.run(&format!("SET long {}", "x".repeat(10_000)));
        let Reply::Integer(short) = fixture.run("MEMORY USAGE short") else { panic!("a number") };
        let Reply::Integer(long) = fixture.run("MEMORY USAGE long SAMPLES 0") else { panic!("a number") };
        assert!((48..200).contains(&short) && (10_000..13_000).contains(&long), "{short} {long}");
        fixture.check(&[
            ("MEMORY USAGE none", "nil"),
            ("MEMORY USAGE short SAMPLES -1", "-ERR syntax error"),
            ("MEMORY USAGE short SAMPLES x", "-ERR value is not an integer or out of range"),
            ("MEMORY USAGE short SAMPLES x y", "-ERR value is not an integer or out of range"),
            ("MEMORY USAGE short SAMPLES 1 y", "-ERR syntax error"),
            ("MEMORY USAGE none SAMPLES 1 SAMPLES 2", "nil"),
            ("MEMORY USAGE short SAMPLES", "-ERR syntax error"),
            ("MEMORY USAGE short COUNT 1", "-ERR syntax error"),
            ("MEMORY PURGE", "+OK"),
            ("OBJECT IDLETIME short", ":0"),
        ]);
    }

    #[test]
    fn what_redis_tells_of_its_memory_is_told() {
        let mut fixture = Fixture::new();
        fixture.run("SET k 1");
        let Reply::Map(fields) = fixture.run("MEMORY STATS") else { panic!("a map") };
        // 27 fields and one for each database that has keys.
        assert_eq!(fields.len(), 28);
        let field = |name: &str| fields.iter().find(|(key, _)| *key == Reply::from(name.to_owned()));
        assert_eq!(field("db.1"), None);
        assert!(field("db.0").is_some() || fields.iter().any(|(key, _)| format!("{key:?}").contains("db.0")));
    }

    #[test]
    fn the_doctor_tells_what_is_unusual_and_nothing_else() {
        const MIB: u64 = 1 << 20;
        let healthy = Report {
            used: 100 * MIB,
            active: 105 * MIB,
            allocator_resident: 110 * MIB,
            resident: 120 * MIB,
            peak: 110 * MIB,
            startup: MIB,
            clients: 0,
            modules: 0,
            libraries: 0,
            pending: 0,
            tables: 0,
            keys: 1,
        };
        let check = |report: Report, expected: &[&str]| {
            let found = findings(&report, 10);
            let words: Vec<&str> = found.iter().filter_map(|text| text.split([':', ' ']).next()).collect();
            assert_eq!(words, expected);
        };
        check(Report { peak: 200 * MIB, ..healthy }, &["Peak"]);
        check(Report { resident: 150 * MIB, ..healthy }, &["Fragmentation"]);
        check(Report { active: 120 * MIB, clients: 3 * MIB, ..healthy }, &["Allocator", "Clients"]);
        check(Report { used: MIB, resident: 150 * MIB, ..healthy }, &["The"]);
        check(healthy, &[]);
    }
}
