//! What the queue promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Boolean, Bulk, Error, Integer, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

const KEYS: &[&str] = &["q", "q:waiting"];

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "jobs come out in the order in which they first came in",
        steps: &[
            Call("enqueue", KEYS, &["a", "b", "a"], Integer(2)),
            Call("enqueue", KEYS, &["b", "c"], Integer(1)),
            Call("waiting", KEYS, &["c"], Array(&[Integer(3), Boolean(true)])),
            Call("dequeue", KEYS, &[], Array(&[Bulk("a")])),
            Call("enqueue", KEYS, &["a"], Integer(1)),
            Call("dequeue", KEYS, &["9"], Array(&[Bulk("b"), Bulk("c"), Bulk("a")])),
            Call("dequeue", KEYS, &[], Array(&[])),
            Call("waiting", KEYS, &["a"], Array(&[Integer(0), Boolean(false)])),
            Command(&["EXISTS", "q", "q:waiting"], Integer(0)),
        ],
    },
    Scenario {
        name: "a cancelled job is gone and can be queued again",
        steps: &[
            Call("enqueue", KEYS, &["a", "b", "c"], Integer(3)),
            Call("cancel", KEYS, &["b"], Boolean(true)),
            Call("cancel", KEYS, &["b"], Boolean(false)),
            Call("enqueue", KEYS, &["b"], Integer(1)),
            Call("dequeue", KEYS, &["3"], Array(&[Bulk("a"), Bulk("c"), Bulk("b")])),
        ],
    },
    Scenario {
        name: "a failure leaves list and set in step",
        steps: &[
            Command(&["SET", "q", "text"], Ok),
            Call("enqueue", KEYS, &["a"], Error(WRONG_TYPE)),
            Command(&["EXISTS", "q:waiting"], Integer(0)),
        ],
    },
];

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new()
        .procedure::<crate::enqueue>()
        .procedure::<crate::dequeue>()
        .procedure::<crate::cancel>()
        .procedure::<crate::waiting>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }
}
