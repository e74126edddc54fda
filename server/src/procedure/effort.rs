//! How much work it is to compile a module, reckoned while it is validated: some short instructions make wasm3 write much
//! code or search for long.
//!
//! A unit is about a nanosecond of the gate's and wasm3's time. What wasm3 writes is bounded by it too: about a byte for
//! every four units. Knows the costs, not what else is forbidden.

use wasmparser::{BlockType, FuncType, Operator};

use super::error::GateError;
use super::limits::{self, Limits, fixed};
use super::meter::{MAX_REPEATED_INSTRUCTIONS, MAX_TURNS};

/// Work of a function, however short: wasm3 clears its compiler's state for each.
const FUNCTION: u64 = 5_000;
/// Work of an instruction.
const INSTRUCTION: u64 = 400;
/// The part of it that is done again for each copy of a small loop's body.
const COPY: u64 = 150;
/// Work of an instruction for each block around it.
const BLOCK_AROUND: u64 = 4;
/// Work of an instruction for each value on the stack: wasm3 looks through them for a free place.
const VALUE_BELOW: u64 = 2;
/// Work for each value that a branch, a block or a call passes on: an instruction of wasm3's.
const VALUE: u64 = 200;
/// Work for each pair of values that a branch or the end of a block passes on: wasm3 compares their places.
const PAIR_OF_VALUES: u64 = 4;
/// Work for each target of a `br_table`.
const TARGET: u64 = 200;
/// Work for each local at the start of a block on a stack that is not empty: wasm3 looks for each among the values.
const LOCAL: u64 = 8;

/// Parameters and results of a block or function.
#[derive(Clone, Copy, Default)]
struct Arity {
    params: u64,
    results: u64,
}

impl Arity {
    fn of(ty: &FuncType) -> Self {
        Self { params: ty.params().len() as u64, results: ty.results().len() as u64 }
    }

    fn of_block(ty: BlockType, types: &[FuncType]) -> Self {
        match ty {
            BlockType::Empty => Self::default(),
            BlockType::Type(_) => Self { params: 0, results: 1 },
            BlockType::FuncType(index) => types.get(index as usize).map_or(Self::default(), Self::of),
        }
    }

    fn sum(self) -> u64 {
        self.params + self.results
    }
}

/// A block that is open.
struct Block {
    arity: Arity,
    is_loop: bool,
    /// It is a loop that has neither another loop nor a call nor a table of branches in it so far.
    can_repeat: bool,
    /// What had been done, as counted by [`Effort::instructions`] and [`Effort::writing`], when it began.
    instructions: u64,
    writing: u64,
}

/// The account of a module.
pub(super) struct Effort {
    spent: u64,
    limit: u64,
    /// Instructions so far, and the work of writing them: what is done again for a small loop.
    instructions: u64,
    writing: u64,
    /// Of the present function.
    locals: u64,
    blocks: Vec<Block>,
    /// Values that wasm3 keeps for the open blocks, besides those on the stack.
    kept_values: u64,
}

impl Effort {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            spent: 0,
            limit: limits.max_module_bytes.saturating_mul(fixed::COMPILE_WORK_PER_BYTE),
            instructions: 0,
            writing: 0,
            locals: 0,
            blocks: Vec::new(),
            kept_values: 0,
        }
    }

    /// A function begins, with so many parameters and locals.
    pub(super) fn function(&mut self, ty: &FuncType, locals: u64) -> Result<(), GateError> {
        self.blocks.clear();
        self.kept_values = 0;
        self.locals = locals;
        self.open(Arity::of(ty), false);
        // For each local wasm3 looks through those before it.
        self.spend(FUNCTION + locals * locals / 2)
    }

    /// A valid instruction of the function, after which so many values are on the stack. `called` is the type of what it
    /// calls.
    pub(super) fn instruction(
        &mut self,
        operator: &Operator<'_>,
        stack_height: u64,
        types: &[FuncType],
        called: Option<&FuncType>,
    ) -> Result<(), GateError> {
        let height = stack_height + self.kept_values;
        let around = self.blocks.len() as u64 * BLOCK_AROUND + height * VALUE_BELOW;
        let extra = match operator {
            Operator::Block { blockty } => self.enter(Arity::of_block(*blockty, types), height, false),
            Operator::Loop { blockty } => {
                self.forbid_repeating();
                self.enter(Arity::of_block(*blockty, types), height, true)
            }
            // It is compiled with an `else`, even if it has none.
            Operator::If { blockty } => 2 * self.enter(Arity::of_block(*blockty, types), height, false),
            Operator::Else => self.blocks.last().map_or(0, |block| passing(block.arity.results)),
            Operator::End => self.leave(),
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth)
            }
            Operator::BrTable { targets } => {
                self.forbid_repeating();
                let all = targets.targets().flatten().chain([targets.default()]);
                all.map(|target| TARGET + around + self.branch(target)).sum()
            }
            Operator::Return => self.blocks.first().map_or(0, |block| passing(block.arity.results)),
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.forbid_repeating();
                called.map_or(0, |ty| Arity::of(ty).sum() * VALUE)
            }
            _ => 0,
        };
        self.instructions += 1;
        self.writing += COPY + around + extra;
        self.spend(INSTRUCTION + around + extra)
    }

    fn spend(&mut self, units: u64) -> Result<(), GateError> {
        self.spent = self.spent.saturating_add(units);
        if self.spent <= self.limit {
            return Ok(());
        }
        let (found, limit, option) = (self.spent, self.limit, Some(limits::OPTION_MODULE_SIZE));
        Err(GateError::Limit { what: "units of work to compile", found, limit, option })
    }

    fn open(&mut self, arity: Arity, is_loop: bool) {
        self.kept_values += arity.sum();
        let (instructions, writing) = (self.instructions, self.writing);
        self.blocks.push(Block { arity, is_loop, can_repeat: is_loop, instructions, writing });
    }

    fn enter(&mut self, arity: Arity, height: u64, is_loop: bool) -> u64 {
        self.open(arity, is_loop);
        let search = if height > 0 { self.locals * (LOCAL + height) } else { 0 };
        search + arity.sum() * (VALUE + height * VALUE_BELOW)
    }

    fn forbid_repeating(&mut self) {
        for block in &mut self.blocks {
            block.can_repeat = false;
        }
    }

    /// The innermost block ends; if it is a loop that may be written several times, that is counted now.
    fn leave(&mut self) -> u64 {
        let Some(block) = self.blocks.pop() else { return 0 };
        self.kept_values -= block.arity.sum();
        let repeats = block.can_repeat && self.instructions - block.instructions <= MAX_REPEATED_INSTRUCTIONS;
        let repeated = if repeats { (self.writing - block.writing) * u64::from(MAX_TURNS) } else { 0 };
        passing(block.arity.results) + repeated
    }

    fn branch(&self, depth: u32) -> u64 {
        let target =
            self.blocks.len().checked_sub(1 + depth as usize).and_then(|index| self.blocks.get(index));
        target
            .map_or(0, |block| passing(if block.is_loop { block.arity.params } else { block.arity.results }))
    }
}

/// Work of moving values to where a branch or the end of a block leaves them.
fn passing(values: u64) -> u64 {
    values * VALUE + values * values * PAIR_OF_VALUES
}
