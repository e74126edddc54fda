//! Sorted sets: members with scores, in the order of the scores, and of the members where those are equal.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::{Bound, Deref, RangeBounds};

use super::pages::{Pages, Source};
use super::{inclusive, indexes};
use crate::{Argument, Command, Db, Result};

/// The sorted set at a key, from [`Db::sorted_set`] or [`Db::sorted_set_mut`]. Ranks count from 0 at the lowest score.
///
/// ```
/// # let mut db = kvasm_sdk::Db::test();
/// let mut players = db.sorted_set_mut(b"players");
/// players.add_all([("Ada", 120.0), ("Bob", 90.0)])?;
/// assert_eq!(players.increment("Bob", 50.0)?, 140.0);
/// let best = db.sorted_set(b"players").range(..)?.next_back();
/// assert_eq!(best, Some((b"Bob".to_vec(), 140.0)));
/// # Ok::<(), kvasm_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct SortedSet<'a, D> {
    pub(super) db: D,
    pub(super) key: &'a [u8],
}

struct Ranked;

impl Source for Ranked {
    type Item = (Vec<u8>, f64);

    fn fetch(db: &Db, key: &[u8], start: usize, count: usize) -> Result<Vec<(Vec<u8>, f64)>> {
        db.ask(Command::new("ZRANGE").arg(key).arg(start).arg(start + count - 1).arg("WITHSCORES"))
    }
}

impl<D: Deref<Target = Db>> SortedSet<'_, D> {
    /// The score of a member; `None` when it is none.
    pub fn score(&self, member: impl Argument) -> Result<Option<f64>> {
        self.db.ask(self.command("ZSCORE").arg(member))
    }

    /// How many members stand before this one; `None` when it is none.
    pub fn rank(&self, member: impl Argument) -> Result<Option<usize>> {
        self.db.ask(self.command("ZRANK").arg(member))
    }

    /// How many members stand behind this one: its rank from the highest score; `None` when it is none.
    pub fn reverse_rank(&self, member: impl Argument) -> Result<Option<usize>> {
        self.db.ask(self.command("ZREVRANK").arg(member))
    }

    /// The members of these ranks with their scores, fetched in pages from the end that is asked for: `.rev()` starts
    /// at the highest score.
    pub fn range(
        &self,
        ranks: impl RangeBounds<usize>,
    ) -> Result<impl DoubleEndedIterator<Item = (Vec<u8>, f64)> + ExactSizeIterator> {
        let len = self.len()?;
        let (start, end) = indexes(&ranks);
        Ok(Pages::<Ranked>::new(&self.db, self.key, start.min(len), end.min(len)))
    }

    /// The members whose score is in this range, otherwise as [`SortedSet::range`].
    pub fn range_by_score(
        &self,
        scores: impl RangeBounds<f64>,
    ) -> Result<impl DoubleEndedIterator<Item = (Vec<u8>, f64)> + ExactSizeIterator> {
        let (lowest, highest) = score_bounds(&scores);
        self.between("ZCOUNT", "-inf", lowest, highest, lowest_not_in(&scores))
    }

    /// The members in this range of their own order, of a set whose scores are all the same; otherwise as
    /// [`SortedSet::range`].
    pub fn range_by_member<M: AsRef<[u8]>>(
        &self,
        members: impl RangeBounds<M>,
    ) -> Result<impl DoubleEndedIterator<Item = (Vec<u8>, f64)> + ExactSizeIterator> {
        let bound = |mark: &[u8], member: &M| [mark, member.as_ref()].concat();
        let (first, before) = match members.start_bound() {
            Bound::Included(member) => (bound(b"[", member), Some(bound(b"(", member))),
            Bound::Excluded(member) => (bound(b"(", member), Some(bound(b"[", member))),
            Bound::Unbounded => (b"-".to_vec(), None),
        };
        let last = match members.end_bound() {
            Bound::Included(member) => bound(b"[", member),
            Bound::Excluded(member) => bound(b"(", member),
            Bound::Unbounded => b"+".to_vec(),
        };
        self.between("ZLEXCOUNT", "-", first, last, before)
    }

    /// The number of members whose score is in this range.
    pub fn count(&self, scores: impl RangeBounds<f64>) -> Result<usize> {
        let (lowest, highest) = score_bounds(&scores);
        self.db.ask(self.command("ZCOUNT").arg(lowest).arg(highest))
    }

    /// The number of members.
    pub fn len(&self) -> Result<usize> {
        self.db.ask(self.command("ZCARD"))
    }

    /// Whether it has no member: then there is no such key.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The members from `first` to `last`, by their ranks: paging by rank takes the same time on every page. `before` is
    /// the last bound that lets in only members which stand before the range.
    fn between(
        &self,
        counting: &str,
        least: &str,
        first: impl Argument,
        last: impl Argument,
        before: Option<impl Argument>,
    ) -> Result<Pages<'_, Ranked>> {
        let count: usize = self.db.ask(self.command(counting).arg(first).arg(last))?;
        let start = match before {
            Some(before) if count > 0 => self.db.ask(self.command(counting).arg(least).arg(before))?,
            _ => 0,
        };
        Ok(Pages::new(&self.db, self.key, start, start + count))
    }

    fn command(&self, name: &str) -> Command {
        Command::new(name).arg(self.key)
    }
}

impl SortedSet<'_, &mut Db> {
    /// Adds a member or gives it another score. Whether it is new.
    pub fn add(&mut self, member: impl Argument, score: f64) -> Result<bool> {
        self.db.tell(self.command("ZADD").arg(score).arg(member))
    }

    /// Adds several members, or gives them other scores. How many of them are new.
    pub fn add_all<M: Argument>(&mut self, members: impl IntoIterator<Item = (M, f64)>) -> Result<usize> {
        let members = members.into_iter().map(|(member, score)| (score, member));
        match self.command("ZADD").pairs_if_any(members) {
            Some(command) => self.db.tell(command),
            None => Ok(0),
        }
    }

    /// Adds to the score of a member, 0 when it is none yet. The sum.
    pub fn increment(&mut self, member: impl Argument, delta: f64) -> Result<f64> {
        self.db.tell(self.command("ZINCRBY").arg(delta).arg(member))
    }

    /// Removes a member. Whether it was one.
    pub fn remove(&mut self, member: impl Argument) -> Result<bool> {
        self.db.tell(self.command("ZREM").arg(member))
    }

    /// Removes several members. How many of them were there.
    pub fn remove_all<M: Argument>(&mut self, members: impl IntoIterator<Item = M>) -> Result<usize> {
        match self.command("ZREM").args_if_any(members) {
            Some(command) => self.db.tell(command),
            None => Ok(0),
        }
    }

    /// Removes the members of these ranks. How many there were.
    pub fn remove_range(&mut self, ranks: impl RangeBounds<usize>) -> Result<usize> {
        let (first, last) = inclusive(&ranks);
        self.db.tell(self.command("ZREMRANGEBYRANK").arg(first).arg(last))
    }

    /// Removes the members whose score is in this range. How many there were.
    pub fn remove_range_by_score(&mut self, scores: impl RangeBounds<f64>) -> Result<usize> {
        let (lowest, highest) = score_bounds(&scores);
        self.db.tell(self.command("ZREMRANGEBYSCORE").arg(lowest).arg(highest))
    }

    /// Takes away the member with the lowest score.
    pub fn pop_min(&mut self) -> Result<Option<(Vec<u8>, f64)>> {
        self.db.tell(self.command("ZPOPMIN"))
    }

    /// Takes away the member with the highest score.
    pub fn pop_max(&mut self) -> Result<Option<(Vec<u8>, f64)>> {
        self.db.tell(self.command("ZPOPMAX"))
    }
}

/// Both bounds as the server reads them.
fn score_bounds(scores: &impl RangeBounds<f64>) -> (String, String) {
    let bound = |bound: Bound<&f64>, infinite: &str| match bound {
        Bound::Included(score) => format!("{score}"),
        Bound::Excluded(score) => format!("({score}"),
        Bound::Unbounded => infinite.into(),
    };
    (bound(scores.start_bound(), "-inf"), bound(scores.end_bound(), "+inf"))
}

/// The upper bound of the scores that are too low; `None` when none is.
fn lowest_not_in(scores: &impl RangeBounds<f64>) -> Option<String> {
    match scores.start_bound() {
        Bound::Included(score) => Some(format!("({score}")),
        Bound::Excluded(score) => Some(format!("{score}")),
        Bound::Unbounded => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_scores_are_written_as_the_server_reads_them() {
        let check = |bounds: (String, String), lowest: &str, highest: &str| {
            assert_eq!((&*bounds.0, &*bounds.1), (lowest, highest));
        };
        check(score_bounds(&(..)), "-inf", "+inf");
        check(score_bounds(&(1.5..2.0)), "1.5", "(2");
        check(score_bounds(&(-1.0..=f64::INFINITY)), "-1", "inf");
        check(score_bounds(&(Bound::Excluded(1e21), Bound::Unbounded)), "(1000000000000000000000", "+inf");
    }
}
