//! Sessions in hashes. Each expires after a time in which it was not used, which is part of the session, so that whoever
//! uses it need not know it.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use core::time::Duration;

use kvasm_sdk::prelude::*;

/// Fields of the session itself; those of its user begin with `data:`.
const USER: &str = "user";
const IDLE_SECONDS: &str = "idle-seconds";
const DATA: &[u8] = b"data:";

/// Opens a session for a user, which ends when it is not used for so long: `FCALL open 1 session:1 ada 1800`.
#[procedure]
pub fn open(db: &mut Db, session: &[u8], user: &[u8], idle_seconds: u32) -> Result<()> {
    if idle_seconds == 0 {
        return Err("SESSION must last for a while".into());
    }
    if db.exists(session) {
        return Err("SESSION is open already".into());
    }
    db.hash_mut(session).set(USER, user)?;
    db.hash_mut(session).set(IDLE_SECONDS, idle_seconds)?;
    renew(db, session)
}

/// Stores data in the session. Whether there was none of that name.
#[procedure]
pub fn store(db: &mut Db, session: &[u8], name: &[u8], value: &[u8]) -> Result<bool> {
    renew(db, session)?;
    db.hash_mut(session).set([DATA, name].concat(), value)
}

/// The user, and the data of these names in their order; each is nil if there is none.
#[procedure]
pub fn load(db: &mut Db, session: &[u8], names: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
    renew(db, session)?;
    let fields = names.iter().map(|name| [DATA, name].concat());
    let fields: Vec<Vec<u8>> = [USER.as_bytes().to_vec()].into_iter().chain(fields).collect();
    db.hash(session).get_many(&fields)
}

/// Ends the session. Whether it was open.
#[procedure]
pub fn close(db: &mut Db, session: &[u8]) -> bool {
    db.delete(session)
}

/// Lets the session's time begin anew. `Err` when there is no such session.
fn renew(db: &mut Db, session: &[u8]) -> Result<()> {
    let seconds = db.hash(session).get(IDLE_SECONDS)?.ok_or("SESSION is not open")?;
    let seconds = core::str::from_utf8(&seconds)?.parse()?;
    db.expire(session, Duration::from_secs(seconds));
    Ok(())
}
