//! Statements and expressions of the intermediate form: one instruction an operation.

use std::cell::Cell;

use wasm_encoder::Instruction;

use super::cells::Cells;
use super::code::{Code, Label, Trips};
use crate::ir::{Binary, Expr, Home, Program, Reg, Stmt, StmtKind, Type, Unary, Width};

/// A bar of a group, whose place is known: what is read and written of it is at a constant from that of the first.
#[derive(Clone, Copy)]
pub(super) struct InGroup {
    /// Its number within the group.
    pub bar: u32,
    /// Local of half the row of the group's first bar: the byte offset in columns of four bytes a bar.
    pub half: u32,
    /// Local of an eighth of it.
    pub eighth: u32,
}

/// Where the registers of a program are in a function.
pub(super) struct Emitter<'p> {
    program: &'p Program,
    /// The local of each register that has one.
    locals: Vec<Option<u32>>,
    /// See [`Emitter::faults_go_to`].
    fault: Option<Label>,
    /// The bar of a group that is emitted, if it is in one: of it all inputs are good.
    pub in_group: Option<InGroup>,
    /// What stands for memory, in a function that has none.
    cells: Option<&'p Cells>,
    /// Whether something was read or written that nothing stands for.
    needs_memory: Cell<bool>,
}

impl<'p> Emitter<'p> {
    /// Gives every register its local.
    pub fn new(program: &'p Program, code: &mut Code) -> Self {
        let locals = program.registers.iter().map(|register| match register.home {
            Home::Memory(_) => None,
            Home::Bar | Home::Scratch | Home::Invariant | Home::State(_) => Some(code.local(register.ty)),
        });
        Self {
            program,
            locals: locals.collect(),
            fault: None,
            in_group: None,
            cells: None,
            needs_memory: Cell::new(false),
        }
    }

    /// The same for a function without memory.
    pub fn without_memory(program: &'p Program, cells: &'p Cells, code: &mut Code) -> Self {
        Self { cells: Some(cells), ..Self::new(program, code) }
    }

    /// Whether what was emitted needs a memory that it has not.
    pub const fn needs_memory(&self) -> bool {
        self.needs_memory.get()
    }

    /// The global that stands for this address, in a function without memory: there is one row, and so the address of
    /// a column is that of its cell.
    fn cell(&self, address: u32) -> Option<u32> {
        let cells = self.cells?;
        let cell = cells.at(address);
        self.needs_memory.set(self.needs_memory.get() || cell.is_none());
        cell
    }

    /// From here on a bar that faults goes to the end of this block, with the fault's id on the stack, and at once if a
    /// fault has latched.
    pub fn faults_go_to(&mut self, fault: Label, code: &mut Code) {
        self.fault = Some(fault);
        self.get(self.program.latch, code);
        self.get(self.program.latch, code);
        code.i32(0).op(Instruction::I32GeS).br_if(fault).op(Instruction::Drop);
    }

    pub fn local(&self, reg: Reg) -> Option<u32> {
        self.locals.get(reg.0 as usize).copied().flatten()
    }

    /// Leaves an address on the stack, less what is returned.
    fn address(&self, address: &Expr, code: &mut Code) -> u32 {
        let row = self.program.row;
        let shift = match address {
            Expr::Get(reg) if *reg == row => Some(0),
            Expr::Binary(Binary::ShrU32, of, by) if **of == Expr::Get(row) => match **by {
                Expr::I32(shift) => Some(shift),
                _ => None,
            },
            _ => None,
        };
        let first = self.in_group.and_then(|group| match shift {
            Some(0) => Some((self.local(row)?, 8 * group.bar)),
            Some(1) => Some((group.half, 4 * group.bar)),
            Some(3) => Some((group.eighth, group.bar)),
            _ => None,
        });
        if let Some((first, further)) = first {
            code.get(first);
            return further;
        }
        self.expr(address, code);
        0
    }

    /// Leaves the value of a register on the stack.
    pub fn get(&self, reg: Reg, code: &mut Code) {
        if let Some(local) = self.local(reg) {
            code.get(local);
            if let Some(group) = self.in_group.filter(|group| reg == self.program.row && group.bar > 0) {
                code.i32((8 * group.bar).cast_signed()).op(Instruction::I32Add);
            }
        } else if let Some(register) = self.program.registers.get(reg.0 as usize)
            && let Home::Memory(address) = register.home
        {
            match self.cell(address) {
                Some(global) => code.global(global),
                None => code.i32(0).load(register.ty, address),
            };
        }
    }

    /// Sets a register to what `value` leaves on the stack.
    pub fn set(&self, reg: Reg, code: &mut Code, value: impl FnOnce(&mut Code)) {
        if let Some(local) = self.local(reg) {
            value(code);
            code.set(local);
        } else if let Some(register) = self.program.registers.get(reg.0 as usize)
            && let Home::Memory(address) = register.home
        {
            if let Some(global) = self.cell(address) {
                value(code);
                code.set_global(global);
                return;
            }
            code.i32(0);
            value(code);
            code.store(width(register.ty), address);
        }
    }

    pub fn stmts(&self, stmts: &[Stmt], code: &mut Code) {
        for stmt in stmts {
            let outer = code.at_line(stmt.line);
            self.stmt(&stmt.kind, code);
            code.at_line(outer);
        }
    }

    fn stmt(&self, stmt: &StmtKind, code: &mut Code) {
        match stmt {
            StmtKind::Set(reg, value) => self.set(*reg, code, |code| self.expr(value, code)),
            StmtKind::Store { width, address, offset, value } => {
                if let Some(global) = self.cell(*offset) {
                    self.expr(value, code);
                    code.set_global(global);
                    return;
                }
                let further = self.address(address, code);
                self.expr(value, code);
                code.store(*width, offset + further);
            }
            StmtKind::If { condition, then, otherwise } => {
                self.expr(condition, code);
                code.if_(None);
                self.stmts(then, code);
                if !otherwise.is_empty() {
                    code.else_();
                    self.stmts(otherwise, code);
                }
                code.end();
            }
            StmtKind::Tests(tests) => {
                if self.in_group.is_none() {
                    self.stmts(tests, code);
                }
            }
            StmtKind::Fault(id) => {
                if let Some(fault) = self.fault {
                    // Where the faults begin.
                    if self.in_group.is_some() {
                        self.get(self.program.row, code);
                        if let Some(row) = self.local(self.program.row) {
                            code.set(row);
                        }
                    }
                    code.i32(id.0.cast_signed()).br(fault);
                }
            }
            StmtKind::Loop { trips, body, again } => {
                let label = code.loop_(Trips::Most(u64::from(*trips)));
                self.stmts(body, code);
                self.expr(again, code);
                code.br_if(label);
                code.end();
            }
        }
    }

    pub fn expr(&self, e: &Expr, code: &mut Code) {
        match e {
            Expr::F64(v) => {
                code.f64(*v);
            }
            Expr::I32(v) => {
                code.i32(*v);
            }
            Expr::I64(v) => {
                code.i64(*v);
            }
            Expr::Get(reg) => self.get(*reg, code),
            Expr::Unary(op, operand) => {
                self.expr(operand, code);
                code.op(unary(*op));
            }
            Expr::Binary(op, left, right) => {
                self.expr(left, code);
                self.expr(right, code);
                code.op(binary(*op));
            }
            Expr::Select { condition, then, otherwise } => {
                self.expr(then, code);
                self.expr(otherwise, code);
                self.expr(condition, code);
                code.op(Instruction::Select);
            }
            Expr::If { ty, condition, then, otherwise } => {
                self.expr(condition, code);
                code.if_(Some(*ty));
                self.expr(then, code);
                code.else_();
                self.expr(otherwise, code);
                code.end();
            }
            Expr::Load { ty, address, offset } => {
                if let Some(global) = self.cell(*offset) {
                    code.global(global);
                    return;
                }
                let further = self.address(address, code);
                code.load(*ty, offset + further);
            }
            Expr::Seq(stmts, value) => {
                self.stmts(stmts, code);
                self.expr(value, code);
            }
            Expr::At(line, value) => {
                let outer = code.at_line(*line);
                self.expr(value, code);
                code.at_line(outer);
            }
        }
    }
}

pub(super) const fn width(ty: Type) -> Width {
    match ty {
        Type::I32 => Width::I32,
        Type::I64 => Width::I64,
        Type::F64 => Width::F64,
    }
}

const fn unary(op: Unary) -> Instruction<'static> {
    match op {
        Unary::Neg => Instruction::F64Neg,
        Unary::Abs => Instruction::F64Abs,
        Unary::Sqrt => Instruction::F64Sqrt,
        Unary::Floor => Instruction::F64Floor,
        Unary::Ceil => Instruction::F64Ceil,
        Unary::FromI32 => Instruction::F64ConvertI32S,
        Unary::FromI64 => Instruction::F64ConvertI64S,
        Unary::TruncateU => Instruction::I32TruncSatF64U,
        Unary::Wrap => Instruction::I32WrapI64,
        Unary::Extend => Instruction::I64ExtendI32U,
        Unary::Not => Instruction::I32Eqz,
        Unary::IsZero64 => Instruction::I64Eqz,
    }
}

const fn binary(op: Binary) -> Instruction<'static> {
    match op {
        Binary::Add => Instruction::F64Add,
        Binary::Sub => Instruction::F64Sub,
        Binary::Mul => Instruction::F64Mul,
        Binary::Div => Instruction::F64Div,
        Binary::Min => Instruction::F64Min,
        Binary::Max => Instruction::F64Max,
        Binary::Eq => Instruction::F64Eq,
        Binary::Ne => Instruction::F64Ne,
        Binary::Lt => Instruction::F64Lt,
        Binary::Le => Instruction::F64Le,
        Binary::Gt => Instruction::F64Gt,
        Binary::Ge => Instruction::F64Ge,
        Binary::Add32 => Instruction::I32Add,
        Binary::Sub32 => Instruction::I32Sub,
        Binary::Mul32 => Instruction::I32Mul,
        Binary::And32 => Instruction::I32And,
        Binary::Or32 => Instruction::I32Or,
        Binary::Xor32 => Instruction::I32Xor,
        Binary::Shl32 => Instruction::I32Shl,
        Binary::ShrU32 => Instruction::I32ShrU,
        Binary::Eq32 => Instruction::I32Eq,
        Binary::Ne32 => Instruction::I32Ne,
        Binary::Lt32 => Instruction::I32LtS,
        Binary::Le32 => Instruction::I32LeS,
        Binary::Gt32 => Instruction::I32GtS,
        Binary::Ge32 => Instruction::I32GeS,
        Binary::Add64 => Instruction::I64Add,
        Binary::Sub64 => Instruction::I64Sub,
        Binary::Eq64 => Instruction::I64Eq,
        Binary::Ne64 => Instruction::I64Ne,
        Binary::Lt64 => Instruction::I64LtS,
        Binary::LtU64 => Instruction::I64LtU,
        Binary::GeU64 => Instruction::I64GeU,
    }
}
