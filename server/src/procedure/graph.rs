//! The call graph of a module: which exports can write, and which functions have a cost known beforehand.
//!
//! Nodes are functions and, for indirect calls, types: an indirect call reaches its type, and a type reaches every
//! function of that type which any element segment names.

use wasmparser::{FunctionBody, Operator};

use super::error::GateError;
use super::meter::{self, CallCost};
use super::survey::{Survey, invalid};

/// The dearest function whose callers pay for it, in fuel: it needs no metering of its own.
const MAX_PREPAID_FUEL: u32 = 256;

/// What one scan of a function's body finds.
#[derive(Default)]
pub(super) struct Facts {
    /// Direct callees: function indices.
    calls: Vec<u32>,
    /// Types of indirect calls: type indices.
    indirect_calls: Vec<u32>,
    /// It loops, grows the memory, or runs instructions whose cost depends on an operand: its cost is not known.
    meters_itself: bool,
    /// It runs bulk instructions whose cost depends on an operand.
    pub(super) has_bulk: bool,
    /// It changes the table, or drops a segment: state that only a new instance gives back.
    pub(super) spoils_instance: bool,
}

impl Facts {
    fn of(body: &FunctionBody<'_>) -> Result<Self, GateError> {
        let mut facts = Self::default();
        let mut previous = Operator::Nop;
        for operator in body.get_operators_reader().map_err(|error| invalid(&error))? {
            let operator = operator.map_err(|error| invalid(&error))?;
            match operator {
                Operator::Call { function_index } => facts.calls.push(function_index),
                Operator::CallIndirect { type_index, .. } => facts.indirect_calls.push(type_index),
                Operator::Loop { .. } | Operator::MemoryGrow { .. } => facts.meters_itself = true,
                Operator::TableInit { .. }
                | Operator::TableCopy { .. }
                | Operator::ElemDrop { .. }
                | Operator::DataDrop { .. } => facts.spoils_instance = true,
                _ => {}
            }
            facts.has_bulk |= meter::has_dynamic_cost(&operator, &previous);
            previous = operator;
        }
        facts.meters_itself |= facts.has_bulk;
        Ok(facts)
    }
}

/// The call graph, and what follows from it.
pub(super) struct Graph {
    imports: usize,
    functions: usize,
    facts: Vec<Facts>,
    /// For each type, its node.
    type_nodes: Vec<u32>,
    /// For each node, the nodes it reaches directly: functions first, then types.
    edges: Vec<Vec<u32>>,
    /// For each node, the fuel that a call of it costs at most, if that is known and small.
    prepaid_fuel: Vec<Option<u32>>,
}

impl Graph {
    /// Builds the graph and computes the prepaid costs.
    pub(super) fn of(survey: &Survey<'_>) -> Result<Self, GateError> {
        let imports = survey.imports.len();
        let functions = imports + survey.functions.len();
        let facts = survey.bodies.iter().map(Facts::of).collect::<Result<Vec<_>, _>>()?;

        // Equal types are one node, the first of them: an indirect call compares structure, not indices.
        let type_nodes: Vec<u32> = survey
            .types
            .iter()
            .map(|ty| functions + survey.types.iter().position(|first| first == ty).unwrap_or_default())
            .map(|node| node as u32)
            .collect();

        let mut edges = vec![Vec::new(); functions + survey.types.len()];
        for (defined, facts) in facts.iter().enumerate() {
            let node = &mut edges[imports + defined];
            node.extend_from_slice(&facts.calls);
            node.extend(facts.indirect_calls.iter().map(|ty| type_nodes[*ty as usize]));
            node.sort_unstable();
            node.dedup();
        }
        for &function in &survey.table_functions {
            let node = type_nodes[survey.type_index(function) as usize];
            edges[node as usize].push(function);
        }
        for node in &mut edges[functions..] {
            node.sort_unstable();
            node.dedup();
        }
        let prepaid_fuel = vec![None; edges.len()];
        let mut graph = Self { imports, functions, facts, type_nodes, edges, prepaid_fuel };
        graph.prepay(survey)?;
        Ok(graph)
    }

    /// What the scan found in a defined function (counted without the imports).
    pub(super) fn facts(&self, defined: usize) -> &Facts {
        &self.facts[defined]
    }

    /// Whether callers pay for this function (counted with the imports), so that it carries no metering.
    pub(super) fn is_prepaid(&self, function: u32) -> bool {
        self.prepaid_fuel[function as usize].is_some()
    }

    /// Whether callers pay for everything that an indirect call of this type can reach.
    pub(super) fn is_prepaid_type(&self, type_index: u32) -> bool {
        self.indirect(type_index).is_some()
    }

    /// Whether any function spoils the instance for the next call.
    pub(super) fn spoils_instance(&self) -> bool {
        self.facts.iter().any(|facts| facts.spoils_instance)
    }

    /// For each function, whether it can reach a host function that writes.
    pub(super) fn writers(&self, survey: &Survey<'_>) -> Vec<bool> {
        let callers = self.callers();
        let mut writes = vec![false; self.edges.len()];
        let mut pending: Vec<u32> = Vec::new();
        for (index, (function, _)) in survey.imports.iter().enumerate() {
            if function.writes() {
                writes[index] = true;
                pending.push(index as u32);
            }
        }
        while let Some(node) = pending.pop() {
            for &caller in &callers[node as usize] {
                if !std::mem::replace(&mut writes[caller as usize], true) {
                    pending.push(caller);
                }
            }
        }
        writes.truncate(self.functions);
        writes
    }

    fn callers(&self) -> Vec<Vec<u32>> {
        let mut callers = vec![Vec::new(); self.edges.len()];
        for (node, callees) in self.edges.iter().enumerate() {
            for &callee in callees {
                callers[callee as usize].push(node as u32);
            }
        }
        callers
    }

    /// Visits callees before callers; what is part of a cycle, or reaches one, is never visited and stays unpaid.
    fn prepay(&mut self, survey: &Survey<'_>) -> Result<(), GateError> {
        let callers = self.callers();
        let mut unvisited_callees: Vec<usize> = self.edges.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> =
            (0..self.edges.len()).filter(|node| unvisited_callees[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            self.prepaid_fuel[node] = self.fuel_of(node, survey)?.filter(|fuel| *fuel <= MAX_PREPAID_FUEL);
            for &caller in &callers[node] {
                unvisited_callees[caller as usize] -= 1;
                if unvisited_callees[caller as usize] == 0 {
                    ready.push(caller as usize);
                }
            }
        }
        Ok(())
    }

    fn fuel_of(&self, node: usize, survey: &Survey<'_>) -> Result<Option<u32>, GateError> {
        if node < self.imports {
            return Ok(Some(survey.imports[node].0.fuel()));
        }
        if self.edges[node].iter().any(|callee| self.prepaid_fuel[*callee as usize].is_none()) {
            return Ok(None);
        }
        if node >= self.functions {
            let dearest =
                self.edges[node].iter().filter_map(|callee| self.prepaid_fuel[*callee as usize]).max();
            return Ok(Some(dearest.unwrap_or(0)));
        }
        let defined = node - self.imports;
        if self.facts[defined].meters_itself {
            return Ok(None);
        }
        Ok(Some(meter::plan(&survey.bodies[defined], self)?.entry_fuel))
    }
}

impl CallCost for Graph {
    fn direct(&self, function: u32) -> Option<u32> {
        self.prepaid_fuel[function as usize]
    }

    fn indirect(&self, type_index: u32) -> Option<u32> {
        self.prepaid_fuel[self.type_nodes[type_index as usize] as usize]
    }
}
