use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::types::collection::testing::Copy;

const LIMITS: PackedLimits = PackedLimits { entries: 4, element_bytes: 8 };

/// Members with their scores, in the order of a sorted set of the standard library.
#[derive(Default)]
struct Model {
    scores: HashMap<Vec<u8>, i32>,
    order: BTreeSet<(i32, Vec<u8>)>,
}

impl Model {
    fn set(&mut self, member: &[u8], score: i32) -> Option<i32> {
        let before = self.remove(member);
        self.scores.insert(member.to_vec(), score);
        self.order.insert((score, member.to_vec()));
        before
    }

    fn remove(&mut self, member: &[u8]) -> Option<i32> {
        let score = self.scores.remove(member)?;
        self.order.remove(&(score, member.to_vec()));
        Some(score)
    }

    fn remove_ranks(&mut self, ranks: Range<usize>) {
        let members: Vec<_> = self.order.iter().skip(ranks.start).take(ranks.len()).cloned().collect();
        for (_, member) in members {
            self.remove(&member);
        }
    }

    fn entries(&self) -> Vec<(Vec<u8>, f64)> {
        self.order.iter().map(|(score, member)| (member.clone(), f64::from(*score))).collect()
    }
}

fn all(set: &SortedSetValue) -> Vec<(Vec<u8>, f64)> {
    range(set, 0..set.len(), false)
}

fn range(set: &SortedSetValue, ranks: Range<usize>, reverse: bool) -> Vec<(Vec<u8>, f64)> {
    scored(&set.items(ranks, reverse)).map(|(member, score)| (member.to_vec(), score)).collect()
}

fn step() -> impl Strategy<Value = (u8, u16, i32, usize)> {
    (0..8_u8, 0..1500_u16, -40..40_i32, 0..30_usize)
}

proptest! {
    /// The same as a map and an order of the standard library, whatever its form; and a copy made of what was
    /// recorded, and the sorted set before, stay what they should.
    #[test]
    fn a_sorted_set_is_a_map_in_order(steps in prop::collection::vec(step(), 0..1500), cuts: [u16; 2]) {
        let (mut set, mut copy, mut model) = (SortedSetValue::default(), Copy::default(), Model::default());
        for (index, (operation, number, score, len)) in steps.into_iter().enumerate() {
            let member = format!("member:{number:.<len$}").into_bytes();
            let before = (index % 50 == 0).then(|| (set.clone(), all(&set)));
            match operation {
                0..5 => {
                    let old = set.update(&member, LIMITS, &mut copy, |_| Some(f64::from(score)));
                    prop_assert_eq!(old, model.set(&member, score).map(f64::from));
                }
                5..7 => prop_assert_eq!(set.remove(&member, &mut copy), model.remove(&member).is_some()),
                _ => {
                    let start = usize::from(number).min(set.len());
                    let ranks = start..(start + len).min(set.len());
                    let mut taken: Vec<_> = if ranks.len() == 1 {
                        set.take_rank(ranks.start, &mut copy).into_iter().collect()
                    } else {
                        let taken = set.take_ranks(ranks.clone(), len % 2 == 1, &mut copy);
                        scored(&taken).map(|(member, score)| (member.to_vec(), score)).collect()
                    };
                    if len % 2 == 1 {
                        taken.reverse();
                    }
                    prop_assert_eq!(&taken[..], &model.entries()[ranks.clone()]);
                    model.remove_ranks(ranks);
                }
            }
            copy.finish(&set);
            prop_assert_eq!(set.len(), model.scores.len());
            if let Some((clone, entries)) = before {
                prop_assert_eq!(all(&clone), entries);
            }
        }
        let entries = model.entries();
        let restored: SortedSetValue = copy.restore();
        prop_assert_eq!(&all(&set), &entries);
        prop_assert_eq!(&all(&restored), &entries);
        for (rank, (member, score)) in entries.iter().enumerate() {
            prop_assert_eq!(set.score(member), Some(*score));
            prop_assert_eq!(set.rank(member, *score), rank);
            let before = entries.iter().take_while(|(_, other)| other < score).count();
            prop_assert_eq!(set.count_before(|other, _| other < *score), before);
        }
        let [start, end] = cuts.map(|cut| usize::from(cut) % (entries.len() + 1));
        let ranks = start.min(end)..start.max(end);
        let mut expected = entries[ranks.clone()].to_vec();
        prop_assert_eq!(&range(&set, ranks.clone(), false), &expected);
        expected.reverse();
        prop_assert_eq!(&range(&set, ranks, true), &expected);
    }

    #[test]
    fn no_bytes_make_restoring_panic(header: Vec<u8>, blocks: Vec<(Vec<u8>, Vec<u8>)>) {
        for header in [header, Vec::new(), vec![0; 8]] {
            if let Some(mut set) = SortedSetValue::restore(&header, StoredBlocks(blocks.clone())) {
                for (member, _) in all(&set) {
                    set.remove(&member, &mut ());
                }
            }
        }
    }
}

#[test]
fn what_is_no_sorted_set_is_not_restored() {
    let check = |header: &[u8], bytes: &[u8], expected: bool| {
        let blocks = StoredBlocks(vec![(vec![0; if header.is_empty() { 0 } else { 6 }], bytes.to_vec())]);
        assert_eq!(SortedSetValue::restore(header, blocks).is_some(), expected, "{bytes:?}");
    };
    let one = entry::bytes(b"a", 1.0).to_vec();
    let two = entry::bytes(b"b", 2.0).to_vec();
    let nan = entry::bytes(b"a", f64::NAN).to_vec();
    for header in [&b""[..], &[0; 8]] {
        check(header, &[&one[..], &two].concat(), true);
        check(header, &[&two[..], &one].concat(), !header.is_empty());
        check(header, &nan, false);
        check(header, b"\x01a\x01b", false);
        check(header, b"\x01a", false);
    }
    check(&[0; 7], &one, false);
}

/// Members with growing scores, removed from the front as a queue does, and then added in front again.
#[test]
fn what_comes_before_the_first_label_is_found() {
    let (mut set, mut copy) = (SortedSetValue::default(), Copy::default());
    let member = |number: i32| format!("{number:08}").into_bytes();
    for number in 0..2000 {
        set.update(&member(number), LIMITS, &mut copy, |_| Some(f64::from(number)));
        copy.finish(&set);
    }
    let _ = set.take_ranks(0..1000, false, &mut copy);
    for number in (0..1000).rev() {
        set.update(&member(number), LIMITS, &mut copy, |_| Some(f64::from(number)));
    }
    let restored: SortedSetValue = copy.restore();
    for set in [set, restored] {
        for number in 0..2000 {
            assert_eq!(set.rank(&member(number), f64::from(number)), number as usize);
            assert_eq!(set.score(&member(number)), Some(f64::from(number)));
        }
    }
}

#[test]
fn a_change_of_a_shared_big_sorted_set_shares_the_rest() {
    let mut set = SortedSetValue::default();
    for number in 0..100_000_u32 {
        set.update(number.to_string().as_bytes(), LIMITS, &mut (), |_| Some(f64::from(number)));
    }
    let blocks = |set: &SortedSetValue| {
        let mut blocks = Vec::new();
        set.for_each_block(&mut |_, block| blocks.push(block.bytes().as_ptr()));
        blocks
    };
    let clone = set.clone();
    set.update(b"50000", LIMITS, &mut (), |_| Some(7.5));
    let before: std::collections::HashSet<_> = blocks(&clone).into_iter().collect();
    assert_eq!(blocks(&set).iter().filter(|block| !before.contains(*block)).count(), 1);
    assert!(before.len() > 1000);
    assert_eq!((clone.score(b"50000"), set.score(b"50000")), (Some(50_000.0), Some(7.5)));
    assert_eq!(set.rank(b"50000", 7.5), 8);
}

#[test]
fn scores_are_never_nan_and_zero_has_no_sign() {
    let mut set = SortedSetValue::default();
    set.update(b"a", LIMITS, &mut (), |_| Some(f64::NAN));
    assert_eq!(set.len(), 0);
    set.update(b"a", LIMITS, &mut (), |_| Some(-0.0));
    assert_eq!(set.score(b"a").map(f64::to_bits), Some(0));
}
