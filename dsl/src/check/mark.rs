//! Marks where arithmetic faults: see the head of [`crate::typed`] for the chains.

use super::Checker;
use crate::typed::{ArithOp, Expr, ExprKind, FaultKind, Function};

impl Checker<'_> {
    /// Gives every step of a whole expression its faults, in the order of the text.
    pub(super) fn mark(&mut self, expr: &mut Expr) {
        self.mark_step(expr, false);
    }

    /// `in_chain`: the enclosing step of a chain tests what this one gives.
    fn mark_step(&mut self, expr: &mut Expr, in_chain: bool) {
        let span = expr.span;
        let lifted = expr.ty.optional;
        match &mut expr.kind {
            ExprKind::Arith { op, left, right, fault, zero } => {
                self.mark_step(left, !lifted);
                self.mark_step(right, !lifted && *op != ArithOp::Div);
                if *op == ArithOp::Div {
                    *zero = Some(self.fault(FaultKind::DivisionByZero, span));
                }
                if !in_chain {
                    *fault = Some(self.fault(FaultKind::NotFinite, span));
                }
            }
            ExprKind::Neg { operand, fault } => {
                let chain = !lifted && is_chain(operand);
                self.mark_step(operand, chain);
                if chain && !in_chain {
                    *fault = Some(self.fault(FaultKind::NotFinite, span));
                }
            }
            ExprKind::Call { function, args, fault } => {
                for arg in args {
                    self.mark_step(arg, false);
                }
                if *function == Function::Sqrt {
                    *fault = Some(self.fault(FaultKind::SqrtNegative, span));
                }
            }
            ExprKind::Compare { left, right, .. }
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Default { value: left, default: right } => {
                self.mark_step(left, false);
                self.mark_step(right, false);
            }
            ExprKind::Not(operand) | ExprKind::Known(operand) => self.mark_step(operand, false),
            ExprKind::If { condition, then, otherwise } => {
                self.mark_step(condition, false);
                self.mark_step(then, false);
                self.mark_step(otherwise, false);
            }
            ExprKind::Num(_)
            | ExprKind::Bool(_)
            | ExprKind::Clock(_)
            | ExprKind::Input(_)
            | ExprKind::Param(_)
            | ExprKind::Let(_)
            | ExprKind::Var(_)
            | ExprKind::NewDay
            | ExprKind::Weekday
            | ExprKind::TimeOfDay
            | ExprKind::BarIndex
            | ExprKind::History { .. }
            | ExprKind::Memory(_) => {}
        }
    }
}

/// Whether a value may be the unmarked step of a chain.
fn is_chain(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Arith { .. } => !expr.ty.optional,
        ExprKind::Neg { operand, .. } => !expr.ty.optional && is_chain(operand),
        _ => false,
    }
}
