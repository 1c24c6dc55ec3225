//! What a function costs to compile, counted while it is validated.
//!
//! Cranelift's time is not linear in the bytes of a function: 200 nested loops around code that sets 2,000 locals are
//! a few KB and 16 seconds. What made it slow in measurements can be counted in one pass, and is added up in units of
//! about a microsecond of one core, by the worst shape found for each; most code takes a tenth of its count:
//!
//! - **Operators**, each at its own weight: a loop brings checks of fuel and deadline, `memory.grow` a call. Chains of
//!   integer additions, subtractions and multiplications by constants took up to 29 µs and 4 KB for each operator:
//!   the optimizer rewrites each with every form of those before it.
//! - **Exits** of one function, squared: branches, checks and whatever else leaves the straight line for good.
//! - **Joins.** Where control flow meets (the end of a block or `if`, the head of a loop), a local that was set inside
//!   the frame becomes a new value. One count for each pair of a frame and a local set inside it.
//! - **Edges.** Each branch to a join passes one value for each such local, if it is read after the join. Little for a
//!   local that was set once; where it was set again and again between the branches, each passes another value, and
//!   the register allocator finds no place that suits all.
//! - **Live values.** Every local and operand may have to be kept through every basic block.
//! - **Lifetimes.** For each value without a register, the allocator looks at all that holds one while it lives. 3 to
//!   5 ns for each pair of an operator and a value that lives through it: an operand on the stack, or a local from
//!   where it is set to where it is read last. What a loop reads before it sets it lives to the end of the loop.

use wasmparser::{BrTable, Operator};

use super::complexity;
use crate::limits::ModuleLimits;
use crate::outcome::Refusal;

/// An operator that the optimizer has many rules for. In chains: `x + 1 + 1`.
const REWRITTEN: u64 = 30;
/// A function of its own: prologue, checks, and an entry from the host if it is exported or in a table.
const FUNCTION: u64 = 200;
const JOIN: u64 = 40;
/// One value passed along one edge, for each time that the local was set, to the most that it costs.
const EDGE: u64 = 3;
const EDGE_SETS: u64 = 10;
/// Pairs of live value and basic block in a unit.
const LIVE: u64 = 20;
/// Pairs of live value and operator in a unit.
const LIFETIME: u64 = 200;

/// Pairs of exits of one function in a unit.
const EXIT_PAIRS: u64 = 25;

fn weight(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Loop { .. } => 120,
        Operator::If { .. } => 25,
        Operator::BrIf { .. } | Operator::Br { .. } | Operator::Return | Operator::Unreachable => 60,
        Operator::MemoryGrow { .. }
        | Operator::CallIndirect { .. }
        | Operator::GlobalGet { .. }
        | Operator::GlobalSet { .. } => 100,
        Operator::I32Add
        | Operator::I32Sub
        | Operator::I32Mul
        | Operator::I64Add
        | Operator::I64Sub
        | Operator::I64Mul => REWRITTEN,
        Operator::Call { .. } => 10,
        Operator::I64TruncF64S
        | Operator::I64TruncF64U
        | Operator::I32TruncF64S
        | Operator::I32TruncF64U
        | Operator::I64TruncF32S
        | Operator::I64TruncF32U
        | Operator::I32TruncF32S
        | Operator::I32TruncF32U
        | Operator::F64ConvertI64U
        | Operator::F32ConvertI64U => 8,
        _ => 2,
    }
}

/// Whether the straight line of a function can be left here.
fn is_exit(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::Return
            | Operator::Unreachable
            | Operator::Else
            | Operator::MemoryGrow { .. }
            | Operator::CallIndirect { .. }
    )
}

/// The work of all functions of a module so far.
#[derive(Debug, Default)]
pub(super) struct ModuleWork {
    locals: u64,
    units: u64,
}

/// The work of one function.
pub(super) struct FunctionWork<'a> {
    limits: &'a ModuleLimits,
    module: &'a mut ModuleWork,
    /// Open frames; the first is the function itself.
    frames: Vec<Frame>,
    locals: Vec<Local>,
    operators: u32,
    basic_blocks: u64,
    exits: u64,
    branch_targets: u32,
    deepest_stack: u64,
    /// Operators that values live for, all of them together.
    lifetimes: u64,
    /// Units of edges.
    edges: u64,
}

/// A block, loop or `if` that is open.
struct Frame {
    /// Number of the operator that opened it.
    opened: u32,
    is_loop: bool,
    /// Distinct locals set inside it and inside frames inside it.
    locals_set: Vec<Before>,
    /// Of a loop: locals that its next round may read, so that they live to its end. May name one more than once.
    carried: Vec<u32>,
    /// Branches to its label.
    branches: u64,
}

impl Frame {
    fn new(opened: u32, is_loop: bool) -> Self {
        Self { opened, is_loop, locals_set: Vec::new(), carried: Vec::new(), branches: 0 }
    }
}

/// A local as it was before a frame set it first.
struct Before {
    local: u32,
    sets: u64,
    defined_in: usize,
}

impl Before {
    /// Behind the frame it may be as it was: loops that did not carry the new value may carry the old one.
    fn restore(&self, local: &mut Local) {
        local.defined_in = self.defined_in;
        local.carried_at = 0;
    }
}

#[derive(Clone, Default)]
struct Local {
    /// Number of the operator that set it last; 0 if none has.
    last_set: u32,
    /// How often it has been set.
    sets: u64,
    /// Units of edges to joins behind us, which pass it if it is read from here on.
    pending: u64,
    /// Depth of the innermost open frame that has set it on every way to here.
    defined_in: usize,
    /// Number of the operator that read or set it last: so far its lifetime is counted.
    counted_to: u32,
    /// Number of the operator that read it last, if the loops that are open have it among what they carry.
    carried_at: u32,
}

impl<'a> FunctionWork<'a> {
    /// A function with this many params and locals.
    pub(super) fn new(limits: &'a ModuleLimits, module: &'a mut ModuleWork, locals: u32) -> Result<Self, Refusal> {
        complexity("params and locals in one function", locals, limits.locals)?;
        module.locals += u64::from(locals);
        complexity("params and locals in all functions", module.locals, u64::from(limits.total_locals))?;
        let mut work = Self {
            limits,
            module,
            frames: Vec::new(),
            locals: vec![Local::default(); locals as usize],
            operators: 0,
            basic_blocks: 1,
            exits: 0,
            branch_targets: 0,
            deepest_stack: 0,
            lifetimes: 0,
            edges: 0,
        };
        work.frames.push(Frame::new(0, false));
        work.add(FUNCTION)?;
        Ok(work)
    }

    fn add(&mut self, units: u64) -> Result<(), Refusal> {
        self.module.units = self.module.units.saturating_add(units);
        complexity("units of work for the compiler", self.module.units, self.limits.compile_work)
    }

    /// Counts an operator, before it is validated.
    pub(super) fn operator(&mut self, operator: &Operator<'_>) -> Result<(), Refusal> {
        self.operators = self.operators.saturating_add(1);
        self.add(weight(operator))?;
        self.exits += u64::from(is_exit(operator));
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.open(false),
            Operator::Loop { .. } => self.open(true),
            Operator::End => {
                self.close();
                Ok(())
            }
            Operator::Else => {
                self.basic_blocks += 1;
                self.otherwise();
                Ok(())
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth);
                Ok(())
            }
            Operator::BrTable { targets } => self.table(targets),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => self.set(*local_index),
            Operator::LocalGet { local_index } => self.get(*local_index),
            _ => Ok(()),
        }
    }

    /// Notes how many operands were on the stack after an operator.
    pub(super) fn stack(&mut self, height: u32) {
        self.deepest_stack = self.deepest_stack.max(u64::from(height));
        self.lifetimes += u64::from(height);
    }

    /// Ends the function.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        let values = self.locals.len() as u64 + self.deepest_stack;
        let live = values.saturating_mul(self.basic_blocks);
        let exits = self.exits.saturating_mul(self.exits);
        let lifetimes = self.lifetimes / LIFETIME;
        self.add((live / LIVE).saturating_add(lifetimes).saturating_add(self.edges).saturating_add(exits / EXIT_PAIRS))
    }

    fn open(&mut self, is_loop: bool) -> Result<(), Refusal> {
        self.frames.push(Frame::new(self.operators, is_loop));
        // The inside and what follows it; the checks of fuel and deadline in a loop are blocks too.
        self.basic_blocks += 3;
        complexity("blocks inside one another", self.frames.len() - 1, self.limits.nesting as usize)
    }

    fn close(&mut self) {
        let (Some(frame), false) = (self.frames.pop(), self.frames.is_empty()) else {
            // Nothing reads a local after the end of its function.
            return;
        };
        for &local in &frame.carried {
            self.live_until_here(local);
        }
        for before in &frame.locals_set {
            let Some(local) = self.locals.get_mut(before.local as usize) else { continue };
            before.restore(local);
            let units = EDGE * (local.sets - before.sets).min(EDGE_SETS) * frame.branches;
            // The next round of a loop may read it.
            let sum = if frame.is_loop { &mut self.edges } else { &mut local.pending };
            *sum = sum.saturating_add(units);
        }
    }

    /// What one arm of an `if` sets, the other does not.
    fn otherwise(&mut self) {
        for before in self.frames.last().map_or([].as_slice(), |frame| &frame.locals_set) {
            if let Some(local) = self.locals.get_mut(before.local as usize) {
                before.restore(local);
            }
        }
    }

    /// Counts the life of a local since it was read or set last.
    fn live_until_here(&mut self, local: u32) {
        if let Some(local) = self.locals.get_mut(local as usize) {
            self.lifetimes += u64::from(self.operators - local.counted_to);
            local.counted_to = self.operators;
        }
    }

    fn branch(&mut self, depth: u32) {
        self.basic_blocks += 1;
        let frame = self.frames.len().checked_sub(1 + depth as usize).and_then(|i| self.frames.get_mut(i));
        // A branch to nowhere is the validator's to refuse.
        if let Some(frame) = frame {
            frame.branches += 1;
        }
    }

    fn table(&mut self, targets: &BrTable<'_>) -> Result<(), Refusal> {
        self.branch_targets = self.branch_targets.saturating_add(targets.len()).saturating_add(1);
        self.exits += u64::from(targets.len()) + 1;
        complexity("branch targets in tables of one function", self.branch_targets, self.limits.branch_targets)?;
        self.add(JOIN * (u64::from(targets.len()) + 1))?;
        self.branch(targets.default());
        targets.targets().filter_map(Result::ok).for_each(|depth| self.branch(depth));
        Ok(())
    }

    /// Notes that a local is set, in every open frame that has not seen it set yet. Those are the innermost ones: one
    /// that has seen it lies inside others that have. So each step of the walk is a join that counts.
    fn set(&mut self, local: u32) -> Result<(), Refusal> {
        let Some(state) = self.locals.get_mut(local as usize) else { return Ok(()) };
        let mut joins = 0;
        // The function itself joins nothing.
        for frame in self.frames.iter_mut().skip(1).rev() {
            if state.last_set > frame.opened {
                break;
            }
            frame.locals_set.push(Before { local, sets: state.sets, defined_in: state.defined_in });
            joins += 1;
        }
        state.last_set = self.operators;
        state.sets += 1;
        state.defined_in = self.frames.len().saturating_sub(1);
        state.counted_to = self.operators;
        self.add(JOIN * joins)
    }

    /// Notes that a local is read. What a loop has not set before that, it carries from round to round.
    fn get(&mut self, local: u32) -> Result<(), Refusal> {
        self.live_until_here(local);
        let Some(state) = self.locals.get_mut(local as usize) else { return Ok(()) };
        self.edges = self.edges.saturating_add(std::mem::take(&mut state.pending));
        let mut steps = 0;
        for frame in self.frames.iter_mut().skip(state.defined_in + 1).rev() {
            if state.carried_at > frame.opened {
                break;
            }
            steps += 1;
            if frame.is_loop {
                frame.carried.push(local);
            }
        }
        state.carried_at = self.operators;
        self.add(steps)
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::BlockType;

    use super::*;

    const BLOCK: Operator<'static> = Operator::Block { blockty: BlockType::Empty };
    const LOOP: Operator<'static> = Operator::Loop { blockty: BlockType::Empty };
    const END: Operator<'static> = Operator::End;

    fn set(local_index: u32) -> Operator<'static> {
        Operator::LocalSet { local_index }
    }

    fn get(local_index: u32) -> Operator<'static> {
        Operator::LocalGet { local_index }
    }

    fn branch(relative_depth: u32) -> Operator<'static> {
        Operator::BrIf { relative_depth }
    }

    /// Pairs of a frame and a local set in it; and values passed along edges, times how often they were set.
    fn count(locals: u32, operators: &[Operator<'_>]) -> (u64, u64) {
        let limits = ModuleLimits::default();
        let mut module = ModuleWork::default();
        let mut function = FunctionWork::new(&limits, &mut module, locals).unwrap();
        for operator in operators {
            function.operator(operator).unwrap();
        }
        let edges = function.edges / EDGE;
        let plain: u64 = operators.iter().map(weight).sum();
        ((module.units - plain - FUNCTION) / JOIN, edges)
    }

    #[test]
    fn a_local_counts_once_in_each_frame_around_it() {
        // loop { 0; block { 0; 1; 0 } 1 }: the block has seen two, the loop two.
        assert_eq!(count(2, &[LOOP, set(0), BLOCK, set(0), set(1), set(0), END, set(1), END, END]).0, 4);
        assert_eq!(count(1, &[set(0), BLOCK, END, END]).0, 0, "set before the block alone");
        assert_eq!(count(1, &[BLOCK, set(0), END, BLOCK, set(0), END, set(0), END]).0, 2, "a sibling counts again");
    }

    #[test]
    fn an_edge_counts_for_what_is_read_behind_it() {
        assert_eq!(count(1, &[BLOCK, set(0), branch(0), branch(0), END, END]).1, 0, "never read again");
        assert_eq!(count(1, &[BLOCK, set(0), branch(0), branch(0), END, get(0), get(0), END]).1, 2, "counted once");
        assert_eq!(count(1, &[BLOCK, set(0), branch(0), set(0), branch(0), END, get(0), END]).1, 4, "set twice");
        assert_eq!(count(1, &[set(0), set(0), BLOCK, set(0), branch(0), END, get(0), END]).1, 1, "once inside");
        assert_eq!(count(2, &[BLOCK, set(0), branch(0), END, get(1), END]).1, 0, "another local");
        assert_eq!(count(1, &[LOOP, set(0), branch(0), branch(1), END, END]).1, 1, "the next round may read it");
    }

    /// Operators that locals live for.
    fn lifetimes(locals: u32, operators: &[Operator<'_>]) -> u64 {
        let limits = ModuleLimits::default();
        let mut module = ModuleWork::default();
        let mut function = FunctionWork::new(&limits, &mut module, locals).unwrap();
        for operator in operators {
            function.operator(operator).unwrap();
        }
        function.lifetimes
    }

    #[test]
    fn a_local_lives_from_where_it_is_set_to_where_it_is_read_last() {
        const NOP: Operator<'static> = Operator::Nop;
        const IF: Operator<'static> = Operator::If { blockty: BlockType::Empty };
        assert_eq!(lifetimes(1, &[NOP, set(0), NOP, get(0), NOP, get(0), NOP, END]), 4);
        assert_eq!(lifetimes(1, &[set(0), NOP, set(0), get(0), END]), 1, "the first value is not read");
        assert_eq!(lifetimes(1, &[get(0), END]), 1, "a param lives from the start");
        assert_eq!(lifetimes(1, &[set(0), LOOP, get(0), NOP, END, END]), 4, "read again in the next round");
        assert_eq!(lifetimes(1, &[set(0), LOOP, LOOP, get(0), END, NOP, END, END]), 6, "by either loop");
        assert_eq!(lifetimes(1, &[LOOP, set(0), get(0), NOP, END, END]), 1, "set anew in each round");
        assert_eq!(lifetimes(1, &[LOOP, BLOCK, set(0), END, get(0), NOP, END, END]), 4, "the block may be left early");
        assert_eq!(lifetimes(1, &[LOOP, IF, set(0), Operator::Else, get(0), END, NOP, END, END]), 5, "the other arm");
    }

    #[test]
    fn live_values_are_bounded_in_all_functions_together() {
        let limits = ModuleLimits { compile_work: 3 * FUNCTION, ..ModuleLimits::default() };
        let mut module = ModuleWork::default();
        let mut one = |height| {
            let mut function = FunctionWork::new(&limits, &mut module, 5)?;
            function.operator(&BLOCK)?;
            function.stack(height);
            function.stack(2);
            function.finish()
        };
        // 505 values in 4 blocks: 101 units.
        assert!(one(500).is_ok());
        assert!(one(0).is_ok());
        assert!(one(500).is_err());
    }
}
