//! Sets: members without order, each once.

use alloc::vec::Vec;
use core::ops::Deref;

use super::scan::Scan;
use crate::{Argument, Command, Db, Result};

/// The set at a key, from [`Db::set`] or [`Db::set_mut`].
///
/// ```
/// # let mut db = kvasm_sdk::Db::test();
/// let mut tags = db.set_mut(b"tags");
/// assert!(tags.add("rust")?);
/// assert!(!tags.add("rust")?);
/// assert!(db.set(b"tags").contains("rust")?);
/// # Ok::<(), kvasm_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct Set<'a, D> {
    pub(super) db: D,
    pub(super) key: &'a [u8],
}

impl<D: Deref<Target = Db>> Set<'_, D> {
    /// Whether it is a member.
    pub fn contains(&self, member: impl Argument) -> Result<bool> {
        self.db.ask(self.command("SISMEMBER").arg(member))
    }

    /// Which of these are members, in their order.
    pub fn contains_each<M: Argument>(&self, members: impl IntoIterator<Item = M>) -> Result<Vec<bool>> {
        match self.command("SMISMEMBER").args_if_any(members) {
            Some(command) => self.db.ask(command),
            None => Ok(Vec::new()),
        }
    }

    /// All members at once, in no order. See [`Set::iter`] for sets of many.
    pub fn members(&self) -> Result<Vec<Vec<u8>>> {
        self.db.ask(self.command("SMEMBERS"))
    }

    /// All members, fetched in pages, in no order.
    pub fn iter(&self) -> Result<impl Iterator<Item = Vec<u8>>> {
        Scan::new(&self.db, "SSCAN", self.key)
    }

    /// A member by chance; `None` when there is none.
    pub fn random(&self) -> Result<Option<Vec<u8>>> {
        self.db.ask(self.command("SRANDMEMBER"))
    }

    /// The members of this set and of those at `keys`.
    pub fn union<K: Argument>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Vec<u8>>> {
        self.db.ask(self.command("SUNION").args(keys))
    }

    /// The members that this set and all those at `keys` have.
    pub fn intersection<K: Argument>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Vec<u8>>> {
        self.db.ask(self.command("SINTER").args(keys))
    }

    /// The members of this set that none of those at `keys` has.
    pub fn difference<K: Argument>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Vec<u8>>> {
        self.db.ask(self.command("SDIFF").args(keys))
    }

    /// The number of members.
    pub fn len(&self) -> Result<usize> {
        self.db.ask(self.command("SCARD"))
    }

    /// Whether it has no member: then there is no such key.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    fn command(&self, name: &str) -> Command {
        Command::new(name).arg(self.key)
    }
}

impl Set<'_, &mut Db> {
    /// Adds a member. Whether it is new.
    pub fn add(&mut self, member: impl Argument) -> Result<bool> {
        self.db.tell(self.command("SADD").arg(member))
    }

    /// Adds several members. How many of them are new.
    pub fn add_all<M: Argument>(&mut self, members: impl IntoIterator<Item = M>) -> Result<usize> {
        match self.command("SADD").args_if_any(members) {
            Some(command) => self.db.tell(command),
            None => Ok(0),
        }
    }

    /// Removes a member. Whether it was one.
    pub fn remove(&mut self, member: impl Argument) -> Result<bool> {
        self.db.tell(self.command("SREM").arg(member))
    }

    /// Removes several members. How many of them were there.
    pub fn remove_all<M: Argument>(&mut self, members: impl IntoIterator<Item = M>) -> Result<usize> {
        match self.command("SREM").args_if_any(members) {
            Some(command) => self.db.tell(command),
            None => Ok(0),
        }
    }

    /// Takes a member away, by chance.
    pub fn pop(&mut self) -> Result<Option<Vec<u8>>> {
        self.db.tell(self.command("SPOP"))
    }

    /// Takes a member away and adds it to the set at another key. Whether it was a member.
    pub fn move_to(&mut self, other: &[u8], member: impl Argument) -> Result<bool> {
        self.db.tell(self.command("SMOVE").arg(other).arg(member))
    }
}
