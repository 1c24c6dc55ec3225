//! A run that gets its bars batch by batch: one instance whose state carries over, so that the results are those of one
//! run over all bars. Synchronous: each batch belongs on the evaluation pool.

use std::sync::Arc;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_dsl::manifest::{Manifest, MessagePart};
use rulebox_sandbox::{Limits, Messages, RunError, RunReport};
use tokio_util::sync::CancellationToken;

use super::bind::missing_column;
use super::engine::Run;
use super::prepared::{CALL_FUEL, Prepared, rows_a_call};
use super::summary::{Changes, Reading, Times};
use super::threads::slow_down_if_long;
use crate::domain::bars::Bars;
use crate::domain::evaluation::Event;

/// Calls of a batch at most, for a rule whose results are small: what a batch costs beside its calls does not matter.
const CALLS_A_BATCH: u32 = 4;
/// The same if a bar is its numbers alone, which are many in as many bytes.
const CALLS_OF_NUMBERS: u32 = 64;
/// About as many bytes may the columns of a batch and the answer made of it have.
const BATCH_BYTES: usize = 2 << 20;
/// About as many bytes has an answer for a bar without outs and messages.
const ROW_BYTES: usize = 128;
/// About as many bytes has a number as text.
const NUMBER_BYTES: usize = 24;

/// How many bars of a rule are run at a time: as many as give the thread to somebody else after a few tenths of a second.
///
/// `bar_fuel`: what a bar of a module without a proof may use. `numbers_alone`: whether nothing is kept or said of a bar
/// but its inputs.
pub fn rows_a_batch(prepared: &Prepared, limits: &Limits, bar_fuel: u64, numbers_alone: bool) -> usize {
    let manifest = &*prepared.manifest;
    let call = rows_a_call(manifest.cost.as_ref(), limits.chunk_rows);
    let (calls, row) = match &manifest.cost {
        Some(cost) if numbers_alone => {
            let fuel = cost.bar.max(1).saturating_mul(call.into());
            let calls =
                (u64::from(CALLS_A_BATCH) * CALL_FUEL / fuel).clamp(CALLS_A_BATCH.into(), CALLS_OF_NUMBERS.into());
            (u32::try_from(calls).unwrap_or(CALLS_A_BATCH), input_bytes(manifest))
        }
        _ => (CALLS_A_BATCH, row_bytes(manifest)),
    };
    let by_cost = call.saturating_mul(calls);
    let by_size = BATCH_BYTES / row.max(1);
    // Every bar in a call of its own is the most that they can cost.
    let a_bar = manifest.cost.as_ref().map_or(bar_fuel, |cost| cost.bar.saturating_add(cost.call));
    let by_fuel = limits.fuel / a_bar.max(1);
    (by_cost as usize).min(by_size).min(usize::try_from(by_fuel).unwrap_or(usize::MAX)).max(1)
}

/// Bytes of the numbers of a bar, of which times are four.
const fn input_bytes(manifest: &Manifest) -> usize {
    size_of::<f64>() * (manifest.inputs.len() + if manifest.uses_time { 4 } else { 0 })
}

/// Bytes that a bar and its answer may have if all of its statements fire.
fn row_bytes(manifest: &Manifest) -> usize {
    let names = manifest.outs.iter().map(|out| out.name.len() + NUMBER_BYTES);
    let parts = manifest.statements.iter().flat_map(|statement| &statement.message).map(|part| match part {
        MessagePart::Text(text) => text.len(),
        MessagePart::Value { .. } => NUMBER_BYTES,
    });
    // What was not compiled here may have texts of its own.
    let own = if manifest.cost.is_none() { Limits::default().message_bytes } else { 0 };
    ROW_BYTES + own + size_of::<f64>() * manifest.inputs.len() + names.chain(parts).sum::<usize>()
}

/// The most fuel that a batch of so many bars can use, or may, if there is no proof.
pub fn batch_fuel(prepared: &Prepared, limits: &Limits, rows: usize, bar_fuel: u64) -> u64 {
    let Some(cost) = &prepared.manifest.cost else { return bar_fuel.saturating_mul(rows as u64).min(limits.fuel) };
    cost.of_run(rows as u64, u64::from(rows_a_call(Some(cost), limits.chunk_rows)))
}

/// One rule's run, between its batches.
#[derive(Debug)]
pub struct StreamRun {
    prepared: Arc<Prepared>,
    run: Box<dyn Run>,
    changes: Changes,
    bars: usize,
    stop: CancellationToken,
}

impl StreamRun {
    /// Starts the module. As many changes of verdict are kept as `events` says.
    ///
    /// # Errors
    /// As the sandbox says.
    pub fn start(
        prepared: Arc<Prepared>,
        params: &[f64],
        limits: &Limits,
        events: usize,
        stop: CancellationToken,
    ) -> Result<Self, RunError> {
        let limits = prepared.limits(limits, Messages::Flagged);
        let mut run = prepared.module.begin(prepared.setup(params, &limits), None, true)?;
        run.ready()?;
        Ok(Self { prepared, run, changes: Changes::new(events), bars: 0, stop })
    }

    /// Gives the next batch this much fuel.
    pub fn refuel(&mut self, fuel: u64) {
        self.run.refuel(fuel);
    }

    /// Bars that have been run.
    pub const fn bars(&self) -> usize {
        self.bars
    }

    /// Counts, firsts and changes so far.
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What has been used so far.
    pub fn report(&self) -> RunReport {
        self.run.report()
    }

    /// Ends the run.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    /// Runs the next bars; `columns` has the index of each input's column. `each` gets what was said of every bar, in
    /// order; without it, only counts and changes are kept.
    ///
    /// # Errors
    /// As the sandbox says; what `each` got before is right.
    pub fn batch(
        &mut self,
        bars: &Bars,
        columns: &[Option<usize>],
        each: Option<&mut dyn FnMut(Event)>,
    ) -> Result<(), RunError> {
        let prepared = &*self.prepared;
        let absent = if columns.contains(&None) { missing_column(bars.rows) } else { Vec::new() };
        let inputs: Vec<&[f64]> = columns
            .iter()
            .map(|index| index.and_then(|index| bars.columns.get(index)).map_or(&*absent, |column| &*column.values))
            .collect();
        let time = bars.time.as_deref();
        let local = prepared.calendar.as_ref().zip(time).map(|(calendar, time)| (calendar.local(time), time));
        let time_columns = local.as_ref().map(|(local, time)| local.view(time));
        let input = InputColumns { rows: bars.rows, inputs: &inputs, time: time_columns };
        let reading = Reading { prepared, times: Times::new(self.bars, time) };
        let first = self.bars;
        let mut sink = Rows { reading, changes: &mut self.changes, bars: &mut self.bars, each, stop: &self.stop };
        self.run.batch(&input, first, &mut sink)
    }
}

/// Reads the results of a batch, until somebody says stop.
struct Rows<'s, 'a, 'e> {
    reading: Reading<'a>,
    changes: &'s mut Changes,
    bars: &'s mut usize,
    each: Option<&'e mut dyn FnMut(Event)>,
    stop: &'s CancellationToken,
}

impl OutputSink for Rows<'_, '_, '_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        self.changes.rows(&self.reading, rows, first_row, |_, _| ());
        if let Some(each) = &mut self.each {
            (0..rows.rows).for_each(|row| each(self.reading.event(rows, row, first_row + row)));
        }
        *self.bars = first_row + rows.rows;
    }

    fn wants_more(&mut self) -> bool {
        slow_down_if_long();
        !self.stop.is_cancelled()
    }
}
