//! Calls with memory: windows, means, streaks.

use super::{Expr, FaultId, ParamId, Ty};
use crate::span::Span;

/// A call with memory. Its arguments read series alone and are never missing.
#[derive(Clone, Debug)]
pub struct Memory {
    /// What it computes.
    pub kind: MemoryKind,
    /// Type of its value: optional if it can be not yet full.
    pub ty: Ty,
    /// The fault of an intermediate that is not finite. `None` where none can be (`highest`, `count`, …).
    pub fault: Option<FaultId>,
    /// The call in the text.
    pub span: Span,
}

/// What a call with memory computes.
#[expect(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug)]
pub enum MemoryKind {
    /// A function of the last values of one series.
    Window { function: WindowFunction, value: Expr, window: Window, min: Option<u32> },
    /// `ema(x, n)`, `rma(x, n)` or `rsi(x, n)`.
    Smooth { function: SmoothFunction, value: Expr, window: Window },
    /// `atr(high, low, close, n)`.
    Atr { high: Expr, low: Expr, close: Expr, window: Window },
    /// `cum_max(x)`, `cum_min(x)` or `cum_sum(x)`.
    Cumulative { function: CumulativeFunction, value: Expr },
    /// `streak(cond)`: true bars in a row, this one included.
    Streak { condition: Expr },
    /// `bars_since(cond)`: missing before the first true bar.
    BarsSince { condition: Expr },
    /// `crosses_above(a, b)` or `crosses_below(a, b)`: false on bar 0.
    Crosses { above: bool, left: Expr, right: Expr },
}

/// A window size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where its size comes from.
    pub size: WindowSize,
    /// The smallest size it can have.
    pub min: u32,
    /// The largest size it can have: what is reserved.
    pub max: u32,
}

/// Where a window's size comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSize {
    /// A literal.
    Literal(u32),
    /// An int param.
    Param(ParamId),
}

/// Functions of a window of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowFunction {
    /// `sum`.
    Sum,
    /// `sma`.
    Sma,
    /// `stdev`, population.
    Stdev,
    /// `stdev` with `sample: true`.
    StdevSample,
    /// `highest`.
    Highest,
    /// `lowest`.
    Lowest,
    /// `count`; its value is a bool.
    Count,
}

/// Exponential means and what is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmoothFunction {
    /// `ema`.
    Ema,
    /// `rma`.
    Rma,
    /// `rsi`.
    Rsi,
}

/// Functions of all values so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CumulativeFunction {
    /// `cum_max`.
    Max,
    /// `cum_min`.
    Min,
    /// `cum_sum`.
    Sum,
}
