//! `rulebox_eval(rows) -> i32`: state into locals, a loop over the bars with everything inline, state back.

use rulebox_abi::{BufferKind, MAX_ROWS, MISSING, Verdict};
use wasm_encoder::Instruction;

use super::code::{Code, Trips};
use super::emit::{Emitter, width};
use crate::ir::{Home, Program, Reg, Type, Width};

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
///     block over { loop bars { … several bars, each of which may `br fault`, and if it was the last `br over` … } }
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
    emitter.fault = Some(fault);
    emitter.get(program.latch, &mut code);
    emitter.get(program.latch, &mut code);
    code.i32(0).op(Instruction::I32GeS).br_if(fault).op(Instruction::Drop);
    let copies = copies(&emitter, program, &code);
    // Left from any bar of a trip, and always by the same way: a run costs the same wherever its last bar is.
    let over = code.block(None);
    let bars = code.loop_(Trips::Bars(copies));
    for copy in 1..=copies {
        emitter.stmts(&program.bar, &mut code);
        code.get(row).i32(8).op(Instruction::I32Add).set(row).end_bar();
        if copy < copies {
            code.get(row).get(end).op(Instruction::I32GeU).br_if(over);
        }
    }
    code.get(row).get(end).op(Instruction::I32LtU).br_if(bars);
    code.end();
    code.end();
    code.br(done);
    code.end();

    let latch = emitter.local(program.latch).unwrap_or(ROWS);
    code.set(latch);
    fill(program, latch, row, end, &mut code);
    code.end();

    for (reg, ty, address) in state_locals(program) {
        code.i32(0);
        emitter.get(reg, &mut code);
        code.store(width(ty), address);
    }
    code.i32(0);
    code
}

/// Instructions that a trip of the loop over the bars may have.
const TRIP_OPS: usize = 600;
/// Bars that it may have. More gain nothing.
const TRIP_BARS: usize = 8;

/// How many bars are done in one trip. At the head of a loop, fuel and deadline are looked at, which takes as long as a
/// third of a small rule. Each bar costs the same fuel, wherever in a trip it is, so the fuel of a run does not tell.
fn copies(emitter: &Emitter<'_>, program: &Program, code: &Code) -> u32 {
    let mut one = code.clone();
    emitter.stmts(&program.bar, &mut one);
    let ops = one.ops().len() - code.ops().len();
    u32::try_from((TRIP_OPS / ops.max(1)).clamp(1, TRIP_BARS)).unwrap_or(1)
}

/// Every register that is a local here and in memory between calls.
pub(super) fn state_locals(program: &Program) -> impl Iterator<Item = (Reg, Type, u32)> {
    (0..).zip(&program.registers).filter_map(|(i, register)| match register.home {
        Home::State(address) => Some((Reg(i), register.ty, address)),
        _ => None,
    })
}

/// The bars from that of a fault on.
fn fill(program: &Program, latch: u32, row: u32, end: u32, code: &mut Code) {
    let layout = &program.layout;
    let column = |kind, index| layout.column(kind, index).unwrap_or(0);
    let outs = layout.buffers().iter().find(|c| c.kind == BufferKind::Out).map_or(0, |c| c.count);
    let bars = code.loop_(Trips::Bars(1));
    code.get(row).i32(1).op(Instruction::I32ShrU);
    code.get(latch).store(Width::I32, column(BufferKind::Fired, 0));
    code.get(row).i32(3).op(Instruction::I32ShrU);
    code.i32(Verdict::Fault as i32).store(Width::Byte, column(BufferKind::Verdicts, 0));
    for out in 0..outs {
        code.get(row).f64(MISSING).store(Width::F64, column(BufferKind::Out, out));
    }
    code.get(row).i32(8).op(Instruction::I32Add).set(row).end_bar();
    code.get(row).get(end).op(Instruction::I32LtU).br_if(bars);
    code.end();
}
