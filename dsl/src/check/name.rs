//! Names and their past: what they stand for, where they may be read, and what the author may have meant.

use super::expr::{BOOL, NUM, Place};
use super::scope::Definition;
use super::{Checker, Reason, index, suggest};
use crate::ast;
use crate::builtins;
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::Limits;
use crate::span::{Span, Spanned};
use crate::token::Word;
use crate::typed::{Base, Expr, ExprKind, History, HistoryId, LetId, ParamKind, Source, Ty};

/// The names that the language gives.
pub(super) const BAR_NAMES: [&str; 5] = ["time", "new_day", "weekday", "time_of_day", "bar_index"];

/// Whether a rule may declare this name: small ASCII letters, digits and `_`, no digit first, no word of the language,
/// and none that it gives.
pub fn is_name(name: &str, limits: &Limits) -> bool {
    let first = matches!(name.bytes().next(), Some(b'a'..=b'z' | b'_'));
    let rest = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    first && rest && name.len() <= limits.name_bytes && Word::find(name).is_none() && !BAR_NAMES.contains(&name)
}

impl Checker<'_> {
    pub(super) fn name(&mut self, name: &str, span: Span, place: Place<'_>) -> Option<Expr> {
        let (kind, ty) = match self.scope.read(name) {
            Some(Definition::Wrong) => return None,
            Some(Definition::Input(id)) => (ExprKind::Input(id), self.rule.inputs.get(id.index())?.ty),
            Some(Definition::Param(id)) => {
                let base = match self.rule.params.get(id.index())?.kind {
                    ParamKind::Bool => Base::Bool,
                    ParamKind::Num | ParamKind::Int => Base::Num,
                };
                (ExprKind::Param(id), Ty { base, optional: false })
            }
            Some(Definition::Let(id)) => {
                let ty = self.rule.lets.get(id.index())?.ty;
                self.needs_series_let(id, name, span, place)?;
                (ExprKind::Let(id), ty)
            }
            Some(Definition::Var(id)) => {
                let var = self.rule.vars.get(id.index())?;
                let (declared, ty) = (var.span, Ty { base: var.base, optional: false });
                if let Place::Argument(function) = place {
                    let message = format!("`{function}` reads series alone, and `{name}` is a var");
                    return self.not_a_series(message, span, declared, "it keeps what the lines that ran gave it");
                }
                (ExprKind::Var(id), ty)
            }
            None => self.bar_name(name, span)?,
        };
        Some(Expr { kind, ty, span })
    }

    /// A name that the language gives.
    fn bar_name(&mut self, name: &str, span: Span) -> Option<(ExprKind, Ty)> {
        Some(match name {
            "bar_index" => (ExprKind::BarIndex, NUM),
            "new_day" => {
                self.use_time(span);
                (ExprKind::NewDay, BOOL)
            }
            "weekday" => {
                self.use_time(span);
                (ExprKind::Weekday, NUM)
            }
            "time_of_day" => {
                self.use_time(span);
                (ExprKind::TimeOfDay, Ty { base: Base::Clock, optional: false })
            }
            "time" => {
                let diagnostic = Diagnostic::new(Code::UNKNOWN_NAME, "a rule cannot read `time` itself", span, "");
                self.report(diagnostic.help("read `time_of_day`, `weekday` or `new_day`"));
                return None;
            }
            _ => return self.unknown(name, span),
        })
    }

    fn needs_series_let(&mut self, id: LetId, name: &str, span: Span, place: Place<'_>) -> Option<()> {
        let Place::Argument(function) = place else { return Some(()) };
        let why = match self.not_series.get(id.index()).and_then(Option::as_ref) {
            None => return Some(()),
            Some(Reason::InBlock) => "it stands in a block".to_owned(),
            Some(Reason::Reads(other)) => format!("it reads `{other}`"),
        };
        let declared = self.rule.lets.get(id.index())?.span;
        let message = format!("`{function}` reads series alone, and the let `{name}` is not one");
        self.not_a_series(message, span, declared, &why)
    }

    fn not_a_series<T>(&mut self, message: String, span: Span, declared: Span, why: &str) -> Option<T> {
        self.report(
            Diagnostic::new(Code::NOT_A_SERIES, message, span, "its value depends on which lines ran")
                .related(declared, why)
                .help("make it from inputs, params and top-level lets of those"),
        );
        None
    }

    /// Reports a name that is not visible.
    pub(super) fn unknown<T>(&mut self, name: &str, span: Span) -> Option<T> {
        let mut diagnostic = Diagnostic::new(Code::UNKNOWN_NAME, format!("there is no `{name}` here"), span, "");
        if self.hints_are_read() {
            diagnostic = self.with_hint(diagnostic, name, span);
        }
        self.report(diagnostic);
        None
    }

    /// What the author may have meant by a name that is not visible.
    fn with_hint(&self, diagnostic: Diagnostic, name: &str, span: Span) -> Diagnostic {
        if let Some(ended) = self.scope.find_ended(name) {
            return diagnostic
                .related(ended.span, "declared here, in a block that has ended")
                .help("declare it before the block, as a `var` if the block changes it");
        }
        if let Some(declared) = suggest::declaration(&self.file.rule, name) {
            return if declared.start > span.start {
                diagnostic
                    .related(declared, "declared here, further down")
                    .help("move its line up: a name is visible below it")
            } else {
                diagnostic.related(declared, "declared here").help(
                    "a name is visible from the line after its declaration; a `var` keeps a value from bar to bar",
                )
            };
        }
        if let Some(function) = builtins::find(name) {
            return diagnostic.help(format!("`{name}` is a function: write `{}`", function.signature));
        }
        if self.out_names.iter().any(|(out, _)| out == name) {
            return diagnostic.help("an out cannot be read: give its value a name with `let`, and read that");
        }
        let functions = builtins::ALL.iter().map(|b| b.name);
        match suggest::nearest(name, self.scope.names().chain(BAR_NAMES).chain(functions)) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic,
        }
    }

    /// `name[back]`.
    pub(super) fn history(&mut self, name: &ast::Name, back: &Spanned<u64>, span: Span) -> Option<Expr> {
        let k = self.back(back);
        let read = self.name(&name.value, name.span, Place::Free)?;
        let source = match read.kind {
            ExprKind::Input(id) => Source::Input(id),
            ExprKind::Param(id) => Source::Param(id),
            ExprKind::NewDay => Source::NewDay,
            ExprKind::Weekday => Source::Weekday,
            ExprKind::BarIndex => Source::BarIndex,
            ExprKind::Let(id) if read.ty.base != Base::Clock => match self.not_series.get(id.index())? {
                None => Source::Let(id),
                Some(Reason::InBlock) => return self.no_past(name, "it is the let of a block"),
                Some(Reason::Reads(other)) => {
                    let why = format!("it reads `{other}`, so it is no series");
                    return self.no_past(name, &why);
                }
            },
            ExprKind::Var(_) => return self.no_past(name, "it is a var"),
            _ => return self.no_past(name, "it is a time of day"),
        };
        let back = k?;
        let known = self.rule.histories.iter().position(|h| h.source == source);
        let at = known.unwrap_or(self.rule.histories.len());
        if known.is_none() {
            self.rule.histories.push(History { source, ty: read.ty, depth: 0 });
        }
        let history = self.rule.histories.get_mut(at)?;
        let more = back.saturating_sub(history.depth);
        history.depth += more;
        self.keep(more as usize, span);
        let ty = Ty { base: read.ty.base, optional: true };
        Some(Expr { kind: ExprKind::History { history: HistoryId(index(at)), back }, ty, span })
    }

    fn no_past<T>(&mut self, name: &ast::Name, why: &str) -> Option<T> {
        let message = format!("`{}` has no history: {why}", name.value);
        let diagnostic = Diagnostic::new(Code::HAS_NO_PAST, message, name.span, "");
        self.report(diagnostic.help("inputs, params, and top-level lets that read only those have one"));
        None
    }

    fn back(&mut self, back: &Spanned<u64>) -> Option<u32> {
        if back.value == 0 {
            return self.error(Code::BACK_RANGE, "`[0]` is this bar: write the name alone", back.span, "at least 1");
        }
        let most = self.limits.window;
        let k = u32::try_from(back.value).ok().filter(|&k| k <= most);
        k.or_else(|| {
            self.error(Code::WINDOW_TOO_LARGE, format!("history goes back at most {most} bars"), back.span, "")
        })
    }
}
