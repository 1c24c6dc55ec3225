//! Samples: contestants take turns, so that the noise of a busy machine meets all of them alike.

use std::time::Instant;

use crate::Error;

/// Values of one thing that was measured several times.
#[derive(Clone, Debug)]
pub struct Sample {
    values: Vec<f64>,
}

impl Sample {
    /// Of these values, in the order of their rounds; at least one.
    pub const fn new(values: Vec<f64>) -> Self {
        Self { values }
    }

    /// The value in the middle; NaN of none.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The middle half of the values, as a fraction of the median: (q3 - q1) / median.
    pub fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / self.median()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// The median of the ratios to another sample's value of the same round: what slowed both down is in neither.
    pub fn over(&self, other: &Self) -> f64 {
        Self::new(self.values.iter().zip(&other.values).map(|(mine, theirs)| mine / theirs).collect()).median()
    }

    /// Each value by a function.
    pub fn map(&self, f: impl FnMut(f64) -> f64) -> Self {
        Self::new(self.values.iter().copied().map(f).collect())
    }

    /// Linear between the two nearest values. NaN if one of them is: a turn that failed is no measurement, and its
    /// sample is none.
    fn quantile(&self, q: f64) -> f64 {
        if self.values.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let at = q * float(sorted.len().saturating_sub(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a short list")]
        let (below, above) = (at.floor() as usize, at.ceil() as usize);
        match (sorted.get(below), sorted.get(above)) {
            (Some(low), Some(high)) => low + (high - low) * at.fract(),
            _ => f64::NAN,
        }
    }
}

/// One of those that are measured beside each other: does its work once, and says what it took in its unit.
pub type Contestant<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Lets each have one turn that does not count, then one turn a round. One sample each, in their order.
pub fn in_turn(rounds: usize, contestants: &mut [Contestant<'_>]) -> Vec<Sample> {
    let mut values = vec![Vec::with_capacity(rounds); contestants.len()];
    for contestant in &mut *contestants {
        contestant();
    }
    for _ in 0..rounds {
        for (contestant, values) in contestants.iter_mut().zip(&mut values) {
            values.push(contestant());
        }
    }
    values.into_iter().map(Sample::new).collect()
}

/// The same for contestants whose number is known.
pub fn all_in_turn<const N: usize>(rounds: usize, mut contestants: [Contestant<'_>; N]) -> [Sample; N] {
    let mut samples = in_turn(rounds, &mut contestants).into_iter();
    std::array::from_fn(|_| samples.next().unwrap_or_else(|| Sample::new(Vec::new())))
}

/// Nanoseconds that one of `count` things took which `work` did together.
pub fn nanoseconds_each(count: usize, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1e9 / float(count)
}

/// The same of work that can fail; says so if it does, and gives NaN.
pub fn try_nanoseconds_each(count: usize, work: impl FnOnce() -> Result<(), Error>) -> f64 {
    let mut result = Ok(());
    let each = nanoseconds_each(count, || result = work());
    result.map_or_else(|error| said(&error), |()| each)
}

/// Says why a turn failed, and gives NaN.
pub fn said(error: &Error) -> f64 {
    eprintln!("rulebox-bench: a turn failed: {error}");
    f64::NAN
}

/// A number of things.
#[expect(clippy::cast_precision_loss, reason = "a measurement has less precision")]
pub const fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_a_median_and_a_spread() {
        let sample = Sample::new(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(sample.median(), 2.5);
        assert_eq!(sample.spread(), (3.25 - 1.75) / 2.5);
        assert!(Sample::new(vec![]).median().is_nan());
        assert!(Sample::new(vec![1.0, f64::NAN, 1.0]).median().is_nan(), "a turn failed");
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let (mine, theirs) = (Sample::new(vec![2.0, 20.0, 4.0]), Sample::new(vec![1.0, 10.0, 2.0]));
        assert_eq!(mine.over(&theirs), 2.0);
    }

    #[test]
    fn what_fails_is_no_number() {
        assert!(try_nanoseconds_each(1, || Err("no".into())).is_nan());
        assert!(try_nanoseconds_each(1, || Ok(())) >= 0.0);
    }

    #[test]
    fn each_has_its_turn() {
        let order = std::cell::RefCell::new(Vec::new());
        let turn = |name: f64| -> Contestant<'_> {
            let order = &order;
            Box::new(move || {
                order.borrow_mut().push(name);
                name
            })
        };
        let [first, second] = all_in_turn(2, [turn(1.0), turn(2.0)]);
        assert_eq!(*order.borrow(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        assert_eq!((first.len(), first.median()), (2, 1.0));
        assert_eq!((second.len(), second.median()), (2, 2.0));
    }
}
