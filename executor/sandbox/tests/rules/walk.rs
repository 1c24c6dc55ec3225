//! Bars for rules that are written by hand.

use rulebox_dsl::bars::Bars;
use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::generate::Choices;
use rulebox_dsl::typed::{Base, Input, Rule};

/// Bars for a rule: a walk around 100 that comes back to equal values, with gaps where they may be; times from Friday
/// on, hours and minutes apart, over a change of the clocks.
pub fn walk(rule: &Rule, choices: &mut Choices<'_>, rows: usize) -> Bars {
    walk_with(rule, choices, rows, false)
}

/// The same, with values on some bars that most rules fault on.
pub fn walk_with(rule: &Rule, choices: &mut Choices<'_>, rows: usize, bad: bool) -> Bars {
    let column = |choices: &mut Choices<'_>, input: &Input| {
        let mut value: f64 = 100.0;
        let (lo, hi) = input.range.unwrap_or((f64::MIN, f64::MAX));
        (0..rows)
            .map(|_| {
                if input.ty.optional && choices.chance(1, 5) {
                    return f64::NAN;
                }
                if input.ty.base == Base::Bool {
                    return f64::from(u8::from(choices.chance(1, 2)));
                }
                if bad && choices.chance(1, 100) {
                    return choices.pick(&[f64::INFINITY, f64::NAN, 1e308, -1e308, 0.0]);
                }
                value = match choices.below(8) {
                    0 => 100.0,
                    1 => value,
                    2 => value * (1.0 - 1e-13),
                    _ => value + (choices.fraction() - 0.5) * 6.0,
                };
                value.clamp(lo, hi)
            })
            .collect::<Vec<_>>()
    };
    let inputs = rule.inputs.iter().map(|input| column(choices, input)).collect();
    let bars = Bars::new(rows, inputs);
    if !rule.uses_time() {
        return bars;
    }
    // 2026-03-27T12:00Z.
    let mut time = 1_774_612_800_000;
    let times = (0..rows).map(|_| {
        time += i64::from(choices.pick(&[0_u32, 60_000, 300_000, 900_000, 3_600_000, 20_000_000]));
        time
    });
    let calendar = Calendar::new(&rule.clock.zone, rule.clock.day_start).unwrap();
    bars.with_time(times.collect(), &calendar)
}
