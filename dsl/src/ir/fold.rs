//! Builds expressions and folds what is constant, to the bit.
//!
//! The operations of IEEE 754 give the same bits here and in WebAssembly, but for NaNs. So an operation is folded if its
//! operands are constants and its result is not a NaN or an infinity; one that would fault stays and faults when it
//! is reached. Nothing is reassociated, and no identity is used: `x + 0` is not `x` if `x` is -0.

use super::{Binary, Expr, Reg, Stmt, StmtKind, Type, Unary};
use crate::number::{maximum, minimum};

/// A unary operation.
pub fn unary(op: Unary, operand: Expr) -> Expr {
    match (op, &operand) {
        (Unary::Not, Expr::I32(v)) => Expr::I32(i32::from(*v == 0)),
        (Unary::FromI32, Expr::I32(v)) => Expr::F64(f64::from(*v)),
        (_, Expr::F64(v)) => {
            let result = match op {
                Unary::Neg => -v,
                Unary::Abs => v.abs(),
                Unary::Sqrt => v.sqrt(),
                Unary::Floor => v.floor(),
                Unary::Ceil => v.ceil(),
                _ => f64::NAN,
            };
            if v.is_finite() && result.is_finite() { Expr::F64(result) } else { raw_unary(op, operand) }
        }
        _ => raw_unary(op, operand),
    }
}

fn raw_unary(op: Unary, operand: Expr) -> Expr {
    Expr::Unary(op, Box::new(operand))
}

/// A binary operation.
pub fn binary(op: Binary, left: Expr, right: Expr) -> Expr {
    let folded = match (&left, &right) {
        (Expr::F64(a), Expr::F64(b)) if a.is_finite() && !b.is_nan() => fold_f64(op, *a, *b),
        (Expr::I32(a), Expr::I32(b)) => fold_i32(op, *a, *b),
        _ => None,
    };
    folded.unwrap_or_else(|| Expr::Binary(op, Box::new(left), Box::new(right)))
}

#[expect(clippy::float_cmp, reason = "folds what compares exactly")]
fn fold_f64(op: Binary, a: f64, b: f64) -> Option<Expr> {
    let number = |v: f64| v.is_finite().then_some(Expr::F64(v));
    let truth = |v: bool| Some(Expr::I32(i32::from(v)));
    match op {
        Binary::Add => number(a + b),
        Binary::Sub => number(a - b),
        Binary::Mul => number(a * b),
        Binary::Div => number(a / b),
        Binary::Min => number(minimum(a, b)),
        Binary::Max => number(maximum(a, b)),
        Binary::Eq => truth(a == b),
        Binary::Ne => truth(a != b),
        Binary::Lt => truth(a < b),
        Binary::Le => truth(a <= b),
        Binary::Gt => truth(a > b),
        Binary::Ge => truth(a >= b),
        _ => None,
    }
}

fn fold_i32(op: Binary, a: i32, b: i32) -> Option<Expr> {
    let truth = |v: bool| Some(Expr::I32(i32::from(v)));
    match op {
        Binary::Add32 => Some(Expr::I32(a.wrapping_add(b))),
        Binary::Sub32 => Some(Expr::I32(a.wrapping_sub(b))),
        Binary::Mul32 => Some(Expr::I32(a.wrapping_mul(b))),
        Binary::And32 => Some(Expr::I32(a & b)),
        Binary::Or32 => Some(Expr::I32(a | b)),
        Binary::Xor32 => Some(Expr::I32(a ^ b)),
        Binary::Eq32 => truth(a == b),
        Binary::Ne32 => truth(a != b),
        Binary::Lt32 => truth(a < b),
        Binary::Le32 => truth(a <= b),
        Binary::Gt32 => truth(a > b),
        Binary::Ge32 => truth(a >= b),
        _ => None,
    }
}

/// A choice between two computed values.
pub fn select(condition: Expr, then: Expr, otherwise: Expr) -> Expr {
    match condition {
        // What is not chosen can be left out: only a `Seq` can fault, and callers select between atoms.
        Expr::I32(0) => otherwise,
        Expr::I32(_) => then,
        condition => {
            Expr::Select { condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(otherwise) }
        }
    }
}

/// A choice that computes one value.
pub fn choose(ty: Type, condition: Expr, then: Expr, otherwise: Expr) -> Expr {
    match condition {
        Expr::I32(0) => otherwise,
        Expr::I32(_) => then,
        condition => {
            Expr::If { ty, condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(otherwise) }
        }
    }
}

/// Statements before an expression.
pub fn seq(stmts: Vec<Stmt>, value: Expr) -> Expr {
    if stmts.is_empty() { value } else { Expr::Seq(stmts, Box::new(value)) }
}

/// Sets a register.
pub fn set(line: u32, reg: Reg, value: Expr) -> Stmt {
    Stmt { kind: StmtKind::Set(reg, value), line }
}

/// Adds an `if` to `to`, or the branch that a constant condition takes.
pub fn branch(to: &mut Vec<Stmt>, line: u32, condition: Expr, then: Vec<Stmt>, otherwise: Vec<Stmt>) {
    match condition {
        Expr::I32(0) => to.extend(otherwise),
        Expr::I32(_) => to.extend(then),
        condition => to.push(Stmt { kind: StmtKind::If { condition, then, otherwise }, line }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_keeps_signed_zeros() {
        assert_eq!(bits(&binary(Binary::Max, Expr::F64(-0.0), Expr::F64(0.0))), 0.0_f64.to_bits());
        assert_eq!(bits(&binary(Binary::Min, Expr::F64(0.0), Expr::F64(-0.0))), (-0.0_f64).to_bits());
        assert_eq!(bits(&binary(Binary::Mul, Expr::F64(0.0), Expr::F64(-1.0))), (-0.0_f64).to_bits());
        assert_eq!(bits(&unary(Unary::Ceil, Expr::F64(-0.5))), (-0.0_f64).to_bits());
    }

    #[test]
    fn what_would_fault_is_not_folded() {
        assert!(matches!(binary(Binary::Div, Expr::F64(1.0), Expr::F64(0.0)), Expr::Binary(..)));
        assert!(matches!(binary(Binary::Mul, Expr::F64(1e300), Expr::F64(1e300)), Expr::Binary(..)));
        assert!(matches!(unary(Unary::Sqrt, Expr::F64(-1.0)), Expr::Unary(..)));
    }

    #[test]
    fn a_constant_condition_takes_its_branch_alone() {
        let fault = Stmt { kind: StmtKind::Fault(crate::typed::FaultId(0)), line: 1 };
        let mut out = Vec::new();
        branch(&mut out, 1, binary(Binary::Lt, Expr::F64(1.0), Expr::F64(f64::INFINITY)), Vec::new(), vec![fault]);
        assert!(out.is_empty());
    }

    fn bits(e: &Expr) -> u64 {
        match e {
            Expr::F64(v) => v.to_bits(),
            other => panic!("not folded: {other:?}"),
        }
    }
}
