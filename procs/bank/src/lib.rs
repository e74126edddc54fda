//! A bank transfer: either both accounts change, or neither.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// Moves `amount` from one account to the other. The balance that is left.
///
/// `FCALL transfer 2 alice bob 10`
#[procedure]
pub fn transfer(db: &mut Db, from: &[u8], to: &[u8], amount: i64) -> Result<i64> {
    if amount <= 0 {
        return Err("AMOUNT must be positive".into());
    }
    db.increment(to, amount);
    let balance = db.increment(from, -amount);
    if balance < 0 {
        // `to` has its money already: the error takes it back.
        let missing = balance.unsigned_abs();
        return Err(format!("INSUFFICIENT {} lacks {missing}", from.escape_ascii()).into());
    }
    Ok(balance)
}

/// The balances of all the accounts given: `FCALL_RO balances 2 alice bob`.
#[procedure]
pub fn balances(db: &Db, accounts: &[&[u8]]) -> Result<Vec<i64>> {
    let balance = |account: &&[u8]| match db.get(account) {
        Some(text) => Ok(core::str::from_utf8(&text)?.parse()?),
        None => Ok(0),
    };
    accounts.iter().map(balance).collect()
}
