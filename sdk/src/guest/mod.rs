//! The guest's side of the server's interface: what runs only in WebAssembly.

mod imports;
#[cfg(feature = "runtime")]
mod runtime;

use alloc::string::String;
use alloc::vec::Vec;

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
const TRIGGER_ARGUMENTS: usize = 4;

impl Values {
    pub fn before(&self) -> Option<Vec<u8>> {
        read_whole(|buffer| imports::arg(ARGUMENT_BEFORE, buffer))
    }

    pub fn after(&self) -> Option<Vec<u8>> {
        read_whole(|buffer| imports::arg(ARGUMENT_AFTER, buffer))
    }
}

/// The body of a procedure's export.
pub fn run<P: Procedure>() {
    let stored = StoredInput::load();
    let values: Vec<&[u8]> = stored.values().collect();
    let mut db = Db { host: Host::new() };
    match P::invoke(&mut db, &mut Input::new(P::NAME, P::USAGE, &values)) {
        Ok(reply) => send(&reply),
        Err(error) => db.abort(error),
    }
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
    if imports::key_count() != 1 || imports::arg_count() != TRIGGER_ARGUMENTS {
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

/// The keys and arguments of the call, copied one after the other into one buffer.
struct StoredInput {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// Room that is offered for each key and argument before its length is known.
const FIRST_INPUT_BYTES: usize = 64;

impl StoredInput {
    fn load() -> Self {
        let (keys, args) = (imports::key_count(), imports::arg_count());
        let mut stored = Self { bytes: Vec::new(), ends: Vec::with_capacity(keys + args) };
        for index in 0..keys {
            stored.append(|buffer| imports::key(index, buffer));
        }
        for index in 0..args {
            stored.append(|buffer| imports::arg(index, buffer));
        }
        stored
    }

    fn append(&mut self, read: impl Fn(&mut [u8]) -> Option<u64>) {
        let start = self.bytes.len();
        self.bytes.resize(start + FIRST_INPUT_BYTES, 0);
        // Absent counts as empty: no call by a client has absent arguments.
        let length = read(&mut self.bytes[start..]).unwrap_or(0) as usize;
        self.bytes.resize(start + length, 0);
        if length > FIRST_INPUT_BYTES {
            read(&mut self.bytes[start..]);
        }
        self.ends.push(start + length);
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}
