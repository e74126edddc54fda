//! Promises of the store as a whole.
