//! Which delivery of a queue may start next: an index in memory, made anew at each start.
//!
//! The deliveries of one key form a *lane*: they are made in their order, one at a time. A lane waits in a row with the
//! others, runs, or rests until its first delivery is tried again. Knows nothing but numbers: lanes, ids and times.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::types::stream::StreamId;

/// A database and a key, as a hash. Two keys in one lane would only wait for each other.
pub type Lane = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the row of those that may start.
    Ready,
    /// Its first delivery is being made.
    Running,
    /// Until then, in milliseconds of unix time.
    Resting(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    id: StreamId,
    state: State,
}

/// See the module's description. What can be undone is undone in the opposite order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The first delivery of each lane. There may be a million, and a tree never stops to grow all at once.
    lanes: BTreeMap<Lane, First>,
    /// Those behind it. Most lanes have none, and are not here.
    behind: BTreeMap<Lane, VecDeque<StreamId>>,
    ready: VecDeque<Lane>,
    resting: BTreeSet<(u64, Lane)>,
    running: usize,
}

impl Index {
    /// How many deliveries are being made.
    pub fn running(&self) -> usize {
        self.running
    }

    /// When the next lane has rested enough, in milliseconds of unix time.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.resting.first().map(|(due_ms, _)| *due_ms)
    }

    /// Adds a delivery behind all others of its lane. If it is the first, it rests until `due_ms`; 0 does not.
    pub fn push(&mut self, lane: Lane, id: StreamId, due_ms: u64) {
        if self.lanes.contains_key(&lane) {
            self.behind.entry(lane).or_default().push_back(id);
            return;
        }
        let state = if due_ms == 0 {
            self.ready.push_back(lane);
            State::Ready
        } else {
            self.resting.insert((due_ms, lane));
            State::Resting(due_ms)
        };
        self.lanes.insert(lane, First { id, state });
    }

    /// Undoes [`Self::push`] without a time to rest.
    pub fn undo_push(&mut self, lane: Lane) {
        if self.pop_behind(lane, VecDeque::pop_back).is_none() {
            self.lanes.remove(&lane);
            self.ready.pop_back();
        }
    }

    /// The last delivery of a lane, unless that is being made.
    pub fn last_waiting(&self, lane: Lane) -> Option<StreamId> {
        let last = self.behind.get(&lane).and_then(|behind| behind.back().copied());
        last.or_else(|| Some(self.lanes.get(&lane).filter(|first| first.state != State::Running)?.id))
    }

    /// Puts a new delivery in the place of the last one of a lane, which waits. Gives until when it would have rested,
    /// or 0: it rests no more.
    pub fn replace_last(&mut self, lane: Lane, id: StreamId) -> u64 {
        if let Some(last) = self.behind.get_mut(&lane).and_then(VecDeque::back_mut) {
            *last = id;
            return 0;
        }
        let Some(first) = self.lanes.get_mut(&lane) else { return 0 };
        first.id = id;
        let State::Resting(due_ms) = first.state else { return 0 };
        first.state = State::Ready;
        self.resting.remove(&(due_ms, lane));
        self.ready.push_back(lane);
        due_ms
    }

    /// Undoes [`Self::replace_last`], which gave `due_ms`.
    pub fn undo_replace_last(&mut self, lane: Lane, id: StreamId, due_ms: u64) {
        if let Some(last) = self.behind.get_mut(&lane).and_then(VecDeque::back_mut) {
            *last = id;
            return;
        }
        let Some(first) = self.lanes.get_mut(&lane) else { return };
        first.id = id;
        if due_ms > 0 {
            first.state = State::Resting(due_ms);
            self.ready.pop_back();
            self.resting.insert((due_ms, lane));
        }
    }

    /// Takes the lane that has waited longest, whose first delivery is being made from now on.
    pub fn start(&mut self) -> Option<(Lane, StreamId)> {
        let lane = self.ready.pop_front()?;
        let first = self.lanes.get_mut(&lane)?;
        first.state = State::Running;
        self.running += 1;
        Some((lane, first.id))
    }

    /// Whether that delivery is being made.
    pub fn is_running(&self, lane: Lane, id: StreamId) -> bool {
        self.lanes.get(&lane).is_some_and(|first| first.id == id && first.state == State::Running)
    }

    /// Removes the delivery of a lane that is being made; the next one of the lane goes to the end of the row.
    pub fn finish(&mut self, lane: Lane) {
        self.running -= 1;
        match self.pop_behind(lane, VecDeque::pop_front) {
            Some(id) => {
                self.lanes.insert(lane, First { id, state: State::Ready });
                self.ready.push_back(lane);
            }
            None => drop(self.lanes.remove(&lane)),
        }
    }

    /// Undoes [`Self::finish`].
    pub fn undo_finish(&mut self, lane: Lane, id: StreamId) {
        self.running += 1;
        if let Some(next) = self.lanes.insert(lane, First { id, state: State::Running }) {
            self.behind.entry(lane).or_default().push_front(next.id);
            self.ready.pop_back();
        }
    }

    /// Lets the lane of a delivery that is being made rest: it will be made again.
    pub fn rest(&mut self, lane: Lane, due_ms: u64) {
        let Some(first) = self.lanes.get_mut(&lane) else { return };
        self.running -= 1;
        first.state = State::Resting(due_ms);
        self.resting.insert((due_ms, lane));
    }

    /// Puts the lanes that have rested enough at the end of the row.
    pub fn wake(&mut self, now_ms: u64) {
        while let Some((due_ms, lane)) = self.resting.first().copied()
            && due_ms <= now_ms
        {
            self.resting.pop_first();
            if let Some(first) = self.lanes.get_mut(&lane) {
                first.state = State::Ready;
                self.ready.push_back(lane);
            }
        }
    }

    fn pop_behind(
        &mut self,
        lane: Lane,
        pop: impl FnOnce(&mut VecDeque<StreamId>) -> Option<StreamId>,
    ) -> Option<StreamId> {
        let behind = self.behind.get_mut(&lane)?;
        let id = pop(behind);
        if behind.is_empty() {
            self.behind.remove(&lane);
        }
        id
    }
}
