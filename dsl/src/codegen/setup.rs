//! The functions around `rulebox_eval`.

use wasm_encoder::Instruction;

use super::code::{Code, Label, Trips};
use crate::ir::{Program, Type, Width};
use crate::layout::{Columns, Layout};
use crate::typed::{ParamKind, Rule};

/// Bytes that one trip of the reset clears.
const LINE: u32 = 64;

/// `rulebox_init(params_len) -> i32`: refuses params that the rule does not allow, although hosts have checked them,
/// since code after it relies on them; then goes to bar 0.
pub(super) fn init(rule: &Rule, program: &Program) -> Code {
    let mut code = Code::new(1);
    let refuse = code.block(None);
    let count = i32::try_from(rule.params.len()).unwrap_or(i32::MAX);
    code.get(0).i32(count).op(Instruction::I32Ne).br_if(refuse);
    let base = program.layout.column(rulebox_abi::BufferKind::Params, 0).unwrap_or(0);
    check_params(rule, &mut code, refuse, |code, param| {
        code.i32(0).load(Type::F64, base + param * 8);
    });
    clear(program, &mut code);
    code.i32(0).op(Instruction::Return);
    code.end();
    code.i32(-1);
    code
}

/// Leaves for `refuse` with params that the rule does not allow.
pub(super) fn check_params(rule: &Rule, code: &mut Code, refuse: Label, load: impl Fn(&mut Code, u32)) {
    let value = code.local(Type::F64);
    for (i, param) in (0_u32..).zip(&rule.params) {
        load(code, i);
        code.set(value);
        let (lo, hi) = match param.kind {
            ParamKind::Bool => (0.0, 1.0),
            ParamKind::Num | ParamKind::Int => param.range.unwrap_or((f64::MIN, f64::MAX)),
        };
        // Both fail for a NaN.
        code.get(value).f64(lo).op(Instruction::F64Ge);
        code.get(value).f64(hi).op(Instruction::F64Le).op(Instruction::I32And);
        if param.kind != ParamKind::Num {
            code.get(value).get(value).op(Instruction::F64Floor).op(Instruction::F64Eq).op(Instruction::I32And);
        }
        code.op(Instruction::I32Eqz).br_if(refuse);
    }
}

/// `rulebox_reset()`.
pub(super) fn reset(program: &Program) -> Code {
    let mut code = Code::new(0);
    clear(program, &mut code);
    code
}

/// Puts the state at bar 0, all of it: equal runs have equal bytes.
fn clear(program: &Program, code: &mut Code) {
    let layout = &program.layout;
    let at = code.local(Type::I32);
    let lines = layout.state_bytes.div_ceil(LINE);
    let stores = |code: &mut Code, bits: u64, words: u32| {
        for word in 0..words {
            code.get(at).i64(bits.cast_signed()).store(Width::I64, word * 8);
        }
    };
    let advance_to = |code: &mut Code, bytes: u32, end: u32| {
        code.get(at).address(bytes).op(Instruction::I32Add).set(at);
        code.get(at).address(end).op(Instruction::I32LtU);
    };
    code.address(layout.state).set(at);
    let clearing = code.loop_(Trips::Most(u64::from(lines)));
    stores(code, 0, LINE / 8);
    advance_to(code, LINE, layout.state + layout.state_bytes);
    code.br_if(clearing).end();
    for initial in &program.initial {
        if initial.count == 1 {
            code.i32(0).i64(initial.bits.cast_signed()).store(Width::I64, initial.address);
            continue;
        }
        code.address(initial.address).set(at);
        let filling = code.loop_(Trips::Most(u64::from(initial.count)));
        stores(code, initial.bits, 1);
        advance_to(code, 8, initial.address + initial.count * 8);
        code.br_if(filling).end();
    }
}

/// `rulebox_buffer(kind, index, bytes) -> i32`: 0 for what the rule does not use, -1 for more than there is.
pub(super) fn buffer(layout: &Layout) -> Code {
    const KIND: u32 = 0;
    const INDEX: u32 = 1;
    const BYTES: u32 = 2;
    let mut code = Code::new(3);
    for columns in layout.buffers() {
        code.get(KIND).i32(columns.kind as i32).op(Instruction::I32Eq);
        code.if_(None);
        // Unsigned: what is negative is too large.
        code.get(INDEX).address(columns.count).op(Instruction::I32GeU);
        code.if_(None);
        code.i32(0).op(Instruction::Return).end();
        code.get(BYTES).address(columns.bytes).op(Instruction::I32GtU);
        code.if_(None);
        code.i32(-1).op(Instruction::Return).end();
        code.get(INDEX).address(Columns::stride()).op(Instruction::I32Mul);
        code.address(columns.base).op(Instruction::I32Add).op(Instruction::Return);
        code.end();
    }
    code.i32(0);
    code
}

/// `rulebox_state() -> i64`.
pub(super) fn state(layout: &Layout) -> Code {
    let mut code = Code::new(0);
    code.i64(rulebox_abi::pack(layout.state, layout.state_bytes).cast_signed());
    code
}
