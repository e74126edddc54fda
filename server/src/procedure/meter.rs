//! What running costs: the fuel of each instruction, and of each stretch of a function.
//!
//! Fuel is taken at the entry of a function and at the head of each loop, for the most expensive way through what follows
//! up to the next such point. That charges a whole body with one subtraction and one test, never less than what is
//! executed. Most entries are paid for by the callers, together with their own way to the call (see `graph`). It stops
//! everything: code can only repeat itself in loops and by recursion, both of which come by a charge, and every charge is
//! tested before what it is for runs. Small loops without calls and tables of branches, where the test would cost most,
//! are written out for several turns: the first belongs to what is before the loop, so that a loop that is left at once
//! pays nothing; the others are charged together.

use wasmparser::{BlockType, FunctionBody, Operator};

use super::error::GateError;
use super::survey::invalid;

/// Fuel of a call, besides what the callee costs: wasm3 makes a frame and clears the callee's locals.
const CALL: u32 = 5;
/// Fuel of an indirect call.
const CALL_INDIRECT: u32 = 8;
/// Fuel of a division, remainder or square root.
const DIVISION: u32 = 4;
/// Fuel of a bulk instruction, besides its length.
const BULK: u32 = 20;
/// Locals that cost one unit to clear.
const LOCALS_PER_FUEL: u32 = 8;
/// Bytes (or table elements) that a bulk instruction handles for one unit, as a shift.
pub(super) const BULK_SHIFT: i32 = 4;
/// Fuel of a page that the memory grows by: it must be mapped now and cleared later.
pub(super) const PAGE: i32 = 8_192;
/// Fuel of a page of the first memory beyond [`FREE_PAGES`]: it may have to be cleared before the call.
pub(super) const CLEARED_PAGE: u64 = 1_024;
/// Pages of the first memory that a call does not pay for: most guests have a stack of 16 pages, and touch few of them.
pub(super) const FREE_PAGES: u32 = 32;
/// Fuel of a byte of the module when each call needs a new instance.
pub(super) const NEW_INSTANCE_BYTE: u64 = 48;
/// No single charge is more than this, so that the 32-bit counter cannot wrap.
const MAX_CHARGE: u32 = 1 << 29;

/// The longest constant length of a bulk instruction that its fixed fuel covers.
const MAX_CONSTANT_BULK: i32 = 256;

/// Whether an instruction must be charged by its length when it runs; `previous` is the one before it, which may be a
/// small constant length.
pub(super) fn has_dynamic_cost(operator: &Operator<'_>, previous: &Operator<'_>) -> bool {
    let is_bulk = matches!(
        operator,
        Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableInit { .. }
            | Operator::TableCopy { .. }
    );
    let is_short =
        matches!(previous, Operator::I32Const { value } if (0..=MAX_CONSTANT_BULK).contains(value));
    is_bulk && !is_short
}

/// What is known of the module around a function.
pub(super) trait CallCost {
    /// How many parameters and results a type has.
    fn arity(&self, type_index: u32) -> Arity;
    /// Fuel that the caller pays for a direct call, besides the call itself.
    fn direct(&self, function: u32) -> u32;
    /// The same for an indirect call.
    fn indirect(&self, type_index: u32) -> u32;
    /// Whether a direct call may change the counter.
    fn direct_changes_counter(&self, function: u32) -> bool;
    /// The same for an indirect call.
    fn indirect_changes_counter(&self, type_index: u32) -> bool;
}

/// Numbers of parameters and results.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arity {
    pub(super) params: u32,
    pub(super) results: u32,
}

impl Arity {
    fn of(ty: BlockType, calls: &impl CallCost) -> Self {
        match ty {
            BlockType::Empty => Self::default(),
            BlockType::Type(_) => Self { params: 0, results: 1 },
            BlockType::FuncType(type_index) => calls.arity(type_index),
        }
    }
}

/// Whether an instruction may change the counter.
pub(super) fn changes_counter(operator: &Operator<'_>, calls: &impl CallCost) -> bool {
    match operator {
        Operator::Call { function_index } => calls.direct_changes_counter(*function_index),
        Operator::CallIndirect { type_index, .. } => calls.indirect_changes_counter(*type_index),
        Operator::MemoryGrow { .. } => true,
        _ => false,
    }
}

/// The charges of one function.
pub(super) struct Plan {
    /// Fuel to take at the entry, there or by the callers.
    pub(super) entry_fuel: u32,
    /// The loops, in the order of their heads.
    pub(super) loops: Vec<LoopPlan>,
    /// Every loop has a call that may change the counter.
    pub(super) loops_change_counter: bool,
}

/// The charge of one loop.
#[derive(Clone, Copy)]
pub(super) struct LoopPlan {
    /// How many times to write the body in the loop: the turns that one charge is for. If that is more than 1, it is
    /// written once more before the loop, for the first turn.
    pub(super) turns: u32,
    /// Fuel to take for that many turns.
    pub(super) fuel: u32,
}

impl LoopPlan {
    /// Whether the body is written several times.
    pub(super) fn repeats(self) -> bool {
        self.turns > 1
    }

    /// Fuel of the turn before the loop.
    fn first_turn_fuel(self) -> u32 {
        if self.repeats() { self.fuel / self.turns } else { 0 }
    }
}

/// How many times the body of a loop is written whose most expensive turn costs at most that much fuel.
const SMALL_LOOPS: &[(u32, u32)] = &[(64, MAX_TURNS), (128, 2)];
/// The most times that a loop's body is written in the loop.
pub(super) const MAX_TURNS: u32 = 4;
/// The most instructions, its `end` included, of a loop that is written several times: one that is short by its fuel
/// may still have many, of which a turn takes few.
pub(super) const MAX_REPEATED_INSTRUCTIONS: u64 = 256;

/// Computes the charges of a function of this type.
pub(super) fn plan(
    body: &FunctionBody<'_>,
    type_index: u32,
    calls: &impl CallCost,
) -> Result<Plan, GateError> {
    let mut locals = 0u32;
    for group in body.get_locals_reader().map_err(|error| invalid(&error))? {
        locals += group.map_err(|error| invalid(&error))?.0;
    }
    let entry_fuel = 1 + locals / LOCALS_PER_FUEL;
    let arity = calls.arity(type_index);
    // The first walk finds the small loops, the second knows what their first turns add to what is around them.
    let first = walk(body, calls, Walk::new(entry_fuel, arity, &[]))?;
    walk(body, calls, Walk::new(entry_fuel, arity, &first.loops))
}

fn walk(body: &FunctionBody<'_>, calls: &impl CallCost, mut walk: Walk<'_>) -> Result<Plan, GateError> {
    for operator in body.get_operators_reader().map_err(|error| invalid(&error))? {
        let operator = operator.map_err(|error| invalid(&error))?;
        walk.spend(weight(&operator, calls) + walk.values_passed_by(&operator));
        walk.step(&operator, |ty| Arity::of(ty, calls));
        if changes_counter(&operator, calls) {
            walk.mark_change();
        }
    }
    Ok(walk.plan())
}

/// The fuel of one instruction.
fn weight(operator: &Operator<'_>, calls: &impl CallCost) -> u32 {
    match operator {
        Operator::Block { .. } | Operator::End | Operator::Else | Operator::Nop => 0,
        Operator::Call { function_index } => CALL + calls.direct(*function_index),
        Operator::CallIndirect { type_index, .. } => CALL_INDIRECT + calls.indirect(*type_index),
        Operator::I32DivS
        | Operator::I32DivU
        | Operator::I32RemS
        | Operator::I32RemU
        | Operator::I64DivS
        | Operator::I64DivU
        | Operator::I64RemS
        | Operator::I64RemU
        | Operator::F32Div
        | Operator::F64Div
        | Operator::F32Sqrt
        | Operator::F64Sqrt => DIVISION,
        Operator::MemoryCopy { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryInit { .. }
        | Operator::MemoryGrow { .. }
        | Operator::TableInit { .. }
        | Operator::TableCopy { .. } => BULK,
        _ => 1,
    }
}

/// A pass over a function that keeps, for every point, the most expensive way to it from the last charge.
///
/// WebAssembly branches forward only to the ends of blocks, and backward only to loops, which start a new stretch; so
/// one pass in the order of the text sees every way before the point where it arrives.
struct Walk<'a> {
    /// The loops, as far as they are known.
    known: &'a [LoopPlan],
    /// The function's entry, then each loop.
    stretches: Vec<Stretch>,
    blocks: Vec<Block>,
    /// The stretches that are open here, innermost last: index, and the cost so far; `None` in dead code.
    open: Vec<(usize, Option<u32>)>,
}

/// What follows a charge.
struct Stretch {
    /// The most expensive way found.
    fuel: u32,
    /// A loop without values on entry and exit that has neither another loop nor a call nor a table of branches in it.
    can_repeat: bool,
    /// How many it has, those of loops in it left out.
    instructions: u64,
    /// It has a call that may change the counter.
    changes_counter: bool,
}

struct Block {
    arity: Arity,
    is_loop: bool,
    /// Number of stretches open outside of this block (at its end).
    open: usize,
    /// The most expensive way to the end found so far.
    end: Option<u32>,
    /// For an `if`: the cost at its condition, from which `else` goes on.
    condition: Option<u32>,
}

impl<'a> Walk<'a> {
    fn new(entry_fuel: u32, arity: Arity, known: &'a [LoopPlan]) -> Self {
        let function = Block { arity, is_loop: false, open: 1, end: None, condition: None };
        let entry = Stretch { fuel: entry_fuel, can_repeat: false, instructions: 0, changes_counter: false };
        Self { known, stretches: vec![entry], blocks: vec![function], open: vec![(0, Some(entry_fuel))] }
    }

    fn plan(self) -> Plan {
        let loops_change_counter = self.stretches[1..].iter().all(|stretch| stretch.changes_counter);
        let mut stretches = self.stretches.into_iter().map(|stretch| {
            let can_repeat = stretch.can_repeat && stretch.instructions <= MAX_REPEATED_INSTRUCTIONS;
            let small = SMALL_LOOPS.iter().find(|(fuel, _)| can_repeat && stretch.fuel <= *fuel);
            let turns = small.map_or(1, |(_, turns)| *turns);
            LoopPlan { turns, fuel: stretch.fuel.min(MAX_CHARGE) * turns }
        });
        let entry_fuel = stretches.next().map_or(0, |entry| entry.fuel);
        Plan { entry_fuel, loops: stretches.collect(), loops_change_counter }
    }

    fn mark_change(&mut self) {
        for (stretch, _) in &self.open {
            self.stretches[*stretch].changes_counter = true;
        }
    }

    fn forbid_repeating(&mut self) {
        for (stretch, _) in &self.open {
            self.stretches[*stretch].can_repeat = false;
        }
    }

    fn spend(&mut self, fuel: u32) {
        if let Some((stretch, Some(cost))) = self.open.last_mut() {
            *cost = cost.saturating_add(fuel);
            let stretch = &mut self.stretches[*stretch];
            stretch.fuel = stretch.fuel.max(*cost);
        }
    }

    fn here(&self) -> Option<u32> {
        self.open.last().and_then(|(_, cost)| *cost)
    }

    fn set_here(&mut self, cost: Option<u32>) {
        if let Some(last) = self.open.last_mut() {
            last.1 = cost;
        }
    }

    /// The fuel of the values that a branch or the end of a block moves: it may move the same ones again and again.
    fn values_passed_by(&self, operator: &Operator<'_>) -> u32 {
        let results = |block: Option<&Block>| block.map_or(0, |block| block.arity.results);
        match operator {
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.values_of_branch(*relative_depth)
            }
            // All targets take as many.
            Operator::BrTable { targets } => self.values_of_branch(targets.default()),
            Operator::Else | Operator::End => results(self.blocks.last()),
            Operator::Return => results(self.blocks.first()),
            _ => 0,
        }
    }

    fn values_of_branch(&self, depth: u32) -> u32 {
        let target =
            self.blocks.len().checked_sub(1 + depth as usize).and_then(|index| self.blocks.get(index));
        target.map_or(0, |block| if block.is_loop { block.arity.params } else { block.arity.results })
    }

    fn step(&mut self, operator: &Operator<'_>, arity: impl Fn(BlockType) -> Arity) {
        if let Some((stretch, _)) = self.open.last() {
            self.stretches[*stretch].instructions += 1;
        }
        match operator {
            Operator::Block { blockty } => self.enter(arity(*blockty), false, None),
            Operator::If { blockty } => self.enter(arity(*blockty), false, self.here()),
            Operator::Loop { blockty } => {
                let known = self.known.get(self.stretches.len() - 1);
                self.spend(known.map_or(0, |plan| plan.first_turn_fuel()));
                self.enter(arity(*blockty), true, None);
                self.forbid_repeating();
                let cost = self.here().map(|_| 1);
                self.open.push((self.stretches.len(), cost));
                self.stretches.push(Stretch {
                    fuel: 1,
                    can_repeat: *blockty == BlockType::Empty,
                    instructions: 0,
                    changes_counter: false,
                });
            }
            Operator::Else => {
                if let Some(block) = self.blocks.last().map(|block| block.condition) {
                    self.arrive(0);
                    self.set_here(block);
                    if let Some(block) = self.blocks.last_mut() {
                        block.condition = None;
                    }
                }
            }
            Operator::End => self.leave(),
            Operator::Br { relative_depth } => self.jump(*relative_depth),
            Operator::BrIf { relative_depth } => self.arrive(*relative_depth),
            Operator::BrTable { targets } => {
                self.forbid_repeating();
                for target in targets.targets().flatten() {
                    self.arrive(target);
                }
                self.jump(targets.default());
            }
            Operator::Return | Operator::Unreachable => self.set_here(None),
            // What callees cost may not be known when the callers' share is computed, so none of it may depend on that.
            Operator::Call { .. } | Operator::CallIndirect { .. } => self.forbid_repeating(),
            _ => {}
        }
    }

    fn enter(&mut self, arity: Arity, is_loop: bool, condition: Option<u32>) {
        self.blocks.push(Block { arity, is_loop, open: self.open.len(), end: None, condition });
    }

    /// A way from here to the end of an enclosing block; to the head of a loop there is nothing to add.
    fn arrive(&mut self, depth: u32) {
        let Some(index) = self.blocks.len().checked_sub(1 + depth as usize) else { return };
        let block = &self.blocks[index];
        if block.is_loop || self.here().is_none() {
            return;
        }
        // From inside a loop the cost of the outer stretch is what it was when the loop began.
        let cost = self.open[block.open - 1].1;
        let block = &mut self.blocks[index];
        block.end = block.end.max(cost);
    }

    fn jump(&mut self, depth: u32) {
        self.arrive(depth);
        self.set_here(None);
    }

    fn leave(&mut self) {
        let Some(block) = self.blocks.pop() else { return };
        let here = self.here();
        self.open.truncate(block.open);
        if block.is_loop {
            if here.is_none() {
                self.set_here(None);
            }
            return;
        }
        self.set_here(here.max(block.end).max(block.condition));
    }
}
