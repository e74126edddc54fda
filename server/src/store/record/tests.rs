//! Promises of the record encoding.

use proptest::prelude::*;

use super::super::limits::{DATABASES, STRING_BYTES};
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
        }
    }
}

fn head(database: u8, key: &[u8], expires_at_ms: Option<u64>, created: bool) -> PutHead<'_> {
    PutHead { database, key, expires_at_ms, created }
}

fn change() -> impl Strategy<Value = Owned> {
    let database = || 0..DATABASES as u8;
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
        database().prop_map(Owned::Flush),
        (database(), database()).prop_map(|(a, b)| Owned::Swap(a, b)),
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
