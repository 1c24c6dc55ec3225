//! Running bars: columns into the guest's memory, one call, checked results out, chunk by chunk.

use std::time::Instant;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink, TimeColumns};
use rulebox_abi::{MISSING_BITS, Verdict};

use crate::account::{Failure, Tank, drain, fill};
use crate::instance::{Instance, Live, RunReport, Shape};
use crate::limiter::set_deadline;
use crate::limits::{Limits, Messages};
use crate::memory::{Breach, Region};
use crate::message::text;
use crate::module::Module;
use crate::outcome::{InputError, RunError};
use crate::setup::Buffers;

impl Module {
    /// One whole run in a fresh store: [`Module::start`] and [`Instance::eval`].
    ///
    /// # Errors
    /// As those two. The sink has then seen the chunks before the failure.
    pub fn run(
        &self,
        shape: &Shape,
        params: &[f64],
        input: &InputColumns<'_>,
        limits: &Limits,
        sink: &mut dyn OutputSink,
    ) -> Result<RunReport, RunError> {
        let mut instance = self.start(shape, params, limits)?;
        instance.eval(input, 0, sink)?;
        Ok(instance.report())
    }
}

/// The columns of one chunk while a sink looks at them, kept between calls for their allocations alone.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    outs: Vec<&'static [u8]>,
    message_values: Vec<&'static [u8]>,
}

impl Instance {
    /// Runs these bars, in calls of at most [`Limits::chunk_rows`], and hands the results of each call to the sink,
    /// which borrows them from the guest's memory. `first_row` is the number that the sink gets for the first bar.
    /// State carries over from call to call.
    ///
    /// # Errors
    /// [`RunError::Violation`] if the module breaks a limit or the ABI, [`RunError::Input`] if the columns do not fit
    /// its shape, [`RunError::Cancelled`] if the sink wants no more, [`RunError::Stopped`] after an earlier error.
    pub fn eval(
        &mut self,
        input: &InputColumns<'_>,
        first_row: usize,
        sink: &mut dyn OutputSink,
    ) -> Result<(), RunError> {
        check_input(&self.shape, input)?;
        let began = Instant::now();
        let mut live = self.live.take().ok_or(RunError::Stopped)?;
        let result = self.chunks(&mut live, input, first_row, sink);
        self.account.close(&live.store, began);
        match result {
            Ok(()) => {
                self.live = Some(live);
                Ok(())
            }
            Err(failure) => Err(self.account.fail(&live.store, Tank::Eval, failure)),
        }
    }

    fn chunks(
        &mut self,
        live: &mut Live,
        input: &InputColumns<'_>,
        first_row: usize,
        sink: &mut dyn OutputSink,
    ) -> Result<(), Failure> {
        let chunk = self.account.limits.chunk() as usize;
        let mut slices = std::mem::take(&mut live.slices);
        let mut start = 0;
        while start < input.rows {
            if !sink.wants_more() {
                return Err(Failure::Cancelled);
            }
            let rows = chunk.min(input.rows - start);
            self.account.calling = Some(first_row + start..first_row + start + rows);
            write_inputs(live.memory.data_mut(&mut live.store), &live.buffers, input, start, rows)?;
            self.call(live, rows)?;
            let is_last = start + rows == input.rows && !sink.bars_follow();
            let messages = self.messages(live, rows, is_last)?;
            // Asked for again after the calls, which may have grown it. A module that writes others is found below.
            let memory = live.memory.data_mut(&mut live.store);
            check_verdicts(memory, live.buffers.verdicts, rows)?;
            let Buffers { outs, message_values, keep, .. } = &live.buffers;
            for column in outs.iter().chain(message_values).chain(keep) {
                canonicalise(column.write(memory, rows * 8)?);
            }
            slices = hand_out(memory, &live.buffers, (rows, first_row + start), &messages, slices, sink)?;
            start += rows;
        }
        live.slices = slices;
        Ok(())
    }

    fn call(&mut self, live: &mut Live, rows: usize) -> Result<(), Failure> {
        fill(&mut live.store, self.account.fuel_left)?;
        set_deadline(&mut live.store, self.account.deadline_ticks);
        let rows = i32::try_from(rows).unwrap_or(i32::MAX);
        let result = live.eval.call(&mut live.store, rows);
        let left = drain(&live.store);
        self.account.fuel_left = left.as_ref().copied().unwrap_or(0);
        // A trap says more than the fuel that is missing after it.
        let code = result?;
        left?;
        if code == 0 { Ok(()) } else { Err(Breach::Eval(code).into()) }
    }

    /// The module's own texts for the bars of the last call, by row; without those that are empty. `is_last`: no bars
    /// follow.
    fn messages(&mut self, live: &mut Live, rows: usize, is_last: bool) -> Result<Vec<(usize, String)>, Failure> {
        let Some(message) = live.message.clone().filter(|_| self.account.limits.messages != Messages::None) else {
            return Ok(Vec::new());
        };
        let wanted = self.rows_with_texts(live.memory.data(&live.store), &live.buffers, rows, is_last)?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let most = self.account.limits.message_bytes;
        fill(&mut live.store, self.account.fuel_left)?;
        set_deadline(&mut live.store, self.account.deadline_ticks);
        let mut cut = 0;
        let mut ask = |row: usize| -> Result<_, Failure> {
            let packed = message.call(&mut live.store, i32::try_from(row).unwrap_or(i32::MAX))?;
            let memory = live.memory.data(&live.store);
            let region = Region::of_message(packed, memory.len())?;
            cut += u64::from(region.bytes() > most);
            Ok((row, text(region.read(memory, most)?, region.bytes() > most, most)))
        };
        let texts = wanted.into_iter().map(&mut ask).collect::<Result<Vec<_>, _>>();
        self.account.report.texts_cut += cut;
        let left = drain(&live.store);
        self.account.fuel_left = left.as_ref().copied().unwrap_or(0);
        let mut texts = texts?;
        left?;
        texts.retain(|(_, text)| !text.is_empty());
        Ok(texts)
    }

    /// Rows of the last call whose texts are wanted.
    fn rows_with_texts(
        &mut self,
        memory: &[u8],
        buffers: &Buffers,
        rows: usize,
        is_last: bool,
    ) -> Result<Vec<usize>, Breach> {
        let verdicts = buffers.verdicts.read(memory, rows)?;
        let fired = buffers.fired.read(memory, rows * 4)?.as_chunks().0;
        let mut wanted = Vec::new();
        for (row, (&verdict, &fired)) in verdicts.iter().zip(fired).enumerate() {
            let now = (verdict, u32::from_le_bytes(fired));
            let is_wanted =
                self.account.limits.messages == Messages::Flagged || now != self.before || (is_last && row + 1 == rows);
            self.before = now;
            let is_flagged = matches!(Verdict::from_byte(verdict), Some(Verdict::Warn | Verdict::Breach));
            if is_flagged && is_wanted {
                wanted.push(row);
            }
        }
        Ok(wanted)
    }
}

pub(crate) fn check_input(shape: &Shape, input: &InputColumns<'_>) -> Result<(), InputError> {
    let rows = input.rows;
    if input.inputs.len() != shape.inputs {
        return Err(InputError::Inputs { expected: shape.inputs, got: input.inputs.len() });
    }
    let long_enough = |got: usize| if got == rows { Ok(()) } else { Err(InputError::Rows { rows, got }) };
    input.inputs.iter().try_for_each(|column| long_enough(column.len()))?;
    if !shape.uses_time {
        return Ok(());
    }
    let TimeColumns { time, local_day, minute_of_day, weekday } = input.time.ok_or(InputError::NoTime)?;
    long_enough(time.len())?;
    [local_day, minute_of_day, weekday].iter().try_for_each(|column| long_enough(column.len()))
}

// Columns are copied as they lie in memory, and the memory of a module is little-endian.
const _: () = assert!(cfg!(target_endian = "little"), "columns are copied as they lie in memory");

/// Copies rows `start .. start + rows` of a column.
fn write_column<T: bytemuck::NoUninit>(
    memory: &mut [u8],
    region: Option<Region>,
    column: &[T],
    (start, rows): (usize, usize),
) -> Result<(), Breach> {
    let Some(region) = region else { return Ok(()) };
    let cells = region.write(memory, rows * size_of::<T>())?;
    let values: &[u8] = bytemuck::cast_slice(column.get(start..start + rows).unwrap_or_default());
    // They are as long: `check_input` has looked at every column.
    if values.len() == cells.len() {
        cells.copy_from_slice(values);
    }
    Ok(())
}

fn write_inputs(
    memory: &mut [u8],
    buffers: &Buffers,
    input: &InputColumns<'_>,
    start: usize,
    rows: usize,
) -> Result<(), Breach> {
    let range = (start, rows);
    for (region, column) in buffers.inputs.iter().zip(input.inputs) {
        write_column(memory, *region, column, range)?;
    }
    let Some(time) = input.time else { return Ok(()) };
    write_column(memory, buffers.time, time.time, range)?;
    write_column(memory, buffers.local_day, time.local_day, range)?;
    write_column(memory, buffers.minute_of_day, time.minute_of_day, range)?;
    write_column(memory, buffers.weekday, time.weekday, range)
}

fn check_verdicts(memory: &[u8], region: Region, rows: usize) -> Result<(), Breach> {
    let verdicts = region.read(memory, rows)?;
    let largest = Verdict::Fault as u8;
    // The common answer in one pass without branches, the place only when it is needed.
    if verdicts.iter().fold(0, |most, &verdict| verdict.max(most)) <= largest {
        return Ok(());
    }
    match verdicts.iter().enumerate().find(|(_, verdict)| **verdict > largest) {
        Some((row, &verdict)) => Err(Breach::Verdict { row, verdict }),
        None => Ok(()),
    }
}

/// Makes every NaN of a column the one that means "missing". Compiled rules write no other; the bits of a foreign
/// module's NaNs depend on the processor, and results must not.
fn canonicalise(column: &mut [u8]) {
    for cell in column.as_chunks_mut::<8>().0 {
        let value = f64::from_le_bytes(*cell);
        let bits = if value.is_nan() { MISSING_BITS } else { value.to_bits() };
        *cell = bits.to_le_bytes();
    }
}

/// An empty vector in the allocation of another. `collect` keeps it, since the two element types are as large.
fn emptied<'b>(mut slices: Vec<&[u8]>) -> Vec<&'b [u8]> {
    slices.clear();
    slices.into_iter().map(|_| [].as_slice()).collect()
}

fn hand_out(
    memory: &[u8],
    buffers: &Buffers,
    (rows, first_row): (usize, usize),
    messages: &[(usize, String)],
    slices: Slices,
    sink: &mut dyn OutputSink,
) -> Result<Slices, Breach> {
    let (mut outs, mut message_values) = (emptied(slices.outs), emptied(slices.message_values));
    for region in &buffers.outs {
        outs.push(region.read(memory, rows * 8)?);
    }
    for region in &buffers.message_values {
        message_values.push(region.read(memory, rows * 8)?);
    }
    let output = OutputRows {
        rows,
        verdicts: buffers.verdicts.read(memory, rows)?,
        fired: buffers.fired.read(memory, rows * 4)?,
        outs: &outs,
        message_values: &message_values,
        keep: buffers.keep.map_or(Ok([].as_slice()), |region| region.read(memory, rows * 8))?,
        messages,
    };
    sink.rows(first_row, &output);
    Ok(Slices { outs: emptied(outs), message_values: emptied(message_values) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nan_becomes_the_missing_one_and_nothing_else_changes() {
        let bits = [0x7ff0_0000_0000_0001, 0xfff8_0000_0000_0000, MISSING_BITS, 0x7ff0_0000_0000_0000, 1, 1 << 63];
        let mut bytes: Vec<u8> = bits.iter().flat_map(|b: &u64| b.to_le_bytes()).collect();
        canonicalise(&mut bytes);
        let after: Vec<u64> = bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(after, [MISSING_BITS, MISSING_BITS, MISSING_BITS, 0x7ff0_0000_0000_0000, 1, 1 << 63]);
    }

    #[test]
    fn emptied_vectors_keep_their_allocation() {
        let full: Vec<&[u8]> = vec![&[1], &[2], &[3]];
        let (address, capacity) = (full.as_ptr().addr(), full.capacity());
        let empty: Vec<&'static [u8]> = emptied(full);
        assert!(empty.is_empty());
        assert_eq!((empty.as_ptr().addr(), empty.capacity()), (address, capacity));
    }
}
