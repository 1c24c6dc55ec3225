//! Bars at the boundaries of a rule: where two engines that differ at all would most likely differ.
//!
//! They are made from the rule's own text: its numbers, what is one bit or one tolerance beside them, the ends of its
//! ranges and what is just outside, zeros of both signs, the smallest and the largest doubles, missing values, and times
//! on both sides of its clock's minutes, days and holds. The same rule always has the same bars.

mod constants;
mod numbers;
#[cfg(test)]
mod tests;
mod times;

use rulebox_abi::columns::{InputColumns, TimeColumns};

use crate::bars::Bars;
use crate::calendar::Calendar;
use crate::generate::Choices;
use crate::typed::{Param, ParamKind, Rule};
use constants::Constants;
use numbers::Cells;

/// Sets of params that are tried, the defaults among them.
pub const MOST_PARAM_SETS: usize = 13;

/// At most `most` bars of a rule; a fault is expected on many of them, and whoever runs them starts anew behind it.
///
/// First comes a walk among values that the rule takes, long enough to fill its windows if there is room for that; then
/// every value at a boundary, input by input; then, in the last quarter, what each input refuses.
pub fn bars(rule: &Rule, calendar: &Calendar, most: usize) -> Bars {
    let constants = Constants::of(rule);
    let cells: Vec<Cells> = rule.inputs.iter().map(|input| Cells::of(input, &constants.numbers)).collect();
    let mut choices = Choices::seeded(rule.inputs.len() as u64);
    // What depends on the time needs more of it than there are values.
    let least = if rule.uses_time() { 300 } else { 64 };
    let walk = constants.longest.saturating_mul(2).saturating_add(least).min(most.div_ceil(3));
    let bad = cells.iter().map(|cells| cells.refused.len()).sum::<usize>().saturating_mul(2).min(most / 4);
    let mut columns = Columns::new(cells.len());
    columns.walk(&cells, &mut choices, walk);
    columns.sweep(&cells, &mut choices, most.saturating_sub(bad));
    columns.refused(&cells, most);
    let rows = columns.rows;
    let bars = Bars::new(rows, columns.values);
    if !rule.uses_time() {
        return bars;
    }
    let times = times::of(&mut choices, &constants, calendar, rows);
    bars.with_time(times, calendar)
}

/// Sets of params at the boundaries of what each may be: first the defaults, then each param by itself at the ends of
/// its range, [`MOST_PARAM_SETS`] at most.
pub fn params(rule: &Rule) -> Vec<Vec<f64>> {
    let defaults: Vec<f64> = rule.params.iter().map(|param| param.default).collect();
    let mut sets = vec![defaults.clone()];
    for (at, param) in rule.params.iter().enumerate() {
        for value in param_values(param) {
            let mut set = defaults.clone();
            if let Some(slot) = set.get_mut(at).filter(|slot| slot.to_bits() != value.to_bits()) {
                *slot = value;
                sets.push(set);
            }
        }
    }
    sets.truncate(MOST_PARAM_SETS);
    sets
}

fn param_values(param: &Param) -> Vec<f64> {
    match (param.kind, param.range) {
        (ParamKind::Bool, _) => vec![1.0 - param.default],
        (_, Some((lo, hi))) => vec![lo, hi],
        (ParamKind::Num, None) => vec![param.default.next_up(), -0.0],
        (ParamKind::Int, None) => vec![param.default + 1.0],
    }
}

/// Bars `from .. to` of some bars; `inputs` is where the references of their columns are kept.
pub fn part<'a>(
    columns: &InputColumns<'a>,
    inputs: &'a mut Vec<&'a [f64]>,
    from: usize,
    to: usize,
) -> InputColumns<'a> {
    let to = to.min(columns.rows);
    let from = from.min(to);
    inputs.clear();
    inputs.extend(columns.inputs.iter().map(|column| column.get(from..to).unwrap_or_default()));
    let time = columns.time.map(|t| TimeColumns {
        time: t.time.get(from..to).unwrap_or_default(),
        local_day: t.local_day.get(from..to).unwrap_or_default(),
        minute_of_day: t.minute_of_day.get(from..to).unwrap_or_default(),
        weekday: t.weekday.get(from..to).unwrap_or_default(),
    });
    InputColumns { rows: to - from, inputs, time }
}

/// The columns while they are made.
struct Columns {
    rows: usize,
    values: Vec<Vec<f64>>,
    /// The value of each input on the last bar of the walk, and after it what the others have while one is swept.
    now: Vec<f64>,
}

impl Columns {
    fn new(inputs: usize) -> Self {
        Self { rows: 0, values: vec![Vec::new(); inputs], now: vec![0.0; inputs] }
    }

    fn push(&mut self) {
        for (column, value) in self.values.iter_mut().zip(&self.now) {
            column.push(*value);
        }
        self.rows += 1;
    }

    /// Bars whose values the rule takes; about half of them are those of the bar before.
    fn walk(&mut self, cells: &[Cells], choices: &mut Choices<'_>, rows: usize) {
        for row in 0..rows {
            for (value, cells) in self.now.iter_mut().zip(cells) {
                if row == 0 || choices.chance(1, 2) {
                    *value = choices.pick(&cells.usual);
                }
            }
            self.push();
        }
    }

    /// One input after the other gets the next of its values, until each has had all of them or there is no more room.
    /// The others stay as they are, and change a little now and then.
    fn sweep(&mut self, cells: &[Cells], choices: &mut Choices<'_>, until: usize) {
        let longest = cells.iter().map(|cells| cells.all.len()).max().unwrap_or(0);
        for turn in 0..longest {
            for (at, cells) in cells.iter().enumerate() {
                let Some(value) = cells.all.get(turn) else { continue };
                if self.rows >= until {
                    return;
                }
                let Some(slot) = self.now.get_mut(at) else { continue };
                let before = std::mem::replace(slot, *value);
                self.push();
                if let Some(slot) = self.now.get_mut(at) {
                    *slot = if choices.chance(1, 4) { choices.pick(&cells.usual) } else { before };
                }
            }
        }
    }

    /// For each value that an input refuses: a bar that is good, and one with it.
    fn refused(&mut self, cells: &[Cells], until: usize) {
        for (at, cells) in cells.iter().enumerate() {
            for bad in &cells.refused {
                if self.rows + 2 > until {
                    return;
                }
                self.push();
                let Some(slot) = self.now.get_mut(at) else { continue };
                let before = std::mem::replace(slot, *bad);
                self.push();
                if let Some(slot) = self.now.get_mut(at) {
                    *slot = before;
                }
            }
        }
    }
}
