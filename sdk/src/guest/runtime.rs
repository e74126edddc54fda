//! What a `no_std` guest needs to run: an allocator and an answer to panics.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use super::imports;
use crate::heap::{Heap, Region};

#[cfg(target_feature = "atomics")]
compile_error!("a guest has one thread: its allocator takes no locks");

const PAGE_BYTES: usize = 65_536;

/// The guest's linear memory, from the end of its static data.
struct LinearMemory;

unsafe extern "C" {
    /// Placed by the linker at the end of the static data.
    static __heap_base: u8;
}

impl Region for LinearMemory {
    fn start(&self) -> usize {
        (&raw const __heap_base).expose_provenance()
    }

    fn extend(&mut self, end: usize) -> bool {
        let pages = end.div_ceil(PAGE_BYTES);
        let missing = pages.saturating_sub(memory_size::<0>());
        missing == 0 || memory_grow::<0>(missing) != usize::MAX
    }
}

struct Allocator(UnsafeCell<Heap<LinearMemory>>);

// SAFETY: a guest has one thread.
unsafe impl Sync for Allocator {}

// SAFETY: `Heap` hands out distinct blocks of the size and alignment asked for; none of its methods calls back into the
// allocator, so the exclusive borrows do not overlap.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, no re-entry; the caller keeps the duties of `alloc`.
        unsafe { (*self.0.get()).alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { (*self.0.get()).dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { (*self.0.get()).realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Heap::new(LinearMemory)));

/// The longest text of a panic; the rest is cut off.
const MAX_PANIC_BYTES: usize = 256;

/// Text in a fixed buffer, since a panic may come from want of memory.
struct Text {
    bytes: [u8; MAX_PANIC_BYTES],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes().take(MAX_PANIC_BYTES - self.length) {
            self.bytes[self.length] = if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
            self.length += 1;
        }
        Ok(())
    }
}

/// Ends the procedure: `PANIC message (file:line)`.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut text = Text { bytes: [0; MAX_PANIC_BYTES], length: 0 };
    // Writing to `Text` cannot fail; if a message's own formatting does, what is there must do.
    let _ = write!(text, "PANIC {}", info.message());
    if let Some(location) = info.location() {
        let _ = write!(text, " ({}:{})", short(location.file()), location.line());
    }
    imports::abort(&text.bytes[..text.length])
}

/// A path within the crate as it is; of one that tells where a machine keeps its sources only the last part.
fn short(path: &str) -> &str {
    if path.starts_with('/') { path.rsplit('/').next().unwrap_or(path) } else { path }
}
