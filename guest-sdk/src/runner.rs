//! Runs a rule natively, through the buffers of its module, in its author's tests.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::boxed::Box;
use std::vec::Vec;

use rulebox_abi::columns::{InputColumns, OutputColumns, OutputRows, OutputSink, TimeColumns};
use rulebox_abi::{BufferKind, MAX_ROWS, Verdict};

use crate::machine::{Machine, Moment};
use crate::rule::Rule;

/// Why a [`Runner`] did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// The rule has no param of this name.
    NoParam,
    /// A param is outside its range or not of its type.
    ParamsRefused,
    /// Too few or too many inputs, or columns of another length.
    Columns,
    /// The saved state is another rule's.
    StateLength,
}

impl core::fmt::Display for Misuse {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoParam => "the rule has no param of this name",
            Self::ParamsRefused => "a param is outside its range or not of its type",
            Self::Columns => "the columns are not those of the rule",
            Self::StateLength => "the state is another rule's",
        })
    }
}

impl core::error::Error for Misuse {}

/// What a rule says of one bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The verdict.
    pub verdict: Verdict,
    /// The names of the statements that fired, held ones included.
    pub fired: Vec<&'static str>,
    /// The outs, in order; NaN is missing.
    pub outs: Vec<f64>,
    /// The message values of all statements, in order; of use where the statement fired.
    pub values: Vec<f64>,
    /// The fraction to keep, if the winning statement reduces.
    pub keep: Option<f64>,
    /// Of a fault: its index in the manifest's `spans`.
    pub fault: Option<u32>,
}

/// A run of a rule.
pub struct Runner<R: Rule> {
    machine: Box<R::Machine>,
}

impl<R: Rule> core::fmt::Debug for Runner<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner").field("rule", &R::DECLARED.name).finish_non_exhaustive()
    }
}

impl<R: Rule> Runner<R> {
    /// A run at bar 0. Params that are not named have their defaults.
    ///
    /// # Errors
    /// [`Misuse::NoParam`] and [`Misuse::ParamsRefused`].
    pub fn new(params: &[(&str, f64)]) -> Result<Self, Misuse> {
        let declared = R::DECLARED.params;
        let mut values: Vec<f64> = declared.iter().map(|param| param.default).collect();
        for (name, value) in params {
            let index = declared.iter().position(|param| param.name == *name).ok_or(Misuse::NoParam)?;
            if let Some(cell) = values.get_mut(index) {
                *cell = *value;
            }
        }
        let mut runner = Self { machine: zeroed() };
        runner.write(BufferKind::Params, 0, &values, f64::to_le_bytes);
        match runner.machine.init(i32::try_from(values.len()).unwrap_or(i32::MAX)) {
            0 => Ok(runner),
            _ => Err(Misuse::ParamsRefused),
        }
    }

    /// Back to bar 0.
    pub fn reset(&mut self) {
        self.machine.reset();
    }

    /// Runs one bar of a rule without a clock. A missing input is NaN.
    ///
    /// # Errors
    /// [`Misuse::Columns`] if there are too few or too many inputs, or the rule has a clock.
    pub fn bar(&mut self, inputs: &[f64]) -> Result<Said, Misuse> {
        self.one(inputs, None)
    }

    /// Runs one bar of a rule with a clock, at this time, local day, minute and weekday. The run itself knows the
    /// number of the bar and whether its day is new.
    ///
    /// # Errors
    /// [`Misuse::Columns`] if there are too few or too many inputs.
    pub fn bar_at(&mut self, at: Moment, inputs: &[f64]) -> Result<Said, Misuse> {
        let time = TimeColumns {
            time: &[at.time],
            local_day: &[at.local_day],
            minute_of_day: &[i32::from(at.minute_of_day)],
            weekday: &[i32::from(at.weekday)],
        };
        self.one(inputs, Some(time))
    }

    fn one(&mut self, inputs: &[f64], time: Option<TimeColumns<'_>>) -> Result<Said, Misuse> {
        let cells: Vec<&[f64]> = inputs.chunks(1).collect();
        let mut kept = OutputColumns::default();
        self.eval(&InputColumns { rows: 1, inputs: &cells, time }, 1, &mut kept)?;
        let verdict = kept.verdicts.first().copied().and_then(Verdict::from_byte).unwrap_or(Verdict::Fault);
        let word = kept.fired.first().copied().unwrap_or_default();
        let first = |columns: &[Vec<u64>]| columns.iter().flatten().map(|bits| f64::from_bits(*bits)).collect();
        let statements = R::DECLARED.statements.iter().enumerate();
        let fired = statements.filter(|(i, _)| verdict != Verdict::Fault && word >> i & 1 != 0);
        Ok(Said {
            verdict,
            fired: fired.map(|(_, statement)| statement.name).collect(),
            outs: first(&kept.outs),
            values: first(&kept.message_values),
            keep: kept.keep.first().map(|bits| f64::from_bits(*bits)).filter(|keep| !keep.is_nan()),
            fault: (verdict == Verdict::Fault).then_some(word),
        })
    }

    /// Runs bars, at most `rows` of them a call, and gives the results of each call to the sink.
    ///
    /// # Errors
    /// [`Misuse::Columns`] if the columns are not those of the rule.
    pub fn eval(&mut self, bars: &InputColumns<'_>, rows: usize, sink: &mut dyn OutputSink) -> Result<(), Misuse> {
        let fits = bars.inputs.len() == R::DECLARED.inputs.len()
            && bars.inputs.iter().all(|column| column.len() == bars.rows)
            && (bars.time.is_some() || R::DECLARED.clock.is_none());
        if !fits {
            return Err(Misuse::Columns);
        }
        let most = rows.clamp(1, MAX_ROWS as usize);
        let mut start = 0;
        while start < bars.rows && sink.wants_more() {
            let range = start..bars.rows.min(start + most);
            for (i, column) in bars.inputs.iter().enumerate() {
                self.write(BufferKind::Input, i, part(column, &range), f64::to_le_bytes);
            }
            if let Some(time) = bars.time {
                self.write(BufferKind::Time, 0, part(time.time, &range), i64::to_le_bytes);
                self.write(BufferKind::LocalDay, 0, part(time.local_day, &range), i32::to_le_bytes);
                self.write(BufferKind::MinuteOfDay, 0, part(time.minute_of_day, &range), i32::to_le_bytes);
                self.write(BufferKind::Weekday, 0, part(time.weekday, &range), i32::to_le_bytes);
            }
            self.machine.eval(i32::try_from(range.len()).unwrap_or(i32::MAX));
            self.give(start, range.len(), sink);
            start = range.end;
        }
        Ok(())
    }

    /// Everything that resumes the run elsewhere.
    pub fn save(&mut self) -> Vec<u8> {
        self.machine.state().to_vec()
    }

    /// Puts saved state back.
    ///
    /// # Errors
    /// [`Misuse::StateLength`] if it is another rule's.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Misuse> {
        let own = self.machine.state();
        if own.len() != state.len() {
            return Err(Misuse::StateLength);
        }
        own.copy_from_slice(state);
        Ok(())
    }

    fn write<T: Copy, const N: usize>(&mut self, kind: BufferKind, index: usize, values: &[T], le: fn(T) -> [u8; N]) {
        let buffer = self.machine.buffer(kind as i32, i32::try_from(index).unwrap_or(-1)).unwrap_or_default();
        for (cell, value) in buffer.chunks_exact_mut(N).zip(values) {
            cell.copy_from_slice(&le(*value));
        }
    }

    fn read(&mut self, kind: BufferKind, index: usize, rows: usize) -> Option<Vec<u8>> {
        let buffer = self.machine.buffer(kind as i32, i32::try_from(index).ok()?)?;
        buffer.get(..rows * kind.row_bytes() as usize).map(<[u8]>::to_vec)
    }

    fn give(&mut self, first_row: usize, rows: usize, sink: &mut dyn OutputSink) {
        let mut columns = |kind| (0..).map_while(|i| self.read(kind, i, rows)).collect::<Vec<_>>();
        let (verdicts, fired) = (columns(BufferKind::Verdicts).concat(), columns(BufferKind::Fired).concat());
        let (outs, values) = (columns(BufferKind::Out), columns(BufferKind::MessageValue));
        let keep = columns(BufferKind::Keep).concat();
        let output = OutputRows {
            rows,
            verdicts: &verdicts,
            fired: &fired,
            outs: &outs.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            message_values: &values.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            keep: &keep,
            messages: &[],
        };
        sink.rows(first_row, &output);
    }
}

fn part<'c, T>(column: &'c [T], range: &std::ops::Range<usize>) -> &'c [T] {
    column.get(range.clone()).unwrap_or_default()
}

/// A machine on the heap, which never was on the stack: it can have megabytes.
#[expect(clippy::unnecessary_box_returns, reason = "it is not to be on the stack")]
fn zeroed<M: Machine>() -> Box<M> {
    let layout = Layout::new::<M>();
    // SAFETY: no machine is of size 0, since it has columns of verdicts. All bits 0 are one: machines are made of
    // `Plain` alone.
    unsafe {
        let machine = alloc_zeroed(layout);
        if machine.is_null() {
            handle_alloc_error(layout);
        }
        Box::from_raw(machine.cast())
    }
}
