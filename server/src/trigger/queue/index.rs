//! Which delivery of a queue may start next: an index in memory, rebuilt at each start.
//!
//! The deliveries of one key form a *lane*: they run in order, one at a time. A lane is ready and waits for its turn,
//! runs, or rests until its first delivery is tried again. Knows only numbers: lanes, ids and times.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::types::stream::StreamId;

/// The hash of a database and a key. If two keys share a lane, they only wait for each other.
pub type Lane = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for its turn.
    Ready,
    /// Its first delivery runs.
    Running,
    /// Rests until this time, in milliseconds of unix time.
    Resting(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    id: StreamId,
    state: State,
}

/// See the module's description. Changes must be undone in reverse order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The first delivery of each lane. There may be a million lanes, and unlike a hash table a tree never pauses to
    /// grow.
    lanes: BTreeMap<Lane, First>,
    /// The deliveries behind the first one. Most lanes have none and are not in here.
    behind: BTreeMap<Lane, VecDeque<StreamId>>,
    ready: VecDeque<Lane>,
    resting: BTreeSet<(u64, Lane)>,
    running: usize,
}

impl Index {
    /// How many deliveries run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// When the next resting lane becomes ready, in milliseconds of unix time.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.resting.first().map(|(due_ms, _)| *due_ms)
    }

    /// Adds a delivery at the end of its lane. If it is the first one, the lane rests until `due_ms`, unless that is 0.
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

    /// Undoes a [`Self::push`] whose `due_ms` was 0.
    pub fn undo_push(&mut self, lane: Lane) {
        if self.pop_behind(lane, VecDeque::pop_back).is_none() {
            self.lanes.remove(&lane);
            self.ready.pop_back();
        }
    }

    /// The last delivery of a lane, unless it runs.
    pub fn last_waiting(&self, lane: Lane) -> Option<StreamId> {
        let last = self.behind.get(&lane).and_then(|behind| behind.back().copied());
        last.or_else(|| Some(self.lanes.get(&lane).filter(|first| first.state != State::Running)?.id))
    }

    /// Replaces the last delivery of a lane, which must not run. Returns the time at which the lane would have been
    /// retried, or 0 if it was not resting; it is ready now.
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

    /// Undoes a [`Self::replace_last`] that returned `due_ms`.
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

    /// Starts the first delivery of the lane that has been ready for longest.
    pub fn start(&mut self) -> Option<(Lane, StreamId)> {
        let lane = self.ready.pop_front()?;
        let first = self.lanes.get_mut(&lane)?;
        first.state = State::Running;
        self.running += 1;
        Some((lane, first.id))
    }

    /// Whether this delivery runs.
    pub fn is_running(&self, lane: Lane, id: StreamId) -> bool {
        self.lanes.get(&lane).is_some_and(|first| first.id == id && first.state == State::Running)
    }

    /// Removes the running delivery of a lane; if the lane has another one, it is ready and waits behind all others.
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

    /// Ends a try: the lane rests until its delivery is tried again.
    pub fn rest(&mut self, lane: Lane, due_ms: u64) {
        let Some(first) = self.lanes.get_mut(&lane) else { return };
        self.running -= 1;
        first.state = State::Resting(due_ms);
        self.resting.insert((due_ms, lane));
    }

    /// Makes the lanes ready whose rest is over.
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
