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
use wasmparser::{FunctionBody, Operator, OperatorsReader};

use super::abi::IMPORT_MODULE;
use super::error::GateError;
use super::graph::Graph;
use super::limits::MAX_MEMORY_PAGES;
use super::meter::{self, LoopPlan, Plan};
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

type Result2<T> = Result<T, Error<GateError>>;

struct Rewriter<'a, 'b> {
    survey: &'b Survey<'a>,
    graph: &'b Graph,
    /// Index of the import that refills; user imports come before it, defined functions after.
    refill: u32,
    /// Index of the function in the place of `memory.grow`.
    grow: u32,
    /// Index of the first added global: fuel, pages, cap of pages, refusal.
    fuel: u32,
    /// Result types of blocks with several results, added to the type section.
    block_types: Vec<Vec<ValType>>,
}

impl Reencode for Rewriter<'_, '_> {
    type Error = GateError;

    fn function_index(&mut self, function: u32) -> Result2<u32> {
        Ok(if function < self.refill { function } else { function + 1 })
    }
}

impl<'a, 'b> Rewriter<'a, 'b> {
    fn new(survey: &'b Survey<'a>, graph: &'b Graph) -> Self {
        let refill = survey.imports.len() as u32;
        let grow = refill + 1 + survey.functions.len() as u32;
        Self { survey, graph, refill, grow, fuel: survey.global_count, block_types: Vec::new() }
    }

    fn pages(&self) -> u32 {
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

    fn module(mut self, entries: &[u32]) -> Result2<Vec<u8>> {
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

    fn types(&mut self) -> Result2<TypeSection> {
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

    fn globals(&mut self) -> Result2<GlobalSection> {
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

    fn exports(&mut self, entries: &[u32]) -> Result2<ExportSection> {
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

    fn code(&mut self) -> Result2<CodeSection> {
        let mut code = CodeSection::new();
        for (defined, body) in self.survey.bodies.iter().enumerate() {
            code.function(&self.function(defined, body)?);
        }
        code.function(&self.grow_function());
        code.function(&self.reset_function()?);
        Ok(code)
    }

    fn function(&mut self, defined: usize, body: &FunctionBody<'a>) -> Result2<Function> {
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
        if self.graph.is_prepaid((self.survey.imports.len() + defined) as u32) {
            let mut writer = BodyWriter::new(Function::new(locals), Counter::Unmetered, local_count);
            writer.body(self, operators, Vec::new())?;
            return Ok(writer.function);
        }
        // The last fuel and, if needed, the length of a bulk instruction.
        locals.push((1 + u32::from(facts.has_bulk), ValType::I32));
        let plan = meter::plan(body, self.graph).map_err(Error::UserError)?;
        let counter = if plan.loops_only_call { Counter::Global } else { Counter::Local };
        let mut writer = BodyWriter::new(Function::new(locals), counter, local_count);
        writer.enter(self, &plan);
        if counter == Counter::Local {
            let block_type = self.block_type_of_results(defined)?;
            writer.emit(&Instruction::Block(block_type));
        }
        writer.body(self, operators, plan.loops)?;
        Ok(writer.function)
    }

    /// The type of a block that yields what the function does.
    fn block_type_of_results(&mut self, defined: usize) -> Result2<BlockType> {
        let ty = &self.survey.types[self.survey.functions[defined] as usize];
        let results = ty.results().iter().map(|ty| self.val_type(*ty)).collect::<Result2<Vec<_>>>()?;
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

    fn reset_function(&mut self) -> Result2<Function> {
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

/// Where a function keeps the fuel that is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counter {
    /// Its callers pay.
    Unmetered,
    /// In the global: it has no loops, or none without a call that would need it there.
    Global,
    /// In a local, for the sake of its loops; the global has it during calls that could change it, and after the end.
    Local,
}

/// The next instruction that can be reached. What follows a jump, up to the end of the block, is left out: it cannot run,
/// and wasm3's compiler loses count of its stack there.
fn next_live<'a>(
    operators: &mut OperatorsReader<'a>,
    previous: &Operator<'_>,
    loops: &mut std::vec::IntoIter<LoopPlan>,
) -> Result2<Operator<'a>> {
    let is_jump = matches!(
        previous,
        Operator::Br { .. } | Operator::BrTable { .. } | Operator::Return | Operator::Unreachable
    );
    let mut depth = 0u32;
    loop {
        let operator = operators.read()?;
        match &operator {
            _ if !is_jump => return Ok(operator),
            Operator::End | Operator::Else if depth == 0 => return Ok(operator),
            Operator::End => depth -= 1,
            Operator::Block { .. } | Operator::If { .. } => depth += 1,
            Operator::Loop { .. } => {
                depth += 1;
                loops.next();
            }
            _ => {}
        }
    }
}

/// Where a stretch of the original body is written to.
#[derive(Clone, Copy)]
struct Region {
    /// Blocks that the rewriter put around the region's block, inside of what the region can branch to.
    moved: u32,
    /// Blocks around the region in the written function, up to the one around its whole body.
    outside: u32,
}

impl Region {
    /// Corrects the depth of branches that leave the region; `depth` counts the blocks open within it.
    fn moved(self, depth: u32, instruction: Instruction<'_>) -> Instruction<'_> {
        let target = |relative: u32| if relative > depth { relative + self.moved } else { relative };
        match instruction {
            Instruction::Br(relative) => Instruction::Br(target(relative)),
            Instruction::BrIf(relative) => Instruction::BrIf(target(relative)),
            Instruction::BrTable(targets, default) => {
                let targets = targets.iter().map(|relative| target(*relative)).collect();
                Instruction::BrTable(targets, target(default))
            }
            other => other,
        }
    }
}

/// Writes one function's body.
struct BodyWriter {
    function: Function,
    counter: Counter,
    /// The local that has, or last had, the fuel; the one after it is the length of a bulk instruction.
    local: u32,
}

impl BodyWriter {
    fn new(function: Function, counter: Counter, local: u32) -> Self {
        Self { function, counter, local }
    }

    fn emit(&mut self, instruction: &Instruction<'_>) {
        self.function.instruction(instruction);
    }

    /// Pays for the way from the entry. A function that calls none that meters itself need not look whether there was
    /// enough: whoever calls it does so before long.
    fn enter(&mut self, rewriter: &Rewriter<'_, '_>, plan: &Plan) {
        self.function.instructions().global_get(rewriter.fuel).i32_const(plan.entry_fuel as i32).i32_sub();
        match self.counter {
            _ if plan.calls => self.settle(rewriter),
            Counter::Local => self.emit(&Instruction::LocalSet(self.local)),
            Counter::Global | Counter::Unmetered => self.emit(&Instruction::GlobalSet(rewriter.fuel)),
        }
    }

    /// Pays at the head of a loop.
    fn turn(&mut self, rewriter: &Rewriter<'_, '_>, fuel: u32) {
        self.load(rewriter);
        self.function.instructions().i32_const(fuel as i32).i32_sub();
        self.settle(rewriter);
    }

    /// Pays for the length on top of the stack, and leaves it there.
    fn pay_for_length(&mut self, rewriter: &Rewriter<'_, '_>) {
        let length = self.local + 1;
        self.emit(&Instruction::LocalSet(length));
        self.load(rewriter);
        self.function.instructions().local_get(length).i32_const(meter::BULK_SHIFT).i32_shr_u().i32_sub();
        self.settle(rewriter);
        self.emit(&Instruction::LocalGet(length));
    }

    fn load(&mut self, rewriter: &Rewriter<'_, '_>) {
        self.emit(&match self.counter {
            Counter::Local => Instruction::LocalGet(self.local),
            Counter::Global | Counter::Unmetered => Instruction::GlobalGet(rewriter.fuel),
        });
    }

    /// Takes the new counter from the stack, stores it where it belongs, and refills it if it is below 0.
    fn settle(&mut self, rewriter: &Rewriter<'_, '_>) {
        self.emit(&Instruction::LocalTee(self.local));
        if self.counter == Counter::Global {
            self.function.instructions().global_set(rewriter.fuel).local_get(self.local);
        }
        self.function.instructions().i32_const(0).i32_lt_s().if_(BlockType::Empty);
        self.function.instructions().local_get(self.local).call(rewriter.refill);
        self.emit(&match self.counter {
            Counter::Local => Instruction::LocalSet(self.local),
            Counter::Global | Counter::Unmetered => Instruction::GlobalSet(rewriter.fuel),
        });
        self.emit(&Instruction::End);
    }

    /// Before a call that reads the global.
    fn store_global(&mut self, rewriter: &Rewriter<'_, '_>) {
        if self.counter == Counter::Local {
            self.function.instructions().local_get(self.local).global_set(rewriter.fuel);
        }
    }

    /// After a call that wrote the global.
    fn load_global(&mut self, rewriter: &Rewriter<'_, '_>) {
        if self.counter == Counter::Local {
            self.function.instructions().global_get(rewriter.fuel).local_set(self.local);
        }
    }

    /// Writes the whole body; the function is one block deeper than it was if its counter is local, so that every way out
    /// leads by the end, where the counter is given back.
    fn body(
        &mut self,
        rewriter: &mut Rewriter<'_, '_>,
        mut operators: OperatorsReader<'_>,
        loops: Vec<LoopPlan>,
    ) -> Result2<()> {
        self.region(rewriter, &mut operators, &mut loops.into_iter(), Region { moved: 0, outside: 0 })?;
        if self.counter == Counter::Local {
            self.emit(&Instruction::End);
            self.store_global(rewriter);
        }
        self.emit(&Instruction::End);
        Ok(())
    }

    /// Writes what follows, up to the `end` of the block that is open now; not that `end` itself.
    fn region(
        &mut self,
        rewriter: &mut Rewriter<'_, '_>,
        operators: &mut OperatorsReader<'_>,
        loops: &mut std::vec::IntoIter<LoopPlan>,
        region: Region,
    ) -> Result2<()> {
        let mut depth = 0u32;
        let mut previous = Operator::Nop;
        loop {
            let operator = next_live(operators, &previous, loops)?;
            let copied = region.moved(depth, rewriter.instruction(operator.clone())?);
            match &operator {
                Operator::Loop { .. } => match loops.next() {
                    Some(plan) if plan.repeats() => {
                        self.repeated_loop(rewriter, operators, plan, depth + region.outside)?;
                    }
                    plan => {
                        depth += 1;
                        self.emit(&copied);
                        self.turn(rewriter, plan.map_or(0, |plan| plan.fuel));
                    }
                },
                Operator::Block { .. } | Operator::If { .. } => {
                    depth += 1;
                    self.emit(&copied);
                }
                Operator::End if depth == 0 => return Ok(()),
                Operator::End => {
                    depth -= 1;
                    self.emit(&copied);
                }
                Operator::Return if self.counter == Counter::Local => {
                    self.emit(&Instruction::Br(depth + region.outside));
                }
                Operator::MemorySize { .. } => self.emit(&Instruction::GlobalGet(rewriter.pages())),
                Operator::MemoryGrow { .. } => self.call(rewriter, &Instruction::Call(rewriter.grow)),
                Operator::Call { function_index } if !rewriter.graph.is_prepaid(*function_index) => {
                    self.call(rewriter, &copied);
                }
                Operator::CallIndirect { type_index, .. } if !rewriter.graph.is_prepaid_type(*type_index) => {
                    self.call(rewriter, &copied);
                }
                operator => {
                    if meter::has_dynamic_cost(operator, &previous) {
                        self.pay_for_length(rewriter);
                    }
                    self.emit(&copied);
                }
            }
            previous = operator;
        }
    }

    /// Writes the body of a loop several times. Its branches to the loop come, in all copies but the last, to the end of
    /// a block around the copy; the end of the body, which leaves the loop, becomes a branch to the outermost end:
    ///
    /// ```text
    /// block
    ///   block (body) br 1 end
    ///   loop
    ///     (charge)
    ///     block (body) br 2 end ...
    ///     (body)
    ///   end
    /// end
    /// ```
    fn repeated_loop(
        &mut self,
        rewriter: &mut Rewriter<'_, '_>,
        operators: &mut OperatorsReader<'_>,
        plan: LoopPlan,
        outside: u32,
    ) -> Result2<()> {
        let mut no_loops = Vec::new().into_iter();
        let first = Region { moved: 1, outside: outside + 2 };
        let middle = Region { moved: 2, outside: outside + 3 };
        let last = Region { moved: 1, outside: outside + 2 };

        self.function.instructions().block(BlockType::Empty).block(BlockType::Empty);
        self.region(rewriter, &mut operators.clone(), &mut no_loops, first)?;
        self.function.instructions().br(1).end().loop_(BlockType::Empty);
        self.turn(rewriter, plan.fuel);
        for _ in 1..plan.turns {
            self.emit(&Instruction::Block(BlockType::Empty));
            self.region(rewriter, &mut operators.clone(), &mut no_loops, middle)?;
            self.function.instructions().br(2).end();
        }
        self.region(rewriter, operators, &mut no_loops, last)?;
        self.function.instructions().end().end();
        Ok(())
    }

    fn call(&mut self, rewriter: &Rewriter<'_, '_>, call: &Instruction<'_>) {
        self.store_global(rewriter);
        self.emit(call);
        self.load_global(rewriter);
    }
}
