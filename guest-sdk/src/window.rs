//! The last values of a series.

use crate::compare::{maximum, minimum};
use crate::plain::Plain;

/// The last `N` values of a series, as a field of a rule's state.
///
/// Nothing is kept but the values, so that nothing drifts: a sum is added afresh, from the oldest value on, as the
/// rule language does.
///
/// ```
/// use rulebox_guest::Window;
///
/// let mut closes = Window::<3>::new();
/// for close in [10.0, 12.0, 11.0, 9.0] {
///     closes.push(close);
/// }
/// assert_eq!(closes.last(3).collect::<Vec<_>>(), [12.0, 11.0, 9.0]);
/// assert_eq!(closes.last(2).highest(), Some(11.0));
/// assert_eq!(closes.ago(1), Some(11.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Window<const N: usize> {
    values: [f64; N],
    /// Values pushed so far.
    pushed: u64,
}

// SAFETY: repr(C) of whole words. Any count is in order: it is reduced before it is used as an index.
unsafe impl<const N: usize> Plain for Window<N> {
    const ZERO: Self = Self::new();
}

impl<const N: usize> Window<N> {
    /// Without values.
    pub const fn new() -> Self {
        Self { values: [0.0; N], pushed: 0 }
    }

    /// Adds a value. The oldest leaves a window that is full.
    pub const fn push(&mut self, value: f64) {
        let slot = Self::slot(self.pushed);
        if let Some(cell) = self.values.split_at_mut(slot).1.first_mut() {
            *cell = value;
        }
        self.pushed = self.pushed.wrapping_add(1);
    }

    /// How many values there are, at most `N`.
    #[expect(clippy::cast_possible_truncation, reason = "less than N, which is a usize")]
    pub const fn len(&self) -> usize {
        if self.pushed < N as u64 { self.pushed as usize } else { N }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// The value `back` bars ago: 0 is the last that was pushed.
    pub fn ago(&self, back: usize) -> Option<f64> {
        if back >= self.len() {
            return None;
        }
        self.values.get(Self::slot(self.pushed.wrapping_sub(1).wrapping_sub(back as u64))).copied()
    }

    /// The last `count` values, oldest first; all, if there are fewer.
    pub fn last(&self, count: usize) -> Last<'_> {
        let count = count.min(self.len());
        let start = Self::slot(self.pushed.wrapping_sub(count as u64));
        let (wrapped, from_start) = self.values.split_at(start);
        let first = from_start.get(..count).unwrap_or(from_start);
        let second = wrapped.get(..count - first.len()).unwrap_or(wrapped);
        Last { first: first.iter(), second: second.iter() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than N, which is a usize")]
    const fn slot(number: u64) -> usize {
        if N == 0 { 0 } else { (number % N as u64) as usize }
    }
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Values of a window, oldest first.
#[derive(Clone, Debug)]
pub struct Last<'w> {
    first: core::slice::Iter<'w, f64>,
    second: core::slice::Iter<'w, f64>,
}

impl Last<'_> {
    /// Their sum, from the oldest on; 0 if there is none.
    pub fn total(self) -> f64 {
        self.fold(0.0, |sum, value| sum + value)
    }

    /// Their mean; `None` if there is no value.
    #[expect(clippy::cast_precision_loss, reason = "a window has fewer values than 2^53")]
    pub fn mean(self) -> Option<f64> {
        let count = self.len();
        (count > 0).then(|| self.total() / count as f64)
    }

    /// The highest.
    pub fn highest(self) -> Option<f64> {
        self.reduce(maximum)
    }

    /// The lowest.
    pub fn lowest(self) -> Option<f64> {
        self.reduce(minimum)
    }
}

impl Iterator for Last<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.first.next().or_else(|| self.second.next()).copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.first.len() + self.second.len();
        (count, Some(count))
    }

    // Two loops, and not one that asks at each value which part it is in.
    fn fold<B, F: FnMut(B, f64) -> B>(self, start: B, mut add: F) -> B {
        let first = self.first.copied().fold(start, &mut add);
        self.second.copied().fold(first, add)
    }
}

impl ExactSizeIterator for Last<'_> {}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_window_has_what_a_list_of_the_last_values_has() {
        let mut window = Window::<5>::new();
        let mut all = Vec::new();
        assert!(window.is_empty() && window.last(3).mean().is_none());
        for value in [4.0, -1.0, 7.5, 3.0, 3.0, 9.0, -2.0, 0.5, 6.0, 1.0, 2.0, 8.0] {
            window.push(value);
            all.push(value);
            for count in 0..8 {
                let expected = &all[all.len() - count.min(5).min(all.len())..];
                assert_eq!(window.last(count).collect::<Vec<_>>(), expected);
                assert_eq!(window.last(count).len(), expected.len());
                assert_eq!(window.last(count).total().to_bits(), expected.iter().fold(0.0, |a, b| a + b).to_bits());
                let highest = expected.iter().copied().reduce(f64::max);
                assert_eq!(
                    (window.last(count).highest(), window.last(count).is_sorted()),
                    (highest, expected.is_sorted())
                );
                let ago = (count < 5).then(|| all.iter().rev().nth(count).copied()).flatten();
                assert_eq!(window.ago(count), ago);
            }
        }
        assert_eq!(window.len(), 5);
    }

    #[test]
    fn a_forged_count_and_a_window_of_nothing_are_harmless() {
        let mut window = Window::<3> { values: [1.0, 2.0, 3.0], pushed: u64::MAX };
        assert_eq!(window.last(9).len(), 3);
        window.push(4.0);
        window.push(5.0);
        assert_eq!(window.len(), 1);
        let mut nothing = Window::<0>::new();
        nothing.push(1.0);
        assert_eq!((nothing.last(2).highest(), nothing.ago(0)), (None, None));
    }
}
