//! `make bench`: runs kvasm and redis-server side by side and keeps the ratios in `bench/README.md`.
//!
//! Runs of the servers are interleaved, and a server that is not being measured is stopped by a signal, so that the
//! machine's noise hits all of them alike and background work counts for the one that caused it.

mod arguments;
mod collections;
mod connection;
mod machine;
mod measure;
mod report;
mod server;
mod workload;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arguments::Arguments;
use report::Report;
use workload::WORKLOADS;

/// Every error ends the program, which says what failed.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The file that keeps the results of a full run.
fn readme() -> PathBuf {
    root().join("bench/README.md")
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kvasm-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1))? else {
        print!("{}", arguments::help());
        return Ok(());
    };
    let (scale, programs) = (arguments.scale(), &arguments.programs);
    let mut report = Report::new(machine::describe(programs)?);
    for workload in WORKLOADS.iter().filter(|workload| arguments.wants(workload.name)) {
        report.add(measure::compare(workload, programs, &scale)?);
    }
    if arguments.wants(collections::MEMORY) {
        let (rows, notes) = collections::memory(programs, &scale)?;
        report.add(rows);
        report.note(notes);
    }
    if arguments.wants(measure::START) {
        report.note(measure::start(&programs.kvasm, &scale)?);
    }
    if arguments.wants(measure::COLD) {
        report.add(vec![measure::cold(&programs.kvasm, &scale)?]);
    }
    if arguments.wants(collections::ELEMENT) {
        report.note(collections::element(&programs.kvasm, &scale)?);
    }
    if arguments.wants(collections::STALL) {
        report.note(collections::stall(&programs.kvasm, &scale)?);
    }
    if arguments.is_full() {
        report.write(&readme())?;
    }
    Ok(())
}
