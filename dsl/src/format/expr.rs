//! Expressions on one line, or broken before `and` and `or`.

use super::printer::{Printer, WIDTH};
use crate::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp};

const fn sign(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Default => "??",
    }
}

impl Printer<'_> {
    /// An expression on one line.
    pub(super) fn expr(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Num(_) | ExprKind::Bool(_) | ExprKind::Clock(_) | ExprKind::Name(_) | ExprKind::Error => {
                self.text(expr.span).to_owned()
            }
            ExprKind::Index { name, back } => format!("{}[{}]", name.value, self.text(back.span)),
            ExprKind::Call { name, args } => {
                let args: Vec<_> = args
                    .iter()
                    .map(|arg| match &arg.name {
                        Some(label) => format!("{}: {}", label.value, self.expr(&arg.value)),
                        None => self.expr(&arg.value),
                    })
                    .collect();
                format!("{}({})", name.value, args.join(", "))
            }
            ExprKind::Paren(inner) => format!("({})", self.expr(inner)),
            ExprKind::Unary { op: UnaryOp::Neg, operand } => format!("-{}", self.expr(operand)),
            ExprKind::Unary { op: UnaryOp::Not, operand } => format!("not {}", self.expr(operand)),
            ExprKind::Binary { op, left, right } => {
                format!("{} {} {}", self.expr(left), sign(op.value), self.expr(right))
            }
            ExprKind::If { condition, then, otherwise } => {
                format!("if {} then {} else {}", self.expr(condition), self.expr(then), self.expr(otherwise))
            }
        }
    }

    /// An expression behind `before` columns of its line. Too long a chain of `and` or `or` takes a line an operand.
    pub(super) fn expr_lines(&self, expr: &Expr, before: usize) -> String {
        let whole = self.expr(expr);
        let ExprKind::Binary { op, .. } = &expr.kind else { return whole };
        if before + whole.chars().count() <= WIDTH || !matches!(op.value, BinaryOp::And | BinaryOp::Or) {
            return whole;
        }
        let mut operands = Vec::new();
        let mut rest = expr;
        while let ExprKind::Binary { op: next, left, right } = &rest.kind {
            if next.value != op.value {
                break;
            }
            operands.push(right.as_ref());
            rest = left.as_ref();
        }
        let mut text = self.expr(rest);
        for operand in operands.into_iter().rev() {
            let pad = " ".repeat(self.indent + 4);
            text.push_str(&format!("\n{pad}{} {}", sign(op.value), self.expr(operand)));
        }
        text
    }

    /// A literal as it is written, its sign without space.
    pub(super) fn literal(&self, literal: &Literal) -> String {
        self.words(literal.span, "")
    }
}
