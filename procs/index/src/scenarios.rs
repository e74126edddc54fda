//! What the index promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Bulk, Error, Integer, Nil, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "the index follows every change of a person",
        steps: &[
            Command(&["SET", "person:2", "name=Bob city=London"], Ok),
            Command(&["SET", "person:1", "name=Ada city=London"], Ok),
            Command(&["SET", "person:3", "name=Eve"], Ok),
            Call("people_in", &[], &["London"], Array(&[Bulk("1"), Bulk("2")])),
            Command(&["APPEND", "person:3", " city=London"], Integer(20)),
            Command(&["SET", "person:1", "name=Ada city=Paris"], Ok),
            Call("people_in", &[], &["London"], Array(&[Bulk("2"), Bulk("3")])),
            Command(&["RENAME", "person:2", "person:9"], Ok),
            Call("people_in", &[], &["London"], Array(&[Bulk("3"), Bulk("9")])),
            Command(&["GET", "city:Paris"], Bulk("1")),
            Command(&["DEL", "person:1", "person:3"], Integer(2)),
            Call("people_in", &[], &["Paris"], Array(&[])),
            Command(&["GET", "city:Paris"], Nil),
            Command(&["GET", "city:London"], Bulk("9")),
        ],
    },
    Scenario {
        name: "a person that cannot be indexed cannot be stored",
        steps: &[
            Command(
                &["SET", "person:a\nb", "city=London"],
                Error("INDEX trigger 'index_city': the id of a person is one line of text"),
            ),
            Command(&["EXISTS", "person:a\nb", "city:London"], Integer(0)),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().procedure::<crate::people_in>().trigger::<crate::index_city>()
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
    fn an_expired_person_leaves_the_index() {
        let mut db = Db::test();
        db.install::<crate::index_city>();
        db.execute(Command::new("SET").arg("person:1").arg("city=London").arg("EX").arg(10)).unwrap();
        assert_eq!(db.get(b"city:London").as_deref(), Some(b"1".as_slice()));
        db.advance(Duration::from_secs(10));
        assert!(!db.exists(b"city:London"));
    }
}
