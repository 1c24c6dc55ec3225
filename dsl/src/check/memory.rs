//! Calls with memory: windows, means, streaks. Computed in step 2, wherever they stand.

use super::call::Args;
use super::expr::Place;
use super::{Checker, index};
use crate::ast;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::typed::{
    Base, CumulativeFunction, Expr, ExprKind, FaultKind, Memory, MemoryId, MemoryKind, ParamKind, SmoothFunction, Step,
    Ty, Window, WindowFunction, WindowSize,
};

impl Checker<'_> {
    /// A call with memory of a known name.
    pub(super) fn memory(&mut self, name: &str, args: &Args<'_>, span: Span) -> Option<Expr> {
        if self.rule.memories.len() == self.limits.memories {
            let most = self.limits.memories;
            self.over_limit(Code::TOO_MANY_WINDOWS, format!("the rule has more than {most} calls with memory"), span);
            return None;
        }
        let (kind, ty, faults) = match name {
            "sum" | "sma" | "stdev" | "highest" | "lowest" | "count" => self.window_call(name, args)?,
            "ema" | "rma" | "rsi" => {
                let function = match name {
                    "ema" => SmoothFunction::Ema,
                    "rma" => SmoothFunction::Rma,
                    _ => SmoothFunction::Rsi,
                };
                let value = self.argument(name, args, 0, Base::Num);
                let window = self.window(args.get(1)?);
                (MemoryKind::Smooth { function, value: value?, window: window? }, Base::Num, true).optional(true)
            }
            "atr" => {
                let high = self.argument(name, args, 0, Base::Num);
                let low = self.argument(name, args, 1, Base::Num);
                let close = self.argument(name, args, 2, Base::Num);
                let window = self.window(args.get(3)?);
                let kind = MemoryKind::Atr { high: high?, low: low?, close: close?, window: window? };
                (kind, Base::Num, true).optional(true)
            }
            "cum_max" | "cum_min" | "cum_sum" => {
                let function = match name {
                    "cum_max" => CumulativeFunction::Max,
                    "cum_min" => CumulativeFunction::Min,
                    _ => CumulativeFunction::Sum,
                };
                let value = self.argument(name, args, 0, Base::Num)?;
                (MemoryKind::Cumulative { function, value }, Base::Num, name == "cum_sum").optional(false)
            }
            "streak" => {
                let condition = self.argument(name, args, 0, Base::Bool)?;
                (MemoryKind::Streak { condition }, Base::Num, false).optional(false)
            }
            "bars_since" => {
                let condition = self.argument(name, args, 0, Base::Bool)?;
                (MemoryKind::BarsSince { condition }, Base::Num, false).optional(true)
            }
            _ => {
                let left = self.argument(name, args, 0, Base::Num);
                let right = self.argument(name, args, 1, Base::Num);
                let kind = MemoryKind::Crosses { above: name == "crosses_above", left: left?, right: right? };
                (kind, Base::Bool, false).optional(false)
            }
        };
        self.keep(values_kept(&kind), span);
        let fault = faults.then(|| self.fault(FaultKind::NotFinite, span));
        let id = MemoryId(index(self.rule.memories.len()));
        self.rule.memories.push(Memory { kind, ty, fault, span });
        self.rule.advance.push(Step::Memory(id));
        Some(Expr { kind: ExprKind::Memory(id), ty, span })
    }

    fn argument(&mut self, name: &str, args: &Args<'_>, at: usize, base: Base) -> Option<Expr> {
        let what = format!("argument {} of `{name}`", at + 1);
        let mut value = self.plain(args.get(at)?, base, Place::Argument(name), &what)?;
        self.mark(&mut value);
        Some(value)
    }

    fn window_call(&mut self, name: &str, args: &Args<'_>) -> Option<(MemoryKind, Ty, bool)> {
        let base = if name == "count" { Base::Bool } else { Base::Num };
        let value = self.argument(name, args, 0, base);
        let window = self.window(args.get(1)?);
        let sample = self.sample(args);
        let window = window?;
        let min = self.min(args, window);
        let (value, sample, min) = (value?, sample?, min?);
        let function = match name {
            "sum" => WindowFunction::Sum,
            "sma" => WindowFunction::Sma,
            "stdev" if sample => WindowFunction::StdevSample,
            "stdev" => WindowFunction::Stdev,
            "highest" => WindowFunction::Highest,
            "lowest" => WindowFunction::Lowest,
            _ => WindowFunction::Count,
        };
        if sample && min.unwrap_or(window.min) < 2 {
            let (span, what) = args.named("min").map_or((args.get(1)?.span, "the window"), |a| (a.span, "`min:`"));
            return self.error(
                Code::WINDOW_MIN,
                format!("`sample: true` divides by n - 1, so {what} must be at least 2"),
                span,
                "can be 1",
            );
        }
        let faults = matches!(
            function,
            WindowFunction::Sum | WindowFunction::Sma | WindowFunction::Stdev | WindowFunction::StdevSample
        );
        let plain = min == Some(1);
        Some((MemoryKind::Window { function, value, window, min }, Base::Num, faults).optional(!plain))
    }

    /// A window size: a whole-number literal or an int param with a range.
    fn window(&mut self, size: &ast::Expr) -> Option<Window> {
        self.node(size.span);
        let window = match &size.kind {
            ast::ExprKind::Paren(inner) => return self.window(inner),
            ast::ExprKind::Error => return None,
            ast::ExprKind::Num(n) if self.is_whole_literal(size) => {
                // A literal over the limit is refused below, so the cast may saturate.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
                let n = *n as u32;
                Window { size: WindowSize::Literal(n), min: n, max: n }
            }
            ast::ExprKind::Name(name) => self.window_param(name, size.span)?,
            _ => {
                let help = "write a whole number, or the name of an int param with a range";
                self.report(
                    Diagnostic::new(
                        Code::WINDOW_SIZE,
                        "a window size is a whole number or an int param",
                        size.span,
                        "",
                    )
                    .help(help),
                );
                return None;
            }
        };
        if window.min == 0 {
            return self.error(Code::WINDOW_SIZE, "a window has at least 1 value", size.span, "can be 0");
        }
        if window.max > self.limits.window {
            let most = self.limits.window;
            let message = format!("a window has at most {most} values, not {}", window.max);
            return self.error(Code::WINDOW_TOO_LARGE, message, size.span, "");
        }
        Some(window)
    }

    fn is_whole_literal(&self, expr: &ast::Expr) -> bool {
        self.text(expr.span).bytes().all(|b| b.is_ascii_digit())
    }

    fn window_param(&mut self, name: &str, span: Span) -> Option<Window> {
        let read = match self.scope.find(name) {
            None if !super::expr::BAR_NAMES.contains(&name) => return self.unknown(name, span),
            _ => self.expr(&ast::Expr { kind: ast::ExprKind::Name(name.to_owned()), span }, Place::Free)?,
        };
        let ExprKind::Param(id) = read.kind else {
            let message = format!("a window size is a whole number or an int param, and `{name}` is neither");
            return self.error(Code::WINDOW_SIZE, message, span, "");
        };
        let param = self.rule.params.get(id.index())?;
        let declared = param.span;
        let (ParamKind::Int, Some((lo, hi))) = (param.kind, param.range) else {
            let why = if param.kind == ParamKind::Int { "has no range" } else { "is not an int" };
            self.report(
                Diagnostic::new(Code::WINDOW_SIZE, format!("`{name}` cannot be a window size: it {why}"), span, "")
                    .related(declared, "declared here")
                    .help(format!("declare it `param {name}: int = 20 in 1..250`")),
            );
            return None;
        };
        if lo < 1.0 {
            self.report(
                Diagnostic::new(
                    Code::WINDOW_SIZE,
                    format!("`{name}` cannot be a window size: it can be {lo}"),
                    span,
                    "",
                )
                .related(declared, "its range must start at 1 or more"),
            );
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; the limit is checked")]
        let (min, max) = (lo as u32, hi as u32);
        Some(Window { size: WindowSize::Param(id), min, max })
    }

    /// `min: k`. `None` was an error, `Some(None)` none is written.
    #[expect(clippy::option_option, reason = "the outer one is the error, as everywhere in the checker")]
    fn min(&mut self, args: &Args<'_>, window: Window) -> Option<Option<u32>> {
        let Some(arg) = args.named("min") else { return Some(None) };
        self.node(arg.span);
        if let ast::ExprKind::Num(k) = arg.kind
            && self.is_whole_literal(arg)
            && k >= 1.0
            && k <= f64::from(window.min)
        {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a u32")]
            return Some(Some(k as u32));
        }
        let most = window.min;
        let message = format!("`min:` is a whole number from 1 to {most}, the smallest size of the window");
        self.error(Code::WINDOW_MIN, message, arg.span, "")
    }

    fn sample(&mut self, args: &Args<'_>) -> Option<bool> {
        let Some(arg) = args.named("sample") else { return Some(false) };
        self.node(arg.span);
        match arg.kind {
            ast::ExprKind::Bool(sample) => Some(sample),
            _ => self.error(Code::WINDOW_MIN, "`sample:` is `true` or `false`", arg.span, ""),
        }
    }
}

/// Finishes the description of a call.
trait WithPresence {
    fn optional(self, optional: bool) -> (MemoryKind, Ty, bool);
}

impl WithPresence for (MemoryKind, Base, bool) {
    fn optional(self, optional: bool) -> (MemoryKind, Ty, bool) {
        (self.0, Ty { base: self.1, optional }, self.2)
    }
}

/// Values of eight bytes that a call keeps, with its counters.
fn values_kept(kind: &MemoryKind) -> usize {
    match kind {
        MemoryKind::Window { window, .. } => window.max as usize + 2,
        MemoryKind::Smooth { .. } | MemoryKind::Atr { .. } => 5,
        MemoryKind::Cumulative { .. }
        | MemoryKind::Streak { .. }
        | MemoryKind::BarsSince { .. }
        | MemoryKind::Crosses { .. } => 3,
    }
}
