//! How much memory the process uses, and in pages of which size: the only room of the allocator's statistics.

use std::fs;

use tikv_jemalloc_ctl::{epoch, stats, stats_print};

/// Bytes that the process has allocated; 0 when the allocator does not tell.
///
/// It makes the allocator add up its caches first, which takes some microseconds: not for every command.
#[must_use]
pub fn used_bytes() -> u64 {
    let allocated = epoch::advance().and_then(|_| stats::allocated::read());
    allocated.map_or(0, |bytes| bytes as u64)
}

/// Bytes in pages that the allocator has in use; as of the last [`used_bytes`].
#[must_use]
pub fn active_bytes() -> u64 {
    stats::active::read().map_or(0, |bytes| bytes as u64)
}

/// Bytes that the allocator holds in physical memory, as of the last [`used_bytes`].
#[must_use]
pub fn allocator_resident_bytes() -> u64 {
    stats::resident::read().map_or(0, |bytes| bytes as u64)
}

/// Says whether memory that is touched from now on may come in huge pages; without a word they may.
///
/// The allocator asks for them everywhere. They make look-ups in a large keyspace faster, and round what a small one
/// takes up to 2 MiB for each part of the allocator.
pub fn allow_huge_pages(allowed: bool) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(!allowed) {
        tracing::debug!(%error, "the size of pages stays as it is");
    }
}

/// All that the allocator tells of itself, for people.
#[must_use]
pub fn allocator_report() -> String {
    let mut text = Vec::new();
    // What has been written when it fails is all that there is to show.
    let _ = stats_print::stats_print(&mut text, stats_print::Options::default());
    String::from_utf8_lossy(&text).into_owned()
}

/// Bytes of the process that are in physical memory; 0 where there is no `/proc`.
#[must_use]
pub fn resident_bytes() -> u64 {
    bytes_in("/proc/self/status", "VmRSS:")
}

/// Bytes of memory that the machine has; 0 where there is no `/proc`.
#[must_use]
pub fn total_bytes() -> u64 {
    bytes_in("/proc/meminfo", "MemTotal:")
}

fn bytes_in(path: &str, name: &str) -> u64 {
    kilobytes(&fs::read_to_string(path).unwrap_or_default(), name).unwrap_or(0) * 1024
}

/// The number in a line such as `VmRSS:     1234 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_by_its_name() {
        let text = "VmPeak:\t 9 kB\nVmRSS:\t    1234 kB\nThreads:\t1\n";
        assert_eq!(kilobytes(text, "VmRSS:"), Some(1234));
        assert_eq!(kilobytes(text, "Threads:"), None);
        assert_eq!(kilobytes("", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_in_memory_and_fits_the_machine() {
        assert!(0 < resident_bytes() && resident_bytes() < total_bytes());
    }
}
