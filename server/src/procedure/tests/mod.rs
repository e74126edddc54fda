//! Tests of the wasm side against a host that is a map. What they share: the host, and modules written as text.

mod abi;
mod gate;
mod isolation;
mod limits;
#[path = "../../../tests/support/map_host.rs"]
mod map_host;
mod random_modules;

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmparser::ValType;

use super::abi::HostFunction;
use super::limits::fixed::NATIVE_STACK_BYTES;
use super::*;
pub(super) use map_host::MapHost;

pub(super) type Outcome = CallOutcome<&'static str>;

/// Runs a test where wasm3 may: on a thread with a large stack.
pub(super) fn on_large_stack<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(NATIVE_STACK_BYTES).spawn(test).expect("a thread");
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A call with room for everything.
pub(super) fn input<'a>(keys: &'a [&'a [u8]], args: &'a [Option<&'a [u8]>]) -> CallInput<'a> {
    CallInput {
        keys,
        args,
        read_only: false,
        fuel: 100_000_000,
        deadline: Instant::now() + Duration::from_secs(60),
        turn: None,
        control: None,
        time_us: 1_700_000_000_000_000,
        random_seed: 42,
        max_reply_bytes: 1_000,
        max_log_bytes: 100,
    }
}

/// A module of these fields that imports every host function under its own name, and has a page of memory.
pub(super) fn with_imports(fields: &str) -> String {
    let import = |function: &HostFunction| {
        let (params, results) = function.signature();
        let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let (name, params, results) = (function.name(), list(params), list(results));
        format!("(import \"kvasm_1\" \"{name}\" (func ${name} (param {params}) (result {results})))\n")
    };
    let imports: Vec<String> = HostFunction::ALL.iter().map(import).collect();
    format!("(module\n{} (memory (export \"memory\") 1)\n{fields})", imports.concat())
}

/// A procedure `run` of these instructions.
pub(super) fn run_text(instructions: &str) -> String {
    with_imports(&format!("(func (export \"run\") {instructions})"))
}

pub(super) fn compile(text: &str) -> Arc<Module> {
    match Module::compile(text.as_bytes(), &Limits::default()) {
        Ok(module) => Arc::new(module),
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// Calls a procedure of a runtime's own with a new host.
pub(super) fn call(
    runtime: &mut Runtime<MapHost>,
    module: &Arc<Module>,
    name: &str,
    input: &CallInput<'_>,
) -> Outcome {
    let procedure = module.find(name).expect("exported");
    runtime.call(module, procedure, Box::default(), input).1
}

/// Calls `run` of a module of these instructions once, with these limits.
pub(super) fn call_once(text: &str, limits: &Limits, change: impl FnOnce(&mut CallInput<'_>)) -> Outcome {
    let module =
        Arc::new(Module::compile(text.as_bytes(), limits).unwrap_or_else(|error| panic!("{error}\n{text}")));
    let mut input = input(&[], &[]);
    change(&mut input);
    call(&mut Runtime::new(limits.clone()), &module, "run", &input)
}
