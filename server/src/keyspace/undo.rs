//! Undo: the old roots of changed keys, kept while a transaction may still be taken back.
//!
//! A value clones in O(1), so saving it before a change is cheap. Values are saved only while a savepoint is open, so
//! plain commands pay nothing.

use std::collections::VecDeque;

use super::entry::Stamp;
use super::garbage::free;
use super::limits::{ELEMENTS_PER_KEY, FREED_AT_ONCE};
use super::{Entry, Key};
use crate::store::{Databases, SystemTable};

/// One transaction opens fewer savepoints than this: each needs a command or a trigger of its own.
const MAX_OPEN_SAVEPOINTS: u64 = 1 << 32;

/// A key as it was before a change.
#[derive(Debug)]
pub(super) struct Saved {
    pub database: u8,
    pub key: Key,
    /// `None`: the key did not exist.
    pub entry: Option<Box<Entry>>,
}

/// What one step of a transaction changed, and what was there before.
#[derive(Debug)]
pub(super) enum Step {
    /// A key changed, came or went.
    Key(Saved),
    /// A whole database was emptied.
    Flush { database: u8, before: Box<super::Database>, storages: Box<Databases> },
    /// Two databases were exchanged.
    Swap { first: u8, second: u8 },
    /// A definition was set or removed.
    Definition { name: (SystemTable, Vec<u8>), content: Option<Vec<u8>> },
}

/// The steps of the current transaction since its first savepoint.
#[derive(Debug, Default)]
pub(super) struct UndoLog {
    steps: VecDeque<Step>,
    /// The numbers of the open savepoints. A number is never given twice, so that an entry stamped with it has been
    /// saved since that savepoint was opened, and need not be saved again.
    open: Vec<u64>,
    last_savepoint: u64,
    /// About how many elements will be freed together with the steps.
    garbage: usize,
    /// Steps that are not needed any more and take long to free.
    forgotten: Vec<VecDeque<Step>>,
}

impl UndoLog {
    /// Whether changes are recorded at all.
    pub fn is_recording(&self) -> bool {
        !self.open.is_empty()
    }

    /// The number of the innermost savepoint.
    pub fn savepoint(&self) -> Option<u64> {
        self.open.last().copied()
    }

    /// Whether the numbers are used up and no savepoint is open.
    pub fn is_exhausted(&self) -> bool {
        self.open.is_empty() && self.last_savepoint >= Stamp::MAX_SAVEPOINT - MAX_OPEN_SAVEPOINTS
    }

    /// Starts numbering from 1 again, now that no entry is stamped.
    pub fn restart(&mut self) {
        self.last_savepoint = 0;
    }

    /// Uses up all numbers but the last ones.
    #[cfg(test)]
    pub fn exhaust(&mut self) {
        self.last_savepoint = Stamp::MAX_SAVEPOINT - MAX_OPEN_SAVEPOINTS;
    }

    pub fn push(&mut self, step: Step) {
        self.garbage += match &step {
            Step::Key(_) => ELEMENTS_PER_KEY,
            // Its keys may hold values of any size.
            Step::Flush { .. } => FREED_AT_ONCE,
            Step::Swap { .. } | Step::Definition { .. } => 0,
        };
        self.steps.push_back(step);
    }

    /// Notes that a saved value with this many elements has left the keyspace as a whole.
    pub fn note_garbage(&mut self, elements: usize) {
        self.garbage += elements;
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Which number a database has once all steps are undone.
    pub fn number_before(&self, database: u8) -> u8 {
        self.steps.iter().rev().fold(database, |number, step| match step {
            Step::Swap { first, second } if number == *first => *second,
            Step::Swap { first, second } if number == *second => *first,
            _ => number,
        })
    }

    pub fn open(&mut self) {
        self.last_savepoint += 1;
        self.open.push(self.last_savepoint);
    }

    /// Closes the innermost savepoint. Its steps now belong to the enclosing one; without one, they are dropped.
    pub fn close(&mut self) {
        self.open.pop();
        if self.open.is_empty() {
            let garbage = std::mem::take(&mut self.garbage);
            if garbage < FREED_AT_ONCE {
                self.steps.clear();
            } else if !self.steps.is_empty() {
                self.forgotten.push(std::mem::take(&mut self.steps));
            }
        }
    }

    /// Lets another thread free what takes long. Whoever drops the last clone of a value does the work, so the events
    /// of the transaction, which have clones, must be dropped before.
    pub fn free_forgotten(&mut self) {
        if !self.forgotten.is_empty() {
            free(std::mem::take(&mut self.forgotten));
        }
    }

    /// All steps, the first one first.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// Takes all steps, the first one first, one at a time.
    pub fn pop_first(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Takes the latest step, if there are more than `len`.
    pub fn pop_beyond(&mut self, len: usize) -> Option<Step> {
        if self.steps.len() > len { self.steps.pop_back() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use crate::keyspace::limits::FREED_AT_ONCE;
    use crate::keyspace::{Content, Expiry, Keyspace, events};
    use crate::store::limits::ALL_DATABASES;
    use crate::store::{Databases, Seed};
    use crate::types::{End, ListValue, Recorder};

    fn keyspace_with_list(len: usize) -> Keyspace {
        let mut keyspace = Keyspace::new(Seed::new(1), Databases::new(), &[0; ALL_DATABASES], 0);
        keyspace.begin(1_000_000);
        let elements = vec![&b"element"[..]; len];
        let push =
            |list: &mut ListValue, recorder: &mut dyn Recorder| list.push(End::Right, &elements, recorder);
        keyspace.update_or_create(0, b"list", events::RPUSH, push).expect("resident");
        keyspace.commit();
        keyspace
    }

    /// Whether a change that could be undone leaves something for another thread to free.
    fn is_freed_elsewhere(len: usize, change: impl FnOnce(&mut Keyspace)) -> bool {
        let mut keyspace = keyspace_with_list(len);
        let savepoint = keyspace.savepoint();
        change(&mut keyspace);
        keyspace.release(savepoint);
        keyspace.commit();
        let is_left = !keyspace.undo.forgotten.is_empty();
        assert!(keyspace.undo.steps.is_empty());
        keyspace.free_garbage();
        assert!(keyspace.undo.forgotten.is_empty());
        is_left
    }

    fn delete(keyspace: &mut Keyspace) {
        keyspace.delete(0, b"list", events::DEL).expect("resident");
    }

    fn overwrite(keyspace: &mut Keyspace) {
        let content = Content::String(b"text");
        keyspace.set(0, b"list", content, Expiry::Clear, events::SET).expect("resident");
    }

    fn push_one(keyspace: &mut Keyspace) {
        let push =
            |list: &mut ListValue, recorder: &mut dyn Recorder| list.push(End::Right, &[b"e"], recorder);
        keyspace.update(0, b"list", events::RPUSH, push).expect("resident");
    }

    #[test]
    fn what_takes_long_to_free_is_freed_elsewhere_although_it_could_have_been_undone() {
        assert!(is_freed_elsewhere(FREED_AT_ONCE, delete));
        assert!(is_freed_elsewhere(FREED_AT_ONCE, overwrite));
        assert!(is_freed_elsewhere(10, |keyspace| _ = keyspace.flush(0)));
        assert!(!is_freed_elsewhere(10, delete));
        assert!(!is_freed_elsewhere(FREED_AT_ONCE, push_one), "the list is still there");
    }
}
