//! What the leaderboard promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Bulk, Double, Error, Integer, Nil, Ok, Scored};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "points add up and decide the place",
        steps: &[
            Call("award", &["b"], &["ada", "100"], Array(&[Double("100"), Integer(1)])),
            Call("award", &["b"], &["bob", "120.5"], Array(&[Double("120.5"), Integer(1)])),
            Call("award", &["b"], &["eve", "7"], Array(&[Double("7"), Integer(3)])),
            Call("award", &["b"], &["ada", "50"], Array(&[Double("150"), Integer(1)])),
            Call("top", &["b"], &["2"], Array(&[Scored("ada", "150"), Scored("bob", "120.5")])),
            Call("standing", &["b"], &["eve"], Array(&[Double("7"), Integer(3), Bulk("bob")])),
            Call("standing", &["b"], &["ada"], Array(&[Double("150"), Integer(1), Nil])),
            Call("standing", &["b"], &["nobody"], Nil),
            Call("award", &["b"], &["ada", "-1"], Error("POINTS must be a number that is not negative")),
            Call("award", &["b"], &["ada", "inf"], Error("POINTS must be a number that is not negative")),
        ],
    },
    Scenario {
        name: "a season ends with a table that is kept, and the next begins with a part of the points",
        steps: &[
            Command(&["ZADD", "b", "100", "ada", "50", "bob"], Integer(2)),
            Call("roll_over", &["b", "b:1"], &["10"], Integer(2)),
            Call("top", &["b:1"], &["9"], Array(&[Scored("ada", "100"), Scored("bob", "50")])),
            Command(&["TTL", "b:1"], Integer(7_776_000)),
            Call("top", &["b"], &["9"], Array(&[Scored("ada", "10"), Scored("bob", "5")])),
            Command(&["TTL", "b"], Integer(-1)),
            Call("roll_over", &["b", "b:1"], &["10"], Error("SEASON there is an archive of that name")),
            Call("roll_over", &["b", "b:2"], &["0"], Integer(2)),
            Command(&["EXISTS", "b"], Integer(0)),
            Call("roll_over", &["b", "b:3"], &["0"], Error("ERR no such key")),
        ],
    },
    Scenario {
        name: "what is no leaderboard stays what it is",
        steps: &[
            Command(&["SET", "b", "text"], Ok),
            Call("award", &["b"], &["ada", "1"], Error(WRONG_TYPE)),
            Call("roll_over", &["b", "b:1"], &["10"], Error(WRONG_TYPE)),
            Command(&["GET", "b"], Bulk("text")),
            Command(&["EXISTS", "b:1"], Integer(0)),
        ],
    },
];

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new()
        .procedure::<crate::award>()
        .procedure::<crate::top>()
        .procedure::<crate::standing>()
        .procedure::<crate::roll_over>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }
}
