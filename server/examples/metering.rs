//! Measures the wasm side: what metering, resetting and calling cost.
//!
//! `cargo run --release -p kvasm --example metering` compiles the guests beside this file with rustc for
//! `wasm32-unknown-unknown`, so that target must be installed (`rustup target add wasm32-unknown-unknown`).

#[path = "../tests/support/map_host.rs"]
mod map_host;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvasm::procedure::limits::fixed::NATIVE_STACK_BYTES;
use kvasm::procedure::{CallInput, Host, Limits, Module, Runtime, Severity};
use map_host::MapHost;

const GUESTS: &[&str] = &["base64", "sha256", "json_scan", "sort", "sieve", "fib"];
/// Runs of each; the fastest counts, because on a busy machine the others measure the neighbours.
const ROUNDS: usize = 500;

fn main() {
    let thread = std::thread::Builder::new().stack_size(NATIVE_STACK_BYTES).spawn(measure);
    thread.expect("a thread").join().expect("no panic");
}

fn measure() {
    for opt_level in ["3", "s"] {
        metering_overhead(opt_level);
    }
    call_costs();
    small_loops();
}

/// Compiles a guest; the module is in memory, the file is gone.
fn compile(guest: &str, opt_level: &str) -> Vec<u8> {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/guests").join(guest).with_extension("rs");
    let target = std::env::temp_dir().join(format!("kvasm-metering-{}-{guest}.wasm", std::process::id()));
    let status = Command::new("rustc")
        .args(["--target", "wasm32-unknown-unknown", "--edition", "2024", "--crate-type", "cdylib"])
        .args(["-C", "panic=abort", "-C", "strip=symbols", "-C", "link-arg=-zstack-size=262144"])
        .args(["-C", &format!("opt-level={opt_level}"), "-A", "warnings", "-o"])
        .arg(&target)
        .arg(source)
        .status()
        .expect("rustc runs");
    assert!(status.success(), "rustc failed for {guest}");
    let wasm = std::fs::read(&target).expect("rustc wrote it");
    std::fs::remove_file(&target).expect("it can be removed");
    wasm
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    f64::midpoint(ratios[(ratios.len() - 1) / 2], ratios[ratios.len() / 2])
}

fn fastest(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::MAX, f64::min)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn input() -> CallInput<'static> {
    CallInput {
        keys: &[b"some:key"],
        args: &[],
        read_only: false,
        fuel: 1 << 40,
        deadline: Instant::now() + Duration::from_secs(60),
        turn: None,
        control: None,
        time_us: 0,
        random_seed: 0,
        max_reply_bytes: 1 << 20,
        max_log_bytes: 0,
    }
}

/// The same module as wasm3 runs it without the gate.
struct Bare {
    store: wasm3x::Store<()>,
    run: wasm3x::TypedFunc<(), ()>,
}

impl Bare {
    fn new(wasm: &[u8]) -> Self {
        let engine = wasm3x::Engine::default();
        let module = wasm3x::Module::new(&engine, wasm).expect("valid");
        let mut store = wasm3x::Store::new(&engine, ());
        let mut linker = wasm3x::Linker::new(&engine);
        linker.func_wrap("kvasm_1", "reply_integer", |_: i64| ()).expect("a new name");
        let instance = linker.instantiate(&mut store, &module).expect("instantiates");
        let run = instance.get_typed_func(&store, "run").expect("exported");
        Self { store, run }
    }
}

fn metering_overhead(opt_level: &str) {
    println!(
        "| guest (opt-level {opt_level}) | bare, µs | metered, µs | ratio | fuel a µs |\n|---|---|---|---|---|"
    );
    let limits = Limits::default();
    let mut ratios = Vec::new();
    for guest in GUESTS {
        let wasm = compile(guest, opt_level);
        let mut bare = Bare::new(&wasm);
        let module = Arc::new(Module::compile(&wasm, &limits).expect("passes the gate"));
        let run = module.find("run").expect("exported");
        let mut runtime = Runtime::new(limits.clone());
        let mut host = Box::new(MapHost::default());
        let (mut bare_times, mut metered_times, mut fuel) = (Vec::new(), Vec::new(), 0);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            bare.run.call(&mut bare.store, ()).expect("runs");
            bare_times.push(micros(start.elapsed()));
            let start = Instant::now();
            let (back, outcome) = runtime.call(&module, run, host, &input());
            metered_times.push(micros(start.elapsed()));
            host = back;
            outcome.result.expect("runs");
            fuel = outcome.fuel_used;
        }
        let (bare, metered) = (fastest(&bare_times), fastest(&metered_times));
        ratios.push(metered / bare);
        println!(
            "| {guest} | {bare:.0} | {metered:.0} | {:.2} | {:.0} |",
            metered / bare,
            fuel as f64 / metered
        );
    }
    println!("\nmedian of base64, sha256, json_scan, sort: {:.2}\n", median(ratios[..4].to_vec()));
}

/// Loops so small that the charge is a large part of them.
fn small_loops() {
    println!("| loop of | bare, µs | metered, µs | ratio |\n|---|---|---|---|");
    let cases = [
        ("3 operations", "(local.set $x (i32.add (local.get $x) (local.get $i)))"),
        ("9 operations", "(local.set $x (i32.xor (i32.mul (i32.add (local.get $x) (local.get $i)) (i32.const 31))
            (i32.shr_u (local.get $x) (i32.const 7)))) (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (local.get $x)))"),
    ];
    for (name, body) in cases {
        let text = format!(
            r#"(module (memory 1) (func (export "run") (local $i i32) (local $x i32)
                (loop $again {body}
                    (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000))))))"#
        );
        let wasm = wat::parse_str(&text).expect("valid");
        let mut bare = Bare::new(&wasm);
        let module = Arc::new(Module::compile(&wasm, &Limits::default()).expect("passes"));
        let mut runtime = Runtime::new(Limits::default());
        let mut host = Box::new(MapHost::default());
        let (mut bare_times, mut metered_times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let start = Instant::now();
            bare.run.call(&mut bare.store, ()).expect("runs");
            bare_times.push(micros(start.elapsed()));
            let start = Instant::now();
            let (back, outcome) = runtime.call(&module, 0, host, &input());
            metered_times.push(micros(start.elapsed()));
            host = back;
            outcome.result.expect("runs");
        }
        let (bare, metered) = (fastest(&bare_times), fastest(&metered_times));
        println!("| {name} | {bare:.0} | {metered:.0} | {:.2} |", metered / bare);
    }
}

fn call_costs() {
    println!("| a call of | ns |\n|---|---|");
    let get_put = r#"(import "kvasm_1" "key" (func $key (param i32 i32 i32) (result i32)))
        (import "kvasm_1" "get" (func $get (param i32 i32 i32 i32) (result i64)))
        (import "kvasm_1" "put" (func $put (param i32 i32 i32 i32)))
        (func (export "run") (local $k i32)
            (local.set $k (call $key (i32.const 0) (i32.const 0) (i32.const 100)))
            (drop (call $get (i32.const 0) (local.get $k) (i32.const 200) (i32.const 1000)))
            (call $put (i32.const 0) (local.get $k) (i32.const 200) (i32.const 100)))"#;
    let cases = [
        ("nothing, no memory", r#"(module (func (export "run")))"#.to_owned()),
        ("nothing, 1 page", r#"(module (memory 1) (func (export "run")))"#.to_owned()),
        ("nothing, 2 pages", r#"(module (memory 2) (func (export "run")))"#.to_owned()),
        ("nothing, 17 pages", r#"(module (memory 17) (func (export "run")))"#.to_owned()),
        (
            "17 pages, of which it touches 16 KiB below 1 MiB and 4 KiB of data and of heap",
            r#"(module (memory 17) (func (export "run")
                (memory.fill (i32.const 1032192) (i32.const 1) (i32.const 16384))
                (memory.fill (i32.const 1048576) (i32.const 1) (i32.const 4096))
                (memory.fill (i32.const 1060864) (i32.const 1) (i32.const 4096))))"#
                .to_owned(),
        ),
        (
            "17 pages, of which it touches all",
            r#"(module (memory 17) (func (export "run")
                (memory.fill (i32.const 0) (i32.const 1) (i32.const 1114112))))"#
                .to_owned(),
        ),
        ("key + get + put, 1 page", format!("(module {get_put} (memory 1))")),
        (
            "a changed table (a new instance each time)",
            r#"(module (memory 1) (table 4 funcref) (elem $e func 0)
            (func (export "run") (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))))"#
                .to_owned(),
        ),
    ];
    for (name, text) in cases {
        let module = Arc::new(Module::compile(text.as_bytes(), &Limits::default()).expect("passes the gate"));
        let mut runtime = Runtime::new(Limits::default());
        let mut host = Box::new(MapHost::default());
        host.data.insert(b"some:key".to_vec(), vec![b'v'; 100]);
        let input = input();
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            const CALLS: u32 = 100;
            let start = Instant::now();
            for _ in 0..CALLS {
                let (back, outcome) = runtime.call(&module, 0, host, &input);
                host = back;
                assert!(outcome.result.is_ok());
            }
            times.push(micros(start.elapsed()) * 1e3 / f64::from(CALLS));
        }
        println!("| {name} | {:.0} |", fastest(&times));
    }
    println!();
}
