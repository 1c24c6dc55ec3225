//! Values that may be missing: where they must be there, and what the author can write instead.

use super::{Checker, type_name};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::typed::{Base, Expr, ExprKind, MemoryKind, SmoothFunction, WindowFunction};

/// The longest text of a rule that a help repeats.
const LONGEST_HELP: usize = 120;

impl Checker<'_> {
    /// Reports a value that may be missing where it must be there. `within` is the operation that it is an operand of,
    /// which the help rewrites.
    pub(super) fn needs_presence(&mut self, expr: &Expr, within: Option<Span>) -> Option<()> {
        if !expr.ty.optional {
            return Some(());
        }
        let label = match &expr.kind {
            ExprKind::History { back: 1, .. } => "bar 0 has no previous bar".to_owned(),
            ExprKind::History { back, .. } => format!("the first {back} bars have no bar {back} before"),
            ExprKind::Memory(id) => match self.rule.memories.get(id.index()).map(|m| &m.kind) {
                Some(MemoryKind::BarsSince { .. }) => "missing before the first such bar".to_owned(),
                _ => "missing until the window is full".to_owned(),
            },
            ExprKind::Input(_) => "the input is optional".to_owned(),
            ExprKind::Let(_) => "the let may be missing".to_owned(),
            _ => "something in it may be missing".to_owned(),
        };
        let message = format!("`{}` may be missing", shorten(self.text(expr.span)));
        let help = match self.with_default(expr, within) {
            Some(text) => format!("write `{text}`"),
            None => "say what holds when it is missing, with `??`".to_owned(),
        };
        let label = format!("{}: {label}", type_name(expr.ty));
        self.report(Diagnostic::new(Code::MAY_BE_MISSING, message, expr.span, label).help(help));
        None
    }

    /// Reports a value that is always there where only one that may be missing makes sense.
    pub(super) fn needs_option(&mut self, expr: &Expr, what: &str, help: &str) -> Option<()> {
        if expr.ty.optional {
            return Some(());
        }
        let message = format!("{what}: `{}` is never missing", shorten(self.text(expr.span)));
        self.report(Diagnostic::new(Code::NEVER_MISSING, message, expr.span, type_name(expr.ty)).help(help));
        None
    }

    /// The author's text with a default; none if it is too long to repeat.
    fn with_default(&self, expr: &Expr, within: Option<Span>) -> Option<String> {
        let value = self.text(expr.span);
        // `??` binds tighter than all but names, calls and literals.
        let tight = !matches!(
            expr.kind,
            ExprKind::Arith { .. } | ExprKind::Neg { .. } | ExprKind::If { .. } | ExprKind::Default { .. }
        );
        let value = if tight { value.to_owned() } else { format!("({value})") };
        let defaulted = format!("{value} ?? {}", self.otherwise(expr));
        let text = match within {
            Some(within) => {
                let before = self.text(Span::new(within.start, expr.span.start));
                let after = self.text(Span::new(expr.span.end, within.end));
                let wrapped = before.trim_end().ends_with('(') && after.trim_start().starts_with(')');
                let defaulted = if wrapped { defaulted } else { format!("({defaulted})") };
                format!("{before}{defaulted}{after}")
            }
            None => defaulted,
        };
        // A comment inside would swallow what follows it on one line.
        if text.contains('#') {
            return None;
        }
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (line.len() <= LONGEST_HELP).then_some(line)
    }

    /// What may hold where a value is missing.
    fn otherwise(&self, expr: &Expr) -> String {
        let neutral = if expr.ty.base == Base::Bool { "false" } else { "0" };
        let otherwise = match &expr.kind {
            ExprKind::History { history, .. } => {
                let always = self.rule.histories.get(history.index()).is_some_and(|h| !h.ty.optional);
                let name = self.text(expr.span).split('[').next().map(str::trim);
                name.filter(|_| always).unwrap_or(neutral)
            }
            ExprKind::Memory(id) => match self.rule.memories.get(id.index()).map(|m| &m.kind) {
                Some(MemoryKind::Smooth { function: SmoothFunction::Rsi, .. }) => "50",
                Some(
                    MemoryKind::Smooth { value, .. }
                    | MemoryKind::Window {
                        function: WindowFunction::Sma | WindowFunction::Highest | WindowFunction::Lowest,
                        value,
                        ..
                    },
                ) => self.name_of(value).unwrap_or(neutral),
                // Long ago: what never was should not pass for what was on bar 0.
                Some(MemoryKind::BarsSince { .. }) => "1000000",
                _ => neutral,
            },
            _ => neutral,
        };
        otherwise.to_owned()
    }

    /// The text of an expression that is a name.
    fn name_of(&self, expr: &Expr) -> Option<&str> {
        matches!(expr.kind, ExprKind::Input(_) | ExprKind::Param(_) | ExprKind::Let(_)).then(|| self.text(expr.span))
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
