//! The command line of the benchmark.

use std::path::PathBuf;

use crate::workload::WORKLOADS;
use crate::{Result, measure, root};

/// What to run.
pub struct Arguments {
    /// The server that is compared with redis-server.
    pub kvasm: PathBuf,
    /// Fewer requests and runs: shows that everything works, not how fast it is.
    is_quick: bool,
    only: Option<String>,
    runs: Option<usize>,
}

/// How much of everything.
pub struct Scale {
    /// Runs of which the median counts.
    pub runs: usize,
    /// By what the numbers of requests and keys are divided.
    pub divisor: u64,
}

impl Arguments {
    /// Reads the arguments; `None` asks for help.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let kvasm = root().join("target/release/kvasm");
        let mut parsed = Self { kvasm, is_quick: false, only: None, runs: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--help" => return Ok(None),
                "--quick" => parsed.is_quick = true,
                "--kvasm" => parsed.kvasm = value()?.into(),
                "--only" => parsed.only = Some(value()?),
                "--runs" => {
                    parsed.runs =
                        Some(value()?.parse().ok().filter(|runs| *runs > 0).ok_or("--runs: a number")?);
                }
                _ => return Err(format!("there is no option {argument}; see --help").into()),
            }
        }
        match &parsed.only {
            Some(only) if !names().any(|name| name == only) => {
                Err(format!("there is no measurement {only}; see --help").into())
            }
            _ => Ok(Some(parsed)),
        }
    }

    /// Whether the measurement of this name is to be run.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }

    /// Whether the results are worth keeping.
    pub fn is_full(&self) -> bool {
        !self.is_quick && self.only.is_none()
    }

    /// How much of everything to run.
    pub fn scale(&self) -> Scale {
        let (runs, divisor) = if self.is_quick { (1, 20) } else { (5, 1) };
        Scale { runs: self.runs.unwrap_or(runs), divisor }
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let others = [measure::MEMORY, measure::START, measure::COLD];
    WORKLOADS.iter().map(|workload| workload.name).chain(others)
}

/// The text of `--help`.
pub fn help() -> String {
    format!(
        "kvasm-bench [--quick] [--only NAME] [--runs N] [--kvasm PATH]\n\n\
         --quick   a twentieth of the requests, one run: shows that everything works\n\
         --only    one measurement: {}\n\
         --runs    runs of which the median counts (5)\n\
         --kvasm   the server to compare with redis-server; a redis-server here measures the noise\n\n\
         A full run writes its results into bench/README.md.\n",
        names().collect::<Vec<_>>().join(", ")
    )
}
