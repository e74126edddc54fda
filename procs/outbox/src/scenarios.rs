//! What the outbox promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{AnyError, Array, Integer, Ok};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "each change of an order has one entry",
        steps: &[
            Command(&["SET", "order:1", "250"], Ok),
            Command(&["INCRBY", "order:1", "-50"], Integer(200)),
            Command(&["MSET", "order:2", "9", "price:2", "9"], Ok),
            Command(&["DEL", "order:1", "order:3"], Integer(1)),
            Command(&["XLEN", "outbox"], Integer(4)),
        ],
    },
    Scenario {
        name: "a change that fails has no entry",
        steps: &[
            Command(&["SET", "order:1", "soon"], Ok),
            Command(&["INCRBY", "order:1", "1"], AnyError),
            Command(&["SETNX", "order:1", "later"], Integer(0)),
            Command(&["XLEN", "outbox"], Integer(1)),
        ],
    },
    Scenario {
        name: "what is taken leaves the outbox",
        steps: &[
            Call("take_orders", &[], &["10"], Array(&[])),
            Command(&["SET", "order:1", "250"], Ok),
            Command(&["DEL", "order:1"], Integer(1)),
            Call("take_orders", &[], &["0"], Array(&[])),
            Command(&["XLEN", "outbox"], Integer(2)),
        ],
    },
];

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().trigger::<crate::publish_order>().procedure::<crate::take_orders>()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use kvasm_sdk::prelude::*;

    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }

    #[test]
    fn an_entry_tells_key_event_and_value() {
        let mut db = Db::test();
        db.install::<crate::publish_order>();
        db.execute(Command::new("SET").args(["order:1", "250", "EX", "10"])).unwrap();
        db.execute(Command::new("INCRBY").args(["order:1", "-50"])).unwrap();
        db.advance(Duration::from_secs(10));
        assert!(!db.exists(b"order:1"));
        let entries: Vec<Entry> = db.stream(b"outbox").range(..).unwrap().collect();
        let told = |event: &str, value: Option<&str>| {
            let mut fields = vec![("key", "order:1"), ("event", event)];
            fields.extend(value.map(|value| ("value", value)));
            fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>()
        };
        let expected = [told("set", Some("250")), told("incrby", Some("200")), told("expired", None)];
        assert!(entries.iter().map(|entry| &entry.fields).eq(&expected), "{entries:?}");
    }

    #[test]
    fn the_oldest_are_taken_first() {
        let mut db = Db::test();
        db.install::<crate::publish_order>();
        for order in ["order:1", "order:2", "order:3"] {
            db.execute(Command::new("SET").arg(order).arg("1")).unwrap();
        }
        let keys = |entries: Vec<Entry>| -> Vec<Vec<u8>> {
            entries.iter().map(|entry| entry.get("key").unwrap().to_vec()).collect()
        };
        let taken = crate::take_orders(&mut db, 2).unwrap();
        assert_eq!(keys(taken), [b"order:1", b"order:2"]);
        let left = db.stream(b"outbox").range(..).unwrap().collect();
        assert_eq!(keys(left), [b"order:3"]);
    }
}
