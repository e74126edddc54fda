//! How entries lie in a block: each is one item. Knows one block and its label only.
//!
//! ```text
//! flags, ms: varint, [seq: varint], fields
//! ```
//!
//! The time is what it is more than that of the label. The number follows if it is not 0; if the time is the label's,
//! it too is what it is more than the label's. The fields are items: names and values in turn, or, if the names are
//! those of the first entry of the block, as they mostly are, the values alone.

use std::ops::Range;

use super::super::block::{Block, Buffer, Items, SharedItems, item, push_item};
use super::id::StreamId;
use super::varint;

/// The names are those of the first entry.
const SAME_NAMES: u8 = 1;
/// The number is not 0.
const HAS_SEQ: u8 = 2;

/// An entry in its block.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    block: &'a Block,
    /// Where the fields of the first entry are, if that one has the names.
    names: Option<Range<usize>>,
    fields: Range<usize>,
    /// All of it.
    pub(super) range: Range<usize>,
}

impl<'a> Entry<'a> {
    /// Names and values in turn.
    pub fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut names = self.names.clone().map(|range| items(self.block, range).step_by(2));
        let mut own = items(self.block, self.fields.clone());
        let mut is_value = false;
        std::iter::from_fn(move || {
            let from_first = names.as_mut().filter(|_| !is_value);
            is_value = !is_value;
            match from_first {
                Some(names) => names.next(),
                None => own.next(),
            }
        })
    }

    /// Names and values in turn, for a reply.
    #[must_use]
    pub fn shared_fields(&self) -> SharedItems {
        let mut shared = SharedItems::default();
        let Some(names) = self.names.clone() else {
            shared.push(self.block, self.fields.clone(), items(self.block, self.fields.clone()).count());
            return shared;
        };
        let (mut names, mut values) = (items(self.block, names), items(self.block, self.fields.clone()));
        let mut share = |items: &mut Items<'_>| {
            let start = Items::position(items);
            let found = items.next().is_some();
            if found {
                shared.push(self.block, start..Items::position(items), 1);
            }
            found
        };
        while share(&mut names) && share(&mut values) {
            names.next();
        }
        shared
    }

    fn has_names(&self, fields: &[&[u8]]) -> bool {
        self.fields().step_by(2).eq(fields.iter().step_by(2).copied())
    }
}

fn items(block: &Block, range: Range<usize>) -> Items<'_> {
    Items::at(&block.bytes()[..range.end], range.start)
}

/// The entries of a block with this label, in order; they end before one that makes no sense.
pub(super) fn entries(label: StreamId, block: &Block) -> impl Iterator<Item = Entry<'_>> {
    let mut first: Option<Range<usize>> = None;
    let mut at = 0;
    std::iter::from_fn(move || {
        let content = item(block.bytes(), at)?;
        let range = at..content.end;
        at = content.end;
        let mut rest = &block.bytes()[content.clone()];
        let (flags, behind) = rest.split_first()?;
        rest = behind;
        let ms = varint::take(&mut rest)?;
        let seq = if flags & HAS_SEQ == 0 { 0 } else { varint::take(&mut rest)? };
        let base = if ms == 0 { label.seq } else { 0 };
        let id = StreamId::new(label.ms.checked_add(ms)?, base.checked_add(seq)?);
        let fields = content.end - rest.len()..content.end;
        let names = if flags & SAME_NAMES == 0 { None } else { Some(first.clone()?) };
        first.get_or_insert_with(|| fields.clone());
        Some(Entry { id, block, names, fields, range })
    })
}

/// The bytes of an entry with these names and values, for a block of this label that has `first` as its first entry.
pub(super) fn encode(label: StreamId, first: Option<&Entry<'_>>, id: StreamId, fields: &[&[u8]]) -> Buffer {
    let has_names = first.is_some_and(|first| first.has_names(fields));
    let ms = id.ms - label.ms;
    let seq = if ms == 0 { id.seq - label.seq } else { id.seq };
    let mut content = Buffer::new();
    content.push(if has_names { SAME_NAMES } else { 0 } | if seq > 0 { HAS_SEQ } else { 0 });
    varint::push(&mut content, ms);
    if seq > 0 {
        varint::push(&mut content, seq);
    }
    let (start, step) = if has_names { (1, 2) } else { (0, 1) };
    fields.iter().skip(start).step_by(step).for_each(|field| push_item(&mut content, field));
    let mut entry = Buffer::new();
    push_item(&mut entry, &content);
    entry
}

/// What a block is to become that loses its first `count` entries: which of its bytes are replaced, and by what.
pub(super) fn without_front(label: StreamId, block: &Block, count: usize) -> (Range<usize>, Buffer) {
    let mut rest = entries(label, block).skip(count);
    let Some(head) = rest.next() else { return (0..block.bytes().len(), Buffer::new()) };
    let fields: Vec<&[u8]> = head.fields().collect();
    let mut bytes = encode(label, None, head.id, &fields);
    if head.names.is_some() {
        // Those behind it share the names that it now has itself.
        return (0..head.range.end, bytes);
    }
    for entry in rest {
        let fields: Vec<&[u8]> = entry.fields().collect();
        bytes.extend_from_slice(&encode(label, Some(&head), entry.id, &fields));
    }
    (0..block.bytes().len(), bytes)
}

/// The highest id of a block that comes from outside; `None` unless all of its entries make sense and are in order
/// behind `before`.
pub(super) fn check(label: StreamId, block: &Block, before: StreamId) -> Option<StreamId> {
    let (mut last, mut count, mut names) = (before, 0, None);
    if label <= before {
        return None;
    }
    for entry in entries(label, block) {
        let mut own = items(block, entry.fields.clone());
        let fields = own.by_ref().count();
        let is_whole = own.position() == entry.fields.end;
        let expected = match entry.names {
            Some(_) => names,
            None => (fields.is_multiple_of(2) && fields > 0).then_some(fields),
        };
        if !is_whole || expected != Some(fields) || entry.id <= last {
            return None;
        }
        // Of the first entry; others have one value for each of its names.
        names.get_or_insert(fields / 2);
        (last, count) = (entry.id, count + 1);
    }
    (count == block.entries() && count > 0).then_some(last)
}
