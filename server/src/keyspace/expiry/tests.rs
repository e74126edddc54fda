//! What a key or a field that is due is for those who look for it, and what is left of it.

use crate::keyspace::garbage::FREED;
use crate::keyspace::limits::FREED_AT_ONCE;
use crate::keyspace::{Content, EventClasses, Expiry, Keyspace, events};
use crate::store::limits::ALL_DATABASES;
use crate::store::{Databases, Position, Seed};
use crate::types::{Collection, End, HashValue, ListValue, PackedLimits, Recorder, StringValue, Value};

const LIMITS: PackedLimits = PackedLimits { entries: 10, element_bytes: 64 };
/// When everything here ends, and the first moment when it is due, in milliseconds.
const END_MS: u64 = 1_000_000;
const DUE_MS: u64 = END_MS + 1;

fn keyspace() -> Keyspace {
    let mut keyspace = Keyspace::new(Seed::new(7), Databases::new(), &[0; ALL_DATABASES], 0);
    keyspace.begin(0);
    keyspace
}

fn set(keyspace: &mut Keyspace, key: &[u8], expiry: Expiry) {
    keyspace.set(0, key, Content::String(b"v"), expiry, events::SET).unwrap();
}

/// Adds fields named by their numbers; those below `due` have an end.
fn add_fields(keyspace: &mut Keyspace, key: &[u8], due: usize, all: usize) {
    let add = |hash: &mut HashValue, recorder: &mut dyn Recorder| {
        for number in 0..all {
            let field = number.to_string().into_bytes();
            hash.set(&field, b"v", LIMITS, recorder);
            if number < due {
                hash.set_end(&field, Some(END_MS), LIMITS, recorder);
            }
        }
    };
    keyspace.update_or_create(0, key, events::HSET, add).unwrap();
}

fn fields(keyspace: &mut Keyspace, key: &[u8]) -> Vec<Vec<u8>> {
    let hash = keyspace.get_as::<HashValue>(0, key).unwrap();
    let mut fields: Vec<_> =
        hash.iter().flat_map(|hash| hash.iter()).map(|(name, _)| name.to_vec()).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn whoever_writes_a_due_key_while_expiry_is_held_lets_it_expire_first() {
    fn is_there(written: bool) -> usize {
        usize::from(written)
    }
    /// Gives how many keys there are afterwards.
    type Write = fn(&mut Keyspace) -> usize;
    let table: [(&str, Write); 8] = [
        ("set", |keyspace| {
            set(keyspace, b"k", Expiry::Clear);
            1
        }),
        ("edit", |keyspace| {
            let edit = |_: &mut StringValue| panic!("there is no string");
            is_there(keyspace.edit::<()>(0, b"k", events::SET, edit).unwrap().is_some())
        }),
        ("edit or create", |keyspace| {
            let edit = |string: &mut StringValue| {
                string.append(b"new");
                ((), crate::keyspace::Edit::Whole)
            };
            keyspace.edit_or_create(0, b"k", events::SET, StringValue::raw(b""), edit).unwrap();
            1
        }),
        ("update or create", |keyspace| {
            add_fields(keyspace, b"k", 0, 1);
            1
        }),
        ("delete", |keyspace| is_there(keyspace.delete(0, b"k", events::DEL).unwrap())),
        ("take", |keyspace| is_there(keyspace.take(0, b"k", events::DEL).unwrap().is_some())),
        ("set expiry", |keyspace| is_there(keyspace.set_expiry(0, b"k", None, events::PERSIST).unwrap())),
        ("put new", |keyspace| {
            let value = Value::from(StringValue::raw(b"new"));
            keyspace.put_new((0, b"k"), value, Expiry::Clear, events::RESTORE).unwrap();
            1
        }),
    ];
    for (what, write) in table {
        let mut keyspace = keyspace();
        set(&mut keyspace, b"k", Expiry::At(END_MS));
        keyspace.commit();
        keyspace.begin(DUE_MS * 1000);
        keyspace.hold_expiry(true);
        assert!(keyspace.get(0, b"k").unwrap().is_none(), "{what}");
        assert_eq!(keyspace.count(0).0, 1, "{what}: reading has removed nothing");
        for _ in 0..2 {
            let left = write(&mut keyspace);
            let listed = keyspace.scan(0, Position::MIN, 10).unwrap().keys.len();
            assert_eq!((keyspace.count(0), listed), ((left, 0), left), "{what}");
        }
        assert_eq!(keyspace.statistics().expired, 1, "{what}");
    }
}

#[test]
fn reads_pass_over_due_fields_while_expiry_is_held_and_change_nothing() {
    for all in [5, 500] {
        let mut keyspace = keyspace();
        add_fields(&mut keyspace, b"some", all - 2, all);
        add_fields(&mut keyspace, b"all", all, all);
        keyspace.commit();
        keyspace.journal_mut().listen(EventClasses::ALL, false);
        let (before, count) = (keyspace.journal().pending_bytes(), keyspace.count(0));
        keyspace.begin(DUE_MS * 1000);
        keyspace.hold_expiry(true);
        let mut left: Vec<_> = (all - 2..all).map(|number| number.to_string().into_bytes()).collect();
        left.sort_unstable();
        for _ in 0..2 {
            assert_eq!(fields(&mut keyspace, b"some"), left);
            let hash = keyspace.peek_as::<HashValue>(0, b"some").unwrap().unwrap();
            assert_eq!((hash.len(), hash.get(b"0"), hash.next_end_ms()), (2, None, None));
            assert!(!keyspace.exists(0, b"all").unwrap());
            assert!(keyspace.get(0, b"all").unwrap().is_none());
        }
        assert_eq!((keyspace.journal().pending_bytes(), keyspace.count(0)), (before, count));
        assert!(keyspace.commit().is_empty(), "nothing has happened");
        assert_eq!(keyspace.statistics().expired_fields, 0);
        keyspace.hold_expiry(false);
        assert_eq!(fields(&mut keyspace, b"some"), left);
        assert!(keyspace.get(0, b"all").unwrap().is_none());
        assert_eq!((keyspace.count(0).0, keyspace.statistics().expired_fields), (1, 2 * all as u64 - 2));
    }
}

#[test]
fn what_is_written_while_expiry_is_held_is_read_again() {
    let mut keyspace = keyspace();
    add_fields(&mut keyspace, b"h", 3, 4);
    keyspace.begin(DUE_MS * 1000);
    keyspace.hold_expiry(true);
    assert_eq!(fields(&mut keyspace, b"h"), [b"3"]);
    let savepoint = keyspace.savepoint();
    add_fields(&mut keyspace, b"h", 1, 2);
    assert_eq!(fields(&mut keyspace, b"h"), [b"1", b"3"], "field 0 is due again");
    let add = |hash: &mut HashValue, recorder: &mut dyn Recorder| {
        hash.set(b"5", b"v", LIMITS, recorder);
    };
    keyspace.update_or_create(0, b"h", events::HSET, add).unwrap();
    assert_eq!(fields(&mut keyspace, b"h"), [b"1", b"3", b"5"]);
    keyspace.rollback(savepoint);
    assert_eq!(fields(&mut keyspace, b"h"), [b"3"]);
    keyspace.set_expiry(0, b"h", Some(DUE_MS + 5), events::EXPIRE).unwrap();
    let entry = keyspace.peek(0, b"h").unwrap().unwrap();
    assert_eq!(entry.expires_at_ms(), Some(DUE_MS + 5));
}

#[test]
fn a_big_value_that_expires_is_freed_elsewhere() {
    let mut keyspace = keyspace();
    let elements = vec![&b"element"[..]; FREED_AT_ONCE + 1];
    let push = |list: &mut ListValue, recorder: &mut dyn Recorder| list.push(End::Right, &elements, recorder);
    keyspace.update_or_create(0, b"list", events::RPUSH, push).unwrap();
    keyspace.set_expiry(0, b"list", Some(END_MS), events::EXPIRE).unwrap();
    set(&mut keyspace, b"small", Expiry::At(END_MS));
    keyspace.begin(DUE_MS * 1000);
    let before = FREED.get();
    for expected in [1, 1] {
        let (database, key) = keyspace.next_due().unwrap();
        keyspace.let_expire(database, &key);
        assert_eq!(FREED.get() - before, expected);
    }
    assert_eq!(keyspace.count(0), (0, 0));
}
