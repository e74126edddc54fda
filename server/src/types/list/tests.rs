//! Promises of the list, against a deque of the standard library.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;

use super::*;
use crate::types::collection::testing::Copy;

/// A change, with numbers that say where and what.
#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<usize>),
    Pop(End, usize),
    Set(usize, usize),
    Insert(usize, usize),
    Remove(usize, usize),
    RemoveEqual(usize, usize, usize),
    Trim(usize, usize),
}

/// An element that tells its number; some are long, some longer than a block.
fn value(number: usize) -> Vec<u8> {
    let len = match number % 97 {
        0 => 2500,
        1..5 => 300,
        other => other % 20,
    };
    let mut value = format!("{number}").into_bytes();
    value.resize(value.len().max(len), b'.');
    value
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![Just(End::Left), Just(End::Right)];
    let number = 0..200_usize;
    let step = prop_oneof![
        8 => (end.clone(), prop::collection::vec(number.clone(), 1..40)).prop_map(|(end, all)| Step::Push(end, all)),
        3 => (end, 0..50_usize).prop_map(|(end, count)| Step::Pop(end, count)),
        3 => (any::<usize>(), number.clone()).prop_map(|(at, number)| Step::Set(at, number)),
        6 => (any::<usize>(), number.clone()).prop_map(|(at, number)| Step::Insert(at, number)),
        1 => (any::<usize>(), 0..200_usize).prop_map(|(at, count)| Step::Remove(at, count)),
        1 => (any::<usize>(), number, 1..20_usize)
            .prop_map(|(at, number, limit)| Step::RemoveEqual(at, number, limit)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(start, end)| Step::Trim(start, end)),
    ];
    prop::collection::vec(step, 0..100)
}

/// Does a step to a list and to its model.
fn play(step: &Step, list: &mut ListValue, model: &mut VecDeque<Vec<u8>>, recorder: &mut dyn Recorder) {
    let len = model.len();
    match step {
        Step::Push(end, numbers) => {
            let values: Vec<Vec<u8>> = numbers.iter().map(|number| value(*number)).collect();
            let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            list.push(*end, &slices, recorder);
            match end {
                End::Left => values.into_iter().for_each(|value| model.push_front(value)),
                End::Right => model.extend(values),
            }
        }
        Step::Pop(end, count) => {
            let count = *count.min(&len);
            let start = if *end == End::Left { 0 } else { len - count };
            assert!(list.range(start, count).iter().eq(model.range(start..start + count)));
            if count == 1 {
                let expected = if *end == End::Left { model.front() } else { model.back() };
                assert_eq!(list.pop(*end, recorder).as_ref(), expected);
            } else {
                list.remove(start, count, recorder);
            }
            model.drain(start..start + count);
        }
        Step::Set(at, number) => {
            let at = at % (len + 1);
            assert_eq!(list.set(at, &value(*number), recorder), at < len);
            if at < len {
                model[at] = value(*number);
            }
        }
        Step::Insert(at, number) => {
            let at = at % (len + 1);
            assert!(list.insert(at, &value(*number), recorder));
            model.insert(at, value(*number));
        }
        Step::Remove(at, count) => {
            let at = at % (len + 1);
            list.remove(at, *count, recorder);
            model.drain(at..(at + count).min(len));
        }
        Step::RemoveEqual(at, number, limit) => {
            let at = at % (len + 1);
            let unwanted = value(*number);
            let mut removed = 0;
            let mut kept = VecDeque::new();
            for (index, value) in model.drain(..).enumerate() {
                if index >= at && value == unwanted && removed < *limit {
                    removed += 1;
                } else {
                    kept.push_back(value);
                }
            }
            *model = kept;
            assert_eq!(list.remove_equal(&unwanted, at, *limit, recorder), removed);
        }
        Step::Trim(start, end) => {
            // Most trims keep most.
            let (start, end) = (start % (len / 8 + 1), len - end % (len / 8 + 1));
            list.trim(start..end, recorder);
            model.truncate(end);
            model.drain(..start.min(model.len()));
        }
    }
}

fn digest(list: &ListValue) -> u64 {
    let mut hasher = DefaultHasher::new();
    list.iter().for_each(|item| item.hash(&mut hasher));
    hasher.finish()
}

proptest! {
    /// The same as a deque, whatever its form; and a copy made of what was recorded, and the list before, stay what
    /// they should.
    #[test]
    fn a_list_is_a_deque(steps in steps()) {
        let (mut list, mut copy, mut model) = (ListValue::default(), Copy::default(), VecDeque::new());
        for step in steps {
            let before = list.clone();
            let digest_before = digest(&before);
            play(&step, &mut list, &mut model, &mut copy);
            copy.finish(&list);
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(digest(&before), digest_before, "the list before {:?}", step);
        }
        prop_assert!(list.iter().eq(model.iter()));
        prop_assert!(list.iter_back().eq(model.iter().rev()));
        for index in [0, 1, model.len() / 2, model.len().saturating_sub(1), model.len()] {
            prop_assert_eq!(list.get(index), model.get(index).map(Vec::as_slice));
        }
        let restored: ListValue = copy.restore();
        prop_assert!(restored.iter().eq(list.iter()));
        prop_assert_eq!(restored.header(), list.header());
    }

    #[test]
    fn no_stored_bytes_make_a_list_panic(header: Vec<u8>, blocks: Vec<(Vec<u8>, Vec<u8>)>) {
        if let Some(list) = ListValue::restore(&header, StoredBlocks(blocks)) {
            prop_assert_eq!(list.iter().count(), list.len());
        }
    }
}

/// A list of so many small elements, pushed on the right.
fn big(len: usize) -> ListValue {
    let mut list = ListValue::default();
    for number in 0..len {
        list.push(End::Right, &[format!("element:{number:07}").as_bytes()], &mut ());
    }
    list
}

fn tree(list: &ListValue) -> &Tree<u64> {
    let ListValue::Big(tree) = list else { panic!("a list in a single block") };
    tree
}

#[test]
fn elements_inserted_in_one_place_again_and_again_find_labels() {
    let mut list = big(1000);
    let mut copy = Copy::default();
    copy.whole();
    copy.finish(&list);
    let mut model: Vec<Vec<u8>> = list.iter().map(<[u8]>::to_vec).collect();
    for number in 0..20_000_usize {
        let value = format!("inserted:{number}").into_bytes();
        // Always before the same element, and always behind the same one.
        let at = if number % 2 == 0 { 500 } else { 501 + number / 2 };
        assert!(list.insert(at, &value, &mut copy));
        copy.finish(&list);
        model.insert(at, value);
    }
    assert!(list.iter().eq(model.iter()));
    let restored: ListValue = copy.restore();
    assert!(restored.iter().eq(model.iter()));
    // Where there was no label, a block stayed too long until its next change.
    assert!(tree(&list).blocks().all(|(_, block)| block.bytes().len() <= 2 * BLOCK_BYTES));
}

#[test]
fn labels_that_have_come_to_an_end_are_given_anew() {
    for (end, label) in [(End::Left, STEP - 1), (End::Right, u64::MAX - 1)] {
        let full = Block::new(1, &entry(&[&[b'x'; BLOCK_BYTES]]));
        let mut list = ListValue::Big(Arc::new(Tree::from_blocks([(label, full)])));
        let mut copy = Copy::default();
        copy.whole();
        copy.finish(&list);
        list.push(end, &[b"pushed"], &mut copy);
        copy.finish(&list);
        assert_eq!(list.end(end), Some(&b"pushed"[..]));
        assert_eq!(copy.restore::<ListValue>().end(end), Some(&b"pushed"[..]));
    }
}

#[test]
fn what_grows_at_its_ends_has_full_blocks() {
    for end in [End::Left, End::Right] {
        let mut list = ListValue::default();
        for number in 0..100_000 {
            list.push(end, &[format!("element:{number:07}").as_bytes()], &mut ());
        }
        let bytes: usize = list.iter().map(|item| item_bytes(item.len())).sum();
        let memory = list.memory_usage();
        assert!(memory < bytes * 110 / 100, "{memory} bytes for {bytes}");
        let many: Vec<&[u8]> = vec![b"x"; 10_000];
        list.push(end, &many, &mut ());
        assert!(tree(&list).blocks().all(|(_, block)| block.entries() <= PUSHED_MAX_ENTRIES));
    }
}

#[test]
fn a_change_of_a_shared_big_list_shares_the_rest() {
    let mut list = big(100_000);
    let before = list.clone();
    list.push(End::Left, &[b"first"], &mut ());
    list.remove(50_000, 1, &mut ());
    let old: std::collections::HashSet<_> =
        tree(&before).blocks().map(|(_, block)| block.bytes().as_ptr()).collect();
    let new = tree(&list).blocks().filter(|(_, block)| !old.contains(&block.bytes().as_ptr())).count();
    assert!(new <= 2, "{new} new blocks");
    assert!(old.len() > 1000);
}

/// Hears how many bytes are recorded.
#[derive(Default)]
struct Meter(usize);

impl Recorder for Meter {
    fn put(&mut self, label: &[u8], block: &[u8]) {
        self.0 += label.len() + block.len();
    }

    fn splice(&mut self, label: &[u8], _offset: usize, _removed: usize, inserted: &[u8]) {
        self.0 += label.len() + inserted.len();
    }

    fn remove(&mut self, label: &[u8]) {
        self.0 += label.len();
    }

    fn header(&mut self, header: &[u8]) {
        self.0 += header.len();
    }

    fn whole(&mut self) {
        self.0 = usize::MAX;
    }

    fn element(&mut self, _element: &[u8]) {}
}

#[test]
fn a_change_of_one_element_records_one_element() {
    let mut list = big(100_000);
    let mut check = |what: &str, limit: usize, change: fn(&mut ListValue, &mut dyn Recorder)| {
        let mut meter = Meter::default();
        change(&mut list, &mut meter);
        assert!((1..=limit).contains(&meter.0), "{what}: {} bytes", meter.0);
    };
    check("push", 40, |list, recorder| list.push(End::Right, &[b"pushed"], recorder));
    check("pop", 40, |list, recorder| list.remove(0, 1, recorder));
    check("set", 40, |list, recorder| assert!(list.set(70_000, b"set", recorder)));
    check("insert", 2 * BLOCK_BYTES, |list, recorder| assert!(list.insert(30_000, b"inserted", recorder)));
    // Whole blocks are removed by their labels alone.
    check("trim", 8 * 2000, |list, recorder| list.trim(10_000..90_000, recorder));
    check("trim that keeps all", 40, |list, recorder| list.trim(0..usize::MAX, recorder));
}

#[test]
fn encodings_are_those_of_redis() {
    let mut list = ListValue::default();
    for (elements, expected) in [(1, "listpack"), (500, "listpack"), (1000, "quicklist"), (10, "listpack")] {
        list.trim(0..elements, &mut ());
        while list.len() < elements {
            list.push(End::Left, &[b"0123456789"], &mut ());
        }
        assert_eq!(list.encoding(), expected, "{elements} elements");
    }
}
