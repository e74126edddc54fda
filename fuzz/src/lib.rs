//! The fuzz target: a module made from bytes goes through the gate and is executed under all limits.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use kvasm::procedure::limits::fixed::NATIVE_STACK_BYTES;
use kvasm::procedure::{CallError, CallInput, Host, Limits, Module, Runtime, Severity};

/// Some imports for wasm-smith to choose from.
const IMPORTS: &str = r#"(module
    (import "kvasm_1" "key" (func (param i32 i32 i32) (result i32)))
    (import "kvasm_1" "get" (func (param i32 i32 i32 i32) (result i64)))
    (import "kvasm_1" "get_range" (func (param i32 i32 i64 i32 i32) (result i64)))
    (import "kvasm_1" "put" (func (param i32 i32 i32 i32)))
    (import "kvasm_1" "delete" (func (param i32 i32) (result i32)))
    (import "kvasm_1" "increment" (func (param i32 i32 i64) (result i64)))
    (import "kvasm_1" "command" (func (param i32 i32 i32 i32) (result i64)))
    (import "kvasm_1" "command_reply" (func (param i64 i32 i32) (result i64)))
    (import "kvasm_1" "reply_bulk" (func (param i32 i32)))
    (import "kvasm_1" "abort" (func (param i32 i32)))
    (import "kvasm_1" "log" (func (param i32 i32 i32)))
    (import "kvasm_1" "random" (func (result i64))))"#;

/// A host that answers everything with little.
struct Empty;

impl Host for Empty {
    type Error = ();

    fn get(&mut self, _: &[u8], offset: u64, limit: usize, copy: &mut dyn FnMut(&[u8])) -> Result<Option<u64>, ()> {
        let rest = b"value".get(offset.min(5) as usize..).unwrap_or_default();
        copy(&rest[..rest.len().min(limit)]);
        Ok(Some(5))
    }

    fn put(&mut self, _: &[u8], _: &[u8]) -> Result<(), ()> {
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, ()> {
        Ok(key.is_empty())
    }

    fn exists(&mut self, key: &[u8]) -> Result<bool, ()> {
        Ok(key.is_empty())
    }

    fn increment(&mut self, _: &[u8], delta: i64) -> Result<i64, ()> {
        Ok(delta)
    }

    fn command(&mut self, request: &[u8], _: bool, reply: &mut Vec<u8>) -> Result<(), ()> {
        reply.extend_from_slice(request);
        Ok(())
    }

    fn log(&mut self, _: Severity, _: &[u8]) {}

    fn validate_resp(&self, _: &[u8]) -> Result<u64, ()> {
        Ok(1)
    }
}

/// Tries one input. The first byte says what to make of the others: a module of wasm-smith, the same with some bytes
/// changed, or the bytes as they are.
///
/// # Panics
///
/// If the gate or the runtime breaks a promise.
pub fn challenge(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let wasm = match kind % 4 {
        0 => rest.to_vec(),
        1 => damaged(rest).unwrap_or_default(),
        _ => random_module(rest).unwrap_or_default(),
    };
    run_on_large_stack(wasm);
}

fn random_module(seed: &[u8]) -> Option<Vec<u8>> {
    let config = wasm_smith::Config {
        available_imports: Some(wat::parse_str(IMPORTS).ok()?),
        compact_imports_enabled: false,
        exceptions_enabled: false,
        export_everything: true,
        extended_const_enabled: false,
        gc_enabled: false,
        max_memory32_bytes: 64 << 16,
        max_table_elements: 1_000,
        memory64_enabled: false,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    Some(wasm_smith::Module::new(config, &mut Unstructured::new(seed)).ok()?.to_bytes())
}

fn damaged(seed: &[u8]) -> Option<Vec<u8>> {
    let (changes, seed) = seed.split_at_checked(8)?;
    let mut wasm = random_module(seed)?;
    for change in changes.chunks_exact(2) {
        let at = usize::from(change[0]) * wasm.len() / 256;
        *wasm.get_mut(at)? = change[1];
    }
    Some(wasm)
}

/// One thread with a large stack runs everything; starting one for each input would take longer than the input.
fn run_on_large_stack(wasm: Vec<u8>) {
    type Ends = (Sender<Vec<u8>>, Receiver<()>);
    static WORKER: OnceLock<Mutex<Ends>> = OnceLock::new();
    let ends = WORKER.get_or_init(|| {
        let (send_wasm, receive_wasm) = channel::<Vec<u8>>();
        let (send_done, receive_done) = channel();
        let work = move || {
            for wasm in receive_wasm {
                run(&wasm);
                let _ = send_done.send(());
            }
        };
        std::thread::Builder::new().stack_size(NATIVE_STACK_BYTES).spawn(work).expect("a thread");
        Mutex::new((send_wasm, receive_done))
    });
    let ends = ends.lock().expect("no panic before");
    ends.0.send(wasm).expect("the worker lives");
    ends.1.recv().expect("the worker did not panic");
}

fn run(wasm: &[u8]) {
    const FUEL: u64 = 1_000_000;
    let limits = Limits { max_memory_bytes: 16 << 20, ..Limits::default() };
    let Ok(module) = Module::compile(wasm, &limits) else { return };
    let module = Arc::new(module);
    let mut runtime = Runtime::new(limits);
    for procedure in (0..module.procedures().len()).chain(0..module.procedures().len()) {
        let read_only = module.procedures()[procedure].read_only;
        let input = CallInput {
            keys: &[b"key"],
            args: &[],
            read_only: false,
            fuel: FUEL,
            deadline: Instant::now() + Duration::from_secs(10),
            turn: None,
            control: None,
            time_us: 0,
            random_seed: 0,
            max_reply_bytes: 1_000,
            max_log_bytes: 1_000,
        };
        let (_, outcome) = runtime.call(&module, procedure, Box::new(Empty), &input);
        assert!(outcome.fuel_used <= FUEL);
        assert!(!(outcome.wrote && read_only), "a proved reader wrote");
        assert!(!matches!(outcome.result, Err(CallError::Internal(_) | CallError::DeadlineExceeded)));
    }
}
