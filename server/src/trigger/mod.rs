//! Triggers: rules of the form "when this event happens on keys like this, call that function".
//!
//! Owns definitions, their text and stored form, and matching; also the queues of triggers that run after the
//! transaction that raised the event. Runs nothing itself: the engine does.

mod arguments;
mod asynchronous;
mod definition;
pub mod queue;
mod registry;

pub use arguments::arguments;
pub use asynchronous::{Asynchronous, MAX_BACKOFF_MS, MAX_CONCURRENCY, MAX_TRIES, WhenFull};
pub use definition::{Definition, DefinitionError};
pub use queue::Queues;
pub use registry::{Counts, Trigger, Triggers};
