//! What redis-server 7.0.15 gives is read; what is written reads back; nothing does harm.

use proptest::prelude::*;

use super::*;

fn all(elements: &[&str]) -> Strings {
    elements.iter().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(first, second)| (first.as_bytes().to_vec(), second.as_bytes().to_vec())).collect()
}

fn scored(members: &[(&str, f64)]) -> Value {
    let (members, scores): (Vec<&str>, _) = members.iter().copied().unzip();
    Value::SortedSet(all(&members), scores)
}

/// The stream of the table below, but for the times, which its group and consumers got from a clock.
fn stream() -> Stream {
    let entry = |id, fields: &[(&str, &str)]| StreamEntry { id, fields: pairs(fields) };
    let consumer =
        |name: &str| Consumer { name: name.as_bytes().to_vec(), seen_at_ms: 0, active_at_ms: None };
    Stream {
        entries: vec![entry((1, 1), &[("a", "1"), ("b", "2")]), entry((5, 0), &[("c", "5")])],
        last_id: (5, 0),
        max_deleted_id: (1, 2),
        entries_added: 3,
        groups: vec![Group {
            name: b"g".to_vec(),
            last_id: (1, 1),
            entries_read: None,
            consumers: vec![consumer("alice"), consumer("bob")],
            pending: vec![Pending { id: (1, 1), consumer: 0, delivered_at_ms: 0, deliveries: 1 }],
        }],
    }
}

fn without_times(mut value: Value) -> Value {
    if let Value::Stream(stream) = &mut value {
        for group in &mut stream.groups {
            group.pending.iter_mut().for_each(|pending| pending.delivered_at_ms = 0);
            for consumer in &mut group.consumers {
                (consumer.seen_at_ms, consumer.active_at_ms) = (0, None);
            }
        }
    }
    value
}

/// Payloads of DUMP and what they stand for.
fn payloads() -> Vec<(&'static [u8], Value)> {
    vec![
        (b"\x00\xc190\n\x00\x9d\x94\xea'\x93\xfc\x08\xb9", Value::String(b"12345".to_vec())),
        (b"\x00\xc0\xfb\n\x00I\xc4\xc6\xf4\xd7&?h", Value::String(b"-5".to_vec())),
        (b"\x00\xc2y)\xed\xff\n\x00V\x96g\x05qS\xcd\x9b", Value::String(b"-1234567".to_vec())),
        (b"\x00\x05hello\n\x00cr\xdfve4 \n", Value::String(b"hello".to_vec())),
        (
            b"\x00\xc3\x0eA,\x03abca\xe0\xff\x02\xe1\x15\x07\x01bc\n\x00\xd2W3\xce\xc0D\xe1+",
            Value::String(b"abc".repeat(100)),
        ),
        (
            b"\x12\x02\x02\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x01\x01\xde\xd4\x02\xff\x02\xc3\x1f@}\
              \x10}\x00\x00\x00\x03\x00\xf2p\x11\x01\x04\xf4\x00\x1aq\x18\x02 \x0f\x03\t\xe0dx\xe0Z\
              \x00\x01f\xff\n\x00H\x98l\x02\x16\xb2\xc2m",
            Value::List(all(&["a", "1", "-300", "70000", "9000000000", &"x".repeat(100)])),
        ),
        (
            b"\x0b\x14\x04\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\xe0\x93\x04\x00\
              \n\x00t/3HHlj9",
            Value::Set(all(&["1", "2", "300000"])),
        ),
        (b"\x02\x03\x01c\x01b\x01a\n\x00^\xa6~V#u\x0b\xab", Value::Set(all(&["c", "b", "a"]))),
        (
            b"\x10\x18\x18\x00\x00\x00\x06\x00\x81f\x02\x81v\x02\x81n\x02d\x01\x81m\x02\xdf\xff\x02\
              \xff\n\x00\xbfd\xf0w\x98\x0e\xf5\xde",
            Value::Hash(all(&["f", "v", "n", "100", "m", "-1"])),
        ),
        (
            b"\x04\x02\x01c\x01d\x01a\x01b\n\x00K\xc1\x01\x99\x96\xe8\xea\x83",
            Value::Hash(all(&["c", "d", "a", "b"])),
        ),
        (
            b"\x11\x1d\x1d\x00\x00\x00\x06\x00\x81b\x02\x84-inf\x05\x81a\x02\x831.5\x04\x81c\x02\x03\
              \x01\xff\n\x00)p\xc5\x8f\xcd\xe6\xfc1",
            scored(&[("b", f64::NEG_INFINITY), ("a", 1.5), ("c", 3.0)]),
        ),
        (
            b"\x05\x02\x01b\x00\x00\x00\x00\x00\x00\xf0\x7f\x01a\x00\x00\x00\x00\x00\x00\xf8?\n\x00\
              \x13C\xce\x1a\x14\xf0\x07\xa4",
            scored(&[("b", f64::INFINITY), ("a", 1.5)]),
        ),
        (
            b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01==\x00\x00\
              \x00\x19\x00\x02\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\x00\x01\x02\x01\x00\x01\x00\x01\
              \x01\x01\x02\x01\x05\x01\x03\x01\x00\x01\x01\x01\x03\x01\x04\x01\x05\x01\x00\x01\x04\x01\
              \xdf\xff\x02\x01\x01\x81c\x02\x05\x01\x06\x01\xff\x02\x05\x00\x01\x01\x01\x02\x03\x01\
              \x01g\x01\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00\x01\
              \x00\x00\x00\x00\x00\x00\x00\x01b\xd2b\n\xa2\x01\x00\x00\x01\x02\x05aliceb\xd2b\n\xa2\
              \x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x03bobl\
              \xd2b\n\xa2\x01\x00\x00\x00\n\x00\xd0\x9a;\x1b\x13[~\xd2",
            Value::Stream(stream()),
        ),
    ]
}

/// A body in the two forms that Redis 7.4 has for hashes with ends, laid out by hand, and what it stands for.
fn expiring_hashes() -> Vec<(&'static [u8], Value)> {
    let hash = Value::ExpiringHash(all(&["a", "x", "b", "7", "c", "z"]), vec![Some(1000), Some(1200), None]);
    vec![
        (b"\x18\xe8\x03\0\0\0\0\0\0\x03\x01\x01a\x01x\x40\xc9\x01b\xc0\x07\0\x01c\x01z", hash.clone()),
        (
            b"\x19\xe8\x03\0\0\0\0\0\0\x20\x20\0\0\0\x09\0\x81a\x02\x81x\x02\xc3\xe8\x02\
              \x81b\x02\x07\x01\xc4\xb0\x02\x81c\x02\x81z\x02\0\x01\xff",
            hash,
        ),
    ]
}

#[test]
fn hashes_with_ends_are_read_in_both_forms_and_written_in_one() {
    for (body, value) in expiring_hashes() {
        assert_eq!(restore(&sealed(body)).unwrap(), value, "{}", body.escape_ascii());
        let written = dump(&value);
        assert_eq!(written[0], 24);
        assert_eq!(written[written.len() - FOOTER_BYTES..][..2], EXPIRING_VERSION.to_le_bytes());
        assert_eq!(restore(&written).unwrap(), value);
    }
}

#[test]
fn a_hash_with_a_wrong_end_is_refused() {
    let check = |body: &[u8]| assert!(matches!(restore(&sealed(body)), Err(Error::Malformed(_))));
    // Beyond 64 bits.
    check(b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x01a\x01x");
    // Not a number, negative, or missing.
    check(b"\x19\0\0\0\0\0\0\0\0\x10\x10\0\0\0\x03\0\x81a\x02\x81x\x02\x81y\x02\xff");
    check(b"\x19\0\0\0\0\0\0\0\0\x10\x10\0\0\0\x03\0\x81a\x02\x81x\x02\xdf\xff\x02\xff");
    check(b"\x19\0\0\0\0\0\0\0\0\x0d\x0d\0\0\0\x02\0\x81a\x02\x81x\x02\xff");
    check(b"\x18\0\0\0\0\0\0\0\0\0");
}

#[test]
fn a_small_stream_does_not_become_a_big_one() {
    let (name, count) = (vec![b'n'; 100_000], 20_000);
    let mut node = packed::ListpackWriter::new();
    for number in [count, 0, 1] {
        node.number(number);
    }
    node.string(&name);
    node.number(0);
    for index in 0..count {
        // Its fields are those of the node.
        for number in [2, index, 0, 1, 4] {
            node.number(number);
        }
    }
    let mut body = vec![21, 1];
    writer::write_string(&[0; 16], &mut body);
    writer::write_string(&node.finish(), &mut body);
    for length in [count as u64, count as u64, 0, 0, 0, 0, 0, count as u64, 0] {
        writer::write_length(length, &mut body);
    }
    let refused = restore(&sealed(&body));
    assert!(matches!(refused, Err(Error::Malformed("a stream whose names are too long"))), "{refused:?}");
}

#[test]
fn short_elements_take_hardly_more_memory_than_their_bytes() {
    const COUNT: usize = 100_000;
    let mut node = packed::ListpackWriter::new();
    (0..COUNT).for_each(|_| node.number(7));
    let node = node.finish();
    let check = |form: &[u8]| {
        let mut body = form.to_vec();
        writer::write_string(&node, &mut body);
        match restore(&sealed(&body)).unwrap() {
            Value::List(strings) | Value::Set(strings) | Value::Hash(strings) => {
                assert_eq!(strings.len(), COUNT);
                assert!(strings.bytes() <= node.len(), "{} bytes", strings.bytes());
            }
            other => panic!("{other:?}"),
        }
    };
    for form in [&[18, 1, 2][..], &[20], &[16]] {
        check(form);
    }
}

#[test]
fn payloads_of_redis_are_read() {
    for (payload, value) in payloads() {
        assert_eq!(without_times(restore(payload).unwrap()), value, "{}", payload.escape_ascii());
    }
}

#[test]
fn what_is_written_reads_back() {
    let long = Value::List((0..5000).map(|index| vec![b'x'; index * index % 20_000]).collect());
    let entry = |index: u64| StreamEntry {
        id: (index / 3, index),
        fields: pairs(&[
            ("temperature", &index.to_string()),
            (["place", "other"][index as usize % 7 / 6], "x"),
        ]),
    };
    let entries = Value::Stream(Stream {
        entries: (0..1000).map(entry).collect(),
        last_id: (400, 0),
        max_deleted_id: (0, 0),
        entries_added: 1200,
        groups: vec![Group { entries_read: None, ..Group::default() }],
    });
    for value in payloads().into_iter().map(|(_, value)| value).chain([long, entries]) {
        assert_eq!(without_times(restore(&dump(&value)).unwrap()), value);
    }
}

#[test]
fn a_payload_is_refused_if_a_byte_of_it_is_another() {
    for (payload, _) in payloads() {
        for at in 0..payload.len() {
            let mut other = payload.to_vec();
            other[at] ^= 1;
            assert!(matches!(restore(&other), Err(Error::VersionOrChecksum)), "byte {at}");
            assert!(restore(&payload[..at]).is_err());
        }
    }
}

/// With a right checksum, so that the content is looked at.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut payload = body.to_vec();
    payload.extend_from_slice(&WRITTEN_VERSION.to_le_bytes());
    let checksum = CHECKSUM.checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hostile_payloads_are_refused_or_read_without_harm(
        which in 0..15_usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let of_redis = |(payload, _): (&'static [u8], _)| &payload[..payload.len() - FOOTER_BYTES];
        let bodies = payloads().into_iter().map(of_redis).chain(expiring_hashes().into_iter().map(|(body, _)| body));
        let mut body = bodies.collect::<Vec<_>>()[which].to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = restore(&sealed(&body));
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_harm(body: Vec<u8>) {
        let _ = restore(&sealed(&body));
        let _ = File::open(&body[..]).map(Iterator::count);
        let file = [b"REDIS0010", &body[..]].concat();
        let _ = File::open(&file[..]).map(Iterator::count);
    }
}

#[test]
fn a_file_gives_its_keys_with_databases_and_times() {
    let mut file = b"REDIS0010\xfa\x09redis-ver\x067.0.15\xfe\x00\xfb\x02\x01".to_vec();
    file.extend_from_slice(b"\xfc\xe8\x03\0\0\0\0\0\0\x00\x01a\xc0\x05\xf9\x07\x00\x01b\x01x");
    file.extend_from_slice(b"\xfe\x03\xf5\x03lib\xfd\x02\0\0\0\x02\x01c\x01\x01m\xff");
    let checksum = CHECKSUM.checksum(&file);
    let key = |database, key: &[u8], value, expires_at_ms| Entry {
        database,
        key: key.to_vec(),
        value,
        expires_at_ms,
    };
    let expected = [
        key(0, b"a", Value::String(b"5".to_vec()), Some(1000)),
        key(0, b"b", Value::String(b"x".to_vec()), None),
        key(3, b"c", Value::Set(all(&["m"])), Some(2000)),
    ];
    for (sum, is_right) in [(checksum, true), (0, true), (checksum ^ 1, false)] {
        let whole = [&file[..], &sum.to_le_bytes()].concat();
        let mut reader = File::open(&whole[..]).unwrap();
        let found: Vec<_> = reader.by_ref().collect();
        let keys: Vec<_> = found.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
        assert_eq!(keys, expected);
        assert_eq!(found.iter().all(Result::is_ok), is_right);
        assert_eq!((reader.libraries, reader.position()), (1, whole.len() as u64));
    }
}
