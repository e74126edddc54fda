//! Every feature of the SDK with the result that it has natively and in a server.

mod collections;

use kvasm_sdk::testing::Expect::{
    AnyError, Array, Boolean, Bulk, Double, Error, ErrorStart, Integer, Nil, Ok,
};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library, in tables of one kind of value each.
pub const SCENARIOS: &[&[Scenario]] = &[
    STRINGS,
    collections::HASHES,
    collections::LISTS,
    collections::SETS,
    collections::SORTED_SETS,
    collections::STREAMS,
];

const STRINGS: &[Scenario] = &[
    Scenario {
        name: "parameters are parsed by their types",
        steps: &[
            Call(
                "numbers",
                &["-128", "18446744073709551615"],
                &["1.5", "true"],
                Array(&[Integer(-128), Double("3"), Boolean(false), Integer(i64::MAX)]),
            ),
            Call(
                "numbers",
                &[],
                &["128", "1", "1", "1"],
                Error("ERR numbers: small is not an integer of 8 bits"),
            ),
            Call("numbers", &[], &["1", "-1", "1", "1"], Error("ERR numbers: wide is not a whole number")),
            Call("numbers", &[], &["1", "1", "one", "1"], Error("ERR numbers: real is not a number")),
            Call(
                "numbers",
                &[],
                &["1", "1", "1", "yes"],
                Error("ERR numbers: flag is not true, false, 1 or 0"),
            ),
            Call(
                "texts",
                &["é", "\0\r\n"],
                &["", LONG],
                Array(&[Integer(1), Integer(3), Bulk(""), Bulk(LONG)]),
            ),
        ],
    },
    Scenario {
        name: "the number of keys and arguments must fit",
        steps: &[
            Call(
                "numbers",
                &["1"],
                &[],
                Error("ERR numbers expects small, wide, real, flag: 4 keys and arguments, got 1"),
            ),
            Call(
                "numbers",
                &["1", "2"],
                &["3", "1", "5"],
                Error("ERR numbers expects small, wide, real, flag: 4 keys and arguments, got 5"),
            ),
            Call("rest", &[], &["a"], Bulk("a None 0")),
            Call("rest", &["a"], &["5"], Bulk("a Some(5) 0")),
            Call("rest", &["a", "-5"], &["b", "", "d"], Bulk("a Some(-5) 3")),
            Call("rest", &["a"], &["b"], Error("ERR rest: second is not an integer")),
            Call(
                "rest",
                &[],
                &[],
                Error("ERR rest expects first, [second], others ...: 1 or more keys and arguments, got 0"),
            ),
            Call("run", &[], &[], Integer(1)),
            Call("run", &["runs"], &[], Integer(2)),
            Call(
                "run",
                &["runs", "more"],
                &[],
                Error("ERR run expects [key]: 0 or 1 keys and arguments, got 2"),
            ),
            Call("renamed-function", &[], &[], Ok),
            Call(
                "renamed-function",
                &["x"],
                &[],
                Error("ERR renamed-function expects no keys and no arguments, got 1"),
            ),
        ],
    },
    Scenario {
        name: "results become replies",
        steps: &[
            Call("result", &[], &["nothing"], Ok),
            Call("result", &[], &["none"], Nil),
            Call("result", &[], &["some"], Integer(7)),
            Call("result", &[], &["min"], Integer(i64::MIN)),
            Call("result", &[], &["too-wide"], Error("ERR the result is out of range")),
            Call("result", &[], &["double"], Double("0.1")),
            Call("result", &[], &["infinity"], Double("-inf")),
            Call("result", &[], &["true"], Boolean(true)),
            Call("result", &[], &["text"], Bulk("text")),
            Call("result", &[], &["empty"], Bulk("")),
            Call("result", &[], &["bytes"], Bulk("a\r\n\0b")),
            Call("result", &[], &["list"], Array(&[Bulk("a"), Nil])),
            Call("result", &[], &["nested"], Array(&[Array(&[Integer(1), Integer(2)]), Array(&[])])),
            Call("result", &[], &["tuple"], Array(&[Integer(1), Bulk("b"), Boolean(false)])),
            Call("result", &[], &["error-reply"], Error("CODE as a reply")),
            Call("result", &[], &["error-text"], Error("ERR without a code")),
            Call("result", &[], &["error-lines"], Error("CODE two  lines")),
            Call("result", &[], &["parse-error"], Error("ERR not an integer, or out of range")),
            Call("result", &[], &["else"], Error("ERR there is no else")),
        ],
    },
    Scenario {
        name: "a procedure sees its own writes",
        steps: &[
            Command(&["SET", "k", "old"], Ok),
            Call(
                "own_writes",
                &["k"],
                &[],
                Array(&[Bulk("old"), Bulk("new"), Boolean(true), Boolean(true), Boolean(false)]),
            ),
            Command(&["EXISTS", "k"], Integer(0)),
            Call(
                "own_writes",
                &["k"],
                &[],
                Array(&[Nil, Bulk("new"), Boolean(true), Boolean(true), Boolean(false)]),
            ),
        ],
    },
    Scenario {
        name: "values are read whole and in part, whatever their length",
        steps: &[
            Command(&["SET", "k", "0123456789"], Ok),
            Call("part", &["k"], &["2", "3"], Array(&[Integer(10), Bulk("234"), Bulk("234")])),
            Call("part", &["k"], &["8", "4"], Array(&[Integer(10), Bulk("89"), Bulk("89..")])),
            Call("part", &["k"], &["10", "2"], Array(&[Integer(10), Bulk(""), Bulk("..")])),
            Call("part", &["k"], &["18446744073709551615", "1"], Array(&[Integer(10), Bulk(""), Bulk(".")])),
            Call("part", &["none"], &["0", "1"], Array(&[Nil, Nil, Bulk(".")])),
            Call("large", &["k"], &["0"], Boolean(true)),
            Call("large", &["k"], &["255"], Boolean(true)),
            Call("large", &["k"], &["256"], Boolean(true)),
            Call("large", &["k"], &["257"], Boolean(true)),
            Call("large", &["k"], &["200000"], Boolean(true)),
            Command(&["STRLEN", "k"], Integer(200_000)),
        ],
    },
    Scenario {
        name: "commands run with their options, and their errors can be handled or passed on",
        steps: &[
            Call("command", &[], &["SET", "k", "v", "PX", "100000"], Ok),
            Call("command", &[], &["set", "k", "v", "NX"], Nil),
            Call("command", &[], &["STRLEN", "k"], Integer(1)),
            Call("command_ro", &[], &["MGET", "k", "none"], Array(&[Bulk("v"), Nil])),
            Command(&["DEL", "touched"], Integer(1)),
            Call("command", &["k"], &["k"], AnyError),
            Call("command", &[], &["INCR", "k"], Error("ERR value is not an integer or out of range")),
            Command(&["EXISTS", "touched"], Integer(0)),
            Call("command_ro", &[], &["DEL", "k"], AnyError),
            Command(&["EXISTS", "k"], Integer(1)),
            Call("handled", &["n"], &[], Bulk("ERR value is not an integer or out of range")),
            Command(&["GET", "n"], Bulk("text")),
        ],
    },
    Scenario {
        name: "numbers are added, within their limits",
        steps: &[
            Call("add", &["n"], &["5"], Integer(5)),
            Call("add", &["n"], &["-7"], Integer(-2)),
            Call(
                "add",
                &["n"],
                &["-9223372036854775808"],
                Error("ERR increment or decrement would overflow"),
            ),
            Command(&["SET", "n", "x"], Ok),
            Call("add", &["n"], &["1"], Error("ERR value is not an integer or out of range")),
            Call("constant_time", &[], &[], Array(&[Boolean(true), Boolean(true), Boolean(false)])),
        ],
    },
    Scenario {
        name: "keys expire when they are told to",
        steps: &[
            Command(&["SET", "k", "v"], Ok),
            Call("expiry", &["k"], &["expire", "100"], Array(&[Boolean(true), Integer(100)])),
            Call("expiry", &["k"], &["expire_at_ms", "200"], Array(&[Boolean(true), Integer(200)])),
            Call("expiry", &["k"], &["persist", "0"], Array(&[Boolean(true), Nil])),
            Call("expiry", &["k"], &["persist", "0"], Array(&[Boolean(false), Nil])),
            Call("expiry", &["none"], &["expire", "100"], Array(&[Boolean(false), Nil])),
            Call(
                "expiry",
                &["k"],
                &["expire", "18446744073709551615"],
                Error("ERR value is not an integer or out of range"),
            ),
            Call("expiry", &["k"], &["expire", "0"], Array(&[Boolean(true), Nil])),
            Command(&["EXISTS", "k"], Integer(0)),
        ],
    },
    Scenario {
        name: "whatever ends a procedure undoes it",
        steps: &[
            Call("fail", &["k"], &["error"], Error("CODE returned")),
            Call("fail", &["k"], &["abort"], Error("CODE aborted")),
            Call("fail", &["k"], &["panic"], ErrorStart("PANIC panicked on panic")),
            Call(
                "fail",
                &["k"],
                &["unwrap"],
                ErrorStart("PANIC called `Option::unwrap()` on a `None` value"),
            ),
            Call(
                "fail",
                &["k"],
                &["index"],
                ErrorStart("PANIC index out of bounds: the len is 5 but the index is 5"),
            ),
            Call("fail", &["k"], &["increment"], Error("ERR value is not an integer or out of range")),
            Command(&["EXISTS", "k"], Integer(0)),
            Call("fail", &["k"], &["not at all"], Integer(1)),
            Command(&["GET", "k"], Bulk("written")),
        ],
    },
    Scenario {
        name: "memory that is freed is used again",
        steps: &[
            Call("allocate", &[], &["10", "1000"], Integer(20_000)),
            Call("allocate", &[], &["100", "100"], Integer(20_000)),
            Call("allocate", &[], &["1", "1000000"], Integer(2_000_000)),
        ],
    },
    Scenario {
        name: "a trigger is told what happened, in the order of the changes",
        steps: &[
            Command(&["SET", "watched:a", "1"], Ok),
            Command(&["INCRBY", "watched:a", "4"], Integer(5)),
            Command(&["MSET", "watched:b", "x", "other", "y"], Ok),
            Command(&["APPEND", "watched:b", "\0"], Integer(2)),
            Command(&["DEL", "watched:a", "watched:b", "watched:c"], Integer(2)),
            Command(
                &["GET", "seen"],
                Bulk(concat!(
                    "set watched:a 0 - 1;incrby watched:a 0 1 5;set watched:b 0 - x;",
                    r"append watched:b 0 x x\x00;del watched:a 0 5 -;del watched:b 0 x\x00 -;"
                )),
            ),
        ],
    },
    Scenario {
        name: "procedures fire triggers, triggers fire triggers, and a failure undoes all",
        steps: &[
            Call("add", &["watched:n"], &["2"], Integer(2)),
            Command(&["SET", "chain:x", "1"], Ok),
            Command(&["GET", "seen"], Bulk("incrby watched:n 0 - 2;set watched:x 0 - by chain;")),
            Command(&["SET", "refused:x", "1"], ErrorStart("REFUSED trigger 'refuse-all'")),
            Call(
                "command",
                &[],
                &["MSET", "watched:y", "1", "refused:x", "1"],
                ErrorStart("REFUSED trigger 'refuse-all'"),
            ),
            Command(&["EXISTS", "refused:x", "watched:y", "touched"], Integer(0)),
            Command(&["STRLEN", "seen"], Integer(50)),
            Command(&["SET", "endless", "1"], AnyError),
            Command(&["EXISTS", "endless"], Integer(0)),
        ],
    },
];

/// The procedures that the server must prove to be read-only, out of all; the others write.
pub const READ_ONLY: &[&str] = &[
    "numbers",
    "texts",
    "rest",
    "renamed-function",
    "result",
    "part",
    "command_ro",
    "hash_read",
    "list_read",
    "set_read",
    "sorted_set_read",
    "stream_read",
    "constant_time",
    "allocate",
];

/// More than the room that is first offered for an argument.
const LONG: &str = "0123456789012345678901234567890123456789012345678901234567890123456789\
                    012345678901234567890123456789012345678901234567890123456789";

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new()
        .procedure::<crate::run>()
        .procedure::<crate::numbers>()
        .procedure::<crate::texts>()
        .procedure::<crate::rest>()
        .procedure::<crate::renamed>()
        .procedure::<crate::result>()
        .procedure::<crate::own_writes>()
        .procedure::<crate::part>()
        .procedure::<crate::large>()
        .procedure::<crate::command>()
        .procedure::<crate::command_ro>()
        .procedure::<crate::handled>()
        .procedure::<crate::add>()
        .procedure::<crate::constant_time>()
        .procedure::<crate::fail>()
        .procedure::<crate::allocate>()
        .procedure::<crate::expiry>()
        .procedure::<crate::hashes::hash_read>()
        .procedure::<crate::hashes::hash_write>()
        .procedure::<crate::hashes::hash_pages>()
        .procedure::<crate::lists::list_read>()
        .procedure::<crate::lists::list_write>()
        .procedure::<crate::lists::list_pages>()
        .procedure::<crate::sets::set_read>()
        .procedure::<crate::sets::set_write>()
        .procedure::<crate::sets::set_pages>()
        .procedure::<crate::sorted_sets::sorted_set_read>()
        .procedure::<crate::sorted_sets::sorted_set_write>()
        .procedure::<crate::sorted_sets::sorted_set_pages>()
        .procedure::<crate::streams::stream_read>()
        .procedure::<crate::streams::stream_write>()
        .procedure::<crate::streams::stream_pages>()
        .trigger::<crate::describe>()
        .trigger::<crate::describe_elements>()
        .trigger::<crate::refuse>()
        .trigger::<crate::sleeping>()
        .trigger::<crate::elsewhere>()
        .trigger::<crate::chain>()
        .trigger::<crate::endless>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_library_keeps_its_promises() {
        for table in super::SCENARIOS {
            kvasm_sdk::testing::check(&mut super::native(), table);
        }
    }
}
