//! Calls with memory. A window is folded afresh on every bar from the values it holds, so that nothing drifts.
//!
//! Formulas and their order of operations: the language reference, fine print 20.

use std::collections::VecDeque;

use super::Interpreter;
use super::value::{Value, at, set, tested};
use crate::number::{compare, maximum, minimum};
use crate::typed::{
    CompareOp, CumulativeFunction, Expr, FaultId, Memory, MemoryId, MemoryKind, SmoothFunction, Window, WindowFunction,
    WindowSize,
};

/// What a call with memory remembers from bar to bar. Each kind of call uses some of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Recall {
    /// The last values of a window, oldest first; bools are 0 or 1.
    window: VecDeque<f64>,
    /// The arguments of the bar before.
    previous: Option<(f64, f64)>,
    /// The smoothed mean: of the values, the gains or the true ranges.
    mean: Mean,
    /// `rsi`: the smoothed mean of the losses.
    losses: Mean,
    /// The value so far of `cum_max`, `cum_min` and `cum_sum`.
    total: Option<f64>,
    /// `streak` and `bars_since`.
    bars: Option<u64>,
}

/// An exponential mean: the sma of the first n values, then smoothed. A value that is not finite makes the first mean
/// that it is part of a fault.
#[derive(Clone, Debug, Default)]
struct Mean {
    /// The first values, until there are n.
    seed: Vec<f64>,
    value: Option<f64>,
}

impl Interpreter<'_> {
    /// Computes a call with memory for this bar.
    pub(super) fn advance_memory(&mut self, id: MemoryId) -> Result<(), FaultId> {
        let rule = self.rule;
        let (Some(memory), Some(slot)) = (rule.memories.get(id.index()), self.state.memories.get_mut(id.index()))
        else {
            return Ok(());
        };
        let mut recall = std::mem::take(slot);
        let value = self.remember(memory, &mut recall)?;
        if let Some(slot) = self.state.memories.get_mut(id.index()) {
            *slot = recall;
        }
        set(&mut self.bar.memories, id.index(), value);
        Ok(())
    }

    /// The value of a call, and what it must remember.
    fn remember(&self, memory: &Memory, recall: &mut Recall) -> Result<Value, FaultId> {
        let fault = memory.fault;
        let value = match &memory.kind {
            MemoryKind::Window { function, value, window, min } => {
                let (x, size) = (self.number(value)?, self.size(window));
                recall.window(*function, x, size, *min, fault)?
            }
            MemoryKind::Smooth { function, value, window } => {
                let (x, size) = (self.number(value)?, self.size(window));
                match function {
                    SmoothFunction::Ema => recall.mean.ema(x, size, fault)?,
                    SmoothFunction::Rma => recall.mean.rma(x, size, fault)?,
                    SmoothFunction::Rsi => recall.rsi(x, size, fault)?,
                }
            }
            MemoryKind::Atr { high, low, close, window } => {
                let (high, low, close) = (self.number(high)?, self.number(low)?, self.number(close)?);
                recall.atr(high, low, close, self.size(window), fault)?
            }
            MemoryKind::Cumulative { function, value } => {
                Some(recall.cumulative(*function, self.number(value)?, fault)?)
            }
            MemoryKind::Streak { condition } => Some(recall.streak(self.eval(condition)?.truth())),
            MemoryKind::BarsSince { condition } => recall.bars_since(self.eval(condition)?.truth()),
            MemoryKind::Crosses { above, left, right } => {
                let sides = (self.number(left)?, self.number(right)?);
                return Ok(Value::Bool(recall.crosses(*above, sides)));
            }
        };
        Ok(value.map_or(Value::Missing, Value::Num))
    }

    fn number(&self, expr: &Expr) -> Result<f64, FaultId> {
        Ok(self.eval(expr)?.number())
    }

    fn size(&self, window: &Window) -> usize {
        let size = match window.size {
            WindowSize::Literal(size) => size,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, in the param's range")]
            WindowSize::Param(id) => at(&self.params, id.index()).number() as u32,
        };
        size.clamp(window.min, window.max) as usize
    }
}

impl Recall {
    fn window(
        &mut self,
        function: WindowFunction,
        x: f64,
        size: usize,
        min: Option<u32>,
        fault: Option<FaultId>,
    ) -> Result<Option<f64>, FaultId> {
        if self.window.len() == size {
            self.window.pop_front();
        }
        self.window.push_back(x);
        let needed = min.map_or(size, |min| min as usize);
        if self.window.len() < needed {
            return Ok(None);
        }
        let values = || self.window.iter().copied();
        Ok(match function {
            WindowFunction::Sum => Some(tested(sum(values()), fault)?),
            WindowFunction::Sma => Some(tested(sma(values()), fault)?),
            WindowFunction::Stdev => Some(stdev(values(), 0.0, fault)?),
            WindowFunction::StdevSample => Some(stdev(values(), 1.0, fault)?),
            WindowFunction::Highest => values().reduce(maximum),
            WindowFunction::Lowest => values().reduce(minimum),
            WindowFunction::Count => Some(sum(values())),
        })
    }

    fn rsi(&mut self, x: f64, size: usize, fault: Option<FaultId>) -> Result<Option<f64>, FaultId> {
        let Some((before, _)) = self.previous.replace((x, 0.0)) else { return Ok(None) };
        let change = x - before;
        let (gain, loss) = (maximum(change, 0.0), maximum(-change, 0.0));
        let (gains, losses) = (self.mean.rma(gain, size, fault)?, self.losses.rma(loss, size, fault)?);
        let (Some(gains), Some(losses)) = (gains, losses) else { return Ok(None) };
        let both = tested(gains + losses, fault)?;
        Ok(Some(if both == 0.0 { 50.0 } else { 100.0 * (gains / both) }))
    }

    fn atr(
        &mut self,
        high: f64,
        low: f64,
        close: f64,
        size: usize,
        fault: Option<FaultId>,
    ) -> Result<Option<f64>, FaultId> {
        let Some((before, _)) = self.previous.replace((close, 0.0)) else { return Ok(None) };
        let (range, up, down) = (high - low, (high - before).abs(), (low - before).abs());
        // The maximum of an infinity below 0 and something finite would hide it.
        let finite = range.is_finite() && up.is_finite() && down.is_finite();
        let true_range = if finite { maximum(maximum(range, up), down) } else { f64::INFINITY };
        self.mean.rma(true_range, size, fault)
    }

    fn cumulative(&mut self, function: CumulativeFunction, x: f64, fault: Option<FaultId>) -> Result<f64, FaultId> {
        let total = match function {
            CumulativeFunction::Max => self.total.map_or(x, |total| maximum(total, x)),
            CumulativeFunction::Min => self.total.map_or(x, |total| minimum(total, x)),
            CumulativeFunction::Sum => tested(self.total.unwrap_or(0.0) + x, fault)?,
        };
        self.total = Some(total);
        Ok(total)
    }

    fn streak(&mut self, condition: bool) -> f64 {
        let bars = if condition { self.bars.unwrap_or(0) + 1 } else { 0 };
        self.bars = Some(bars);
        count(bars)
    }

    fn bars_since(&mut self, condition: bool) -> Option<f64> {
        self.bars = if condition { Some(0) } else { self.bars.map(|bars| bars + 1) };
        self.bars.map(count)
    }

    fn crosses(&mut self, above: bool, (left, right): (f64, f64)) -> bool {
        let Some((left_before, right_before)) = self.previous.replace((left, right)) else { return false };
        let (now, before) = if above { (CompareOp::Gt, CompareOp::Le) } else { (CompareOp::Lt, CompareOp::Ge) };
        compare(now, left, right) && compare(before, left_before, right_before)
    }
}

impl Mean {
    fn ema(&mut self, x: f64, size: usize, fault: Option<FaultId>) -> Result<Option<f64>, FaultId> {
        let alpha = 2.0 / (float(size) + 1.0);
        self.next(x, size, fault, |y| (x - y) * alpha + y)
    }

    fn rma(&mut self, x: f64, size: usize, fault: Option<FaultId>) -> Result<Option<f64>, FaultId> {
        let n = float(size);
        self.next(x, size, fault, |y| (y * (n - 1.0) + x) / n)
    }

    /// `step` keeps an infinity on its way an infinity (or makes it NaN), so its result alone is tested.
    fn next(
        &mut self,
        x: f64,
        size: usize,
        fault: Option<FaultId>,
        step: impl Fn(f64) -> f64,
    ) -> Result<Option<f64>, FaultId> {
        let value = if let Some(y) = self.value {
            step(y)
        } else {
            self.seed.push(x);
            if self.seed.len() < size {
                return Ok(None);
            }
            sma(std::mem::take(&mut self.seed).into_iter())
        };
        self.value = Some(tested(value, fault)?);
        Ok(self.value)
    }
}

/// From the oldest to the newest. A sum that has overflowed stays infinite, so its end alone is tested.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, x| sum + x)
}

fn sma(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = float(values.len());
    sum(values) / count
}

/// In two passes; `less` is taken from the count that divides.
fn stdev(
    values: impl ExactSizeIterator<Item = f64> + Clone,
    less: f64,
    fault: Option<FaultId>,
) -> Result<f64, FaultId> {
    let count = float(values.len());
    let mean = tested(sma(values.clone()), fault)?;
    let squares = sum(values.map(|x| (x - mean) * (x - mean)));
    Ok((tested(squares, fault)? / (count - less)).sqrt())
}

#[expect(clippy::cast_precision_loss, reason = "windows have at most millions of bars")]
fn float(size: usize) -> f64 {
    size as f64
}

/// A number of bars.
#[expect(clippy::cast_precision_loss, reason = "no run has 2^53 bars")]
pub(super) fn count(bars: u64) -> f64 {
    bars as f64
}
