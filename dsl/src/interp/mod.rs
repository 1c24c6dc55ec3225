//! The reference interpreter: walks the typed tree, one bar after the other, as the language reference says it.
//!
//! It is the oracle for compiled modules, so it is written to be read, not to be fast. Its state is a value: a clone
//! of an [`Interpreter`] is a saved run.

mod expr;
mod hold;
mod memory;
mod output;
mod stmt;
#[cfg(test)]
mod tests;
mod value;

use std::collections::VecDeque;

use rulebox_abi::TIME_MISSING;
use rulebox_abi::columns::{InputColumns, OutputSink};

use crate::typed::{Base, FaultId, Input, ParamKind, Rule, Source, Step};
use hold::{Given, Held};
use memory::{Recall, count};
use output::Output;
use value::{Value, at, set};

/// A run of a rule.
#[derive(Clone, Debug)]
pub struct Interpreter<'r> {
    rule: &'r Rule,
    params: Vec<Value>,
    state: State,
    bar: Bar,
}

/// What is kept from bar to bar.
#[derive(Clone, Debug)]
struct State {
    /// Bars since the last reset.
    bars: u64,
    /// The fault that latches.
    fault: Option<FaultId>,
    /// Time and local day of the bar before, of rules that use time.
    previous: Option<(i64, i32)>,
    /// One for each history, newest first.
    histories: Vec<VecDeque<Value>>,
    /// One for each call with memory.
    memories: Vec<Recall>,
    vars: Vec<Value>,
    /// One for each statement.
    holds: Vec<Option<Held>>,
}

/// What is known of the bar that runs.
#[derive(Clone, Debug)]
struct Bar {
    moment: Moment,
    inputs: Vec<Value>,
    lets: Vec<Value>,
    memories: Vec<Value>,
    outs: Vec<Value>,
    /// What each statement gave, if it ran.
    given: Vec<Option<Given>>,
}

/// Where a bar stands in time.
#[derive(Clone, Copy, Debug)]
struct Moment {
    index: u64,
    time: i64,
    local_day: i32,
    new_day: bool,
    minute_of_day: u16,
    weekday: u8,
}

impl Moment {
    const START: Self =
        Self { index: 0, time: TIME_MISSING, local_day: 0, new_day: false, minute_of_day: 0, weekday: 1 };

    fn bar_index(&self) -> Value {
        Value::Num(count(self.index))
    }

    fn weekday(&self) -> Value {
        Value::Num(f64::from(self.weekday))
    }
}

impl State {
    fn new(rule: &Rule) -> Self {
        Self {
            bars: 0,
            fault: None,
            previous: None,
            histories: vec![VecDeque::new(); rule.histories.len()],
            memories: vec![Recall::default(); rule.memories.len()],
            vars: vec![Value::Missing; rule.vars.len()],
            holds: vec![None; rule.statements.len()],
        }
    }
}

impl<'r> Interpreter<'r> {
    /// A run at bar 0. `params` has one value a param, in order, each allowed by its type and range; a missing one
    /// has its default.
    pub fn new(rule: &'r Rule, params: &[f64]) -> Self {
        let param = |(i, param): (usize, &crate::typed::Param)| {
            let value = params.get(i).copied().unwrap_or(param.default);
            match param.kind {
                ParamKind::Num | ParamKind::Int => Value::Num(value),
                ParamKind::Bool => Value::Bool(value != 0.0),
            }
        };
        Self {
            rule,
            params: rule.params.iter().enumerate().map(param).collect(),
            state: State::new(rule),
            bar: Bar {
                moment: Moment::START,
                inputs: vec![Value::Missing; rule.inputs.len()],
                lets: vec![Value::Missing; rule.lets.len()],
                memories: vec![Value::Missing; rule.memories.len()],
                outs: vec![Value::Missing; rule.outs.len()],
                given: vec![None; rule.statements.len()],
            },
        }
    }

    /// Back to bar 0.
    pub fn reset(&mut self) {
        self.state = State::new(self.rule);
    }

    /// Runs bars, after those that ran before, and gives their results to `sink`, [`rulebox_abi::MAX_ROWS`] at most
    /// at a time. `first_row` is what the sink is told of the first of them.
    pub fn run(&mut self, input: &InputColumns<'_>, first_row: usize, sink: &mut dyn OutputSink) {
        let mut output = Output::new(self.rule, first_row, sink);
        for row in 0..input.rows {
            if self.state.fault.is_none() {
                self.state.fault = self.bar(input, row).err();
            }
            match self.state.fault {
                Some(fault) => output.fault(fault),
                None => output.bar(
                    self.said(),
                    self.bar.outs.iter().map(|value| value.number()),
                    self.fired().flat_map(|(_, _, given)| given.values.iter().copied()),
                ),
            }
        }
        output.flush();
    }

    /// Runs one bar: the three steps of the language reference.
    fn bar(&mut self, input: &InputColumns<'_>, row: usize) -> Result<(), FaultId> {
        let rule = self.rule;
        self.bar.outs.fill(Value::Missing);
        self.bar.given.fill(None);
        for (i, declared) in rule.inputs.iter().enumerate() {
            let cell = input.inputs.get(i).and_then(|column| column.get(row)).copied();
            let value = checked_input(declared, cell.unwrap_or(rulebox_abi::MISSING))?;
            set(&mut self.bar.inputs, i, value);
        }
        self.bar.moment = self.moment(input, row)?;
        for step in &rule.advance {
            match step {
                Step::Memory(id) => self.advance_memory(*id)?,
                Step::Let(id, value) => {
                    let value = self.eval(value)?;
                    set(&mut self.bar.lets, id.index(), value);
                }
            }
        }
        self.expire_holds();
        self.block(&rule.body)?;
        self.end_bar();
        Ok(())
    }

    /// Checks the time, if the rule uses it.
    fn moment(&self, input: &InputColumns<'_>, row: usize) -> Result<Moment, FaultId> {
        let moment = Moment { index: self.state.bars, ..Moment::START };
        let Some(faults) = &self.rule.time else { return Ok(moment) };
        let cell = |column: &[i32]| column.get(row).copied().unwrap_or_default();
        let columns = input.time.as_ref();
        let time = columns.and_then(|columns| columns.time.get(row)).copied().unwrap_or(TIME_MISSING);
        let (Some(columns), true) = (columns, time != TIME_MISSING) else { return Err(faults.missing) };
        let local_day = cell(columns.local_day);
        if self.state.previous.is_some_and(|(previous, _)| time < previous) {
            return Err(faults.backwards);
        }
        Ok(Moment {
            time,
            local_day,
            new_day: self.state.previous.is_some_and(|(_, previous_day)| local_day != previous_day),
            minute_of_day: u16::try_from(cell(columns.minute_of_day)).unwrap_or_default(),
            weekday: u8::try_from(cell(columns.weekday)).unwrap_or_default(),
            ..moment
        })
    }

    /// What the next bar needs of this one.
    fn end_bar(&mut self) {
        for (history, values) in self.rule.histories.iter().zip(&mut self.state.histories) {
            let value = match history.source {
                Source::Input(id) => at(&self.bar.inputs, id.index()),
                Source::Param(id) => at(&self.params, id.index()),
                Source::Let(id) => at(&self.bar.lets, id.index()),
                Source::NewDay => Value::Bool(self.bar.moment.new_day),
                Source::Weekday => self.bar.moment.weekday(),
                Source::BarIndex => self.bar.moment.bar_index(),
            };
            values.push_front(value);
            values.truncate(history.depth as usize);
        }
        self.state.previous = Some((self.bar.moment.time, self.bar.moment.local_day));
        self.state.bars += 1;
    }
}

/// The value of an input, or its fault: missing, then invalid, then out of range.
fn checked_input(input: &Input, cell: f64) -> Result<Value, FaultId> {
    if cell.is_nan() {
        return input.missing.map_or(Ok(Value::Missing), Err);
    }
    if input.ty.base == Base::Bool {
        return match cell {
            0.0 => Ok(Value::Bool(false)),
            1.0 => Ok(Value::Bool(true)),
            _ => Err(input.invalid),
        };
    }
    if cell.is_infinite() {
        return Err(input.invalid);
    }
    match (input.range, input.out_of_range) {
        (Some((lo, hi)), Some(fault)) if !(lo..=hi).contains(&cell) => Err(fault),
        _ => Ok(Value::Num(cell)),
    }
}
