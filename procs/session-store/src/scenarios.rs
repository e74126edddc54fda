//! What the session store promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Boolean, Bulk, Error, Integer, Nil, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a session has a user, data, and an end",
        steps: &[
            Call("open", &["s"], &["ada", "1000"], Ok),
            Call("open", &["s"], &["eve", "1000"], Error("SESSION is open already")),
            Call("store", &["s"], &["theme", "dark"], Boolean(true)),
            Call("store", &["s"], &["theme", "light"], Boolean(false)),
            Call("load", &["s"], &["none", "theme"], Array(&[Bulk("ada"), Nil, Bulk("light")])),
            Call("load", &["s"], &[], Array(&[Bulk("ada")])),
            Call("close", &["s"], &[], Boolean(true)),
            Call("close", &["s"], &[], Boolean(false)),
            Call("load", &["s"], &[], Error("SESSION is not open")),
            Call("store", &["s"], &["theme", "dark"], Error("SESSION is not open")),
            Command(&["EXISTS", "s"], Integer(0)),
            Call("open", &["s"], &["ada", "0"], Error("SESSION must last for a while")),
        ],
    },
    Scenario {
        name: "whatever uses a session lets its time begin anew",
        steps: &[
            Call("open", &["s"], &["ada", "1000"], Ok),
            Command(&["TTL", "s"], Integer(1000)),
            Command(&["EXPIRE", "s", "10"], Integer(1)),
            Call("load", &["s"], &[], Array(&[Bulk("ada")])),
            Command(&["TTL", "s"], Integer(1000)),
            Command(&["EXPIRE", "s", "10"], Integer(1)),
            Call("store", &["s"], &["a", "b"], Boolean(true)),
            Command(&["TTL", "s"], Integer(1000)),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new()
        .procedure::<crate::open>()
        .procedure::<crate::store>()
        .procedure::<crate::load>()
        .procedure::<crate::close>()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use kvasm_sdk::{Db, Reply};

    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }

    #[test]
    fn a_session_that_is_used_stays_and_one_that_is_not_ends() {
        let mut db = Db::test();
        assert_eq!(db.call::<crate::open>(&[b"s"], &[b"ada", b"60"]), Ok(Reply::OK));
        for _ in 0..3 {
            db.advance(Duration::from_secs(59));
            assert!(db.call::<crate::load>(&[b"s"], &[]).is_ok());
        }
        db.advance(Duration::from_secs(60));
        let error = db.call::<crate::load>(&[b"s"], &[]).unwrap_err();
        assert_eq!(error.text(), "SESSION is not open");
    }
}
