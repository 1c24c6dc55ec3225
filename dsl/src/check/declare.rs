//! The head of a rule: inputs and params.

use super::expr::BAR_NAMES;
use super::scope::Definition;
use super::{Checker, index};
use crate::ast::{self, LiteralValue, TypeName};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::typed::{Base, FaultKind, Input, InputId, Param, ParamId, ParamKind, Ty};

impl Checker<'_> {
    pub(super) fn rule(&mut self, rule: &ast::Rule) {
        for input in &rule.inputs {
            self.input(input);
        }
        match &rule.body {
            ast::Body::Short(condition) => self.short(&rule.name, condition),
            ast::Body::Block(items) => {
                for item in items {
                    match item {
                        ast::Item::Param(param) => self.param(param),
                        ast::Item::Stmt(stmt) => {
                            let typed = self.top_level(stmt);
                            self.rule.body.extend(typed);
                        }
                    }
                }
            }
        }
    }

    /// Whether a name may be declared here; reports why not.
    pub(super) fn may_declare(&mut self, name: &ast::Name) -> bool {
        if self.scope.count() == self.limits.names {
            let most = self.limits.names;
            self.over_limit(Code::TOO_MANY_NAMES, format!("the rule declares more than {most} names"), name.span);
        }
        let word = &name.value;
        if word.len() > self.limits.name_bytes {
            let most = self.limits.name_bytes;
            self.over_limit(Code::TOO_MANY_NAMES, format!("a name has at most {most} bytes"), name.span);
        }
        if BAR_NAMES.contains(&word.as_str()) {
            self.report(
                Diagnostic::new(Code::RESERVED_NAME, format!("`{word}` is given by the language"), name.span, "")
                    .help("choose another name"),
            );
            return false;
        }
        if let Some(first) = self.scope.find(word).map(|e| e.span) {
            self.report(
                Diagnostic::new(
                    Code::ALREADY_DECLARED,
                    format!("`{word}` is already declared"),
                    name.span,
                    "again here",
                )
                .related(first, "first here")
                .help("choose another name; to change a var, write `:=`"),
            );
            return false;
        }
        true
    }

    fn input(&mut self, input: &ast::Input) {
        let free = self.may_declare(&input.name);
        let base = match input.ty.as_ref().map(|t| t.value) {
            None | Some(TypeName::Num) => Base::Num,
            Some(TypeName::Bool) => Base::Bool,
            Some(TypeName::Int) => {
                let span = input.ty.as_ref().map_or(input.span, |t| t.span);
                self.report(Diagnostic::new(Code::INT_INPUT, "an input is num or bool", span, "").help("write `num`"));
                Base::Num
            }
        };
        let range = input.range.as_ref().and_then(|r| self.range(r, base));
        let name = input.name.value.clone();
        let ty = Ty { base, optional: input.optional };
        let missing = (!input.optional).then(|| self.fault(FaultKind::InputMissing(name.clone()), input.span));
        let invalid = self.fault(FaultKind::InputInvalid(name.clone()), input.span);
        let out_of_range =
            range.map(|(lo, hi)| self.fault(FaultKind::InputOutOfRange(name.clone(), lo, hi), input.span));
        if free {
            self.scope.declare(&name, Definition::Input(InputId(index(self.rule.inputs.len()))), input.name.span);
        }
        self.rule.inputs.push(Input { name, ty, range, missing, invalid, out_of_range, span: input.span });
    }

    fn range(&mut self, range: &ast::Range, base: Base) -> Option<(f64, f64)> {
        if base == Base::Bool {
            return self.error(Code::BAD_RANGE, "a bool takes no range", range.span, "");
        }
        let (LiteralValue::Num(lo), LiteralValue::Num(hi)) = (range.lo.value, range.hi.value) else {
            return self.error(Code::BAD_RANGE, "the ends of a range are numbers", range.span, "");
        };
        if lo > hi {
            return self.error(Code::BAD_RANGE, "the range ends below its start", range.span, "nothing is inside it");
        }
        Some((lo, hi))
    }

    fn param(&mut self, param: &ast::Param) {
        let free = self.may_declare(&param.name);
        let kind = match param.ty.value {
            TypeName::Num => ParamKind::Num,
            TypeName::Int => ParamKind::Int,
            TypeName::Bool => ParamKind::Bool,
        };
        let base = if kind == ParamKind::Bool { Base::Bool } else { Base::Num };
        let range = param.range.as_ref().and_then(|r| self.range(r, base).map(|ends| (ends, r.span)));
        if let (ParamKind::Int, Some(((lo, hi), span))) = (kind, range)
            && (lo.fract() != 0.0 || hi.fract() != 0.0)
        {
            self.report(Diagnostic::new(Code::BAD_RANGE, "the range of an int has whole ends", span, ""));
        }
        let default = self.value_of(&param.default, kind, "the default", Code::BAD_DEFAULT);
        if let (Some(value), Some(((lo, hi), span))) = (default, range)
            && !(lo..=hi).contains(&value)
        {
            self.report(
                Diagnostic::new(Code::BAD_RANGE, "the default is outside the range", param.default.span, "")
                    .related(span, "the range"),
            );
        }
        let name = param.name.value.clone();
        if free {
            let definition = match default {
                Some(_) => Definition::Param(ParamId(index(self.rule.params.len()))),
                None => Definition::Wrong,
            };
            self.scope.declare(&name, definition, param.name.span);
        }
        let range = range.map(|(ends, _)| ends);
        self.rule.params.push(Param { name, kind, default: default.unwrap_or(0.0), range, span: param.span });
    }

    /// The value of a literal for a param; reports one of the wrong type.
    pub(super) fn value_of(&mut self, literal: &ast::Literal, kind: ParamKind, what: &str, code: Code) -> Option<f64> {
        match (kind, literal.value) {
            (ParamKind::Num, LiteralValue::Num(value)) => Some(value),
            (ParamKind::Int, LiteralValue::Num(value)) if value.fract() == 0.0 => Some(value),
            (ParamKind::Bool, LiteralValue::Bool(value)) => Some(f64::from(u8::from(value))),
            (ParamKind::Int, _) => self.error(code, format!("{what} of an int is a whole number"), literal.span, ""),
            (ParamKind::Num, _) => self.error(code, format!("{what} of a num is a number"), literal.span, ""),
            (ParamKind::Bool, _) => {
                self.error(code, format!("{what} of a bool is `true` or `false`"), literal.span, "")
            }
        }
    }

    /// `= expr`: short for `if expr { breach "NAME" }`.
    fn short(&mut self, name: &ast::Name, condition: &ast::Expr) {
        let span = condition.span;
        let verdict = ast::VerdictStmt {
            severity: ast::Severity::Breach,
            action: None,
            hold: None,
            message: Spanned::new(name.value.clone(), Span::new(name.span.start, name.span.end)),
        };
        let then = vec![ast::Stmt { kind: ast::StmtKind::Verdict(verdict), span }];
        let stmt = ast::If { condition: condition.clone(), then, otherwise: None };
        let typed = self.top_level(&ast::Stmt { kind: ast::StmtKind::If(stmt), span });
        self.rule.body.extend(typed);
    }
}
