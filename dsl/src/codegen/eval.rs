//! `rulebox_eval(rows) -> i32`: state into locals, a loop over the bars with everything inline, state back.

use rulebox_abi::{BufferKind, MAX_ROWS, MISSING, Verdict};
use wasm_encoder::Instruction;

use super::code::{Code, Trips};
use super::emit::{Emitter, InGroup, width};
use crate::ir::{Expr, Good, Home, Program, Reg, Type, Width};

/// The parameter of the function.
const ROWS: u32 = 0;

/// Emits the function.
///
/// ```text
/// if rows is not 1 ..= MAX_ROWS { return -1 }
/// state into locals
/// if not latched { params and invariants into locals }
/// block done {
///   block fault -> i32 {
///     if latched { br fault }
///     block over {
///       loop groups {
///         block one_by_one {
///           if there are fewer bars than a group has, or an input of them is not good { br one_by_one }
///           … the bars of a group, each of which may `br fault`; if it was the last `br over` …
///           br groups
///         }
///         loop bars { … a bar with tests of its inputs … }  until the end of the group, or of the bars: `br over`
///         br groups
///       }
///     }
///     br done
///   }
///   loop bars { the fault on this bar and every one after }
/// }
/// locals into state; return 0
/// ```
pub(super) fn eval(program: &Program) -> Code {
    let mut code = Code::new(1);
    let end = code.local(Type::I32);
    let mut emitter = Emitter::new(program, &mut code);

    // Unsigned: a negative number is too large, and so is 0 less 1.
    code.get(ROWS).i32(1).op(Instruction::I32Sub).i32(MAX_ROWS.cast_signed()).op(Instruction::I32GeU);
    code.if_(None);
    code.i32(-1).op(Instruction::Return).end();

    code.get(ROWS).i32(3).op(Instruction::I32Shl).set(end);
    for (reg, ty, address) in state_locals(program) {
        emitter.set(reg, &mut code, |code| {
            code.i32(0).load(ty, address);
        });
    }
    // In a branch, which is all that keeps Cranelift from computing them again on every bar: what depends on a constant
    // it puts where it is used, but not what comes out of a branch.
    emitter.get(program.latch, &mut code);
    code.i32(0).op(Instruction::I32LtS).if_(None);
    for (reg, value) in &program.invariants {
        emitter.set(*reg, &mut code, |code| emitter.expr(value, code));
    }
    code.end();
    let row = emitter.local(program.row).unwrap_or(ROWS);
    code.i32(0).set(row);

    let done = code.block(None);
    let fault = code.block(Some(Type::I32));
    emitter.faults_go_to(fault, &mut code);
    let at = Row { row, end };
    bars(&mut emitter, program, at, &mut code);
    code.br(done);
    code.end();

    let latch = emitter.local(program.latch).unwrap_or(ROWS);
    code.set(latch);
    fill(program, latch, at, &mut code);
    code.end();

    for (reg, ty, address) in state_locals(program) {
        code.i32(0);
        emitter.get(reg, &mut code);
        code.store(width(ty), address);
    }
    code.i32(0);
    code
}

/// Locals of the byte offset of a bar, and of that behind the last.
#[derive(Clone, Copy)]
struct Row {
    row: u32,
    end: u32,
}

impl Row {
    /// Goes to the next bar.
    fn next(self, code: &mut Code) {
        code.get(self.row).i32(8).op(Instruction::I32Add).set(self.row).end_bar();
    }
}

/// All bars, until there are no more or one faults.
fn bars(emitter: &mut Emitter<'_>, program: &Program, at: Row, code: &mut Code) {
    let Row { row, end } = at;
    let group = bars_of_a_group(emitter, program, code);
    if group < 2 {
        let bars = code.loop_(Trips::Bars);
        emitter.stmts(&program.bar, code);
        at.next(code);
        code.get(row).get(end).op(Instruction::I32LtU).br_if(bars).end();
        return;
    }
    let bytes = (8 * group).cast_signed();
    let (half, eighth) = (code.local(Type::I32), code.local(Type::I32));
    let over = code.block(None);
    let groups = code.loop_(Trips::Bars);
    let one_by_one = code.block(None);
    code.get(end).get(row).op(Instruction::I32Sub).i32(bytes).op(Instruction::I32LtU).br_if(one_by_one);
    // All of them end, also if one faults.
    code.shared(Some(group));
    code.get(row).i32(1).op(Instruction::I32ShrU).set(half);
    code.get(row).i32(3).op(Instruction::I32ShrU).set(eighth);
    if all_good(emitter, program, group, code) {
        code.op(Instruction::I32Eqz).br_if(one_by_one);
    }
    code.shared(None);
    for bar in 0..group {
        emitter.in_group = Some(InGroup { bar, half, eighth });
        emitter.stmts(&program.bar, code);
        // It does nothing, and is where the bar ends.
        code.op(Instruction::Nop).end_bar();
    }
    emitter.in_group = None;
    code.get(row).i32(bytes).op(Instruction::I32Add).set(row);
    code.get(row).get(end).op(Instruction::I32LtU).br_if(groups).br(over).end();

    // A group begins where a multiple of its bars has been done, and so ends there.
    let bars = code.loop_(Trips::Group(group));
    emitter.stmts(&program.bar, code);
    at.next(code);
    code.get(row).get(end).op(Instruction::I32GeU).br_if(over);
    code.get(row).i32(bytes - 1).op(Instruction::I32And).br_if(bars).end();
    code.br(groups).end().end();
}

/// Whether all inputs of a group are good, as an i32; false if there is nothing to look at.
///
/// The sums of bars are added, rather than one input after the other, so that no addition waits for all others.
fn all_good(emitter: &mut Emitter<'_>, program: &Program, group: u32, code: &mut Code) -> bool {
    let Good { finite, conditions } = &program.good;
    let mut is_first = true;
    let mut bars = |values: &[Expr], and: Instruction<'static>, code: &mut Code| {
        for bar in 0..group {
            emitter.in_group = Some(InGroup { bar, half: 0, eighth: 0 });
            for (n, value) in values.iter().enumerate() {
                emitter.expr(value, code);
                if n > 0 {
                    code.op(and.clone());
                }
            }
            if bar > 0 {
                code.op(and.clone());
            }
        }
        emitter.in_group = None;
    };
    if !finite.is_empty() {
        let sum = code.local(Type::F64);
        bars(finite, Instruction::F64Add, code);
        code.set(sum).get(sum).get(sum).op(Instruction::F64Sub).f64(0.0).op(Instruction::F64Ge);
        is_first = false;
    }
    if !conditions.is_empty() {
        bars(conditions, Instruction::I32And, code);
        if !is_first {
            code.op(Instruction::I32And);
        }
        is_first = false;
    }
    !is_first
}

/// Instructions that a group may have.
const GROUP_OPS: usize = 600;
/// Bars that it may have. More gain nothing.
const GROUP_BARS: u32 = 8;

/// How many bars are done in one trip, a power of two. At the head of a loop, fuel and deadline are looked at, which
/// takes as long as a third of a small rule.
fn bars_of_a_group(emitter: &mut Emitter<'_>, program: &Program, code: &Code) -> u32 {
    let mut one = code.clone();
    emitter.in_group = Some(InGroup { bar: 0, half: 0, eighth: 0 });
    emitter.stmts(&program.bar, &mut one);
    emitter.in_group = None;
    let ops = one.ops().len() - code.ops().len();
    let fit = u32::try_from(GROUP_OPS / ops.max(1)).unwrap_or(GROUP_BARS).clamp(1, GROUP_BARS);
    1 << fit.ilog2()
}

/// Every register that is a local here and in memory between calls.
pub(super) fn state_locals(program: &Program) -> impl Iterator<Item = (Reg, Type, u32)> {
    (0..).zip(&program.registers).filter_map(|(i, register)| match register.home {
        Home::State(address) => Some((Reg(i), register.ty, address)),
        _ => None,
    })
}

/// The bars from that of a fault on.
fn fill(program: &Program, latch: u32, at: Row, code: &mut Code) {
    let Row { row, end } = at;
    let layout = &program.layout;
    let column = |kind, index| layout.column(kind, index).unwrap_or(0);
    let outs = layout.buffers().iter().find(|c| c.kind == BufferKind::Out).map_or(0, |c| c.count);
    let bars = code.loop_(Trips::Bars);
    code.get(row).i32(1).op(Instruction::I32ShrU);
    code.get(latch).store(Width::I32, column(BufferKind::Fired, 0));
    code.get(row).i32(3).op(Instruction::I32ShrU);
    code.i32(Verdict::Fault as i32).store(Width::Byte, column(BufferKind::Verdicts, 0));
    for out in 0..outs {
        code.get(row).f64(MISSING).store(Width::F64, column(BufferKind::Out, out));
    }
    at.next(code);
    code.get(row).get(end).op(Instruction::I32LtU).br_if(bars).end();
}
