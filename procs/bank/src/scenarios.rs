//! What a transfer promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Bulk, Error, Integer, Nil, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "money moves",
        steps: &[
            Command(&["SET", "alice", "25"], Ok),
            Call("transfer", &["alice", "bob"], &["10"], Integer(15)),
            Call("transfer", &["bob", "carol"], &["10"], Integer(0)),
            Call(
                "balances",
                &["alice", "bob", "carol", "dave"],
                &[],
                Array(&[Integer(15), Integer(0), Integer(10), Integer(0)]),
            ),
        ],
    },
    Scenario {
        name: "a transfer that is not covered changes nothing",
        steps: &[
            Command(&["SET", "alice", "25"], Ok),
            Call("transfer", &["alice", "bob"], &["26"], Error("INSUFFICIENT alice lacks 1")),
            Command(&["GET", "alice"], Bulk("25")),
            Command(&["GET", "bob"], Nil),
        ],
    },
    Scenario {
        name: "a transfer that the receiver cannot hold changes nothing",
        steps: &[
            Command(&["MSET", "alice", "25", "bob", "9223372036854775807"], Ok),
            Call("transfer", &["alice", "bob"], &["1"], Error("ERR increment or decrement would overflow")),
            Command(&["GET", "alice"], Bulk("25")),
        ],
    },
    Scenario {
        name: "a transfer to oneself changes nothing, and needs the money all the same",
        steps: &[
            Command(&["SET", "alice", "25"], Ok),
            Call("transfer", &["alice", "alice"], &["25"], Integer(25)),
            Command(&["GET", "alice"], Bulk("25")),
        ],
    },
    Scenario {
        name: "a call that makes no sense is explained",
        steps: &[
            Call("transfer", &["alice", "bob"], &["0"], Error("AMOUNT must be positive")),
            Call("transfer", &["alice", "bob"], &["-5"], Error("AMOUNT must be positive")),
            Call("transfer", &["alice", "bob"], &["ten"], Error("ERR transfer: amount is not an integer")),
            Call(
                "transfer",
                &["alice"],
                &["10"],
                Error("ERR transfer expects from, to, amount: 3 keys and arguments, got 2"),
            ),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().procedure::<crate::transfer>().procedure::<crate::balances>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }
}
