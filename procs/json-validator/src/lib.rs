//! A rule that guards the data: a value of `user:*` is valid JSON, whoever writes it.

#![no_std]
#![allow(clippy::must_use_candidate, reason = "the results of procedures go to clients")]

mod json;
#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// Runs in the transaction of every change that can put a new value under such a key. Its error undoes the change.
#[trigger(
    on = "set,append,setrange,setbit,incrby,incrbyfloat,pfadd,restore,rename_to,copy_to,move_to",
    keys = "user:*"
)]
pub fn validate_user(_db: &Db, event: &Event) -> Result<()> {
    let Some(value) = event.after() else {
        return Ok(());
    };
    json::validate(&value).map_err(|fault| {
        let key = event.key().escape_ascii();
        format!("INVALID {key} is not JSON: {} at byte {}", fault.reason, fault.offset).into()
    })
}

/// Whether a text is valid JSON: `FCALL_RO is_json 0 '{"a":1}'`.
#[procedure]
pub fn is_json(_db: &Db, text: &[u8]) -> bool {
    json::validate(text).is_ok()
}
