//! The rules in Rust, with the semantics of the language: the limit that Rulebox is held against.
//!
//! Inputs are checked (there, finite, in their range), comparisons are tolerant, a window is summed afresh from its
//! oldest to its newest value, an intermediate value that is not finite is a fault, and a fault stays. Where types and
//! ranges prove that a check cannot fail, an engineer would leave it out, and so do these.

mod state;
mod stateless;
mod window;

use rulebox_abi::{MAX_ROWS, Verdict};

use crate::answer::Answer;
use crate::rows::Rows;

use crate::rules;
use state::R2;
use stateless::{R1, R4, R6};
use window::{R3, R5};

/// A run of a rule in Rust, from bar 0 on.
pub type Twin = fn(&Rows, &mut Answer);

/// Every rule with its twin, whose params are the defaults.
pub const TWINS: [(rules::Rule, Twin); 6] = [
    (rules::R1, |rows, answer| run(R1, rows, answer)),
    (rules::R2, |rows, answer| run(R2::START, rows, answer)),
    (rules::R3, |rows, answer| run(R3::new(), rows, answer)),
    (rules::R4, |rows, answer| run(R4 { limit: 0.1, warn_at: 0.08 }, rows, answer)),
    (rules::R5, |rows, answer| run(R5::new(0.1, 20, 252.0), rows, answer)),
    (rules::R6, |rows, answer| run(R6, rows, answer)),
];

/// A rule and its state.
trait Rule {
    /// Says something of the bar that is row `row` of its chunk.
    ///
    /// # Errors
    /// A fault.
    fn bar(&mut self, row: usize, bar: Bar, values: &mut Values) -> Result<Said, Fault>;
}

/// Inputs of a bar.
#[derive(Clone, Copy, Debug)]
struct Bar {
    /// As in [`Rows`].
    equity: f64,
    /// As in [`Rows`].
    drawdown: f64,
}

/// Verdict, and a bit for each statement that fired.
#[derive(Clone, Copy, Debug)]
struct Said {
    verdict: Verdict,
    fired: u32,
}

impl Said {
    const OK: Self = Self { verdict: Verdict::Ok, fired: 0 };
    /// By the first statement, as in all but R4.
    const BREACH: Self = Self { verdict: Verdict::Breach, fired: 1 };

    const fn breach_if(condition: bool) -> Self {
        if condition { Self::BREACH } else { Self::OK }
    }
}

/// The rule cannot go on.
#[derive(Clone, Copy, Debug)]
struct Fault;

/// What statements that fire say besides, in columns of a chunk.
#[derive(Clone, Debug)]
struct Values {
    /// Of the placeholders of messages.
    messages: [Vec<f64>; 4],
    /// Fractions to keep.
    keep: Vec<f64>,
}

const CHUNK: usize = MAX_ROWS as usize;

impl Values {
    fn new() -> Self {
        Self { messages: std::array::from_fn(|_| vec![0.0; CHUNK]), keep: vec![0.0; CHUNK] }
    }

    /// Writes one.
    fn set(column: &mut [f64], row: usize, value: f64) {
        if let Some(cell) = column.get_mut(row) {
            *cell = value;
        }
    }
}

/// Runs a rule over all rows, in chunks of the size that the sandbox uses.
fn run(mut rule: impl Rule, rows: &Rows, answer: &mut Answer) {
    answer.clear();
    let mut values = Values::new();
    let mut faulted = false;
    let mut verdicts = std::mem::take(&mut answer.verdicts);
    let columns = rows.equity.chunks(CHUNK).zip(rows.drawdown.chunks(CHUNK));
    for ((equity, drawdown), (verdicts, fired)) in
        columns.zip(verdicts.chunks_mut(CHUNK).zip(answer.fired.chunks_mut(CHUNK)))
    {
        let done = if faulted { 0 } else { chunk(&mut rule, (equity, drawdown), (verdicts, fired), &mut values) };
        if let (Some(verdicts), Some(fired)) = (verdicts.get_mut(done..), fired.get_mut(done..))
            && !verdicts.is_empty()
        {
            faulted = true;
            verdicts.fill(Verdict::Fault as u8);
            fired.fill(0);
        }
        // Nobody reads them here, and they are written all the same.
        std::hint::black_box(&mut values);
    }
    answer.count(&verdicts);
    answer.verdicts = verdicts;
}

/// Runs a rule over a chunk; how many bars there are before a fault.
fn chunk(
    rule: &mut impl Rule,
    (equity, drawdown): (&[f64], &[f64]),
    (verdicts, fired): (&mut [u8], &mut [u32]),
    values: &mut Values,
) -> usize {
    let bars = equity.iter().zip(drawdown).zip(verdicts.iter_mut().zip(fired));
    for (row, ((&equity, &drawdown), (verdict, fired))) in bars.enumerate() {
        let Ok(said) = rule.bar(row, Bar { equity, drawdown }, values) else { return row };
        (*verdict, *fired) = (said.verdict as u8, said.fired);
    }
    equity.len()
}

/// A value that is there, and finite.
fn finite(x: f64) -> Result<f64, Fault> {
    if x.is_finite() { Ok(x) } else { Err(Fault) }
}

/// A value that is there, and inside its range.
fn within(x: f64, low: f64, high: f64) -> Result<f64, Fault> {
    if (low..=high).contains(&x) { Ok(x) } else { Err(Fault) }
}

/// The greater of two finite numbers: one instruction, where `f64::max` thinks of NaN.
fn greatest(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Whether two finite numbers are equal within the tolerance of the language.
fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * greatest(greatest(a.abs(), b.abs()), 1.0)
}

fn less(a: f64, b: f64) -> bool {
    a < b && !equal(a, b)
}

fn greater(a: f64, b: f64) -> bool {
    less(b, a)
}

fn at_least(a: f64, b: f64) -> bool {
    a >= b || equal(a, b)
}

#[cfg(test)]
mod tests;
