//! The table of results, on the terminal and in `bench/README.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;

const BEGIN: &str = "<!-- results: begin -->";
const END: &str = "<!-- results: end -->";
const HEADER: &str = "| workload | compared with | kvasm | ratio | target | |\n|---|---|---|---|---|---|";

/// Which way a ratio is better.
#[derive(Clone, Copy)]
pub enum Target {
    /// kvasm over the other must be at least this.
    AtLeast(f64),
    /// kvasm over the other must be at most this.
    AtMost(f64),
}

impl Target {
    fn is_reached(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(target) => ratio >= target,
            Self::AtMost(target) => ratio <= target,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(target) => format!("≥ {target:.1}"),
            Self::AtMost(target) => format!("≤ {target:.1}"),
        }
    }
}

/// One comparison.
pub struct Row {
    /// What was measured.
    pub title: String,
    /// The other side and its result.
    pub other: (String, f64),
    /// Our side and its result.
    pub kvasm: (String, f64),
    /// Of both results.
    pub unit: &'static str,
    /// The ratio to reach.
    pub target: Target,
}

/// All results.
pub struct Report {
    machine: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// An empty report about this machine; what is added is shown as it comes.
    pub fn new(machine: String) -> Self {
        println!("{machine}\n\n{HEADER}");
        Self { machine, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds rows.
    pub fn add(&mut self, rows: Vec<Row>) {
        for row in rows {
            println!("{}", line(&row));
            self.rows.push(row);
        }
    }

    /// Adds lines that compare nothing.
    pub fn note(&mut self, notes: Vec<String>) {
        for note in notes {
            println!("{note}");
            self.notes.push(note);
        }
    }

    /// The results as Markdown.
    fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        if !self.rows.is_empty() {
            text.push_str(
                "| workload | compared with | kvasm | ratio | target | |\n|---|---|---|---|---|---|\n",
            );
        }
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row));
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// Puts the results between the markers of a file and leaves the rest as it is.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = replace_between_markers(&fs::read_to_string(path)?, &self.markdown());
        fs::write(path, text.ok_or_else(|| format!("{} has no markers for the results", path.display()))?)?;
        Ok(())
    }
}

fn replace_between_markers(text: &str, results: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{results}{END}{after}"))
}

fn line(row: &Row) -> String {
    let ratio = row.kvasm.1 / row.other.1;
    format!(
        "| {} | {}: {} | {}: {} | {ratio:.2} | {} | {} |",
        row.title,
        row.other.0,
        quantity(row.other.1, row.unit),
        row.kvasm.0,
        quantity(row.kvasm.1, row.unit),
        row.target.text(),
        if row.target.is_reached(ratio) { "reached" } else { "**missed**" },
    )
}

/// A number with its unit, with as many digits as mean something.
fn quantity(value: f64, unit: &str) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2} M{unit}", value / 1e6),
        value if value >= 1e4 => format!("{:.0} k{unit}", value / 1e3),
        value if value >= 1e3 => format!("{:.1} k{unit}", value / 1e3),
        value => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_replace_what_is_between_the_markers() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(replace_between_markers(text, "new\n").as_deref(), expected);
        };
        check(&format!("a\n{BEGIN}\nold\n{END}\nb"), Some(&format!("a\n{BEGIN}\nnew\n{END}\nb")));
        check(&format!("{BEGIN}{END}"), Some(&format!("{BEGIN}\nnew\n{END}")));
        check(BEGIN, None);
        check("", None);
    }

    #[test]
    fn a_line_tells_whether_the_target_is_reached() {
        let check = |kvasm: f64, target: Target, expected: &str| {
            let sides = (("Redis".to_owned(), 1e6), ("everysec".to_owned(), kvasm));
            let row = Row { title: "GET".to_owned(), other: sides.0, kvasm: sides.1, unit: "/s", target };
            assert_eq!(line(&row), expected);
        };
        check(
            1.2e6,
            Target::AtLeast(1.2),
            "| GET | Redis: 1.00 M/s | everysec: 1.20 M/s | 1.20 | ≥ 1.2 | reached |",
        );
        check(
            5e4,
            Target::AtLeast(1.2),
            "| GET | Redis: 1.00 M/s | everysec: 50 k/s | 0.05 | ≥ 1.2 | **missed** |",
        );
        check(
            1.2e6,
            Target::AtMost(1.1),
            "| GET | Redis: 1.00 M/s | everysec: 1.20 M/s | 1.20 | ≤ 1.1 | **missed** |",
        );
        check(
            999.0,
            Target::AtMost(1.1),
            "| GET | Redis: 1.00 M/s | everysec: 999 /s | 0.00 | ≤ 1.1 | reached |",
        );
    }
}
