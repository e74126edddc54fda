//! `docs/commands.md`, made from the table; a test compares the file with it.

use std::fmt::Write as _;

use super::{Command, Group, Run, all, differences};

/// The groups in the order of the page, with their titles.
const GROUPS: &[(Group, &str)] = &[
    (Group::String, "Strings"),
    (Group::Bitmap, "Bits of strings"),
    (Group::List, "Lists"),
    (Group::Hash, "Hashes"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Geo, "Geospatial"),
    (Group::HyperLogLog, "HyperLogLog"),
    (Group::Stream, "Streams"),
    (Group::Generic, "Keys of any type"),
    (Group::Scripting, "Procedures and triggers"),
    (Group::Transactions, "Transactions"),
    (Group::PubSub, "Publish/subscribe"),
    (Group::Connection, "Connections"),
    (Group::Server, "Server"),
];

/// The text of `docs/commands.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Commands\n\
         \n\
         Generated from the command table (`server/src/command`): change a row there, then run\n\
         `UPDATE_DOCS=1 cargo test -p kvasm --lib up_to_date`.\n\
         \n\
         A command does what the command of that name does in Redis, in the version that \"since\" names or a later one;\n\
         `kvasm` there marks what Redis does not have. [Differences](#differences-from-redis) are at the end.\n",
    );
    for (group, title) in GROUPS {
        let _ =
            write!(text, "\n## {title}\n\n| command | what it does | time | since |\n|---|---|---|---|\n");
        for row in all().filter(|row| row.group == *group) {
            if !matches!(row.run, Run::Container) {
                add_row(&mut text, None, row);
            }
            row.subcommands.iter().for_each(|own| add_row(&mut text, Some(row), own));
        }
    }
    add_differences(&mut text);
    text
}

fn add_differences(text: &mut String) {
    text.push_str("\n## Differences from Redis\n\n");
    for difference in differences::GENERAL {
        let _ = writeln!(text, "- {difference}");
    }
    text.push_str("\n| differs | how |\n|---|---|\n");
    for (name, how) in differences::BY_COMMAND {
        let _ = writeln!(text, "| `{name}` | {how} |");
    }
    text.push_str("\n| absent | why |\n|---|---|\n");
    for (names, why) in differences::ABSENT {
        let _ = writeln!(text, "| `{}` | {why} |", names.join("`, `"));
    }
}

fn add_row(text: &mut String, container: Option<&Command>, row: &Command) {
    let names = container.map(|container| container.name).into_iter().chain([row.name]);
    let names: Vec<String> = names.map(str::to_uppercase).collect();
    let usage = format!("{} {}", names.join(" "), row.syntax);
    // A bar would end the cell.
    let [usage, summary, complexity] =
        [usage.trim_end(), row.summary, row.complexity].map(|cell| cell.replace('|', "\\|"));
    let _ = writeln!(text, "| `{usage}` | {summary} | {complexity} | {} |", row.since);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_on_the_page_once() {
        let page = markdown();
        for row in all() {
            let name = row.name.to_uppercase();
            let rows = page.lines().filter(|line| {
                let usage = line.strip_prefix("| `").unwrap_or_default();
                let is_described = line.matches(" | ").count() > 1;
                is_described && usage.strip_prefix(&name).is_some_and(|rest| rest.starts_with([' ', '`']))
            });
            let own = usize::from(!matches!(row.run, Run::Container));
            assert_eq!(rows.count(), own + row.subcommands.len(), "{name}");
        }
    }

    #[test]
    fn the_page_in_the_repository_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).expect("docs/commands.md can be written");
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(text == markdown(), "run: UPDATE_DOCS=1 cargo test -p kvasm --lib up_to_date");
    }
}
