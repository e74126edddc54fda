use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::types::collection::testing::Copy;

const LIMITS: NodeLimits = NodeLimits { entries: 100, bytes: 4096 };

type Fields = Vec<Vec<u8>>;

fn contents(stream: &StreamValue) -> Vec<(StreamId, Fields)> {
    let entries = stream.range(StreamId::MIN, StreamId::MAX, Direction::Forward);
    entries.map(|entry| (entry.id, entry.fields().map(<[u8]>::to_vec).collect())).collect()
}

fn image(stream: &StreamValue) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut image = vec![(Vec::new(), stream.header())];
    stream.for_each_block(&mut |label, block| image.push((label.to_vec(), block.bytes().to_vec())));
    image
}

fn last(map: &BTreeMap<StreamId, Fields>, count: usize) -> BTreeMap<StreamId, Fields> {
    map.iter().skip(map.len() - count).map(|(id, fields)| (*id, fields.clone())).collect()
}

/// Names mostly as in the entry before, values of any length.
fn fields(shape: u8, len: usize) -> Fields {
    let value = vec![b'v'; len];
    match shape {
        0..6 => vec![b"name".to_vec(), value, b"other".to_vec(), vec![shape]],
        6 => vec![b"name".to_vec(), value],
        _ => vec![vec![shape], value, b"other".to_vec(), vec![]],
    }
}

proptest! {
    /// The same as an ordered map; and a copy made of what was recorded, and the stream before, stay what they should.
    #[test]
    fn entries_are_a_map_in_order(
        steps in prop::collection::vec((0..20_u8, 0..8_u8, 0..3_u64, 0..60_usize), 0..500),
        big: bool,
        shared_at in 0..500_usize,
    ) {
        let (mut stream, mut copy) = (StreamValue::default(), Copy::default());
        stream.set_counters(Counters { last_id: StreamId::new(5, u64::MAX), ..Counters::default() }, &mut copy);
        let mut map = BTreeMap::new();
        let mut shared = None;
        for (step, (operation, shape, gap, number)) in steps.into_iter().enumerate() {
            if step == shared_at {
                shared = Some((stream.clone(), image(&stream)));
            }
            match operation {
                0 => {
                    let ids: Vec<StreamId> = map.keys().skip(number).step_by(3).take(2).copied().collect();
                    prop_assert_eq!(stream.remove(&ids, &mut copy), ids.len());
                    for id in &ids {
                        map.remove(id);
                    }
                }
                1 => {
                    let kept = map.len().saturating_sub(number);
                    let trim = Trim { kept: Kept::Last(kept), is_approximate: false, limit: None };
                    prop_assert_eq!(stream.trim(&trim, &mut copy), map.len() - kept);
                    map = last(&map, kept);
                }
                2 => {
                    let from = map.keys().nth(number).copied().unwrap_or(StreamId::MIN);
                    let trim = Trim { kept: Kept::From(from), is_approximate: true, limit: Some(number) };
                    let removed = stream.trim(&trim, &mut copy);
                    prop_assert!(removed <= number);
                    map = last(&map, map.len() - removed);
                }
                _ => {
                    let last = stream.counters().last_id;
                    let id = StreamId::new(last.ms + gap, if gap == 0 { last.seq.wrapping_add(1) } else { 0 });
                    if id > last {
                        let fields = fields(shape, if big && number == 0 { 1100 } else { number });
                        let slices: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
                        stream.append(id, &slices, LIMITS, &mut copy);
                        map.insert(id, fields);
                    }
                }
            }
            copy.finish(&stream);
            prop_assert_eq!(stream.len(), map.len());
        }
        if let Some((stream, before)) = shared {
            prop_assert!(image(&stream) == before);
        }
        let expected: Vec<_> = map.clone().into_iter().collect();
        prop_assert!(contents(&stream) == expected);
        prop_assert!(image(&copy.restore::<StreamValue>()) == image(&stream));
        check_ranges(&stream, &map)?;
    }

    #[test]
    fn no_blocks_make_the_reader_panic(
        header: Vec<u8>,
        blocks: Vec<(Vec<u8>, Vec<u8>)>,
        entry: Vec<u8>,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let _ = StreamValue::restore(&header, StoredBlocks(blocks));
        let mut damaged = image(&sample());
        for (block, byte, value) in flips {
            let block = block.index(damaged.len());
            if let Some(len) = damaged[block].1.len().checked_sub(1) {
                damaged[block].1[byte.index(len + 1)] = value;
            }
        }
        let (_, header) = damaged.remove(0);
        damaged.push(([&[entries::TAG][..], &StreamId::MAX.to_bytes()].concat(), entry));
        damaged.sort();
        if let Some(stream) = StreamValue::restore(&header, StoredBlocks(damaged)) {
            contents(&stream);
        }
    }
}

fn check_ranges(stream: &StreamValue, map: &BTreeMap<StreamId, Fields>) -> Result<(), TestCaseError> {
    let ids: Vec<StreamId> = map.keys().copied().collect();
    let bounds = |index: usize| ids.get(index).copied().unwrap_or(StreamId::MAX);
    for (start, end) in [(0, ids.len()), (1, ids.len() / 2), (ids.len() / 3, ids.len() / 3), (5, 2)] {
        let (start, end) = (bounds(start), bounds(end));
        let mut expected: Vec<StreamId> =
            ids.iter().copied().filter(|id| (start..=end).contains(id)).collect();
        let found = |direction| stream.range(start, end, direction).map(|entry| entry.id).collect::<Vec<_>>();
        prop_assert_eq!(&found(Direction::Forward), &expected);
        expected.reverse();
        prop_assert_eq!(&found(Direction::Backward), &expected);
    }
    for (id, fields) in map {
        let entry = stream.get(*id).expect("an entry");
        prop_assert!(entry.fields().eq(fields.iter().map(Vec::as_slice)));
        prop_assert!(entry.shared_fields().iter().eq(fields.iter().map(Vec::as_slice)));
        prop_assert_eq!(entry.shared_fields().len(), fields.len());
    }
    prop_assert_eq!((stream.first_id(), stream.top_id()), (ids.first().copied(), ids.last().copied()));
    Ok(())
}

/// A stream with everything that one can have.
fn sample() -> StreamValue {
    let mut stream = StreamValue::default();
    for number in 1..200 {
        stream.append(StreamId::new(number, 0), &[b"name", b"value"], LIMITS, &mut ());
    }
    stream.remove(&[StreamId::new(7, 0)], &mut ());
    let position = Position { last_delivered: StreamId::MIN, entries_read: None };
    for name in [&b"first"[..], b"second"] {
        stream.create_group(name, position, &mut ());
        for reader in [&b"alice"[..], b"bob"] {
            let consumer = stream.group_mut(name).expect("it was made").consumer_or_new(reader, 1, &mut ());
            let delivery = Delivery { consumer: consumer.number, count: 70, now_ms: 9, is_pending: true };
            assert_eq!(stream.deliver(name, &delivery, &mut (), |_| {}), 70);
        }
    }
    stream
}

/// What a group should hold: who has each pending entry, when and how often it was delivered.
type Model = BTreeMap<StreamId, (usize, u64, u64)>;

const CONSUMERS: [&[u8]; 3] = [b"alice", b"bob", b"carol"];

fn check_group(group: &Group, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(group.count_pending(), model.len());
    prop_assert_eq!(group.last_pending(), model.keys().last().copied());
    for (index, name) in CONSUMERS.iter().enumerate() {
        let expected: Vec<StreamId> =
            model.iter().filter(|(_, (owner, ..))| *owner == index).map(|(id, _)| *id).collect();
        let Some(consumer) = group.consumer(name) else {
            prop_assert!(expected.is_empty());
            continue;
        };
        prop_assert_eq!(group.count_owned(consumer.number), expected.len());
        prop_assert_eq!(group.owned(consumer.number, StreamId::MIN).collect::<Vec<_>>(), expected);
        for (id, pending) in group.pending_range(StreamId::MIN, StreamId::MAX) {
            let (owner, delivered_ms, deliveries) = model[&id];
            prop_assert_eq!((pending.delivered_ms, pending.deliveries), (delivered_ms, deliveries));
            prop_assert_eq!(pending.consumer == consumer.number, owner == index);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn groups_remember_who_has_what(
        steps in prop::collection::vec((0..8_u8, 0..3_usize, 0..200_u64), 0..200),
        shared_at in 0..200_u64,
    ) {
        let (mut stream, mut copy) = (StreamValue::default(), Copy::default());
        for number in 1..200 {
            stream.append(StreamId::new(number, 0), &[b"name", b"value"], LIMITS, &mut copy);
        }
        let position = Position { last_delivered: StreamId::MIN, entries_read: Some(0) };
        prop_assert!(stream.create_group(b"other", position, &mut copy));
        prop_assert!(stream.create_group(b"group", position, &mut copy));
        prop_assert!(!stream.create_group(b"group", position, &mut copy));
        let mut model = Model::new();
        let mut shared = None;
        for (now_ms, (operation, reader, number)) in (0..).zip(steps) {
            if now_ms == shared_at {
                shared = Some((stream.clone(), image(&stream)));
            }
            let id = StreamId::new(number + 1, 0);
            let group = stream.group_mut(b"group").expect("it was made");
            match operation {
                0 => {
                    group.remove_consumer(CONSUMERS[reader], &mut copy);
                    model.retain(|_, (owner, ..)| *owner != reader);
                }
                1..4 => {
                    let was_pending = group.acknowledge(id, &mut copy);
                    prop_assert_eq!(was_pending, model.remove(&id).is_some());
                }
                4 => {
                    let consumer = group.consumer_or_new(CONSUMERS[reader], now_ms, &mut copy).number;
                    let pending = Pending { consumer, delivered_ms: now_ms, deliveries: number };
                    group.set_pending(id, pending, &mut copy);
                    model.insert(id, (reader, now_ms, number));
                }
                5 => group.set_position(Position { last_delivered: id, entries_read: None }, &mut copy),
                _ => {
                    let consumer = group.consumer_or_new(CONSUMERS[reader], now_ms, &mut copy).number;
                    let delivery = Delivery { consumer, count: reader * 9, now_ms, is_pending: operation == 7 };
                    let mut ids = Vec::new();
                    stream.deliver(b"group", &delivery, &mut copy, |entry| ids.push(entry.id));
                    if delivery.is_pending {
                        model.extend(ids.into_iter().map(|id| (id, (reader, now_ms, 1))));
                    }
                }
            }
        }
        if let Some((stream, before)) = shared {
            prop_assert!(image(&stream) == before);
        }
        check_group(stream.group(b"group").expect("it was made"), &model)?;
        let restored: StreamValue = copy.restore();
        prop_assert!(image(&restored) == image(&stream));
        check_group(restored.group(b"group").expect("it was made"), &model)?;
        prop_assert!(stream.destroy_group(b"group", &mut copy));
        prop_assert!(!stream.destroy_group(b"group", &mut copy));
        prop_assert!(image(&copy.restore::<StreamValue>()) == image(&stream));
        prop_assert_eq!(stream.groups().map(Group::name).collect::<Vec<_>>(), [b"other"]);
    }
}

#[test]
fn a_full_block_is_left_as_it_is() {
    let mut stream = StreamValue::default();
    for number in 1..=1000 {
        stream.append(StreamId::new(number, 0), &[b"name", b"v"], LIMITS, &mut ());
    }
    assert_eq!(stream.count_blocks(), 10);
    let limits = NodeLimits { entries: 0, bytes: 200 };
    for number in 1001..=1100 {
        stream.append(StreamId::new(number, 0), &[b"name", b"v"], limits, &mut ());
    }
    stream.for_each_block(&mut |_, block| assert!(block.bytes().len() <= super::super::block::BLOCK_BYTES));
    assert!(stream.count_blocks() >= 13);
}

#[test]
fn approximate_trimming_removes_whole_blocks_only() {
    for (kept, limit, removed) in [
        (Kept::Last(150), None, 100),
        (Kept::Last(0), None, 250),
        (Kept::Last(100), Some(99), 0),
        (Kept::Last(100), Some(100), 100),
        (Kept::From(StreamId::new(101, 0)), None, 100),
        (Kept::From(StreamId::new(200, 0)), None, 100),
        (Kept::From(StreamId::MAX), None, 250),
    ] {
        let mut stream = StreamValue::default();
        for number in 1..=250 {
            stream.append(StreamId::new(number, 0), &[b"n", b"v"], LIMITS, &mut ());
        }
        let trim = Trim { kept, is_approximate: true, limit };
        assert_eq!(stream.trim(&trim, &mut ()), removed, "{trim:?}");
        assert_eq!(stream.len(), 250 - removed);
    }
}

#[test]
fn what_makes_no_stream_is_refused() {
    type Damage<'a> = &'a dyn Fn(&mut Vec<(Vec<u8>, Vec<u8>)>);
    let check = |why: &str, damage: Damage<'_>| {
        let mut blocks = image(&sample());
        damage(&mut blocks);
        let (_, header) = blocks.remove(0);
        assert!(StreamValue::restore(&header, StoredBlocks(blocks)).is_none(), "{why}");
    };
    let sound = image(&sample());
    let restored = StreamValue::restore(&sound[0].1, StoredBlocks(sound[1..].to_vec())).expect("a stream");
    assert!(image(&restored) == sound);
    check("no header", &|blocks| blocks[0].1.clear());
    check("a last id that is too low", &|blocks| blocks[0].1[0] = 1);
    check("entries twice", &|blocks| blocks[2] = blocks[1].clone());
    check("an unknown tag", &|blocks| blocks.push((vec![9, 0, 0, 0, 0], vec![0])));
    check("a label that is too short", &|blocks| blocks[1].0.truncate(9));
    check("consumers without their group", &|blocks| blocks.retain(|(label, _)| label.first() != Some(&1)));
    check("pending entries without their consumers", &|blocks| {
        blocks.retain(|(label, _)| label.first() != Some(&2));
    });
    check("two groups of one name", &|blocks| {
        let records: Vec<usize> =
            (0..blocks.len()).filter(|index| blocks[*index].0.first() == Some(&1)).collect();
        blocks[records[1]].1 = blocks[records[0]].1.clone();
    });
}

#[test]
fn a_change_of_a_shared_stream_shares_the_rest() {
    let blocks = |stream: &StreamValue| {
        let mut addresses = std::collections::HashSet::new();
        stream.0.entries.for_each_block(&mut |_, block| {
            addresses.insert(block.bytes().as_ptr());
        });
        addresses
    };
    let mut stream = StreamValue::default();
    for number in 1..=100_000 {
        stream.append(StreamId::new(number, 0), &[b"name", b"value"], LIMITS, &mut ());
    }
    let before = stream.clone();
    stream.remove(&[StreamId::new(50_000, 0)], &mut ());
    assert_eq!(blocks(&stream).difference(&blocks(&before)).count(), 1);
    assert!(blocks(&before).len() >= 1000);
}
