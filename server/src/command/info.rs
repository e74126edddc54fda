//! `INFO`: what the server tells of itself, in sections.

mod sections;

use std::fmt::{Display, Write as _};

use sections::SECTIONS;

use super::{Command, Context, Flags, Group, Result, flag};
use crate::protocol::Reply;

/// The version of Redis that clients and tools may take this server for: fields of hashes expire since 7.4, and redis-py does
/// not cache what an older one answers.
pub const REDIS_VERSION: &str = "7.4.0";

/// The rows of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("info", -1, info).flags(&[Flags::LOADING, Flags::STALE, Flags::ABOUT_SERVER]).docs(
        Group::Server,
        "1.0.0",
        "O(1)",
        "Describes the server: the sections that are named, `default`, `all` or `everything`.",
        "[section [section ...]]",
    )];

/// A part of the report.
struct Section {
    /// Its title; in lower case, the name by which one asks for it.
    title: &'static str,
    /// Whether it is in the report when no section is named.
    is_default: bool,
    /// Writes its fields.
    write: fn(&Context<'_>, &mut Fields),
}

/// The text that a section writes its fields into.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn add(&mut self, name: impl Display, value: impl Display) {
        // Writing into a String cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    fn add_all(&mut self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.add(name, value);
        }
    }

    /// A number of bytes, and beside it, with `_human`, the same for people.
    fn add_bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, bytes);
        self.add(format_args!("{name}_human"), human(bytes));
    }
}

fn info(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let peak_bytes = &mut ctx.server.statistics.peak_memory_bytes;
    *peak_bytes = crate::memory::used_bytes().max(*peak_bytes);
    let names = &args[1..];
    let is_named = |word: &str| names.iter().any(|name| flag(name, word));
    let all = is_named("all") || is_named("everything");
    let default = names.is_empty() || is_named("default");
    let is_wanted = |section: &&Section| all || (default && section.is_default) || is_named(section.title);
    let mut report = Fields::default();
    for section in SECTIONS.iter().filter(is_wanted) {
        let gap = if report.0.is_empty() { "" } else { "\r\n" };
        let _ = write!(report.0, "{gap}# {}\r\n", section.title);
        (section.write)(ctx, &mut report);
    }
    Ok(Reply::Verbatim(report.0))
}

/// Bytes as Redis prints them for people.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.2}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::super::find_named;
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn bytes_are_printed_for_people_as_redis_does() {
        for (bytes, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (941_312, "919.25K"),
            (25_276_510_208, "23.54G"),
            (u64::MAX, "16777216.00T"),
        ] {
            assert_eq!(human(bytes), expected);
        }
    }

    #[track_caller]
    fn check_titles(request: &str, expected: &[&str]) {
        let Reply::Verbatim(report) = Fixture::new().run(request) else { panic!("text") };
        let titles: Vec<&str> = report.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        assert_eq!(titles, expected, "{request}");
    }

    #[test]
    fn sections_are_chosen_by_name_and_come_in_their_own_order() {
        let all: Vec<&str> = SECTIONS.iter().map(|section| section.title).collect();
        let is_default = |title: &&str| !matches!(*title, "Commandstats" | "Latencystats");
        let default: Vec<&str> = all.iter().copied().filter(is_default).collect();
        check_titles("INFO", &default);
        check_titles("INFO default", &default);
        check_titles("INFO default commandstats latencystats", &all);
        check_titles("INFO all", &all);
        check_titles("INFO EVERYTHING", &all);
        check_titles("INFO keyspace Cluster", &["Cluster", "Keyspace"]);
        check_titles("INFO nothing", &[]);
    }

    #[test]
    fn the_report_counts_keys_and_commands() {
        let mut fixture = Fixture::new();
        fixture.run("SET a 1");
        for request in ["SET b 1 EX 9", "SET c 1 EX 5", "SET d 1 EX 5", "EXPIRE d 7", "SET e 1 EX 5", "DEL e"]
        {
            fixture.run(request);
        }
        let place = find_named(b"set").expect("a command").place;
        let counted = fixture.server.statistics.command(place);
        (counted.calls, counted.duration_ns, counted.failed_calls) = (2, 5_000, 1);
        for ns in [3_000, 24_000] {
            counted.latency.add(ns);
        }
        fixture.server.options.latency_tracking_info_percentiles = vec![50.0, 99.9];
        fixture.server.statistics.count_error("WRONGTYPE of a value");
        let Reply::Verbatim(report) = fixture.run("INFO all") else { panic!("text") };
        for line in [
            "redis_version:7.4.0",
            "redis_mode:standalone",
            "cluster_enabled:0",
            "cmdstat_set:calls=2,usec=5,usec_per_call=2.50,rejected_calls=0,failed_calls=1",
            "errorstat_WRONGTYPE:count=1",
            "latency_percentiles_usec_set:p50=3.007,p99.9=24.063",
            "db0:keys=4,expires=3,avg_ttl=7000",
        ] {
            assert!(report.split("\r\n").any(|shown| shown == line), "{line}:\n{report}");
        }
        assert!(
            report.split("\r\n").all(|line| line.is_empty() || line.starts_with("# ") || line.contains(':'))
        );
    }

    #[test]
    fn section_names_are_unique() {
        let mut names: Vec<&str> = SECTIONS.iter().map(|section| section.title).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SECTIONS.len());
    }
}
