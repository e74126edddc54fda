//! The guest interface, function by function.

use super::*;
use crate::procedure::CallError::{Abort, WriteInReadOnly};

const KEYS: &[&[u8]] = &[b"greeting", b"counter"];
const ARGS: &[Option<&[u8]>] = &[Some(b"first"), None, Some(b"")];
/// Keys of the host at the addresses where the guest has them: see `DATA`.
const DATA: &str = r#"(data (i32.const 0) "greeting counter a-list nothing *1 new-value WRONG x")"#;

type Reply = Result<ProcedureReply, CallError<&'static str>>;

/// Runs instructions against a store with a greeting and a counter; returns the reply and the store.
fn run(instructions: &str, change: impl FnOnce(&mut CallInput<'_>)) -> (Reply, Box<MapHost>) {
    let module = compile(&with_imports(&format!("{DATA} (func (export \"run\") {instructions})")));
    let mut host = Box::new(MapHost::default());
    host.data.insert(b"greeting".to_vec(), b"hello, world".to_vec());
    host.data.insert(b"counter".to_vec(), b"41".to_vec());
    let mut input = input(KEYS, ARGS);
    change(&mut input);
    let (host, outcome) = Runtime::new(Limits::default()).call(&module, 0, host, &input);
    (outcome.result, host)
}

#[test]
fn every_import_does_what_the_interface_says() {
    on_large_stack(|| {
        // GREETING, COUNTER, LIST, NOTHING stand for a key's address and length; REPLY(n) replies n bytes at 100.
        let check = |instructions: &str, expected: Reply| {
            let text = instructions
                .replace("GREETING", "(i32.const 0) (i32.const 8)")
                .replace("COUNTER", "(i32.const 9) (i32.const 7)")
                .replace("LIST", "(i32.const 17) (i32.const 6)")
                .replace("NOTHING", "(i32.const 24) (i32.const 7)")
                .replace("VALUE", "(i32.const 35) (i32.const 9)")
                .replace("BUFFER", "(i32.const 100) (i32.const 20)")
                .replace("SMALL", "(i32.const 100) (i32.const 4)")
                .replace("SHOW", "(call $reply_bulk (i32.const 100) (i32.const 20))");
            assert_eq!(run(&text, |_| {}).0, expected, "{instructions}");
        };
        let integer = |value| Ok(ProcedureReply::Integer(value));
        let bulk = |text: &str| Ok(ProcedureReply::Bulk(format!("{text:\0<20}").into_bytes()));
        let fails = |error| Err(CallError::Host(error));

        check("", Ok(ProcedureReply::None));
        check("(call $reply_integer (i64.extend_i32_s (call $key_count)))", integer(2));
        check("(call $reply_integer (i64.extend_i32_s (call $arg_count)))", integer(3));
        check("(call $reply_integer (i64.extend_i32_s (call $key (i32.const 1) BUFFER)))", integer(7));
        check("(drop (call $key (i32.const 1) BUFFER)) SHOW", bulk("counter"));
        check("(drop (call $key (i32.const 1) SMALL)) SHOW", bulk("coun"));
        check("(call $reply_integer (i64.extend_i32_s (call $key (i32.const 2) BUFFER)))", integer(-1));
        check("(call $reply_integer (i64.extend_i32_s (call $key (i32.const -1) BUFFER)))", integer(-1));
        check("(drop (call $arg (i32.const 0) BUFFER)) SHOW", bulk("first"));
        check("(call $reply_integer (i64.extend_i32_s (call $arg (i32.const 1) BUFFER)))", integer(-1));
        check("(call $reply_integer (i64.extend_i32_s (call $arg (i32.const 2) BUFFER)))", integer(0));
        check("(call $reply_integer (i64.extend_i32_s (call $arg (i32.const 3) BUFFER)))", integer(-1));
        check("(call $reply_integer (i64.extend_i32_s (call $arg (i32.const -1) BUFFER)))", integer(-1));

        check("(call $reply_integer (call $get GREETING BUFFER))", integer(12));
        check("(drop (call $get GREETING BUFFER)) SHOW", bulk("hello, world"));
        check("(call $reply_integer (call $get GREETING SMALL))", integer(12));
        check("(drop (call $get GREETING SMALL)) SHOW", bulk("hell"));
        check("(call $reply_integer (call $get NOTHING BUFFER))", integer(-1));
        check("(drop (call $get LIST BUFFER))", fails("WRONGTYPE"));
        check("(drop (call $get_range GREETING (i64.const 7) BUFFER)) SHOW", bulk("world"));
        check("(call $reply_integer (call $get_range GREETING (i64.const 7) BUFFER))", integer(12));
        check("(call $reply_integer (call $get_range GREETING (i64.const 99) BUFFER))", integer(12));
        check(
            "(drop (call $get_range GREETING (i64.const -1) BUFFER))",
            Err(CallError::Trap(Trap::HostArgument("negative offset given to get_range"))),
        );
        check("(call $reply_integer (i64.extend_i32_s (call $exists GREETING)))", integer(1));
        check("(call $reply_integer (i64.extend_i32_s (call $exists NOTHING)))", integer(0));

        check("(call $put GREETING VALUE) (drop (call $get GREETING BUFFER)) SHOW", bulk("new-value"));
        check("(call $reply_integer (i64.extend_i32_s (call $delete GREETING)))", integer(1));
        check("(call $reply_integer (i64.extend_i32_s (call $delete NOTHING)))", integer(0));
        check(
            "(drop (call $delete GREETING)) (call $reply_integer (call $get GREETING BUFFER))",
            integer(-1),
        );
        check("(call $reply_integer (call $increment COUNTER (i64.const 1)))", integer(42));
        check(
            "(drop (call $increment GREETING (i64.const 1)))",
            fails("ERR value is not an integer or out of range"),
        );

        check("(call $reply_integer (call $command (i32.const 32) (i32.const 2) BUFFER))", integer(3));
        check("(drop (call $command (i32.const 32) (i32.const 2) BUFFER)) SHOW", bulk("+*1"));
        check("(drop (call $command_ro (i32.const 32) (i32.const 2) BUFFER)) SHOW", bulk("+read-only *1"));
        check(
            "(drop (call $command_ro (i32.const 32) (i32.const 2) SMALL))
             (drop (call $command_reply (i64.const 6) BUFFER)) SHOW",
            bulk("only *1"),
        );
        check("(call $reply_integer (call $command_reply (i64.const 9) BUFFER))", integer(0));

        check("(call $reply_integer (i64.const 1)) (call $reply_integer (i64.const -2))", integer(-2));
        check("(call $reply_bulk (i32.const 0) (i32.const 0))", Ok(ProcedureReply::Bulk(Vec::new())));
        check("(call $reply_resp (i32.const 0) (i32.const 3))", fails("ERR not a RESP value"));
        check(
            "(i32.store (i32.const 100) (i32.const 0x0a0d315f)) (call $reply_resp (i32.const 100) (i32.const 4))",
            Ok(ProcedureReply::Resp(b"_1\r\n".to_vec())),
        );
        check("(call $abort (i32.const 45) (i32.const 7))", Err(Abort(b"WRONG x".to_vec())));
        check("(call $reply_integer (call $time_us))", integer(1_700_000_000_000_000));
        check(
            "(call $log (i32.const 4) GREETING)",
            Err(CallError::Trap(Trap::HostArgument("log level is not 0 to 3"))),
        );
    });
}

#[test]
fn log_lines_reach_the_host_with_their_level() {
    on_large_stack(|| {
        let (reply, host) = run("(call $log (i32.const 3) (i32.const 0) (i32.const 8))", |_| {});
        assert_eq!(reply, Ok(ProcedureReply::None));
        assert_eq!(host.log, [(Severity::Warning, "greeting".to_owned())]);
    });
}

#[test]
fn the_same_seed_gives_the_same_random_numbers() {
    on_large_stack(|| {
        let number = |seed| run("(call $reply_integer (call $random))", |input| input.random_seed = seed).0;
        assert_eq!(number(1), number(1));
        assert_ne!(number(1), number(2));
    });
}

#[test]
fn no_write_happens_in_a_read_only_call() {
    on_large_stack(|| {
        let check = |instructions: &str, expected: Reply| {
            let (reply, host) = run(instructions, |input| input.read_only = true);
            assert_eq!(reply, expected, "{instructions}");
            assert_eq!(host.data[&b"counter".to_vec()], b"41");
        };
        check("(call $put (i32.const 9) (i32.const 7) (i32.const 0) (i32.const 1))", Err(WriteInReadOnly));
        check("(drop (call $delete (i32.const 9) (i32.const 7)))", Err(WriteInReadOnly));
        check("(drop (call $increment (i32.const 9) (i32.const 7) (i64.const 1)))", Err(WriteInReadOnly));
        check(
            "(drop (call $command (i32.const 32) (i32.const 2) (i32.const 100) (i32.const 20)))
             (call $reply_bulk (i32.const 100) (i32.const 10))",
            Ok(ProcedureReply::Bulk(b"+read-only".to_vec())),
        );
    });
}

#[test]
fn a_bad_pointer_traps_whichever_argument_it_is() {
    on_large_stack(|| {
        // Addresses and lengths around the end of one page and the end of 32 bits; each names bytes outside.
        let bad = [
            (65_536, 1),
            (65_535, 2),
            (0, 65_537),
            (-1, 1),
            (-1, -1),
            (1, -1),
            (65_000, 0x7fff_ffff),
            (65_537, 0),
        ];
        let calls = [
            "(drop (call $key (i32.const 0) BAD))",
            "(drop (call $key (i32.const 9) BAD))",
            "(drop (call $arg (i32.const 0) BAD))",
            "(drop (call $get BAD GOOD))",
            "(drop (call $get GOOD BAD))",
            "(drop (call $get_range BAD (i64.const 0) GOOD))",
            "(drop (call $get_range GOOD (i64.const 0) BAD))",
            "(drop (call $exists BAD))",
            "(drop (call $command_ro BAD GOOD))",
            "(drop (call $command_ro GOOD BAD))",
            "(drop (call $command BAD GOOD))",
            "(drop (call $command GOOD BAD))",
            "(drop (call $command_reply (i64.const 0) BAD))",
            "(call $put BAD GOOD)",
            "(call $put GOOD BAD)",
            "(drop (call $delete BAD))",
            "(drop (call $increment BAD (i64.const 1)))",
            "(call $reply_bulk BAD)",
            "(call $reply_resp BAD)",
            "(call $abort BAD)",
            "(call $log (i32.const 0) BAD)",
        ];
        for call in calls {
            for (address, length) in bad {
                let text = call
                    .replace("BAD", &format!("(i32.const {address}) (i32.const {length})"))
                    .replace("GOOD", "(i32.const 0) (i32.const 8)");
                let (reply, host) = run(&text, |_| {});
                let name = call.split(['$', ' ', ')']).nth(if call.starts_with("(drop") { 3 } else { 2 });
                let function = HostFunction::by_name(name.expect("a call")).expect("it exists").name();
                let trap = Trap::HostPointer { function, address: address as u32, length: length as u32 };
                assert_eq!(reply, Err(CallError::Trap(trap)), "{text}");
                assert_eq!(host.data.len(), 2, "{text}");
            }
        }
    });
}

#[test]
fn a_bad_pointer_is_reported_with_its_function_and_a_negative_length_as_one() {
    on_large_stack(|| {
        // What a guest passes on that forgot to look whether `key` found one.
        let text = "(drop (call $increment (i32.const 0) (call $key (i32.const 9) (i32.const 0) (i32.const 9)) (i64.const 1)))";
        let Err(error) = run(text, |_| {}).0 else { panic!("it has no key") };
        let expected = "procedure 'run': increment: -1 bytes at 0 are outside of the memory";
        assert_eq!(error.describe("run"), expected);
    });
}

#[test]
fn pointers_at_the_very_end_of_the_memory_are_good() {
    on_large_stack(|| {
        let text = "(drop (call $get (i32.const 0) (i32.const 8) (i32.const 65524) (i32.const 12)))
                    (call $reply_bulk (i32.const 65524) (i32.const 12))";
        assert_eq!(run(text, |_| {}).0, Ok(ProcedureReply::Bulk(b"hello, world".to_vec())));
        assert_eq!(
            run("(call $reply_bulk (i32.const 65536) (i32.const 0))", |_| {}).0,
            Ok(ProcedureReply::Bulk(vec![]))
        );
    });
}

#[test]
fn a_module_without_memory_can_still_reply() {
    on_large_stack(|| {
        let text = r#"(module (import "kvasm_1" "reply_integer" (func $reply (param i64)))
            (import "kvasm_1" "reply_bulk" (func $bulk (param i32 i32)))
            (func (export "run") (call $reply (i64.const 7)))
            (func (export "bad") (call $bulk (i32.const 0) (i32.const 1))))"#;
        let module = compile(text);
        let mut runtime = Runtime::new(Limits::default());
        assert_eq!(
            call(&mut runtime, &module, "run", &input(&[], &[])).result,
            Ok(ProcedureReply::Integer(7))
        );
        let trap = Trap::HostPointer { function: "reply_bulk", address: 0, length: 1 };
        assert_eq!(call(&mut runtime, &module, "bad", &input(&[], &[])).result, Err(CallError::Trap(trap)));
    });
}

#[test]
fn a_memory_that_was_empty_works_once_it_has_grown() {
    on_large_stack(|| {
        let text = r#"(module (import "kvasm_1" "reply_bulk" (func $bulk (param i32 i32))) (memory 0)
            (func (export "run") (drop (memory.grow (i32.const 1))) (call $bulk (i32.const 0) (i32.const 2))))"#;
        let module = compile(text);
        let mut runtime = Runtime::new(Limits::default());
        for _ in 0..2 {
            let outcome = call(&mut runtime, &module, "run", &input(&[], &[]));
            assert_eq!(outcome.result, Ok(ProcedureReply::Bulk(vec![0, 0])));
        }
    });
}
