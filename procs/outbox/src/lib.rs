//! An outbox: each change of `order:*` becomes an entry of the stream `outbox`, for other systems to take from there. An
//! order that changed is in the outbox, and nothing else is: the change and its entry are kept, or undone, together.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// The stream. It grows until somebody deletes what has been taken, since nothing may be lost.
const OUTBOX: &[u8] = b"outbox";

/// Appends the key, the event, and the value that the key has now, such as a new amount; no value when it has gone.
#[trigger(
    on = "set,append,setrange,setbit,incrby,incrbyfloat,restore,del,expired,rename_from,rename_to,copy_to,move_from,move_to",
    keys = "order:*"
)]
pub fn publish_order(db: &mut Db, event: &Event) -> Result<()> {
    let value = event.after();
    let mut fields = vec![("key", event.key()), ("event", event.name().as_bytes())];
    fields.extend(value.as_deref().map(|value| ("value", value)));
    db.stream_mut(OUTBOX).add(fields)?;
    Ok(())
}

/// The oldest entries, at most `count` of them, which leave the outbox: `FCALL take_orders 0 100`.
#[procedure]
pub fn take_orders(db: &mut Db, count: usize) -> Result<Vec<Entry>> {
    let entries: Vec<Entry> = db.stream(OUTBOX).range(..)?.take(count).collect();
    db.stream_mut(OUTBOX).delete_all(entries.iter().map(|entry| entry.id))?;
    Ok(entries)
}
