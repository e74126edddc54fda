//! What the validator promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Boolean, Bulk, Error, ErrorStart, Integer, Nil, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "only JSON gets in",
        steps: &[
            Command(&["SET", "user:1", r#"{"name":"Ada"}"#], Ok),
            Command(
                &["SET", "user:1", r#"{"name":Ada}"#],
                Error("INVALID trigger 'validate_user': user:1 is not JSON: expected a value at byte 8"),
            ),
            Command(&["GET", "user:1"], Bulk(r#"{"name":"Ada"}"#)),
            Command(
                &["SET", "user:2", "{"],
                ErrorStart("INVALID trigger 'validate_user': user:2 is not JSON"),
            ),
            Command(&["GET", "user:2"], Nil),
        ],
    },
    Scenario {
        name: "there is no way around it",
        steps: &[
            Command(&["SET", "user:1", "[1]"], Ok),
            Command(&["APPEND", "user:1", "x"], ErrorStart("INVALID trigger 'validate_user': user:1")),
            Command(&["SETRANGE", "user:1", "1", "x"], ErrorStart("INVALID trigger 'validate_user': user:1")),
            Command(&["SET", "draft", "x"], Ok),
            Command(&["RENAME", "draft", "user:2"], ErrorStart("INVALID trigger 'validate_user': user:2")),
            Command(
                &["MSET", "user:3", "1", "user:4", "x"],
                ErrorStart("INVALID trigger 'validate_user': user:4"),
            ),
            Command(&["EXISTS", "user:2", "user:3", "user:4"], Integer(0)),
            Command(&["GET", "draft"], Bulk("x")),
            Command(&["INCR", "user:5"], Integer(1)),
        ],
    },
    Scenario {
        name: "other keys are free, and deleting is",
        steps: &[
            Command(&["SET", "users", "{"], Ok),
            Command(&["SET", "user:1", "1"], Ok),
            Command(&["DEL", "user:1"], Integer(1)),
        ],
    },
    Scenario {
        name: "a text can be checked beforehand",
        steps: &[
            Call("is_json", &[], &["[1,2]"], Boolean(true)),
            Call("is_json", &[], &["[1,2"], Boolean(false)),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().procedure::<crate::is_json>().trigger::<crate::validate_user>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }
}
