//! The WebAssembly side: the gate that modules pass, the instances they run in, the functions they call.
//!
//! Everything that knows wasm3, wasmparser, wasm-encoder or wat is in here. It must not know keys, commands or the
//! encoding of replies: it reaches the data through the trait [`Host`].
//!
//! A module goes `survey` and `effort` (validate, limit) → `graph` and `meter` (what can write, what costs how much) →
//! `rewrite` and `body` (meter, make resettable) → [`Module`]; a call goes [`Runtime`] → `imports` → [`Host`].

mod abi;
mod body;
mod clearing;
mod context;
mod effort;
mod error;
mod graph;
mod host;
mod imports;
pub mod limits;
mod meter;
mod module;
mod rewrite;
mod runtime;
mod survey;
#[cfg(test)]
mod tests;

pub use abi::{EVAL_EXPORT, IMPORT_MODULE, PLACEMENT_SECTION, TRIGGER_SECTION};
pub use context::{CallInput, Control, ProcedureReply, Turn};
pub use error::{CallError, GateError, Trap};
pub use host::{Host, Severity};
pub use limits::Limits;
pub use module::{Module, Placement, Procedure};
pub use runtime::{CallOutcome, Runtime};
