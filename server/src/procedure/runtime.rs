//! Runs procedures on one thread, in warm instances: the only place where wasm3 executes.
//!
//! An instance stays for the next call of its module. Before that call it is given back its first state: memory cleared
//! and refilled from the data segments, globals set by a function that the rewriter added. What cannot be given back
//! (a memory that grew a lot, a changed table) ends the instance. A wasm3 engine belongs to one module, because engines
//! never free function types.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use wasm3x::{Config, Engine, Global, Instance, Linker, Memory, Store, TypedFunc, Val};

use super::clearing::Clearing;
use super::context::{CallInput, Context, ProcedureReply};
use super::error::{CallError, Trap};
use super::host::Host;
use super::imports;
use super::limits::{Limits, PAGE_BYTES};
use super::module::{Module, Procedure};
use super::rewrite;

/// Warm instances per thread; beyond, the least recently used one goes.
const MAX_WARM_INSTANCES: usize = 64;
/// Bytes of the warm instances of a thread, about; beyond, the least recently used ones go.
const MAX_WARM_BYTES: usize = 256 << 20;
/// Bytes that an instance takes for each byte of its module: wasm3's copy, and what it has compiled.
const BYTES_PER_MODULE_BYTE: usize = 4;
/// Pages by which a memory may have grown for its instance to stay: clearing them costs less than a new instance.
const MAX_KEPT_GROWTH_PAGES: u32 = 32;

/// How a call ended and what it used.
#[derive(Debug)]
pub struct CallOutcome<E> {
    /// The reply, or why there is none.
    pub result: Result<ProcedureReply, CallError<E>>,
    /// Fuel used. After a trap it is at most that: what the guest had spent of its last slice, which is 2^18 or less, is
    /// not always known then, and counts whole.
    pub fuel_used: u64,
    /// The guest's memory at the end, which is its peak, in bytes.
    pub memory_bytes: u64,
    /// Whether a host function that can change data was called, successfully or not.
    pub wrote: bool,
}

/// The procedures of one thread.
///
/// The thread needs [`NATIVE_STACK_BYTES`](super::limits::fixed::NATIVE_STACK_BYTES) of stack.
pub struct Runtime<H: Host> {
    limits: Limits,
    warm: HashMap<u64, Warm<H>>,
    /// Counts calls, to know which instance was used least recently.
    clock: u64,
}

impl<H: Host> Runtime<H> {
    /// A runtime without instances; of the limits it heeds those on memory and value stack.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, warm: HashMap::new(), clock: 0 }
    }

    /// Changes the limits for the calls to come, and drops the instances of modules that nobody can call any more.
    pub fn set_limits(&mut self, limits: Limits) {
        self.drop_orphans();
        if limits.max_stack_bytes != self.limits.max_stack_bytes {
            self.warm.clear();
        }
        self.limits = limits;
    }

    /// Drops the instances of modules that nobody can call any more.
    pub fn drop_orphans(&mut self) {
        self.warm.retain(|_, warm| warm.module.strong_count() > 0);
    }

    /// Whether a module has a warm instance.
    #[must_use]
    pub fn is_warm(&self, module: &Module) -> bool {
        self.warm.contains_key(&module.id())
    }

    /// Number of warm instances.
    #[must_use]
    pub fn warm_instances(&self) -> usize {
        self.warm.len()
    }

    /// The memory of a module's warm instance.
    #[cfg(test)]
    pub(super) fn memory(&self, module_id: u64) -> &[u8] {
        let warm = &self.warm[&module_id];
        warm.memory().map_or(&[], |memory| memory.data(&warm.store))
    }

    /// Calls `module.procedures()[procedure]`. The host is lent for the time of the call and comes back in any case.
    ///
    /// # Panics
    ///
    /// If a method of the host panicked.
    pub fn call(
        &mut self,
        module: &Arc<Module>,
        procedure: usize,
        host: Box<H>,
        input: &CallInput<'_>,
    ) -> (Box<H>, CallOutcome<H::Error>) {
        let refused = |error| CallOutcome { result: Err(error), fuel_used: 0, memory_bytes: 0, wrote: false };
        let max_pages = self.limits.max_memory_pages();
        if module.initial_pages > max_pages {
            return (host, refused(CallError::MemoryLimit));
        }
        let Some(procedure) = module.procedures().get(procedure) else {
            return (host, refused(CallError::Internal("no such procedure".into())));
        };
        if module.opening_fuel > input.fuel {
            return (host, CallOutcome { fuel_used: input.fuel, ..refused(CallError::OutOfFuel) });
        }
        self.clock += 1;
        let clock = self.clock;
        let warm = match self.ready(module) {
            Ok(warm) => warm,
            Err(error) => return (host, refused(CallError::Internal(error.to_string()))),
        };
        warm.last_used = clock;
        let (host, outcome) = warm.call(module, procedure, max_pages, host, input);
        if module.spoils_instance || warm.grown_pages(module) > MAX_KEPT_GROWTH_PAGES {
            self.warm.remove(&module.id());
        }
        (host, outcome)
    }

    /// The module's instance in its first state.
    fn ready(&mut self, module: &Arc<Module>) -> Result<&mut Warm<H>, wasm3x::Error> {
        if !self.warm.contains_key(&module.id()) {
            self.drop_orphans();
            self.make_room(Warm::<H>::bytes_of(module, self.limits.max_stack_bytes));
        }
        Ok(match self.warm.entry(module.id()) {
            Entry::Occupied(entry) => {
                let warm = entry.into_mut();
                warm.reset(module)?;
                warm
            }
            Entry::Vacant(entry) => entry.insert(Warm::new(module, self.limits.max_stack_bytes)?),
        })
    }

    /// Lets the least recently used instances go until there is room for one more, of so many bytes.
    fn make_room(&mut self, bytes: usize) {
        let mut total = bytes + self.warm.values().map(|warm| warm.bytes).sum::<usize>();
        while self.warm.len() >= MAX_WARM_INSTANCES || total > MAX_WARM_BYTES {
            let oldest = self.warm.iter().min_by_key(|(_, warm)| warm.last_used).map(|(id, _)| *id);
            let Some(gone) = oldest.and_then(|id| self.warm.remove(&id)) else { return };
            total -= gone.bytes;
        }
    }
}

/// One module's instance, with handles to all that the runtime touches.
struct Warm<H: Host> {
    store: Store<Context<H>>,
    instance: Instance,
    /// Whether anybody still has the module.
    module: Weak<Module>,
    /// The cap that the instance was told, in pages.
    max_pages: u32,
    entries: Vec<TypedFunc<(), ()>>,
    start: Option<TypedFunc<(), ()>>,
    reset: TypedFunc<(), ()>,
    fuel: Global,
    pages: Global,
    cap: Global,
    grow_refused: Global,
    clearing: Clearing,
    last_used: u64,
    /// Memory that it takes, about. That its memory may have grown a little is left out.
    bytes: usize,
    /// A call has run since the state was fresh.
    used: bool,
}

impl<H: Host> Warm<H> {
    fn new(module: &Arc<Module>, stack_bytes: u32) -> Result<Self, wasm3x::Error> {
        let mut config = Config::new();
        config.stack_size(stack_bytes as usize);
        let engine = Engine::new(&config);
        let parsed = wasm3x::Module::new(&engine, &module.wasm)?;
        let mut store = Store::new(&engine, Context::new());
        let mut linker = Linker::new(&engine);
        imports::define(&mut linker, &module.imports)?;
        let instance = linker.instantiate(&mut store, &parsed)?;
        let function = |name: &str| instance.get_typed_func::<(), ()>(&store, name);
        let global = |name: &str| {
            instance.get_global(&store, name).ok_or_else(|| wasm3x::Error::new(format!("global {name} lost")))
        };
        let entries = (0..module.entry_count).map(|entry| function(&rewrite::entry_name(entry)));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let start = if module.has_start { Some(function(rewrite::START)?) } else { None };
        let reset = function(rewrite::RESET)?;
        let (fuel, pages) = (global(rewrite::FUEL)?, global(rewrite::PAGES)?);
        let (cap, grow_refused) = (global(rewrite::MAX_PAGES)?, global(rewrite::GROW_REFUSED)?);
        Ok(Self {
            store,
            instance,
            module: Arc::downgrade(module),
            max_pages: 0,
            entries,
            start,
            reset,
            fuel,
            pages,
            cap,
            grow_refused,
            clearing: Clearing::default(),
            last_used: 0,
            bytes: Self::bytes_of(module, stack_bytes),
            used: false,
        })
    }

    /// Memory that an instance of a module takes, about.
    fn bytes_of(module: &Module, stack_bytes: u32) -> usize {
        let memory = module.initial_pages as usize * PAGE_BYTES as usize;
        memory + stack_bytes as usize + module.wasm.len() * BYTES_PER_MODULE_BYTE
    }

    /// Makes the state that of a new instance: all of the memory, beyond the guest's own size too, and all globals.
    fn reset(&mut self, module: &Module) -> Result<(), wasm3x::Error> {
        if !self.used {
            return Ok(());
        }
        if let Some(memory) = self.memory() {
            let bytes = memory.data_mut(&mut self.store);
            self.clearing.clear(bytes);
            for (offset, segment) in &module.image {
                let start = *offset as usize;
                bytes[start..start + segment.len()].copy_from_slice(segment);
            }
        }
        self.reset.call(&mut self.store, ())?;
        self.used = false;
        Ok(())
    }

    fn memory(&self) -> Option<Memory> {
        self.instance.get_memory(&self.store)
    }

    /// Pages behind the memory that a new instance would not have.
    fn grown_pages(&self, module: &Module) -> u32 {
        let bytes = self.memory().map_or(0, |memory| memory.data_size(&self.store));
        (bytes as u64 / PAGE_BYTES) as u32 - module.initial_pages
    }

    fn call(
        &mut self,
        module: &Module,
        procedure: &Procedure,
        max_pages: u32,
        host: Box<H>,
        input: &CallInput<'_>,
    ) -> (Box<H>, CallOutcome<H::Error>) {
        self.used = true;
        let memory = self.memory();
        let context = self.store.data_mut();
        context.memory = memory;
        let slice = context.begin(host, input, module.opening_fuel);
        let called = self.run(procedure, max_pages, slice);
        let left = match self.fuel.get(&self.store) {
            Ok(Val::I32(left)) => i64::from(left),
            _ => 0,
        };
        let pages = match self.pages.get(&self.store) {
            Ok(Val::I32(pages)) => pages as u64,
            _ => 0,
        };
        let result = match called {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(&error)),
        };
        let context = self.store.data_mut();
        let reserve = context.reserve_fuel();
        let fuel_used = match &result {
            Err(CallError::OutOfFuel) => input.fuel,
            // A loop counts in a local, which the trap has taken along.
            Err(CallError::Trap(_) | CallError::StackOverflow | CallError::MemoryLimit) => {
                input.fuel.saturating_sub(reserve.max(0) as u64)
            }
            _ => input.fuel.saturating_sub((left + reserve).max(0) as u64),
        };
        let wrote = context.wrote;
        let result = result.map(|()| std::mem::take(&mut context.reply));
        let outcome = CallOutcome { result, fuel_used, memory_bytes: pages * PAGE_BYTES, wrote };
        (context.end().expect("no host method panics"), outcome)
    }

    fn run(&mut self, procedure: &Procedure, max_pages: u32, slice: i32) -> Result<(), wasm3x::Error> {
        if self.max_pages != max_pages {
            self.cap.set(&mut self.store, Val::I32(max_pages as i32))?;
            self.max_pages = max_pages;
        }
        self.fuel.set(&mut self.store, Val::I32(slice - procedure.prepaid_fuel as i32))?;
        if let Some(start) = self.start {
            start.call(&mut self.store, ())?;
        }
        self.entries[procedure.entry as usize].call(&mut self.store, ())
    }

    /// What ended a call: a host function left word, or wasm3 says so.
    fn explain(&mut self, error: &wasm3x::Error) -> CallError<H::Error> {
        if let Some(failure) = self.store.data_mut().failure.take() {
            return failure;
        }
        let text = error.to_string();
        let Some((_, trap)) = text.split_once("[trap] ") else {
            return CallError::Internal(text);
        };
        if trap.starts_with("stack overflow") {
            return CallError::StackOverflow;
        }
        // A guest rarely survives a refused growth; its trap is then only the consequence.
        if matches!(self.grow_refused.get(&self.store), Ok(Val::I32(1))) {
            return CallError::MemoryLimit;
        }
        CallError::Trap(trap_of(trap))
    }
}

/// wasm3's words for a trap.
fn trap_of(text: &str) -> Trap {
    const WORDS: &[(&str, Trap)] = &[
        ("out of bounds memory access", Trap::MemoryAccess),
        ("integer divide by zero", Trap::DivideByZero),
        ("integer overflow", Trap::IntegerOverflow),
        ("invalid conversion to integer", Trap::FloatConversion),
        ("indirect call type mismatch", Trap::IndirectCallType),
        ("undefined element", Trap::UndefinedElement),
        ("uninitialized element", Trap::UndefinedElement),
        ("out of bounds table access", Trap::TableAccess),
        ("unreachable executed", Trap::Unreachable),
    ];
    let known = WORDS.iter().find(|(words, _)| text.starts_with(words));
    known.map_or_else(|| Trap::Other(text.to_owned()), |(_, trap)| trap.clone())
}
