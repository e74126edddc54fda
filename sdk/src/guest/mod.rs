//! The guest's side of the server's interface: what runs only in WebAssembly.

mod imports;
#[cfg(feature = "runtime")]
mod runtime;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;

pub use imports::Host;

use crate::db::read_whole;
use crate::reply::Reply;
use crate::{Db, Error, Event, Input, Procedure, Result, Trigger, resp};

/// The values of an event, which the server keeps until they are asked for.
#[derive(Debug)]
pub struct Values;

/// Arguments of a trigger's procedure.
const ARGUMENT_NAME: usize = 0;
const ARGUMENT_BEFORE: usize = 1;
const ARGUMENT_AFTER: usize = 2;
const ARGUMENT_DATABASE: usize = 3;
/// This argument and all that follow.
const ARGUMENT_ELEMENTS: usize = 4;

impl Values {
    #[must_use]
    pub fn before(&self) -> Option<Vec<u8>> {
        read_whole(|buffer| imports::arg(ARGUMENT_BEFORE, buffer))
    }

    #[must_use]
    pub fn after(&self) -> Option<Vec<u8>> {
        read_whole(|buffer| imports::arg(ARGUMENT_AFTER, buffer))
    }

    pub fn elements(&self) -> impl ExactSizeIterator<Item = Vec<u8>> {
        let elements = ARGUMENT_ELEMENTS..imports::arg_count();
        elements.map(|index| read_whole(|buffer| imports::arg(index, buffer)).unwrap_or_default())
    }
}

/// Keys and arguments that need no allocation: their number and their bytes in all.
const INLINE_VALUES: usize = 8;
const INLINE_BYTES: usize = 512;

/// The body of a procedure's export.
///
/// Nothing is freed when it ends: the server gives the next call a fresh memory.
pub fn run<P: Procedure>() {
    let (keys, args) = (imports::key_count(), imports::arg_count());
    let mut inline_values = [[].as_slice(); INLINE_VALUES];
    let values = match inline_values.get_mut(..keys + args) {
        Some(values) => values,
        None => vec![[].as_slice(); keys + args].leak(),
    };
    let mut inline_bytes = [0; INLINE_BYTES];
    let mut room = inline_bytes.as_mut_slice();
    for (index, value) in values.iter_mut().enumerate() {
        (*value, room) = match index.checked_sub(keys) {
            None => input(room, |buffer| imports::key(index, buffer)),
            Some(index) => input(room, |buffer| imports::arg(index, buffer)),
        };
    }
    let mut db = Db { host: Host::new() };
    match P::invoke(&mut db, &mut Input::new(P::NAME, P::USAGE, values)) {
        Ok(reply) => send(&ManuallyDrop::new(reply)),
        Err(error) => db.abort(error),
    }
}

/// Reads a key or argument into the start of `room`, if it fits, or else into memory of its own. The bytes and the room
/// that is left.
fn input(room: &mut [u8], read: impl Fn(&mut [u8]) -> Option<u64>) -> (&[u8], &mut [u8]) {
    // Absent counts as empty: no call by a client has absent arguments.
    let length = read(room).unwrap_or(0) as usize;
    if length <= room.len() {
        let (value, room) = room.split_at_mut(length);
        return (value, room);
    }
    let value = vec![0; length].leak();
    read(value);
    (value, room)
}

/// The body of a trigger's export.
pub fn run_trigger<T: Trigger>() {
    let mut db = Db { host: Host::new() };
    let ended = event().and_then(|event| T::invoke(&mut db, &event));
    if let Err(error) = ended {
        db.abort(error);
    }
}

fn send(reply: &Reply) {
    match reply {
        Reply::Nil => {}
        Reply::Integer(number) => imports::reply_integer(*number),
        Reply::Bulk(bytes) => imports::reply_bulk(bytes),
        other => {
            let mut encoded = Vec::new();
            resp::push_reply(&mut encoded, other);
            imports::reply_resp(&encoded);
        }
    }
}

fn event() -> Result<Event> {
    let not_called_by_a_trigger = || Error::new("this function is run by a trigger, not called by clients");
    if imports::key_count() != 1 || imports::arg_count() < ARGUMENT_ELEMENTS {
        return Err(not_called_by_a_trigger());
    }
    let text = |index| {
        let bytes = read_whole(|buffer| imports::arg(index, buffer))?;
        String::from_utf8(bytes).ok()
    };
    let read = || {
        Some(Event {
            name: text(ARGUMENT_NAME)?,
            key: read_whole(|buffer| imports::key(0, buffer))?,
            database: text(ARGUMENT_DATABASE)?.parse().ok()?,
            values: Values,
        })
    };
    read().ok_or_else(not_called_by_a_trigger)
}
