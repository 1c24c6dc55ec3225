//! The check of a live call: what was answered against what the interpreter says of the same bars.
//!
//! Sampled are runs of compiled rules over one bar, over columns, and the first call of a session, which begins at bar 0.
//! Not sampled are later calls of a session, and streams: they go on from a state that is bytes of the module's, which
//! the interpreter cannot read. Of a large call the first bars are held against as much of the answer.

use std::sync::Arc;

use rand::Rng;
use rulebox_abi::columns::{OutputRows, OutputSink};
use rulebox_sandbox::{Limits, RunError};
use tokio_util::sync::CancellationToken;

use super::compare::{self, numbers};
use super::difference::{Difference, Field};
use super::interpreted::Interpreted;
use super::{Text, Verdict};
use crate::domain::bars::{Bars, Column};
use crate::domain::evaluation::{Counts, Event, RuleRun, Series};
use crate::domain::rule::Runnable;
use crate::execution::bind::bind_columns;
use crate::execution::prepared::Prepared;
use crate::execution::run::{Bound, Ran, run};
use crate::execution::summary::{Wanted, read_event, time_of};
use crate::execution::threads::slow_down_if_long;

/// Bars of a sample.
const MOST_BARS: usize = 1_024;
/// Values of a sample's columns and of the columns of its answer: 128 KiB each.
const MOST_CELLS: usize = 16_384;
/// Bytes of the messages of its answer.
const MOST_TEXT: usize = 64 << 10;
/// Proved fuel of its bars. The interpreter takes about a second for as much.
const MOST_FUEL: u64 = 20_000_000;

/// Which calls are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    one_in: u64,
}

/// The copy of a call and of what was answered to it. It has as many bytes as it may have, whatever the call had.
#[derive(Debug)]
pub struct Sample {
    /// The version.
    pub runnable: Runnable,
    prepared: Arc<Prepared>,
    params: Vec<f64>,
    bars: Bars,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Run(Box<RunAnswer>),
    /// Of every bar.
    Bars(Vec<Event>),
}

/// What was answered of a run, as far as the sample goes.
#[derive(Debug)]
struct RunAnswer {
    wanted: Wanted,
    first: Vec<Event>,
    events: Vec<Event>,
    series: Series,
    /// Of all bars, if the sample has all of them.
    whole: Option<(Counts, Option<Event>)>,
}

impl Sampling {
    /// One in so many; none if it is 0.
    pub const fn one_in(n: u64) -> Self {
        Self { one_in: n }
    }

    /// Whether the next call is one. Nobody can know before: it is drawn from what the system gives of chance.
    fn hits(self) -> bool {
        self.one_in > 0 && (self.one_in == 1 || rand::rng().random_range(0..self.one_in) == 0)
    }

    /// A sample of a run, if it is to be one.
    pub fn of_run(self, bound: &Bound, bars: &Bars, wanted: Wanted, ran: &Result<Ran, RunError>) -> Option<Sample> {
        if !bound.compiled() || !self.hits() {
            return None;
        }
        Some(Sample::of_run(bound, bars, wanted, &ran.as_ref().ok()?.run))
    }

    /// A sample of the first bars of a session, if it is to be one.
    pub fn of_session(self, bound: &Bound, bars: &Bars, events: &[Event]) -> Option<Sample> {
        if !bound.compiled() || !self.hits() {
            return None;
        }
        let rows = most_bars(bound, bars.rows.min(events.len()), bound.prepared.manifest.outs.len());
        let events = within(events, rows);
        Some(Sample::of(bound, bars, events.len(), Answer::Bars(events)))
    }
}

/// How many of the bars of a call a sample has.
fn most_bars(bound: &Bound, rows: usize, outs: usize) -> usize {
    let by_cells = MOST_CELLS / bound.columns.len().max(outs).max(1);
    let bar = bound.prepared.manifest.cost.as_ref().map_or(1, |cost| cost.bar).max(1);
    let by_fuel = usize::try_from(MOST_FUEL / bar).unwrap_or(usize::MAX);
    rows.min(MOST_BARS).min(by_cells).min(by_fuel)
}

/// Events before this bar, as long as their messages are within what a sample may have.
fn within(events: &[Event], rows: usize) -> Vec<Event> {
    let mut bytes = 0_usize;
    let few = events.iter().take_while(|event| {
        let text = event.reasons.iter().map(|reason| reason.len().saturating_add(size_of::<String>()));
        bytes = bytes.saturating_add(text.sum());
        event.bar < rows && bytes <= MOST_TEXT
    });
    few.cloned().collect()
}

impl Sample {
    fn of_run(bound: &Bound, bars: &Bars, wanted: Wanted, run: &RuleRun) -> Self {
        let rows = most_bars(bound, bars.rows, bound.prepared.manifest.outs.len());
        let events = within(&run.events, rows);
        // The first event that has no room is where the sample ends.
        let rows = run.events.get(events.len()).map_or(rows, |left| rows.min(left.bar));
        let series = Series {
            verdicts: run.series.verdicts.as_ref().map(|said| said.iter().take(rows).copied().collect()),
            outs: run
                .series
                .outs
                .as_ref()
                .map(|outs| outs.iter().map(|column| column.iter().take(rows).copied().collect()).collect()),
        };
        let answer = RunAnswer {
            wanted: Wanted { combine: false, ..wanted },
            first: run.first.iter().filter(|event| event.bar < rows).cloned().collect(),
            events,
            series,
            whole: (rows == bars.rows).then(|| (run.counts, run.last.clone())),
        };
        Self::of(bound, bars, rows, Answer::Run(Box::new(answer)))
    }

    fn of(bound: &Bound, bars: &Bars, rows: usize, answer: Answer) -> Self {
        let column = |index: &Option<usize>| {
            let Column { name, values, first_bool } = bars.columns.get((*index)?)?;
            let values = values.iter().take(rows).copied().collect();
            Some(Column { name: name.clone(), values, first_bool: first_bool.filter(|row| *row < rows) })
        };
        // Also of a rule that does not use it: its events have it.
        let time = bars.time.as_ref().map(|time| time.iter().take(rows).copied().collect());
        Self {
            runnable: bound.runnable.clone(),
            prepared: Arc::clone(&bound.prepared),
            params: bound.params.clone(),
            bars: Bars { rows, columns: bound.columns.iter().filter_map(column).collect(), time, single: bars.single },
            answer,
        }
    }

    /// Holds the answer against the text, until `stop`. Synchronous: it belongs on a pool.
    pub fn check(
        &self,
        source: &str,
        compiler: &rulebox_dsl::Limits,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Verdict {
        if self.bars.rows == 0 {
            return Verdict::Skipped("no bar of it is cheap and short enough");
        }
        let Some(text) = Text::read(source, compiler) else { return Verdict::Skipped("the text does not compile") };
        if !text.is_of(&self.prepared.manifest) {
            return Verdict::Different(Difference::of(Field::Interface));
        }
        let Ok(columns) = bind_columns(self.runnable.rule.as_str(), &text.manifest, &self.bars) else {
            return Verdict::Different(Difference::of(Field::Interface));
        };
        let Some(prepared) = Prepared::new(Arc::new(Interpreted(text.rule)), text.manifest) else {
            return Verdict::Skipped("the zone is not known");
        };
        let (runnable, params) = (self.runnable.clone(), self.params.clone());
        let bound = Bound { runnable, prepared: Arc::new(prepared), columns, params };
        let found = match &self.answer {
            Answer::Run(answer) => answer.check(&bound, &self.bars, limits, stop),
            Answer::Bars(events) => {
                every_bar(&bound, &self.bars, limits, stop).map(|interpreted| compare::events(events, &interpreted))
            }
        };
        match found {
            Ok(None) => Verdict::Same(self.bars.rows),
            Ok(Some(difference)) => Verdict::Different(difference),
            Err(_) => Verdict::Skipped("the service stops"),
        }
    }
}

impl RunAnswer {
    fn check(
        &self,
        bound: &Bound,
        bars: &Bars,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Result<Option<Difference>, RunError> {
        let run = run(bound, bars, limits, self.wanted, stop)?.run;
        let of_series = || {
            let (answer, other) = (&self.series, &run.series);
            let verdict = answer.verdicts.iter().flatten().zip(other.verdicts.iter().flatten()).enumerate();
            let verdict = verdict.map(|(bar, (a, b))| (bar, *a, *b)).find(|(_, a, b)| a != b);
            if let Some((bar, module, interpreter)) = verdict {
                return Some(Difference::at(bar, Field::Verdict { module, interpreter }));
            }
            let mut columns = answer.outs.iter().flatten().zip(other.outs.iter().flatten()).enumerate();
            columns.find_map(|(out, (a, b))| {
                let (bar, apart) = numbers(a, b)?;
                Some(Difference::at(bar, Field::Out(out, apart)))
            })
        };
        let of_whole = || {
            let (counts, last) = self.whole.as_ref()?;
            if *counts != run.counts {
                return Some(Difference::of(Field::Counts));
            }
            compare::events(last.as_slice(), run.last.as_slice())
        };
        Ok(compare::events(&self.events, &run.events)
            .or_else(|| compare::events(&self.first, &run.first))
            .or_else(of_series)
            .or_else(of_whole))
    }
}

/// What the interpreter says of every bar, from the first bar of a session on.
fn every_bar(bound: &Bound, bars: &Bars, limits: &Limits, stop: &CancellationToken) -> Result<Vec<Event>, RunError> {
    let mut sink = EveryBar { bound, bars, stop, events: Vec::with_capacity(bars.rows) };
    bound.over(bars, |columns| {
        let prepared = &bound.prepared;
        prepared.module.run(prepared.setup(&bound.params, limits), columns, &mut sink)
    })?;
    Ok(sink.events)
}

struct EveryBar<'a> {
    bound: &'a Bound,
    bars: &'a Bars,
    stop: &'a CancellationToken,
    events: Vec<Event>,
}

impl OutputSink for EveryBar<'_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        for row in 0..rows.rows {
            let bar = first_row + row;
            let time = time_of(self.bars.time.as_deref(), bar);
            self.events.push(read_event(&self.bound.prepared.manifest, rows, row, bar, time));
        }
    }

    fn wants_more(&mut self) -> bool {
        slow_down_if_long();
        !self.stop.is_cancelled()
    }
}
