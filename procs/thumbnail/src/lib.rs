//! Thumbnails. A JPEG or PNG picture stored under `img:<name>` gets a thumbnail under `thumb:<name>`, which goes when the
//! picture goes. The picture never leaves the server: no client fetches it, scales it and sends it back.

#![allow(clippy::must_use_candidate, reason = "the results of procedures go to clients")]

mod jpeg;
mod picture;
mod png;
mod shrink;
#[cfg(test)]
mod tests;

pub use picture::{Fault, MAX_BUFFERED_BYTES, MAX_EDGE, MAX_PIXELS, THUMBNAIL_EDGE, thumbnail};

use kvasm_sdk::prelude::*;

/// What precedes the name in the key of a picture, and of its thumbnail.
const PICTURE: &[u8] = b"img:";
const THUMBNAIL: &[u8] = b"thumb:";

/// Runs behind every change that leaves another picture, or none, under such a key; who stored it does not wait. A picture
/// is stored as a whole: `APPEND` and `SETRANGE` do not count. Only the latest picture matters, and a bad one does not get
/// better: it is tried twice, for the case that something else was in the way.
#[trigger(
    on = "set,restore,del,expired,rename_from,rename_to,copy_to,move_from,move_to",
    keys = "img:*",
    mode = "async",
    coalesce = true,
    concurrency = 2,
    tries = 2,
    backoff_ms = 100
)]
pub fn keep_thumbnail(db: &mut Db, event: &Event) -> Result<()> {
    let name = event.key().strip_prefix(PICTURE).unwrap_or_default();
    let target = [THUMBNAIL, name].concat();
    // Not what the event brought, which is not given when it is large, but what is there now.
    match db.get(event.key()) {
        Some(picture) => db.put(&target, &describe(event.key(), thumbnail(&picture))?),
        None => _ = db.delete(&target),
    }
    Ok(())
}

/// Makes one thumbnail: `FCALL make_thumbnail 2 photo small`. The number of its bytes; nil when there is no picture.
#[procedure]
pub fn make_thumbnail(db: &mut Db, from: &[u8], to: &[u8]) -> Result<Option<usize>> {
    let Some(picture) = db.get(from) else {
        return Ok(None);
    };
    let thumbnail = describe(from, thumbnail(&picture))?;
    db.put(to, &thumbnail);
    Ok(Some(thumbnail.len()))
}

/// Says which picture a fault is about.
fn describe(key: &[u8], made: core::result::Result<Vec<u8>, Fault>) -> Result<Vec<u8>> {
    made.map_err(|fault| format!("PICTURE {}{fault}", key.escape_ascii()).into())
}
