//! Calls of built-in functions: which one, and whether its arguments fit in number and name.

use super::expr::{BOOL, NUM, Place};
use super::{Checker, suggest};
use crate::ast;
use crate::builtins::{self, Builtin};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::typed::{Base, Expr, ExprKind, Function};

/// The arguments of a call, positional and named.
pub(super) struct Args<'e> {
    positional: Vec<&'e ast::Expr>,
    named: Vec<(&'e str, &'e ast::Expr)>,
}

impl<'e> Args<'e> {
    pub(super) fn get(&self, at: usize) -> Option<&'e ast::Expr> {
        self.positional.get(at).copied()
    }

    pub(super) fn named(&self, name: &str) -> Option<&'e ast::Expr> {
        self.named.iter().find(|(n, _)| *n == name).map(|(_, e)| *e)
    }
}

impl Checker<'_> {
    pub(super) fn call(&mut self, name: &ast::Name, args: &[ast::Arg], span: Span, place: Place<'_>) -> Option<Expr> {
        let Some(builtin) = builtins::find(&name.value) else { return self.unknown_function(name) };
        let args = self.arguments(builtin, name, args, span)?;
        if builtin.has_memory {
            return self.memory(builtin.name, &args, span);
        }
        if builtin.name == "known" {
            let value = self.expr(args.get(0)?, place)?;
            self.needs_option(&value, "`known` is always true")?;
            return Some(Expr { kind: ExprKind::Known(Box::new(value)), ty: BOOL, span });
        }
        let function = match builtin.name {
            "min" => Function::Min,
            "max" => Function::Max,
            "abs" => Function::Abs,
            "sqrt" => Function::Sqrt,
            "floor" => Function::Floor,
            "ceil" => Function::Ceil,
            "clamp" => Function::Clamp,
            _ => Function::Div,
        };
        let typed: Vec<Option<Expr>> = (0..)
            .map_while(|at| args.get(at).map(|arg| (at, arg)))
            .map(|(at, arg)| self.plain(arg, Base::Num, place, &format!("argument {} of `{}`", at + 1, builtin.name)))
            .collect();
        let args = typed.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Expr { kind: ExprKind::Call { function, args, fault: None }, ty: NUM, span })
    }

    fn unknown_function(&mut self, name: &ast::Name) -> Option<Expr> {
        let word = &name.value;
        let mut diagnostic =
            Diagnostic::new(Code::UNKNOWN_FUNCTION, format!("there is no function `{word}`"), name.span, "");
        if self.scope.find(word).is_some() {
            diagnostic = diagnostic.help(format!("`{word}` is a value: write it without parentheses"));
        } else if let Some(near) = suggest::nearest(word, builtins::ALL.iter().map(|b| b.name)) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else {
            let all: Vec<_> = builtins::ALL.iter().map(|b| b.name).collect();
            diagnostic = diagnostic.help(format!("there are {}", all.join(" ")));
        }
        self.report(diagnostic);
        None
    }

    fn arguments<'e>(
        &mut self,
        builtin: &Builtin,
        name: &ast::Name,
        args: &'e [ast::Arg],
        span: Span,
    ) -> Option<Args<'e>> {
        let mut sorted = Args { positional: Vec::new(), named: Vec::new() };
        let mut wrong = false;
        for arg in args {
            let Some(word) = &arg.name else {
                if !sorted.named.is_empty() {
                    wrong = true;
                    self.report(
                        Diagnostic::new(Code::WRONG_ARGUMENTS, "named arguments come last", arg.value.span, "")
                            .help(format!("write `{}`", builtin.signature)),
                    );
                }
                sorted.positional.push(&arg.value);
                continue;
            };
            if !builtin.named.contains(&word.value.as_str()) {
                wrong = true;
                let message = format!("`{}` takes no `{}:`", name.value, word.value);
                self.report(
                    Diagnostic::new(Code::WRONG_ARGUMENTS, message, word.span, "")
                        .help(format!("write `{}`", builtin.signature)),
                );
            } else if sorted.named(&word.value).is_some() {
                wrong = true;
                let message = format!("`{}:` is given twice", word.value);
                self.report(Diagnostic::new(Code::WRONG_ARGUMENTS, message, word.span, ""));
            }
            sorted.named.push((&word.value, &arg.value));
        }
        let count = sorted.positional.len();
        if count < builtin.least || builtin.most.is_some_and(|most| count > most) {
            wrong = true;
            let message = format!("`{}` takes {}, not {count}", name.value, builtin.arity());
            self.report(
                Diagnostic::new(Code::WRONG_ARGUMENTS, message, span, "")
                    .help(format!("write `{}`", builtin.signature)),
            );
        }
        (!wrong).then_some(sorted)
    }
}
