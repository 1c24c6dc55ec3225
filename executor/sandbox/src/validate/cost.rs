//! What a function costs to compile, counted while it is validated.
//!
//! Cranelift's time is not linear in the bytes of a function. Two products stand for what made it slow in
//! measurements, and both can be counted in one pass:
//!
//! - **Joins.** Where control flow meets (the end of a block or `if`, the head of a loop), every local that was set
//!   inside the frame may have become another value, so each branch there passes one value for each such local:
//!   (locals set inside) x (branches + 2). 200 nested loops around code that sets 2,000 locals are a few KB and
//!   16 seconds.
//! - **Live values.** Every local and every operand on the stack may have to be kept through every basic block.

use wasmparser::{BrTable, Operator};

use super::complexity;
use crate::limits::ModuleLimits;
use crate::outcome::Refusal;

/// The work of all functions of a module so far.
#[derive(Debug, Default)]
pub(super) struct ModuleWork {
    locals: u64,
    joins: u64,
    live: u64,
}

/// The work of one function.
pub(super) struct FunctionWork<'a> {
    limits: &'a ModuleLimits,
    module: &'a mut ModuleWork,
    /// Open frames; the first is the function itself.
    frames: Vec<Frame>,
    /// For each local, the number of the operator that set it last; 0 if none has.
    last_set: Vec<u32>,
    operators: u32,
    basic_blocks: u64,
    branch_targets: u32,
    deepest_stack: u64,
}

/// A block, loop or `if` that is open.
struct Frame {
    /// Number of the operator that opened it.
    opened: u32,
    /// Distinct locals set inside it, and inside frames inside it.
    locals_set: u64,
    /// Branches to its label.
    branches: u64,
}

impl<'a> FunctionWork<'a> {
    /// A function with this many params and locals.
    pub(super) fn new(limits: &'a ModuleLimits, module: &'a mut ModuleWork, locals: u32) -> Result<Self, Refusal> {
        complexity("params and locals in one function", locals, limits.locals)?;
        module.locals += u64::from(locals);
        complexity("params and locals in all functions", module.locals, u64::from(limits.total_locals))?;
        Ok(Self {
            limits,
            module,
            frames: vec![Frame { opened: 0, locals_set: 0, branches: 0 }],
            last_set: vec![0; locals as usize],
            operators: 0,
            basic_blocks: 1,
            branch_targets: 0,
            deepest_stack: 0,
        })
    }

    /// Counts an operator, before it is validated.
    pub(super) fn operator(&mut self, operator: &Operator<'_>) -> Result<(), Refusal> {
        self.operators = self.operators.saturating_add(1);
        match operator {
            Operator::Block { .. } | Operator::If { .. } | Operator::Loop { .. } => self.open(),
            Operator::End => self.close(),
            Operator::Else => {
                self.basic_blocks += 1;
                Ok(())
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth);
                Ok(())
            }
            Operator::BrTable { targets } => self.table(targets),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.set(*local_index);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Notes how many operands were on the stack after an operator.
    pub(super) fn stack(&mut self, height: u32) {
        self.deepest_stack = self.deepest_stack.max(u64::from(height));
    }

    /// Ends the function.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        let values = self.last_set.len() as u64 + self.deepest_stack;
        self.module.live = self.module.live.saturating_add(values.saturating_mul(self.basic_blocks));
        complexity("(locals and operands) x (basic blocks)", self.module.live, self.limits.live_work)
    }

    fn open(&mut self) -> Result<(), Refusal> {
        self.frames.push(Frame { opened: self.operators, locals_set: 0, branches: 0 });
        // The inside and what follows it; the checks of fuel and deadline in a loop are blocks too.
        self.basic_blocks += 3;
        complexity("blocks inside one another", self.frames.len() - 1, self.limits.nesting as usize)
    }

    fn close(&mut self) -> Result<(), Refusal> {
        // Nothing reads a local after the end of its function, so the last frame joins nothing.
        let (Some(frame), false) = (self.frames.pop(), self.frames.is_empty()) else { return Ok(()) };
        let work = frame.locals_set.saturating_mul(frame.branches + 2);
        self.module.joins = self.module.joins.saturating_add(work);
        complexity("(locals set in a block) x (branches to it)", self.module.joins, self.limits.join_work)
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
        complexity("branch targets in tables of one function", self.branch_targets, self.limits.branch_targets)?;
        self.branch(targets.default());
        targets.targets().filter_map(Result::ok).for_each(|depth| self.branch(depth));
        Ok(())
    }

    /// Notes that a local is set, in every open frame that has not seen it set yet. Those are the innermost ones: one
    /// that has seen it lies inside others that have. So each step of the walk counts one of `locals_set`.
    fn set(&mut self, local: u32) {
        let Some(last) = self.last_set.get_mut(local as usize) else { return };
        for frame in self.frames.iter_mut().rev() {
            if *last > frame.opened {
                break;
            }
            frame.locals_set += 1;
        }
        *last = self.operators;
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::BlockType;

    use super::*;

    const EMPTY: BlockType = BlockType::Empty;

    fn joins(locals: u32, operators: &[Operator<'_>]) -> u64 {
        let limits = ModuleLimits::default();
        let mut module = ModuleWork::default();
        let mut function = FunctionWork::new(&limits, &mut module, locals).unwrap();
        for operator in operators {
            function.operator(operator).unwrap();
        }
        function.finish().unwrap();
        module.joins
    }

    #[test]
    fn a_local_counts_once_in_each_frame_around_it() {
        let set = |local_index| Operator::LocalSet { local_index };
        let (block, loops) = (Operator::Block { blockty: EMPTY }, Operator::Loop { blockty: EMPTY });
        // loop { 0; block { 0; 1; 0 } 1 }: the block has seen two, the loop two, and nothing branches.
        let nested = [
            loops.clone(),
            set(0),
            block.clone(),
            set(0),
            set(1),
            set(0),
            Operator::End,
            set(1),
            Operator::End,
            Operator::End,
        ];
        assert_eq!(joins(2, &nested), 2 * 2 + 2 * 2);
        // Set before the block alone: no join.
        assert_eq!(joins(1, &[set(0), block.clone(), Operator::End, Operator::End]), 0);
        // A sibling counts again.
        let siblings = [block.clone(), set(0), Operator::End, block, set(0), Operator::End, set(0), Operator::End];
        assert_eq!(joins(1, &siblings), 4);
        // Each branch to the label passes the local once more.
        let branches = [
            loops,
            set(0),
            Operator::BrIf { relative_depth: 0 },
            Operator::BrIf { relative_depth: 0 },
            Operator::BrIf { relative_depth: 1 },
            Operator::End,
            Operator::End,
        ];
        assert_eq!(joins(1, &branches), 4);
    }

    #[test]
    fn live_values_are_bounded_in_all_functions_together() {
        let limits = ModuleLimits { live_work: 100, ..ModuleLimits::default() };
        let mut module = ModuleWork::default();
        let mut one = || {
            let mut function = FunctionWork::new(&limits, &mut module, 5).unwrap();
            function.operator(&Operator::Block { blockty: EMPTY }).unwrap();
            function.stack(7);
            function.stack(2);
            function.finish()
        };
        assert!(one().is_ok(), "12 values in 4 blocks");
        assert!(one().is_ok());
        assert!(one().is_err());
    }
}
