//! Calls of built-in functions: which one, and whether its arguments fit in number and name.

use super::expr::{BOOL, NUM, Place};
use super::name::BAR_NAMES;
use super::{Checker, suggest};
use crate::ast;
use crate::builtins::{self, Builtin, Computes};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::typed::{Base, Expr, ExprKind};

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
        let found = builtins::find(&name.value);
        if found.is_none() {
            self.unknown_function(name);
        }
        let sorted = found.and_then(|builtin| self.arguments(builtin, args, span).map(|sorted| (builtin, sorted)));
        let Some((builtin, args)) = sorted else {
            // What is wrong inside the arguments is wrong in any case.
            for arg in args {
                self.expr(&arg.value, place);
            }
            return None;
        };
        match builtin.computes {
            Computes::Known => {
                let value = self.expr(args.get(0)?, place)?;
                self.needs_option(&value, "`known` is always true", "leave the test out")?;
                Some(Expr { kind: ExprKind::Known(Box::new(value)), ty: BOOL, span })
            }
            Computes::Plain(function) => {
                let typed = args.positional.iter().enumerate().map(|(at, arg)| {
                    self.plain(arg, Base::Num, place, &format!("argument {} of `{}`", at + 1, builtin.name))
                });
                // Every argument is checked before the first wrong one counts.
                let typed: Vec<Option<Expr>> = typed.collect();
                let args = typed.into_iter().collect::<Option<Vec<_>>>()?;
                Some(Expr { kind: ExprKind::Call { function, args, fault: None }, ty: NUM, span })
            }
            _ => self.memory(builtin, &args, span),
        }
    }

    fn unknown_function(&mut self, name: &ast::Name) {
        let word = &name.value;
        let mut diagnostic =
            Diagnostic::new(Code::UNKNOWN_FUNCTION, format!("there is no function `{word}`"), name.span, "");
        let near = suggest::nearest(word, builtins::ALL.iter().map(|b| b.name).filter(|_| self.hints_are_read()));
        if self.scope.find(word).is_some() || BAR_NAMES.contains(&word.as_str()) {
            diagnostic = diagnostic.help(format!("`{word}` is a value: write it without parentheses"));
        } else if let Some(near) = builtins::ALL.iter().find(|b| Some(b.name) == near) {
            diagnostic = diagnostic.help(format!("did you mean `{}`?", near.signature));
        } else {
            let all: Vec<_> = builtins::ALL.iter().map(|b| b.name).collect();
            diagnostic = diagnostic.help(format!("there are {}", all.join(" ")));
        }
        self.report(diagnostic);
    }

    /// Sorts the arguments of a call; reports those that do not fit in number or name.
    fn arguments<'e>(&mut self, builtin: &Builtin, args: &'e [ast::Arg], span: Span) -> Option<Args<'e>> {
        let mut sorted = Args { positional: Vec::new(), named: Vec::new() };
        let mut problems = Vec::new();
        for arg in args {
            let Some(word) = &arg.name else {
                if !sorted.named.is_empty() {
                    problems.push(("named arguments come last".to_owned(), arg.value.span));
                }
                sorted.positional.push(&arg.value);
                continue;
            };
            if !builtin.named.contains(&word.value.as_str()) {
                problems.push((format!("`{}` takes no `{}:`", builtin.name, word.value), word.span));
            } else if sorted.named(&word.value).is_some() {
                problems.push((format!("`{}:` is given twice", word.value), word.span));
            }
            sorted.named.push((&word.value, &arg.value));
        }
        let count = sorted.positional.len();
        if count < builtin.least || builtin.most.is_some_and(|most| count > most) {
            problems.push((format!("`{}` takes {}, not {count}", builtin.name, builtin.arity()), span));
        }
        let right = problems.is_empty();
        for (message, span) in problems {
            let help = format!("write `{}`", builtin.signature);
            self.report(Diagnostic::new(Code::WRONG_ARGUMENTS, message, span, "").help(help));
        }
        right.then_some(sorted)
    }
}
