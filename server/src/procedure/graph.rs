//! The call graph of a module: which exports can write, and for which functions callers can pay.
//!
//! Nodes are functions and, for indirect calls, types: an indirect call reaches its type, and a type reaches every
//! function of that type which any element segment names.
//!
//! What a function costs outside of its loops is known beforehand, unless calls there lead back to it. If it is not
//! much, its callers pay for it together with their own way to the call, and it needs no charge at its entry.

use wasmparser::{FuncType, FunctionBody, Operator};

use super::error::GateError;
use super::meter::{self, Arity, CallCost};
use super::survey::{Survey, invalid};

/// The most that callers pay for a function that they call, in fuel. It is the price of the most expensive way through
/// that function, which is rarely the one that is taken, so it should not be large.
const MAX_PREPAID_FUEL: u32 = 256;

/// A call in a function's body.
struct Call {
    target: Target,
    in_loop: bool,
}

/// What a call names.
enum Target {
    /// A function, by its index.
    Function(u32),
    /// Any function of a type in the table, by the type's index.
    Type(u32),
}

/// What one scan of a function's body finds.
#[derive(Default)]
pub(super) struct Facts {
    calls: Vec<Call>,
    /// It has charges besides the one for its entry: it loops, grows the memory, or runs instructions whose cost depends
    /// on an operand.
    pub(super) has_charges: bool,
    /// It runs bulk instructions whose cost depends on an operand.
    pub(super) has_bulk: bool,
    /// It changes the table, or drops a segment: state that only a new instance gives back.
    pub(super) spoils_instance: bool,
}

impl Facts {
    fn of(body: &FunctionBody<'_>) -> Result<Self, GateError> {
        let mut facts = Self::default();
        // For each open block, whether it is a loop or within one.
        let mut blocks = vec![false];
        let mut previous = Operator::Nop;
        for operator in body.get_operators_reader().map_err(|error| invalid(&error))? {
            let operator = operator.map_err(|error| invalid(&error))?;
            let in_loop = blocks.last().is_some_and(|in_loop| *in_loop);
            let mut call = |target| facts.calls.push(Call { target, in_loop });
            match operator {
                Operator::Call { function_index } => call(Target::Function(function_index)),
                Operator::CallIndirect { type_index, .. } => call(Target::Type(type_index)),
                Operator::Block { .. } | Operator::If { .. } => blocks.push(in_loop),
                Operator::Loop { .. } => {
                    blocks.push(true);
                    facts.has_charges = true;
                }
                Operator::End => drop(blocks.pop()),
                Operator::MemoryGrow { .. } => facts.has_charges = true,
                Operator::TableInit { .. }
                | Operator::TableCopy { .. }
                | Operator::ElemDrop { .. }
                | Operator::DataDrop { .. } => facts.spoils_instance = true,
                _ => {}
            }
            facts.has_bulk |= meter::has_dynamic_cost(&operator, &previous);
            previous = operator;
        }
        facts.has_charges |= facts.has_bulk;
        Ok(facts)
    }
}

/// The call graph, and what follows from it.
pub(super) struct Graph {
    imports: usize,
    functions: usize,
    facts: Vec<Facts>,
    /// For each type, how many parameters and results it has.
    arities: Vec<Arity>,
    /// For each type, its node.
    type_nodes: Vec<u32>,
    /// For each node, the nodes it reaches directly: functions first, then types.
    edges: Vec<Vec<u32>>,
    /// For each node, what callers pay for a call of it, in fuel; `None` if it charges for its entry itself.
    prepaid_fuel: Vec<Option<u32>>,
    /// For each node, whether a call of it may change the counter.
    changes_counter: Vec<bool>,
}

impl Graph {
    /// Builds the graph and computes what callers pay.
    pub(super) fn of(survey: &Survey<'_>) -> Result<Self, GateError> {
        let imports = survey.imports.len();
        let functions = imports + survey.functions.len();
        let facts = survey.bodies.iter().map(Facts::of).collect::<Result<Vec<_>, _>>()?;

        let arity =
            |ty: &FuncType| Arity { params: ty.params().len() as u32, results: ty.results().len() as u32 };
        let arities = survey.types.iter().map(arity).collect();
        // Equal types are one node, the first of them: an indirect call compares structure, not indices.
        let type_nodes: Vec<u32> = survey
            .types
            .iter()
            .map(|ty| functions + survey.types.iter().position(|first| first == ty).unwrap_or_default())
            .map(|node| node as u32)
            .collect();
        let nodes = functions + survey.types.len();
        let mut graph = Self {
            imports,
            functions,
            facts,
            arities,
            type_nodes,
            edges: Vec::new(),
            prepaid_fuel: vec![None; nodes],
            changes_counter: vec![false; nodes],
        };
        graph.edges = graph.edges_of(survey, |_| true);
        graph.prepay(survey)?;
        graph.note_counters();
        Ok(graph)
    }

    /// For each node, what the calls of this kind reach directly.
    fn edges_of(&self, survey: &Survey<'_>, wanted: impl Fn(&Call) -> bool) -> Vec<Vec<u32>> {
        let mut edges = vec![Vec::new(); self.functions + self.type_nodes.len()];
        for (defined, facts) in self.facts.iter().enumerate() {
            let targets = facts.calls.iter().filter(|call| wanted(call)).map(|call| match call.target {
                Target::Function(function) => function,
                Target::Type(type_index) => self.type_nodes[type_index as usize],
            });
            edges[self.imports + defined].extend(targets);
        }
        for &function in &survey.table_functions {
            let node = self.type_nodes[survey.type_index(function) as usize];
            edges[node as usize].push(function);
        }
        for node in &mut edges {
            node.sort_unstable();
            node.dedup();
        }
        edges
    }

    /// What the scan found in a defined function (counted without the imports).
    pub(super) fn facts(&self, defined: usize) -> &Facts {
        &self.facts[defined]
    }

    /// Whether callers pay for the entry of this function (counted with the imports).
    pub(super) fn is_prepaid(&self, function: u32) -> bool {
        self.prepaid_fuel[function as usize].is_some()
    }

    /// Whether any function spoils the instance for the next call.
    pub(super) fn spoils_instance(&self) -> bool {
        self.facts.iter().any(|facts| facts.spoils_instance)
    }

    /// For each function, whether it can reach a host function that writes.
    pub(super) fn writers(&self, survey: &Survey<'_>) -> Vec<bool> {
        let writing = survey.imports.iter().enumerate().filter(|(_, (function, _))| function.writes());
        let mut writes = self.reaching(writing.map(|(index, _)| index as u32).collect());
        writes.truncate(self.functions);
        writes
    }

    /// For each node, whether it is one of these or can reach one.
    fn reaching(&self, mut pending: Vec<u32>) -> Vec<bool> {
        let callers = callers_of(&self.edges);
        let mut reaches = vec![false; self.edges.len()];
        for node in &pending {
            reaches[*node as usize] = true;
        }
        while let Some(node) = pending.pop() {
            for &caller in &callers[node as usize] {
                if !std::mem::replace(&mut reaches[caller as usize], true) {
                    pending.push(caller);
                }
            }
        }
        reaches
    }

    /// Finds which calls may change the counter: those that reach a function with a charge of its own.
    fn note_counters(&mut self) {
        let charging = (self.imports..self.functions)
            .filter(|node| self.prepaid_fuel[*node].is_none() || self.facts[node - self.imports].has_charges);
        self.changes_counter = self.reaching(charging.map(|node| node as u32).collect());
    }

    /// Visits callees before callers, along the calls outside of loops. What is part of a cycle, or reaches one, is never
    /// visited and pays for itself; so every recursion comes by a charge.
    fn prepay(&mut self, survey: &Survey<'_>) -> Result<(), GateError> {
        let edges = self.edges_of(survey, |call| !call.in_loop);
        let callers = callers_of(&edges);
        let mut unvisited_callees: Vec<usize> = edges.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..edges.len()).filter(|node| unvisited_callees[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            self.prepaid_fuel[node] = self.fuel_of(node, survey)?;
            for &caller in &callers[node] {
                unvisited_callees[caller as usize] -= 1;
                if unvisited_callees[caller as usize] == 0 {
                    ready.push(caller as usize);
                }
            }
        }
        for node in self.functions..edges.len() {
            self.prepaid_fuel[node] = Some(self.fuel_of_type(node));
        }
        Ok(())
    }

    fn fuel_of(&self, node: usize, survey: &Survey<'_>) -> Result<Option<u32>, GateError> {
        if node < self.imports {
            return Ok(Some(survey.imports[node].0.fuel()));
        }
        if node >= self.functions {
            return Ok(Some(self.fuel_of_type(node)));
        }
        let (body, type_index) = (&survey.bodies[node - self.imports], survey.type_index(node as u32));
        let fuel = meter::plan(body, type_index, self)?.entry_fuel;
        Ok(Some(fuel).filter(|fuel| *fuel <= MAX_PREPAID_FUEL))
    }

    /// What an indirect call pays: enough for every function that it may reach and that does not pay for itself.
    fn fuel_of_type(&self, node: usize) -> u32 {
        let functions = self.edges[node].iter();
        functions.filter_map(|function| self.prepaid_fuel[*function as usize]).max().unwrap_or(0)
    }
}

fn callers_of(edges: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut callers = vec![Vec::new(); edges.len()];
    for (node, callees) in edges.iter().enumerate() {
        for &callee in callees {
            callers[callee as usize].push(node as u32);
        }
    }
    callers
}

impl CallCost for Graph {
    fn arity(&self, type_index: u32) -> Arity {
        self.arities[type_index as usize]
    }

    fn direct(&self, function: u32) -> u32 {
        self.prepaid_fuel[function as usize].unwrap_or(0)
    }

    fn indirect(&self, type_index: u32) -> u32 {
        self.prepaid_fuel[self.type_nodes[type_index as usize] as usize].unwrap_or(0)
    }

    fn direct_changes_counter(&self, function: u32) -> bool {
        self.changes_counter[function as usize]
    }

    fn indirect_changes_counter(&self, type_index: u32) -> bool {
        self.changes_counter[self.type_nodes[type_index as usize] as usize]
    }
}
