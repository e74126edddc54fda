//! Collects every key that transactions touch, for client-side caching.

use super::Key;

/// What a transaction touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// A key of a database.
    Key(u8, Key),
    /// Every key of some database.
    All,
}

/// Notes what is touched while anybody wants to know; otherwise a change costs one comparison.
#[derive(Debug, Default)]
pub(super) struct Observer {
    is_on: bool,
    /// Touched by the current transaction.
    touched: Vec<Touched>,
    /// Touched by committed transactions, and not taken yet.
    committed: Vec<Touched>,
}

impl Observer {
    pub fn set(&mut self, is_on: bool) {
        if self.is_on != is_on {
            *self = Self { is_on, ..Self::default() };
        }
    }

    pub fn touch(&mut self, database: u8, key: &[u8]) {
        if self.is_on {
            self.touched.push(Touched::Key(database, Key::new(key)));
        }
    }

    pub fn touch_all(&mut self) {
        if self.is_on {
            self.touched.push(Touched::All);
        }
    }

    pub fn touched_len(&self) -> usize {
        self.touched.len()
    }

    pub fn rollback(&mut self, len: usize) {
        self.touched.truncate(len);
    }

    pub fn commit(&mut self) {
        self.committed.append(&mut self.touched);
    }

    pub fn take_committed(&mut self) -> Vec<Touched> {
        std::mem::take(&mut self.committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_committed_while_observed_is_told() {
        let mut observer = Observer::default();
        observer.touch(0, b"before");
        observer.set(true);
        observer.touch(0, b"kept");
        let savepoint = observer.touched_len();
        observer.touch(0, b"undone");
        observer.touch_all();
        observer.rollback(savepoint);
        assert_eq!(observer.take_committed(), []);
        observer.touch_all();
        observer.commit();
        let kept = Touched::Key(0, Key::new(b"kept"));
        assert_eq!(observer.take_committed(), [kept, Touched::All]);
        assert_eq!(observer.take_committed(), []);
        observer.touch(0, b"after");
        observer.set(false);
        observer.commit();
        assert_eq!(observer.take_committed(), []);
    }
}
