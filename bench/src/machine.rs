//! What the results were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::Result;
use crate::arguments::Programs;

/// One line: processor, cores, memory, kernel and the versions of the servers.
pub fn describe(programs: &Programs) -> Result<String> {
    let cores = thread::available_parallelism()?;
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory_kib: u64 = field("/proc/meminfo", "MemTotal")
        .and_then(|value| value.trim_end_matches(" kB").parse().ok())
        .unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!(
        "{cores} cores of {model}, {} GiB of memory, Linux {}; {}; {}",
        memory_kib.div_ceil(1 << 20),
        kernel.trim(),
        version(&programs.kvasm)?,
        version(&programs.opponent)?,
    ))
}

/// The value after `name :` in a file of /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) =
        text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name))?;
    Some(value.trim().to_owned())
}

fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary)
        .arg("--version")
        .output()
        .map_err(|error| format!("cannot start {}: {error}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `Redis server v=7.0.15 sha=...`: the rest says nothing here.
    Ok(text.split_whitespace().take_while(|word| !word.starts_with("sha=")).collect::<Vec<_>>().join(" "))
}
