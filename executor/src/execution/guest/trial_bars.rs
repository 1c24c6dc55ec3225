//! The bars of a trial: at the bounds of what a manifest admits.

use std::ops::Range;

use rulebox_abi::columns::InputColumns;
use rulebox_dsl::manifest::{InputInfo, Manifest, ValueType};

use crate::execution::prepared::Prepared;

/// Bars of the trial; in the middle of them a session is handed on.
pub(super) const BARS: usize = 9;
/// 2026-01-05, a Monday, 00:00 UTC.
const FIRST_TIME: i64 = 1_767_571_200_000;
/// Seven hours: the bars are of three days.
const STEP: i64 = 7 * 3_600_000;

/// Their columns.
pub(super) struct Bars {
    inputs: Vec<Vec<f64>>,
    times: Vec<i64>,
}

impl Bars {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let steps = (0..).take(BARS).map(|bar: i64| FIRST_TIME + bar * STEP);
        Self { inputs: manifest.inputs.iter().map(column).collect(), times: steps.collect() }
    }

    /// Some of them, as a module takes them.
    pub(super) fn rows<T>(
        &self,
        prepared: &Prepared,
        rows: Range<usize>,
        use_them: impl FnOnce(&InputColumns<'_>) -> T,
    ) -> T {
        let inputs: Vec<_> = self.inputs.iter().filter_map(|column| column.get(rows.clone())).collect();
        let times = self.times.get(rows.clone()).unwrap_or_default();
        let local = prepared.calendar.as_ref().map(|calendar| calendar.local(times));
        let time = local.as_ref().map(|local| local.view(times));
        use_them(&InputColumns { rows: rows.len(), inputs: &inputs, time })
    }
}

/// The middle, both ends in turn, and what is missing where it may be; on the last bar everything is missing, which is a
/// fault if a required input is.
fn column(input: &InputInfo) -> Vec<f64> {
    let (low, high) = match (input.ty, input.range) {
        (ValueType::Bool, _) => (0.0, 1.0),
        (_, Some([low, high])) => (low, high),
        (_, None) => (-1e9, 1e9),
    };
    // Of a range that is as wide as a double can be, the sum is not.
    let middle = if input.ty == ValueType::Bool { 0.0 } else { low / 2.0 + high / 2.0 };
    let missing = if input.optional { f64::NAN } else { middle };
    vec![middle, high, low, high, missing, low, low, high, f64::NAN]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_inside_of_ranges_and_the_last_is_missing() {
        let input = |ty, range, optional| InputInfo { name: "x".to_owned(), ty, optional, range };
        for (ty, range) in [
            (ValueType::Num, None),
            (ValueType::Num, Some([0.01, 1e9])),
            (ValueType::Num, Some([-f64::MAX, f64::MAX])),
            (ValueType::Num, Some([3.0, 3.0])),
        ] {
            let mut column = column(&input(ty, range, false));
            assert_eq!(column.len(), BARS);
            assert!(column.pop().is_some_and(f64::is_nan));
            let [low, high] = range.unwrap_or([-1e9, 1e9]);
            assert!(column.iter().all(|value| (low..=high).contains(value)), "{column:?}");
        }
        let column = |ty, optional| column(&input(ty, None, optional)).into_iter().take(BARS - 1).collect::<Vec<_>>();
        assert!(column(ValueType::Bool, false).iter().all(|value| matches!(value, 0.0 | 1.0)));
        assert!(column(ValueType::Num, true).iter().any(|value| value.is_nan()));
    }
}
