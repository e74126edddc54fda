//! Promises of the store as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::limits::{CHUNK_BYTES, INLINE_BYTES, LOG_PART_BYTES, SWEEP_ROWS, TRUNCATE_ROWS};
use super::record::{BlockChange, Change, PutHead, Value};
use super::row;
use super::test_support::{Content, Disk, Model, Opened, content_of, group, put};
use super::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// As many seeds as the environment asks for, or else this many; more seeds find more.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("KVASM_TEST_STORE_SEEDS").ok().and_then(|count| count.parse().ok());
    0..asked.unwrap_or(count)
}

/// Random changes of a few keys in a few databases, so that they often collide.
struct Random(fastrand::Rng, Vec<u8>);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let bytes = (0..3 * CHUNK_BYTES).map(|_| random.u8(..)).collect();
        Self(random, bytes)
    }

    fn time(&mut self) -> Option<u64> {
        self.0.bool().then(|| self.0.u64(1000..1010))
    }

    fn bytes(&mut self) -> (usize, usize) {
        let length = match self.0.u8(..16) {
            0 => self.0.usize(..3 * CHUNK_BYTES),
            1 => INLINE_BYTES - 2 + self.0.usize(..4),
            _ => self.0.usize(..40),
        };
        (self.0.usize(..=3 * CHUNK_BYTES - length), length)
    }

    /// Makes a change that fits the model, and applies it to the model.
    fn change(&mut self, model: &mut Model, encoder: &mut record::Encoder) {
        const KEYS: [&[u8]; 6] = [b"", b"a", b"b", b"{a}c", b"d", b"\xff\x00"];
        let database = self.0.u8(..3);
        let key = KEYS[self.0.usize(..KEYS.len())];
        if self.0.u8(..3) == 0
            && let Some(group) = self.collection_change(model, database, key)
        {
            let change = record::decode(&group).unwrap().next().unwrap().unwrap().next().unwrap().unwrap();
            model.apply(&change);
            return encoder.push(&change);
        }
        let present = model.keys[usize::from(database)].get(key).map(|(content, _)| content.string_len());
        let (start, length) = self.bytes();
        let expires_at_ms = self.time();
        let head = PutHead { database, key, expires_at_ms, created: present.is_none() };
        let integer = self.0.i64(..);
        let (offset, more) = (self.0.usize(..2 * CHUNK_BYTES), self.0.usize(..100));
        let other = self.0.u8(..3);
        let bytes = &self.1[start..start + length];
        let change = match (self.0.u8(..40), present) {
            (0, _) => Change::Flush { database },
            (1, _) => Change::Swap { a: database, b: other },
            (2, _) => Change::System { table: SystemTable::Library, name: key, content: Some(bytes) },
            (3, _) => Change::System { table: SystemTable::Library, name: key, content: None },
            (4..8, _) => Change::Put { head, value: Value::Integer(integer) },
            (8..16, Some(_)) => Change::Delete { database, key },
            (16..20, Some(_)) => Change::Expire { database, key, expires_at_ms },
            (20..30, Some(Some(before))) => {
                let offset = if more < 50 { before } else { offset };
                let length = before.max(offset + bytes.len() + more % 2) as u64;
                Change::Splice { database, key, offset: offset as u64, bytes, length }
            }
            _ => Change::Put { head, value: Value::Bytes(bytes) },
        };
        model.apply(&change);
        encoder.push(&change);
    }

    /// A group of one change that makes or changes a collection, if there is no string.
    fn collection_change(&mut self, model: &Model, database: u8, key: &[u8]) -> Option<Vec<u8>> {
        let (start, length) = self.bytes();
        let bytes = &self.1[start..start + length];
        let expires_at_ms = None;
        let Some((content, _)) = model.keys[usize::from(database)].get(key) else {
            let head = PutHead { database, key, expires_at_ms, created: true };
            let mut encoder = record::Encoder::new(Vec::new());
            encoder.begin();
            let labels: &[&[u8]] = [&[b"" as &[u8]][..], &[b"a", b"b", b"cd"]][self.0.usize(..2)];
            encoder.put_collection(&head, 4, b"head", labels.len());
            for label in labels {
                encoder.put_block(label, bytes);
            }
            encoder.end();
            return Some(encoder.finish());
        };
        let Content::Collection { blocks, .. } = content else { return None };
        let (label, block) = match blocks.iter().nth(self.0.usize(..=blocks.len())) {
            Some((label, block)) => (&label[..], block.len()),
            // A single block stays single.
            None if blocks.contains_key(&b""[..]) => (&b""[..], blocks[&b""[..]].len()),
            None => (&b"new"[..], blocks.get(&b"new"[..]).map_or(0, Vec::len)),
        };
        let inserted = &bytes[..length.min(50)];
        let change = match self.0.u8(..6) {
            0 => return Some(group(&[Change::Header { database, key, header: inserted }])),
            1 => BlockChange::Put(inserted),
            2 if !label.is_empty() => BlockChange::Remove,
            _ => BlockChange::Splice { offset: block as u64 / 3, removed: block as u64 / 4, inserted },
        };
        Some(group(&[Change::Block { database, key, label, change }]))
    }

    /// A group of up to three transactions, which is also applied to the model.
    fn group(&mut self, model: &mut Model) -> Vec<u8> {
        let mut encoder = record::Encoder::new(Vec::new());
        for _ in 0..self.0.u8(1..4) {
            encoder.begin();
            for _ in 0..self.0.u8(1..6) {
                self.change(model, &mut encoder);
            }
            encoder.end();
        }
        encoder.finish()
    }
}

/// Opens a directory and checks that it holds the model, before and after the log is applied, and that
/// nothing else is left when the garbage is gone.
fn check(directory: &Path, expected: &dyn Fn(u64) -> Model) {
    let mut opened = Opened::open(directory);
    let last = opened.recovery.last_sequence;
    let expected = expected(last);
    assert!(opened.recover() == expected, "recovery differs at {last}");
    opened.apply_and_wait(last);
    let mut rows = opened.rows(&opened.recovery.databases);
    rows.system.clone_from(&expected.system);
    assert!(rows == expected, "rows differ at {last}");
    opened.store.close().unwrap();
    check_rows(directory, &expected);
    let reopened = Opened::open(directory);
    assert_eq!((reopened.recovery.applied, reopened.recovery.last_sequence), (last, last));
    assert_eq!(reopened.recovery.key_counts, expected.counts());
    assert!(reopened.rows(&reopened.recovery.databases) == expected, "rows differ when opened again");
}

/// Sweeps a closed store and checks that every row belongs to a key.
fn check_rows(directory: &Path, expected: &Model) {
    let database = Database::open(directory.join("data.redb")).unwrap();
    loop {
        let transaction = database.begin_write().unwrap();
        let swept = sweep::sweep(&transaction).unwrap();
        transaction.commit().unwrap();
        if !swept.more {
            break;
        }
    }
    let transaction = database.begin_read().unwrap();
    let (mut expiries, mut generations) = (BTreeSet::new(), BTreeSet::new());
    let keys = transaction.open_table(row::KEYS).unwrap();
    for row in keys.iter().unwrap() {
        let (key, value) = row.unwrap();
        let found = row::KeyRow::read(value.value()).unwrap();
        if let Some(time_ms) = found.expires_at_ms {
            let mut expiry = Vec::new();
            row::write_expiry(&mut expiry, time_ms, key.value());
            expiries.insert(expiry);
        }
        if let Some(generation) = found.generation() {
            assert!(generations.insert(generation), "two values with generation {generation}");
        }
    }
    assert_eq!(keys.len().unwrap(), expected.counts().iter().sum::<u64>());
    let rows = transaction.open_table(row::EXPIRIES).unwrap();
    let found: BTreeSet<_> = rows.iter().unwrap().map(|row| row.unwrap().0.value().to_vec()).collect();
    assert_eq!(found, expiries);
    let elements = transaction.open_table(row::ELEMENTS).unwrap();
    for row in elements.iter().unwrap() {
        let generation = row.unwrap().0.value().first_chunk().copied().map(u64::from_be_bytes).unwrap();
        assert!(generations.contains(&generation), "generation {generation} belongs to nothing");
    }
}

#[test]
fn whatever_a_crash_leaves_is_the_state_after_some_group_and_no_committed_one_is_lost() {
    for seed in seeds(5) {
        let mut random = Random::new(seed);
        let (origin, crashed) = (directory(), directory());
        Opened::open(origin.path()).store.close().unwrap();
        let disk = Disk::load(origin.path());
        let opened = disk.open(origin.path());
        opened.store.start_applying();
        let mut history = vec![Model::default()];
        let mut committed = 0;
        for sequence in 1..=40 {
            let mut model = history.last().unwrap().clone();
            let group = random.group(&mut model);
            history.push(model);
            opened.store.append(group, sequence);
            match random.0.u8(..8) {
                0 | 1 => {
                    opened.wait_for_commit(sequence);
                    committed = sequence;
                }
                2 | 3 => opened.store.apply_now(),
                4 => std::thread::sleep(std::time::Duration::from_micros(random.0.u64(..3000))),
                5 => {
                    disk.crash(crashed.path(), &mut random.0);
                    check(crashed.path(), &|last| {
                        assert!(
                            (committed..=sequence).contains(&last),
                            "{committed}..={sequence} has {last}"
                        );
                        history[last as usize].clone()
                    });
                }
                _ => {}
            }
        }
        opened.store.close().unwrap();
        disk.crash(crashed.path(), &mut random.0);
        check(crashed.path(), &|last| history[last as usize].clone());
    }
}

#[test]
fn a_store_that_is_closed_and_opened_at_every_stage_holds_what_was_put_into_it() {
    for seed in seeds(4) {
        let mut random = Random::new(seed);
        let directory = directory();
        let mut model = Model::default();
        let mut sequence = 0;
        for _ in 0..6 {
            let mut opened = Opened::open(directory.path());
            assert_eq!(opened.recovery.last_sequence, sequence);
            assert!(opened.recover() == model);
            let applied = opened.recovery.applied;
            opened.store.start_applying();
            for _ in 0..random.0.u8(..8) {
                sequence += 1;
                opened.store.append(random.group(&mut model), sequence);
                if random.0.u8(..4) == 0 {
                    opened.wait_for_commit(sequence);
                    opened.apply_and_wait(sequence);
                }
            }
            assert!(opened.store.applied() >= applied);
            opened.store.close().unwrap();
        }
        check(directory.path(), &|_| model.clone());
    }
}

#[test]
fn groups_of_any_size_come_back_whole_and_in_order() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let big = vec![7; 3 * LOG_PART_BYTES];
    let values: [&[u8]; 4] = [b"", &big[..LOG_PART_BYTES - 30], &big[..LOG_PART_BYTES], &big];
    let groups: Vec<_> = values.iter().map(|value| group(&[put(b"key", value)])).collect();
    for (group, sequence) in groups.iter().zip(1..) {
        opened.store.append(group.clone(), sequence);
    }
    opened.store.close().unwrap();
    let opened = Opened::open(directory.path());
    assert_eq!(opened.store.log_bytes(), groups.iter().map(|group| group.len() as u64).sum::<u64>());
    let found: Vec<_> = opened.recovery.groups.map(Result::unwrap).collect();
    assert!(found == (1..).zip(groups).collect::<Vec<_>>());
}

#[test]
fn buffers_come_back_empty_with_their_memory() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let mut group = group(&[put(b"key", b"value")]);
    group.reserve(5000);
    opened.store.append(group, 1);
    let buffer = opened.wait(|event| match event {
        StoreEvent::Committed { sequence: 1, mut buffers } => buffers.pop(),
        _ => None,
    });
    assert!(buffer.is_empty() && buffer.capacity() >= 5000);
}

#[test]
fn the_log_is_emptied_when_it_was_applied() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    opened.append_and_wait(1, &[put(b"key", &vec![1; 100_000])]);
    assert!(opened.store.log_bytes() > 100_000);
    opened.apply_and_wait(1);
    assert_eq!(opened.store.log_bytes(), 0);
    opened.store.close().unwrap();
    let log = Database::open(directory.path().join("log.redb")).unwrap();
    assert!(log.begin_read().unwrap().open_table(row::LOG).unwrap().is_empty().unwrap());
}

#[test]
fn a_log_of_more_groups_than_one_commit_removes_is_emptied_all_the_same() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let last = 2 * TRUNCATE_ROWS as u64 + 1;
    for sequence in 1..=last {
        opened.store.append(group(&[Change::Delete { database: 0, key: b"key" }]), sequence);
    }
    opened.wait_for_commit(last);
    opened.apply_and_wait(last);
    opened.store.close().unwrap();
    let log = Database::open(directory.path().join("log.redb")).unwrap();
    assert_eq!(log.begin_read().unwrap().open_table(row::LOG).unwrap().len().unwrap(), 0);
}

#[test]
fn more_log_than_one_round_takes_is_applied_in_several() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let value = vec![1; limits::ROUND_BYTES / 2];
    for sequence in 1..=4 {
        opened.append_and_wait(sequence, &[put(&[sequence as u8], &value)]);
    }
    opened.apply_and_wait(4);
    let stats = opened.store.stats();
    assert_eq!((stats.rounds, stats.applied_keys, stats.log_bytes), (2, 4, 0));
}

#[test]
fn a_flushed_database_is_swept_in_steps_and_nothing_of_it_is_left() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let keys: Vec<_> = (0..SWEEP_ROWS as u32 + 10).map(u32::to_be_bytes).collect();
    let long = vec![1; 2 * CHUNK_BYTES];
    let value = |key: &[u8; 4]| if key[3] == 0 { &long[..] } else { b"short" };
    opened.append_and_wait(1, &keys.iter().map(|key| put(key, value(key))).collect::<Vec<_>>());
    opened.apply_and_wait(1);
    opened.append_and_wait(2, &[Change::Flush { database: 0 }]);
    opened.apply_and_wait(2);
    // The keys, the storage itself, and two chunks and the generation of every long string.
    let rows = keys.len() + 1 + 3 * keys.iter().filter(|key| key[3] == 0).count();
    while opened.store.stats().swept_rows < rows as u64 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    opened.store.close().unwrap();
    check_rows(directory.path(), &Model::default());
    let database = Database::open(directory.path().join("data.redb")).unwrap();
    assert!(database.begin_read().unwrap().open_table(row::KEYS).unwrap().is_empty().unwrap());
}

#[test]
fn a_long_string_with_a_gap_takes_no_room_for_the_gap() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let end = limits::STRING_BYTES;
    let splice = Change::Splice { database: 0, key: b"bits", offset: end - 1, bytes: b"x", length: end };
    opened.append_and_wait(1, &[put(b"bits", b"abc"), splice]);
    opened.apply_and_wait(1);
    assert!(opened.store.stats().data_file_bytes < 4 << 20);
    let found = opened.load(opened.recovery.databases.storage(0), &[b"bits"]);
    let Content::String(bytes) = content_of(&found[0].as_ref().unwrap().value) else { panic!("a string") };
    assert_eq!((bytes.len() as u64, &bytes[..4], bytes.last()), (end, &b"abc\0"[..], Some(&b'x')));
}

#[test]
fn pages_hold_all_keys_of_a_position_and_end_where_the_next_begins() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let keys: Vec<_> = (0..100).map(|n: u32| n.to_string().into_bytes()).collect();
    opened.append_and_wait(1, &keys.iter().map(|key| put(key, b"")).collect::<Vec<_>>());
    opened.apply_and_wait(1);
    let storage = opened.recovery.databases.storage(0);
    let all = opened.scan(storage, Position::MIN, usize::MAX);
    assert_eq!((all.keys.len(), all.next), (100, None));
    assert!(all.keys.is_sorted_by_key(|key| key.position));
    let first = opened.scan(storage, Position::MIN, 40);
    assert_eq!((&first.keys[..], first.next), (&all.keys[..40], Some(all.keys[40].position)));
    let rest = opened.scan(storage, all.keys[40].position, usize::MAX);
    assert_eq!(rest.keys, &all.keys[40..]);
    assert_eq!(opened.scan(opened.recovery.databases.storage(1), Position::MIN, 10), ScanPage::default());
}

#[test]
fn due_keys_come_in_the_order_of_their_times_and_flushed_ones_do_not() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let at = |database, key, time| {
        let head = PutHead { database, key, expires_at_ms: Some(time), created: true };
        Change::Put { head, value: Value::Integer(1) }
    };
    let changes = [
        at(1, b"flushed", 1),
        Change::Flush { database: 1 },
        at(0, b"c", 30),
        at(1, b"a", 10),
        at(0, b"d", 40),
        at(0, b"b", 20),
        at(0, b"kept", 5),
        Change::Expire { database: 0, key: b"kept", expires_at_ms: None },
    ];
    // In two groups, so that the flushed key has rows.
    opened.append_and_wait(1, &changes[..1]);
    opened.apply_and_wait(1);
    opened.append_and_wait(2, &changes[1..]);
    opened.apply_and_wait(2);
    let keys = |page: &DuePage| -> Vec<_> {
        page.keys.iter().map(|due| (due.at.key.to_vec(), due.expires_at_ms)).collect()
    };
    let page = opened.due(30, None, 2);
    assert_eq!(keys(&page), [(b"a".to_vec(), 10), (b"b".to_vec(), 20)]);
    let page = opened.due(30, page.more, 2);
    assert_eq!((keys(&page), page.more, page.next_at_ms), (vec![(b"c".to_vec(), 30)], None, Some(40)));
}

#[test]
fn the_filter_knows_every_key_on_disk_and_those_that_come_later() {
    let directory = directory();
    let key = |n: u32| n.to_le_bytes();
    let put_range = |opened: &Opened, sequence, range: std::ops::Range<u32>| {
        let keys: Vec<_> = range.map(key).collect();
        opened.append_and_wait(sequence, &keys.iter().map(|key| put(key, b"")).collect::<Vec<_>>());
        opened.apply_and_wait(sequence);
    };
    let opened = Opened::open(directory.path());
    put_range(&opened, 1, 0..500);
    opened.store.close().unwrap();
    let opened = Opened::open(directory.path());
    let filter = opened.wait(|event| match event {
        StoreEvent::FilterReady(filter) => Some(filter),
        _ => None,
    });
    put_range(&opened, 2, 500..1000);
    let storage = opened.recovery.databases.storage(0);
    let contains = |n| filter.may_contain(storage, opened.recovery.seed.position(&key(n)));
    assert!((0..1000).all(contains));
    assert!((1000..2000).filter(|&n| contains(n)).count() < 50);
}

#[test]
fn a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again() {
    let (origin, crashed) = (directory(), directory());
    Opened::open(origin.path()).store.close().unwrap();
    let disk = Disk::load(origin.path());
    let opened = disk.open(origin.path());
    let storage = opened.recovery.databases.storage(0);
    opened.append_and_wait(1, &[put(b"a", b"1")]);
    opened.apply_and_wait(1);

    disk.set_full(0, true);
    disk.set_full(1, true);
    opened.store.append(group(&[put(b"b", &vec![2; 300_000])]), 2);
    let failed = opened.wait(|event| match event {
        StoreEvent::CommitFailed { sequence, error } => Some((sequence, error)),
        _ => None,
    });
    assert_eq!(failed.0, 2);
    assert!(failed.1.contains("log.redb") && failed.1.contains("no storage space"), "{}", failed.1);
    opened.store.append(group(&[put(b"c", b"3")]), 3);
    assert!(opened.load(storage, &[b"a"])[0].is_some(), "reads go on");
    while opened.store.stats().commit_failures < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }

    disk.set_full(0, false);
    let committed = opened.wait(|event| match event {
        StoreEvent::CommitFailed { .. } => panic!("told twice"),
        StoreEvent::Committed { sequence, buffers } => Some((sequence, buffers.len())),
        _ => None,
    });
    assert_eq!(committed, (3, 2));
    opened.store.apply_now();
    opened.wait(|event| matches!(event, StoreEvent::ApplyFailed { .. }).then_some(()));
    assert_eq!(opened.store.applied(), 1);
    disk.set_full(1, false);
    opened.apply_and_wait(3);
    opened.store.close().unwrap();

    disk.crash(crashed.path(), &mut fastrand::Rng::with_seed(1));
    let mut model = Model::default();
    model.apply_group(&group(&[put(b"a", b"1"), put(b"b", &vec![2; 300_000]), put(b"c", b"3")]));
    check(crashed.path(), &|_| model.clone());
}

#[test]
fn a_commit_that_reports_failure_and_yet_happened_is_not_done_twice() {
    for (file, later) in [0, 1].into_iter().flat_map(|file| (1..=5).map(move |later| (file, later))) {
        let (origin, crashed) = (directory(), directory());
        Opened::open(origin.path()).store.close().unwrap();
        let disk = Disk::load(origin.path());
        let opened = disk.open(origin.path());
        opened.store.start_applying();
        let (mut model, mut databases) = (Model::default(), opened.recovery.databases.clone());
        for sequence in 1..=3 {
            let changes = [Change::Flush { database: 0 }, put(b"key", b"value"), Change::Swap { a: 0, b: 1 }];
            model.apply_group(&group(&changes));
            databases.flush(0);
            databases.swap(0, 1);
            disk.fail_sync(file, later);
            opened.append_and_wait(sequence, &changes);
            opened.apply_and_wait(sequence);
        }
        disk.fail_sync(file, 0);
        assert_eq!(opened.store.log_bytes(), 0);
        assert!(opened.rows(&databases) == model);
        opened.store.close().unwrap();
        disk.crash(crashed.path(), &mut fastrand::Rng::with_seed(1));
        check(crashed.path(), &|_| model.clone());
        assert_eq!(Opened::open(crashed.path()).recovery.databases, databases, "sync {later} of file {file}");
    }
}

#[test]
fn a_store_that_cannot_write_its_log_says_so_when_it_is_closed() {
    let origin = directory();
    Opened::open(origin.path()).store.close().unwrap();
    let disk = Disk::load(origin.path());
    let opened = disk.open(origin.path());
    disk.set_full(0, true);
    opened.store.append(group(&[put(b"a", b"1")]), 1);
    assert!(matches!(opened.store.close(), Err(StoreError::Io { .. })));
}

/// Everything in a directory, to see that nothing was touched.
fn files(directory: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name(), std::fs::read(entry.path()).unwrap())
    };
    std::fs::read_dir(directory).unwrap().map(entry).collect()
}

#[test]
fn a_directory_that_cannot_be_served_is_refused_and_left_untouched() {
    type Spoil = fn(&Path);
    let newer: Spoil = |path| {
        let database = Database::open(path.join("data.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(row::META).unwrap().insert(row::meta::FORMAT, 4).unwrap();
        transaction.commit().unwrap();
    };
    let overwrite: Spoil = |path| std::fs::write(path.join("data.redb"), vec![b'x'; 100_000]).unwrap();
    let empty: Spoil = |path| std::fs::write(path.join("data.redb"), b"").unwrap();
    let cut: Spoil = |path| {
        let data = std::fs::read(path.join("data.redb")).unwrap();
        std::fs::write(path.join("data.redb"), &data[..data.len() / 2]).unwrap();
    };
    let zeroed_pages: Spoil = |path| {
        let mut data = std::fs::read(path.join("data.redb")).unwrap();
        data[4096..].fill(0);
        std::fs::write(path.join("data.redb"), data).unwrap();
    };
    let no_log: Spoil = |path| std::fs::remove_file(path.join("log.redb")).unwrap();
    let no_data: Spoil = |path| std::fs::remove_file(path.join("data.redb")).unwrap();
    let bad_log: Spoil = |path| std::fs::write(path.join("log.redb"), vec![b'x'; 100_000]).unwrap();
    let table: [(Spoil, &str); 8] = [
        (newer, "storage format 4, but this version reads formats up to 3"),
        (overwrite, "data.redb is damaged"),
        (empty, "data.redb is damaged"),
        (cut, "data.redb is damaged"),
        (zeroed_pages, "data.redb is damaged"),
        (no_log, "log.redb is missing"),
        (no_data, "data.redb is missing"),
        (bad_log, "log.redb is damaged"),
    ];
    for (spoil, message) in table {
        let directory = directory();
        let opened = Opened::open(directory.path());
        opened.append_and_wait(1, &[put(b"key", b"value")]);
        opened.store.close().unwrap();
        spoil(directory.path());
        let before = files(directory.path());
        let error =
            Opened::try_open(directory.path()).err().unwrap_or_else(|| panic!("{message}")).to_string();
        assert!(error.contains(message), "{error}");
        assert!(files(directory.path()) == before, "{message}");
    }
}

#[test]
fn a_log_of_another_directory_is_refused() {
    let (one, other) = (directory(), directory());
    for directory in [&one, &other] {
        Opened::open(directory.path()).store.close().unwrap();
    }
    std::fs::copy(other.path().join("log.redb"), one.path().join("log.redb")).unwrap();
    let error = Opened::try_open(one.path()).err().unwrap().to_string();
    assert!(error.contains("belongs to another data.redb"), "{error}");
}

#[test]
fn a_second_opener_is_refused_until_the_first_has_closed() {
    let directory = directory();
    let opened = Opened::open(directory.path());
    let error = Opened::try_open(directory.path()).err().unwrap();
    assert!(error.to_string().ends_with("is in use by another process"), "{error}");
    opened.store.close().unwrap();
    Opened::open(directory.path());
}

#[test]
fn an_interrupted_creation_is_begun_again() {
    let directory = directory();
    drop(Directory::open(directory.path()).unwrap());
    let data = directory.path().join("data.redb");
    std::fs::rename(&data, data.with_extension("new")).unwrap();
    Opened::open(directory.path()).store.close().unwrap();
    assert!(!data.with_extension("new").exists());
}

#[test]
fn a_lost_data_file_is_noticed_even_if_the_log_has_no_groups() {
    type Lose = fn(&Path) -> String;
    let by_this_version: Lose = |path| {
        Opened::open(path).store.close().unwrap();
        std::fs::remove_file(path.join("data.redb")).unwrap();
        Opened::try_open(path).err().unwrap().to_string()
    };
    // As an earlier version left it, and then opened by this one.
    let by_an_earlier_one: Lose = |path| {
        Opened::open(path).store.close().unwrap();
        let log = Database::open(path.join("log.redb")).unwrap();
        let transaction = log.begin_write().unwrap();
        transaction.open_table(row::META).unwrap().remove(row::meta::COMPLETE).unwrap();
        transaction.commit().unwrap();
        drop(log);
        Opened::open(path).store.close().unwrap();
        std::fs::remove_file(path.join("data.redb")).unwrap();
        Opened::try_open(path).err().unwrap().to_string()
    };
    for lose in [by_this_version, by_an_earlier_one] {
        let directory = directory();
        let error = lose(directory.path());
        assert!(error.contains("data.redb is missing"), "{error}");
        assert!(!directory.path().join("data.redb").exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_damage_of_a_file_makes_opening_panic(at: prop::sample::Index, bytes in prop::array::uniform32(any::<u8>()), log: bool) {
        let directory = directory();
        let opened = Opened::open(directory.path());
        opened.append_and_wait(1, &[put(b"key", &vec![1; 100_000])]);
        opened.apply_and_wait(1);
        opened.append_and_wait(2, &[put(b"other", b"value")]);
        opened.store.close().unwrap();
        let path = directory.path().join(if log { "log.redb" } else { "data.redb" });
        let mut file = std::fs::read(&path).unwrap();
        let at = at.index(file.len().min(8192) - bytes.len());
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        std::fs::write(&path, file).unwrap();
        // Only opens the store: redb does not check every page then, and damage that it meets later ends the process.
        let opened = Directory::open(directory.path()).and_then(|files| {
            open_files(&files, LOG_CACHE_BYTES, Box::new(open_database), Box::new(open_database))
        });
        if let Ok((log, data, mut recovery, _)) = opened {
            while let Some(Ok(_)) = recovery.groups.next() {}
            log.abandon();
            data.abandon();
        }
    }
}
