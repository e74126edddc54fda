//! DUMP and RESTORE: values in Redis' own format.

use std::collections::{HashMap, HashSet};

use super::{Command, Context, Error, Flags, Group, Result, flag, integer, unsigned};
use crate::keyspace::{Expiry, events};
use crate::options::Options;
use crate::protocol::Reply;
use crate::rdb;
use crate::types::stream::{
    Consumer, Counters, Direction, Entry, Group as StreamGroup, Pending, Position, StreamId,
};
use crate::types::{
    Collection, End, HashValue, ListValue, MAX_END_MS, SetValue, SortedSetValue, StreamValue, StringValue,
    Value, scored,
};

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("dump", 2, dump).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Generic,
        "2.6.0",
        "O(N) where N is the number of bytes of the value",
        "Returns a value in Redis' own format, with a checksum.",
        "key",
    ),
    Command::new("restore", -4, restore).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::Generic,
        "2.6.0",
        "O(N*log(N)) where N is the number of elements",
        "Creates a key from what DUMP returned, here or in Redis.",
        "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    ),
];

/// Elements of a list that are added together.
const PUSHED_AT_ONCE: usize = 1000;

const BAD_FORMAT: Error = Error::text("ERR Bad data format");

fn dump(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let value = ctx.keyspace.get(ctx.session.database, args[1])?;
    Ok(value.map(|value| rdb::dump(&plain(value))).into())
}

struct RestoreOptions {
    replace: bool,
    absolute: bool,
}

fn restore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, key) = (ctx.session.database, args[1]);
    let options = parse_options(&args[4..])?;
    if !options.replace && ctx.keyspace.peek(database, key)?.is_some() {
        return Err(Error::text("BUSYKEY Target key name already exists."));
    }
    let ttl_ms = unsigned(args[2], "ERR Invalid TTL value, must be >= 0")?;
    let value = rdb::restore(args[3]).map_err(|error| match error {
        rdb::Error::VersionOrChecksum => Error::text("ERR DUMP payload version or checksum are wrong"),
        _ => BAD_FORMAT,
    })?;
    let value = stored(value, &ctx.server.options).ok_or(BAD_FORMAT)?;
    let now_ms = ctx.keyspace.now_ms();
    let expiry = match ttl_ms {
        0 => Expiry::Clear,
        at if options.absolute => Expiry::At(at),
        ttl => Expiry::At(now_ms.saturating_add(ttl)),
    };
    // As in Redis, what has ended already is not made.
    if matches!(expiry, Expiry::At(at) if at <= now_ms) {
        ctx.keyspace.delete(database, key, events::DEL)?;
    } else {
        ctx.keyspace.put_new((database, key), value, expiry, events::RESTORE)?;
    }
    Ok(Reply::OK)
}

fn parse_options(mut args: &[&[u8]]) -> Result<RestoreOptions> {
    let mut options = RestoreOptions { replace: false, absolute: false };
    // When or how often a key was used is not kept; the numbers are checked as in Redis, which takes one of them.
    let (mut has_idle_time, mut has_frequency) = (false, false);
    while let [word, rest @ ..] = args {
        args = rest;
        match word {
            _ if flag(word, "REPLACE") => options.replace = true,
            _ if flag(word, "ABSTTL") => options.absolute = true,
            _ if flag(word, "IDLETIME") && !has_frequency => {
                if take_number(&mut args)? < 0 {
                    return Err(Error::text("ERR Invalid IDLETIME value, must be >= 0"));
                }
                has_idle_time = true;
            }
            _ if flag(word, "FREQ") && !has_idle_time => {
                if !(0..=255).contains(&take_number(&mut args)?) {
                    return Err(Error::text("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                }
                has_frequency = true;
            }
            _ => return Err(Error::SYNTAX),
        }
    }
    Ok(options)
}

fn take_number(args: &mut &[&[u8]]) -> Result<i64> {
    let (number, rest) = args.split_first().ok_or(Error::SYNTAX)?;
    *args = rest;
    integer(number)
}

/// A value in plain vectors.
fn plain(value: &Value) -> rdb::Value {
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::testing::Fixture;
    use super::*;

    /// The bytes as a word in double quotes.
    fn quoted(bytes: &[u8]) -> String {
        let mut word = String::from("\"");
        for byte in bytes {
            let _ = write!(word, "\\x{byte:02x}");
        }
        word + "\""
    }

    fn dumped(fixture: &mut Fixture, key: &str) -> String {
        match fixture.run(&format!("DUMP {key}")) {
            Reply::Bytes(payload) => quoted(&payload),
            other => panic!("DUMP {key}: {other:?}"),
        }
    }

    #[test]
    fn a_dump_is_a_use_of_its_key() {
        let mut fixture = Fixture::new();
        fixture.check_events("DUMP k", &["0 keymiss k"]);
        fixture.run("SET k 1");
        fixture.now_us += 10_000_000;
        fixture.check(&[("OBJECT IDLETIME k", ":10")]);
        fixture.run("DUMP k");
        fixture.check(&[("OBJECT IDLETIME k", ":0")]);
    }

    #[test]
    fn a_restored_key_has_what_the_dumped_one_had() {
        let check = |make: &[&str], questions: &[&str]| {
            let mut fixture = Fixture::new();
            for request in make {
                fixture.run(request);
            }
            let payload = dumped(&mut fixture, "k");
            let answers = |fixture: &mut Fixture| {
                questions.iter().map(|question| format!("{:?}", fixture.run(question))).collect::<Vec<_>>()
            };
            let before = answers(&mut fixture);
            fixture.check(&[(&format!("RESTORE k 0 {payload} REPLACE"), "+OK")]);
            assert_eq!(answers(&mut fixture), before, "{make:?}");
        };
        check(&["HSET k a 1 b 2"], &["HGETALL k", "HTTL k FIELDS 2 a b"]);
        check(
            &["HSET k a 1 b 2 c 3", "HPEXPIRE k 5000 FIELDS 1 a", "HEXPIRE k 7 FIELDS 1 c"],
            &["HGETALL k", "HPEXPIRETIME k FIELDS 3 a b c"],
        );
        check(
            &[
                "XADD k 1-1 a 1",
                "XADD k 2-1 a 2",
                "XADD k 3-1 a 3",
                "XGROUP CREATE k g 0",
                "XREADGROUP GROUP g alice COUNT 1 STREAMS k >",
                "XREADGROUP GROUP g bob COUNT 1 STREAMS k >",
                "XREADGROUP GROUP g alice COUNT 1 STREAMS k >",
            ],
            &["XRANGE k - +", "XPENDING k g - + 10", "XINFO STREAM k FULL"],
        );
    }

    #[test]
    fn a_field_cannot_end_later_than_the_end_of_time() {
        let fields: rdb::Strings = ["f", "v"].iter().collect();
        let mut fixture = Fixture::new();
        for (end_ms, expected) in [(MAX_END_MS, "+OK"), (MAX_END_MS + 1, "-ERR Bad data format")] {
            let value = rdb::Value::ExpiringHash(fields.clone(), vec![Some(end_ms)]);
            let request = format!("RESTORE k 0 {} REPLACE", quoted(&rdb::dump(&value)));
            fixture.check(&[(&request, expected)]);
        }
    }

    #[test]
    fn a_replaced_key_is_announced_as_in_redis() {
        let mut fixture = Fixture::new();
        fixture.run("SET k v");
        let payload = dumped(&mut fixture, "k");
        let now_ms = fixture.now_us / 1000;
        let ended = format!("RESTORE k {now_ms} {payload} REPLACE ABSTTL");
        fixture.check_events(&format!("RESTORE k 0 {payload} REPLACE"), &["0 new k", "0 restore k"]);
        fixture.check_events(&ended, &["0 del k"]);
        fixture.check(&[("EXISTS k", ":0")]);
        fixture.check_events(&ended, &[]);
        fixture.check_events(&format!("RESTORE k 0 {payload}"), &["0 new k", "0 restore k"]);
    }

    #[test]
    fn triggers_see_the_value_that_was_replaced() {
        let mut fixture = Fixture::new();
        let payload = {
            fixture.run("SET k new");
            dumped(&mut fixture, "k")
        };
        fixture.run("SET k old");
        let (classes, _) = fixture.keyspace.journal().listened();
        fixture.keyspace.journal_mut().listen(classes, true);
        fixture.run_within(&format!("RESTORE k 0 {payload} REPLACE"));
        let text = |value: &Option<Value>| match value {
            Some(Value::String(string)) => string.to_bytes().into_owned(),
            other => panic!("{other:?}"),
        };
        let events = fixture.keyspace.commit();
        let texts: Vec<_> = events
            .iter()
            .filter(|event| event.kind == events::RESTORE)
            .map(|event| [text(&event.before), text(&event.after)])
            .collect();
        assert_eq!(texts, [[b"old".to_vec(), b"new".to_vec()]]);
    }

    #[test]
    fn options_are_those_of_redis() {
        let mut fixture = Fixture::new();
        fixture.run("SET k v");
        let payload = dumped(&mut fixture, "k");
        for (options, expected) in [
            ("IDLETIME 1", "+OK"),
            ("IDLETIME 1 idletime 2", "+OK"),
            ("FREQ 255", "+OK"),
            ("FREQ 1 IDLETIME 1", "-ERR syntax error"),
            ("IDLETIME 1 FREQ 1", "-ERR syntax error"),
            ("IDLETIME", "-ERR syntax error"),
            ("IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
            ("FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("FREQ x", "-ERR value is not an integer or out of range"),
            ("what", "-ERR syntax error"),
        ] {
            fixture.check(&[(&format!("RESTORE k 0 {payload} REPLACE {options}"), expected)]);
        }
    }
}
