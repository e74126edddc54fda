//! What a heap allocation really occupies. Knows the allocator's size classes and nothing else.

/// Bytes that the allocator (jemalloc) sets aside for a request of `len` bytes; 0 for none.
///
/// Size classes are 8 and multiples of 16 up to 128, then four in each doubling; large blocks are whole pages.
#[must_use]
pub const fn allocation_size(len: usize) -> usize {
    const SMALL_MAX: usize = 14 * 1024;
    const PAGE: usize = 4096;
    match len {
        0 => 0,
        1..=8 => 8,
        9..=128 => len.next_multiple_of(16),
        129..=SMALL_MAX => len.next_multiple_of(len.next_power_of_two() / 8),
        _ => len.next_multiple_of(PAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::allocation_size;

    #[test]
    fn sizes_are_those_of_the_allocator() {
        for len in (1..20_000).chain([64 * 1024, 64 * 1024 + 8, 100_000, 1 << 20, (1 << 20) + 1]) {
            // The binary uses jemalloc, the test harness the system's allocator: ask jemalloc by name.
            let layout = std::alloc::Layout::array::<u8>(len).expect("a small layout");
            // SAFETY: the layout is not empty, the block is asked for its size and freed with the same layout.
            let usable = unsafe {
                let block = std::alloc::GlobalAlloc::alloc(&tikv_jemallocator::Jemalloc, layout);
                let usable = tikv_jemallocator::usable_size(block);
                std::alloc::GlobalAlloc::dealloc(&tikv_jemallocator::Jemalloc, block, layout);
                usable
            };
            assert_eq!(allocation_size(len), usable, "for {len}");
        }
        assert_eq!(allocation_size(0), 0);
    }
}
