//! Fibonacci by double recursion: calls and nothing else.
#![no_std]
#![no_main]

include!("prelude.rs");

fn fib(n: u32) -> i64 {
    if n < 2 { i64::from(n) } else { fib(n - 1) + fib(n - 2) }
}

fn work() -> i64 {
    fib(core::hint::black_box(16))
}
