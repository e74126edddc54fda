//! What can be known of how many entries there have been up to an id, without counting them.

use super::Counters;
use super::group::Position;
use super::id::StreamId;

/// What that depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub counters: Counters,
    /// The first entry.
    pub first: Option<StreamId>,
    /// The number of entries.
    pub len: usize,
}

impl Extent {
    /// Whether entries may have been removed from among those behind this id that are still there.
    fn may_have_gaps_behind(&self, id: StreamId) -> bool {
        let deleted = self.counters.max_deleted_id;
        self.first.is_some_and(|first| first <= deleted) && deleted != StreamId::MIN && id <= deleted
    }

    /// How many entries there have been up to this id; `None` if that cannot be known.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        let Counters { last_id, max_deleted_id, entries_added } = self.counters;
        if entries_added == 0 {
            return Some(0);
        }
        let Some(first) = self.first else { return (id <= last_id).then_some(entries_added) };
        if id == last_id {
            return Some(entries_added);
        }
        let removed = entries_added.saturating_sub(self.len as u64);
        let has_gaps = max_deleted_id != StreamId::MIN && max_deleted_id >= first;
        match id.cmp(&first) {
            _ if id > last_id || has_gaps => None,
            std::cmp::Ordering::Less => Some(removed),
            std::cmp::Ordering::Equal => Some(removed + 1),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// The position of a group that was at `position` when it has been given this entry.
    pub fn advance(&self, position: Position, id: StreamId) -> Position {
        let entries_read = match position.entries_read {
            Some(read) if !self.may_have_gaps_behind(id) => Some(read.saturating_add(1)),
            _ => self.entries_up_to(id),
        };
        Position { last_delivered: id, entries_read }
    }

    /// How many entries are behind a position, if that is known.
    pub fn lag(&self, position: Position) -> Option<i64> {
        let added = self.counters.entries_added;
        let read = match position.entries_read {
            _ if added == 0 => 0,
            Some(read) if !self.may_have_gaps_behind(position.last_delivered) => read,
            _ => self.entries_up_to(position.last_delivered)?,
        };
        Some((added as i64).wrapping_sub(read as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_before_the_first_entry_leaves_the_lag_known() {
        let id = |ms| StreamId { ms, seq: 0 };
        for (max_deleted, lag) in [(0, Some(3)), (412, Some(3)), (423, None), (425, None)] {
            let counters = Counters { last_id: id(428), max_deleted_id: id(max_deleted), entries_added: 4 };
            let extent = Extent { counters, first: Some(id(423)), len: 2 };
            let position = Position { last_delivered: StreamId::MIN, entries_read: Some(1) };
            assert_eq!(extent.lag(position), lag, "{max_deleted}");
        }
    }
}
