//! The event that a trigger is about.

use alloc::string::String;
use alloc::vec::Vec;

#[cfg(target_arch = "wasm32")]
use crate::guest::Values;
#[cfg(not(target_arch = "wasm32"))]
use crate::native::Values;

/// A change of a key.
#[derive(Debug)]
pub struct Event {
    pub(crate) name: String,
    pub(crate) key: Vec<u8>,
    pub(crate) database: u32,
    pub(crate) values: Values,
}

impl Event {
    /// What happened: `set`, `del`, `expired` ..., as in keyspace notifications.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The number of the database that holds the key.
    #[must_use]
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The value before the event; `None` when the key did not exist, or held a value with elements, or, in an asynchronous
    /// trigger, one of more than 16 KiB. Copied when it is asked for.
    #[must_use]
    pub fn before(&self) -> Option<Vec<u8>> {
        self.values.before()
    }

    /// The value after the event; `None` when the key does not exist any more, or holds a value with elements, or, in an
    /// asynchronous trigger, one of more than 16 KiB. Copied when it is asked for.
    ///
    /// [`Db::get`](crate::Db::get) shows the present instead: a later event may have changed the key again.
    #[must_use]
    pub fn after(&self) -> Option<Vec<u8>> {
        self.values.after()
    }

    /// The elements of a hash, list, set, sorted set or stream that the event is about: fields, indexes in decimal,
    /// members, ids of entries. None where the event is about the whole value, such as `del`. Each is copied when it is
    /// asked for.
    ///
    /// ```
    /// # use kvasm_sdk::prelude::*;
    /// #[trigger(on = "hset,hincrby", keys = "cart:*")]
    /// fn count_changes(db: &mut Db, event: &Event) -> Result<()> {
    ///     for field in event.elements() {
    ///         db.hash_mut(b"changes").increment(field, 1)?;
    ///     }
    ///     Ok(())
    /// }
    /// # let mut db = Db::test();
    /// # db.install::<count_changes>();
    /// # db.execute(Command::new("HSET").args(["cart:1", "tea", "2", "jam", "1"]))?;
    /// # assert_eq!(db.hash(b"changes").get("jam")?.as_deref(), Some(b"1".as_slice()));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn elements(&self) -> impl ExactSizeIterator<Item = Vec<u8>> {
        self.values.elements()
    }
}
