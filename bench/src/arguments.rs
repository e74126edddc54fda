//! The command line of the benchmark.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::workload::WORKLOADS;
use crate::{Result, collections, measure, root};

/// Whom kvasm is compared with unless somebody else is named.
const REDIS: &str = "redis-server";

/// The servers to compare.
pub struct Programs {
    /// kvasm, or whatever stands in for it.
    pub kvasm: PathBuf,
    /// redis-server, or one that works as it does.
    pub opponent: PathBuf,
}

impl Programs {
    /// What the report calls the opponent.
    pub fn opponent_name(&self) -> &'static str {
        let name = self.opponent.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with("valkey") { "Valkey" } else { "Redis" }
    }
}

/// What to run.
pub struct Arguments {
    /// The servers.
    pub programs: Programs,
    /// Fewer requests and runs: shows that everything works, not how fast it is.
    is_quick: bool,
    only: Vec<String>,
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
        let programs = Programs { kvasm, opponent: REDIS.into() };
        let mut parsed = Self { programs, is_quick: false, only: Vec::new(), runs: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--help" => return Ok(None),
                "--quick" => parsed.is_quick = true,
                "--kvasm" => parsed.programs.kvasm = value()?.into(),
                "--against" => parsed.programs.opponent = value()?.into(),
                "--only" => parsed.only = value()?.split(',').map(str::to_owned).collect(),
                "--runs" => {
                    parsed.runs =
                        Some(value()?.parse().ok().filter(|runs| *runs > 0).ok_or("--runs: a number")?);
                }
                _ => return Err(format!("there is no option {argument}; see --help").into()),
            }
        }
        match parsed.only.iter().find(|only| !names().any(|name| name == *only)) {
            Some(only) => Err(format!("there is no measurement {only}; see --help").into()),
            None => Ok(Some(parsed)),
        }
    }

    /// Whether the measurement of this name is to be run.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Whether the results are worth keeping.
    pub fn is_full(&self) -> bool {
        !self.is_quick && self.only.is_empty() && self.programs.opponent.as_os_str() == REDIS
    }

    /// How much of everything to run.
    pub fn scale(&self) -> Scale {
        let (runs, divisor) = if self.is_quick { (1, 20) } else { (5, 1) };
        Scale { runs: self.runs.unwrap_or(runs), divisor }
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let others =
        [measure::START, measure::COLD, collections::MEMORY, collections::ELEMENT, collections::STALL];
    WORKLOADS.iter().map(|workload| workload.name).chain(others)
}

/// The text of `--help`.
pub fn help() -> String {
    format!(
        "kvasm-bench [--quick] [--only NAME[,NAME ...]] [--runs N] [--kvasm PATH] [--against PATH]\n\n\
         --quick   a twentieth of the requests, one run: shows that everything works\n\
         --only    these measurements: {}\n\
         --runs    runs of which the median counts (5)\n\
         --kvasm   the server to compare with redis-server; a redis-server here measures the noise\n\
         --against redis-server, or another server that takes its options, such as valkey-server\n\n\
         A full run writes its results into bench/README.md.\n",
        names().collect::<Vec<_>>().join(", ")
    )
}
