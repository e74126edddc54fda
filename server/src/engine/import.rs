//! Moving in: reading a database file of Redis into an empty data directory.

use std::io::Read;

use super::limits::IMPORTED_KEYS_PER_TURN;
use super::{Shared, Wait};
use crate::command;
use crate::keyspace::{self, Content, Expiry, events};
use crate::rdb;

/// What an import has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Keys that are there now.
    pub keys: u64,
    /// Keys whose time to live had ended.
    pub expired: u64,
    /// Libraries of Lua functions that were passed over.
    pub libraries: u64,
    /// Bytes of the file that have been read.
    pub bytes: u64,
}

/// Takes every key of a file in, each as a transaction of its own, no faster than the log takes them. `progress` is told
/// now and then. What was taken in before an error stays.
pub async fn import<R: Read>(
    engine: &Shared,
    file: rdb::File<R>,
    progress: impl FnMut(&Imported),
) -> Result<Imported, String> {
    if engine.borrow().key_count() > 0 {
        return Err("the data directory has keys already: give an empty one with --dir".into());
    }
    take_all(engine, file, progress).await.map_err(|error| {
        let directory = engine.borrow().options().dir.clone();
        format!("{error}\nthe data directory '{directory}' is incomplete: delete it before another try")
    })
}

async fn take_all<R: Read>(
    engine: &Shared,
    mut file: rdb::File<R>,
    mut progress: impl FnMut(&Imported),
) -> Result<Imported, String> {
    let mut imported = Imported::default();
    while let Some(entry) = file.next() {
        let name = |entry: &rdb::Entry| String::from_utf8_lossy(&entry.key).into_owned();
        let entry = entry.map_err(|error| format!("at byte {}: {error}", file.position()))?;
        let key = name(&entry);
        let is_there =
            engine.borrow_mut().import_key(entry).map_err(|reason| format!("key '{key}': {reason}"))?;
        if is_there {
            imported.keys += 1;
        } else {
            imported.expired += 1;
        }
        (imported.libraries, imported.bytes) = (file.libraries, file.position());
        if (imported.keys + imported.expired).is_multiple_of(IMPORTED_KEYS_PER_TURN) {
            progress(&imported);
            wait_for_room(engine).await?;
        }
    }
    Ok(imported)
}

/// Waits until the log has room; an error if it takes nothing any more.
async fn wait_for_room(engine: &Shared) -> Result<(), String> {
    let signals = engine.borrow().signals();
    // The tasks that take groups to the log run now.
    tokio::task::yield_now().await;
    loop {
        let mut told = std::pin::pin!(signals.writable.notified());
        told.as_mut().enable();
        if let Some(failure) = engine.borrow().import_failure() {
            return Err(failure);
        }
        if engine.borrow().is_over(&Wait::Writable) {
            return Ok(());
        }
        told.await;
    }
}

impl super::Engine {
    /// Why what is taken in from now on could not be kept.
    fn import_failure(&self) -> Option<String> {
        self.fatal().map(str::to_owned).or_else(|| self.core_ref().write_failure())
    }

    /// Takes one key in; says whether it is there, which it is not if its time to live has ended.
    fn import_key(&mut self, entry: rdb::Entry) -> Result<bool, String> {
        self.clock.restart();
        let now_us = self.clock.unix_us();
        let core = self.core();
        core.keyspace.begin(now_us);
        let database = u8::try_from(entry.database).ok().filter(|number| *number < core.keyspace.databases());
        let database = database.ok_or_else(|| format!("there is no database {}", entry.database))?;
        if entry.expires_at_ms.is_some_and(|at| at < core.keyspace.now_ms()) {
            return Ok(false);
        }
        let value = command::stored(entry.value, &core.server.options).ok_or("it has an element twice")?;
        let expiry = entry.expires_at_ms.map_or(Expiry::Clear, Expiry::At);
        match core.keyspace.set(database, &entry.key, Content::Value(value), expiry, events::RESTORE) {
            Ok(()) => {}
            // Nothing is on disk only: the directory was empty.
            Err(keyspace::Error::NotResident(_) | keyspace::Error::WrongType) => {
                return Err("it is on disk".into());
            }
        }
        self.finish_transaction(None);
        self.request_flush();
        Ok(true)
    }
}
