//! The head of a rule: inputs and params.

use super::name::BAR_NAMES;
use super::scope::Definition;
use super::{Checker, index};
use crate::ast::{self, LiteralValue, TypeName};
use crate::diagnostic::{Code, Diagnostic};
use crate::typed::{Base, FaultKind, Input, InputId, Param, ParamId, ParamKind, Ty};

impl Checker<'_> {
    pub(super) fn rule(&mut self, rule: &ast::Rule) {
        for input in &rule.inputs {
            self.input(input);
            if self.stopped {
                return;
            }
        }
        match &rule.body {
            ast::Body::Short(condition) => self.short(&rule.name, condition),
            ast::Body::Block(items) => {
                for item in items {
                    if self.stopped {
                        return;
                    }
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

    /// Whether a name may be declared here; reports why not. Nothing is said of later uses of a name that may not.
    pub(super) fn may_declare(&mut self, name: &ast::Name) -> bool {
        let word = &name.value;
        if self.count_name(name.span).is_none() {
            return false;
        }
        if let Some(first) = self.scope.spoil(word) {
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
        if BAR_NAMES.contains(&word.as_str()) {
            self.reserved(name);
            self.scope.declare(word, Definition::Wrong, name.span);
            return false;
        }
        true
    }

    /// Reports a declaration of a name that the language gives.
    pub(super) fn reserved(&mut self, name: &ast::Name) {
        let message = format!("`{}` is given by the language", name.value);
        let diagnostic = Diagnostic::new(Code::RESERVED_NAME, message, name.span, "cannot be declared");
        self.report(diagnostic.help("choose another name"));
    }

    fn input(&mut self, input: &ast::Input) {
        let free = self.may_declare(&input.name);
        let base = match input.ty.as_ref().map(|t| t.value) {
            None | Some(TypeName::Num) => Base::Num,
            Some(TypeName::Bool) => Base::Bool,
            Some(TypeName::Int) => {
                let span = input.ty.as_ref().map_or(input.span, |t| t.span);
                let diagnostic = Diagnostic::new(Code::INT_INPUT, "an input is num or bool, not int", span, "");
                self.report(diagnostic.help("write `num`; an int param can be a window size"));
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
            return self.error(Code::BAD_RANGE, "a bool takes no range", range.span, "remove it");
        }
        let (LiteralValue::Num(lo), LiteralValue::Num(hi)) = (range.lo.value, range.hi.value) else {
            return self.error(Code::BAD_RANGE, "the ends of a range are numbers", range.span, "");
        };
        if lo > hi {
            let help = format!("write `{}..{}`", self.text(range.hi.span), self.text(range.lo.span));
            let diagnostic =
                Diagnostic::new(Code::BAD_RANGE, "the range ends below its start", range.span, "nothing is inside it");
            self.report(diagnostic.help(help));
            return None;
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
            self.report(Diagnostic::new(
                Code::BAD_RANGE,
                "the range of an int has whole ends",
                span,
                "an int is whole",
            ));
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
            let right = default.is_some() && range.is_some() == param.range.is_some();
            let definition =
                if right { Definition::Param(ParamId(index(self.rule.params.len()))) } else { Definition::Wrong };
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
        let verdict =
            ast::VerdictStmt { severity: ast::Severity::Breach, action: None, hold: None, message: name.clone() };
        let then = vec![ast::Stmt { kind: ast::StmtKind::Verdict(verdict), span }];
        let stmt = ast::If { condition: condition.clone(), then, otherwise: None };
        let typed = self.top_level(&ast::Stmt { kind: ast::StmtKind::If(stmt), span });
        self.rule.body.extend(typed);
    }
}
