// Shared by the guests of the `metering` example: what a freestanding module needs.

#[link(wasm_import_module = "kvasm_1")]
unsafe extern "C" {
    safe fn reply_integer(value: i64);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Pseudo-random numbers (xorshift), the same at every call.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// Fills a buffer with pseudo-random bytes.
fn fill(bytes: &mut [u8]) {
    let mut random = Random(2_463_534_242);
    for byte in bytes {
        *byte = random.next() as u8;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn run() {
    reply_integer(work());
}
