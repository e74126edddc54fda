//! The set value. Knows bytes only.
//!
//! A small set of integers is a sorted block of them, any other small set one block of members in the order in which
//! they came, and a big one a [`Dictionary`]. As in Redis, a set never returns to a smaller form.

use std::ops::Deref;

use triomphe::Arc;

use super::block::{Block, Items, SharedItems, entry, push_item};
use super::blocks::LabelBytes;
use super::collection::{Collection, PackedLimits, StoredBlocks};
use super::dictionary::{Dictionary, search};
use super::integers::Integers;
use super::number::{IntegerBuffer, MAX_INTEGER_LEN, parse_integer};
use super::recorder::Recorder;
use super::value::Kind;

const ITEMS: usize = 1;
/// Bytes of an integer in its widest form.
const INTEGER_BYTES: usize = size_of::<i64>();

/// A set; cloning it is O(1).
#[derive(Clone, Debug)]
pub enum SetValue {
    /// At most as many integers as the limits say.
    Integers(Integers),
    /// At most as many members as the limits say, none of them longer than they say.
    Packed(Block),
    /// Any others.
    Big(Arc<Dictionary>),
}

/// Up to where a set has one of its small forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetLimits {
    /// Integers at most, if there is nothing else.
    pub integers: usize,
    /// For other members.
    pub packed: PackedLimits,
}

/// A member while one looks at it: the bytes of one of a set of integers are nowhere else.
#[derive(Clone, Debug)]
pub enum Member<'a> {
    /// In its block.
    Bytes(&'a [u8]),
    /// The first so many bytes are the text of an integer.
    Integer([u8; MAX_INTEGER_LEN], usize),
}

impl Member<'_> {
    fn of_integer(integer: i64) -> Self {
        let mut text = [0; MAX_INTEGER_LEN];
        let mut buffer = IntegerBuffer::new();
        let digits = buffer.format(integer);
        text[..digits.len()].copy_from_slice(digits);
        Self::Integer(text, digits.len())
    }
}

impl Deref for Member<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Integer(text, len) => &text[..*len],
        }
    }
}

impl AsRef<[u8]> for Member<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for SetValue {
    fn default() -> Self {
        Self::Integers(Integers::default())
    }
}

impl SetValue {
    /// What finds the members, if they are many.
    pub(super) fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Integers(_) | Self::Packed(_) => None,
            Self::Big(dictionary) => Some(dictionary),
        }
    }

    /// Whether there is such a member.
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            Self::Integers(integers) => {
                parse_integer(member).is_some_and(|integer| integers.find(integer).is_ok())
            }
            Self::Packed(block) => search(block, member, ITEMS).is_some(),
            Self::Big(dictionary) => dictionary.get(member).is_some(),
        }
    }

    /// Adds a member; says whether it is new.
    pub fn add(&mut self, member: &[u8], limits: SetLimits, recorder: &mut dyn Recorder) -> bool {
        let is_new = match self {
            Self::Integers(integers) => {
                match parse_integer(member).map(|integer| (integer, integers.find(integer))) {
                    Some((_, Ok(_))) => false,
                    Some((integer, Err(rank))) if limits.allow_integers(integers.len() + 1) => {
                        integers.insert(rank, integer, recorder);
                        true
                    }
                    _ => self.add_to_larger_form(member, limits, recorder),
                }
            }
            Self::Packed(block) if search(block, member, ITEMS).is_some() => false,
            Self::Packed(block) if limits.packed.allow(block.entries() + 1, member.len()) => {
                let (end, new) = (block.bytes().len(), entry(&[member]));
                recorder.splice(&[], end, 0, &new);
                block.splice(end, 0, &new, block.entries() + 1);
                true
            }
            Self::Packed(_) => self.add_to_larger_form(member, limits, recorder),
            Self::Big(dictionary) => Arc::make_mut(dictionary).add(&[member], recorder),
        };
        if is_new {
            recorder.element(member);
        }
        is_new
    }

    /// Adds a member that the present form cannot have.
    fn add_to_larger_form(&mut self, member: &[u8], limits: SetLimits, recorder: &mut dyn Recorder) -> bool {
        let (mut bytes, mut longest) = (Vec::new(), member.len());
        for other in self.members() {
            longest = longest.max(other.len());
            push_item(&mut bytes, &other);
        }
        // Too many integers make a big set at once, as in Redis.
        let is_packed = matches!(self, Self::Integers(_))
            && parse_integer(member).is_none()
            && limits.packed.allow(self.len() + 1, longest);
        push_item(&mut bytes, member);
        let block = Block::new(self.len() + 1, &bytes);
        *self = if is_packed {
            Self::Packed(block)
        } else {
            Self::Big(Arc::new(Dictionary::from_block(&block, ITEMS)))
        };
        recorder.whole();
        true
    }

    /// Removes a member; says whether there was one.
    pub fn remove(&mut self, member: &[u8], recorder: &mut dyn Recorder) -> bool {
        let removed = match self {
            Self::Integers(integers) => {
                let rank = parse_integer(member).and_then(|integer| integers.find(integer).ok());
                rank.map(|rank| integers.remove(rank, recorder)).is_some()
            }
            Self::Packed(block) => {
                let Some(range) = search(block, member, ITEMS) else { return false };
                recorder.splice(&[], range.start, range.len(), &[]);
                block.splice(range.start, range.len(), &[], block.entries() - 1);
                true
            }
            Self::Big(dictionary) => Arc::make_mut(dictionary).remove(member, recorder),
        };
        if removed {
            recorder.element(member);
        }
        removed
    }

    /// Removes the members of these ascending ranks, in the order of [`Self::members`].
    pub fn remove_ranks(&mut self, ranks: &[usize], recorder: &mut dyn Recorder) {
        if let Self::Big(dictionary) = self {
            return Arc::make_mut(dictionary).remove_ranks(ranks, recorder);
        }
        for rank in ranks.iter().rev() {
            if let Some(member) = self.nth(*rank).map(|member| member.to_vec()) {
                self.remove(&member, recorder);
            }
        }
    }

    /// Takes all members out.
    #[must_use]
    pub fn take(&mut self, recorder: &mut dyn Recorder) -> Self {
        let taken = std::mem::take(self);
        recorder.whole();
        for member in taken.members() {
            recorder.element(&member);
        }
        taken
    }

    /// All members.
    pub fn members(&self) -> Box<dyn Iterator<Item = Member<'_>> + '_> {
        match self {
            Self::Integers(integers) => Box::new(integers.iter().map(Member::of_integer)),
            Self::Packed(block) => Box::new(block.items().map(Member::Bytes)),
            Self::Big(dictionary) => Box::new(dictionary.iter().map(Member::Bytes)),
        }
    }

    /// All members for a reply, in the order of [`Self::members`].
    #[must_use]
    pub fn items(&self) -> SharedItems {
        let mut items = SharedItems::default();
        let mut push = |block: &Block| items.push(block, 0..block.bytes().len(), block.entries());
        match self {
            Self::Integers(_) => return self.members().collect(),
            Self::Packed(block) => push(block),
            Self::Big(dictionary) => dictionary.blocks().for_each(|(_, block)| push(block)),
        }
        items
    }

    /// The member of this rank, in the order of [`Self::members`].
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<Member<'_>> {
        match self {
            Self::Integers(integers) => integers.get(rank).map(Member::of_integer),
            Self::Packed(block) => block.items().nth(rank).map(Member::Bytes),
            Self::Big(dictionary) => dictionary.nth(rank)?.next().map(Member::Bytes),
        }
    }

    /// Visits members from a cursor on, as `Dictionary::scan`; a small set is visited at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8])) -> u64 {
        let visit_entry = |mut items: Items<'_>| items.next().into_iter().for_each(&mut visit);
        match self {
            Self::Integers(_) | Self::Packed(_) => {
                self.members().for_each(|member| visit(&member));
                0
            }
            Self::Big(dictionary) => dictionary.scan(cursor, count, visit_entry),
        }
    }
}

impl SetLimits {
    fn allow_integers(self, len: usize) -> bool {
        PackedLimits { entries: self.integers, element_bytes: INTEGER_BYTES }.allow(len, INTEGER_BYTES)
    }

    /// Whether a set with so many members is a big one, whatever they are.
    #[must_use]
    pub fn are_exceeded_by(self, len: usize) -> bool {
        len > self.integers && len > self.packed.entries
    }
}

impl Collection for SetValue {
    const KIND: Kind = Kind::Set;

    fn len(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.len(),
            Self::Packed(block) => block.entries(),
            Self::Big(dictionary) => dictionary.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        match self {
            Self::Integers(_) => "intset",
            Self::Packed(_) => "listpack",
            Self::Big(_) => "hashtable",
        }
    }

    fn memory_usage(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.block().memory_usage(),
            Self::Packed(block) => block.memory_usage(),
            Self::Big(dictionary) => dictionary.memory_usage(),
        }
    }

    fn header(&self) -> Vec<u8> {
        match self {
            Self::Integers(integers) => vec![integers.width() as u8],
            Self::Packed(_) => Vec::new(),
            Self::Big(dictionary) => dictionary.seed().to_le_bytes().to_vec(),
        }
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(LabelBytes, &Block)) {
        match self {
            Self::Integers(integers) => visit(LabelBytes::new(), integers.block()),
            Self::Packed(block) => visit(LabelBytes::new(), block),
            Self::Big(dictionary) => dictionary.blocks().for_each(|(label, block)| visit(label, block)),
        }
    }

    fn restore(header: &[u8], blocks: StoredBlocks) -> Option<Self> {
        match header {
            [] => Some(Self::Packed(blocks.single(ITEMS)?)),
            [width] => {
                let [(label, bytes)] = &blocks.0[..] else { return None };
                let integers = label.is_empty().then(|| Integers::parse((*width).into(), bytes))?;
                Some(Self::Integers(integers?))
            }
            _ => {
                let seed = u64::from_le_bytes(header.try_into().ok()?);
                Some(Self::Big(Arc::new(Dictionary::from_blocks(seed, ITEMS, blocks.parse(ITEMS)?)?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::types::collection::testing::Copy;

    const LIMITS: SetLimits =
        SetLimits { integers: 6, packed: PackedLimits { entries: 8, element_bytes: 8 } };

    /// Numbers below 400 stand for integers of any width, the others for other members.
    fn member(number: u16) -> Vec<u8> {
        match number {
            0..400 => (i64::from(number) << (number % 50)).to_string().into_bytes(),
            _ => format!("m{number}").into_bytes(),
        }
    }

    fn owned(set: &SetValue) -> Vec<Vec<u8>> {
        set.members().map(|member| member.to_vec()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The same as a set of the standard library, whatever its form; and a copy made of what was recorded, and the
        /// set before, stay what they should.
        #[test]
        fn a_set_is_a_set(
            numbers in prop_oneof![Just(10_u16), Just(400), Just(410), Just(2000)],
            steps in prop::collection::vec((0..3_u8, any::<u16>()), 0..2000),
        ) {
            let (mut set, mut copy) = (SetValue::default(), Copy::default());
            copy.whole();
            copy.finish(&set);
            let mut model = HashSet::new();
            for (step, (operation, number)) in steps.into_iter().enumerate() {
                if step % 300 == 299 {
                    let ranks: Vec<usize> = (0..set.len()).filter(|rank| rank * 7 % 11 < 5).collect();
                    let gone: Vec<_> = ranks.iter().filter_map(|rank| Some(set.nth(*rank)?.to_vec())).collect();
                    set.remove_ranks(&ranks, &mut copy);
                    prop_assert!(gone.iter().all(|member| model.remove(member)));
                }
                let member = member(number % numbers);
                let before = (step % 50 == 0).then(|| (set.clone(), owned(&set)));
                if operation > 0 {
                    prop_assert_eq!(set.add(&member, LIMITS, &mut copy), model.insert(member));
                } else {
                    prop_assert_eq!(set.remove(&member, &mut copy), model.remove(&member));
                }
                prop_assert!(before.is_none_or(|(before, members)| owned(&before) == members));
                copy.finish(&set);
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert!(model.iter().all(|member| set.contains(member)));
            prop_assert!(set.members().all(|member| model.contains(&*member)));
            prop_assert_eq!(set.items().iter().count(), model.len());
            for (rank, member) in set.members().enumerate() {
                prop_assert!(set.nth(rank).is_some_and(|nth| *nth == *member));
            }
            let mut scanned = HashSet::new();
            let mut cursor = 0;
            loop {
                cursor = set.scan(cursor, 10, |member| assert!(scanned.insert(member.to_vec())));
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(scanned, model);
            let restored: SetValue = copy.restore();
            prop_assert_eq!(restored.encoding(), set.encoding());
            prop_assert!(restored.items().iter().eq(set.items().iter()));
        }

        #[test]
        fn no_stored_bytes_make_a_set_panic(header: Vec<u8>, bytes: Vec<u8>, label: Vec<u8>) {
            for label in [Vec::new(), label] {
                if let Some(set) = SetValue::restore(&header, StoredBlocks(vec![(label, bytes.clone())])) {
                    prop_assert_eq!(set.members().count(), set.len());
                }
            }
        }
    }

    #[track_caller]
    fn check(members: &[&str], encoding: &str) {
        let mut set = SetValue::default();
        for member in members {
            set.add(member.as_bytes(), LIMITS, &mut ());
        }
        assert_eq!(set.encoding(), encoding, "{members:?}");
    }

    #[test]
    fn the_form_follows_from_number_and_kind_of_the_members() {
        let integers = ["1", "-2", "300000", "4", "5", "9223372036854775807", "7"];
        check(&[], "intset");
        check(&integers[..6], "intset");
        check(&integers[..7], "hashtable");
        check(&["a"], "listpack");
        check(&["01"], "listpack");
        check(&["1", "2", "a", "3", "4", "5", "6", "7"], "listpack");
        check(&["1", "2", "a", "3", "4", "5", "6", "7", "8"], "hashtable");
        check(&["1", "long-long"], "hashtable");
        check(&["a", "long-long"], "hashtable");
        check(&["123456789", "a"], "hashtable");
    }
}
