//! What the index promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Bulk, Error, Integer, Nil, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "the index follows every change of a user",
        steps: &[
            Command(&["SET", "user:2", "name=Bob city=London"], Ok),
            Command(&["SET", "user:1", "name=Ada city=London"], Ok),
            Command(&["SET", "user:3", "name=Eve"], Ok),
            Call("users_in", &[], &["London"], Array(&[Bulk("1"), Bulk("2")])),
            Command(&["APPEND", "user:3", " city=London"], Integer(20)),
            Command(&["SET", "user:1", "name=Ada city=Paris"], Ok),
            Call("users_in", &[], &["London"], Array(&[Bulk("2"), Bulk("3")])),
            Command(&["RENAME", "user:2", "user:9"], Ok),
            Call("users_in", &[], &["London"], Array(&[Bulk("3"), Bulk("9")])),
            Command(&["GET", "city:Paris"], Bulk("1")),
            Command(&["DEL", "user:1", "user:3"], Integer(2)),
            Call("users_in", &[], &["Paris"], Array(&[])),
            Command(&["GET", "city:Paris"], Nil),
            Command(&["GET", "city:London"], Bulk("9")),
        ],
    },
    Scenario {
        name: "a user that cannot be indexed cannot be stored",
        steps: &[
            Command(
                &["SET", "user:a\nb", "city=London"],
                Error("INDEX trigger 'index_city': the id of a user is one line of text"),
            ),
            Command(&["EXISTS", "user:a\nb", "city:London"], Integer(0)),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().procedure::<crate::users_in>().trigger::<crate::index_city>()
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
    fn an_expired_user_leaves_the_index() {
        let mut db = Db::test();
        db.install::<crate::index_city>();
        db.execute(Command::new("SET").arg("user:1").arg("city=London").arg("EX").arg(10)).unwrap();
        assert_eq!(db.get(b"city:London").as_deref(), Some(b"1".as_slice()));
        db.advance(Duration::from_secs(10));
        assert!(!db.exists(b"city:London"));
    }
}
