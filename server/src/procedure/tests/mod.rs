//! Tests of the wasm side against a host that is a map. What they share: the host, and modules written as text.

mod abi;
mod gate;
mod isolation;
mod limits;
mod random_modules;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmparser::ValType;

use super::abi::HostFunction;
use super::limits::fixed::NATIVE_STACK_BYTES;
use super::*;

/// The data a procedure sees, and what it logged.
#[derive(Default)]
pub(super) struct MapHost {
    pub(super) data: HashMap<Vec<u8>, Vec<u8>>,
    pub(super) log: Vec<(LogLevel, String)>,
}

impl Host for MapHost {
    type Error = &'static str;

    fn get(
        &mut self,
        key: &[u8],
        offset: u64,
        limit: usize,
        copy: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<u64>, Self::Error> {
        if key == b"a-list" {
            return Err("WRONGTYPE");
        }
        Ok(self.data.get(key).map(|value| {
            let rest = value.get(offset as usize..).unwrap_or_default();
            // In pieces, as a long value is held.
            rest[..rest.len().min(limit)].chunks(3).for_each(copy);
            value.len() as u64
        }))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Self::Error> {
        self.data.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, Self::Error> {
        Ok(self.data.remove(key).is_some())
    }

    fn exists(&mut self, key: &[u8]) -> Result<bool, Self::Error> {
        Ok(self.data.contains_key(key))
    }

    fn increment(&mut self, key: &[u8], delta: i64) -> Result<i64, Self::Error> {
        let old =
            self.data.get(key).map_or(Some(0), |value| std::str::from_utf8(value).ok()?.parse::<i64>().ok());
        let new = old
            .and_then(|old| old.checked_add(delta))
            .ok_or("ERR value is not an integer or out of range")?;
        self.data.insert(key.to_vec(), new.to_string().into_bytes());
        Ok(new)
    }

    fn command(&mut self, request: &[u8], read_only: bool, reply: &mut Vec<u8>) -> Result<(), Self::Error> {
        reply.extend_from_slice(if read_only { b"+read-only " } else { b"+" });
        reply.extend_from_slice(request);
        Ok(())
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        self.log.push((level, String::from_utf8_lossy(message).into_owned()));
    }

    fn validate_resp(&self, value: &[u8]) -> Result<(), Self::Error> {
        if value.ends_with(b"\r\n") { Ok(()) } else { Err("ERR not a RESP value") }
    }
}

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
