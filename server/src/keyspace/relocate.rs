//! Giving a ready value to a key: RENAME, MOVE, COPY and RESTORE.
//!
//! As in Redis, the new key counts as created even if it replaces another, and the events follow after both changes.

use super::event::events;
use super::garbage::discard_value;
use super::{Content, Error, EventKind, Expiry, Keyspace};
use crate::types::Value;

/// A key with the number of its database.
pub type Address<'a> = (u8, &'a [u8]);

impl Keyspace {
    /// Copies a key's value and time to live to a different key; `false` if the source does not exist.
    pub fn copy_key(
        &mut self,
        source: Address<'_>,
        target: Address<'_>,
        event: EventKind,
    ) -> Result<bool, Error> {
        let Some((value, expiry)) = self.source_of(source)? else { return Ok(false) };
        let replaced = self.put_silently(target, &value, expiry)?;
        self.raise_arrival(target, event, replaced, value);
        Ok(true)
    }

    /// Like [`Self::copy_key`], but also deletes the source.
    pub fn move_key(
        &mut self,
        source: Address<'_>,
        target: Address<'_>,
        left: EventKind,
        arrived: EventKind,
    ) -> Result<bool, Error> {
        let Some((value, expiry)) = self.source_of(source)? else { return Ok(false) };
        let replaced = self.put_silently(target, &value, expiry)?;
        self.delete(source.0, source.1, left)?;
        self.raise_arrival(target, arrived, replaced, value);
        Ok(true)
    }

    /// Puts a value in, in the place of what the key has held.
    pub fn put_new(
        &mut self,
        target: Address<'_>,
        value: Value,
        expiry: Expiry,
        event: EventKind,
    ) -> Result<(), Error> {
        let replaced = self.put_silently(target, &value, expiry)?;
        self.raise_arrival(target, event, replaced, value);
        Ok(())
    }

    fn source_of(&mut self, (database, key): Address<'_>) -> Result<Option<(Value, Expiry)>, Error> {
        Ok(self.peek(database, key)?.map(|entry| {
            let expiry = entry.expires_at_ms().map_or(Expiry::Clear, Expiry::At);
            (entry.value.clone(), expiry)
        }))
    }

    /// Stores a value and returns the one that it replaces. Raises only the event of the creation.
    fn put_silently(
        &mut self,
        (database, key): Address<'_>,
        value: &Value,
        expiry: Expiry,
    ) -> Result<Option<Value>, Error> {
        let replaced = self.take(database, key, events::SILENT)?;
        self.set(database, key, Content::Value(value.clone()), expiry, events::SILENT)?;
        Ok(replaced.map(|entry| entry.value))
    }

    fn raise_arrival(
        &mut self,
        (database, key): Address<'_>,
        event: EventKind,
        replaced: Option<Value>,
        value: Value,
    ) {
        let wants_values = self.journal.wants_values();
        let (before, unwanted) = if wants_values { (replaced, None) } else { (None, replaced) };
        self.raise(event, database, key, before, wants_values.then_some(value));
        if let Some(value) = unwanted {
            discard_value(value);
        }
    }
}
