//! What snapshots see, and when they are lost.

use super::*;
use crate::keyspace::entry::{NEVER, Stamp};
use crate::types::StringValue;

fn entry(value: i64) -> Entry {
    let value = StringValue::from_integer(value).into();
    Entry { key: Key::new(b"k"), value, expires_at_ms: NEVER, stamp: Stamp::at(0) }
}

#[expect(clippy::option_option, reason = "as in the function that is tested")]
fn seen(history: &History, snapshot: Snapshot) -> Option<Option<i64>> {
    let version = history.version(snapshot, 0, &Key::new(b"k"))?;
    Some(version.map(|entry| match &entry.value {
        crate::types::Value::String(StringValue::Integer(integer)) => *integer,
        other => panic!("{other:?}"),
    }))
}

#[test]
fn each_snapshot_sees_what_was_there_when_it_was_opened() {
    let mut history = History::new(Seed::new(7));
    let key = Key::new(b"k");
    history.keep(0, &key, Some(&entry(0)), Extent::Whole);
    let first = history.open();
    history.keep(0, &key, Some(&entry(1)), Extent::Whole);
    history.keep(0, &key, Some(&entry(2)), Extent::Whole);
    history.end_transaction();
    let second = history.open();
    assert_eq!((seen(&history, first), seen(&history, second)), (Some(Some(1)), None));
    history.keep(0, &key, None, Extent::Whole);
    history.end_transaction();
    history.keep(0, &key, Some(&entry(4)), Extent::Whole);
    assert_eq!((seen(&history, first), seen(&history, second)), (Some(Some(1)), Some(None)));
    history.close(first);
    assert_eq!(history.order.len(), 1, "what only the first could see is gone");
    assert_eq!(seen(&history, second), Some(None));
    history.close(second);
    assert!(history.versions.is_empty() && history.order.is_empty() && !history.is_active());
}

#[test]
fn what_is_taken_back_has_not_changed() {
    let mut history = History::new(Seed::new(7));
    let key = Key::new(b"k");
    let snapshot = history.open();
    let mark = history.mark();
    history.keep(0, &key, Some(&entry(1)), Extent::Whole);
    history.rollback(mark);
    assert_eq!(seen(&history, snapshot), None);
    history.end_transaction();
    history.keep(0, &key, Some(&entry(2)), Extent::Whole);
    assert_eq!(seen(&history, snapshot), Some(Some(2)));
}

#[test]
fn too_many_versions_lose_the_snapshots_that_are_open_and_no_later_ones() {
    let mut history = History::new(Seed::new(7));
    let early = history.open();
    for number in 0..=MAX_VERSIONS {
        history.keep(0, &Key::new(&number.to_le_bytes()), None, Extent::Whole);
    }
    assert!(history.is_lost(early) && history.versions.is_empty());
    history.end_transaction();
    let late = history.open();
    history.keep(0, &Key::new(b"k"), Some(&entry(1)), Extent::Whole);
    assert!(!history.is_lost(late));
    history.close(early);
    assert_eq!(seen(&history, late), Some(Some(1)));
}

#[test]
fn too_many_bytes_lose_the_snapshots_that_are_open() {
    const LEN: usize = 1 << 20;
    let long = Entry { value: StringValue::verbatim(&vec![1; LEN]).into(), ..entry(0) };
    let mut history = History::new(Seed::new(7));
    let snapshot = history.open();
    let keep = |history: &mut History, number: usize, changed| {
        history.keep(0, &Key::new(&number.to_le_bytes()), Some(&long), changed);
    };
    for number in 0..MAX_BYTES / LEN {
        keep(&mut history, number, Extent::Whole);
    }
    // Memory that present values share, or that has been counted before, does not count.
    for number in 0..2 * MAX_BYTES / LEN {
        keep(&mut history, number, Extent::Nothing);
        keep(&mut history, number % (MAX_BYTES / LEN), Extent::Whole);
    }
    assert!(!history.is_lost(snapshot));
    keep(&mut history, 2 * MAX_BYTES / LEN - 1, Extent::Chunk);
    assert!(history.is_lost(snapshot) && history.versions.is_empty());
    assert_eq!(history.bytes, 0);
}

#[test]
fn the_bytes_of_versions_that_go_are_not_counted_any_longer() {
    let long = Entry { value: StringValue::verbatim(&[1; 1000]).into(), ..entry(0) };
    let mut history = History::new(Seed::new(7));
    let key = Key::new(b"k");
    let first = history.open();
    history.keep(0, &key, Some(&long), Extent::Whole);
    history.end_transaction();
    let second = history.open();
    let mark = history.mark();
    history.keep(0, &key, Some(&long), Extent::Whole);
    assert_eq!(history.bytes, 2000);
    history.rollback(mark);
    assert_eq!(history.bytes, 1000);
    history.keep(0, &key, Some(&long), Extent::Bytes(10));
    history.close(first);
    assert_eq!(history.bytes, 10);
    history.close(second);
    assert_eq!(history.bytes, 0);
}

#[test]
fn the_changes_of_a_hidden_snapshot_are_kept_for_the_others_only() {
    let mut history = History::new(Seed::new(7));
    let key = Key::new(b"k");
    let own = history.open();
    history.hide(own);
    history.keep(0, &key, Some(&entry(1)), Extent::Whole);
    assert!(history.versions.is_empty());
    history.unhide();
    history.end_transaction();
    let other = history.open();
    history.hide(own);
    history.keep(0, &key, Some(&entry(2)), Extent::Whole);
    assert_eq!(seen(&history, other), Some(Some(2)));
    history.unhide();
    history.close(own);
    history.close(other);
    // Two calls with the same one.
    let (shared, _) = (history.open(), history.open());
    history.hide(shared);
    history.keep(0, &key, Some(&entry(3)), Extent::Whole);
    assert_eq!(seen(&history, shared), Some(Some(3)));
}
