//! What the keyspace promises by itself: undo is complete, the journal repeats every change, walks miss nothing, cold
//! keys are asked for once.

use super::*;
use crate::store::record::{self, Change};
use crate::store::{Databases, Position};
use crate::types::{CHUNK_LEN, Collection, HashValue, Kind, PackedLimits, StringValue, Value};

const SEED: Seed = Seed::new(7);

fn keyspace(cold: u64) -> Keyspace {
    let mut keyspace = Keyspace::new(SEED, Databases::new(), &[cold; 17], 0);
    keyspace.begin(1_000_000_000);
    keyspace
}

fn set(keyspace: &mut Keyspace, key: &[u8], value: &[u8]) {
    keyspace.set(0, key, Content::String(value), Expiry::Clear, events::SET).unwrap();
}

fn get(keyspace: &mut Keyspace, key: &[u8]) -> Option<Vec<u8>> {
    keyspace.get_string(0, key).unwrap().map(|string| string.to_bytes().into_owned())
}

/// A key as a client sees it: database, name, value, end.
type Seen = (u8, Vec<u8>, Vec<u8>, Option<u64>);

/// Everything that a client could see of the first two databases.
fn image(keyspace: &mut Keyspace) -> Vec<Seen> {
    let mut image = Vec::new();
    for database in 0..2 {
        let page = keyspace.scan(database, Position::MIN, usize::MAX).unwrap();
        assert_eq!(page.keys.len(), keyspace.count(database).0, "the count is the number of keys");
        for scanned in page.keys {
            let entry = keyspace.peek(database, &scanned.key).unwrap().unwrap();
            image.push((database, scanned.key.to_vec(), entry.value.image(), entry.expires_at_ms()));
        }
    }
    image.sort_unstable();
    image
}

/// One random change.
fn change(keyspace: &mut Keyspace, random: &mut fastrand::Rng) {
    let database = random.u8(..2);
    let key = [b'k', b'0' + random.u8(..8)];
    let value = vec![b'0' + random.u8(..10); random.usize(..12)];
    let end = random.bool().then(|| 2_000_000 + random.u64(..100));
    match random.u8(..24) {
        // Enough fields to need several blocks.
        12..19 => {
            let field = format!("{:0>40}", random.u16(..100)).into_bytes();
            let limits = PackedLimits { entries: 3, element_bytes: 100 };
            let done =
                keyspace.update_or_create(database, &key, events::SET, |hash: &mut HashValue, recorder| {
                    for more in 0..10 {
                        hash.set(&[&field[..], &[b'0' + more]].concat(), &value, limits, recorder);
                    }
                });
            assert!(matches!(done, Ok(()) | Err(Error::WrongType)));
        }
        19..23 => {
            let done = keyspace.update(database, &key, events::SET, |hash: &mut HashValue, recorder| {
                for _ in 0..random.usize(..60) {
                    if let Some((field, _)) = hash.nth(random.usize(..hash.len().max(1))) {
                        let field = field.to_vec();
                        hash.remove(&field, recorder);
                    }
                }
            });
            assert!(matches!(done, Ok(_) | Err(Error::WrongType)));
        }
        0..4 => {
            let expiry = [Expiry::Keep, Expiry::Clear, Expiry::At(3_000_000)][random.usize(..3)];
            keyspace.set(database, &key, Content::String(&value), expiry, events::SET).unwrap();
        }
        4..6 => {
            let append = |string: &mut StringValue| {
                let start = string.len() as u64;
                string.append(b"tail");
                ((), Edit::Bytes(start..start + 4))
            };
            let done = keyspace.edit(database, &key, events::APPEND, append);
            assert!(matches!(done, Ok(_) | Err(Error::WrongType)));
        }
        6..8 => drop(keyspace.delete(database, &key, events::DEL).unwrap()),
        8..10 => drop(keyspace.set_expiry(database, &key, end, events::EXPIRE).unwrap()),
        10 => drop(keyspace.flush(database)),
        _ => keyspace.swap(0, 1),
    }
}

#[test]
fn whatever_happened_since_a_savepoint_is_undone() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut keyspace = keyspace(0);
        (0..20).for_each(|_| change(&mut keyspace, &mut random));
        keyspace.commit();
        let before = (image(&mut keyspace), keyspace.journal().pending_bytes(), keyspace.next_expiry_ms());
        let outer = keyspace.savepoint();
        (0..random.usize(..10)).for_each(|_| change(&mut keyspace, &mut random));
        let between = image(&mut keyspace);
        let inner = keyspace.savepoint();
        (0..random.usize(..10)).for_each(|_| change(&mut keyspace, &mut random));
        if random.bool() {
            keyspace.rollback(inner);
            assert_eq!(image(&mut keyspace), between, "seed {seed}, inner savepoint");
        } else {
            keyspace.release(inner);
        }
        (0..random.usize(..10)).for_each(|_| change(&mut keyspace, &mut random));
        keyspace.rollback(outer);
        keyspace.commit();
        let after = (image(&mut keyspace), keyspace.journal().pending_bytes(), keyspace.next_expiry_ms());
        assert_eq!(after, before, "seed {seed}");
    }
}

#[test]
fn replaying_the_journal_gives_the_same_keyspace() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut original = keyspace(0);
        for _ in 0..30 {
            change(&mut original, &mut random);
            // Gives back only what is empty: nothing of what was begun or finished is lost.
            original.journal_mut().release_buffer();
            original.commit();
            original.journal_mut().release_buffer();
        }
        let (group, sequence) = original.journal_mut().take_group(Vec::new());
        let mut replay = Replay::new(keyspace(0));
        for transaction in record::decode(&group).unwrap() {
            for change in transaction.unwrap() {
                let change: Change<'_> = change.unwrap();
                replay.apply(&change, sequence, |_, _| Ok::<_, ()>(None)).unwrap();
            }
        }
        let mut replayed = replay.finish().unwrap();
        assert_eq!(image(&mut replayed), image(&mut original), "seed {seed}");
    }
}

#[test]
fn a_savepoint_number_is_given_again_only_after_all_entries_forgot_it() {
    let mut keyspace = keyspace(0);
    set(&mut keyspace, b"k", b"before");
    keyspace.undo.exhaust();
    let savepoint = keyspace.savepoint();
    set(&mut keyspace, b"k", b"after");
    keyspace.rollback(savepoint);
    assert_eq!(get(&mut keyspace, b"k"), Some(b"before".to_vec()));
}

#[test]
fn a_change_of_a_long_string_journals_the_changed_bytes_only() {
    let mut keyspace = keyspace(0);
    set(&mut keyspace, b"k", &vec![b'x'; 10 * CHUNK_LEN]);
    keyspace.commit();
    let (_, _) = keyspace.journal_mut().take_group(Vec::new());
    keyspace
        .edit(0, b"k", events::SETRANGE, |string| {
            string.set_range(100_000, b"yy");
            ((), Edit::Bytes(100_000..100_002))
        })
        .unwrap();
    keyspace.commit();
    assert!(keyspace.journal().pending_bytes() < 64);
}

#[test]
fn a_cold_key_is_asked_for_and_a_loaded_one_is_not() {
    let mut keyspace = keyspace(2);
    let need = Need::Key { database: 0, key: Key::new(b"k") };
    assert_eq!(keyspace.get(0, b"k").unwrap_err(), Error::NotResident(need.clone()));
    assert_eq!(keyspace.needs(0, [b"k".as_slice()].into_iter()), [need]);
    let storage = keyspace.storage(0);
    let loaded = Loaded { value: Value::String(StringValue::raw(b"v")), expires_at_ms: None };
    keyspace.install(storage, b"k", Some(loaded.clone()));
    assert_eq!(get(&mut keyspace, b"k"), Some(b"v".to_vec()));
    assert_eq!((keyspace.count(0).0, keyspace.cold_keys()), (2, 31));
    // A key that is on disk no more is not asked for again, and one deleted here is not brought back by the disk.
    keyspace.install(storage, b"gone", None);
    assert_eq!(get(&mut keyspace, b"gone"), None);
    assert!(keyspace.delete(0, b"k", events::DEL).unwrap());
    keyspace.install(storage, b"k", Some(loaded));
    assert_eq!(get(&mut keyspace, b"k"), None);
    assert_eq!(keyspace.count(0).0, 1);
}

/// What `k` holds after two answers to the same questions, one before a change and one after it that was read before it.
/// The disk shows `k` in databases 0 and 1 and `other` in database 0; unless these are all, one more key stays cold.
fn after_stale_answers(change: fn(&mut Keyspace), is_all_loaded: bool) -> Vec<Seen> {
    let mut counts = [0; 17];
    (counts[0], counts[1]) = (if is_all_loaded { 2 } else { 3 }, 1);
    let mut keyspace = Keyspace::new(SEED, Databases::new(), &counts, 0);
    keyspace.begin(1_000_000_000);
    let loaded =
        |value: &[u8], expires_at_ms| Some(Loaded { value: StringValue::raw(value).into(), expires_at_ms });
    let storages = [keyspace.storage(0), keyspace.storage(1)];
    let answers = |keyspace: &mut Keyspace| {
        keyspace.install(storages[0], b"k", loaded(b"old", Some(1_000_100)));
        keyspace.install(storages[0], b"other", loaded(b"old", None));
        keyspace.install(storages[0], b"new", None);
        keyspace.install(storages[1], b"k", loaded(b"old of 1", None));
    };
    answers(&mut keyspace);
    change(&mut keyspace);
    keyspace.commit();
    answers(&mut keyspace);
    // So that the image needs no page of cold keys.
    keyspace.databases.iter_mut().for_each(|database| database.cold.leave());
    let mut image = image(&mut keyspace);
    image.retain(|(_, key, ..)| key == b"k");
    image
}

#[test]
fn an_answer_that_comes_late_changes_nothing() {
    type Change = fn(&mut Keyspace);
    fn seen(database: u8, value: &[u8], end: Option<u64>) -> Seen {
        (database, b"k".to_vec(), value.to_vec(), end)
    }
    fn rename_away(keyspace: &mut Keyspace) {
        keyspace.move_key((0, b"k"), (0, b"new"), events::RENAME_FROM, events::RENAME_TO).unwrap();
    }
    fn undo_a_deletion(keyspace: &mut Keyspace) {
        let savepoint = keyspace.savepoint();
        keyspace.delete(0, b"k", events::DEL).unwrap();
        keyspace.flush(1);
        keyspace.rollback(savepoint);
    }
    fn expire(keyspace: &mut Keyspace) {
        keyspace.begin(1_000_101_000);
        assert_eq!(get(keyspace, b"k"), None);
    }
    let (end, old_of_1) = (Some(1_000_100), seen(1, b"old of 1", None));
    let table: [(&str, Change, Vec<Seen>); 8] = [
        ("nothing", |_| (), vec![seen(0, b"old", end), old_of_1.clone()]),
        ("written", |keyspace| set(keyspace, b"k", b"new"), vec![seen(0, b"new", None), old_of_1.clone()]),
        ("deleted", |keyspace| _ = keyspace.delete(0, b"k", events::DEL), vec![old_of_1.clone()]),
        ("renamed", rename_away, vec![old_of_1.clone()]),
        ("undone", undo_a_deletion, vec![seen(0, b"old", end), old_of_1.clone()]),
        ("flushed", |keyspace| _ = keyspace.flush(0), vec![old_of_1.clone()]),
        ("swapped", |keyspace| keyspace.swap(0, 1), vec![seen(0, b"old of 1", None), seen(1, b"old", end)]),
        ("expired", expire, vec![old_of_1]),
    ];
    for (what, change, expected) in table {
        for is_all_loaded in [true, false] {
            let found = after_stale_answers(change, is_all_loaded);
            assert_eq!(found, expected, "{what}, all loaded: {is_all_loaded}");
        }
    }
}

#[test]
fn what_is_missing_is_named_as_it_is_once_the_transaction_is_undone() {
    let mut keyspace = keyspace(1);
    let asked = |keyspace: &mut Keyspace| {
        let needs = [
            keyspace.get(0, b"k").unwrap_err(),
            keyspace.scan(0, Position::MIN, 10).unwrap_err(),
            keyspace.require(0, std::iter::once(b"k".to_vec())).unwrap_err(),
            Error::NotResident(keyspace.needs(0, std::iter::once(&b"k"[..])).remove(0)),
        ];
        needs.map(|error| match error {
            Error::NotResident(
                Need::Key { database, .. } | Need::Keys { database, .. } | Need::Page { database, .. },
            ) => database,
            Error::WrongType => panic!("there is no such key"),
        })
    };
    let savepoint = keyspace.savepoint();
    keyspace.swap(0, 1);
    keyspace.swap(3, 1);
    keyspace.swap(0, 5);
    assert_eq!(asked(&mut keyspace), [5; 4]);
    keyspace.swap(5, 3);
    keyspace.swap(0, 3);
    assert_eq!(asked(&mut keyspace), [1; 4]);
    keyspace.rollback(savepoint);
    assert_eq!(asked(&mut keyspace), [0; 4]);
}

#[test]
fn a_walk_merges_memory_and_disk_without_repeating_or_missing_a_key() {
    let mut keyspace = keyspace(3);
    let names: Vec<Vec<u8>> = (0..40).map(|number| format!("key:{number}").into_bytes()).collect();
    for name in &names[3..] {
        let storage = keyspace.storage(0);
        keyspace.install(storage, name, None);
        set(&mut keyspace, name, b"v");
    }
    let mut cold: Vec<ColdKey> = names[..3]
        .iter()
        .map(|name| ColdKey {
            position: SEED.position(name),
            key: Key::new(name),
            kind: Kind::String,
            expires_at_ms: None,
        })
        .collect();
    cold.sort_by_key(|key| key.position);
    let (mut found, mut from, limit) = (Vec::new(), Some(Position::MIN), 7);
    while let Some(position) = from {
        let wanted = Error::NotResident(Need::Page { database: 0, from: position, limit });
        assert_eq!(keyspace.scan(0, position, limit).unwrap_err(), wanted);
        let keys = cold.iter().filter(|key| key.position >= position).take(1).cloned().collect::<Vec<_>>();
        let next = keys.last().and_then(|key| key.position.next());
        let storage = keyspace.storage(0);
        keyspace.install_page(storage, position, limit, ColdPage { keys, next });
        let page = keyspace.scan(0, position, limit).unwrap();
        found.extend(page.keys.into_iter().map(|scanned| scanned.key.to_vec()));
        from = page.next;
    }
    found.sort_unstable();
    let mut names = names;
    names.sort_unstable();
    assert_eq!(found, names);
}

#[test]
fn a_key_is_gone_when_its_time_has_come_and_says_so() {
    let mut keyspace = keyspace(0);
    keyspace.journal_mut().listen(EventClasses::ALL, false);
    keyspace.set(0, b"k", Content::String(b"v"), Expiry::At(1_000_100), events::SET).unwrap();
    keyspace.commit();
    keyspace.begin(1_000_100_000);
    assert_eq!(
        (get(&mut keyspace, b"k").is_some(), keyspace.next_due()),
        (true, None),
        "its last millisecond"
    );
    keyspace.begin(1_000_101_000);
    assert_eq!(keyspace.next_due(), Some((0, Key::new(b"k"))));
    assert_eq!(get(&mut keyspace, b"k"), None);
    let raised: Vec<_> = keyspace.commit().iter().map(|event| event.kind).collect();
    assert_eq!(raised, [events::EXPIRED]);
    assert_eq!((keyspace.count(0), keyspace.statistics().expired), ((0, 0), 1));
}

#[test]
fn a_watcher_learns_of_committed_changes_only() {
    let mut keyspace = keyspace(0);
    keyspace.watch(1, 0, b"k").expect("in memory");
    let savepoint = keyspace.savepoint();
    set(&mut keyspace, b"k", b"v");
    keyspace.rollback(savepoint);
    keyspace.commit();
    assert!(!keyspace.is_dirty(1));
    set(&mut keyspace, b"other", b"v");
    keyspace.commit();
    assert!(!keyspace.is_dirty(1));
    set(&mut keyspace, b"k", b"v");
    keyspace.commit();
    assert!(keyspace.is_dirty(1));
    keyspace.unwatch(1);
    assert!(!keyspace.is_dirty(1));
}

#[test]
fn the_end_of_a_watched_keys_time_counts_if_it_comes_after_the_watching_began() {
    let mut keyspace = keyspace(0);
    let content = Content::String(b"v");
    keyspace.set(0, b"k", content, Expiry::At(1_000_100), events::SET).expect("in memory");
    keyspace.watch(1, 0, b"k").expect("in memory");
    keyspace.commit();
    let abort =
        |keyspace: &Keyspace, watcher| (keyspace.is_dirty(watcher), keyspace.watches_expired(watcher));
    assert_eq!(abort(&keyspace, 1), (false, false));
    keyspace.begin(1_000_101_000);
    assert_eq!(abort(&keyspace, 1), (false, true), "nothing has removed it yet");
    keyspace.watch(2, 0, b"k").expect("in memory");
    keyspace.commit();
    assert_eq!(abort(&keyspace, 1), (true, false), "the second watching has removed it");
    assert_eq!(abort(&keyspace, 2), (false, false));
    set(&mut keyspace, b"k", b"new");
    keyspace.commit();
    assert_eq!(abort(&keyspace, 2), (true, false));
}

#[test]
fn each_random_key_of_a_transaction_is_a_choice_of_its_own_and_a_retry_makes_the_same_ones() {
    let mut keyspace = keyspace(0);
    for number in 0..100 {
        set(&mut keyspace, format!("key:{number}").as_bytes(), b"v");
    }
    keyspace.commit();
    let choose = |keyspace: &mut Keyspace| -> Vec<Key> {
        (0..20).map(|_| keyspace.random_key(0).unwrap().unwrap()).collect()
    };
    let savepoint = keyspace.savepoint();
    let first = choose(&mut keyspace);
    keyspace.rollback(savepoint);
    let different: std::collections::HashSet<&Key> = first.iter().collect();
    assert!(different.len() > 10, "{first:?}");
    assert_eq!(choose(&mut keyspace), first, "it runs again");
    keyspace.commit();
    assert_eq!(choose(&mut keyspace), first, "it depends on nothing that others have done");
    keyspace.begin(1_000_000_001);
    keyspace.commit();
    assert_ne!(choose(&mut keyspace), first);
}
