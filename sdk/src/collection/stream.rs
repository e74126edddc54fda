//! Streams: entries with ids that grow, each a list of fields and values.

mod id;
mod range;

use alloc::vec::Vec;
use core::ops::{Deref, RangeBounds};

pub use id::StreamId;
use range::Entries;

use crate::from_reply::FromReply;
use crate::{Argument, Command, Db, IntoReply, Reply, Result};

/// The stream at a key, from [`Db::stream`] or [`Db::stream_mut`].
///
/// ```
/// # let mut db = kvasm_sdk::Db::test();
/// let id = db.stream_mut(b"readings").add([("celsius", 21)])?;
/// let last = db.stream(b"readings").range(..)?.next_back();
/// assert_eq!(last.map(|entry| entry.id), Some(id));
/// # Ok::<(), kvasm_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream<'a, D> {
    pub(super) db: D,
    pub(super) key: &'a [u8],
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the stream.
    pub id: StreamId,
    /// Fields and values as they were added.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The value of the first field with that name.
    #[must_use]
    pub fn get(&self, field: impl AsRef<[u8]>) -> Option<&[u8]> {
        let (_, value) = self.fields.iter().find(|(name, _)| name == field.as_ref())?;
        Some(value)
    }
}

impl FromReply for Entry {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (id, words): (StreamId, Vec<Vec<u8>>) = FromReply::from_reply(reply)?;
        let mut words = words.into_iter();
        let fields = core::iter::from_fn(|| Some((words.next()?, words.next()?))).collect();
        Ok(Self { id, fields })
    }
}

/// As in the replies of `XRANGE`: the id, and a list of fields and values in turn.
impl IntoReply for Entry {
    fn into_reply(self) -> Result<Reply> {
        let words = self.fields.into_iter().flat_map(|(field, value)| [field, value]);
        (self.id, words.collect::<Vec<_>>()).into_reply()
    }
}

impl<D: Deref<Target = Db>> Stream<'_, D> {
    /// The entry with this id; `None` when there is none.
    pub fn get(&self, id: StreamId) -> Result<Option<Entry>> {
        let found: Vec<Entry> = self.db.ask(self.command("XRANGE").arg(id).arg(id))?;
        Ok(found.into_iter().next())
    }

    /// The entries whose id is in this range, fetched in pages from the end that is asked for.
    pub fn range(&self, ids: impl RangeBounds<StreamId>) -> Result<impl DoubleEndedIterator<Item = Entry>> {
        // The one call that can fail, since the value may be of another type.
        self.len()?;
        Ok(Entries::new(&self.db, self.key, &ids))
    }

    /// The number of entries.
    pub fn len(&self) -> Result<usize> {
        self.db.ask(self.command("XLEN"))
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    fn command(&self, name: &str) -> Command {
        Command::new(name).arg(self.key)
    }
}

impl Stream<'_, &mut Db> {
    /// Adds an entry behind the last, with an id of the present time. The id. `Err` without any field.
    pub fn add<F: Argument, V: Argument>(
        &mut self,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<StreamId> {
        self.add_as("*", fields)
    }

    /// Adds an entry with this id. `Err` when it is not higher than all that the stream has had, or without any field.
    pub fn add_with_id<F: Argument, V: Argument>(
        &mut self,
        id: StreamId,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<StreamId> {
        self.add_as(id, fields)
    }

    /// Deletes an entry. Whether there was one with this id.
    pub fn delete(&mut self, id: StreamId) -> Result<bool> {
        self.db.tell(self.command("XDEL").arg(id))
    }

    /// Deletes several entries. How many of them there were.
    pub fn delete_all(&mut self, ids: impl IntoIterator<Item = StreamId>) -> Result<usize> {
        match self.command("XDEL").args_if_any(ids) {
            Some(command) => self.db.tell(command),
            None => Ok(0),
        }
    }

    /// Keeps the last `len` entries. How many it removed.
    pub fn trim_to(&mut self, len: usize) -> Result<usize> {
        self.db.tell(self.command("XTRIM").arg("MAXLEN").arg(len))
    }

    /// Removes the entries with lower ids. How many there were.
    pub fn trim_before(&mut self, id: StreamId) -> Result<usize> {
        self.db.tell(self.command("XTRIM").arg("MINID").arg(id))
    }

    fn add_as<F: Argument, V: Argument>(
        &mut self,
        id: impl Argument,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<StreamId> {
        let command = self.command("XADD").arg(id).pairs_if_any(fields);
        self.db.tell(command.ok_or("an entry of a stream needs a field")?)
    }
}
