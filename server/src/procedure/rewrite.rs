//! The gate's second half: writes the module that wasm3 gets: metered, with a memory that can be given back, and with
//! no names but its own.
//!
//! Added to the module: an import that hands out more fuel, globals for the fuel and the size of the memory, a function
//! in the place of `memory.grow`, one that sets every global to its initial value, and exports of all that under names
//! of ours. Removed: every other export, every custom section, the start section (the runtime calls the function).

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction,
    MemorySection, MemoryType, TableSection, TypeSection, ValType,
};
use wasmparser::FunctionBody;

use super::abi::IMPORT_MODULE;
use super::body::{BodyWriter, Counter};
use super::error::GateError;
use super::graph::Graph;
use super::limits::MAX_MEMORY_PAGES;
use super::meter;
use super::survey::{Survey, invalid};

/// Import module of what only the rewriter may import; the gate refuses it in uploads.
pub(super) const INTERNAL_MODULE: &str = "kvasm";
/// `(counter: i32) -> i32`: takes a counter below 0 and gives a new one, or ends the call.
pub(super) const REFILL: &str = "refill";
/// Exported global, mutable `i32`: fuel left of the present slice.
pub(super) const FUEL: &str = "fuel";
/// Exported global, mutable `i32`: the size of the memory as the guest sees it, in pages.
pub(super) const PAGES: &str = "pages";
/// Exported global, mutable `i32`: how many pages that may become.
pub(super) const MAX_PAGES: &str = "max_pages";
/// Exported global, mutable `i32`: 1 after a `memory.grow` over the cap.
pub(super) const GROW_REFUSED: &str = "grow_refused";
/// Exported function that sets all globals, except fuel and cap, to their initial values.
pub(super) const RESET: &str = "reset";
/// Exported function that the start section named.
pub(super) const START: &str = "start";

/// The name under which the `entry`-th distinct exported function is exported.
pub(super) fn entry_name(entry: u32) -> String {
    entry.to_string()
}

/// Writes the module; `entries` are the functions to export, in order.
pub(super) fn rewrite(survey: &Survey<'_>, graph: &Graph, entries: &[u32]) -> Result<Vec<u8>, GateError> {
    Rewriter::new(survey, graph).module(entries).map_err(|error| match error {
        Error::UserError(gate_error) => gate_error,
        other => GateError::Invalid(other.to_string()),
    })
}

/// The reencoder's result, with the gate's error in it.
pub(super) type Rewritten<T> = Result<T, Error<GateError>>;

/// The module being written: what is known of the original, and where the added parts are.
pub(super) struct Rewriter<'a, 'b> {
    survey: &'b Survey<'a>,
    pub(super) graph: &'b Graph,
    /// Index of the import that refills; user imports come before it, defined functions after.
    pub(super) refill: u32,
    /// Index of the function in the place of `memory.grow`.
    pub(super) grow: u32,
    /// Index of the first added global: fuel, pages, cap of pages, refusal.
    pub(super) fuel: u32,
    /// Result types of blocks with several results, added to the type section.
    block_types: Vec<Vec<ValType>>,
}

impl Reencode for Rewriter<'_, '_> {
    type Error = GateError;

    fn function_index(&mut self, function: u32) -> Rewritten<u32> {
        Ok(if function < self.refill { function } else { function + 1 })
    }
}

impl<'a, 'b> Rewriter<'a, 'b> {
    fn new(survey: &'b Survey<'a>, graph: &'b Graph) -> Self {
        let refill = survey.imports.len() as u32;
        let grow = refill + 1 + survey.functions.len() as u32;
        Self { survey, graph, refill, grow, fuel: survey.global_count, block_types: Vec::new() }
    }

    pub(super) fn pages(&self) -> u32 {
        self.fuel + 1
    }

    fn max_pages(&self) -> u32 {
        self.fuel + 2
    }

    fn grow_refused(&self) -> u32 {
        self.fuel + 3
    }

    /// Type `(i32) -> i32`, of refill and grow.
    fn counter_type(&self) -> u32 {
        self.survey.types.len() as u32
    }

    /// Type `() -> ()`, of reset.
    fn plain_type(&self) -> u32 {
        self.survey.types.len() as u32 + 1
    }

    fn module(mut self, entries: &[u32]) -> Rewritten<Vec<u8>> {
        let code = self.code()?;
        let mut module = wasm_encoder::Module::new();
        module.section(&self.types()?);
        module.section(&self.imports());
        module.section(&self.functions());
        if let Some(table) = self.survey.table {
            let mut tables = TableSection::new();
            tables.table(self.table_type(table)?);
            module.section(&tables);
        }
        if let Some(memory) = self.survey.memory {
            let ceiling = memory.maximum.unwrap_or(MAX_MEMORY_PAGES).min(MAX_MEMORY_PAGES);
            let mut memories = MemorySection::new();
            memories.memory(MemoryType {
                minimum: memory.initial,
                maximum: Some(ceiling.max(memory.initial)),
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
            module.section(&memories);
        }
        module.section(&self.globals()?);
        module.section(&self.exports(entries)?);
        if let Some(section) = self.survey.element_section.clone() {
            let mut elements = ElementSection::new();
            self.parse_element_section(&mut elements, section)?;
            module.section(&elements);
        }
        if let Some(count) = self.survey.data_count {
            module.section(&DataCountSection { count });
        }
        module.section(&code);
        if let Some(section) = self.survey.data_section.clone() {
            let mut data = DataSection::new();
            self.parse_data_section(&mut data, section)?;
            module.section(&data);
        }
        Ok(module.finish())
    }

    fn types(&mut self) -> Rewritten<TypeSection> {
        let mut types = TypeSection::new();
        if let Some(section) = self.survey.type_section.clone() {
            self.parse_type_section(&mut types, section)?;
        }
        types.ty().function([ValType::I32], [ValType::I32]);
        types.ty().function([], []);
        for results in &self.block_types {
            types.ty().function([], results.iter().copied());
        }
        Ok(types)
    }

    fn imports(&self) -> ImportSection {
        let mut imports = ImportSection::new();
        for (function, type_index) in &self.survey.imports {
            imports.import(IMPORT_MODULE, function.name(), EntityType::Function(*type_index));
        }
        imports.import(INTERNAL_MODULE, REFILL, EntityType::Function(self.counter_type()));
        imports
    }

    fn functions(&self) -> FunctionSection {
        let mut functions = FunctionSection::new();
        for type_index in &self.survey.functions {
            functions.function(*type_index);
        }
        functions.function(self.counter_type()).function(self.plain_type());
        functions
    }

    fn globals(&mut self) -> Rewritten<GlobalSection> {
        let mut globals = GlobalSection::new();
        if let Some(section) = self.survey.global_section.clone() {
            self.parse_global_section(&mut globals, section)?;
        }
        let counter = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        for initial in [0, self.initial_pages(), 0, 0] {
            globals.global(counter, &ConstExpr::i32_const(initial));
        }
        Ok(globals)
    }

    fn initial_pages(&self) -> i32 {
        self.survey.memory.map_or(0, |memory| memory.initial as i32)
    }

    fn exports(&mut self, entries: &[u32]) -> Rewritten<ExportSection> {
        let mut exports = ExportSection::new();
        for (entry, function) in entries.iter().enumerate() {
            exports.export(&entry_name(entry as u32), ExportKind::Func, self.function_index(*function)?);
        }
        if let Some(function) = self.survey.start {
            exports.export(START, ExportKind::Func, self.function_index(function)?);
        }
        exports.export(RESET, ExportKind::Func, self.grow + 1);
        exports.export(FUEL, ExportKind::Global, self.fuel);
        exports.export(PAGES, ExportKind::Global, self.pages());
        exports.export(MAX_PAGES, ExportKind::Global, self.max_pages());
        exports.export(GROW_REFUSED, ExportKind::Global, self.grow_refused());
        Ok(exports)
    }

    fn code(&mut self) -> Rewritten<CodeSection> {
        let mut code = CodeSection::new();
        for (defined, body) in self.survey.bodies.iter().enumerate() {
            code.function(&self.function(defined, body)?);
        }
        code.function(&self.grow_function());
        code.function(&self.reset_function()?);
        Ok(code)
    }

    fn function(&mut self, defined: usize, body: &FunctionBody<'a>) -> Rewritten<Function> {
        let ty = &self.survey.types[self.survey.functions[defined] as usize];
        let mut local_count = ty.params().len() as u32;
        let mut locals = Vec::new();
        for group in body.get_locals_reader().map_err(|error| invalid(&error)).map_err(Error::UserError)? {
            let (count, ty) = group?;
            local_count += count;
            locals.push((count, self.val_type(ty)?));
        }
        let facts = self.graph.facts(defined);
        let operators = body.get_operators_reader()?;
        let is_prepaid = self.graph.is_prepaid((self.survey.imports.len() + defined) as u32);
        if is_prepaid && !facts.has_charges {
            let mut writer = BodyWriter::new(Function::new(locals), Counter::Unmetered, local_count);
            writer.body(self, operators, Vec::new())?;
            return Ok(writer.function);
        }
        // The last fuel and, if needed, the length of a bulk instruction.
        locals.push((1 + u32::from(facts.has_bulk), ValType::I32));
        let type_index = self.survey.functions[defined];
        let plan = meter::plan(body, type_index, self.graph).map_err(Error::UserError)?;
        let counter = if plan.loops_change_counter { Counter::Global } else { Counter::Local };
        let mut writer = BodyWriter::new(Function::new(locals), counter, local_count);
        writer.enter(self, (!is_prepaid).then_some(plan.entry_fuel));
        if counter == Counter::Local {
            let block_type = self.block_type_of_results(defined)?;
            writer.emit(&Instruction::Block(block_type));
        }
        writer.body(self, operators, plan.loops)?;
        Ok(writer.function)
    }

    /// Whether a function of the original module is one of the host.
    pub(super) fn is_import(&self, function: u32) -> bool {
        function < self.refill
    }

    /// The type of a block that yields what the function does.
    fn block_type_of_results(&mut self, defined: usize) -> Rewritten<BlockType> {
        let ty = &self.survey.types[self.survey.functions[defined] as usize];
        let results = ty.results().iter().map(|ty| self.val_type(*ty)).collect::<Rewritten<Vec<_>>>()?;
        Ok(match results[..] {
            [] => BlockType::Empty,
            [single] => BlockType::Result(single),
            _ => {
                let known = self.block_types.iter().position(|known| *known == results);
                let position = known.unwrap_or_else(|| {
                    self.block_types.push(results);
                    self.block_types.len() - 1
                });
                BlockType::FunctionType(self.plain_type() + 1 + position as u32)
            }
        })
    }

    /// `memory.grow` on the size that the guest sees; the memory behind it only ever grows, and is cleared between calls.
    fn grow_function(&self) -> Function {
        const DELTA: u32 = 0;
        const COUNTER: u32 = 1;
        let mut writer = BodyWriter::new(Function::new([(1, ValType::I32)]), Counter::Global, COUNTER);
        if self.survey.memory.is_none() {
            writer.function.instructions().i32_const(-1).end();
            return writer.function;
        }
        let declared = self.survey.memory.and_then(|memory| memory.maximum).unwrap_or(MAX_MEMORY_PAGES);
        let declared = declared.min(MAX_MEMORY_PAGES) as i32;
        writer
            .function
            .instructions()
            // Over what the module itself declared: refused silently, as everywhere.
            .local_get(DELTA)
            .i32_const(declared)
            .global_get(self.pages())
            .i32_sub()
            .i32_gt_u()
            .if_(BlockType::Empty)
            .i32_const(-1)
            .return_()
            .end()
            // Over the server's cap: refused, and remembered for the error message.
            .local_get(DELTA)
            .global_get(self.max_pages())
            .global_get(self.pages())
            .i32_sub()
            .i32_gt_u()
            .if_(BlockType::Empty)
            .i32_const(1)
            .global_set(self.grow_refused())
            .i32_const(-1)
            .return_()
            .end();
        writer
            .function
            .instructions()
            .global_get(self.fuel)
            .local_get(DELTA)
            .i32_const(meter::PAGE)
            .i32_mul()
            .i32_sub();
        writer.settle(self);
        writer
            .function
            .instructions()
            // The pages that are not there yet.
            .global_get(self.pages())
            .local_get(DELTA)
            .i32_add()
            .memory_size(0)
            .i32_gt_u()
            .if_(BlockType::Empty)
            .global_get(self.pages())
            .local_get(DELTA)
            .i32_add()
            .memory_size(0)
            .i32_sub()
            .memory_grow(0)
            .i32_const(-1)
            .i32_eq()
            .if_(BlockType::Empty)
            .i32_const(1)
            .global_set(self.grow_refused())
            .i32_const(-1)
            .return_()
            .end()
            .end()
            .global_get(self.pages())
            .global_get(self.pages())
            .local_get(DELTA)
            .i32_add()
            .global_set(self.pages())
            .end();
        writer.function
    }

    fn reset_function(&mut self) -> Rewritten<Function> {
        let mut function = Function::new([]);
        for (index, global) in self.survey.global_section.clone().into_iter().flatten().enumerate() {
            let global = global?;
            if global.ty.mutable {
                let initial = global.init_expr.get_operators_reader().read()?;
                function.instruction(&self.instruction(initial)?);
                function.instruction(&Instruction::GlobalSet(index as u32));
            }
        }
        function.instructions().i32_const(self.initial_pages()).global_set(self.pages());
        function.instructions().i32_const(0).global_set(self.grow_refused()).end();
        Ok(function)
    }
}
