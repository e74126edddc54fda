//! Writes one function of a module anew: with its charges, its small loops repeated, its dead code left out.
//!
//! Knows the plan of the charges and where the rewriter put what they need, not how either comes about.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, Function, Instruction};
use wasmparser::{Operator, OperatorsReader};

use super::meter::{self, LoopPlan};
use super::rewrite::{Rewriter, Rewritten};

/// Where a function keeps the fuel that is left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counter {
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
) -> Rewritten<Operator<'a>> {
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
pub(super) struct BodyWriter {
    pub(super) function: Function,
    counter: Counter,
    /// The local that has, or last had, the fuel; the one after it is the length of a bulk instruction.
    local: u32,
}

impl BodyWriter {
    pub(super) fn new(function: Function, counter: Counter, local: u32) -> Self {
        Self { function, counter, local }
    }

    pub(super) fn emit(&mut self, instruction: &Instruction<'_>) {
        self.function.instruction(instruction);
    }

    /// Takes the counter over at the entry, and charges for the way up to the next charge unless the callers have.
    pub(super) fn enter(&mut self, rewriter: &Rewriter<'_, '_>, fuel: Option<u32>) {
        if let Some(fuel) = fuel {
            self.function.instructions().global_get(rewriter.fuel).i32_const(fuel as i32).i32_sub();
            self.settle(rewriter);
        } else if self.counter == Counter::Local {
            self.load_global(rewriter);
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
    pub(super) fn settle(&mut self, rewriter: &Rewriter<'_, '_>) {
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
    pub(super) fn body(
        &mut self,
        rewriter: &mut Rewriter<'_, '_>,
        mut operators: OperatorsReader<'_>,
        loops: Vec<LoopPlan>,
    ) -> Rewritten<()> {
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
    ) -> Rewritten<()> {
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
                // What ends a call, or may, leaves the fuel where the host finds it.
                Operator::Unreachable => {
                    self.store_global(rewriter);
                    self.emit(&copied);
                }
                Operator::Call { function_index } if rewriter.is_import(*function_index) => {
                    self.store_global(rewriter);
                    self.emit(&copied);
                }
                Operator::MemorySize { .. } => self.emit(&Instruction::GlobalGet(rewriter.pages())),
                Operator::MemoryGrow { .. } => self.call(rewriter, &Instruction::Call(rewriter.grow)),
                operator if meter::changes_counter(operator, rewriter.graph) => self.call(rewriter, &copied),
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
    ) -> Rewritten<()> {
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
