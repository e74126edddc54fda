//! Promises of the record encoding.

use proptest::prelude::*;

use super::super::limits::{ALL_DATABASES, DATABASES, LABEL_BYTES, STRING_BYTES};
use super::*;

/// A change that owns its bytes, for generated data.
#[derive(Debug, Clone)]
enum Owned {
    Integer(u8, Vec<u8>, Option<u64>, bool, i64),
    Bytes(u8, Vec<u8>, Option<u64>, bool, Vec<u8>),
    Splice(u8, Vec<u8>, u64, Vec<u8>, u64),
    Expire(u8, Vec<u8>, Option<u64>),
    Delete(u8, Vec<u8>),
    Flush(u8),
    Swap(u8, u8),
    System(bool, Vec<u8>, Option<Vec<u8>>),
    BlockPut(u8, Vec<u8>, Vec<u8>),
    BlockSplice(u8, Vec<u8>, u64, u64),
    BlockRemove(u8, Vec<u8>),
    Header(u8, Vec<u8>, Vec<u8>),
}

impl Owned {
    fn borrow(&self) -> Change<'_> {
        match self {
            Self::Integer(database, key, expires_at_ms, created, value) => Change::Put {
                head: head(*database, key, *expires_at_ms, *created),
                value: Value::Integer(*value),
            },
            Self::Bytes(database, key, expires_at_ms, created, value) => Change::Put {
                head: head(*database, key, *expires_at_ms, *created),
                value: Value::Bytes(value),
            },
            Self::Splice(database, key, offset, bytes, more) => Change::Splice {
                database: *database,
                key,
                offset: *offset,
                bytes,
                length: offset + bytes.len() as u64 + more,
            },
            Self::Expire(database, key, expires_at_ms) => {
                Change::Expire { database: *database, key, expires_at_ms: *expires_at_ms }
            }
            Self::Delete(database, key) => Change::Delete { database: *database, key },
            Self::Flush(database) => Change::Flush { database: *database },
            Self::Swap(a, b) => Change::Swap { a: *a, b: *b },
            Self::System(library, name, content) => Change::System {
                table: if *library { SystemTable::Library } else { SystemTable::Trigger },
                name,
                content: content.as_deref(),
            },
            Self::BlockPut(database, key, block) => block_change(*database, key, BlockChange::Put(block)),
            Self::BlockSplice(database, key, offset, removed) => {
                let change = BlockChange::Splice { offset: *offset, removed: *removed, inserted: key };
                block_change(*database, key, change)
            }
            Self::BlockRemove(database, key) => block_change(*database, key, BlockChange::Remove),
            Self::Header(database, key, header) => Change::Header { database: *database, key, header },
        }
    }
}

fn head(database: u8, key: &[u8], expires_at_ms: Option<u64>, created: bool) -> PutHead<'_> {
    PutHead { database, key, expires_at_ms, created }
}

fn block_change<'a>(database: u8, key: &'a [u8], change: BlockChange<'a>) -> Change<'a> {
    Change::Block { database, key, label: &key[..key.len().min(LABEL_BYTES)], change }
}

fn change() -> impl Strategy<Value = Owned> {
    let (database, numbered) = (|| 0..ALL_DATABASES as u8, || 0..DATABASES as u8);
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        (database(), bytes(), any::<Option<u64>>(), any::<bool>(), any::<i64>())
            .prop_map(|(d, k, e, c, v)| Owned::Integer(d, k, e, c, v)),
        (database(), bytes(), any::<Option<u64>>(), any::<bool>(), bytes())
            .prop_map(|(d, k, e, c, v)| Owned::Bytes(d, k, e, c, v)),
        (database(), bytes(), 0..STRING_BYTES / 2, bytes(), 0..STRING_BYTES / 4)
            .prop_map(|(d, k, o, b, m)| Owned::Splice(d, k, o, b, m)),
        (database(), bytes(), any::<Option<u64>>()).prop_map(|(d, k, e)| Owned::Expire(d, k, e)),
        (database(), bytes()).prop_map(|(d, k)| Owned::Delete(d, k)),
        numbered().prop_map(Owned::Flush),
        (database(), bytes(), bytes()).prop_map(|(d, k, b)| Owned::BlockPut(d, k, b)),
        (database(), bytes(), any::<u64>(), any::<u64>())
            .prop_map(|(d, k, o, r)| Owned::BlockSplice(d, k, o, r)),
        (database(), bytes()).prop_map(|(d, k)| Owned::BlockRemove(d, k)),
        (database(), bytes(), bytes()).prop_map(|(d, k, h)| Owned::Header(d, k, h)),
        (numbered(), numbered()).prop_map(|(a, b)| Owned::Swap(a, b)),
        (any::<bool>(), bytes(), prop::option::of(bytes())).prop_map(|(l, n, c)| Owned::System(l, n, c)),
    ]
}

fn transactions() -> impl Strategy<Value = Vec<Vec<Owned>>> {
    prop::collection::vec(prop::collection::vec(change(), 1..8), 0..6)
}

fn encode(transactions: &[Vec<Owned>]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    for transaction in transactions {
        encoder.begin();
        for change in transaction {
            encoder.push(&change.borrow());
        }
        encoder.end();
    }
    encoder.finish()
}

/// Everything in a group, or the first damage found.
fn read(group: &[u8]) -> Result<Vec<Vec<Change<'_>>>, Damage> {
    decode(group)?.map(|transaction| transaction?.collect()).collect()
}

proptest! {
    #[test]
    fn a_group_reads_back_as_it_was_written(transactions in transactions()) {
        let group = encode(&transactions);
        let expected: Vec<Vec<_>> =
            transactions.iter().map(|t| t.iter().map(Owned::borrow).collect()).collect();
        prop_assert_eq!(read(&group).unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut group = vec![FORMAT];
        group.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        group.extend_from_slice(&bytes);
        let _ = read(&group);
        let _ = read(&bytes);
    }

    #[test]
    fn a_group_that_is_cut_inside_a_transaction_is_refused(transactions in transactions(), at in any::<prop::sample::Index>()) {
        let group = encode(&transactions);
        let cut = at.index(group.len());
        let ends: Vec<_> = (0..=transactions.len()).map(|n| encode(&transactions[..n]).len()).collect();
        prop_assert_eq!(read(&group[..cut]).is_ok(), ends.contains(&cut));
    }
}

#[test]
fn what_does_not_belong_is_damage() {
    let transaction = |body: &[u8]| {
        let mut group = vec![FORMAT];
        group.extend_from_slice(&(body.len() as u64).to_le_bytes());
        group.extend_from_slice(body);
        group
    };
    let table: [(&str, Vec<u8>, &str); 10] = [
        ("nothing", vec![], "empty group"),
        ("format 9", vec![9], "unknown format"),
        ("half a header", vec![FORMAT, 1, 0], "cut short"),
        ("length beyond memory", [&[FORMAT][..], &[0xff; 8]].concat(), "cut short"),
        ("change 99", transaction(&[99]), "unknown kind of change"),
        ("database 16", transaction(&[FLUSH, 16]), "no such database"),
        ("flag 4", transaction(&[EXPIRE, 0, 4, 0]), "unknown flag"),
        ("table 2", transaction(&[SYSTEM, 2, 0, 0]), "unknown system table"),
        ("splice", transaction(&[SPLICE, 0, 0, 5, 1, b'x', 5]), "splice beyond the end of its string"),
        ("number", transaction(&[&[DELETE, 0][..], &[0xff; 10]].concat()), "number beyond 64 bits"),
    ];
    for (what, group, reason) in table {
        assert_eq!(read(&group), Err(Damage(reason)), "{what}");
    }
}

#[test]
fn strings_have_a_longest_length() {
    let splice = |length| {
        let mut encoder = Encoder::new(Vec::new());
        encoder.begin();
        encoder.push(&Change::Splice { database: 0, key: b"k", offset: 0, bytes: b"x", length });
        encoder.end();
        encoder.finish()
    };
    assert!(read(&splice(STRING_BYTES)).is_ok());
    assert_eq!(read(&splice(STRING_BYTES + 1)), Err(Damage("splice beyond the end of its string")));
}

#[test]
fn only_what_was_ended_and_not_rewound_is_in_the_group() {
    let flush = |database| Change::Flush { database };
    let mut encoder = Encoder::new(vec![1, 2, 3]);
    assert!(encoder.is_empty());
    encoder.begin();
    encoder.push(&flush(1));
    encoder.abort();
    encoder.begin();
    encoder.end();
    assert!(encoder.is_empty());
    encoder.begin();
    encoder.push(&flush(2));
    let mark = encoder.mark();
    encoder.push(&flush(3));
    encoder.rewind(mark);
    encoder.push(&flush(4));
    encoder.end();
    encoder.rewind(mark);
    encoder.begin();
    encoder.push(&flush(5));
    assert!(!encoder.is_empty());
    assert_eq!(read(&encoder.finish()).unwrap(), [[flush(2), flush(4)]]);
}

#[test]
fn chunks_are_written_as_one_string() {
    let head = head(3, b"key", Some(5), true);
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin();
    encoder.put_bytes(&head, 6, [&b"abc"[..], b"", b"def"]);
    encoder.end();
    assert_eq!(read(&encoder.finish()).unwrap(), [[Change::Put { head, value: Value::Bytes(b"abcdef") }]]);
}

#[test]
fn the_blocks_of_a_collection_read_back_as_they_were_written() {
    let blocks: [(&[u8], &[u8]); 3] = [(b"", b"first"), (b"\x01", b""), (&[7; LABEL_BYTES], &[9; 3000])];
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin();
    encoder.put_collection(&head(3, b"key", Some(5), true), 4, b"header", blocks.len());
    for (label, block) in blocks {
        encoder.put_block(label, block);
    }
    encoder.end();
    let group = encoder.finish();
    let change = decode(&group).unwrap().next().unwrap().unwrap().next().unwrap().unwrap();
    let Change::Put { head, value: Value::Collection(collection) } = change else { panic!("{change:?}") };
    assert_eq!((head.key, collection.kind, collection.header), (&b"key"[..], 4, &b"header"[..]));
    assert!(collection.blocks.iter().eq(blocks));
    // What was read can be written again.
    let mut again = Encoder::new(Vec::new());
    again.begin();
    again.push(&change);
    again.end();
    assert_eq!(again.finish(), group);
}

#[test]
fn a_block_that_is_too_short_for_its_change_is_damage() {
    let splice = |offset, removed| BlockChange::Splice { offset, removed, inserted: b"xy" };
    assert_eq!(splice(1, 2).apply(Some(b"abcd".to_vec())), Ok(Some(b"axyd".to_vec())));
    assert_eq!(splice(0, 0).apply(None), Ok(Some(b"xy".to_vec())));
    for (offset, removed) in [(5, 0), (0, 5), (u64::MAX, 1)] {
        assert!(splice(offset, removed).apply(Some(b"abcd".to_vec())).is_err());
    }
}
