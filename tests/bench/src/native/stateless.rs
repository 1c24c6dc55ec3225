//! Rules without a state.

use rulebox_abi::Verdict;

use super::{Bar, Fault, Rule, Said, Values, at_least, finite, greater, less, within};

/// Two thresholds.
#[derive(Clone, Copy, Debug)]
pub struct R1;

impl Rule for R1 {
    fn bar(&mut self, _row: usize, bar: Bar, _values: &mut Values) -> Result<Said, Fault> {
        let (equity, drawdown) = (finite(bar.equity)?, finite(bar.drawdown)?);
        Ok(Said::breach_if(greater(drawdown, 0.2) || less(equity, 50_000.0)))
    }
}

/// The example `check_custom_rule`.
#[derive(Clone, Copy, Debug)]
pub struct R4 {
    /// Its first param.
    pub limit: f64,
    /// Its second.
    pub warn_at: f64,
}

impl Rule for R4 {
    fn bar(&mut self, row: usize, bar: Bar, values: &mut Values) -> Result<Said, Fault> {
        within(bar.equity, 0.0, 1e15)?;
        let drawdown = within(bar.drawdown, 0.0, 1.0)?;
        let [breached, breached_limit, warned, warned_limit] = &mut values.messages;
        if at_least(drawdown, self.limit) {
            Values::set(breached, row, drawdown);
            Values::set(breached_limit, row, self.limit);
            Ok(Said::BREACH)
        } else if at_least(drawdown, self.warn_at) {
            Values::set(warned, row, drawdown);
            Values::set(warned_limit, row, self.limit);
            Ok(Said { verdict: Verdict::Warn, fired: 2 })
        } else {
            Ok(Said::OK)
        }
    }
}

/// The sum of twenty conditions.
#[derive(Clone, Copy, Debug)]
pub struct R6;

const DRAWDOWNS: [f64; 10] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10];
const EQUITIES: [f64; 10] = [110e3, 105e3, 100e3, 95e3, 90e3, 85e3, 80e3, 75e3, 70e3, 65e3];

impl Rule for R6 {
    fn bar(&mut self, _row: usize, bar: Bar, _values: &mut Values) -> Result<Said, Fault> {
        let (equity, drawdown) = (finite(bar.equity)?, finite(bar.drawdown)?);
        let alarms = DRAWDOWNS.iter().map(|limit| u32::from(greater(drawdown, *limit))).sum::<u32>()
            + EQUITIES.iter().map(|limit| u32::from(less(equity, *limit))).sum::<u32>();
        Ok(Said::breach_if(alarms >= 12))
    }
}
