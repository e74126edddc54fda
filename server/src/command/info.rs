//! `INFO`: what the server tells of itself, in sections.

mod sections;

use std::fmt::{Display, Write as _};

use sections::SECTIONS;

use super::{Command, Context, Flags, Group, Result, flag};
use crate::protocol::Reply;

/// The version of Redis that clients and tools may take this server for.
pub const REDIS_VERSION: &str = "7.2.0";

/// The rows of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("info", -1, info).flags(&[Flags::LOADING, Flags::STALE]).docs(
        Group::Server,
        "1.0.0",
        "O(1)",
        "Returns what the server tells of itself; one may name sections, `default`, `all` or `everything`.",
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

    #[test]
    fn section_names_are_unique() {
        let mut names: Vec<&str> = SECTIONS.iter().map(|section| section.title).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SECTIONS.len());
    }
}
