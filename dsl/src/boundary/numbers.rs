//! Values of one input.

use rulebox_abi::MISSING;

use crate::number::TOLERANCE;
use crate::typed::{Base, Input};

/// Numbers up to this are usual: products of some of them are finite.
const USUAL: f64 = 1e30;
/// The smallest double over 0.
const SMALLEST: f64 = f64::from_bits(1);

/// What an input is given.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Values that it takes, and that rules seldom fault on.
    pub(super) usual: Vec<f64>,
    /// All values that it takes.
    pub(super) all: Vec<f64>,
    /// What it refuses, so that the bar is a fault.
    pub(super) refused: Vec<f64>,
}

impl Cells {
    /// Of an input, from the numbers of the rule.
    pub(super) fn of(input: &Input, numbers: &[f64]) -> Self {
        if input.ty.base == Base::Bool { Self::of_bool(input) } else { Self::of_num(input, numbers) }
    }

    fn of_bool(input: &Input) -> Self {
        let mut cells = Self {
            usual: vec![0.0, 1.0],
            all: vec![0.0, 1.0, -0.0],
            refused: vec![0.5, 1.0_f64.next_up(), SMALLEST, -1.0, f64::INFINITY],
        };
        cells.missing(input);
        cells
    }

    fn of_num(input: &Input, numbers: &[f64]) -> Self {
        let (lo, hi) = input.range.unwrap_or((f64::MIN, f64::MAX));
        let ends = [lo, hi, lo.next_up(), hi.next_down()];
        let mut all = vec![0.0, -0.0];
        all.extend(numbers.iter().flat_map(|number| [*number, number.next_up(), number.next_down()]));
        all.extend(ends);
        all.extend([SMALLEST, -SMALLEST, f64::MIN_POSITIVE, -f64::MIN_POSITIVE, 1.0, -1.0, f64::MAX, f64::MIN]);
        all.extend(numbers.iter().flat_map(|number| at_tolerance(*number)));
        let mut cells = Self::default();
        for value in all {
            // Both ends included, compared plainly.
            let is_taken = value.is_finite() && (lo..=hi).contains(&value);
            if is_taken && cells.all.iter().all(|known| known.to_bits() != value.to_bits()) {
                cells.all.push(value);
            }
        }
        cells.usual = cells.all.iter().copied().filter(|value| value.abs() <= USUAL).collect();
        if cells.usual.is_empty() {
            cells.usual.push(lo);
        }
        cells.refused = vec![f64::INFINITY, f64::NEG_INFINITY];
        if input.range.is_some() {
            cells.refused.extend([lo.next_down(), hi.next_up()].into_iter().filter(|value| value.is_finite()));
        }
        cells.missing(input);
        cells
    }

    fn missing(&mut self, input: &Input) {
        // Any NaN is a missing value, whatever its bits and its sign.
        let missing = [MISSING, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001)];
        if input.ty.optional {
            self.usual.push(MISSING);
            // Early: it is what an optional input is for.
            self.all.splice(0..0, missing);
        } else {
            self.refused.extend(missing);
        }
    }
}

/// The largest and the smallest number that equal this one within the tolerance, about, and what is one bit beside them.
fn at_tolerance(number: f64) -> [f64; 6] {
    let tolerance = TOLERANCE * number.abs().max(1.0);
    let (above, below) = (number + tolerance, number - tolerance);
    [above, above.next_up(), above.next_down(), below, below.next_up(), below.next_down()]
}
