//! What the time series promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Bulk, Double, Error, Integer};
use kvasm_sdk::testing::Scenario;
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Expect, Native};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "readings are summed up by minutes",
        steps: &[
            Command(&["XADD", "readings:oven", "60000-0", "value", "200"], Bulk("60000-0")),
            Command(&["XADD", "readings:oven", "119999-7", "value", "-101", "unit", "C"], Bulk("119999-7")),
            Command(&["XADD", "readings:oven", "120000-0", "value", "7"], Bulk("120000-0")),
            Command(&["XADD", "readings:hob", "60000-0", "value", "1"], Bulk("60000-0")),
            Call("minutes", &[], &["oven"], Array(&[FIRST, SECOND])),
            Command(&["HGET", "minutes:hob", "1"], Bulk("1 1 1 1")),
            Call("minutes", &[], &["none"], Array(&[])),
        ],
    },
    Scenario {
        name: "what is no reading is refused",
        steps: &[
            Command(
                &["XADD", "readings:oven", "1-0", "temperature", "200"],
                Error("READING trigger 'downsample': has no value"),
            ),
            Command(
                &["XADD", "readings:oven", "1-0", "value", "hot"],
                Error("ERR trigger 'downsample': not an integer, or out of range"),
            ),
            Command(&["EXISTS", "readings:oven", "minutes:oven"], Integer(0)),
        ],
    },
];

const FIRST: Expect = Array(&[Integer(1), Integer(2), Integer(-101), Double("49.5"), Integer(200)]);
const SECOND: Expect = Array(&[Integer(2), Integer(1), Integer(7), Double("7"), Integer(7)]);

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().trigger::<crate::downsample>().procedure::<crate::minutes>()
}

#[cfg(test)]
mod tests {
    use kvasm_sdk::{Command, Db, StreamId};

    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }

    #[test]
    fn old_readings_go_and_their_sums_stay() {
        let mut db = Db::test();
        db.install::<crate::downsample>();
        // Old readings, of before there was a trigger.
        for ms in 1..=1000 {
            db.stream_mut(b"readings:oven").add_with_id(StreamId::at_ms(ms), [("value", ms)]).unwrap();
        }
        for ms in 1001..=1010_u64 {
            let command = Command::new("XADD").arg("readings:oven").arg(StreamId::at_ms(ms));
            db.execute(command.arg("value").arg(ms)).unwrap();
        }
        assert_eq!(db.stream(b"readings:oven").len(), Ok(1000));
        let minute = db.hash(b"minutes:oven").get("0").unwrap();
        assert_eq!(minute.as_deref(), Some(b"10 10055 1001 1010".as_slice()));
    }
}
