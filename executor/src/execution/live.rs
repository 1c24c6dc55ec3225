//! Runs a rule over the next bars of a session: from a saved state to the next. Synchronous: it belongs on a pool.

use std::ops::Range;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_dsl::outcome::{self, Combined, Outcome};
use rulebox_sandbox::{Limits, Messages, RunError, RunReport};
use tokio_util::sync::CancellationToken;

use super::bind::missing_column;
use super::prepared::Prepared;
use super::run::Bound;
use super::summary::{read_event, time_of};
use super::threads::slow_down_if_long;
use crate::domain::bars::Bars;
use crate::domain::evaluation::{Counts, Event};

/// What a rule said of the next bars, and its state after them.
#[derive(Debug)]
pub struct Ahead {
    /// One a bar.
    pub events: Vec<Event>,
    /// Bars by verdict.
    pub counts: Counts,
    /// After the last bar.
    pub state: Vec<u8>,
    /// What was used.
    pub report: RunReport,
    /// What it is said to have used.
    pub fuel: u64,
}

/// Reads every bar in full, until somebody says stop.
struct EveryBar<'a> {
    prepared: &'a Prepared,
    time: Option<&'a [i64]>,
    first_seq: usize,
    events: Vec<Event>,
    counts: Counts,
    stop: &'a CancellationToken,
}

impl OutputSink for EveryBar<'_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        for row in 0..rows.rows {
            let bar = first_row + row;
            let (seq, time) = (self.first_seq.saturating_add(bar), time_of(self.time, bar));
            let event = read_event(&self.prepared.manifest, rows, row, seq, time);
            self.counts.add(event.verdict, 1);
            self.events.push(event);
        }
    }

    fn wants_more(&mut self) -> bool {
        slow_down_if_long();
        !self.stop.is_cancelled()
    }
}

/// The state of a rule before its first bar.
///
/// # Errors
/// As the sandbox says: the module may refuse the params, or keep no state.
pub fn fresh(prepared: &Prepared, params: &[f64], limits: &Limits) -> Result<Vec<u8>, RunError> {
    prepared.module.initial_state(prepared.setup(params, &prepared.limits(limits, Messages::Flagged)))
}

/// Runs a rule over these rows, from `state` on. `seq` is the number of the first of them.
///
/// # Errors
/// As the sandbox says. The state is then as it was.
pub fn go_on(
    bound: &Bound,
    state: &[u8],
    bars: &Bars,
    rows: Range<usize>,
    seq: u64,
    limits: &Limits,
    stop: &CancellationToken,
) -> Result<Ahead, RunError> {
    let prepared = &*bound.prepared;
    let absent = if bound.columns.contains(&None) { missing_column(rows.len()) } else { Vec::new() };
    let column = |index: usize| bars.columns.get(index).and_then(|column| column.values.get(rows.clone()));
    let inputs: Vec<&[f64]> = bound.columns.iter().map(|index| index.and_then(column).unwrap_or(&*absent)).collect();
    let time = bars.time.as_deref().and_then(|time| time.get(rows.clone()));
    let local = prepared.calendar.as_ref().zip(time).map(|(calendar, time)| (calendar.local(time), time));
    let columns =
        InputColumns { rows: rows.len(), inputs: &inputs, time: local.as_ref().map(|(local, time)| local.view(time)) };
    let mut sink = EveryBar {
        prepared,
        time,
        first_seq: usize::try_from(seq).unwrap_or(usize::MAX),
        events: Vec::with_capacity(rows.len()),
        counts: Counts::default(),
        stop,
    };
    let limits = prepared.limits(limits, Messages::Flagged);
    let (state, report) = prepared.module.resume(prepared.setup(&bound.params, &limits), state, &columns, &mut sink)?;
    let fuel = prepared.fuel(rows.len(), report.fuel);
    Ok(Ahead { events: sink.events, counts: sink.counts, state, report, fuel })
}

/// The combined verdict of what several rules said of a bar.
pub fn combine<'a>(events: impl Iterator<Item = &'a Event>) -> Combined {
    let outcomes: Vec<_> = events
        .map(|event| Outcome { verdict: event.verdict, action: event.action, keep: event.keep, ..Outcome::OK })
        .collect();
    outcome::combine(&outcomes)
}
