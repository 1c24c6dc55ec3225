//! Columns that go into a run and come out of it, on the host's side.
//!
//! Both engines (the sandbox and the reference interpreter) read [`InputColumns`] and feed an [`OutputSink`], so
//! that callers do not know which one ran and tests compare them bit for bit.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{MISSING, Verdict};

/// Time columns, one value a bar.
#[derive(Clone, Copy, Debug)]
pub struct TimeColumns<'a> {
    /// Milliseconds since 1970; [`crate::TIME_MISSING`] where there is none.
    pub time: &'a [i64],
    /// Local trading day, days since 1970-01-01 (any value where the time is missing).
    pub local_day: &'a [i32],
    /// Minute of the local wall-clock day.
    pub minute_of_day: &'a [i32],
    /// Weekday of the local calendar date, 1 (Monday) to 7.
    pub weekday: &'a [i32],
}

/// The bars of a run. Every column has `rows` values.
#[derive(Clone, Copy, Debug)]
pub struct InputColumns<'a> {
    /// Number of bars.
    pub rows: usize,
    /// One column an input, in the order of the manifest; missing is NaN, bools are 0 or 1.
    pub inputs: &'a [&'a [f64]],
    /// Needed by rules that use time, ignored by others.
    pub time: Option<TimeColumns<'a>>,
}

/// Results of consecutive bars, in the layout of the ABI: little-endian bytes, one value a bar.
///
/// The slices may point into the memory of a module and are valid for the call of the sink alone.
#[derive(Clone, Copy, Debug)]
pub struct OutputRows<'a> {
    /// Number of bars.
    pub rows: usize,
    /// One byte a bar, each 0 to 3.
    pub verdicts: &'a [u8],
    /// One u32 a bar.
    pub fired: &'a [u8],
    /// One column of f64 an out.
    pub outs: &'a [&'a [u8]],
    /// One column of f64 a placeholder. Unspecified on bars where the statement of the placeholder has not fired.
    pub message_values: &'a [&'a [u8]],
    /// One f64 a bar; empty if the rule has no `reduce`. Unspecified on bars whose winning statement is not a `reduce`.
    pub keep: &'a [u8],
    /// Texts of the module's own, by row in ascending order; empty if it has none, or they were not asked for.
    pub messages: &'a [(usize, String)],
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).filter_map(|b| b.try_into().ok()).map(u32::from_le_bytes)
}

/// Bars that [`OutputRows::alike`] compares at a time.
const ALIKE: usize = 16;

fn f64_at(bytes: &[u8], row: usize) -> f64 {
    let start = row * 8;
    match bytes.get(start..start + 8).and_then(|b| b.try_into().ok()) {
        Some(b) => f64::from_le_bytes(b),
        None => MISSING,
    }
}

impl OutputRows<'_> {
    /// Verdict of a bar; a byte over 3 (which hosts refuse before) reads as a fault.
    pub fn verdict(&self, row: usize) -> Verdict {
        self.verdicts.get(row).copied().and_then(Verdict::from_byte).unwrap_or(Verdict::Fault)
    }

    /// Fired statements of a bar, or the span index of its fault.
    pub fn fired(&self, row: usize) -> u32 {
        let start = row * 4;
        match self.fired.get(start..start + 4).and_then(|b| b.try_into().ok()) {
            Some(b) => u32::from_le_bytes(b),
            None => 0,
        }
    }

    /// How many bars from this one on have its verdict and its fired statements, itself among them; 0 behind the last.
    pub fn alike(&self, row: usize) -> usize {
        let verdicts = self.verdicts.get(row..).unwrap_or_default();
        let fired = self.fired.get(row.saturating_mul(4)..).unwrap_or_default();
        let (Some(verdict), Some(word)) = (verdicts.first(), words(fired).next()) else { return 0 };
        // Counted, since that takes no branch for each bar.
        let same = |(verdicts, fired): &(&[u8], &[u8])| {
            let others = verdicts.iter().filter(|other| *other != verdict).count();
            others + words(fired).filter(|other| *other != word).count() == 0
        };
        let blocks = verdicts.chunks_exact(ALIKE).zip(fired.chunks_exact(4 * ALIKE));
        let start = ALIKE * blocks.take_while(same).count();
        let (verdicts, fired) = (verdicts.iter().skip(start), words(fired.get(4 * start..).unwrap_or_default()));
        let rest = verdicts.zip(fired);
        start + rest.take_while(|&(other, other_word)| other == verdict && other_word == word).count()
    }

    /// Value of out `out` at a bar; missing is NaN.
    pub fn out(&self, out: usize, row: usize) -> f64 {
        self.outs.get(out).map_or(MISSING, |c| f64_at(c, row))
    }

    /// Value of placeholder `placeholder` at a bar; missing is NaN, and anything if its statement has not fired.
    pub fn message_value(&self, placeholder: usize, row: usize) -> f64 {
        self.message_values.get(placeholder).map_or(MISSING, |c| f64_at(c, row))
    }

    /// The module's own text for a bar.
    pub fn message(&self, row: usize) -> Option<&str> {
        let found = self.messages.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        self.messages.get(found).map(|(_, text)| text.as_str())
    }

    /// Fraction to keep at a bar; anything if the winning statement is not a `reduce`.
    pub fn keep(&self, row: usize) -> f64 {
        f64_at(self.keep, row)
    }
}

/// Takes the results of a run, some bars at a time, in order.
pub trait OutputSink {
    /// Results of bars `first_row ..  first_row + rows.rows`.
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>);

    /// Whether the run shall go on. Asked before each call into the module; `false` ends the run.
    fn wants_more(&mut self) -> bool {
        true
    }

    /// Whether the bars that are being run are a part of more that belong together: of their last one nothing is then
    /// wanted that is not of every bar.
    fn bars_follow(&self) -> bool {
        false
    }
}

/// All results of a run, kept. What tests compare and what `series` answers are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputColumns {
    /// One byte a bar.
    pub verdicts: Vec<u8>,
    /// One word a bar.
    pub fired: Vec<u32>,
    /// Bits of f64, one column an out.
    pub outs: Vec<Vec<u64>>,
    /// Bits of f64, one column a placeholder; anything where its statement has not fired.
    pub message_values: Vec<Vec<u64>>,
    /// Bits of f64, one a bar; empty if the rule has no `reduce`.
    pub keep: Vec<u64>,
    /// The module's own texts, by bar in ascending order.
    pub messages: Vec<(usize, String)>,
}

fn append_words(column: &mut Vec<u64>, bytes: &[u8]) {
    column.extend(bytes.chunks_exact(8).filter_map(|b| b.try_into().ok()).map(u64::from_le_bytes));
}

impl OutputSink for OutputColumns {
    fn rows(&mut self, _first_row: usize, rows: &OutputRows<'_>) {
        let before = self.verdicts.len();
        self.messages.extend(rows.messages.iter().map(|(row, text)| (before + row, text.clone())));
        self.verdicts.extend_from_slice(rows.verdicts);
        self.fired.extend(words(rows.fired));
        self.outs.resize(rows.outs.len(), Vec::new());
        self.message_values.resize(rows.message_values.len(), Vec::new());
        for (column, bytes) in self.outs.iter_mut().zip(rows.outs) {
            append_words(column, bytes);
        }
        for (column, bytes) in self.message_values.iter_mut().zip(rows.message_values) {
            append_words(column, bytes);
        }
        append_words(&mut self.keep, rows.keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_alike_are_those_of_one_verdict_and_the_same_statements() {
        let rows = 6 * ALIKE + 3;
        for last in 0..rows {
            for (other_verdict, other_fired) in [(1, 7), (2, 7), (1, 8), (0, 1 << 31)] {
                let verdicts: Vec<u8> = (0..rows).map(|row| if row <= last { 1 } else { other_verdict }).collect();
                let fired = (0..rows).flat_map(|row| (if row <= last { 7_u32 } else { other_fired }).to_le_bytes());
                let (fired, kept) = (fired.collect::<Vec<u8>>(), [].as_slice());
                let of = OutputRows {
                    rows,
                    verdicts: &verdicts,
                    fired: &fired,
                    outs: &[],
                    message_values: &[],
                    keep: kept,
                    messages: &[],
                };
                let differ = (other_verdict, other_fired) != (1, 7);
                for row in 0..rows {
                    let end = if row <= last && differ { last + 1 } else { rows };
                    assert_eq!(of.alike(row), end - row, "from {row}, last {last}");
                }
                assert_eq!((of.alike(rows), of.alike(usize::MAX)), (0, 0));
            }
        }
    }
}
