//! Elements without an order, fetched in pages by a cursor.

use alloc::vec;
use alloc::vec::Vec;

use crate::{Command, Db, Result};

/// About how many elements a page has.
const PAGE: u32 = 256;

/// The words of the pages that a scanning command gives, one after the other.
pub struct Scan<'a> {
    db: &'a Db,
    command: &'static str,
    key: &'a [u8],
    /// `None` after the last page.
    cursor: Option<Vec<u8>>,
    page: vec::IntoIter<Vec<u8>>,
}

impl<'a> Scan<'a> {
    /// Starts `HSCAN` or `SSCAN`. `Err` when the value is of another type.
    pub fn new(db: &'a Db, command: &'static str, key: &'a [u8]) -> Result<Self> {
        let mut scan = Self { db, command, key, cursor: Some(b"0".into()), page: Vec::new().into_iter() };
        scan.fetch()?;
        Ok(scan)
    }

    /// The next page, of which there must be one.
    fn fetch(&mut self) -> Result<()> {
        let Some(cursor) = self.cursor.take() else { return Ok(()) };
        let command = Command::new(self.command).arg(self.key).arg(cursor).arg("COUNT").arg(PAGE);
        let (cursor, page): (Vec<u8>, Vec<Vec<u8>>) = self.db.ask(command)?;
        self.cursor = Some(cursor).filter(|cursor| cursor != b"0");
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Scan<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(word) = self.page.next() {
                return Some(word);
            }
            self.cursor.as_ref()?;
            // The type of the value is known by now: nothing but want of memory or the end of the call makes this fail.
            self.fetch().unwrap_or_else(|error| self.db.abort(error));
        }
    }
}
