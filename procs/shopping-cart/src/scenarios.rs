//! What the cart promises, as a table for native tests and for the server.

use kvasm_sdk::testing::Expect::{Array, Bulk, Error, Integer};
use kvasm_sdk::testing::Step::{Call, Command};
use kvasm_sdk::testing::{Native, Scenario};

/// The scenarios of this library.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "the totals are right after every change",
        steps: &[
            Command(&["HSET", "prices", "tea", "350", "jam", "199"], Integer(2)),
            Call("put", &["c", "prices"], &["tea", "2"], Array(&[Integer(2), Integer(700)])),
            Call("put", &["c", "prices"], &["jam", "1"], Array(&[Integer(3), Integer(899)])),
            Call("put", &["c", "prices"], &["tea", "1"], Array(&[Integer(2), Integer(549)])),
            // A new price is that of the next time that the article is put in.
            Command(&["HSET", "prices", "tea", "400"], Integer(0)),
            Call("put", &["c", "prices"], &["jam", "0"], Array(&[Integer(1), Integer(350)])),
            Call("put", &["c", "prices"], &["tea", "1"], Array(&[Integer(1), Integer(400)])),
            Call("cart", &["c"], &[], Array(&[Array(&[ONE_TEA]), Integer(400)])),
            Call("put", &["c", "prices"], &["tea", "0"], Array(&[Integer(0), Integer(0)])),
            Command(&["EXISTS", "c"], Integer(0)),
            Call("cart", &["c"], &[], Array(&[Array(&[]), Integer(0)])),
        ],
    },
    Scenario {
        name: "what cannot be sold does not get into a cart",
        steps: &[
            Command(&["HSET", "prices", "gold", "1000000001", "air", "free"], Integer(2)),
            Call("put", &["c", "prices"], &["silver", "1"], Error("ARTICLE is not on the price list")),
            Call("put", &["c", "prices"], &["gold", "1"], Error("CART that is too much")),
            Call("put", &["c", "prices"], &["air", "1"], Error("ERR not an integer, or out of range")),
            Command(&["EXISTS", "c"], Integer(0)),
        ],
    },
    Scenario {
        name: "a checkout takes all or nothing",
        steps: &[
            Command(&["HSET", "prices", "tea", "350", "jam", "199"], Integer(2)),
            Command(&["HSET", "stock", "tea", "5", "jam", "9"], Integer(2)),
            Call("put", &["c", "prices"], &["jam", "3"], Array(&[Integer(3), Integer(597)])),
            Call("put", &["c", "prices"], &["tea", "6"], Array(&[Integer(9), Integer(2697)])),
            Call("checkout", &["c", "stock"], &[], Error("STOCK only 5 of tea")),
            Command(&["HGET", "stock", "jam"], Bulk("9")),
            Call("put", &["c", "prices"], &["tea", "5"], Array(&[Integer(8), Integer(2347)])),
            Call("checkout", &["c", "stock"], &[], Integer(2347)),
            Command(&["HMGET", "stock", "tea", "jam"], Array(&[Bulk("0"), Bulk("6")])),
            Call("checkout", &["c", "stock"], &[], Error("CART is empty")),
        ],
    },
];

const ONE_TEA: kvasm_sdk::testing::Expect = Array(&[Bulk("tea"), Integer(1)]);

/// The library natively.
#[must_use]
pub fn native() -> Native {
    Native::new().procedure::<crate::put>().procedure::<crate::cart>().procedure::<crate::checkout>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_native_library_keeps_its_promises() {
        kvasm_sdk::testing::check(&mut super::native(), super::SCENARIOS);
    }
}
