//! The guest interface as data: names, signatures, what can write, what each call costs. `docs/abi.md` is its text.
//!
//! Knows nothing of how the functions are carried out.

use wasmparser::ValType::{self, I32, I64};

/// The import module of this version of the interface.
pub const IMPORT_MODULE: &str = "kvasm_1";

/// The export that `EVALWASM` calls.
pub const EVAL_EXPORT: &str = "run";

/// The export that initializes a reactor.
pub(super) const INITIALIZER: &str = "_initialize";

/// The custom section in which a library declares its triggers.
pub const TRIGGER_SECTION: &str = "kvasm.triggers";

/// The custom section in which a module says where its procedures run.
pub const PLACEMENT_SECTION: &str = "kvasm.placement";

macro_rules! host_functions {
    ($($variant:ident $name:literal ($($param:expr),*) -> ($($result:expr),*) $effect:ident $fuel:literal;)*) => {
        /// A function that a guest can import.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum HostFunction { $(#[doc = concat!("`", $name, "`")] $variant),* }

        impl HostFunction {
            /// All of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name it is imported by.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The types of its parameters and results.
            pub(super) fn signature(self) -> (&'static [ValType], &'static [ValType]) {
                match self { $(Self::$variant => (&[$($param),*], &[$($result),*])),* }
            }

            /// Whether it can change data.
            pub(super) fn writes(self) -> bool {
                match self { $(Self::$variant => host_functions!(@ $effect)),* }
            }

            /// Fuel of one call, before what its bytes cost.
            pub(super) fn fuel(self) -> u32 {
                match self { $(Self::$variant => $fuel),* }
            }
        }
    };
    (@ reads) => { false };
    (@ writes) => { true };
}

host_functions! {
    KeyCount "key_count" () -> (I32) reads 10;
    ArgCount "arg_count" () -> (I32) reads 10;
    Key "key" (I32, I32, I32) -> (I32) reads 20;
    Arg "arg" (I32, I32, I32) -> (I32) reads 20;
    Get "get" (I32, I32, I32, I32) -> (I64) reads 100;
    GetRange "get_range" (I32, I32, I64, I32, I32) -> (I64) reads 100;
    Exists "exists" (I32, I32) -> (I32) reads 100;
    CommandReadOnly "command_ro" (I32, I32, I32, I32) -> (I64) reads 500;
    CommandReply "command_reply" (I64, I32, I32) -> (I64) reads 20;
    Put "put" (I32, I32, I32, I32) -> () writes 200;
    Delete "delete" (I32, I32) -> (I32) writes 200;
    Increment "increment" (I32, I32, I64) -> (I64) writes 200;
    Command "command" (I32, I32, I32, I32) -> (I64) writes 500;
    ReplyInteger "reply_integer" (I64) -> () reads 10;
    ReplyBulk "reply_bulk" (I32, I32) -> () reads 20;
    ReplyResp "reply_resp" (I32, I32) -> () reads 50;
    Abort "abort" (I32, I32) -> () reads 10;
    Log "log" (I32, I32, I32) -> () reads 500;
    TimeUs "time_us" () -> (I64) reads 10;
    Random "random" () -> (I64) reads 10;
}

/// A function's type as `docs/abi.md` writes it.
pub(super) fn signature(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let results = if let [result] = results { result.to_string() } else { format!("({})", list(results)) };
    format!("({}) -> {results}", list(params))
}

impl HostFunction {
    /// The function of that name.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|function| function.name() == name)
    }
}
