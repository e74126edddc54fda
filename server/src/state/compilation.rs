//! Uploads on their way through the gate. A big one takes seconds, so a thread beside the engine does it (`engine::gate`),
//! and the request that needs the module waits.
//!
//! A verdict belongs to the requests that wait for it and goes with the last of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use crate::procedure::{GateError, Limits, Module};

/// A module as it was uploaded, and the limits that it has to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Binary or text.
    pub bytes: Box<[u8]>,
    /// The limits when it was uploaded.
    pub limits: Limits,
}

/// An upload, and what the gate says of it.
#[derive(Debug)]
pub struct Compilation {
    upload: Upload,
    verdict: OnceLock<Result<Arc<Module>, GateError>>,
}

impl Compilation {
    /// One that has not been done yet.
    #[must_use]
    pub fn new(upload: Upload) -> Self {
        Self { upload, verdict: OnceLock::new() }
    }

    /// Whether this is of these bytes under these limits.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8], limits: &Limits) -> bool {
        *self.upload.bytes == *bytes && self.upload.limits == *limits
    }

    /// What the gate says; `None` until it has.
    #[must_use]
    pub fn verdict(&self) -> Option<&Result<Arc<Module>, GateError>> {
        self.verdict.get()
    }

    /// Does it, which needs a thread with [`NATIVE_STACK_BYTES`](crate::procedure::limits::fixed::NATIVE_STACK_BYTES) of
    /// stack. A panic is a defect of the gate or of what it is made of, but it has touched no state of the server.
    pub fn run(&self) {
        let Upload { bytes, limits } = &self.upload;
        let compiled = catch_unwind(AssertUnwindSafe(|| Module::compile(bytes, limits)));
        let refused =
            |_| Err(GateError::Refused("the gate failed on it, which is a defect of the server".into()));
        // Only the one thread of the gate sets it.
        let _ = self.verdict.set(compiled.unwrap_or_else(refused).map(Arc::new));
    }
}
