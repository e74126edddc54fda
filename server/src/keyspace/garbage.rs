//! Freeing what takes long on another thread, so that nobody waits for it.

use super::Entry;
use super::limits::FREED_AT_ONCE;
use crate::types::Value;

/// Frees a database on another thread: it may hold millions of keys, or few with millions of elements.
pub fn discard_database(database: Box<super::Database>) {
    if database.table.len() > 0 {
        free(database);
    }
}

/// Frees an entry; if its value is big, on another thread.
pub fn discard(entry: Box<Entry>) {
    if entry.value.elements() > FREED_AT_ONCE {
        free(entry);
    }
}

/// Frees a value; if it is big, on another thread.
pub fn discard_value(value: Value) {
    if value.elements() > FREED_AT_ONCE {
        free(value);
    }
}

/// Frees something on another thread.
pub fn free<T: Send + 'static>(garbage: T) {
    #[cfg(test)]
    FREED.set(FREED.get() + 1);
    // If no thread can be started, this frees the garbage here: slower, but correct.
    let _ = std::thread::Builder::new().name("free".into()).spawn(move || drop(garbage));
}

#[cfg(test)]
thread_local! {
    /// How much this thread has given away to be freed.
    pub static FREED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
