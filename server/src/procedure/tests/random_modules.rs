//! Modules made at random by wasm-smith: whatever passes the gate behaves as wasm3 alone would have it, or ends with an
//! error. `fuzz/` does the same without end.

use std::sync::atomic::{AtomicU32, Ordering};

use arbitrary::Unstructured;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::survey::Survey;
use super::*;

/// Turns of loops and calls that a module made at random may take before it traps by itself.
const OWN_FUEL: u32 = 2_000;

/// What wasm-smith may use: all that the gate accepts. Every module has a procedure `run`.
fn config(imports: Option<Vec<u8>>) -> wasm_smith::Config {
    let run = wat::parse_str("(module (func (export \"run\")))").expect("valid");
    wasm_smith::Config {
        exports: if imports.is_none() { Some(run) } else { None },
        max_imports: if imports.is_none() { 0 } else { 20 },
        available_imports: imports,
        export_everything: true,
        allow_start_export: false,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        max_memory32_bytes: 8 << 16,
        max_table_elements: 100,
        memory64_enabled: false,
        memory_max_size_required: true,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    }
}

fn random_module(seed: &[u8], imports: Option<Vec<u8>>) -> Option<wasm_smith::Module> {
    wasm_smith::Module::new(config(imports), &mut Unstructured::new(seed)).ok()
}

/// Runs `check` for many random byte strings, on a large stack.
fn for_random_bytes(cases: u32, check: impl Fn(&[u8]) -> Result<(), TestCaseError> + Send + 'static) {
    on_large_stack(move || {
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let bytes = proptest::collection::vec(any::<u8>(), 100..4_000);
        runner.run(&bytes, |bytes| check(&bytes)).unwrap_or_else(|error| panic!("{error}"));
    });
}

/// Whether wasm3 compiles the module without the rewriting.
fn compiles_bare(wasm: &[u8]) -> bool {
    let mut config = wasm3x::Config::default();
    config.compilation_mode(wasm3x::CompilationMode::Eager);
    let engine = wasm3x::Engine::new(&config);
    let Ok(module) = wasm3x::Module::new(&engine, wasm) else { return false };
    wasm3x::Linker::new(&engine).instantiate(&mut wasm3x::Store::new(&engine, ()), &module).is_ok()
}

/// Whether the module has a memory without a page for ever. wasm3 alone takes a maximum of 0 for none.
fn has_memory_of_no_pages(wasm: &[u8]) -> bool {
    let survey = Survey::of(wasm, &Limits::default());
    survey.is_ok_and(|survey| survey.memory.is_some_and(|memory| memory.maximum == Some(0)))
}

/// How `run` ends in wasm3 alone, and the memory it leaves; `None` if wasm3 turns out not to compile all of it, which it
/// does on the way, and with less luck than behind the gate, which leaves out dead code.
fn run_bare(wasm: &[u8]) -> Option<(String, Vec<u8>)> {
    let engine = wasm3x::Engine::default();
    let module = wasm3x::Module::new(&engine, wasm).expect("valid");
    let mut store = wasm3x::Store::new(&engine, ());
    let instance = wasm3x::Linker::new(&engine).instantiate(&mut store, &module).expect("instantiates");
    let run = instance.get_typed_func::<(), ()>(&store, "run").ok()?;
    let ending = match run.call(&mut store, ()) {
        Ok(()) => String::new(),
        Err(error) => error.to_string().split_once("[trap] ")?.1.to_owned(),
    };
    let memory = instance.get_memory(&store).map_or(Vec::new(), |memory| memory.data(&store).to_vec());
    Some((ending, memory))
}

#[test]
fn metering_and_resetting_change_nothing_that_a_module_can_see() {
    static COMPARED: AtomicU32 = AtomicU32::new(0);
    for_random_bytes(300, |seed| {
        let Some(mut random) = random_module(seed, None) else { return Ok(()) };
        prop_assert!(random.ensure_termination(OWN_FUEL).is_ok());
        let wasm = random.to_bytes();
        let module = match Module::compile(&wasm, &Limits::default()) {
            Ok(module) => Arc::new(module),
            // Segments that lie outside, and what wasm3 itself does not compile.
            Err(GateError::Invalid(_)) => return Ok(()),
            Err(GateError::Refused(_)) if !compiles_bare(&wasm) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        if has_memory_of_no_pages(&wasm) {
            return Ok(());
        }
        let Some((ending, memory)) = run_bare(&wasm) else { return Ok(()) };
        let mut runtime = Runtime::new(Limits::default());
        for call_number in 0..3 {
            let mut input = input(&[], &[]);
            input.fuel = 1 << 40;
            let outcome = call(&mut runtime, &module, "run", &input);
            let ended = match &outcome.result {
                Ok(_) => String::new(),
                Err(CallError::Trap(trap)) => trap.to_string(),
                // Frames differ in size, so recursion may end elsewhere.
                Err(CallError::StackOverflow) => return Ok(()),
                Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
            };
            let same =
                ended == ending || ended == "undefined table element called" && ending.ends_with("element");
            prop_assert!(same || ending == "stack overflow", "call {call_number}: '{ended}', not '{ending}'");
            if runtime.warm_instances() > 0 && ending != "stack overflow" {
                prop_assert!(
                    runtime.memory(module.id()).starts_with(&memory),
                    "call {call_number}: the memory differs"
                );
            }
        }
        COMPARED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let compared = COMPARED.load(Ordering::Relaxed);
    assert!(compared >= 100, "only {compared} modules got as far as being compared");
}

#[test]
fn random_and_damaged_modules_end_within_their_limits() {
    let imports = wat::parse_str(with_imports("")).expect("valid");
    for_random_bytes(300, move |seed| {
        let Some(random) = random_module(seed, Some(imports.clone())) else { return Ok(()) };
        let whole = random.to_bytes();
        let mut damaged = whole.clone();
        for pair in seed.chunks_exact(2).take(3) {
            let at = usize::from(pair[0]) * whole.len() / 256;
            damaged[at] = pair[1];
        }
        for wasm in [whole, damaged] {
            let Ok(module) = Module::compile(&wasm, &Limits::default()) else { continue };
            let module = Arc::new(module);
            let mut runtime: Runtime<MapHost> = Runtime::new(Limits::default());
            for procedure in 0..module.procedures().len() {
                let mut input = input(&[b"key"], &[]);
                input.fuel = 1_000_000;
                let (_, outcome) = runtime.call(&module, procedure, Box::default(), &input);
                let is_internal = matches!(outcome.result, Err(CallError::Internal(_)));
                prop_assert!(!is_internal, "{:?}", outcome.result);
                prop_assert!(outcome.fuel_used <= 1_000_000);
                prop_assert!(
                    outcome.wrote <= !module.procedures()[procedure].read_only,
                    "a proved reader wrote"
                );
            }
        }
        Ok(())
    });
}
