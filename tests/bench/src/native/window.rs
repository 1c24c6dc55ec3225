//! Rules with a window, which is summed afresh on every bar.

use super::{Bar, Fault, Rule, Said, Values, finite, less, within};

/// The last values of a series, each kept twice, so that a full window lies in one piece.
#[derive(Clone, Debug)]
struct Ring {
    cells: Vec<f64>,
    size: usize,
    next: usize,
    full: bool,
}

impl Ring {
    fn new(size: usize) -> Self {
        Self { cells: vec![0.0; 2 * size], size, next: 0, full: false }
    }

    /// Takes a value; the window from the oldest to the newest, once there are enough of them.
    fn push(&mut self, value: f64) -> Option<&[f64]> {
        let (low, high) = self.cells.split_at_mut(self.size);
        for half in [low, high] {
            if let Some(cell) = half.get_mut(self.next) {
                *cell = value;
            }
        }
        self.next += 1;
        if self.next == self.size {
            (self.next, self.full) = (0, true);
        }
        if self.full { self.cells.get(self.next..self.next + self.size) } else { None }
    }
}

fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// Equity under 95 % of its mean of twenty bars.
#[derive(Clone, Debug)]
pub struct R3 {
    ring: Ring,
}

impl R3 {
    const SIZE: usize = 20;

    /// At bar 0.
    pub fn new() -> Self {
        Self { ring: Ring::new(Self::SIZE) }
    }
}

impl Rule for R3 {
    fn bar(&mut self, _row: usize, bar: Bar, _values: &mut Values) -> Result<Said, Fault> {
        let equity = finite(bar.equity)?;
        let mean = match self.ring.push(equity).and_then(|window| window.first_chunk::<{ Self::SIZE }>()) {
            Some(window) => finite(sum(window.iter().copied()) / 20.0)?,
            None => 0.0,
        };
        Ok(Said::breach_if(less(equity, mean * 0.95)))
    }
}

/// The example `vol_target`.
#[derive(Clone, Debug)]
pub struct R5 {
    target: f64,
    root_of_year: f64,
    /// Of the window.
    size: f64,
    ring: Ring,
    before: Option<f64>,
}

impl R5 {
    /// At bar 0.
    pub fn new(target: f64, size: u16, per_year: f64) -> Self {
        let ring = Ring::new(usize::from(size));
        Self { target, root_of_year: per_year.sqrt(), size: f64::from(size), ring, before: None }
    }
}

impl Rule for R5 {
    fn bar(&mut self, row: usize, bar: Bar, values: &mut Values) -> Result<Said, Fault> {
        // With this range no quotient of two equities, and no sum of their squares, leaves the finite numbers.
        let equity = within(bar.equity, 1.0, 1e15)?;
        let before = self.before.replace(equity).unwrap_or(equity);
        let Some(window) = self.ring.push(equity / before - 1.0) else { return Ok(Said::OK) };
        let mean = sum(window.iter().copied()) / self.size;
        let squares = sum(window.iter().map(|x| (x - mean) * (x - mean)));
        let vol = (squares / (self.size - 1.0)).sqrt() * self.root_of_year;
        let scale = self.target / vol;
        let scale = if scale.is_finite() { scale } else { 1.0 };
        if less(scale, 1.0) {
            Values::set(&mut values.keep, row, scale);
            return Ok(Said::BREACH);
        }
        Ok(Said::OK)
    }
}
