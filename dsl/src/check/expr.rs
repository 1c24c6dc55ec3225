//! Expressions: each has one type, or an error.

use super::scope::Definition;
use super::{Checker, suggest, type_name};
use crate::ast::{self, BinaryOp, UnaryOp};
use crate::builtins;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::typed::{ArithOp, Base, CompareOp, Expr, ExprKind, History, HistoryId, Source, Ty};

/// The names that the language gives.
pub(super) const BAR_NAMES: [&str; 5] = ["time", "new_day", "weekday", "time_of_day", "bar_index"];

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
        self.needs_presence(&typed)?;
        Some(typed)
    }

    fn needs_base(&mut self, expr: &Expr, base: Base, what: &str) -> Option<()> {
        if expr.ty.base == base {
            return Some(());
        }
        let wanted = type_name(Ty { base, optional: false });
        let got = type_name(expr.ty);
        self.error(Code::WRONG_TYPE, format!("{what} must be a {wanted}, not a {got}"), expr.span, got)
    }

    /// Reports a value that may be missing where it must be there.
    pub(super) fn needs_presence(&mut self, expr: &Expr) -> Option<()> {
        if !expr.ty.optional {
            return Some(());
        }
        let text = self.text(expr.span);
        let (label, otherwise) = match &expr.kind {
            ExprKind::History { back, .. } => {
                let bars = if *back == 1 {
                    "bar 0 has no previous bar".to_owned()
                } else {
                    format!("the first {back} bars have no bar {back} before")
                };
                (bars, text.split('[').next().unwrap_or("0").trim())
            }
            ExprKind::Memory(_) => ("the window is not full at first".to_owned(), "0"),
            ExprKind::Input(_) => ("the input is optional".to_owned(), "0"),
            _ => ("something in it may be missing".to_owned(), "0"),
        };
        let otherwise = if expr.ty.base == Base::Bool && otherwise == "0" { "false" } else { otherwise };
        let value = if binds_tightly(expr) { text.to_owned() } else { format!("({text})") };
        let shown = shorten(text);
        self.report(
            Diagnostic::new(
                Code::MAY_BE_MISSING,
                format!("`{shown}` may be missing"),
                expr.span,
                format!("{}: {label}", type_name(expr.ty)),
            )
            .help(format!("write `({value} ?? {otherwise})`")),
        );
        None
    }

    pub(super) fn expr(&mut self, expr: &ast::Expr, place: Place<'_>) -> Option<Expr> {
        self.node(expr.span);
        let made = |kind, ty| Some(Expr { kind, ty, span: expr.span });
        match &expr.kind {
            ast::ExprKind::Num(value) => made(ExprKind::Num(*value), NUM),
            ast::ExprKind::Bool(value) => made(ExprKind::Bool(*value), BOOL),
            ast::ExprKind::Clock(minute) => made(ExprKind::Clock(*minute), Ty { base: Base::Clock, optional: false }),
            ast::ExprKind::Name(name) => self.name(name, expr.span, place),
            ast::ExprKind::Index { name, back } => self.history(name, back, expr.span),
            ast::ExprKind::Call { name, args } => self.call(name, args, expr.span, place),
            ast::ExprKind::Paren(inner) => self.expr(inner, place),
            ast::ExprKind::Unary { op: UnaryOp::Neg, operand } => {
                let operand = self.expr(operand, place)?;
                self.needs_base(&operand, Base::Num, "the operand of `-`")?;
                let ty = operand.ty;
                made(ExprKind::Neg { operand: Box::new(operand), fault: None }, ty)
            }
            ast::ExprKind::Unary { op: UnaryOp::Not, operand } => {
                let operand = self.plain(operand, Base::Bool, place, "the operand of `not`")?;
                made(ExprKind::Not(Box::new(operand)), BOOL)
            }
            ast::ExprKind::Binary { op, left, right } => self.binary(op.value, left, right, expr.span, place),
            ast::ExprKind::If { condition, then, otherwise } => {
                let condition = self.plain(condition, Base::Bool, place, "a condition");
                let then = self.expr(then, place);
                let otherwise = self.expr(otherwise, place);
                let (condition, then, otherwise) = (condition?, then?, otherwise?);
                self.same_base(&then, &otherwise, "both branches of an if")?;
                let ty = Ty { base: then.ty.base, optional: then.ty.optional || otherwise.ty.optional };
                let (condition, then, otherwise) = (Box::new(condition), Box::new(then), Box::new(otherwise));
                made(ExprKind::If { condition, then, otherwise }, ty)
            }
            ast::ExprKind::Error => None,
        }
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
        let made = |kind, ty| Some(Expr { kind, ty, span });
        let arith = match op {
            BinaryOp::And | BinaryOp::Or => {
                let word = if op == BinaryOp::And { "an operand of `and`" } else { "an operand of `or`" };
                let left = self.plain(left, Base::Bool, place, word);
                let right = self.plain(right, Base::Bool, place, word);
                let (left, right) = (Box::new(left?), Box::new(right?));
                let kind = if op == BinaryOp::And { ExprKind::And(left, right) } else { ExprKind::Or(left, right) };
                return made(kind, BOOL);
            }
            BinaryOp::Lt => return self.compare(CompareOp::Lt, left, right, span, place),
            BinaryOp::Le => return self.compare(CompareOp::Le, left, right, span, place),
            BinaryOp::Gt => return self.compare(CompareOp::Gt, left, right, span, place),
            BinaryOp::Ge => return self.compare(CompareOp::Ge, left, right, span, place),
            BinaryOp::Eq => return self.compare(CompareOp::Eq, left, right, span, place),
            BinaryOp::Ne => return self.compare(CompareOp::Ne, left, right, span, place),
            BinaryOp::Default => return self.default(left, right, span, place),
            BinaryOp::Add => ArithOp::Add,
            BinaryOp::Sub => ArithOp::Sub,
            BinaryOp::Mul => ArithOp::Mul,
            BinaryOp::Div => ArithOp::Div,
        };
        let left = self.expr(left, place);
        let right = self.expr(right, place);
        let left = left.and_then(|e| self.needs_base(&e, Base::Num, "an operand of arithmetic").map(|()| e));
        let right = right.and_then(|e| self.needs_base(&e, Base::Num, "an operand of arithmetic").map(|()| e));
        let (left, right) = (Box::new(left?), Box::new(right?));
        let ty = Ty { base: Base::Num, optional: left.ty.optional || right.ty.optional };
        made(ExprKind::Arith { op: arith, left, right, fault: None, zero: None }, ty)
    }

    fn compare(
        &mut self,
        op: CompareOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        place: Place<'_>,
    ) -> Option<Expr> {
        let left = self.expr(left, place).and_then(|e| self.needs_presence(&e).map(|()| e));
        let right = self.expr(right, place).and_then(|e| self.needs_presence(&e).map(|()| e));
        let (left, right) = (left?, right?);
        self.same_base(&left, &right, "both sides of a comparison")?;
        if left.ty.base == Base::Bool && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            return self.error(Code::NOT_ORDERED, "bools compare with `==` and `!=` alone", span, "");
        }
        Some(Expr { kind: ExprKind::Compare { op, left: Box::new(left), right: Box::new(right) }, ty: BOOL, span })
    }

    fn default(&mut self, left: &ast::Expr, right: &ast::Expr, span: Span, place: Place<'_>) -> Option<Expr> {
        let value = self.expr(left, place);
        let default = self.expr(right, place);
        let (value, default) = (value?, default?);
        self.same_base(&value, &default, "both sides of `??`")?;
        self.needs_option(&value, "`??` has nothing to do")?;
        let ty = default.ty;
        Some(Expr { kind: ExprKind::Default { value: Box::new(value), default: Box::new(default) }, ty, span })
    }

    /// Reports a value that is always there where only one that may be missing makes sense.
    pub(super) fn needs_option(&mut self, expr: &Expr, what: &str) -> Option<()> {
        if expr.ty.optional {
            return Some(());
        }
        let shown = shorten(self.text(expr.span));
        self.error(Code::NEVER_MISSING, format!("{what}: `{shown}` is never missing"), expr.span, type_name(expr.ty))
    }

    fn name(&mut self, name: &str, span: Span, place: Place<'_>) -> Option<Expr> {
        let made = |kind, ty| Some(Expr { kind, ty, span });
        match name {
            "new_day" => {
                self.uses_time = true;
                return made(ExprKind::NewDay, BOOL);
            }
            "weekday" => {
                self.uses_time = true;
                return made(ExprKind::Weekday, NUM);
            }
            "time_of_day" => {
                self.uses_time = true;
                return made(ExprKind::TimeOfDay, Ty { base: Base::Clock, optional: false });
            }
            "bar_index" => return made(ExprKind::BarIndex, NUM),
            "time" => {
                self.report(
                    Diagnostic::new(Code::UNKNOWN_NAME, "a rule cannot read `time` itself", span, "")
                        .help("read `time_of_day`, `weekday` or `new_day`"),
                );
                return None;
            }
            _ => {}
        }
        match self.scope.read(name) {
            Some(Definition::Input(id)) => made(ExprKind::Input(id), self.rule.inputs.get(id.index())?.ty),
            Some(Definition::Param(id)) => {
                let base = match self.rule.params.get(id.index())?.kind {
                    crate::typed::ParamKind::Bool => Base::Bool,
                    crate::typed::ParamKind::Num | crate::typed::ParamKind::Int => Base::Num,
                };
                made(ExprKind::Param(id), Ty { base, optional: false })
            }
            Some(Definition::Let(id)) => {
                let declared = self.rule.lets.get(id.index())?;
                let ty = declared.ty;
                if !declared.series {
                    self.needs_series(name, span, place, "let that is not a series")?;
                }
                made(ExprKind::Let(id), ty)
            }
            Some(Definition::Var(id)) => {
                self.needs_series(name, span, place, "var")?;
                made(ExprKind::Var(id), Ty { base: self.rule.vars.get(id.index())?.base, optional: false })
            }
            Some(Definition::Wrong) => None,
            None => self.unknown(name, span),
        }
    }

    fn needs_series(&mut self, name: &str, span: Span, place: Place<'_>, what: &str) -> Option<()> {
        let Place::Argument(function) = place else { return Some(()) };
        let message = format!("`{function}` reads series alone, and `{name}` is a {what}");
        let label = "its value depends on which lines ran";
        self.report(
            Diagnostic::new(Code::NOT_A_SERIES, message, span, label)
                .help("make it from inputs, params and top-level lets of those"),
        );
        None
    }

    pub(super) fn unknown<T>(&mut self, name: &str, span: Span) -> Option<T> {
        let mut diagnostic = Diagnostic::new(Code::UNKNOWN_NAME, format!("there is no `{name}` here"), span, "");
        let ended = self.scope.find_ended(name).map(|e| e.span);
        if let Some(declared) = ended {
            diagnostic = diagnostic
                .related(declared, "declared here, in a block that has ended")
                .help("declare it before the block, as a `var` if the block changes it");
        } else if builtins::find(name).is_some() {
            diagnostic = diagnostic.help(format!("`{name}` is a function: write `{name}(…)`"));
        } else if self.rule.outs.iter().any(|o| o.name == name) {
            diagnostic =
                diagnostic.help("an out cannot be read: give its value a name with `let`, and write `out` from that");
        } else if let Some(near) = suggest::nearest(name, self.scope.names().chain(BAR_NAMES)) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.report(diagnostic);
        None
    }

    fn history(&mut self, name: &ast::Name, back: &crate::span::Spanned<u64>, span: Span) -> Option<Expr> {
        let k = self.back(back);
        let (source, ty) = match name.value.as_str() {
            "new_day" => (Source::NewDay, BOOL),
            "weekday" => (Source::Weekday, NUM),
            "bar_index" => (Source::BarIndex, NUM),
            _ => {
                let read = self.name(&name.value, name.span, Place::Free)?;
                let source = match read.kind {
                    ExprKind::Input(id) => Source::Input(id),
                    ExprKind::Param(id) => Source::Param(id),
                    ExprKind::Let(id) if self.rule.lets.get(id.index()).is_some_and(|l| l.series) => Source::Let(id),
                    ExprKind::Let(_) => return self.no_past(name, "only a top-level let of series has one"),
                    ExprKind::Var(_) => return self.no_past(name, "a var has none"),
                    _ => return self.no_past(name, "a time of day has none"),
                };
                if read.ty.base == Base::Clock {
                    return self.no_past(name, "a time of day has none");
                }
                (source, read.ty)
            }
        };
        if matches!(source, Source::NewDay | Source::Weekday) {
            self.uses_time = true;
        }
        let back = k?;
        let at = if let Some(at) = self.rule.histories.iter().position(|h| h.source == source) {
            at
        } else {
            self.rule.histories.push(History { source, ty, depth: 0 });
            self.rule.histories.len() - 1
        };
        let deeper = self.rule.histories.get_mut(at).map_or(0, |h| {
            let more = back.saturating_sub(h.depth);
            h.depth = h.depth.max(back);
            more
        });
        self.keep(deeper as usize, span);
        let history = HistoryId(super::index(at));
        let ty = Ty { base: ty.base, optional: true };
        Some(Expr { kind: ExprKind::History { history, back }, ty, span })
    }

    fn no_past<T>(&mut self, name: &ast::Name, why: &str) -> Option<T> {
        let message = format!("`{}` has no history: {why}", name.value);
        self.error(Code::HAS_NO_PAST, message, name.span, "")
    }

    fn back(&mut self, back: &crate::span::Spanned<u64>) -> Option<u32> {
        if back.value == 0 {
            return self.error(Code::BACK_RANGE, "`[0]` is this bar: write the name alone", back.span, "at least 1");
        }
        match u32::try_from(back.value) {
            Ok(k) if k <= self.limits.window => Some(k),
            _ => {
                let most = self.limits.window;
                self.error(Code::WINDOW_TOO_LARGE, format!("history goes back at most {most} bars"), back.span, "")
            }
        }
    }
}

/// Text of the rule for use inside a sentence.
pub(super) fn shorten(text: &str) -> String {
    let mut shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if shown.chars().count() > 40 {
        shown = shown.chars().take(39).chain(['…']).collect();
    }
    shown
}

/// Whether `??` can follow a text without parentheses around it.
fn binds_tightly(expr: &Expr) -> bool {
    !matches!(expr.kind, ExprKind::Arith { .. } | ExprKind::Neg { .. } | ExprKind::If { .. } | ExprKind::Default { .. })
}
