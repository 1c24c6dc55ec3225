//! Times of the bars: on both sides of a rule's minutes, days and holds, over a change of the clocks.

use rulebox_abi::TIME_MISSING;

use super::constants::Constants;
use crate::calendar::Calendar;
use crate::generate::Choices;

/// 2026-03-06T12:00Z, two days before clocks change in the United States.
const START: i64 = 1_772_798_400_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

/// One time a bar, never smaller than the one before, but for the last two: one that is, and one that is missing.
pub(super) fn of(choices: &mut Choices<'_>, constants: &Constants, calendar: &Calendar, rows: usize) -> Vec<i64> {
    let mut times: Vec<i64> = Vec::with_capacity(rows);
    let mut time = START;
    for _ in 0..rows {
        times.push(time);
        time += step(choices, constants, calendar, time);
    }
    if let [.., before, backwards, missing] = times.as_mut_slice() {
        *backwards = *before - 1;
        *missing = TIME_MISSING;
    }
    times
}

fn step(choices: &mut Choices<'_>, constants: &Constants, calendar: &Calendar, time: i64) -> i64 {
    match choices.below(10) {
        0 => 0,
        1 => 1,
        2 => MINUTE,
        3 => 60 * MINUTE,
        4 => DAY,
        5 | 6 if !constants.spans.is_empty() => choices.pick(&constants.spans) + choices.pick(&[-1, 0, 1]),
        _ => until(calendar, time, choices.pick(&constants.minutes)) + choices.pick(&[-1, 0, 1, MINUTE - 1, MINUTE]),
    }
    .max(0)
}

/// Milliseconds to the next beginning of a minute of the local day; about, where the clocks change before it.
fn until(calendar: &Calendar, time: i64, minute: u16) -> i64 {
    let local = calendar.local(&[time]);
    let now = local.minute_of_day.first().copied().unwrap_or_default();
    let minutes = (i64::from(minute) - i64::from(now)).rem_euclid(1440);
    let whole = minutes * MINUTE - time.rem_euclid(MINUTE);
    if whole < 0 { whole + DAY } else { whole }
}
