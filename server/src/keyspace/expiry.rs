//! Keys whose time to live has ended.

use super::event::events;
use super::table::Place;
use super::{Key, Keyspace};

impl Keyspace {
    /// The resident key that is due first, if any is due.
    #[must_use]
    pub fn next_due(&self) -> Option<(u8, Key)> {
        self.databases.iter().enumerate().find_map(|(number, database)| {
            let (at, key) = database.expiries.first()?;
            (*at < self.now_ms).then(|| (number as u8, key.clone()))
        })
    }

    /// When the next resident key is due, in milliseconds of unix time.
    #[must_use]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.databases.iter().filter_map(|database| Some(database.expiries.first()?.0)).min()
    }

    /// Deletes a key that is due.
    pub(super) fn expire(&mut self, database: u8, place: Place) {
        self.statistics.expired += 1;
        self.remove_at(database, place, events::EXPIRED);
    }
}
