//! Modules made to break the server: each is refused by the gate or ends with a clear error, and after each the same
//! runtime still runs a good module on unharmed data.

#[path = "support/map_host.rs"]
mod map_host;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kvasm::procedure::limits::{PAGE_BYTES, fixed::NATIVE_STACK_BYTES};
use kvasm::procedure::{CallError, CallInput, Host, Limits, Module, ProcedureReply, Runtime, Severity};
use map_host::MapHost;

const GOOD: &str = r#"(module (import "kvasm_1" "get" (func $get (param i32 i32 i32 i32) (result i64)))
    (import "kvasm_1" "reply_integer" (func $reply (param i64))) (memory 1) (data (i32.const 0) "key")
    (func (export "run") (call $reply (call $get (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 9)))))"#;

/// Fuel of each call.
const FUEL: u64 = 20_000_000;

/// What came of a hostile module: the text of the error, or that it ended normally.
type Verdict = Result<ProcedureReply, String>;

/// A runtime that hostile modules run in, beside a good one.
struct Arena {
    limits: Limits,
    runtime: Runtime<MapHost>,
    host: Option<Box<MapHost>>,
    good: Arc<Module>,
}

impl Arena {
    fn new() -> Self {
        let limits = Limits { max_memory_bytes: 64 * PAGE_BYTES, ..Limits::default() };
        let good = Arc::new(Module::compile(GOOD.as_bytes(), &limits).expect("good"));
        let mut host = Box::new(MapHost::default());
        host.data.insert(b"key".to_vec(), b"value".to_vec());
        Self { runtime: Runtime::new(limits.clone()), limits, host: Some(host), good }
    }

    fn call(&mut self, module: &Arc<Module>, procedure: usize) -> Verdict {
        let input = CallInput {
            keys: &[],
            args: &[],
            read_only: false,
            fuel: FUEL,
            deadline: Instant::now() + Duration::from_secs(20),
            turn: None,
            control: None,
            time_us: 0,
            random_seed: 0,
            max_reply_bytes: 1_000,
            max_log_bytes: 1_000,
        };
        let (host, outcome) =
            self.runtime.call(module, procedure, self.host.take().expect("not in a call"), &input);
        self.host = Some(host);
        outcome.result.map_err(|error| match error {
            CallError::Internal(text) => panic!("internal error: {text}"),
            error => format!("{} {}", error.code().unwrap_or("-"), error.describe("run")),
        })
    }

    /// Puts a module through the gate and calls all its procedures, twice; the first verdict that is an error counts.
    fn challenge(&mut self, upload: &[u8]) -> Verdict {
        let verdict = match Module::compile(upload, &self.limits) {
            Err(error) => Err(format!("{} {error}", error.code())),
            Ok(module) => {
                let module = Arc::new(module);
                let procedures = (0..module.procedures().len()).chain(0..module.procedures().len());
                let verdicts: Vec<Verdict> =
                    procedures.map(|procedure| self.call(&module, procedure)).collect();
                verdicts.into_iter().find(Result::is_err).unwrap_or(Ok(ProcedureReply::None))
            }
        };
        assert_eq!(
            self.call(&self.good.clone(), 0),
            Ok(ProcedureReply::Integer(5)),
            "the good module still runs"
        );
        verdict
    }
}

fn on_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(NATIVE_STACK_BYTES).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A module with one page of memory whose `run` has this body.
fn run(body: &str) -> String {
    format!("(module (memory 1) (func (export \"run\") {body}))")
}

/// `run`, after other fields of the module.
fn module(fields: &str) -> String {
    format!("(module {fields})")
}

fn nested(count: usize, open: &str, inner: &str, close: &str) -> String {
    open.repeat(count) + inner + &close.repeat(count)
}

type Case = (&'static str, String, &'static str);

/// Modules that pass the gate, and the code of the error that stops them.
fn stopped() -> Vec<Case> {
    let recursion = |call: &str| module(&format!("(func $f (export \"run\") {call})"));
    vec![
        ("an endless loop", run("(loop (br 0))"), "WASMFUEL"),
        (
            "an endless loop of calls",
            module("(func $f) (func (export \"run\") (loop (call $f) (br 0)))"),
            "WASMFUEL",
        ),
        ("an endless branch table", run("(loop (br_table 0 0 0 (i32.const 1)))"), "WASMFUEL"),
        (
            "the largest branch table",
            run(&format!("(loop (br_table {}(i32.const 7)))", "0 ".repeat(8_193))),
            "WASMFUEL",
        ),
        ("deep recursion", recursion("(call $f)"), "WASMSTACK"),
        (
            "recursion with locals",
            recursion(&format!("(local {}) (call $f)", "i64 ".repeat(999))),
            "WASMSTACK",
        ),
        (
            "mutual recursion",
            module("(func $a (export \"run\") (call $b)) (func $b (call $c)) (func $c (call $a))"),
            "WASMSTACK",
        ),
        (
            "indirect recursion",
            module("(table funcref (elem $f)) (func $f (export \"run\") (call_indirect (i32.const 0)))"),
            "WASMSTACK",
        ),
        (
            "branching recursion",
            module(
                "(func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))
                    (call $f (i32.sub (local.get 0) (i32.const 1))))))
                 (func (export \"run\") (call $f (i32.const 60)))",
            ),
            "WASMFUEL",
        ),
        ("200 nested loops with recursion", recursion(&nested(200, "(loop ", "(call $f)", ")")), "WASMSTACK"),
        ("200 nested loops that turn", run(&nested(200, "(loop ", "(br 199)", ")")), "WASMFUEL"),
        (
            "a storm of memory.grow",
            run("(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable"),
            "WASMMEMORY",
        ),
        ("memory.grow by everything", run("(drop (memory.grow (i32.const -1))) unreachable"), "WASMTRAP"),
        ("endless memory.grow", run("(loop (drop (memory.grow (i32.const 65535))) (br 0))"), "WASMFUEL"),
        (
            "endless large fills",
            run("(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))"),
            "WASMFUEL",
        ),
        (
            "endless large copies",
            run("(loop (memory.copy (i32.const 0) (i32.const 1) (i32.const 65535)) (br 0))"),
            "WASMFUEL",
        ),
        ("a load beyond the memory", run("(drop (i32.load (i32.const 65533)))"), "WASMTRAP"),
        (
            "a load at the end of 32 bits",
            run("(drop (i64.load offset=4294967295 (i32.const -1)))"),
            "WASMTRAP",
        ),
        (
            "a store beyond the memory",
            run("(i32.store8 offset=1 (i32.const 65535) (i32.const 1))"),
            "WASMTRAP",
        ),
        (
            "a fill beyond the memory",
            run("(memory.fill (i32.const 1) (i32.const 0) (i32.const 65536))"),
            "WASMTRAP",
        ),
        (
            "a copy with a length of -1",
            run("(memory.copy (i32.const 0) (i32.const 1) (i32.const -1))"),
            "WASMFUEL",
        ),
        (
            "a start function that traps",
            module("(func $s unreachable) (start $s) (func (export \"run\"))"),
            "WASMTRAP",
        ),
        (
            "a start function that loops",
            module("(func $s (loop (br 0))) (start $s) (func (export \"run\"))"),
            "WASMFUEL",
        ),
        (
            "a start function that recurses",
            module("(func $s (call $s)) (start $s) (func (export \"run\"))"),
            "WASMSTACK",
        ),
    ]
}

/// More of them: those that would cost nothing if a charge were left out.
fn stopped_by_charges() -> Vec<Case> {
    vec![
        (
            "calls of calls, without a loop",
            module(&format!(
                "(func $cheap {}) (func $many {}) (func (export \"run\") {})",
                "(drop (i32.const 1))".repeat(120),
                "(call $cheap)".repeat(5_000),
                "(call $many)".repeat(5_000)
            )),
            "WASMFUEL",
        ),
        (
            "empty log lines without end",
            module(
                "(import \"kvasm_1\" \"log\" (func $log (param i32 i32 i32))) (memory 1)
                 (func (export \"run\") (loop (call $log (i32.const 0) (i32.const 0) (i32.const 0)) (br 0)))",
            ),
            "WASMLIMIT",
        ),
    ]
}

/// Modules that the gate refuses for a limit.
fn beyond_limits() -> Vec<(&'static str, String, &'static str)> {
    let exports: Vec<String> = (0..1_001).map(|index| format!("(export \"e{index}\" (func 0))")).collect();
    let exports = exports.concat();
    vec![
        ("nesting", run(&nested(257, "(block ", "", ")")), "wasm-max-nesting"),
        (
            "deep nesting",
            run(&nested(90, "(loop ", &nested(400, "block\n", "", "end\n"), ")")),
            "wasm-max-nesting",
        ),
        ("locals", run(&format!("(local {})", "i64 ".repeat(1_001))), "wasm-max-locals"),
        ("functions", module(&"(func)".repeat(10_001)), "wasm-max-functions"),
        ("table", module("(table 10001 funcref)"), "wasm-max-table-size"),
        ("memory", module("(memory 65)"), "wasm-max-memory"),
        ("targets", run(&format!("(br_table {}(i32.const 0))", "0 ".repeat(8_194))), "targets of a br_table"),
        ("parameters", module(&format!("(func (param {}))", "i64 ".repeat(129))), "parameters or results"),
        ("globals", module(&"(global i32 (i32.const 0))".repeat(1_001)), "globals"),
        ("exports", module(&format!("(func) {exports}")), "exports"),
        ("a name", module(&format!("(func (export \"{}\"))", "n".repeat(257))), "bytes of an export's name"),
        (
            "triggers",
            module(&format!("(@custom \"kvasm.triggers\" \"{}\")", "t".repeat(70_000))),
            "bytes of declarations",
        ),
    ]
}

/// Small modules that would take wasm3 long to compile, or much memory.
fn laborious() -> Vec<(&'static str, String)> {
    let values = "i64 ".repeat(128);
    let pass = format!("(block $b (result {values}) {}", "(i64.const 0)".repeat(128));
    let drops = "(drop)".repeat(128);
    let function = |locals: usize, body: &str| format!("(func (local {}) {body})", "i32 ".repeat(locals));
    vec![
        ("tables of branches with many values", {
            let table = format!("{pass} (br_table {}(i32.const 0))) {drops}", "$b ".repeat(8_192));
            run(&table)
        }),
        (
            "branches with many values",
            run(&format!("{pass} {}) {drops}", "(br_if $b (i32.const 0))".repeat(4_000))),
        ),
        ("many locals in many functions", module(&function(1_000, "").repeat(1_000))),
        ("blocks on top of many values, with many locals", {
            let blocks = format!("{}(block)", "(i32.const 0)".repeat(500)) + &"(block)".repeat(1_000);
            module(&function(1_000, &(blocks + &"(drop)".repeat(500))))
        }),
        ("blocks that pass many values", {
            let block = format!("(block (param {values}) (result {values}))");
            run(&format!("{} {} {drops}", "(i64.const 0)".repeat(128), block.repeat(1_500)))
        }),
        ("calls with many values", {
            let f = format!("(func $f (param {values}) (result {values}) unreachable)");
            let calls = "(call $f)".repeat(3_000);
            module(&format!("{f} (func {} {calls} {drops})", "(i64.const 0)".repeat(128)))
        }),
        ("values on top of many values", {
            let (many, more) = (4_000, 5_000);
            module(&format!(
                "(global i32 (i32.const 0)) (func {}{}{})",
                "(global.get 0)".repeat(many),
                "(drop (i32.eqz (global.get 0)))".repeat(more),
                "(drop)".repeat(many)
            ))
        }),
    ]
}

/// Modules that the gate refuses for what they are made of, and a word of the reason.
fn refused() -> Vec<Case> {
    vec![
        (
            "a data segment beyond the memory",
            module("(memory 1) (data (i32.const 65535) \"ab\")"),
            "data segment",
        ),
        ("a data segment at -1", module("(memory 1) (data (i32.const -1) \"a\")"), "data segment"),
        ("a data segment in nothing", module("(memory 0) (data (i32.const 0) \"a\")"), "data segment"),
        (
            "an element segment beyond the table",
            module("(table 1 funcref) (func $f) (elem (i32.const 1) $f)"),
            "element segment",
        ),
        (
            "an imported memory",
            module("(import \"kvasm_1\" \"memory\" (memory 1))"),
            "'kvasm_1.memory' is not a function",
        ),
        (
            "an imported table",
            module("(import \"kvasm_1\" \"t\" (table 1 funcref))"),
            "'kvasm_1.t' is not a function",
        ),
        (
            "an imported global",
            module("(import \"kvasm_1\" \"g\" (global i32))"),
            "'kvasm_1.g' is not a function",
        ),
        (
            "an unknown import",
            module("(import \"kvasm_1\" \"format_disk\" (func))"),
            "'kvasm_1.format_disk' does not exist",
        ),
        ("another module's import", module("(import \"env\" \"get\" (func))"), "'env.get' does not exist"),
        (
            "the rewriter's import",
            module("(import \"kvasm\" \"refill\" (func (param i32) (result i32)))"),
            "'kvasm.refill' does not exist",
        ),
        (
            "an import of the wrong type",
            module("(import \"kvasm_1\" \"get\" (func (param i64)))"),
            "has the type (i32, i32, i32, i32) -> i64, not (i64) -> ()",
        ),
        ("triggers that are not text", module("(@custom \"kvasm.triggers\" \"\\ff\")"), "not UTF-8"),
        ("a global of a reference type", module("(global funcref (ref.null func))"), "reference"),
        ("a table of externref", module("(table 1 externref)"), "reference"),
        ("two memories", module("(memory 1) (memory 1)"), "memories"),
        ("a 64-bit memory", module("(memory i64 1)"), "memory64"),
        ("a shared memory", module("(memory 1 1 shared)"), "threads"),
        ("vectors", run("(drop (v128.const i64x2 0 0))"), "SIMD"),
        ("a tail call", module("(func $f (return_call $f))"), "tail calls"),
        ("an exception", module("(tag)"), "exceptions"),
        ("a component", "(component)".into(), "build a core module (target wasm32-unknown-unknown)"),
        ("text that ends early", "(module".into(), "expected"),
        ("text nested without end", "(".repeat(100_000), "expected"),
        ("bytes that are neither", "\u{7f}ELF".into(), "neither a binary module nor WAT"),
        ("a script", "return redis.call('GET', KEYS[1])".into(), "neither a binary module nor WAT"),
        (
            "a module for WASI",
            module(
                "(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32)))",
            ),
            "built for WASI?",
        ),
    ]
}

#[test]
fn hostile_modules_are_stopped_and_harm_nothing() {
    on_large_stack(|| {
        let mut arena = Arena::new();
        for (name, text, code) in stopped().into_iter().chain(stopped_by_charges()) {
            let error = arena.challenge(text.as_bytes()).expect_err(name);
            assert!(error.starts_with(code), "{name}: expected {code}, got {error}");
        }
    });
}

#[test]
fn modules_beyond_a_limit_are_refused_with_its_name() {
    on_large_stack(|| {
        let mut arena = Arena::new();
        for (name, text, limit) in beyond_limits() {
            let error = arena.challenge(text.as_bytes()).expect_err(name);
            assert!(error.starts_with("WASMLIMIT ") && error.contains(limit), "{name}: {error}");
        }
    });
}

#[test]
fn modules_that_are_small_but_much_work_to_compile_are_refused() {
    on_large_stack(|| {
        let mut arena = Arena::new();
        arena.limits.max_module_bytes = 200_000;
        for (name, text) in laborious() {
            let wasm = wat::parse_str(&text).expect(name);
            assert!(wasm.len() < 50_000, "{name}: {} bytes", wasm.len());
            let error = arena.challenge(&wasm).expect_err(name);
            assert!(error.contains("units of work to compile"), "{name}: {error}");
        }
    });
}

#[test]
fn ordinary_code_may_fill_a_module() {
    on_large_stack(|| {
        let limits = Limits { max_module_bytes: 100_000, ..Limits::default() };
        // Loops, branches, calls and arithmetic.
        let function = "(func $f (param i32) (result i32) (local i32 i32)
            (loop $again
                (local.set 1 (i32.add (local.get 1) (i32.mul (local.get 0) (i32.const 7))))
                (if (i32.lt_u (local.get 1) (i32.const 1000)) (then (i32.store8 (local.get 1) (local.get 0))))
                (br_if $again (i32.ne (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const 90))))
            (block $done
                (br_if $done (i32.eqz (local.get 1)))
                (local.set 2 (i32.load offset=64 (i32.and (local.get 1) (i32.const 255))))
                (local.set 2 (i32.xor (local.get 2) (i32.shl (local.get 1) (i32.const 13))))
                (local.set 1 (call 0 (i32.sub (local.get 0) (i32.const 1)))))
            (if (result i32) (local.get 2) (then (local.get 1)) (else (i32.const 0))))";
        let functions = function.replace(" $f", "").repeat(885);
        let wasm = wat::parse_str(format!("(module (memory 1) {functions})")).expect("valid");
        assert!((98_000..100_000).contains(&wasm.len()), "{}", wasm.len());
        let module = Module::compile(&wasm, &limits);
        assert!(module.is_ok(), "{:?}", module.err());
    });
}

#[test]
fn modules_that_wasm3_cannot_run_safely_are_refused_with_the_reason() {
    on_large_stack(|| {
        let mut arena = Arena::new();
        for (name, text, reason) in refused() {
            let error = arena.challenge(text.as_bytes()).expect_err(name);
            assert!(error.starts_with("WASMINVALID ") && error.contains(reason), "{name}: {error}");
        }
    });
}

#[test]
fn the_size_of_an_upload_is_limited() {
    on_large_stack(|| {
        let mut arena = Arena::new();
        arena.limits.max_module_bytes = GOOD.len() as u64;
        assert!(arena.challenge(GOOD.as_bytes()).is_ok());
        let verdict = arena.challenge(format!("{GOOD} ").as_bytes());
        assert!(verdict.is_err_and(|error| error.contains("wasm-max-module-size")));
    });
}

/// Where the sections of a binary module start.
fn section_starts(wasm: &[u8]) -> Vec<usize> {
    let mut starts = vec![8];
    while let Some(rest) =
        starts.last().and_then(|start| wasm.get(start + 1..)).filter(|rest| !rest.is_empty())
    {
        // The length of these sections is one byte, or two for more than 127 bytes.
        let (length, bytes) = if rest[0] < 0x80 {
            (rest[0].into(), 1)
        } else {
            (usize::from(rest[0] & 0x7f) | usize::from(rest[1]) << 7, 2)
        };
        starts.push(starts[starts.len() - 1] + 1 + bytes + length);
    }
    starts
}

#[test]
fn a_truncated_binary_is_refused_wherever_it_ends() {
    on_large_stack(|| {
        let mut arena = Arena::new();
        let wasm = wat::parse_str(GOOD).expect("valid");
        let starts = section_starts(&wasm);
        for length in 0..wasm.len() {
            let verdict = arena.challenge(&wasm[..length]);
            // Between two sections, what is left may be a module: one that has all it refers to.
            assert!(verdict.is_err() || starts.contains(&length), "{length} bytes");
        }
    });
}

#[test]
fn no_flipped_bit_does_harm() {
    on_large_stack(|| {
        let mut arena = Arena::new();
        let text = r#"(module (import "kvasm_1" "get" (func $get (param i32 i32 i32 i32) (result i64)))
            (memory 1 3) (table 2 funcref) (global $n (mut i32) (i32.const 5)) (elem (i32.const 0) $f $g)
            (type $t (func (param i32) (result i32))) (data (i32.const 8) "data")
            (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
            (func $g (param i32) (result i32) (local i64) (block (loop (br_if 1 (i32.eqz (local.get 0)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 0))) (local.get 0))
            (func (export "run") (global.set $n (call_indirect (type $t) (i32.const 3) (i32.const 1)))
                (memory.fill (i32.const 0) (i32.const 1) (i32.const 9)) (drop (memory.grow (i32.const 1)))
                (drop (call $get (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 3)))))"#;
        let wasm = wat::parse_str(text).expect("valid");
        let mut passed = 0;
        for bit in 0..wasm.len() * 8 {
            let mut flipped = wasm.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            passed += usize::from(arena.challenge(&flipped).is_ok());
        }
        assert!(passed > 100, "too few flips leave a valid module for this to test running: {passed}");
    });
}
