#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kvasm_fuzz::challenge(data));
