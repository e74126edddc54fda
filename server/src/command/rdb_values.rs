//! Values of Redis' own format in plain vectors, and as they are stored.

use std::collections::{HashMap, HashSet};

use crate::options::Options;
use crate::rdb;
use crate::types::stream::{
    Consumer, Counters, Direction, Entry, Group as StreamGroup, Pending, Position, StreamId,
};
use crate::types::{
    Collection, End, HashValue, ListValue, MAX_END_MS, SetValue, SortedSetValue, StreamValue, StringValue,
    Value, scored,
};

/// Elements of a list that are added together.
const PUSHED_AT_ONCE: usize = 1000;

/// A value in plain vectors.
pub(super) fn plain(value: &Value) -> rdb::Value {
    match value {
        Value::String(string) => rdb::Value::String(string.to_bytes().into_owned()),
        Value::List(list) => rdb::Value::List(list.iter().collect()),
        Value::Set(set) => rdb::Value::Set(set.members().map(|member| member.to_vec()).collect()),
        Value::Hash(hash) if hash.next_end_ms().is_some() => {
            let ends = hash.iter().map(|(field, _)| hash.end_ms(field)).collect();
            rdb::Value::ExpiringHash(plain_fields(hash), ends)
        }
        Value::Hash(hash) => rdb::Value::Hash(plain_fields(hash)),
        Value::SortedSet(members) => {
            let items = members.items(0..members.len(), false);
            let scores = scored(&items).map(|(_, score)| score).collect();
            rdb::Value::SortedSet(scored(&items).map(|(member, _)| member).collect(), scores)
        }
        Value::Stream(stream) => rdb::Value::Stream(plain_stream(stream)),
    }
}

fn plain_fields(hash: &HashValue) -> rdb::Strings {
    hash.iter().flat_map(|(field, value)| [field, value]).collect()
}

fn plain_id(id: StreamId) -> rdb::StreamId {
    (id.ms, id.seq)
}

fn plain_stream(stream: &StreamValue) -> rdb::Stream {
    let counters = stream.counters();
    let entries = stream.range(StreamId::MIN, StreamId::MAX, Direction::Forward);
    let entry = |entry: Entry<'_>| {
        let mut items = entry.fields();
        let fields = std::iter::from_fn(|| Some((items.next()?.to_vec(), items.next()?.to_vec())));
        rdb::StreamEntry { id: plain_id(entry.id), fields: fields.collect() }
    };
    rdb::Stream {
        entries: entries.map(entry).collect(),
        last_id: plain_id(counters.last_id),
        max_deleted_id: plain_id(counters.max_deleted_id),
        entries_added: counters.entries_added,
        groups: stream.groups().map(plain_group).collect(),
    }
}

fn plain_group(group: &StreamGroup) -> rdb::Group {
    let consumers = group.consumers();
    let indexes: HashMap<_, usize> =
        consumers.iter().enumerate().map(|(index, (_, consumer))| (consumer.number, index)).collect();
    let pending = |(id, pending): (StreamId, Pending)| rdb::Pending {
        id: plain_id(id),
        consumer: indexes.get(&pending.consumer).copied().unwrap_or_default(),
        delivered_at_ms: pending.delivered_ms,
        deliveries: pending.deliveries,
    };
    rdb::Group {
        name: group.name().to_vec(),
        last_id: plain_id(group.position().last_delivered),
        entries_read: group.position().entries_read,
        pending: group.pending_range(StreamId::MIN, StreamId::MAX).map(pending).collect(),
        consumers: consumers
            .iter()
            .map(|(name, consumer)| rdb::Consumer {
                name: name.to_vec(),
                seen_at_ms: consumer.seen_ms,
                active_at_ms: consumer.active_ms,
            })
            .collect(),
    }
}

/// The value that is stored for a plain one, in the form that the options say; `None` if it has an element twice, or a field
/// ends later than a field can.
#[must_use]
pub fn stored(value: rdb::Value, options: &Options) -> Option<Value> {
    Some(match value {
        rdb::Value::String(bytes) => StringValue::from_bytes(&bytes).into(),
        rdb::Value::List(elements) => {
            let mut list = ListValue::default();
            let mut elements = elements.iter();
            loop {
                let some: Vec<&[u8]> = elements.by_ref().take(PUSHED_AT_ONCE).collect();
                if some.is_empty() {
                    break;
                }
                list.push(End::Right, &some, &mut ());
            }
            list.into()
        }
        rdb::Value::Set(members) => {
            let (mut set, limits) = (SetValue::default(), super::sets::limits(options));
            members.iter().all(|member| set.add(member, limits, &mut ())).then_some(set.into())?
        }
        rdb::Value::Hash(fields) => {
            let (mut hash, limits) = (HashValue::default(), super::hashes::limits(options));
            let mut set = |(field, value): (&[u8], &[u8])| hash.set(field, value, limits, &mut ());
            rdb::pairs(&fields).all(&mut set).then_some(hash.into())?
        }
        rdb::Value::ExpiringHash(fields, ends) => stored_expiring_hash(&fields, &ends, options)?.into(),
        rdb::Value::SortedSet(members, scores) => {
            let mut seen = HashSet::new();
            let mut entries: Vec<(f64, &[u8])> = scores.into_iter().zip(members.iter()).collect();
            if !entries.iter().all(|(_, member)| seen.insert(*member)) {
                return None;
            }
            SortedSetValue::from_entries(&mut entries, super::sorted_set::limits(options)).into()
        }
        rdb::Value::Stream(stream) => stored_stream(&stream, options)?.into(),
    })
}

fn stored_expiring_hash(fields: &rdb::Strings, ends: &[Option<u64>], options: &Options) -> Option<HashValue> {
    let (mut hash, limits) = (HashValue::default(), super::hashes::limits(options));
    for ((field, value), end_ms) in rdb::pairs(fields).zip(ends) {
        let is_right =
            hash.set(field, value, limits, &mut ()) && end_ms.is_none_or(|end_ms| end_ms <= MAX_END_MS);
        if !is_right {
            return None;
        }
        if end_ms.is_some() {
            hash.set_end(field, *end_ms, limits, &mut ());
        }
    }
    Some(hash)
}

fn stored_id((ms, seq): rdb::StreamId) -> StreamId {
    StreamId::new(ms, seq)
}

fn stored_stream(plain: &rdb::Stream, options: &Options) -> Option<StreamValue> {
    let mut stream = StreamValue::default();
    let limits = super::stream::node_limits(options);
    for entry in &plain.entries {
        let fields: Vec<&[u8]> =
            entry.fields.iter().flat_map(|(field, value)| [&field[..], &value[..]]).collect();
        if entry.id <= plain_id(stream.counters().last_id) {
            return None;
        }
        stream.append(stored_id(entry.id), &fields, limits, &mut ());
    }
    let counters = Counters {
        last_id: stored_id(plain.last_id),
        max_deleted_id: stored_id(plain.max_deleted_id),
        entries_added: plain.entries_added,
    };
    stream.set_counters(counters, &mut ());
    for group in &plain.groups {
        let last_delivered = stored_id(group.last_id);
        let position = Position { last_delivered, entries_read: group.entries_read };
        if !stream.create_group(&group.name, position, &mut ()) {
            return None;
        }
        let made = stream.group_mut(&group.name)?;
        let mut numbers = Vec::new();
        for consumer in &group.consumers {
            if made.consumer(&consumer.name).is_some() {
                return None;
            }
            let number = made.consumer_or_new(&consumer.name, consumer.seen_at_ms, &mut ()).number;
            let known = Consumer { number, seen_ms: consumer.seen_at_ms, active_ms: consumer.active_at_ms };
            made.set_consumer(&consumer.name, known, &mut ());
            numbers.push(number);
        }
        for pending in &group.pending {
            let delivered = Pending {
                consumer: *numbers.get(pending.consumer)?,
                delivered_ms: pending.delivered_at_ms,
                deliveries: pending.deliveries,
            };
            made.set_pending(stored_id(pending.id), delivered, &mut ());
        }
    }
    Some(stream)
}
