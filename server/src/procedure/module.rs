//! A module that has passed the gate: what is in it, and the bytes that wasm3 gets.
//!
//! Independent of threads: each thread's [`Runtime`](super::Runtime) makes its own instances of it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use super::abi::{EVAL_EXPORT, HostFunction, signature};
use super::error::GateError;
use super::graph::Graph;
use super::limits::Limits;
use super::meter::{self, CallCost};
use super::rewrite;
use super::survey::Survey;

/// First bytes of a binary module; everything else is taken for text.
const BINARY_MAGIC: &[u8] = b"\0asm";

/// Procedures that an error names.
const MAX_NAMES_SHOWN: usize = 8;

/// Where a procedure runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// On the engine's thread at first, and in the background if that takes long.
    #[default]
    Automatic,
    /// On the engine's thread only; what takes long fails.
    Inline,
    /// In the background from the start.
    Background,
}

/// A procedure: an export of type `() -> ()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// Its export name.
    pub name: String,
    /// Proved by the call graph: it cannot reach a host function that writes.
    pub read_only: bool,
    /// Where it wants to run.
    pub placement: Placement,
    /// Which of the rewritten module's exported functions it is; two names may share one.
    pub(super) entry: u32,
    /// Fuel that its caller pays.
    pub(super) prepaid_fuel: u32,
}

/// A validated, rewritten, metered module. Share it by `Arc`.
#[derive(Debug)]
pub struct Module {
    id: u64,
    procedures: Vec<Procedure>,
    /// The type of an export that `EVALWASM` would call if it were a procedure.
    mistyped_eval: Option<String>,
    triggers: Vec<String>,
    pub(super) wasm: Vec<u8>,
    pub(super) entry_count: u32,
    pub(super) imports: Vec<HostFunction>,
    pub(super) initial_pages: u32,
    /// What the memory holds at first: offset and bytes; zeros elsewhere.
    pub(super) image: Vec<(u32, Box<[u8]>)>,
    pub(super) has_start: bool,
    /// It can change what only a new instance gives back, so an instance serves one call.
    pub(super) spoils_instance: bool,
    /// Fuel that each call uses before it begins: what it costs to give an instance its first state.
    pub(super) opening_fuel: u64,
}

impl Module {
    /// Takes an uploaded module, binary or text, through the gate.
    ///
    /// It is compiled by wasm3 as a whole, once, so that no call can fail for that reason. Needs a thread with
    /// [`NATIVE_STACK_BYTES`](super::limits::fixed::NATIVE_STACK_BYTES) of stack.
    pub fn compile(upload: &[u8], limits: &Limits) -> Result<Self, GateError> {
        limits.check_size(upload)?;
        let wasm = to_binary(upload)?;
        let survey = Survey::of(&wasm, limits)?;
        let graph = Graph::of(&survey)?;
        let (mut procedures, entries) = procedures(&survey, &graph);
        place(&mut procedures, &survey.placements)?;
        let rewritten = rewrite::rewrite(&survey, &graph, &entries)?;
        compile_with_wasm3(&rewritten)?;
        let initial_pages = survey.memory.map_or(0, |memory| memory.initial as u32);
        let spoils_instance = graph.spoils_instance();
        Ok(Self {
            id: next_id(),
            procedures,
            mistyped_eval: mistyped_eval(&survey),
            triggers: declarations(&survey.triggers),
            opening_fuel: opening_fuel(initial_pages, spoils_instance.then_some(rewritten.len())),
            wasm: rewritten,
            entry_count: entries.len() as u32,
            imports: survey.imports.iter().map(|(function, _)| *function).collect(),
            initial_pages,
            image: survey.image.iter().map(|(offset, bytes)| (*offset, (*bytes).into())).collect(),
            has_start: survey.start.is_some(),
            spoils_instance,
        })
    }

    /// A number that no other module of this process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The procedures, in the order of the exports.
    #[must_use]
    pub fn procedures(&self) -> &[Procedure] {
        &self.procedures
    }

    /// The position among [`procedures`](Self::procedures) of the one with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.procedures.iter().position(|procedure| procedure.name == name)
    }

    /// Why `EVALWASM` cannot call the module.
    #[must_use]
    pub fn why_no_eval(&self) -> String {
        if let Some(ty) = &self.mistyped_eval {
            return format!("its export '{EVAL_EXPORT}' has the type {ty}, not () -> ()");
        }
        let names: Vec<_> = self.procedures.iter().take(MAX_NAMES_SHOWN).map(|found| &*found.name).collect();
        let rest = if self.procedures.len() > names.len() { ", ..." } else { "" };
        let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") + rest };
        format!("the module has no export '{EVAL_EXPORT}' of type () -> (); those of that type: {others}")
    }

    /// The trigger declarations of the module's `kvasm.triggers` sections, one a line.
    #[must_use]
    pub fn triggers(&self) -> &[String] {
        &self.triggers
    }

    /// Bytes of memory this module keeps alive, besides its instances.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.wasm.len() + self.image.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }
}

/// It depends on the module only, so that a call never fails on one machine and not on another.
fn opening_fuel(initial_pages: u32, new_instance_bytes: Option<usize>) -> u64 {
    let clearing = u64::from(initial_pages.saturating_sub(meter::FREE_PAGES)) * meter::CLEARED_PAGE;
    clearing + new_instance_bytes.unwrap_or(0) as u64 * meter::NEW_INSTANCE_BYTE
}

fn mistyped_eval(survey: &Survey<'_>) -> Option<String> {
    let (_, function) = survey.exports.iter().find(|(name, _)| *name == EVAL_EXPORT)?;
    let ty = &survey.types[survey.type_index(*function) as usize];
    let is_procedure = ty.params().is_empty() && ty.results().is_empty();
    (!is_procedure).then(|| signature(ty.params(), ty.results()))
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn to_binary(upload: &[u8]) -> Result<Cow<'_, [u8]>, GateError> {
    if upload.starts_with(BINARY_MAGIC) {
        return Ok(Cow::Borrowed(upload));
    }
    let text = std::str::from_utf8(upload).unwrap_or_default();
    // A parenthesis, or a comment.
    if !text.trim_start().starts_with(['(', ';']) {
        return Err(GateError::Invalid("neither a binary module nor WAT, which begins with `(`".into()));
    }
    wat::parse_str(text).map(Cow::Owned).map_err(|error| GateError::Invalid(one_line(&error.to_string())))
}

/// An error reply is one line; the text parser's messages are several, with the source quoted.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The procedures, and the distinct functions behind them.
fn procedures(survey: &Survey<'_>, graph: &Graph) -> (Vec<Procedure>, Vec<u32>) {
    let writers = graph.writers(survey);
    let start_writes = survey.start.is_some_and(|function| writers[function as usize]);
    let start_fuel = survey.start.map_or(0, |function| graph.direct(function));
    let mut entries: Vec<u32> = Vec::new();
    let mut procedures = Vec::new();
    for (name, function) in &survey.exports {
        let ty = &survey.types[survey.type_index(*function) as usize];
        if !ty.params().is_empty() || !ty.results().is_empty() {
            continue;
        }
        let entry = entries.iter().position(|known| known == function).unwrap_or_else(|| {
            entries.push(*function);
            entries.len() - 1
        });
        let read_only = !writers[*function as usize] && !start_writes;
        let prepaid_fuel = graph.direct(*function) + start_fuel;
        procedures.push(Procedure {
            name: (*name).to_owned(),
            read_only,
            placement: Placement::default(),
            entry: entry as u32,
            prepaid_fuel,
        });
    }
    (procedures, entries)
}

/// Reads where procedures want to run: lines of a name and a word.
fn place(procedures: &mut [Procedure], text: &str) -> Result<(), GateError> {
    for line in declarations(text) {
        let wrong = |reason: &str| GateError::Invalid(format!("placement '{line}': {reason}"));
        let (name, word) = line.split_once(' ').ok_or_else(|| wrong("expected a name and a word"))?;
        let procedure = procedures.iter_mut().find(|procedure| procedure.name == name);
        let procedure = procedure.ok_or_else(|| wrong("no such procedure"))?;
        procedure.placement = match word.trim() {
            "inline" => Placement::Inline,
            "background" => Placement::Background,
            _ => return Err(wrong("expected inline or background")),
        };
    }
    Ok(())
}

fn declarations(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// wasm3 compiles lazily, and validates as it compiles; here everything is compiled, and thrown away.
fn compile_with_wasm3(wasm: &[u8]) -> Result<(), GateError> {
    let refuse =
        |error: wasm3x::Error| GateError::Refused(format!("the interpreter does not accept it: {error}"));
    let mut config = wasm3x::Config::new();
    config.compilation_mode(wasm3x::CompilationMode::Eager);
    let engine = wasm3x::Engine::new(&config);
    let module = wasm3x::Module::new(&engine, wasm).map_err(refuse)?;
    let mut store = wasm3x::Store::new(&engine, ());
    wasm3x::Linker::new(&engine).instantiate(&mut store, &module).map_err(refuse)?;
    Ok(())
}
