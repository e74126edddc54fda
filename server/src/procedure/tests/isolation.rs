//! No call sees what an earlier one left.

use super::*;

/// Calls `first`, then `second`, in the same runtime; the second's reply must be that of a new instance.
fn check(fields: &str, expected: i64) {
    let module = compile(&with_imports(fields));
    let mut runtime = Runtime::new(Limits::default());
    let reply = |outcome: Outcome| outcome.result;
    assert_eq!(
        reply(call(&mut runtime, &module, "look", &input(&[], &[]))),
        Ok(ProcedureReply::Integer(expected))
    );
    for round in 0..3 {
        let _ = call(&mut runtime, &module, "spoil", &input(&[], &[]));
        let seen = reply(call(&mut runtime, &module, "look", &input(&[], &[])));
        assert_eq!(seen, Ok(ProcedureReply::Integer(expected)), "round {round}: {fields}");
    }
}

#[test]
fn no_call_sees_the_state_of_an_earlier_one() {
    on_large_stack(|| {
        let look = |value: &str| format!("(func (export \"look\") (call $reply_integer {value}))");
        let spoil = |instructions: &str| format!("(func (export \"spoil\") {instructions})");
        let byte = |address: u32| look(&format!("(i64.load8_u (i32.const {address}))"));

        // Memory: zeros, data, and what lies beside data.
        check(&(spoil("(i32.store8 (i32.const 5) (i32.const 1))") + &byte(5)), 0);
        check(&(spoil("(i32.store8 (i32.const 65535) (i32.const 1))") + &byte(65_535)), 0);
        let data = "(data (i32.const 100) \"abc\") (data (i32.const 101) \"z\")";
        check(
            &(data.to_owned() + &spoil("(i32.store (i32.const 99) (i32.const -1))") + &byte(101)),
            i64::from(b'z'),
        );
        check(&(data.to_owned() + &spoil("(i32.store (i32.const 99) (i32.const -1))") + &byte(103)), 0);
        // A trap after the write.
        check(&(spoil("(i32.store8 (i32.const 5) (i32.const 1)) unreachable") + &byte(5)), 0);
        // Globals of every type, exported or not.
        let globals = "(global $i (mut i32) (i32.const 7)) (global $l (mut i64) (i64.const -9))
            (global $f (mut f32) (f32.const 0.5)) (global $d (export \"d\") (mut f64) (f64.const 2.5))";
        let set = spoil(
            "(global.set $i (i32.const 1)) (global.set $l (i64.const 1)) (global.set $f (f32.const 1))
             (global.set $d (f64.const 1)) unreachable",
        );
        let sum = "(i64.add (i64.add (i64.extend_i32_s (global.get $i)) (global.get $l))
            (i64.trunc_f64_s (f64.add (f64.promote_f32 (global.get $f)) (global.get $d))))";
        check(&(globals.to_owned() + &set + &look(sum)), 1);
        // The size of the memory, and the content of pages that an earlier call had.
        let size = look("(i64.extend_i32_u (memory.size))");
        check(&(spoil("(drop (memory.grow (i32.const 3)))") + &size), 1);
        let written = "(drop (memory.grow (i32.const 1))) (i32.store8 (i32.const 65536) (i32.const 1))";
        let grown = "(block (result i64) (drop (memory.grow (i32.const 1))) (i64.load8_u (i32.const 65536)))";
        check(&(spoil(written) + &look(grown)), 0);
        // Beyond the size an earlier call reached, nothing of it can be read even without growing.
        check(
            &(spoil(written)
                + &look(
                    "(if (result i64) (i32.eqz (i32.eqz (memory.size))) (then (i64.const 0)) (else (i64.const 1)))",
                )),
            0,
        );
        // The table, passive segments, and the scratch of the host.
        let table = "(table 2 funcref) (elem $e func $one) (type $t (func (result i64)))
            (func $one (result i64) (i64.const 1)) (func $two (result i64) (i64.const 2)) (elem (i32.const 1) $two)";
        let called = look("(call_indirect (type $t) (i32.const 1))");
        check(
            &(table.to_owned()
                + &spoil("(table.init $e (i32.const 1) (i32.const 0) (i32.const 1))")
                + &called),
            2,
        );
        let initialised = look(
            "(block (result i64) (table.init $e (i32.const 1) (i32.const 0) (i32.const 1))
                (call_indirect (type $t) (i32.const 1)))",
        );
        check(&(table.to_owned() + &spoil("(elem.drop $e)") + &initialised), 1);
        let passive = "(data $p \"x\")".to_owned();
        let loaded = look(
            "(block (result i64) (memory.init $p (i32.const 0) (i32.const 0) (i32.const 1)) (i64.load8_u (i32.const 0)))",
        );
        check(&(passive + &spoil("(data.drop $p)") + &loaded), i64::from(b'x'));
        check(
            &(spoil("(drop (call $command (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 0)))")
                + &look("(call $command_reply (i64.const 0) (i32.const 0) (i32.const 0))")),
            0,
        );
    });
}

#[test]
fn warm_instances_are_bounded_by_the_memory_that_they_take() {
    on_large_stack(|| {
        let mut runtime = Runtime::new(Limits::default());
        let large = || compile("(module (memory 1024) (func (export \"run\")))");
        let modules: Vec<_> = (0..6).map(|_| large()).collect();
        for module in &modules {
            assert!(call(&mut runtime, module, "run", &input(&[], &[])).result.is_ok());
        }
        // Of 256 MiB, each takes 64 and a little more.
        assert_eq!(runtime.warm_instances(), 3);
        drop(modules);
        runtime.drop_orphans();
        assert_eq!(runtime.warm_instances(), 0);
    });
}

#[test]
fn growth_starts_anew_in_each_call() {
    on_large_stack(|| {
        let text = with_imports(
            "(func (export \"run\") (call $reply_integer (i64.extend_i32_s (memory.grow (i32.const 20)))))",
        );
        let module = compile(&text);
        let mut runtime = Runtime::new(Limits::default());
        for _ in 0..3 {
            let outcome = call(&mut runtime, &module, "run", &input(&[], &[]));
            assert_eq!(outcome.result, Ok(ProcedureReply::Integer(1)));
            assert_eq!(outcome.memory_bytes, 21 * 65_536);
            assert_eq!(runtime.warm_instances(), 1, "a small growth keeps the instance");
        }
    });
}

#[test]
fn an_instance_whose_memory_grew_a_lot_is_not_kept() {
    on_large_stack(|| {
        let module = compile(&run_text("(drop (memory.grow (i32.const 33)))"));
        let mut runtime = Runtime::new(Limits::default());
        assert!(call(&mut runtime, &module, "run", &input(&[], &[])).result.is_ok());
        assert_eq!(runtime.warm_instances(), 0);
    });
}

#[test]
fn the_start_function_runs_at_every_call() {
    on_large_stack(|| {
        let text = with_imports(
            "(global $g (mut i64) (i64.const 1))
             (func $init (global.set $g (i64.mul (global.get $g) (i64.const 5)))) (start $init)
             (func (export \"run\") (call $reply_integer (global.get $g)))",
        );
        let module = compile(&text);
        let mut runtime = Runtime::new(Limits::default());
        for _ in 0..3 {
            let outcome = call(&mut runtime, &module, "run", &input(&[], &[]));
            assert_eq!(outcome.result, Ok(ProcedureReply::Integer(5)));
        }
    });
}

#[test]
fn warm_instances_are_bounded_and_go_with_their_modules() {
    on_large_stack(|| {
        let mut runtime = Runtime::new(Limits::default());
        let mut modules: Vec<_> = (0..70).map(|_| compile(&run_text(""))).collect();
        for module in &modules {
            assert!(call(&mut runtime, module, "run", &input(&[], &[])).result.is_ok());
        }
        assert_eq!(runtime.warm_instances(), 64);
        modules.pop();
        runtime.set_limits(Limits::default());
        assert_eq!(runtime.warm_instances(), 63);
        assert!(call(&mut runtime, &modules[0], "run", &input(&[], &[])).result.is_ok());
    });
}
