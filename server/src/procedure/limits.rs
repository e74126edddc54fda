//! The limits of modules and of the interpreter: those that options set, and the fixed ones. What one call may use comes
//! with the call (`CallInput`).
//!
//! Owns the numbers and the names of the options that errors quote. Knows nothing of how they are enforced.

use super::error::GateError;

/// Bytes of one WebAssembly page.
pub const PAGE_BYTES: u64 = 65_536;

/// Option name of [`CallInput::fuel`](super::CallInput::fuel).
pub const OPTION_FUEL: &str = "wasm-fuel";
/// Option name of [`CallInput::deadline`](super::CallInput::deadline).
pub const OPTION_DEADLINE: &str = "wasm-deadline-ms";
/// Option name of [`Limits::max_memory_bytes`].
pub const OPTION_MEMORY: &str = "wasm-max-memory";
/// Option name of [`Limits::max_module_bytes`].
pub const OPTION_MODULE_SIZE: &str = "wasm-max-module-size";
/// Option name of [`Limits::max_functions`].
pub const OPTION_FUNCTIONS: &str = "wasm-max-functions";
/// Option name of [`Limits::max_locals`].
pub const OPTION_LOCALS: &str = "wasm-max-locals";
/// Option name of [`Limits::max_nesting`].
pub const OPTION_NESTING: &str = "wasm-max-nesting";
/// Option name of [`Limits::max_table_elements`].
pub const OPTION_TABLE: &str = "wasm-max-table-size";
/// Option name of [`Limits::max_stack_bytes`].
pub const OPTION_STACK: &str = "wasm-max-stack";
/// Option name of [`CallInput::max_reply_bytes`](super::CallInput::max_reply_bytes).
pub const OPTION_REPLY: &str = "wasm-max-reply-size";
/// Option name of [`CallInput::max_log_bytes`](super::CallInput::max_log_bytes).
pub const OPTION_LOG: &str = "wasm-max-log-size";

/// The options: what a module may contain, and the memory of a call. All can change at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one call, in bytes; rounded down to whole pages.
    pub max_memory_bytes: u64,
    /// Size of an uploaded module, in bytes, as text or binary.
    pub max_module_bytes: u64,
    /// Functions of one module, imports included.
    pub max_functions: u32,
    /// Parameters and locals of one function.
    pub max_locals: u32,
    /// Depth of nested blocks in one function.
    pub max_nesting: u32,
    /// Elements of the function table.
    pub max_table_elements: u32,
    /// Value stack of the interpreter, in bytes.
    pub max_stack_bytes: u32,
}

impl Default for Limits {
    /// The defaults of the options.
    fn default() -> Self {
        Self {
            max_memory_bytes: 64 << 20,
            max_module_bytes: 4 << 20,
            max_functions: 10_000,
            max_locals: 1_000,
            max_nesting: 256,
            max_table_elements: 10_000,
            max_stack_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// Refuses an upload that is too large.
    pub fn check_size(&self, upload: &[u8]) -> Result<(), GateError> {
        let (found, limit) = (upload.len() as u64, self.max_module_bytes);
        if found > limit {
            return Err(GateError::Limit { what: "bytes", found, limit, option: Some(OPTION_MODULE_SIZE) });
        }
        Ok(())
    }

    /// The cap of linear memory in whole pages.
    #[must_use]
    pub fn max_memory_pages(&self) -> u32 {
        u32::try_from((self.max_memory_bytes / PAGE_BYTES).min(MAX_MEMORY_PAGES)).unwrap_or(u32::MAX)
    }
}

/// The most pages that any setting allows: 2 GiB, so that a size always fits the interpreter's 32-bit length.
pub const MAX_MEMORY_PAGES: u64 = 32_768;

/// What no option can raise: beyond these wasm3 has quadratic costs or fixed-size tables.
pub mod fixed {
    /// Function types of a module; wasm3 compares each new type with all others.
    pub const MAX_TYPES: u32 = 1_000;
    /// Parameters, and results, of one function or block.
    pub const MAX_PARAMETERS: usize = 128;
    /// Globals of a module; a reset sets every mutable one.
    pub const MAX_GLOBALS: u32 = 1_000;
    /// Imports of a module; wasm3 finds the host function for each by a linear search.
    pub const MAX_IMPORTS: u32 = 1_000;
    /// Exports of a module; wasm3 finds each by a linear search.
    pub const MAX_EXPORTS: u32 = 1_000;
    /// Bytes of an export's name.
    pub const MAX_NAME_BYTES: usize = 256;
    /// Data segments, and element segments, of a module.
    pub const MAX_SEGMENTS: u32 = 10_000;
    /// Targets of one `br_table`.
    pub const MAX_BRANCH_TARGETS: u32 = 8_192;
    /// Locals of a function whatever the option says: wasm3 has 16,000 slots for all values of a function.
    pub const MAX_LOCALS: u32 = 4_000;
    /// Nesting whatever the option says: wasm3's compiler recurses, and its validator holds 1,000 levels.
    pub const MAX_NESTING: u32 = 900;
    /// Units of work to compile a module (see `effort`) for each byte that a module may have: about twice what ordinary
    /// code takes.
    pub const COMPILE_WORK_PER_BYTE: u64 = 500;
    /// Bytes of the trigger declarations of one module, and of what it says of where its procedures run.
    pub const MAX_DECLARATION_BYTES: usize = 64 << 10;
    /// Native stack a thread must have to run a procedure: wasm3's own guard allows 8 MiB, host functions add to it.
    pub const NATIVE_STACK_BYTES: usize = 16 << 20;
}
