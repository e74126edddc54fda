//! The durable side of queues: three values for each trigger in the system database.
//!
//! - `queue:NAME`, a stream: what is to be delivered, in the order of the events,
//! - `tries:NAME`, a hash: how often each failed delivery has been tried, and when it is tried again,
//! - `dead:NAME`, a stream: the deliveries that were given up.
//!
//! Being ordinary values, they are journalled, undone, stored and loaded like any others.

use crate::keyspace::{Error, Keyspace, events};
use crate::store::limits::SYSTEM_DATABASE;
use crate::types::stream::{Direction, NodeLimits, StreamId};
use crate::types::{Collection, HashValue, PackedLimits, StreamValue, parse_integer, stream};

use super::entry::Entry;

type Result<T> = std::result::Result<T, Error>;

/// Blocks as long as they can be.
const NODE_LIMITS: NodeLimits = NodeLimits { entries: 0, bytes: 0 };
/// Few deliveries wait between two tries.
const PACKED_LIMITS: PackedLimits = PackedLimits { entries: 128, element_bytes: 64 };

const QUEUED: &[u8] = b"queued";
const TRIES: &[u8] = b"tries";
const ERROR: &[u8] = b"error";

fn queue_key(trigger: &str) -> Vec<u8> {
    format!("queue:{trigger}").into_bytes()
}

fn tries_key(trigger: &str) -> Vec<u8> {
    format!("tries:{trigger}").into_bytes()
}

fn dead_key(trigger: &str) -> Vec<u8> {
    format!("dead:{trigger}").into_bytes()
}

/// The state of a delivery that has failed and will be tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How often it has failed.
    pub failed: u32,
    /// When it is tried again, in milliseconds of unix time.
    pub due_ms: u64,
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id, whose time is when it was given up.
    pub id: StreamId,
    /// What was to be delivered.
    pub entry: Entry,
    /// Its id in the queue, whose time is when the event happened.
    pub queued: StreamId,
    /// How often it was tried.
    pub tries: u32,
    /// How the last try ended.
    pub error: Vec<u8>,
}

/// Returns the numbers of queued deliveries and of dead letters. Fails unless everything stored for the trigger is in
/// memory.
pub fn sizes(keyspace: &mut Keyspace, trigger: &str) -> Result<(usize, usize)> {
    let keys = [queue_key(trigger), tries_key(trigger), dead_key(trigger)];
    keyspace.require(SYSTEM_DATABASE, keys.iter().cloned())?;
    let [queue, _, dead] = &keys;
    let mut len = |key: &[u8]| -> Result<usize> {
        Ok(keyspace.peek_as::<StreamValue>(SYSTEM_DATABASE, key)?.map_or(0, StreamValue::len))
    };
    Ok((len(queue)?, len(dead)?))
}

/// Adds an entry to the end of the queue.
pub fn append(keyspace: &mut Keyspace, trigger: &str, entry: &Entry) -> Result<StreamId> {
    let database = entry.database.to_string();
    add(keyspace, &queue_key(trigger), &entry.fields(&database))
}

fn add(keyspace: &mut Keyspace, key: &[u8], fields: &[&[u8]]) -> Result<StreamId> {
    let now = StreamId::new(keyspace.now_ms(), 0);
    keyspace.update_or_create(SYSTEM_DATABASE, key, events::SILENT, |stream: &mut StreamValue, recorder| {
        // The clock may have been set back. Ids never run out.
        let behind = stream.counters().last_id.next().unwrap_or(StreamId::MAX);
        let id = now.max(behind);
        stream.append(id, fields, NODE_LIMITS, recorder);
        id
    })
}

/// An entry of the queue.
pub fn entry(keyspace: &mut Keyspace, trigger: &str, id: StreamId) -> Result<Option<Entry>> {
    let stream = keyspace.peek_as::<StreamValue>(SYSTEM_DATABASE, &queue_key(trigger))?;
    Ok(stream.and_then(|stream| stream.get(id)).map(|stored| Entry::of_stream(&stored)))
}

/// When the event of the first entry of the queue happened.
pub fn first_id(keyspace: &mut Keyspace, trigger: &str) -> Result<Option<StreamId>> {
    let stream = keyspace.peek_as::<StreamValue>(SYSTEM_DATABASE, &queue_key(trigger))?;
    Ok(stream.and_then(StreamValue::first_id))
}

/// Visits at most `limit` entries of the queue, in order, starting after an id.
pub fn walk(
    keyspace: &mut Keyspace,
    trigger: &str,
    after: StreamId,
    limit: usize,
    mut visit: impl FnMut(&stream::Entry<'_>, Attempts),
) -> Result<()> {
    let queue = keyspace.peek_as::<StreamValue>(SYSTEM_DATABASE, &queue_key(trigger))?.cloned();
    let tries = keyspace.peek_as::<HashValue>(SYSTEM_DATABASE, &tries_key(trigger))?.cloned();
    let (Some(queue), Some(start)) = (queue, after.next()) else { return Ok(()) };
    for stored in queue.range(start, StreamId::MAX, Direction::Forward).take(limit) {
        let attempts = tries.as_ref().and_then(|tries| tries.get(&stored.id.to_bytes()));
        visit(&stored, attempts.map(Attempts::from_text).unwrap_or_default());
    }
    Ok(())
}

/// Removes an entry and the state of its tries from the queue.
pub fn remove(keyspace: &mut Keyspace, trigger: &str, id: StreamId) -> Result<bool> {
    let removed = keyspace.update(
        SYSTEM_DATABASE,
        &queue_key(trigger),
        events::SILENT,
        |stream: &mut StreamValue, recorder| stream.remove(&[id], recorder),
    )?;
    keyspace.update(
        SYSTEM_DATABASE,
        &tries_key(trigger),
        events::SILENT,
        |tries: &mut HashValue, recorder| tries.remove(&id.to_bytes(), recorder),
    )?;
    Ok(removed == Some(1))
}

impl Attempts {
    fn to_text(self) -> String {
        format!("{} {}", self.failed, self.due_ms)
    }

    fn from_text(text: &[u8]) -> Self {
        let mut numbers = text.split(|byte| *byte == b' ').map(parse_integer);
        let mut next = || numbers.next().flatten().unwrap_or_default();
        Self {
            failed: u32::try_from(next()).unwrap_or_default(),
            due_ms: u64::try_from(next()).unwrap_or_default(),
        }
    }
}

/// The state of an entry's tries.
pub fn attempts(keyspace: &mut Keyspace, trigger: &str, id: StreamId) -> Result<Attempts> {
    let tries = keyspace.peek_as::<HashValue>(SYSTEM_DATABASE, &tries_key(trigger))?;
    Ok(tries.and_then(|tries| tries.get(&id.to_bytes())).map(Attempts::from_text).unwrap_or_default())
}

/// Stores the state of an entry's tries.
pub fn set_attempts(keyspace: &mut Keyspace, trigger: &str, id: StreamId, attempts: Attempts) -> Result<()> {
    let text = attempts.to_text();
    keyspace.update_or_create(
        SYSTEM_DATABASE,
        &tries_key(trigger),
        events::SILENT,
        |tries: &mut HashValue, recorder| {
            tries.set(&id.to_bytes(), text.as_bytes(), PACKED_LIMITS, recorder);
        },
    )
}

/// Adds a delivery to the dead letters.
pub fn bury(
    keyspace: &mut Keyspace,
    trigger: &str,
    queued: StreamId,
    entry: &Entry,
    tries: u32,
    error: &str,
) -> Result<StreamId> {
    let (database, queued, tries) = (entry.database.to_string(), queued.to_string(), tries.to_string());
    let mut fields = entry.fields(&database);
    fields.extend([QUEUED, queued.as_bytes(), TRIES, tries.as_bytes(), ERROR, error.as_bytes()]);
    add(keyspace, &dead_key(trigger), &fields)
}

/// At most `limit` of the oldest dead letters; or only the one with the given id.
pub fn dead_letters(
    keyspace: &mut Keyspace,
    trigger: &str,
    id: Option<StreamId>,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let Some(dead) = keyspace.peek_as::<StreamValue>(SYSTEM_DATABASE, &dead_key(trigger))? else {
        return Ok(Vec::new());
    };
    let (start, end) = id.map_or((StreamId::MIN, StreamId::MAX), |id| (id, id));
    Ok(dead
        .range(start, end, Direction::Forward)
        .take(limit)
        .map(|stored| DeadLetter::of_stream(&stored))
        .collect())
}

impl DeadLetter {
    fn of_stream(stored: &stream::Entry<'_>) -> Self {
        let mut letter = Self {
            id: stored.id,
            entry: Entry::of_stream(stored),
            queued: StreamId::MIN,
            tries: 0,
            error: Vec::new(),
        };
        let mut fields = stored.fields();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match name {
                QUEUED => letter.queued = StreamId::parse(value, 0).unwrap_or_default(),
                TRIES => {
                    let tries = parse_integer(value).and_then(|tries| u32::try_from(tries).ok());
                    letter.tries = tries.unwrap_or_default();
                }
                ERROR => letter.error = value.to_vec(),
                _ => {}
            }
        }
        letter
    }
}

/// Removes dead letters.
pub fn remove_dead_letters(keyspace: &mut Keyspace, trigger: &str, ids: &[StreamId]) -> Result<()> {
    keyspace.update(
        SYSTEM_DATABASE,
        &dead_key(trigger),
        events::SILENT,
        |dead: &mut StreamValue, recorder| {
            dead.remove(ids, recorder);
        },
    )?;
    Ok(())
}

/// Removes everything stored for a trigger. All of it must be in memory.
pub fn clear(keyspace: &mut Keyspace, trigger: &str) -> Result<()> {
    for key in [queue_key(trigger), tries_key(trigger), dead_key(trigger)] {
        keyspace.delete(SYSTEM_DATABASE, &key, events::SILENT)?;
    }
    Ok(())
}
