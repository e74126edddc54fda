//! What the top list promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, ErrorStart, Integer, Nil, Ok, Scored};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "the list follows every change of a result",
        steps: &[
            Command(&["SET", "score:1", "ada 120"], Ok),
            Command(&["SET", "score:2", "bob 90"], Ok),
            Command(&["SET", "score:3", "bob 40"], Ok),
            Call("best_players", &[], &["10"], Array(&[Scored("bob", "130"), Scored("ada", "120")])),
            Command(&["SET", "score:3", "ada 20"], Ok),
            Call("best_players", &[], &["10"], Array(&[Scored("ada", "140"), Scored("bob", "90")])),
            Command(&["APPEND", "score:2", "0"], Integer(7)),
            Call("best_players", &[], &["1"], Array(&[Scored("bob", "900")])),
            Command(&["RENAME", "score:2", "score:4"], Ok),
            Call("best_players", &[], &["1"], Array(&[Scored("bob", "900")])),
            Command(&["RENAME", "score:4", "void"], Ok),
            Command(&["DEL", "score:1"], Integer(1)),
            Call("best_players", &[], &["10"], Array(&[Scored("ada", "20")])),
            Command(&["ZSCORE", "top", "bob"], Nil),
        ],
    },
    Scenario {
        name: "what is no result is refused",
        steps: &[
            Command(&["SET", "score:1", "ada 120"], Ok),
            Command(&["SET", "score:1", "ada"], ErrorStart("SCORE trigger 'count_score': score:1 is not")),
            Command(&["SET", "score:2", "ada -1"], ErrorStart("SCORE trigger 'count_score': score:2 is not")),
            Command(&["APPEND", "score:1", "0 points"], ErrorStart("SCORE trigger 'count_score': score:1")),
            Call("best_players", &[], &["10"], Array(&[Scored("ada", "120")])),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().trigger::<crate::count_score>().procedure::<crate::best_players>()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use kvasm_sdk::{Command, Db};

    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }

    #[test]
    fn an_expired_result_does_not_count() {
        let mut db = Db::test();
        db.install::<crate::count_score>();
        db.execute(Command::new("SET").args(["score:1", "ada 120", "EX", "10"])).unwrap();
        assert_eq!(db.sorted_set(b"top").score("ada"), Ok(Some(120.0)));
        db.advance(Duration::from_secs(10));
        assert!(!db.exists(b"top"));
    }

    #[test]
    fn what_was_no_result_before_the_trigger_came_is_not_taken_away() {
        let mut db = Db::test();
        db.put(b"score:1", b"unknown");
        db.install::<crate::count_score>();
        db.execute(Command::new("SET").args(["score:1", "ada 120"])).unwrap();
        assert_eq!(db.sorted_set(b"top").score("ada"), Ok(Some(120.0)));
    }
}
