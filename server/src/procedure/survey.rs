//! The gate's first half: reads an uploaded module, validates it, and holds it against the limits.
//!
//! Owns what a module may be made of. Knows nothing of how it is rewritten or run.

use wasmparser::{
    BinaryReaderError, ConstExpr, CustomSectionReader, DataKind, DataSectionReader, ElementItems,
    ElementKind, ElementSectionReader, Encoding, ExternalKind, FuncToValidate, FuncType, FuncValidator,
    FuncValidatorAllocations, FunctionBody, GlobalSectionReader, MemoryType, Operator, Parser, Payload,
    TableType, TypeRef, TypeSectionReader, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use super::abi::{HostFunction, IMPORT_MODULE, INITIALIZER, PLACEMENT_SECTION, TRIGGER_SECTION, signature};
use super::effort::Effort;
use super::error::GateError;
use super::limits::{self, Limits, PAGE_BYTES, fixed};

/// What wasm3 runs and what can be reset between calls: no reference types, SIMD, threads, exceptions, tail calls,
/// 64-bit or several memories.
const FEATURES: WasmFeatures =
    WasmFeatures::LIME1.difference(WasmFeatures::EXTENDED_CONST).union(WasmFeatures::BULK_MEMORY);

/// A validated module, taken apart; it borrows the uploaded bytes.
#[derive(Default)]
pub(super) struct Survey<'a> {
    pub(super) types: Vec<FuncType>,
    pub(super) type_section: Option<TypeSectionReader<'a>>,
    /// The imported host functions, in order, with their type indices.
    pub(super) imports: Vec<(HostFunction, u32)>,
    /// Type indices of the functions that the module defines.
    pub(super) functions: Vec<u32>,
    pub(super) bodies: Vec<FunctionBody<'a>>,
    pub(super) table: Option<TableType>,
    pub(super) memory: Option<MemoryType>,
    pub(super) global_section: Option<GlobalSectionReader<'a>>,
    pub(super) global_count: u32,
    /// Exported functions: name and function index.
    pub(super) exports: Vec<(&'a str, u32)>,
    pub(super) start: Option<u32>,
    pub(super) element_section: Option<ElementSectionReader<'a>>,
    /// Every function that an element segment names: what an indirect call can reach.
    pub(super) table_functions: Vec<u32>,
    pub(super) data_section: Option<DataSectionReader<'a>>,
    /// Whether the module counts its data segments up front, as `memory.init` needs.
    pub(super) data_count: Option<u32>,
    /// What the active data segments write: offset and bytes.
    pub(super) image: Vec<(u32, &'a [u8])>,
    /// The text of the trigger declarations.
    pub(super) triggers: String,
    /// The text that says where procedures run.
    pub(super) placements: String,
}

impl<'a> Survey<'a> {
    /// Takes a binary module apart, or says why it cannot be accepted.
    pub(super) fn of(wasm: &'a [u8], limits: &Limits) -> Result<Self, GateError> {
        let mut survey = Self::default();
        let mut validator = Validator::new_with_features(FEATURES);
        let mut functions = Functions::new(limits);
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        for payload in parser.parse_all(wasm) {
            let payload = payload.map_err(|error| invalid(&error))?;
            if let Payload::Version { encoding: Encoding::Component, .. } = payload {
                let reason = "this is a component; build a core module (target wasm32-unknown-unknown)";
                return Err(GateError::Refused(reason.into()));
            }
            match validator.payload(&payload).map_err(|error| invalid(&error))? {
                ValidPayload::Func(function, body) => {
                    functions.check(function, &body, &survey, limits)?;
                    survey.bodies.push(body);
                }
                _ => survey.add(payload, limits)?,
            }
        }
        survey.check_segments()?;
        survey.take_initializer();
        Ok(survey)
    }

    /// A reactor's initializer is no procedure: it must run before all others, as the start function does.
    fn take_initializer(&mut self) {
        let is_plain = |survey: &Self, function: u32| {
            let ty = &survey.types[survey.type_index(function) as usize];
            ty.params().is_empty() && ty.results().is_empty()
        };
        let found = self.exports.iter().position(|(name, _)| *name == INITIALIZER);
        if let Some(place) = found.filter(|place| is_plain(self, self.exports[*place].1)) {
            let (_, function) = self.exports.remove(place);
            self.start.get_or_insert(function);
        }
    }

    /// The type of a function, imported or defined.
    pub(super) fn type_index(&self, function: u32) -> u32 {
        let imported = self.imports.len();
        match self.imports.get(function as usize) {
            Some((_, type_index)) => *type_index,
            None => self.functions[function as usize - imported],
        }
    }

    /// The type of what an instruction calls.
    fn called_by(&self, operator: &Operator<'_>) -> Option<&FuncType> {
        let type_index = match operator {
            Operator::Call { function_index } => self.type_index(*function_index),
            Operator::CallIndirect { type_index, .. } => *type_index,
            _ => return None,
        };
        self.types.get(type_index as usize)
    }

    fn add(&mut self, payload: Payload<'a>, limits: &Limits) -> Result<(), GateError> {
        match payload {
            Payload::TypeSection(section) => self.add_types(section)?,
            Payload::ImportSection(section) => {
                check("imports", section.count().into(), fixed::MAX_IMPORTS.into(), None)?;
                for import in section.into_imports() {
                    self.add_import(&import.map_err(|error| invalid(&error))?)?;
                }
            }
            Payload::FunctionSection(section) => {
                let found = u64::from(section.count()) + self.imports.len() as u64;
                check("functions", found, limits.max_functions.into(), Some(limits::OPTION_FUNCTIONS))?;
                self.functions = collect(section)?;
            }
            Payload::TableSection(section) => {
                for table in section {
                    let ty = table.map_err(|error| invalid(&error))?.ty;
                    let limit = limits.max_table_elements.into();
                    check("table elements", ty.initial, limit, Some(limits::OPTION_TABLE))?;
                    self.table = Some(ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let ty = memory.map_err(|error| invalid(&error))?;
                    let limit = limits.max_memory_pages().into();
                    check("pages of initial memory", ty.initial, limit, Some(limits::OPTION_MEMORY))?;
                    self.memory = Some(ty);
                }
            }
            Payload::GlobalSection(section) => {
                check("globals", section.count().into(), fixed::MAX_GLOBALS.into(), None)?;
                self.global_count = section.count();
                self.global_section = Some(section);
            }
            Payload::ExportSection(section) => {
                check("exports", section.count().into(), fixed::MAX_EXPORTS.into(), None)?;
                for export in section {
                    let export = export.map_err(|error| invalid(&error))?;
                    let found = export.name.len() as u64;
                    check("bytes of an export's name", found, fixed::MAX_NAME_BYTES as u64, None)?;
                    if export.kind == ExternalKind::Func {
                        self.exports.push((export.name, export.index));
                    }
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => self.add_elements(section)?,
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::DataSection(section) => self.add_data(section)?,
            Payload::CustomSection(section) => match section.name() {
                TRIGGER_SECTION => add_declarations(&mut self.triggers, &section)?,
                PLACEMENT_SECTION => add_declarations(&mut self.placements, &section)?,
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn add_types(&mut self, section: TypeSectionReader<'a>) -> Result<(), GateError> {
        check("types", section.count().into(), fixed::MAX_TYPES.into(), None)?;
        for ty in section.clone().into_iter_err_on_gc_types() {
            let ty = ty.map_err(|error| invalid(&error))?;
            let longest = ty.params().len().max(ty.results().len());
            check("parameters or results", longest as u64, fixed::MAX_PARAMETERS as u64, None)?;
            self.types.push(ty);
        }
        self.type_section = Some(section);
        Ok(())
    }

    fn add_import(&mut self, import: &wasmparser::Import<'_>) -> Result<(), GateError> {
        let name = format!("import '{}.{}'", import.module, import.name);
        let TypeRef::Func(type_index) = import.ty else {
            return Err(GateError::Refused(format!(
                "{name} is not a function; only functions can be imported"
            )));
        };
        if import.module != IMPORT_MODULE {
            let hint =
                if import.module.starts_with("wasi") { " (built for WASI? kvasm has none)" } else { "" };
            return Err(GateError::Refused(format!(
                "{name} does not exist; the host functions are in '{IMPORT_MODULE}'{hint}"
            )));
        }
        let Some(function) = HostFunction::by_name(import.name) else {
            return Err(GateError::Refused(format!(
                "{name} does not exist in this version of the interface"
            )));
        };
        let ty = &self.types[type_index as usize];
        let (params, results) = function.signature();
        if ty.params() != params || ty.results() != results {
            let (needed, found) = (signature(params, results), signature(ty.params(), ty.results()));
            return Err(GateError::Refused(format!("{name} has the type {needed}, not {found}")));
        }
        self.imports.push((function, type_index));
        Ok(())
    }

    fn add_elements(&mut self, section: ElementSectionReader<'a>) -> Result<(), GateError> {
        check("element segments", section.count().into(), fixed::MAX_SEGMENTS.into(), None)?;
        for element in section.clone() {
            match element.map_err(|error| invalid(&error))?.items {
                ElementItems::Functions(functions) => self.table_functions.extend(collect::<u32>(functions)?),
                ElementItems::Expressions(..) => {
                    return Err(GateError::Refused(
                        "element segments of expressions (reference types)".into(),
                    ));
                }
            }
        }
        self.element_section = Some(section);
        Ok(())
    }

    fn add_data(&mut self, section: DataSectionReader<'a>) -> Result<(), GateError> {
        check("data segments", section.count().into(), fixed::MAX_SEGMENTS.into(), None)?;
        for data in section.clone() {
            let data = data.map_err(|error| invalid(&error))?;
            if let DataKind::Active { offset_expr, .. } = data.kind {
                self.image.push((constant(&offset_expr)?, data.data));
            }
        }
        self.data_section = Some(section);
        Ok(())
    }

    /// A segment outside of its memory or table would fail every instantiation, so it is refused here.
    fn check_segments(&self) -> Result<(), GateError> {
        let memory_bytes = self.memory.map_or(0, |memory| memory.initial * PAGE_BYTES);
        for (offset, bytes) in &self.image {
            if u64::from(*offset) + bytes.len() as u64 > memory_bytes {
                return Err(GateError::Invalid(format!(
                    "data segment at {offset} lies outside of the memory"
                )));
            }
        }
        let table_elements = self.table.map_or(0, |table| table.initial);
        for element in self.element_section.clone().into_iter().flatten() {
            let element = element.map_err(|error| invalid(&error))?;
            if let (ElementKind::Active { offset_expr, .. }, ElementItems::Functions(items)) =
                (element.kind, element.items)
            {
                let offset = constant(&offset_expr)?;
                if u64::from(offset) + u64::from(items.count()) > table_elements {
                    return Err(GateError::Invalid(format!(
                        "element segment at {offset} lies outside of the table"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Adds the text of a custom section that declares something.
fn add_declarations(text: &mut String, section: &CustomSectionReader<'_>) -> Result<(), GateError> {
    let found = (text.len() + section.data().len()) as u64;
    check("bytes of declarations", found, fixed::MAX_DECLARATION_BYTES as u64, None)?;
    let name = section.name();
    let declared = std::str::from_utf8(section.data())
        .map_err(|_| GateError::Invalid(format!("section '{name}' is not UTF-8")))?;
    text.push_str(declared);
    text.push('\n');
    Ok(())
}

/// Validates functions, and holds them against the limits on locals, nesting, `br_table` and work.
struct Functions {
    effort: Effort,
    allocations: FuncValidatorAllocations,
}

impl Functions {
    fn new(limits: &Limits) -> Self {
        Self { effort: Effort::new(limits), allocations: FuncValidatorAllocations::default() }
    }

    /// Checks the function whose body comes next.
    fn check(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        survey: &Survey<'_>,
        limits: &Limits,
    ) -> Result<(), GateError> {
        let ty = &survey.types[survey.functions[survey.bodies.len()] as usize];
        let locals = count_locals(body, ty, limits)?;
        self.effort.function(ty, locals)?;
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        self.check_body(&mut validator, body, survey, limits)?;
        self.allocations = validator.into_allocations();
        Ok(())
    }

    fn check_body(
        &mut self,
        validator: &mut FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
        survey: &Survey<'_>,
        limits: &Limits,
    ) -> Result<(), GateError> {
        let max_nesting = limits.max_nesting.min(fixed::MAX_NESTING).into();
        validator.read_locals(&mut body.get_binary_reader()).map_err(|error| invalid(&error))?;
        let mut operators = body.get_operators_reader().map_err(|error| invalid(&error))?;
        while !operators.eof() {
            let offset = operators.original_position();
            let operator = operators.read().map_err(|error| invalid(&error))?;
            if let Operator::BrTable { targets } = &operator {
                check("targets of a br_table", targets.len().into(), fixed::MAX_BRANCH_TARGETS.into(), None)?;
            }
            validator.op(offset, &operator).map_err(|error| invalid(&error))?;
            if matches!(operator, Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. }) {
                // Without the function's own.
                let depth = u64::from(validator.control_stack_height()) - 1;
                check("levels of nested blocks", depth, max_nesting, Some(limits::OPTION_NESTING))?;
            }
            let called = survey.called_by(&operator);
            self.effort.instruction(
                &operator,
                validator.operand_stack_height().into(),
                &survey.types,
                called,
            )?;
        }
        operators.finish().map_err(|error| invalid(&error))
    }
}

/// Parameters and locals of a function.
fn count_locals(body: &FunctionBody<'_>, ty: &FuncType, limits: &Limits) -> Result<u64, GateError> {
    let mut locals = ty.params().len() as u64;
    for group in body.get_locals_reader().map_err(|error| invalid(&error))? {
        locals += u64::from(group.map_err(|error| invalid(&error))?.0);
    }
    let limit = limits.max_locals.min(fixed::MAX_LOCALS).into();
    check("locals of a function", locals, limit, Some(limits::OPTION_LOCALS))?;
    Ok(locals)
}

/// The value of an `i32.const` offset: without imported globals the only kind there is.
fn constant(expression: &ConstExpr<'_>) -> Result<u32, GateError> {
    match expression.get_operators_reader().read() {
        Ok(Operator::I32Const { value }) => Ok(value as u32),
        _ => Err(GateError::Refused("a segment's offset is not a constant".into())),
    }
}

fn collect<'a, T: wasmparser::FromReader<'a>>(
    section: wasmparser::SectionLimited<'a, T>,
) -> Result<Vec<T>, GateError> {
    section.into_iter().collect::<Result<_, _>>().map_err(|error| invalid(&error))
}

fn check(what: &'static str, found: u64, limit: u64, option: Option<&'static str>) -> Result<(), GateError> {
    if found <= limit { Ok(()) } else { Err(GateError::Limit { what, found, limit, option }) }
}

/// An error of the validator or the parser, in its words.
pub(super) fn invalid(error: &BinaryReaderError) -> GateError {
    GateError::Invalid(format!("{} (at byte {})", error.message(), error.offset()))
}
