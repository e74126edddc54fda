//! Hashes: fields with a value each.

use alloc::vec::Vec;
use core::ops::Deref;

use super::scan::Scan;
use crate::{Argument, Command, Db, Result};

/// The hash at a key, from [`Db::hash`] or [`Db::hash_mut`].
///
/// ```
/// # let mut db = kvasm_sdk::Db::test();
/// let mut user = db.hash_mut(b"user:1");
/// user.set_all([("name", "Ada"), ("city", "London")])?;
/// assert_eq!(user.increment("visits", 1)?, 1);
/// assert_eq!(db.hash(b"user:1").get("name")?.as_deref(), Some(b"Ada".as_slice()));
/// # Ok::<(), kvasm_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct Hash<'a, D> {
    pub(super) db: D,
    pub(super) key: &'a [u8],
}

impl<D: Deref<Target = Db>> Hash<'_, D> {
    /// The value of a field; `None` when there is no such field.
    pub fn get(&self, field: impl Argument) -> Result<Option<Vec<u8>>> {
        self.db.ask(self.command("HGET").arg(field))
    }

    /// The values of several fields, in their order.
    pub fn get_many<F: Argument>(&self, fields: impl IntoIterator<Item = F>) -> Result<Vec<Option<Vec<u8>>>> {
        let command = self.command("HMGET");
        match command.args_if_any(fields) {
            Some(command) => self.db.ask(command),
            None => Ok(Vec::new()),
        }
    }

    /// All fields with their values at once, in no order. See [`Hash::iter`] for hashes of many.
    pub fn get_all(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.db.ask(self.command("HGETALL"))
    }

    /// All fields with their values, fetched in pages, in no order.
    pub fn iter(&self) -> Result<impl Iterator<Item = (Vec<u8>, Vec<u8>)>> {
        let mut words = Scan::new(&self.db, "HSCAN", self.key)?;
        Ok(core::iter::from_fn(move || Some((words.next()?, words.next()?))))
    }

    /// All fields at once, in no order.
    pub fn fields(&self) -> Result<Vec<Vec<u8>>> {
        self.db.ask(self.command("HKEYS"))
    }

    /// All values at once, in no order.
    pub fn values(&self) -> Result<Vec<Vec<u8>>> {
        self.db.ask(self.command("HVALS"))
    }

    /// Whether there is such a field.
    pub fn contains(&self, field: impl Argument) -> Result<bool> {
        self.db.ask(self.command("HEXISTS").arg(field))
    }

    /// The number of fields.
    pub fn len(&self) -> Result<usize> {
        self.db.ask(self.command("HLEN"))
    }

    /// Whether it has no field: then there is no such key.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    fn command(&self, name: &str) -> Command {
        Command::new(name).arg(self.key)
    }
}

impl Hash<'_, &mut Db> {
    /// Sets the value of a field. Whether the field is new.
    pub fn set(&mut self, field: impl Argument, value: impl Argument) -> Result<bool> {
        self.db.tell(self.command("HSET").arg(field).arg(value))
    }

    /// Sets several fields. How many of them are new.
    pub fn set_all<F: Argument, V: Argument>(
        &mut self,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<usize> {
        match self.command("HSET").pairs_if_any(fields) {
            Some(command) => self.db.tell(command),
            None => Ok(0),
        }
    }

    /// Sets a field that does not exist. Whether it did so.
    pub fn set_if_absent(&mut self, field: impl Argument, value: impl Argument) -> Result<bool> {
        self.db.tell(self.command("HSETNX").arg(field).arg(value))
    }

    /// Adds to the integer in a field, 0 when it does not exist. The sum.
    pub fn increment(&mut self, field: impl Argument, delta: i64) -> Result<i64> {
        self.db.tell(self.command("HINCRBY").arg(field).arg(delta))
    }

    /// Deletes a field. Whether it existed.
    pub fn delete(&mut self, field: impl Argument) -> Result<bool> {
        self.db.tell(self.command("HDEL").arg(field))
    }

    /// Deletes several fields. How many of them existed.
    pub fn delete_all<F: Argument>(&mut self, fields: impl IntoIterator<Item = F>) -> Result<usize> {
        match self.command("HDEL").args_if_any(fields) {
            Some(command) => self.db.tell(command),
            None => Ok(0),
        }
    }
}
