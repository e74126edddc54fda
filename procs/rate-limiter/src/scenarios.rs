//! What the rate limiter promises, as a table for native tests and for the server. The rates are so small that the time
//! which a test takes adds no token.

use kvasm_sdk::testing::Expect::{Array, Boolean, Error, Integer, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a burst empties the bucket",
        steps: &[
            Call("allow", &["b"], &["3", "1", "2"], Array(&[Boolean(true), Integer(1), Integer(0)])),
            Call("allow", &["b"], &["3", "1"], Array(&[Boolean(true), Integer(0), Integer(0)])),
            Call("allow", &["other"], &["3", "1"], Array(&[Boolean(true), Integer(2), Integer(0)])),
        ],
    },
    Scenario {
        name: "what cannot be is refused",
        steps: &[
            Call("allow", &["b"], &["3", "1", "4"], Error(MAKES_NO_SENSE)),
            Call("allow", &["b"], &["3", "0"], Error(MAKES_NO_SENSE)),
            Call("allow", &["b"], &["0", "1", "0"], Error(MAKES_NO_SENSE)),
            Command(&["SET", "b", "text"], Ok),
            Call("allow", &["b"], &["3", "1"], Error("LIMIT this key is no bucket")),
        ],
    },
];

const MAKES_NO_SENSE: &str =
    "LIMIT the rate and the capacity must be positive, and a request within the capacity";

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().procedure::<crate::allow>()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use kvasm_sdk::{Command, Db, Reply};

    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }

    #[test]
    fn time_refills_a_bucket_up_to_its_capacity_and_then_forgets_it() {
        let mut db = Db::test();
        // After so many milliseconds: whether one token can be taken, those left, the time to wait in milliseconds.
        let mut check = |after_ms, allowed, left, wait_ms| {
            db.advance(Duration::from_millis(after_ms));
            let reply = db.call::<crate::allow>(&[b"b"], &[b"3", b"2"]).unwrap();
            let expected = [Reply::Boolean(allowed), Reply::Integer(left), Reply::Integer(wait_ms)];
            assert_eq!(reply.as_items(), Some(expected.as_slice()));
        };
        check(0, true, 2, 0);
        check(0, true, 1, 0);
        check(0, true, 0, 0);
        check(0, false, 0, 500);
        check(200, false, 0, 300);
        check(299, false, 0, 1);
        check(1, true, 0, 0);
        check(1000, true, 1, 0);
        check(60_000, true, 2, 0);
        assert_eq!(db.command_ro(Command::new("PTTL").arg("b")), Ok(Reply::Integer(500)));
        db.advance(Duration::from_millis(500));
        assert!(!db.exists(b"b"));
    }
}
