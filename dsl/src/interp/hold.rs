//! Verdicts that stay after the bar that gave them.

use super::{Interpreter, Moment};
use crate::typed::Hold;

/// What a statement gave when it ran.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// Column and value of each placeholder.
    pub(super) values: Vec<(usize, f64)>,
    /// The fraction to keep, for `reduce`.
    pub(super) keep: Option<f64>,
}

/// A hold, from the bar that last gave it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) given: Given,
    /// The bar that gave it.
    pub(super) bar_index: u64,
    /// Its time in milliseconds, for rules that use time.
    pub(super) time: i64,
}

impl Held {
    fn in_force(&self, hold: Hold, now: &Moment) -> bool {
        match hold {
            Hold::Bars(bars) => now.index < self.bar_index + u64::from(bars),
            Hold::Millis(millis) => now.time < self.time.saturating_add(millis),
            Hold::Day => !now.new_day,
            Hold::Forever => true,
        }
    }
}

impl Interpreter<'_> {
    /// Drops the holds that have ended, for good: at the start of step 3, before the body can give them again.
    pub(super) fn expire_holds(&mut self) {
        for (statement, slot) in self.rule.statements.iter().zip(&mut self.state.holds) {
            let moment = &self.bar.moment;
            slot.take_if(|held| !statement.hold.is_some_and(|hold| held.in_force(hold, moment)));
        }
    }
}
