//! Expressions: each has one type, or an error.

use super::{Checker, type_name};
use crate::ast::{self, BinaryOp, UnaryOp};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::typed::{ArithOp, Base, CompareOp, Expr, ExprKind, Ty};

/// Where an expression stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'p> {
    /// Anywhere: every visible name may be read.
    Free,
    /// In an argument of this function with memory: series alone.
    Argument(&'p str),
}

pub(super) const NUM: Ty = Ty { base: Base::Num, optional: false };
pub(super) const BOOL: Ty = Ty { base: Base::Bool, optional: false };

impl Checker<'_> {
    /// A whole expression, with the faults of its steps.
    pub(super) fn whole(&mut self, expr: &ast::Expr) -> Option<Expr> {
        let mut typed = self.expr(expr, Place::Free)?;
        self.mark(&mut typed);
        Some(typed)
    }

    /// A whole expression that must be of this plain base type; `what` names the place.
    pub(super) fn whole_plain(&mut self, expr: &ast::Expr, base: Base, what: &str) -> Option<Expr> {
        let mut typed = self.plain(expr, base, Place::Free, what)?;
        self.mark(&mut typed);
        Some(typed)
    }

    /// An expression that must be of this base type and there; without faults yet.
    pub(super) fn plain(&mut self, expr: &ast::Expr, base: Base, place: Place<'_>, what: &str) -> Option<Expr> {
        let typed = self.expr(expr, place)?;
        self.needs_base(&typed, base, what)?;
        self.needs_presence(&typed, None)?;
        Some(typed)
    }

    /// An operand of `not`, `and` or `or`, whose whole text is `within`.
    fn operand(&mut self, expr: &ast::Expr, place: Place<'_>, what: &str, within: Span) -> Option<Expr> {
        let typed = self.expr(expr, place)?;
        self.needs_base(&typed, Base::Bool, what)?;
        self.needs_presence(&typed, Some(within))?;
        Some(typed)
    }

    fn needs_base(&mut self, expr: &Expr, base: Base, what: &str) -> Option<()> {
        if expr.ty.base == base {
            return Some(());
        }
        let wanted = type_name(Ty { base, optional: false });
        let got = type_name(expr.ty);
        let help = match (base, expr.ty.base) {
            (_, Base::Clock) => "a time of day can only be compared with another, as in `time_of_day < 15:25`",
            (Base::Bool, _) => "compare it with something, as in `equity > 0`",
            (_, _) => "choose a num by it: `if … then 1 else 0`",
        };
        let message = format!("{what} must be a {wanted}, not a {got}");
        self.report(Diagnostic::new(Code::WRONG_TYPE, message, expr.span, got).help(help));
        None
    }

    pub(super) fn expr(&mut self, expr: &ast::Expr, place: Place<'_>) -> Option<Expr> {
        self.node(expr.span)?;
        let made = |kind, ty| Some(Expr { kind, ty, span: expr.span });
        match &expr.kind {
            ast::ExprKind::Num(value) => made(ExprKind::Num(*value), NUM),
            ast::ExprKind::Bool(value) => made(ExprKind::Bool(*value), BOOL),
            ast::ExprKind::Clock(minute) => made(ExprKind::Clock(*minute), Ty { base: Base::Clock, optional: false }),
            ast::ExprKind::Name(name) => self.name(name, expr.span, place),
            ast::ExprKind::Index { name, back } => self.history(name, back, expr.span),
            ast::ExprKind::Call { name, args } => self.call(name, args, expr.span, place),
            ast::ExprKind::Paren(inner) => self.expr(inner, place),
            ast::ExprKind::Unary { op, operand } => self.unary(*op, operand, expr.span, place),
            ast::ExprKind::Binary { op, left, right } => self.binary(op.value, left, right, expr.span, place),
            ast::ExprKind::If { condition, then, otherwise } => {
                self.conditional(condition, then, otherwise, expr.span, place)
            }
            ast::ExprKind::Error => None,
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &ast::Expr, span: Span, place: Place<'_>) -> Option<Expr> {
        if op == UnaryOp::Not {
            let operand = self.operand(operand, place, "the operand of `not`", span)?;
            return Some(Expr { kind: ExprKind::Not(Box::new(operand)), ty: BOOL, span });
        }
        let operand = self.expr(operand, place)?;
        self.needs_base(&operand, Base::Num, "the operand of `-`")?;
        let ty = operand.ty;
        Some(Expr { kind: ExprKind::Neg { operand: Box::new(operand), fault: None }, ty, span })
    }

    fn conditional(
        &mut self,
        condition: &ast::Expr,
        then: &ast::Expr,
        otherwise: &ast::Expr,
        span: Span,
        place: Place<'_>,
    ) -> Option<Expr> {
        let condition = self.plain(condition, Base::Bool, place, "a condition");
        let then = self.expr(then, place);
        let otherwise = self.expr(otherwise, place);
        let (condition, then, otherwise) = (condition?, then?, otherwise?);
        self.same_base(&then, &otherwise, "both branches of an if")?;
        let ty = Ty { base: then.ty.base, optional: then.ty.optional || otherwise.ty.optional };
        let (condition, then, otherwise) = (Box::new(condition), Box::new(then), Box::new(otherwise));
        Some(Expr { kind: ExprKind::If { condition, then, otherwise }, ty, span })
    }

    fn same_base(&mut self, left: &Expr, right: &Expr, what: &str) -> Option<()> {
        if left.ty.base == right.ty.base {
            return Some(());
        }
        self.report(
            Diagnostic::new(
                Code::DIFFERENT_TYPES,
                format!("{what} must have one type, not {} and {}", type_name(left.ty), type_name(right.ty)),
                right.span,
                type_name(right.ty),
            )
            .related(left.span, type_name(left.ty)),
        );
        None
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        place: Place<'_>,
    ) -> Option<Expr> {
        match op {
            BinaryOp::And => self.connective(ExprKind::And, "an operand of `and`", left, right, span, place),
            BinaryOp::Or => self.connective(ExprKind::Or, "an operand of `or`", left, right, span, place),
            BinaryOp::Lt => self.compare(CompareOp::Lt, left, right, span, place),
            BinaryOp::Le => self.compare(CompareOp::Le, left, right, span, place),
            BinaryOp::Gt => self.compare(CompareOp::Gt, left, right, span, place),
            BinaryOp::Ge => self.compare(CompareOp::Ge, left, right, span, place),
            BinaryOp::Eq => self.compare(CompareOp::Eq, left, right, span, place),
            BinaryOp::Ne => self.compare(CompareOp::Ne, left, right, span, place),
            BinaryOp::Default => self.default(left, right, span, place),
            BinaryOp::Add => self.arith(ArithOp::Add, left, right, span, place),
            BinaryOp::Sub => self.arith(ArithOp::Sub, left, right, span, place),
            BinaryOp::Mul => self.arith(ArithOp::Mul, left, right, span, place),
            BinaryOp::Div => self.arith(ArithOp::Div, left, right, span, place),
        }
    }

    fn connective(
        &mut self,
        kind: fn(Box<Expr>, Box<Expr>) -> ExprKind,
        what: &str,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        place: Place<'_>,
    ) -> Option<Expr> {
        let left = self.operand(left, place, what, span);
        let right = self.operand(right, place, what, span);
        Some(Expr { kind: kind(Box::new(left?), Box::new(right?)), ty: BOOL, span })
    }

    fn arith(
        &mut self,
        op: ArithOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        place: Place<'_>,
    ) -> Option<Expr> {
        let left = self.expr(left, place);
        let right = self.expr(right, place);
        let mut number = |e: &Option<Expr>| self.needs_base(e.as_ref()?, Base::Num, "an operand of arithmetic");
        let (left_fits, right_fits) = (number(&left), number(&right));
        left_fits.and(right_fits)?;
        let (left, right) = (Box::new(left?), Box::new(right?));
        let ty = Ty { base: Base::Num, optional: left.ty.optional || right.ty.optional };
        Some(Expr { kind: ExprKind::Arith { op, left, right, fault: None, zero: None }, ty, span })
    }

    fn compare(
        &mut self,
        op: CompareOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        place: Place<'_>,
    ) -> Option<Expr> {
        let left = self.expr(left, place);
        let right = self.expr(right, place);
        let (left, right) = (left?, right?);
        self.same_base(&left, &right, "both sides of a comparison")?;
        let there = self.needs_presence(&left, Some(span));
        self.needs_presence(&right, Some(span)).and(there)?;
        if left.ty.base == Base::Bool && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            let diagnostic =
                Diagnostic::new(Code::NOT_ORDERED, "bools compare with `==` and `!=` alone", span, "bools");
            self.report(diagnostic.help("write `a and not b` for what `a > b` would mean"));
            return None;
        }
        Some(Expr { kind: ExprKind::Compare { op, left: Box::new(left), right: Box::new(right) }, ty: BOOL, span })
    }

    fn default(&mut self, left: &ast::Expr, right: &ast::Expr, span: Span, place: Place<'_>) -> Option<Expr> {
        let value = self.expr(left, place);
        let default = self.expr(right, place);
        let (value, default) = (value?, default?);
        self.same_base(&value, &default, "both sides of `??`")?;
        self.needs_option(&value, "`??` has nothing to do", "remove `??` and what follows it")?;
        let ty = default.ty;
        Some(Expr { kind: ExprKind::Default { value: Box::new(value), default: Box::new(default) }, ty, span })
    }
}
