//! What the attributes make of a function.

use crate::{Db, Event, Input, Reply, Result};

/// A function that clients call. `#[procedure]` implements it for a type with the function's name.
pub trait Procedure {
    /// The name of the export.
    const NAME: &'static str;
    /// The names of the parameters and their number, for the error of a call with too few or too many.
    const USAGE: &'static str;

    /// Parses the parameters and calls the function.
    fn invoke(db: &mut Db, input: &mut Input<'_>) -> Result<Reply>;
}

/// A function that runs when keys change. `#[trigger]` implements it for a type with the function's name.
pub trait Trigger {
    /// The name of the trigger.
    const NAME: &'static str;
    /// As in `TRIGGER CREATE`: `name [ASYNC] ON event[,event...] KEYS pattern [DB n] CALL function [option ...]`.
    const DECLARATION: &'static str;

    /// Calls the function.
    fn invoke(db: &mut Db, event: &Event) -> Result<()>;
}
