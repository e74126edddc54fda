//! Triggers: rules of the form "when this event happens on keys like this, call that function".
//!
//! Owns definitions, their text and stored form, and matching. Does not run anything: the engine does, in the
//! transaction that raised the event.

mod definition;
mod registry;

pub use definition::{Definition, DefinitionError};
pub use registry::{Counts, Trigger, Triggers};
