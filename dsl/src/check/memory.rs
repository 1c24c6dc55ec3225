//! Calls with memory: windows, means, streaks. Computed in step 2, wherever they stand.

use super::call::Args;
use super::expr::{BOOL, NUM, Place};
use super::{Checker, index};
use crate::ast;
use crate::builtins::{Builtin, Computes};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::typed::{
    Base, CumulativeFunction, Expr, ExprKind, FaultKind, Memory, MemoryId, MemoryKind, ParamKind, Step, Ty, Window,
    WindowFunction, WindowSize,
};

const SIZE_HELP: &str = "write a whole number, or declare `param n: int = 20 in 5..250` and write `n`";

/// A call with memory, before it has a place in the tables.
struct Call {
    kind: MemoryKind,
    ty: Ty,
    /// Whether an intermediate may be not finite.
    faults: bool,
}

impl Call {
    /// A num that is always there, made without arithmetic.
    const fn new(kind: MemoryKind) -> Self {
        Self { kind, ty: NUM, faults: false }
    }

    const fn optional(mut self) -> Self {
        self.ty.optional = true;
        self
    }

    const fn faults_if(mut self, arithmetic: bool) -> Self {
        self.faults = arithmetic;
        self
    }
}

impl Checker<'_> {
    /// A call with memory, computed in step 2 wherever it stands: what it is made of comes before it.
    pub(super) fn memory(&mut self, builtin: &Builtin, args: &Args<'_>, span: Span) -> Option<Expr> {
        let Call { kind, ty, faults } = self.memory_call(builtin, args)?;
        if self.rule.memories.len() == self.limits.memories {
            let message = format!("the rule has more than {} calls with memory", self.limits.memories);
            let help = "give a result that is used twice a name with `let`";
            self.over_limit(Code::TOO_MANY_WINDOWS, message, span, help);
            return None;
        }
        self.keep(values_kept(&kind), span);
        let fault = faults.then(|| self.fault(FaultKind::NotFinite, span));
        let id = MemoryId(index(self.rule.memories.len()));
        self.rule.memories.push(Memory { kind, ty, fault, span });
        self.rule.advance.push(Step::Memory(id));
        Some(Expr { kind: ExprKind::Memory(id), ty, span })
    }

    fn memory_call(&mut self, builtin: &Builtin, args: &Args<'_>) -> Option<Call> {
        let name = builtin.name;
        Some(match builtin.computes {
            Computes::Window(function) => return self.window_call(name, function, args),
            Computes::Smooth(function) => {
                let value = self.argument(name, args, 0, Base::Num);
                let window = self.window(args.get(1)?);
                let kind = MemoryKind::Smooth { function, value: value?, window: window? };
                Call::new(kind).optional().faults_if(true)
            }
            Computes::Atr => {
                let high = self.argument(name, args, 0, Base::Num);
                let low = self.argument(name, args, 1, Base::Num);
                let close = self.argument(name, args, 2, Base::Num);
                let window = self.window(args.get(3)?);
                let kind = MemoryKind::Atr { high: high?, low: low?, close: close?, window: window? };
                Call::new(kind).optional().faults_if(true)
            }
            Computes::Cumulative(function) => {
                let value = self.argument(name, args, 0, Base::Num)?;
                let adds = function == CumulativeFunction::Sum;
                Call::new(MemoryKind::Cumulative { function, value }).faults_if(adds)
            }
            Computes::Streak => Call::new(MemoryKind::Streak { condition: self.argument(name, args, 0, Base::Bool)? }),
            Computes::BarsSince => {
                Call::new(MemoryKind::BarsSince { condition: self.argument(name, args, 0, Base::Bool)? }).optional()
            }
            Computes::Crosses { above } => {
                let left = self.argument(name, args, 0, Base::Num);
                let right = self.argument(name, args, 1, Base::Num);
                let kind = MemoryKind::Crosses { above, left: left?, right: right? };
                Call { kind, ty: BOOL, faults: false }
            }
            // Those remember nothing, and never come here.
            Computes::Plain(_) | Computes::Known => return None,
        })
    }

    fn argument(&mut self, name: &str, args: &Args<'_>, at: usize, base: Base) -> Option<Expr> {
        let what = format!("argument {} of `{name}`", at + 1);
        let mut value = self.plain(args.get(at)?, base, Place::Argument(name), &what)?;
        self.mark(&mut value);
        Some(value)
    }

    fn window_call(&mut self, name: &str, function: WindowFunction, args: &Args<'_>) -> Option<Call> {
        let base = if function == WindowFunction::Count { Base::Bool } else { Base::Num };
        let value = self.argument(name, args, 0, base);
        let size = args.get(1)?;
        let window = self.window(size);
        let sample = self.sample(args);
        let window = window?;
        let min = self.min(args, window);
        let (value, sample, min) = (value?, sample?, min?);
        if sample && min.unwrap_or(window.min) < 2 {
            let (span, what) = args.named("min").map_or((size.span, "the window"), |min| (min.span, "`min:`"));
            let message = format!("`sample: true` divides by n - 1, so {what} must be at least 2");
            return self.error(Code::WINDOW_MIN, message, span, "can be 1");
        }
        let function = if sample { WindowFunction::StdevSample } else { function };
        let adds = !matches!(function, WindowFunction::Highest | WindowFunction::Lowest | WindowFunction::Count);
        let call = Call::new(MemoryKind::Window { function, value, window, min }).faults_if(adds);
        Some(if min == Some(1) { call } else { call.optional() })
    }

    /// A window size: a whole-number literal or an int param with a range.
    fn window(&mut self, size: &ast::Expr) -> Option<Window> {
        self.node(size.span)?;
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
                let message = "a window size is a whole number or an int param";
                self.report(Diagnostic::new(Code::WINDOW_SIZE, message, size.span, "").help(SIZE_HELP));
                return None;
            }
        };
        if window.min == 0 {
            return self.error(Code::WINDOW_SIZE, "a window has at least 1 value", size.span, "0 values");
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
        let read = self.name(name, span, Place::Free)?;
        let ExprKind::Param(id) = read.kind else {
            let message = format!("a window size is a whole number or an int param, and `{name}` is neither");
            self.report(Diagnostic::new(Code::WINDOW_SIZE, message, span, "").help(SIZE_HELP));
            return None;
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
            let message = format!("`{name}` cannot be a window size: its range begins under 1");
            self.report(
                Diagnostic::new(Code::WINDOW_SIZE, message, span, "")
                    .related(declared, "declared here")
                    .help("begin its range at 1 or more"),
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
        self.node(arg.span)?;
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
        self.node(arg.span)?;
        match arg.kind {
            ast::ExprKind::Bool(sample) => Some(sample),
            _ => self.error(Code::WINDOW_MIN, "`sample:` is `true` or `false`", arg.span, ""),
        }
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
