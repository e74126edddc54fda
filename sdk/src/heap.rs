//! The allocator of a guest, over any memory that grows at its end.
//!
//! Blocks come in size classes, four to each doubling. A freed block goes to the free list of its class and serves the
//! next request of that class, so that a loop which allocates and frees does not grow the memory; the block at the
//! heap's end grows, shrinks and is freed in place, which makes growing vectors cheap. Nothing is merged: the
//! server gives every call a fresh memory, so fragments do not outlive a call.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// The least size of a block, which holds the link of a free list, and the alignment of every block.
const GRAIN: usize = 16;
/// Classes of up to this many bytes are `GRAIN` apart.
const LINEAR_LIMIT: usize = 128;
/// Enough for a block as large as the address space.
const CLASSES: usize = LINEAR_LIMIT / GRAIN + 4 * (usize::BITS as usize - LINEAR_LIMIT.ilog2() as usize);

/// The memory under a heap.
pub trait Region {
    /// The address at which the heap begins.
    fn start(&self) -> usize;
    /// Makes the addresses below `end` usable. Whether it could.
    fn extend(&mut self, end: usize) -> bool;
}

/// The state of the allocator.
pub struct Heap<R> {
    region: R,
    /// The first address never handed out; 0 before the first request.
    top: usize,
    /// The first address that is not usable yet.
    end: usize,
    /// The free blocks of each class, linked through their first word.
    free: [*mut u8; CLASSES],
}

impl<R: Region> Heap<R> {
    pub const fn new(region: R) -> Self {
        Self { region, top: 0, end: 0, free: [ptr::null_mut(); CLASSES] }
    }

    /// As `GlobalAlloc::alloc`, with the same duties for the caller.
    pub unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout.size()) else {
            return ptr::null_mut();
        };
        if layout.align() > GRAIN {
            return self.extend_top(layout.align(), class.size);
        }
        if let Some(block) = NonNull::new(self.free[class.index]) {
            // SAFETY: a block on a free list is owned by the heap, aligned to GRAIN, and its first word was written by
            // `dealloc` when it was put there.
            self.free[class.index] = unsafe { block.cast::<*mut u8>().read() };
            return block.as_ptr();
        }
        self.extend_top(GRAIN, class.size)
    }

    /// As `GlobalAlloc::dealloc`, with the same duties for the caller.
    #[expect(clippy::cast_ptr_alignment, reason = "blocks are aligned to GRAIN")]
    pub unsafe fn dealloc(&mut self, block: *mut u8, layout: Layout) {
        let Some(class) = Class::of(layout.size()) else {
            return;
        };
        if block.addr() + class.size == self.top {
            self.top = block.addr();
        } else if layout.align() <= GRAIN {
            // SAFETY: the caller gives the block back: nobody else uses its memory, which has room for a pointer and is
            // aligned to GRAIN.
            unsafe { block.cast::<*mut u8>().write(self.free[class.index]) };
            self.free[class.index] = block;
        }
        // A block of a larger alignment in the middle is not used again: there are next to none.
    }

    /// As `GlobalAlloc::realloc`, with the same duties for the caller.
    pub unsafe fn realloc(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (Some(old), Some(new)) = (Class::of(layout.size()), Class::of(new_size)) else {
            return ptr::null_mut();
        };
        if old.index == new.index {
            return block;
        }
        if block.addr() + old.size == self.top {
            let Some(top) = block.addr().checked_add(new.size) else {
                return ptr::null_mut();
            };
            return if self.reach(top) { block } else { ptr::null_mut() };
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the layout has the caller's alignment and new size, which is not 0.
        let target = unsafe { self.alloc(new_layout) };
        if !target.is_null() {
            // SAFETY: both blocks are valid for the smaller size, and distinct since the old one is still in use; the
            // old one is given back after its last use.
            unsafe {
                ptr::copy_nonoverlapping(block, target, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
        }
        target
    }

    /// A new block at the end of the heap.
    fn extend_top(&mut self, align: usize, size: usize) -> *mut u8 {
        if self.top == 0 {
            self.top = self.region.start();
            self.end = self.top;
        }
        let block = self.top.checked_next_multiple_of(align);
        let Some((block, top)) = block.and_then(|block| Some((block, block.checked_add(size)?))) else {
            return ptr::null_mut();
        };
        if self.reach(top) { ptr::with_exposed_provenance_mut(block) } else { ptr::null_mut() }
    }

    /// Moves the end of the heap's blocks to `top`, if the memory reaches so far or can be made to.
    fn reach(&mut self, top: usize) -> bool {
        if top > self.end {
            if !self.region.extend(top) {
                return false;
            }
            self.end = top;
        }
        self.top = top;
        true
    }
}

/// A class of block sizes.
struct Class {
    index: usize,
    /// The size of its blocks: at least as much as was asked for.
    size: usize,
}

impl Class {
    /// `None` when no memory is so large.
    fn of(size: usize) -> Option<Self> {
        if size <= LINEAR_LIMIT {
            let grains = size.max(1).div_ceil(GRAIN);
            return Some(Self { index: grains - 1, size: grains * GRAIN });
        }
        // The three highest bits of the size, rounded up, are the class.
        let bits = usize::BITS - (size - 1).leading_zeros();
        let shift = bits - 3;
        let step = (size - 1) >> shift;
        let doublings = (bits - LINEAR_LIMIT.ilog2() - 1) as usize;
        let index = LINEAR_LIMIT / GRAIN + doublings * 4 + (step - 4);
        Some(Self { index, size: (step + 1).checked_mul(1 << shift)? })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Bytes for the tests' heaps.
    const REGION_BYTES: usize = 1 << 20;

    struct Fixed {
        memory: Vec<u128>,
        /// The highest end that was asked for.
        reached: usize,
    }

    impl Region for Fixed {
        fn start(&self) -> usize {
            self.memory.as_ptr().expose_provenance()
        }

        fn extend(&mut self, end: usize) -> bool {
            self.reached = end;
            end <= self.start() + REGION_BYTES
        }
    }

    fn heap() -> Heap<Fixed> {
        Heap::new(Fixed { memory: std::vec![0; REGION_BYTES / size_of::<u128>()], reached: 0 })
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn a_class_holds_its_sizes_and_wastes_at_most_a_quarter() {
        let mut previous = Class { index: 0, size: 0 };
        for size in 1..100_000 {
            let class = Class::of(size).unwrap();
            assert!(class.size >= size && class.size.is_multiple_of(GRAIN));
            assert!(class.size - size < GRAIN || class.size - size <= size / 4, "{size}: {}", class.size);
            assert!(class.index == previous.index || class.index == previous.index + 1);
            assert_eq!(class.index == previous.index, class.size == previous.size || size == 1);
            previous = class;
        }
        assert!(Class::of(1 << (usize::BITS - 1)).unwrap().index < CLASSES);
        assert!(Class::of(usize::MAX).is_none());
    }

    #[test]
    fn blocks_never_overlap_and_keep_their_content() {
        let mut heap = heap();
        let mut blocks: Vec<(*mut u8, usize, u8)> = Vec::new();
        let mut random = 1_u64;
        for round in 0..50_000_u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = (random >> 33) as usize;
            let size = 1 + choice % if choice.is_multiple_of(7) { 3000 } else { 200 };
            let mark = round as u8;
            let kept = |block: *mut u8, size: usize, mark: u8| {
                // SAFETY: `size` bytes of the block were written when it was handed out.
                unsafe { (0..size).all(|at| block.add(at).read() == mark) }
            };
            // SAFETY: each block is used within its size and given back once, with the layout it has at the time.
            unsafe {
                if blocks.len() < 10 || (blocks.len() < 300 && choice.is_multiple_of(3)) {
                    let block = heap.alloc(layout(size));
                    assert!(!block.is_null() && block.addr().is_multiple_of(GRAIN));
                    block.write_bytes(mark, size);
                    blocks.push((block, size, mark));
                    continue;
                }
                let (block, old_size, old_mark) = blocks.swap_remove(choice % blocks.len());
                if choice.is_multiple_of(2) {
                    assert!(kept(block, old_size, old_mark));
                    heap.dealloc(block, layout(old_size));
                } else {
                    let moved = heap.realloc(block, layout(old_size), size);
                    assert!(!moved.is_null() && kept(moved, old_size.min(size), old_mark));
                    moved.write_bytes(mark, size);
                    blocks.push((moved, size, mark));
                }
            }
        }
    }

    #[test]
    fn any_alignment_is_kept() {
        let mut heap = heap();
        for align in (0..12).map(|shift| 1 << shift) {
            // SAFETY: the blocks are given back once, with their layout.
            unsafe {
                let layout = Layout::from_size_align(40, align).unwrap();
                let (first, second) = (heap.alloc(layout), heap.alloc(layout));
                assert!(first.addr().is_multiple_of(align) && second.addr().is_multiple_of(align));
                assert!(first.addr() + 40 <= second.addr());
                heap.dealloc(first, layout);
                heap.dealloc(second, layout);
            }
        }
    }

    #[test]
    fn a_loop_that_frees_what_it_allocates_does_not_grow_the_memory() {
        let mut heap = heap();
        let mut after_first = 0;
        for round in 0..1000 {
            // SAFETY: both blocks are given back once, in the order that does not take back the heap's end.
            unsafe {
                let (first, second) = (heap.alloc(layout(500)), heap.alloc(layout(3000)));
                heap.dealloc(first, layout(500));
                heap.dealloc(second, layout(3000));
            }
            if round == 0 {
                after_first = heap.region.reached;
            }
            assert_eq!(heap.region.reached, after_first);
        }
    }

    #[test]
    fn the_last_block_grows_in_place() {
        let mut heap = heap();
        // SAFETY: the block is used with its present layout only.
        unsafe {
            let block = heap.alloc(layout(16));
            assert_eq!(heap.realloc(block, layout(16), 100_000), block);
            assert_eq!(heap.realloc(block, layout(100_000), 32), block);
            assert_eq!(heap.alloc(layout(16)).addr(), block.addr() + 32);
        }
    }

    #[test]
    fn more_than_there_is_is_refused() {
        let mut heap = heap();
        for size in [REGION_BYTES + 1, usize::MAX >> 1] {
            // SAFETY: the layout's size is not 0; nothing is done with the result.
            unsafe {
                assert!(heap.alloc(Layout::from_size_align(size, 1).unwrap()).is_null());
                let block = heap.alloc(layout(16));
                assert!(heap.realloc(block, layout(16), size).is_null());
                heap.dealloc(block, layout(16));
            }
        }
    }
}
