//! Bars for a generated rule: mostly a random walk, with what breaks rules thrown in.

use rulebox_abi::{MISSING, TIME_MISSING};

use super::choices::Choices;
use super::scope::{Range, Scope};
use crate::typed::Base;

/// Columns of a generated run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeneratedBars {
    /// Number of bars.
    pub rows: usize,
    /// Names of the inputs, in order.
    pub names: Vec<String>,
    /// Whether each input is a bool.
    pub bools: Vec<bool>,
    /// One column an input; missing is NaN, bools are 0 or 1.
    pub inputs: Vec<Vec<f64>>,
    /// Milliseconds since 1970, [`TIME_MISSING`] where there is none; also for rules that do not use it.
    pub times: Vec<i64>,
}

/// 2026-03-06T12:00Z, two days before clocks change in the United States.
const MARCH_2026: i64 = 1_772_798_400_000;
/// 2024-10-26T12:00Z, a day before clocks change in Europe.
const OCTOBER_2024: i64 = 1_729_944_000_000;
const MINUTE: i64 = 60_000;

pub(super) fn generate(choices: &mut Choices<'_>, scope: &Scope, rows: usize) -> GeneratedBars {
    let mut bars = GeneratedBars { rows, ..GeneratedBars::default() };
    // One run in five has bad bars; the others show what a rule does when nothing faults.
    let bad = choices.chance(1, 5);
    for (input, range) in scope.inputs() {
        let bool = input.ty.base == Base::Bool;
        bars.names.push(input.name.clone());
        bars.bools.push(bool);
        let column = if bool {
            bools(choices, input.ty.optional, rows)
        } else {
            nums(choices, input.ty.optional, range, bad, rows)
        };
        bars.inputs.push(column);
    }
    let ranges: Vec<_> = scope.inputs().map(|(_, range)| range).collect();
    neighbours(choices, &mut bars, &ranges);
    bars.times = times(choices, bad, rows);
    bars
}

/// Two numbers that differ by the tolerance of a comparison to the last bit, or by one bit more or less: `k` units in
/// the last place, where the larger is `k` units times 1e12.
pub fn at_tolerance(choices: &mut Choices<'_>) -> (f64, f64) {
    let unit = f64::EPSILON * 2.0_f64.powi(choices.pick(&[0, 0, 1, 7, 30]));
    // From 1 to 2 units of 2^52.
    let k = 4_504 + choices.below(4_500);
    let larger = f64::from(k) * (unit * 1e12);
    let beside = f64::from(k) + choices.pick(&[-1.0, 0.0, 0.0, 1.0]);
    (larger, larger - beside * unit)
}

/// Makes columns almost equal on some bars: what no two random walks are.
fn neighbours(choices: &mut Choices<'_>, bars: &mut GeneratedBars, ranges: &[Range]) {
    let nums: Vec<usize> = (0..bars.inputs.len()).filter(|&at| bars.bools.get(at) == Some(&false)).collect();
    if nums.len() < 2 || !choices.chance(1, 2) {
        return;
    }
    for row in 0..bars.rows {
        if !choices.chance(1, 4) {
            continue;
        }
        let (a, b) = at_tolerance(choices);
        let sign = choices.pick(&[1.0, -1.0]);
        for (column, value) in [(choices.pick(&nums), a * sign), (choices.pick(&nums), b * sign)] {
            // A value that the column's range refuses would be a fault, and nothing would be compared.
            let (lo, hi) = ranges.get(column).copied().flatten().unwrap_or((f64::MIN, f64::MAX));
            let cell = bars.inputs.get_mut(column).and_then(|values| values.get_mut(row));
            if let Some(cell) = cell.filter(|cell| cell.is_finite() && (lo..=hi).contains(&value)) {
                *cell = value;
            }
        }
    }
}

fn bools(choices: &mut Choices<'_>, optional: bool, rows: usize) -> Vec<f64> {
    (0..rows)
        .map(|_| if optional && choices.chance(1, 4) { MISSING } else { f64::from(u8::from(choices.chance(1, 2))) })
        .collect()
}

fn nums(choices: &mut Choices<'_>, optional: bool, range: Range, bad: bool, rows: usize) -> Vec<f64> {
    let (lo, hi) = range.unwrap_or((-1e6, 1e6));
    let mut value: f64 = 100.0;
    (0..rows)
        .map(|_| {
            if optional && choices.chance(1, 4) {
                return MISSING;
            }
            if bad && choices.chance(1, 40) {
                return choices.pick(&[f64::INFINITY, f64::NAN, f64::NEG_INFINITY, 1e308, -1e308, 1e-320, -0.0]);
            }
            match choices.below(12) {
                // The same again, and a hair beside it: equal within the tolerance, and just not.
                0 | 1 => {}
                2 => value *= 1.0 + 5e-13,
                3 => value *= 1.0 - 3e-12,
                4 => value = 0.0,
                5 => value = -value,
                6 => value = value.round(),
                _ => value += (choices.fraction() - 0.5) * 8.0,
            }
            value = value.clamp(lo, hi);
            value
        })
        .collect()
}

fn times(choices: &mut Choices<'_>, bad: bool, rows: usize) -> Vec<i64> {
    let mut time = choices.pick(&[OCTOBER_2024, MARCH_2026, 0, -86_400_000]);
    let steps = choices.pick(&[&[15_i64, 30, 60, 5][..], &[0, 1, 7, 360], &[1440, 720, 2880, 61], &[60, 60, 60, 1380]]);
    (0..rows)
        .map(|_| {
            let step = choices.pick(steps) * MINUTE + i64::from(choices.below(3)) * 20_123;
            if bad && choices.chance(1, 60) {
                return TIME_MISSING;
            }
            time += if bad && choices.chance(1, 60) { -MINUTE } else { step };
            time
        })
        .collect()
}
