//! Statements.

use rulebox_abi::MAX_STATEMENTS;

use super::name::BAR_NAMES;
use super::scope::Definition;
use super::{Checker, Reason, index, type_name};
use crate::ast::{self, DurationUnit};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Spanned;
use crate::typed::{
    Action, Base, Expr, ExprKind, FaultKind, Hold, Let, LetId, Out, OutId, Statement, StatementId, Step, Stmt,
    StmtKind, Ty, Var, VarId,
};

impl Checker<'_> {
    /// A statement of the rule's body. Nothing for a series let, which is computed in step 2.
    pub(super) fn top_level(&mut self, stmt: &ast::Stmt) -> Option<Stmt> {
        self.stmt(stmt, true)
    }

    fn block(&mut self, stmts: &[ast::Stmt]) -> Vec<Stmt> {
        let mark = self.scope.enter();
        let typed = stmts.iter().filter_map(|s| self.stmt(s, false)).collect();
        self.scope.leave(mark);
        typed
    }

    fn stmt(&mut self, stmt: &ast::Stmt, top: bool) -> Option<Stmt> {
        self.node(stmt.span)?;
        let kind = match &stmt.kind {
            ast::StmtKind::Let { name, value } => self.let_(name, value, top)?,
            ast::StmtKind::Var { name, per_day, value } => self.var(name, *per_day, value, top)?,
            ast::StmtKind::Assign { name, value } => self.assign(name, value)?,
            ast::StmtKind::Out { name, value } => self.out(name, value)?,
            ast::StmtKind::If(stmt) => self.if_(stmt)?,
            ast::StmtKind::Verdict(verdict) => self.verdict(verdict, stmt)?,
        };
        Some(Stmt { kind, span: stmt.span })
    }

    fn let_(&mut self, name: &ast::Name, value: &ast::Expr, top: bool) -> Option<StmtKind> {
        let value = self.whole(value);
        let free = self.may_declare(name);
        let Some(value) = value else {
            if free {
                self.scope.declare(&name.value, Definition::Wrong, name.span);
            }
            return None;
        };
        let reason = if top { self.not_series(&value).map(Reason::Reads) } else { Some(Reason::InBlock) };
        let series = reason.is_none();
        let id = LetId(index(self.rule.lets.len()));
        self.rule.lets.push(Let { name: name.value.clone(), ty: value.ty, series, span: name.span });
        self.not_series.push(reason);
        if free {
            self.scope.declare(&name.value, Definition::Let(id), name.span);
        }
        if series {
            self.rule.advance.push(Step::Let(id, value));
            return None;
        }
        Some(StmtKind::Let(id, value))
    }

    /// The first name in an expression that makes it no series.
    fn not_series(&self, expr: &Expr) -> Option<String> {
        let name = |span| Some(self.text(span).to_owned());
        match &expr.kind {
            ExprKind::Var(_) => name(expr.span),
            ExprKind::Let(id) if self.rule.lets.get(id.index()).is_some_and(|l| !l.series) => name(expr.span),
            ExprKind::Neg { operand, .. } | ExprKind::Not(operand) | ExprKind::Known(operand) => {
                self.not_series(operand)
            }
            ExprKind::Arith { left, right, .. }
            | ExprKind::Compare { left, right, .. }
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Default { value: left, default: right } => {
                self.not_series(left).or_else(|| self.not_series(right))
            }
            ExprKind::If { condition, then, otherwise } => {
                [condition, then, otherwise].into_iter().find_map(|e| self.not_series(e))
            }
            ExprKind::Call { args, .. } => args.iter().find_map(|e| self.not_series(e)),
            // What a call with memory reads was checked where it was made.
            ExprKind::Memory(_)
            | ExprKind::Let(_)
            | ExprKind::Num(_)
            | ExprKind::Bool(_)
            | ExprKind::Clock(_)
            | ExprKind::Input(_)
            | ExprKind::Param(_)
            | ExprKind::NewDay
            | ExprKind::Weekday
            | ExprKind::TimeOfDay
            | ExprKind::BarIndex
            | ExprKind::History { .. } => None,
        }
    }

    fn var(&mut self, name: &ast::Name, per_day: bool, value: &ast::Expr, top: bool) -> Option<StmtKind> {
        if !top {
            self.report(
                Diagnostic::new(Code::VAR_PLACE, "a var is declared at the top level", name.span, "inside a block")
                    .help("move its line before the `if`, and change it here with `:=`"),
            );
        }
        if per_day {
            self.use_time(name.span);
        }
        let value = self.whole(value).and_then(|v| self.needs_presence(&v, None).map(|()| v));
        let free = self.may_declare(name);
        let value = value.and_then(|v| {
            if v.ty.base == Base::Clock {
                return self.error(Code::WRONG_TYPE, "a var is a num or a bool, not a clock", v.span, "clock");
            }
            Some(v)
        });
        let Some(value) = value else {
            if free {
                self.scope.declare(&name.value, Definition::Wrong, name.span);
            }
            return None;
        };
        let id = VarId(index(self.rule.vars.len()));
        self.rule.vars.push(Var { name: name.value.clone(), base: value.ty.base, per_day, span: name.span });
        if free {
            self.scope.declare(&name.value, Definition::Var(id), name.span);
        }
        self.keep(1, name.span);
        Some(StmtKind::Init(id, value))
    }

    fn assign(&mut self, name: &ast::Name, value: &ast::Expr) -> Option<StmtKind> {
        let value = self.whole(value);
        let entry = self.scope.find(&name.value).map(|e| (e.definition, e.span, e.what()));
        let Some((definition, declared, what)) = entry else {
            if BAR_NAMES.contains(&name.value.as_str()) {
                let message = format!("`{}` is given by the language, and only a var can be changed", name.value);
                return self.error(Code::NOT_A_VAR, message, name.span, "");
            }
            return self.unknown(&name.value, name.span);
        };
        let Definition::Var(id) = definition else {
            if definition != Definition::Wrong {
                let message = format!("`{}` is declared as {what}, and only a var can be changed", name.value);
                let mut diagnostic =
                    Diagnostic::new(Code::NOT_A_VAR, message, name.span, "").related(declared, "declared here");
                if what == "a let" {
                    diagnostic = diagnostic.help("declare it with `var` instead of `let`");
                }
                self.report(diagnostic);
            }
            return None;
        };
        let value = value?;
        let base = self.rule.vars.get(id.index())?.base;
        if value.ty.base != base {
            let wanted = type_name(Ty { base, optional: false });
            let message = format!("`{}` is a {wanted}, not a {}", name.value, type_name(value.ty));
            self.report(
                Diagnostic::new(Code::WRONG_TYPE, message, value.span, type_name(value.ty))
                    .related(declared, format!("a {wanted}")),
            );
            return None;
        }
        self.needs_presence(&value, None)?;
        Some(StmtKind::Assign(id, value))
    }

    fn out(&mut self, name: &ast::Name, value: &ast::Expr) -> Option<StmtKind> {
        let value = self.whole(value);
        self.count_name(name.span)?;
        if BAR_NAMES.contains(&name.value.as_str()) {
            self.reserved(name);
        }
        if let Some((_, first)) = self.out_names.iter().find(|(other, _)| *other == name.value) {
            let first = *first;
            self.report(
                Diagnostic::new(Code::OUT_TWICE, format!("the out `{}` is given twice", name.value), name.span, "")
                    .related(first, "first here")
                    .help(format!("give it once: `out {} = if … then … else …`", name.value)),
            );
            return None;
        }
        self.out_names.push((name.value.clone(), name.span));
        let value = value?;
        if value.ty.base == Base::Clock {
            return self.error(Code::WRONG_TYPE, "an out is a num or a bool, not a clock", value.span, "clock");
        }
        let id = OutId(index(self.rule.outs.len()));
        self.rule.outs.push(Out { name: name.value.clone(), ty: value.ty, span: name.span });
        Some(StmtKind::Out(id, value))
    }

    fn if_(&mut self, stmt: &ast::If) -> Option<StmtKind> {
        let condition = self.whole_plain(&stmt.condition, Base::Bool, "a condition");
        let then = self.block(&stmt.then);
        let otherwise = match &stmt.otherwise {
            None => Vec::new(),
            Some(ast::Else::Block(stmts)) => self.block(stmts),
            Some(ast::Else::If(inner)) => {
                self.node(inner.span)?;
                let kind = self.if_(&inner.value);
                kind.map(|kind| Stmt { kind, span: inner.span }).into_iter().collect()
            }
        };
        Some(StmtKind::If { condition: condition?, then, otherwise })
    }

    fn verdict(&mut self, verdict: &ast::VerdictStmt, stmt: &ast::Stmt) -> Option<StmtKind> {
        let action = verdict.action.as_ref().map(|action| self.action(action));
        let hold = verdict.hold.as_ref().map(|hold| self.hold(hold));
        let message = self.message(&verdict.message);
        if self.rule.statements.len() == MAX_STATEMENTS {
            let message = format!("the rule has more than {MAX_STATEMENTS} verdict statements");
            self.over_limit(Code::TOO_MANY_VERDICTS, message, stmt.span, "split it into several rules");
            return None;
        }
        let action = action.map_or(Some(None), |a| a.map(Some))?;
        let hold = hold.map_or(Some(None), |h| h.map(Some))?;
        if let Some(hold) = hold {
            if matches!(hold, Hold::Millis(_) | Hold::Day) {
                self.use_time(verdict.hold.as_ref().map_or(stmt.span, |h| h.span));
            }
            self.keep(1, stmt.span);
        }
        let id = StatementId(index(self.rule.statements.len()));
        let (severity, span) = (verdict.severity, stmt.span);
        self.rule.statements.push(Statement { severity, action, hold, message: message?, span });
        Some(StmtKind::Verdict(id))
    }

    fn action(&mut self, action: &Spanned<ast::Action>) -> Option<Action> {
        Some(match &action.value {
            ast::Action::Block => Action::Block,
            ast::Action::Liquidate => Action::Liquidate,
            ast::Action::Reduce(keep) => {
                let keep = self.whole_plain(keep, Base::Num, "the fraction to keep")?;
                let fault = self.fault(FaultKind::KeepOutOfRange, keep.span);
                Action::Reduce { keep, fault }
            }
        })
    }

    fn hold(&mut self, hold: &Spanned<ast::Hold>) -> Option<Hold> {
        let too_long = |c: &mut Self| c.error(Code::BAD_HOLD, "the hold is too long", hold.span, "write `forever`");
        match hold.value {
            ast::Hold::Bars(0) | ast::Hold::Duration(0, _) => {
                self.error(Code::BAD_HOLD, "a hold of 0 is none", hold.span, "leave it out, or write at least 1")
            }
            ast::Hold::Bars(bars) => match u32::try_from(bars) {
                Ok(bars) if bars <= 1_000_000_000 => Some(Hold::Bars(bars)),
                _ => too_long(self),
            },
            ast::Hold::Duration(count, unit) => {
                let minutes: u64 = match unit {
                    DurationUnit::Minutes => 1,
                    DurationUnit::Hours => 60,
                    DurationUnit::Days => 24 * 60,
                };
                // A hundred years: far from where a time plus a hold overflows.
                let most = 100 * 366 * 24 * 60;
                match count.checked_mul(minutes).filter(|&m| m <= most).and_then(|m| i64::try_from(m).ok()) {
                    Some(minutes) => Some(Hold::Millis(minutes * 60_000)),
                    None => too_long(self),
                }
            }
            ast::Hold::Day => Some(Hold::Day),
            ast::Hold::Forever => Some(Hold::Forever),
        }
    }
}
