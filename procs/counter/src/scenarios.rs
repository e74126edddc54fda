//! What the counter promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Bulk, Error, Integer, Nil, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "it counts up to the ceiling and no further",
        steps: &[
            Call("left", &["seats"], &["3"], Integer(3)),
            Call("take", &["seats"], &["3"], Integer(1)),
            Call("take", &["seats"], &["3", "2"], Integer(3)),
            Call("take", &["seats"], &["3"], Error("CEILING 3 would be passed")),
            Call("left", &["seats"], &["3"], Integer(0)),
            Command(&["GET", "seats"], Bulk("3")),
        ],
    },
    Scenario {
        name: "a refused step leaves no key behind",
        steps: &[
            Call("take", &["seats"], &["3", "4"], Error("CEILING 3 would be passed")),
            Command(&["GET", "seats"], Nil),
        ],
    },
    Scenario {
        name: "a ceiling lowered below the count leaves nothing, and takes nothing away",
        steps: &[
            Command(&["SET", "seats", "9"], Ok),
            Call("left", &["seats"], &["3"], Integer(0)),
            Call("take", &["seats"], &["3"], Error("CEILING 3 would be passed")),
            Command(&["GET", "seats"], Bulk("9")),
        ],
    },
    Scenario {
        name: "what is not a number is an error",
        steps: &[
            Command(&["SET", "seats", "many"], Ok),
            Call("take", &["seats"], &["3"], Error("ERR value is not an integer or out of range")),
            Call("left", &["seats"], &["3"], Error("ERR not an integer, or out of range")),
            Call("take", &["seats"], &["three"], Error("ERR take: ceiling is not an integer")),
            Call("take", &["seats"], &["3", "-1"], Error("ERR take: step is not a whole number of 32 bits")),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().procedure::<crate::take>().procedure::<crate::left>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }
}
