//! A rule that remembers a few numbers.

use super::{Bar, Fault, Rule, Said, Values, finite, greater};

/// The highest equity, a loss of more than 15 % of it, or three rising drawdowns in a row.
#[derive(Clone, Copy, Debug)]
pub struct R2 {
    peak: f64,
    /// Not more than anything before bar 0.
    drawdown_before: f64,
    rising: u64,
}

impl R2 {
    /// At bar 0.
    pub const START: Self = Self { peak: f64::NEG_INFINITY, drawdown_before: f64::INFINITY, rising: 0 };
}

impl Rule for R2 {
    fn bar(&mut self, _row: usize, bar: Bar, _values: &mut Values) -> Result<Said, Fault> {
        let (equity, drawdown) = (finite(bar.equity)?, finite(bar.drawdown)?);
        self.peak = if self.peak > equity { self.peak } else { equity };
        self.rising = if greater(drawdown, self.drawdown_before) { self.rising + 1 } else { 0 };
        self.drawdown_before = drawdown;
        // A fraction of a finite number is finite; a difference may not be.
        let loss = finite(self.peak - equity)?;
        Ok(Said::breach_if(greater(loss, self.peak * 0.15) || self.rising >= 3))
    }
}
