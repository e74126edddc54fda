//! Format 1, byte for byte, as `docs/storage-format.md` describes it: a directory written without any of the
//! store's own code must open, and what the store writes must be those bytes.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use super::record::{Change, Encoder, PutHead, Value, decode};
use super::test_support::{Content, Opened, content_of};
use super::*;

const LOG: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("log");
const KEYS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("keys");
const ELEMENTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("elements");
const EXPIRIES: TableDefinition<&[u8], ()> = TableDefinition::new("expiries");
const DATABASE_ROWS: TableDefinition<u8, (u64, u64)> = TableDefinition::new("databases");
const SYSTEM: TableDefinition<(u8, &[u8]), &[u8]> = TableDefinition::new("system");
const GARBAGE: TableDefinition<(u8, u64), ()> = TableDefinition::new("garbage");
const META: TableDefinition<&str, u128> = TableDefinition::new("meta");

/// Hexadecimal bytes, with spaces anywhere and text between quotes.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, part) in text.split('\'').enumerate() {
        if n % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<_> = part.chars().filter_map(|digit| digit.to_digit(16)).collect();
        bytes.extend(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8));
    }
    bytes
}

/// Storage, position (with the seed 1) and key, then the value.
const KEY_ROWS: [(&str, &str); 4] = [
    ("000000000000 6862079f49d7 'counter'", "00 00 2a00000000000000"),
    ("000000000000 c6aa91e20071 'greeting'", "01 01 e803000000000000 'hello'"),
    ("000000000000 577a89e2ad3d 'long'", "02 00 7011010000000000 0700000000000000"),
    ("000000000014 41621eb00254 'temporary'", "01 00 'x'"),
];

/// A format byte, then transactions of a length and changes.
const GROUP: &str = "01
    1f00000000000000
        01 00 02 01 'k' 00 0700000000000000
        01 01 03 d007000000000000 01 'm' 01 02 'hi'
    3e00000000000000
        02 00 04 'long' f0a204 01 'c' f1a204
        03 00 00 08 'greeting'
        04 03 09 'temporary'
        05 02
        06 00 01
        07 01 00 04 'trig'
        07 00 01 03 'new' 02 'xy'";

fn changes() -> [Vec<Change<'static>>; 2] {
    let head = |database, key, expires_at_ms| PutHead { database, key, expires_at_ms, created: true };
    [
        vec![
            Change::Put { head: head(0, b"k", None), value: Value::Integer(7) },
            Change::Put { head: head(1, b"m", Some(2000)), value: Value::Bytes(b"hi") },
        ],
        vec![
            Change::Splice { database: 0, key: b"long", offset: 70_000, bytes: b"c", length: 70_001 },
            Change::Expire { database: 0, key: b"greeting", expires_at_ms: None },
            Change::Delete { database: 3, key: b"temporary" },
            Change::Flush { database: 2 },
            Change::Swap { a: 0, b: 1 },
            Change::System { table: SystemTable::Trigger, name: b"trig", content: None },
            Change::System { table: SystemTable::Library, name: b"new", content: Some(b"xy") },
        ],
    ]
}

fn write_data(path: &Path) {
    let database = Database::create(path).unwrap();
    let mut transaction = database.begin_write().unwrap();
    transaction.set_quick_repair(true);
    {
        let mut keys = transaction.open_table(KEYS).unwrap();
        for (key, value) in KEY_ROWS {
            keys.insert(&bytes(key)[..], &bytes(value)[..]).unwrap();
        }
        let mut elements = transaction.open_table(ELEMENTS).unwrap();
        elements.insert(&bytes("0000000000000007 00000000")[..], &b"a".repeat(65280)[..]).unwrap();
        elements.insert(&bytes("0000000000000007 00000001")[..], &b"b".repeat(4720)[..]).unwrap();
        let mut expiries = transaction.open_table(EXPIRIES).unwrap();
        expiries.insert(&bytes("00000000000003e8 000000000000 c6aa91e20071 'greeting'")[..], ()).unwrap();
        let mut databases = transaction.open_table(DATABASE_ROWS).unwrap();
        for index in 0..16 {
            databases.insert(index, (u64::from(index), 0)).unwrap();
        }
        databases.insert(0, (0, 3)).unwrap();
        databases.insert(3, (0x14, 1)).unwrap();
        let mut system = transaction.open_table(SYSTEM).unwrap();
        system.insert((0, &b"lib"[..]), &b"code"[..]).unwrap();
        system.insert((1, &b"trig"[..]), &b"rule"[..]).unwrap();
        transaction.open_table(GARBAGE).unwrap().insert((1, 3), ()).unwrap();
        let mut meta = transaction.open_table(META).unwrap();
        let entries =
            [("format", 1), ("seed", 1), ("applied", 5), ("next_generation", 8), ("next_storage", 21)];
        for (name, value) in entries {
            meta.insert(name, value).unwrap();
        }
    }
    transaction.commit().unwrap();
}

fn write_log(path: &Path) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut log = transaction.open_table(LOG).unwrap();
        let group = bytes(GROUP);
        log.insert((5, 0), &b"\x01"[..]).unwrap();
        log.insert((6, 0), &group[..50]).unwrap();
        log.insert((6, 1), &group[50..]).unwrap();
        transaction.open_table(META).unwrap().insert("seed", 1).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn records_are_the_content_of_format_1() {
    let mut encoder = Encoder::new(Vec::new());
    for transaction in changes() {
        encoder.begin();
        for change in transaction {
            encoder.push(&change);
        }
        encoder.end();
    }
    assert_eq!(encoder.finish(), bytes(GROUP));
}

#[test]
fn a_directory_of_format_1_opens_and_is_continued_in_it() {
    let directory = tempfile::tempdir().unwrap();
    write_data(&directory.path().join("data.redb"));
    write_log(&directory.path().join("log.redb"));

    let mut opened = Opened::open(directory.path());
    let Recovery { seed, databases, key_counts, system, applied, last_sequence, groups } =
        &mut opened.recovery;
    assert_eq!((seed.bits(), *applied, *last_sequence, key_counts[0], key_counts[3]), (1, 5, 6, 3, 1));
    let definition =
        |table, name: &[u8], content: &[u8]| SystemRow { table, name: name.into(), content: content.into() };
    let expected = [
        definition(SystemTable::Library, b"lib", b"code"),
        definition(SystemTable::Trigger, b"trig", b"rule"),
    ];
    assert_eq!(*system, expected);
    let (sequence, group) = groups.next().unwrap().unwrap();
    assert_eq!(sequence, 6);
    let found: Vec<Vec<_>> =
        decode(&group).unwrap().map(|changes| changes.unwrap().map(Result::unwrap).collect()).collect();
    assert_eq!(found, changes());
    assert!(groups.next().is_none());
    let (zero, three) = (databases.storage(0), databases.storage(3));

    let loaded = opened.load(zero, &[b"counter", b"greeting", b"long", b"k"]);
    let summary = |key: &Option<StoredKey>| {
        let key = key.as_ref()?;
        let Content::String(bytes) = content_of(&key.value) else { panic!("a string") };
        Some((bytes, key.expires_at_ms))
    };
    let mut long = [b"a".repeat(65280), b"b".repeat(4720)].concat();
    assert_eq!(summary(&loaded[0]), Some((b"42".to_vec(), None)));
    assert_eq!(summary(&loaded[1]), Some((b"hello".to_vec(), Some(1000))));
    assert!(summary(&loaded[2]) == Some((long.clone(), None)));
    assert_eq!(loaded[3], None);
    assert_eq!(summary(&opened.load(three, &[b"temporary"])[0]), Some((b"x".to_vec(), None)));

    opened.apply_and_wait(6);
    let loaded = opened.load(zero, &[b"greeting", b"long", b"k"]);
    long.push(b'c');
    assert_eq!(summary(&loaded[0]), Some((b"hello".to_vec(), None)));
    assert!(summary(&loaded[1]) == Some((long, None)));
    assert_eq!(summary(&loaded[2]), Some((b"7".to_vec(), None)));
    opened.store.close().unwrap();
    check_rows(&directory.path().join("data.redb"));
}

/// What applying the log has to leave.
fn check_rows(path: &Path) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let keys = transaction.open_table(KEYS).unwrap();
    let key = |storage: &str, key: &str| {
        let seed = Seed::new(1);
        let position = seed.position(key.as_bytes()).get();
        let row = bytes(&format!("{storage} {position:012x} '{key}'"));
        keys.get(&row[..]).unwrap().map(|value| value.value().to_vec())
    };
    assert_eq!(key("000000000000", "k"), Some(bytes("00 00 0700000000000000")));
    assert_eq!(key("000000000001", "m"), Some(bytes("01 01 d007000000000000 'hi'")));
    assert_eq!(key("000000000000", "greeting"), Some(bytes("01 00 'hello'")));
    assert_eq!(key("000000000000", "long"), Some(bytes("02 00 7111010000000000 0700000000000000")));
    assert_eq!(key("000000000014", "temporary"), None);
    let databases = transaction.open_table(DATABASE_ROWS).unwrap();
    let rows = [0, 1, 2, 3].map(|index| databases.get(index).unwrap().unwrap().value());
    assert_eq!(rows, [(1, 1), (0, 4), (21, 0), (0x14, 0)]);
    let meta = transaction.open_table(META).unwrap();
    let value = |name| meta.get(name).unwrap().unwrap().value();
    assert_eq!((value("applied"), value("next_storage"), value("next_generation")), (6, 22, 8));
}
