//! What the gate finds out: procedures, the proof that they only read, trigger declarations.

use super::*;

#[test]
fn exports_that_can_write_are_told_from_those_that_only_read() {
    on_large_stack(|| {
        // Functions by name: those ending in `_w` can write.
        let text = with_imports(
            r#"(table $t 4 funcref) (elem (i32.const 0) $put_i64 $plain_i32) (type $i64 (func (param i64))) (type $i32 (func (param i32)))
            (func $put_i64 (param i64) (call $put (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
            (func $plain_i32 (param i32))
            (func $even (call $odd)) (func $odd (call $even)) (func $odd_writing (call $even_writing))
            (func $even_writing (call $odd_writing) (drop (call $increment (i32.const 0) (i32.const 0) (i64.const 0))))
            (func (export "nothing"))
            (func (export "reads") (drop (call $get (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
                (drop (call $command_ro (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
            (func (export "put_w") (call $put (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
            (func (export "delete_w") (drop (call $delete (i32.const 0) (i32.const 0))))
            (func (export "command_w") (drop (call $command (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
            (func (export "dead_code_w") (return) (drop (call $delete (i32.const 0) (i32.const 0))))
            (func (export "recursion") (call $even))
            (func (export "recursion_w") (call $odd_writing))
            (func (export "indirect") (call_indirect (type $i32) (i32.const 0) (i32.const 0)))
            (func (export "indirect_w") (call_indirect (type $i64) (i64.const 0) (i32.const 0)))"#,
        );
        let module = compile(&text);
        assert_eq!(module.procedures().len(), 10);
        for procedure in module.procedures() {
            assert_eq!(procedure.read_only, !procedure.name.ends_with("_w"), "{}", procedure.name);
        }
    });
}

#[test]
fn a_start_function_that_writes_makes_every_procedure_write() {
    on_large_stack(|| {
        let text = with_imports(
            r#"(func $init (drop (call $delete (i32.const 0) (i32.const 0)))) (start $init) (func (export "run"))"#,
        );
        assert!(!compile(&text).procedures()[0].read_only);
    });
}

#[test]
fn procedures_are_the_exports_without_parameters_and_results() {
    on_large_stack(|| {
        let module = compile(
            r#"(module (func $f (export "one") (export "two")) (export "three" (func $f)) (memory (export "memory") 1)
                (func (export "takes") (param i32)) (func (export "gives") (result i32) (i32.const 1)))"#,
        );
        let names: Vec<_> = module.procedures().iter().map(|procedure| procedure.name.as_str()).collect();
        assert_eq!(names, ["one", "two", "three"]);
        let mut runtime = Runtime::new(Limits::default());
        for name in names {
            assert!(call(&mut runtime, &module, name, &input(&[], &[])).result.is_ok());
        }
    });
}

#[test]
fn a_reactors_initializer_runs_before_each_call_and_is_no_procedure() {
    on_large_stack(|| {
        let text = with_imports(
            "(global $g (mut i64) (i64.const 1)) (func (export \"_initialize\") (global.set $g (i64.const 7)))
             (func (export \"run\") (call $reply_integer (global.get $g)) (global.set $g (i64.const 9)))",
        );
        let module = compile(&text);
        assert_eq!(module.procedures().len(), 1);
        let mut runtime = Runtime::new(Limits::default());
        for _ in 0..2 {
            let outcome = call(&mut runtime, &module, "run", &input(&[], &[]));
            assert_eq!(outcome.result, Ok(ProcedureReply::Integer(7)));
        }
        // One with parameters is just an export.
        assert!(compile("(module (func (export \"_initialize\") (param i32)))").procedures().is_empty());
    });
}

#[test]
fn a_module_says_why_it_has_nothing_for_evalwasm() {
    on_large_stack(|| {
        let why = |fields: &str| compile(&format!("(module {fields})")).why_no_eval();
        let mistyped = why("(func (export \"run\") (param i32) (result i64) unreachable)");
        assert_eq!(mistyped, "its export 'run' has the type (i32) -> i64, not () -> ()");
        let others = why("(func (export \"a\")) (func (export \"b\")) (func (export \"c\") (param i32))");
        assert!(others.ends_with("those of that type: a, b"), "{others}");
        assert!(why("").ends_with("those of that type: none"));
    });
}

#[test]
fn trigger_declarations_are_read_line_by_line_from_all_sections() {
    on_large_stack(|| {
        let module = compile(
            "(module (@custom \"kvasm.triggers\" \"a ON set KEYS * CALL f\\n\\n  b ON del KEYS * CALL g  \")
                (@custom \"other\" \"x\") (@custom \"kvasm.triggers\" \"c ON set KEYS * CALL f\"))",
        );
        assert_eq!(
            module.triggers(),
            ["a ON set KEYS * CALL f", "b ON del KEYS * CALL g", "c ON set KEYS * CALL f"]
        );
    });
}

#[test]
fn names_of_the_upload_do_not_reach_the_interpreter() {
    on_large_stack(|| {
        // Exports with the names that the rewriter gives its own, and a function whose debug name is one of them.
        let text = r#"(module (func $reset unreachable) (func (export "reset") (call $reset)) (func (export "0") unreachable)
            (global (export "fuel") i32 (i32.const 0)) (func (export "run")))"#;
        let module = compile(text);
        let mut runtime = Runtime::new(Limits::default());
        for _ in 0..2 {
            assert!(call(&mut runtime, &module, "run", &input(&[], &[])).result.is_ok());
            let trapped = call(&mut runtime, &module, "reset", &input(&[], &[])).result;
            assert_eq!(trapped, Err(CallError::Trap(Trap::Unreachable)));
        }
    });
}
