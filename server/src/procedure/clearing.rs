//! Clears an instance's memory between two calls, and leaves alone what no call has touched.
//!
//! A guest that is linked as usual has a stack of 1 MiB, and most calls touch a few KiB of it. Clearing all of it takes
//! longer than such a call. The kernel knows which pages of a process have ever been touched (`/proc/self/pagemap`), so
//! the memory is first given back to the kernel, and from then on only the touched pages are cleared. Knows nothing of
//! wasm3.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::{io, ptr};

use rustix::mm::{Advice, madvise};

/// Memories up to this size are cleared whole: asking the kernel would take longer.
const MAX_WHOLE_BYTES: usize = 128 * 1024;
/// After so many calls the memory is given back again, so that pages that one call has touched are not cleared for ever.
const CALLS_BETWEEN_RELEASES: u32 = 256;
/// Pages that the kernel is asked about at once.
const MAX_PAGES_A_READ: usize = 512;
/// Of a page's entry in `pagemap`, a `u64`: the page is in memory or was moved to swap. Neither means that nobody has
/// touched it since it was given back, and then it reads as zeros.
/// Source: <https://docs.kernel.org/admin-guide/mm/pagemap.html>
const TOUCHED: u64 = 1 << 63 | 1 << 62;

/// What the kernel knows of this process' pages; `None` where it does not tell.
static PAGEMAP: LazyLock<Option<File>> = LazyLock::new(|| File::open("/proc/self/pagemap").ok());

/// How one memory is cleared.
#[derive(Debug, Default)]
pub(super) struct Clearing {
    calls_until_release: u32,
    /// The last call touched most pages: asking which ones is then a waste of time, until the next release.
    dense: bool,
}

impl Clearing {
    /// Fills `memory` with zeros.
    pub(super) fn clear(&mut self, memory: &mut [u8]) {
        let pagemap = match &*PAGEMAP {
            Some(pagemap) if memory.len() > MAX_WHOLE_BYTES => pagemap,
            _ => return memory.fill(0),
        };
        let page_bytes = rustix::param::page_size();
        let (before, pages) = memory.split_at_mut(memory.as_ptr().align_offset(page_bytes));
        let (pages, after) = pages.split_at_mut(pages.len() / page_bytes * page_bytes);
        before.fill(0);
        after.fill(0);
        if self.calls_until_release == 0 {
            release(pages);
            *self = Self { calls_until_release: CALLS_BETWEEN_RELEASES, dense: false };
            return;
        }
        self.calls_until_release -= 1;
        if self.dense {
            return pages.fill(0);
        }
        match clear_touched(pagemap, pages, page_bytes) {
            Ok(touched) => self.dense = touched > pages.len() / page_bytes / 2,
            Err(_) => pages.fill(0),
        }
    }
}

/// Gives whole pages back to the kernel, after which they read as zeros.
fn release(pages: &mut [u8]) {
    // SAFETY: the range is a `&mut [u8]` of whole pages, so nobody else has a reference into it, and any bytes are valid
    // there. It lies on the heap, in private anonymous memory, which reads as zeros after this.
    let released = unsafe { madvise(ptr::from_mut(pages).cast(), pages.len(), Advice::LinuxDontNeed) };
    if released.is_err() {
        pages.fill(0);
    }
}

/// Clears the pages that were touched since they were released, and tells how many these were.
fn clear_touched(pagemap: &File, pages: &mut [u8], page_bytes: usize) -> io::Result<usize> {
    const ENTRY_BYTES: usize = size_of::<u64>();
    let mut entries = [0; MAX_PAGES_A_READ * ENTRY_BYTES];
    let mut touched = 0;
    for pages in pages.chunks_mut(MAX_PAGES_A_READ * page_bytes) {
        let entries = &mut entries[..pages.len() / page_bytes * ENTRY_BYTES];
        let first_page = pages.as_ptr().addr() / page_bytes;
        pagemap.read_exact_at(entries, (first_page * ENTRY_BYTES) as u64)?;
        let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
        for (entry, page) in entries.iter().zip(pages.chunks_exact_mut(page_bytes)) {
            if u64::from_ne_bytes(*entry) & TOUCHED != 0 {
                page.fill(0);
                touched += 1;
            }
        }
    }
    Ok(touched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_written_is_left() {
        for bytes in [0, 1, MAX_WHOLE_BYTES, MAX_WHOLE_BYTES + 1, 17 * 65_536 + 40] {
            let zeros = vec![0; bytes];
            let mut memory = vec![1; bytes];
            let mut clearing = Clearing::default();
            for call in 0..2 * CALLS_BETWEEN_RELEASES + 10 {
                clearing.clear(&mut memory);
                assert!(memory == zeros, "{bytes} bytes, call {call}");
                if call % 100 == 7 {
                    memory.fill(1);
                }
                for _ in 0..fastrand::usize(0..9).min(bytes) {
                    memory[fastrand::usize(0..bytes)] = 1;
                }
                if let [first, .., last] = &mut memory[..] {
                    (*first, *last) = (1, 1);
                }
            }
        }
    }

    #[test]
    fn few_pages_are_cleared_when_few_were_touched() {
        let pagemap = PAGEMAP.as_ref().expect("Linux tells");
        let page_bytes = rustix::param::page_size();
        let mut memory = vec![1; 17 * 65_536];
        let start = memory.as_ptr().align_offset(page_bytes);
        let pages = &mut memory[start..][..256 * page_bytes];
        release(pages);
        assert_eq!(clear_touched(pagemap, pages, page_bytes).expect("readable"), 0);
        pages[3 * page_bytes] = 1;
        pages[200 * page_bytes] = 1;
        // The kernel may give more than the page that was asked for.
        assert!((2..128).contains(&clear_touched(pagemap, pages, page_bytes).expect("readable")));
    }
}
