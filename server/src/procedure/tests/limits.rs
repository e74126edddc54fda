//! Every limit of a call: it holds, and the error names it.

use super::*;
use crate::procedure::limits::PAGE_BYTES;

fn check(
    text: &str,
    limits: &Limits,
    change: impl FnOnce(&mut CallInput<'_>),
    expected: (&str, &str),
) -> Outcome {
    let outcome = call_once(text, limits, change);
    let error = outcome.result.as_ref().expect_err(text);
    assert_eq!(error.code(), Some(expected.0), "{text}: {error:?}");
    let text = error.describe("lib.run");
    assert!(text.starts_with("procedure 'lib.run': ") && text.contains(expected.1), "{text}");
    outcome
}

#[test]
fn each_limit_of_a_call_has_its_own_error_that_names_it() {
    on_large_stack(|| {
        let limits = Limits::default();
        let endless = run_text("(loop (br 0))");
        let outcome = check(&endless, &limits, |_| {}, ("WASMFUEL", "wasm-fuel"));
        assert_eq!(outcome.fuel_used, 100_000_000);
        let at_once = |input: &mut CallInput<'_>| input.deadline = Instant::now();
        check(&endless, &limits, at_once, ("WASMDEADLINE", "wasm-deadline-ms"));
        check(
            &run_text("(loop (br_if 0 (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))) unreachable"),
            &Limits { max_memory_bytes: 5 * PAGE_BYTES, ..limits.clone() },
            |_| {},
            ("WASMMEMORY", "wasm-max-memory"),
        );
        let recursion = with_imports("(func $f (export \"run\") (call $f))");
        check(&recursion, &limits, |_| {}, ("WASMSTACK", "wasm-max-stack"));
        let long = |length: u32| run_text(&format!("(call $reply_bulk (i32.const 0) (i32.const {length}))"));
        check(&long(1_001), &limits, |_| {}, ("WASMLIMIT", "wasm-max-reply-size"));
        assert!(call_once(&long(1_000), &limits, |_| {}).result.is_ok());
        let lines = |count: u32| {
            run_text(&"(call $log (i32.const 0) (i32.const 0) (i32.const 50))".repeat(count as usize))
        };
        check(&lines(2), &limits, |_| {}, ("WASMLIMIT", "wasm-max-log-size"));
        assert!(call_once(&lines(1), &limits, |_| {}).result.is_ok());
        let empty_lines = run_text("(loop (call $log (i32.const 0) (i32.const 0) (i32.const 0)) (br 0))");
        check(&empty_lines, &limits, |_| {}, ("WASMLIMIT", "wasm-max-log-size"));
        check(&run_text("unreachable"), &limits, |_| {}, ("WASMTRAP", "unreachable executed"));
    });
}

#[test]
fn the_memory_cap_counts_what_the_module_starts_with() {
    on_large_stack(|| {
        let text = run_text("(call $reply_integer (i64.extend_i32_s (memory.grow (i32.const 4))))");
        let grown = |pages| {
            let limits = Limits { max_memory_bytes: pages * PAGE_BYTES, ..Limits::default() };
            call_once(&text, &limits, |_| {}).result
        };
        assert_eq!(grown(4), Ok(ProcedureReply::Integer(-1)));
        assert_eq!(grown(5), Ok(ProcedureReply::Integer(1)));
        // A cap that sinks after the upload: the module no longer starts.
        let module = compile(&run_text(""));
        let mut runtime = Runtime::new(Limits { max_memory_bytes: 0, ..Limits::default() });
        assert_eq!(call(&mut runtime, &module, "run", &input(&[], &[])).result, Err(CallError::MemoryLimit));
        runtime.set_limits(Limits::default());
        assert!(call(&mut runtime, &module, "run", &input(&[], &[])).result.is_ok());
    });
}

#[test]
fn a_module_cannot_grow_beyond_its_own_maximum() {
    on_large_stack(|| {
        // wasm3 alone takes a maximum of 0 for none.
        for memory in ["1 1", "1 2", "0 0", "0 1"] {
            let text = format!(
                r#"(module (import "kvasm_1" "reply_integer" (func $reply (param i64))) (memory {memory})
                (func (export "run") (drop (memory.grow (i32.const 1)))
                    (call $reply (i64.extend_i32_s (memory.grow (i32.const 1))))))"#
            );
            let result = call_once(&text, &Limits::default(), |_| {}).result;
            assert_eq!(result, Ok(ProcedureReply::Integer(-1)), "{memory}");
        }
    });
}

#[test]
fn fuel_counts_at_least_every_instruction_executed() {
    on_large_stack(|| {
        let check = |instructions: &str, at_least: u64, at_most: u64| {
            let outcome = call_once(&run_text(instructions), &Limits::default(), |_| {});
            assert!(outcome.result.is_ok(), "{instructions}: {:?}", outcome.result);
            let used = outcome.fuel_used;
            assert!((at_least..=at_most).contains(&used), "{instructions}: {used}");
        };
        let counted = |body: &str| {
            format!(
                "(local $i i32) (loop $again {body}
                    (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))"
            )
        };
        // Seven instructions a turn, one for the loop itself.
        check(&counted(""), 7_000, 9_000);
        check(&counted("(drop (i32.const 1))"), 9_000, 11_000);
        // Of two arms the more expensive one is charged, not both.
        check(
            &counted(
                "(if (local.get $i) (then (drop (i32.const 1))) (else (drop (i32.const 1)) (drop (i32.const 1))))",
            ),
            11_000,
            14_500,
        );
        // A nested loop pays for its own turns, a small one for four at once.
        check(&counted("(block (loop (br 1)))"), 8_000, 18_000);
        // Branches and the ends of blocks cost by what they pass on.
        let values = "i64 ".repeat(100);
        let pass = format!("(block (param {values}) (result {values}) (br 0))");
        let (push, drop) = ("(i64.const 0)".repeat(100), "(drop)".repeat(100));
        check(&counted(&format!("{push} {drop}")), 207_000, 220_000);
        check(&counted(&format!("{push} {pass} {drop}")), 308_000, 420_000);
        let pass_by_end = pass.replace("(br 0)", "");
        check(&counted(&format!("{push} {pass_by_end} {drop}")), 307_000, 320_000);
        let pass_if = pass.replace("(br 0)", "(br_if 0 (i32.const 0))");
        check(&counted(&format!("{push} {pass_if} {drop}")), 409_000, 420_000);
        let pass_by_table = pass.replace("(br 0)", "(br_table 0 0 (i32.const 0))");
        check(&counted(&format!("{push} {pass_by_table} {drop}")), 309_000, 320_000);
        let by_if = format!("(if (param {values}) (result {values}) (i32.const 1) (then) (else))");
        check(&counted(&format!("{push} {by_if} {drop}")), 307_000, 420_000);
        // Bulk instructions cost by length.
        check("(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))", 4_096, 4_200);
        check("(memory.copy (i32.const 0) (i32.const 1) (i32.const 65535))", 4_095, 4_200);
        check("(memory.fill (i32.const 0) (i32.const 0) (i32.const 16))", 20, 60);
        // Host functions cost by the bytes they move.
        check("(drop (call $exists (i32.const 0) (i32.const 65536)))", 4_096, 4_300);
        check("(drop (memory.grow (i32.const 10)))", 81_920, 82_100);
        // Host functions that do much have their price, in loops too.
        let log = "(call $log (i32.const 0) (i32.const 0) (i32.const 0))";
        check(&log.repeat(3), 1_500, 1_600);
        check("(drop (call $exists (i32.const 0) (i32.const 0)))", 100, 120);
        check(&counted("(drop (call $exists (i32.const 0) (i32.const 0)))"), 100_000, 120_000);
    });
}

#[test]
fn callers_pay_for_what_callees_do_before_their_first_loop_turns() {
    on_large_stack(|| {
        let used = |fields: &str| {
            let outcome = call_once(&with_imports(fields), &Limits::default(), |_| {});
            assert!(outcome.result.is_ok(), "{:?}", outcome.result);
            outcome.fuel_used
        };
        let calls = |count: usize| "(call $leaf)".repeat(count);
        // Ten turns of a loop, before it ten instructions; called ten times, directly or by way of another.
        let leaf = format!(
            "(func $leaf (local $i i32) {}
                (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10)))))",
            "(drop (i32.const 1))".repeat(5)
        );
        let direct = used(&format!("{leaf} (func (export \"run\") {})", calls(10)));
        assert!((800..1_700).contains(&direct), "{direct}");
        let through = format!("{leaf} (func $f {}) (func (export \"run\") (call $f) (call $f))", calls(5));
        assert!((direct..direct + 50).contains(&used(&through)));
        // Functions that cost so much that they pay for themselves, beside one that does not, through a table.
        let body = |count: usize| "(drop (i32.const 1))".repeat(count);
        let mixed = format!(
            "(table funcref (elem $large $small)) (func $large {}) (func $small {})
             (func (export \"run\") {})",
            body(1_000),
            body(100),
            "(call_indirect (i32.const 1))".repeat(10),
        );
        assert!(used(&mixed) >= 2_000);
    });
}

#[test]
fn functions_pay_for_what_they_call() {
    on_large_stack(|| {
        let used = |fields: &str| {
            let outcome = call_once(&with_imports(fields), &Limits::default(), |_| {});
            assert!(outcome.result.is_ok(), "{:?}", outcome.result);
            outcome.fuel_used
        };
        // Doubling at each of 15 levels: 2^15 leaves, without a loop and without recursion.
        let leaf = "(func $f0 (drop (i32.const 1))) (func (export \"run\") (call $f15))";
        let direct: Vec<String> =
            (1..=15).map(|level| format!("(func $f{level} (call $f{0}) (call $f{0}))", level - 1)).collect();
        assert!(used(&(direct.concat() + leaf)) >= 2 << 15);
        // The same through a table.
        let names: Vec<String> = (0..=15).map(|level| format!("$f{level}")).collect();
        let table = format!("(table funcref (elem {}))", names.join(" "));
        let indirect: Vec<String> = (1..=15)
            .map(|level| (level, format!("(call_indirect (i32.const {}))", level - 1)))
            .map(|(level, call)| format!("(func $f{level} {call} {call})"))
            .collect();
        assert!(used(&(table + &indirect.concat() + leaf)) >= 2 << 15);
    });
}

#[test]
fn little_fuel_is_not_much_overspent() {
    on_large_stack(|| {
        let text = run_text("(loop (drop (call $exists (i32.const 0) (i32.const 65536))) (br 0))");
        let outcome = call_once(&text, &Limits::default(), |input| input.fuel = 100_000);
        assert_eq!(outcome.result, Err(CallError::OutOfFuel));
        assert_eq!(outcome.fuel_used, 100_000);
        assert_eq!(
            call_once(&run_text("(loop (br 0))"), &Limits::default(), |input| input.fuel = 0).result,
            Err(CallError::OutOfFuel)
        );
    });
}

#[test]
fn the_fuel_of_a_call_that_failed_is_known_and_a_trap_is_never_cheaper_than_it_was() {
    const SLICE: u64 = 1 << 18;
    on_large_stack(|| {
        let spin = "(local $i i32) (loop
            (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000))))";
        let used =
            |end: &str| call_once(&run_text(&format!("{spin} {end}")), &Limits::default(), |_| {}).fuel_used;
        let whole = used("");
        assert!(whole > 100_000, "{whole}");
        let aborted = used("(call $abort (i32.const 0) (i32.const 1))");
        assert!(aborted.abs_diff(whole) < 20, "{aborted} instead of {whole}");
        for trap in [
            "(unreachable)",
            "(drop (i32.load (i32.const -1)))",
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "(loop (drop (i32.load (local.get $i))) (br_if 0 (local.tee $i (i32.add (local.get $i) (i32.const 8)))))",
        ] {
            let trapped = used(trap);
            assert!((whole..whole + SLICE).contains(&trapped), "{trap}: {trapped}, without the trap {whole}");
        }
    });
}

#[test]
fn a_call_pays_for_making_its_instance_ready() {
    on_large_stack(|| {
        let used = |text: &str, fuel: u64| {
            let outcome = call_once(text, &Limits::default(), |input| input.fuel = fuel);
            (outcome.result, outcome.fuel_used)
        };
        let pages = |count: u32| format!("(module (memory {count}) (func (export \"run\")))");
        assert!(used(&pages(32), 10).0.is_ok());
        let (result, fuel) = used(&pages(1_024), 2_000_000);
        assert!(result.is_ok() && (992 * 1_024..992 * 1_024 + 10).contains(&fuel), "{result:?} {fuel}");
        assert_eq!(used(&pages(1_024), 1_000_000), (Err(CallError::OutOfFuel), 1_000_000));
        // Each call needs a new instance, so it pays for the module's size.
        let code = "(drop (i32.const 1000000))".repeat(1_000);
        let spoiled = |drop: &str| {
            format!("(module (memory 1) (data $d \"x\") (func {code}) (func (export \"run\") {drop}))")
        };
        assert!(used(&spoiled(""), 10).0.is_ok());
        let (result, fuel) = used(&spoiled("(data.drop $d)"), 1_000_000);
        assert!(result.is_ok() && fuel > 5_000 * 40, "{result:?} {fuel}");
        assert_eq!(used(&spoiled("(data.drop $d)"), 100_000).0, Err(CallError::OutOfFuel));
    });
}

#[test]
fn the_clock_is_looked_at_while_host_functions_move_bytes() {
    on_large_stack(|| {
        // A straight line of calls: the guest itself never comes to a charge.
        let moves = "(drop (call $exists (i32.const 0) (i32.const 65536)))".repeat(70);
        let text = run_text(&moves);
        let outcome = call_once(&text, &Limits::default(), |input| input.deadline = Instant::now());
        assert_eq!(outcome.result, Err(CallError::DeadlineExceeded));
        assert!(call_once(&text, &Limits::default(), |_| {}).result.is_ok());
    });
}

#[test]
fn a_reply_costs_by_its_values_and_a_command_by_its_whole_reply() {
    on_large_stack(|| {
        let used = |instructions: &str| {
            let outcome = call_once(&run_text(instructions), &Limits::default(), |_| {});
            assert!(outcome.result.is_ok(), "{instructions}: {:?}", outcome.result);
            outcome.fuel_used
        };
        let resp = used(
            "(i32.store (i32.const 0) (i32.const 0x0a0d315f)) (call $reply_resp (i32.const 0) (i32.const 4))",
        );
        assert!((150..170).contains(&resp), "{resp}");
        // The reply is as long as the request, and none of it is copied.
        let command = "(drop (call $command_ro (i32.const 0) (i32.const 64000) (i32.const 0) (i32.const 0)))";
        let fuel = used(command);
        assert!((8_500..8_600).contains(&fuel), "{fuel}");
    });
}

#[test]
fn a_call_that_can_go_on_elsewhere_ends_when_its_turn_is_over() {
    on_large_stack(|| {
        let command = "(drop (call $command_ro (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 0)))";
        let endless = run_text(&format!("(loop {command} (br 0))"));
        let in_turn = |length: Duration, text: &str| {
            let limits = Limits::default();
            let change = |input: &mut CallInput<'_>| {
                (input.fuel, input.turn) = (u64::MAX >> 1, Some(Turn { ends: Instant::now(), length }));
            };
            call_once(text, &limits, change).result
        };
        assert_eq!(in_turn(Duration::ZERO, &endless), Err(CallError::TurnOver));
        assert_eq!(in_turn(Duration::from_millis(1), &endless), Err(CallError::TurnOver));
        // The clock alone does not end it: somebody else may have had the processor.
        assert!(in_turn(Duration::from_secs(1_000), &run_text(command)).is_ok());
    });
}
