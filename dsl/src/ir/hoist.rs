//! Moves what depends on params alone out of the bar: such values are computed once in each call.
//!
//! Only operations move, never the tests of their results, so a fault is reported on the bar and at the place where it
//! would have been. The operations are pure and cannot trap, so one that is never reached does no harm.

use super::{Binary, Expr, Home, Program, Reg, Register, Stmt, StmtKind, Type, Unary};

/// Each value that is moved is a local alive across the whole of a bar.
const MOST: usize = 32;

/// Moves what can be moved.
pub fn hoist(program: &mut Program) {
    let mut hoist = Hoist { registers: &mut program.registers, invariants: &mut program.invariants, moved: 0 };
    for stmt in &mut program.bar {
        hoist.stmt(stmt);
    }
}

struct Hoist<'p> {
    registers: &'p mut Vec<Register>,
    invariants: &'p mut Vec<(Reg, Expr)>,
    moved: usize,
}

impl Hoist<'_> {
    fn stmt(&mut self, stmt: &mut Stmt) {
        match &mut stmt.kind {
            StmtKind::Set(_, value) => self.expr(value),
            StmtKind::Store { address, value, .. } => {
                self.expr(address);
                self.expr(value);
            }
            StmtKind::If { condition, then, otherwise } => {
                self.expr(condition);
                for stmt in then.iter_mut().chain(otherwise) {
                    self.stmt(stmt);
                }
            }
            StmtKind::Tests(tests) => {
                for stmt in tests {
                    self.stmt(stmt);
                }
            }
            StmtKind::Fault(_) => {}
            StmtKind::Loop { body, again, .. } => {
                for stmt in body {
                    self.stmt(stmt);
                }
                self.expr(again);
            }
        }
    }

    fn expr(&mut self, e: &mut Expr) {
        if self.moved < MOST && matches!(e, Expr::Unary(..) | Expr::Binary(..)) && self.is_invariant(e) {
            let ty = result_type(e);
            let existing = self.invariants.iter().find(|(_, v)| v == e).map(|(reg, _)| *reg);
            let reg = existing.unwrap_or_else(|| {
                let reg = Reg(u32::try_from(self.registers.len()).unwrap_or(u32::MAX));
                self.registers.push(Register { ty, home: Home::Invariant });
                self.invariants.push((reg, e.clone()));
                self.moved += 1;
                reg
            });
            *e = Expr::Get(reg);
            return;
        }
        match e {
            Expr::F64(_) | Expr::I32(_) | Expr::I64(_) | Expr::Get(_) => {}
            Expr::Unary(_, a) | Expr::Load { address: a, .. } | Expr::At(_, a) => self.expr(a),
            Expr::Binary(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Expr::Select { condition, then, otherwise } | Expr::If { condition, then, otherwise, .. } => {
                self.expr(condition);
                self.expr(then);
                self.expr(otherwise);
            }
            Expr::Seq(stmts, value) => {
                for stmt in stmts {
                    self.stmt(stmt);
                }
                self.expr(value);
            }
        }
    }

    fn is_invariant(&self, e: &Expr) -> bool {
        match e {
            Expr::F64(_) | Expr::I32(_) | Expr::I64(_) => true,
            Expr::Get(reg) => self.registers.get(reg.0 as usize).is_some_and(|r| r.home == Home::Invariant),
            Expr::Unary(_, a) => self.is_invariant(a),
            Expr::Binary(_, a, b) => self.is_invariant(a) && self.is_invariant(b),
            _ => false,
        }
    }
}

const fn result_type(e: &Expr) -> Type {
    match e {
        Expr::Unary(op, _) => match op {
            Unary::Neg | Unary::Abs | Unary::Sqrt | Unary::Floor | Unary::Ceil | Unary::FromI32 | Unary::FromI64 => {
                Type::F64
            }
            Unary::TruncateU | Unary::Wrap | Unary::Not | Unary::IsZero64 => Type::I32,
            Unary::Extend => Type::I64,
        },
        Expr::Binary(op, ..) => match op {
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Min | Binary::Max => Type::F64,
            Binary::Add64 | Binary::Sub64 => Type::I64,
            _ => Type::I32,
        },
        _ => Type::I32,
    }
}
