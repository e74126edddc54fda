//! Promises of the hash value.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::types::collection::testing::Copy;

const LIMITS: PackedLimits = PackedLimits { entries: 4, element_bytes: 8 };

/// Every field with its value and end.
type Model = HashMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

fn model(hash: &HashValue) -> Model {
    hash.iter().map(|(field, value)| (field.to_vec(), (value.to_vec(), hash.end_ms(field)))).collect()
}

/// Does one step to both; `number` chooses the field and more.
fn step(hash: &mut HashValue, model: &mut Model, operation: u8, number: u16, fields: u16, copy: &mut Copy) {
    let (field, time) = (format!("f{}", number % fields).into_bytes(), u64::from(number % 100));
    let value = vec![b'v'; usize::from(number % 12)];
    match operation {
        0..4 => {
            let is_new = hash.set(&field, &value, LIMITS, copy);
            assert_eq!(is_new, model.insert(field, (value, None)).is_none());
        }
        4 => {
            hash.replace(&field, &value, LIMITS, copy);
            model.entry(field).or_default().0 = value;
        }
        5 => assert_eq!(hash.remove(&field, copy), model.remove(&field).is_some()),
        6..9 => {
            let end = (operation < 8).then_some(time);
            let entry = model.get_mut(&field);
            assert_eq!(hash.set_end(&field, end, LIMITS, copy), entry.is_some());
            if let Some((_, of_field)) = entry {
                *of_field = end;
            }
        }
        _ => {
            // Some, but not always all of those that are due.
            let (now, limit) = (time / 10, usize::from(number % 7));
            let due = model.values().filter(|(_, end)| end.is_some_and(|end| end < now)).count();
            let before = hash.clone();
            let gone = hash.expire(now, limit, copy);
            // Those of one hash go together.
            assert!(gone >= due.min(limit) && gone <= due);
            let gone: Vec<_> =
                before.iter().map(|(field, _)| field).filter(|field| hash.get(field).is_none()).collect();
            for field in gone {
                let (_, end) = model.remove(field).expect("a field");
                assert!(end.is_some_and(|end| end < now));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same as a map of the standard library, whatever its form; and a copy made of what was recorded, and the hash
    /// before, stay what they should.
    #[test]
    fn a_hash_is_a_map_whose_fields_may_end(
        fields in prop_oneof![Just(4_u16), Just(20), Just(1000)],
        operations in prop_oneof![Just(6_u8), Just(10)],
        steps in prop::collection::vec((any::<u8>(), any::<u16>()), 0..2000),
    ) {
        let (mut hash, mut copy, mut expected) = (HashValue::default(), Copy::default(), Model::new());
        for (index, (operation, number)) in steps.into_iter().enumerate() {
            let before = (index % 50 == 0).then(|| (hash.clone(), model(&hash)));
            step(&mut hash, &mut expected, operation % operations, number, fields, &mut copy);
            copy.finish(&hash);
            prop_assert!(before.is_none_or(|(before, fields)| model(&before) == fields));
            prop_assert_eq!(hash.len(), expected.len());
            let first = expected.values().filter_map(|(_, end)| *end).min();
            prop_assert_eq!(hash.next_end_ms(), first);
        }
        prop_assert_eq!(model(&hash), expected);
        prop_assert!(hash.fields().iter().eq(hash.iter().map(|(field, _)| field)));
        prop_assert!(hash.values().iter().eq(hash.iter().map(|(_, value)| value)));
        prop_assert_eq!(hash.items().len(), 2 * hash.len());
        for (rank, entry) in hash.iter().enumerate() {
            prop_assert_eq!(hash.nth(rank), Some(entry));
        }
        let restored: HashValue = copy.restore();
        prop_assert!(restored.iter().eq(hash.iter()));
        prop_assert_eq!(model(&restored), model(&hash));
        prop_assert_eq!(restored.next_end_ms(), hash.next_end_ms());
        prop_assert_eq!(restored.encoding(), hash.encoding());
    }

    #[test]
    fn no_stored_bytes_make_a_hash_panic(
        kind in prop_oneof![Just(EXPIRING), Just(EXPIRING | BIG_FIELDS | BIG_ENDS), any::<u8>()],
        seeds in prop_oneof![Just(0_usize), Just(8), Just(16), 0..20_usize],
        blocks: Vec<(Vec<u8>, Vec<u8>)>,
        is_end: bool,
    ) {
        let header: Vec<u8> = std::iter::once(kind).chain(std::iter::repeat_n(7, seeds)).collect();
        let label = |label: Vec<u8>| if is_end { [vec![0xff; 7], label].concat() } else { label };
        let blocks: Vec<_> = blocks.into_iter().map(|(bytes, block)| (label(bytes), block)).collect();
        for header in [&header[..], &header[1..]] {
            if let Some(hash) = HashValue::restore(header, StoredBlocks(blocks.clone())) {
                prop_assert_eq!(hash.iter().count(), hash.len());
            }
        }
    }
}

#[test]
fn a_scan_visits_what_stays_exactly_once_whatever_comes_and_goes() {
    let mut hash = HashValue::default();
    let field = |number: usize| format!("{number}").into_bytes();
    for number in 0..5000 {
        hash.set(&field(number), b"v", LIMITS, &mut ());
    }
    let (mut seen, mut cursor, mut other) = (Vec::new(), 0, 5000);
    loop {
        cursor = hash.scan(cursor, 10, |field, _| seen.push(field.to_vec()));
        if cursor == 0 {
            break;
        }
        // Fields from 2500 on go, others come.
        for _ in 0..20 {
            hash.remove(&field(other - 2500), &mut ());
            hash.set(&field(other), b"v", LIMITS, &mut ());
            other += 1;
        }
    }
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for field in seen {
        *counts.entry(field).or_default() += 1;
    }
    for number in 0..2500 {
        assert_eq!(counts.get(&field(number)), Some(&1), "{number}");
    }
}

/// A hash of 100,000 fields, of which every second has an end.
fn big() -> HashValue {
    let mut hash = HashValue::default();
    for number in 0..100_000 {
        let field = format!("{number}");
        hash.set(field.as_bytes(), b"value", LIMITS, &mut ());
        if number % 2 == 0 {
            hash.set_end(field.as_bytes(), Some(1000 + number), LIMITS, &mut ());
        }
    }
    hash
}

/// The bytes that were recorded, without those of whole values.
#[derive(Default)]
struct Written {
    bytes: usize,
    whole: bool,
}

impl Recorder for Written {
    fn put(&mut self, label: &[u8], block: &[u8]) {
        self.bytes += label.len() + block.len();
    }

    fn splice(&mut self, label: &[u8], _offset: usize, _removed: usize, inserted: &[u8]) {
        self.bytes += label.len() + inserted.len();
    }

    fn remove(&mut self, label: &[u8]) {
        self.bytes += label.len();
    }

    fn header(&mut self, header: &[u8]) {
        self.bytes += header.len();
    }

    fn whole(&mut self) {
        self.whole = true;
    }

    fn element(&mut self, _element: &[u8]) {}
}

#[test]
fn a_change_of_a_shared_big_hash_shares_and_records_little() {
    let mut hash = big();
    let before = hash.clone();
    let mut written = Written::default();
    hash.set(b"5", b"other", LIMITS, &mut written);
    hash.set_end(b"7", Some(5), LIMITS, &mut written);
    hash.set_end(b"8", None, LIMITS, &mut written);
    hash.expire(10, usize::MAX, &mut written);
    // Three short changes and a division or joining of a block at most.
    assert!(written.bytes < 3000 && !written.whole, "{} bytes", written.bytes);
    assert_eq!((before.get(b"7"), before.end_ms(b"8")), (Some(&b"value"[..]), Some(1008)));
    let blocks = |hash: &HashValue| {
        let mut found = HashSet::new();
        hash.for_each_block(&mut |_, block| {
            found.insert(block.bytes().as_ptr());
        });
        found
    };
    let (old, new) = (blocks(&before), blocks(&hash));
    assert!(old.len() > 1000 && new.difference(&old).count() <= 8);
}

#[test]
fn a_big_hash_gets_its_first_end_and_loses_its_last_without_being_written_whole() {
    let mut hash = HashValue::default();
    for number in 0..10_000 {
        hash.set(format!("{number}").as_bytes(), b"value", LIMITS, &mut ());
    }
    let mut written = Written::default();
    hash.set_end(b"1", Some(5), LIMITS, &mut written);
    hash.set_end(b"1", None, LIMITS, &mut written);
    assert!(written.bytes < 200 && !written.whole, "{} bytes", written.bytes);
    assert_eq!(hash.encoding(), "hashtable");
    assert_eq!(hash.header().len(), 8);
}

#[test]
fn fields_end_in_the_order_of_time() {
    let mut hash = big();
    assert_eq!(hash.expire(1000, usize::MAX, &mut ()), 0);
    assert_eq!(hash.expire(1_000_000, 100, &mut ()), 100);
    assert_eq!((hash.get(b"198"), hash.get(b"200").is_some(), hash.next_end_ms()), (None, true, Some(1200)));
    assert_eq!(hash.expire(1_000_000, usize::MAX, &mut ()), 49_900);
    assert_eq!((hash.len(), hash.next_end_ms()), (50_000, None));
}

#[test]
fn fields_are_found_that_come_before_the_first_block_that_is_left() {
    let (mut hash, mut copy) = (HashValue::default(), Copy::default());
    let add = |hash: &mut HashValue, copy: &mut Copy, count: usize| {
        for _ in 0..count {
            hash.set(fastrand::u64(..).to_string().as_bytes(), b"v", LIMITS, copy);
            copy.finish(hash);
        }
    };
    for _ in 0..20 {
        add(&mut hash, &mut copy, 1000);
        // As one does who scans the hash and removes what was found.
        let fields: Vec<_> = hash.iter().map(|(field, _)| field.to_vec()).collect();
        for field in &fields[..fields.len() / 2] {
            assert!(hash.remove(field, &mut copy));
        }
    }
    let restored: HashValue = copy.restore();
    for (field, _) in hash.iter() {
        assert!(hash.get(field).is_some() && restored.get(field).is_some());
    }
}

/// Long values make blocks of one field, so that first blocks go, and lower hashes come into the next ones.
#[test]
fn fields_are_found_whichever_blocks_have_gone() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut hash, mut copy) = (HashValue::default(), Copy::default());
        let mut fields = std::collections::HashSet::new();
        for _ in 0..200 {
            let field = [random.u8(..24)];
            if random.bool() {
                let is_new = hash.set(&field, &[b'v'; 600], LIMITS, &mut copy);
                assert_eq!(is_new, fields.insert(field), "seed {seed}");
            } else {
                assert_eq!(hash.remove(&field, &mut copy), fields.remove(&field), "seed {seed}");
            }
            copy.finish(&hash);
        }
        let restored: HashValue = copy.restore();
        assert!(fields.iter().all(|field| restored.get(field).is_some()), "seed {seed}");
    }
}
