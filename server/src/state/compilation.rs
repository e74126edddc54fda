//! Uploads on their way through the gate. A big one takes seconds, so a thread beside the engine does it (`engine::gate`),
//! and the request that needs the module waits.
//!
//! A verdict belongs to the requests that wait for it and goes with the last of them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use sha1::{Digest as _, Sha1};

use crate::procedure::{GateError, Limits, Module};

/// SHA-1 of a module as it was uploaded.
pub type Digest = [u8; 20];

/// The SHA-1 of an upload.
#[must_use]
pub fn digest_of(upload: &[u8]) -> Digest {
    Sha1::digest(upload).into()
}

/// A module as it was uploaded, and the limits that it has to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Of the bytes.
    pub digest: Digest,
    /// Binary or text.
    pub bytes: Box<[u8]>,
    /// The limits when it was uploaded.
    pub limits: Limits,
}

/// What the gate says of an upload.
pub type Verdict = Result<Arc<Module>, GateError>;

/// An upload, and what the gate says of it.
#[derive(Debug)]
pub struct Compilation {
    upload: Upload,
    verdict: OnceLock<Verdict>,
}

impl Compilation {
    /// One that has not been done yet.
    #[must_use]
    pub fn new(upload: Upload) -> Self {
        Self { upload, verdict: OnceLock::new() }
    }

    /// What it compiles.
    #[must_use]
    pub fn upload(&self) -> &Upload {
        &self.upload
    }

    /// What the gate says; `None` until it has.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.get()
    }

    /// Does it, which needs a thread with [`NATIVE_STACK_BYTES`](crate::procedure::limits::fixed::NATIVE_STACK_BYTES) of
    /// stack. A panic is a defect of the gate or of what it is made of, but it has touched no state of the server.
    pub fn run(&self) {
        let Upload { bytes, limits, .. } = &self.upload;
        let compiled = catch_unwind(AssertUnwindSafe(|| Module::compile(bytes, limits)));
        let refused =
            |_| Err(GateError::Refused("the gate failed on it, which is a defect of the server".into()));
        // Only the one thread of the gate sets it.
        let _ = self.verdict.set(compiled.unwrap_or_else(refused).map(Arc::new));
    }
}

/// What the gate was asked for a request, which waits for the verdicts or is run again with them.
#[derive(Debug, Default)]
pub struct Compilations(HashMap<Digest, Arc<Compilation>>);

impl Compilations {
    /// Adds one, which takes the place of an earlier one of the same bytes.
    pub fn add(&mut self, compilation: Arc<Compilation>) {
        self.0.insert(compilation.upload.digest, compilation);
    }

    /// Forgets all. For each command, so with nothing to forget it does nothing.
    pub fn forget(&mut self) {
        if !self.0.is_empty() {
            self.0 = HashMap::new();
        }
    }

    /// What the gate says of these bytes under these limits; an error if it has not, with what it has to be asked.
    pub fn verdict(&self, digest: Digest, bytes: &[u8], limits: &Limits) -> Result<&Verdict, Upload> {
        // The bytes are compared, too: there are ways to make two with the same SHA-1.
        let is_same = |upload: &Upload| upload.limits == *limits && *upload.bytes == *bytes;
        let known = self.0.get(&digest).filter(|known| is_same(&known.upload));
        known.and_then(|known| known.verdict()).ok_or_else(|| Upload {
            digest,
            bytes: bytes.into(),
            limits: limits.clone(),
        })
    }
}
