//! The check of an upload: module and interpreter over bars at the boundaries of the rule's own text.

use std::time::{Duration, Instant};

use rulebox_abi::columns::{InputColumns, OutputColumns, OutputRows, OutputSink};
use rulebox_abi::{MAX_ROWS, Verdict as Said};
use rulebox_dsl::boundary::{self, part};
use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::outcome::normalise;
use rulebox_sandbox::{Limits, Messages, RunError, Violation, ViolationKind};
use tokio_util::sync::CancellationToken;

use super::compare;
use super::difference::{Difference, Field};
use super::{Text, Verdict};
use crate::execution::engine::Run;
use crate::execution::prepared::Prepared;

/// Bars of a rule with its default params: every number of a usual rule, with what is beside it, fits.
const MOST_BARS: usize = 1_024;
/// The same of each other set of params.
const MOST_BARS_OF_OTHERS: usize = 128;
/// Proved fuel of the bars of one set of params: a rule with large windows has fewer bars. The interpreter takes about a
/// second for as much.
const MOST_FUEL: u64 = 20_000_000;
/// The check ends after as long; what was tried until then stands. Nobody waits for it, but others wait behind it.
const MOST_TIME: Duration = Duration::from_secs(5);
/// Bars of the interpreter between two looks for a fault.
const BARS: usize = 32;
/// Bars of a call: all at once, some, and one at a time with the state moved to another instance behind each.
const SEVERAL: u32 = 7;

/// Holds a module against its text over bars at its boundaries, until `stop`. Synchronous: it belongs on a pool.
pub fn check(source: &str, compiler: &rulebox_dsl::Limits, prepared: &Prepared, stop: &CancellationToken) -> Verdict {
    let Some(text) = Text::read(source, compiler) else { return Verdict::Skipped("the text does not compile") };
    let rule = &*text.rule;
    let Ok(calendar) = Calendar::new(&rule.clock.zone, rule.clock.day_start) else {
        return Verdict::Skipped("the zone is not known");
    };
    if !text.is_of(&prepared.manifest) || text.manifest.statements != prepared.manifest.statements {
        return Verdict::Different(Difference::of(Field::Interface));
    }
    let check = Check { text: &text, prepared, stop, until: Instant::now() + MOST_TIME };
    if check.affordable() == 0 {
        return Verdict::Skipped("one bar of it may cost more than a check");
    }
    let mut tried = 0;
    for (set, params) in boundary::params(rule).iter().enumerate() {
        let most = if set == 0 { MOST_BARS } else { MOST_BARS_OF_OTHERS };
        let bars = boundary::bars(rule, &calendar, most.min(check.affordable()));
        match check.set(params, &bars.view().columns(), set == 0) {
            Ok(bars) => tried += bars,
            Err(Ended::Different(difference)) => return Verdict::Different(difference),
            Err(Ended::Over) if tried > 0 => break,
            Err(Ended::Over) => return Verdict::Skipped("there was no time for it"),
            Err(Ended::NotNow) => return Verdict::Skipped("the module could not be run"),
        }
    }
    Verdict::Same(tried)
}

/// Why a check is over.
enum Ended {
    Different(Difference),
    /// The time is.
    Over,
    /// The module cannot be run at the moment, which says nothing of it.
    NotNow,
}

struct Check<'a> {
    text: &'a Text,
    prepared: &'a Prepared,
    stop: &'a CancellationToken,
    until: Instant,
}

/// Keeps results, as long as there is time.
struct Kept<'a> {
    check: &'a Check<'a>,
    results: OutputColumns,
}

impl OutputSink for Kept<'_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        self.results.rows(first_row, rows);
    }

    fn wants_more(&mut self) -> bool {
        !self.check.is_over()
    }
}

impl Check<'_> {
    fn affordable(&self) -> usize {
        let bar = self.prepared.manifest.cost.as_ref().map_or(1, |cost| cost.bar.saturating_add(cost.call)).max(1);
        usize::try_from(MOST_FUEL / bar).unwrap_or(usize::MAX)
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.until
    }

    /// All bars with one set of params: from fault to fault, since a fault stays until a run begins anew. Gives how many
    /// there were.
    fn set(&self, params: &[f64], bars: &InputColumns<'_>, in_parts: bool) -> Result<usize, Ended> {
        let mut from = 0;
        while from < bars.rows {
            if self.is_over() {
                return if from > 0 { Ok(from) } else { Err(Ended::Over) };
            }
            let (expected, to) = self.interpret(params, bars, from);
            if to == from {
                // The time was over at once.
                continue;
            }
            let mut inputs = Vec::new();
            let bars = part(bars, &mut inputs, from, to);
            let found = match self.differs(params, &bars, &expected, in_parts) {
                // What was tried before stands.
                Err(Ended::Over) if from > 0 => return Ok(from),
                found => found?,
            };
            if let Some(difference) = found {
                let bar = difference.bar.map(|bar| bar + from);
                return Err(Ended::Different(Difference { bar, ..difference }));
            }
            from = to;
        }
        Ok(from)
    }

    /// What the interpreter says of the bars from `from` on, to one behind the first fault; and the bar after these.
    fn interpret(&self, params: &[f64], bars: &InputColumns<'_>, from: usize) -> (OutputColumns, usize) {
        let mut interpreter = Interpreter::new(&self.text.rule, params);
        let mut results = OutputColumns::default();
        let mut to = from;
        while to < bars.rows && !self.is_over() {
            let mut inputs = Vec::new();
            let next = part(bars, &mut inputs, to, to + BARS);
            interpreter.run(&next, to - from, &mut results);
            to += next.rows;
            if results.verdicts.last() == Some(&(Said::Fault as u8)) {
                let good = results.verdicts.iter().take_while(|verdict| **verdict != Said::Fault as u8).count();
                to = to.min(from + good + 2);
                break;
            }
        }
        truncate(&mut results, to - from);
        normalise(&mut results, &self.prepared.manifest);
        (results, to)
    }

    fn differs(
        &self,
        params: &[f64],
        bars: &InputColumns<'_>,
        expected: &OutputColumns,
        in_parts: bool,
    ) -> Result<Option<Difference>, Ended> {
        let (whole, state) = match self.run(params, bars, MAX_ROWS)? {
            Ok(ran) => ran,
            Err(difference) => return Ok(Some(difference)),
        };
        if let Some(difference) = compare::columns(&whole, expected) {
            return Ok(Some(difference));
        }
        if !in_parts || bars.rows < 2 {
            return Ok(None);
        }
        for (rows, moved) in [(SEVERAL, false), (1, true)] {
            let ran = if moved { self.run_moved(params, bars)? } else { self.run(params, bars, rows)? };
            let found = match ran {
                Err(difference) => Some(difference),
                Ok((columns, after)) => compare::columns(&columns, expected)
                    .or_else(|| (after != state).then_some(Difference::of(Field::State))),
            };
            if let Some(difference) = found {
                return Ok(Some(Difference { rows_a_call: Some(rows), ..difference }));
            }
        }
        Ok(None)
    }

    /// What the module says, in calls of so many bars, and its state after them.
    fn run(&self, params: &[f64], bars: &InputColumns<'_>, rows: u32) -> Ran {
        let limits = self.limits_of(rows);
        let mut results = self.kept();
        let ran = (|| {
            let mut run = self.prepared.module.begin(self.prepared.setup(params, &limits), None, true)?;
            run.batch(bars, 0, &mut results)?;
            run.state()
        })();
        self.judge(ran, results)
    }

    /// The same, one bar at a time, each in an instance that goes on from the state of the one before.
    fn run_moved(&self, params: &[f64], bars: &InputColumns<'_>) -> Ran {
        let limits = self.limits_of(1);
        let begin = |state: Option<&[u8]>| -> Result<Box<dyn Run>, RunError> {
            self.prepared.module.begin(self.prepared.setup(params, &limits), state, true)
        };
        let mut results = self.kept();
        let ran = (|| {
            let mut state: Option<Vec<u8>> = None;
            for row in 0..bars.rows {
                if self.is_over() {
                    return Ok(None);
                }
                let mut inputs = Vec::new();
                let bar = part(bars, &mut inputs, row, row + 1);
                let mut run = begin(state.as_deref())?;
                run.batch(&bar, row, &mut results)?;
                state = Some(run.state()?);
            }
            Ok(Some(state.unwrap_or_default()))
        })();
        self.judge(ran.transpose().ok_or(Ended::Over)?, results)
    }

    fn kept(&self) -> Kept<'_> {
        Kept { check: self, results: OutputColumns::default() }
    }

    fn judge(&self, ran: Result<Vec<u8>, RunError>, Kept { mut results, .. }: Kept<'_>) -> Ran {
        match ran {
            Ok(state) => {
                normalise(&mut results, &self.prepared.manifest);
                Ok(Ok((results, state)))
            }
            Err(RunError::Violation(violation)) if !self.is_for_less(&violation) => {
                let bar = results.verdicts.len();
                Ok(Err(Difference::at(bar, Field::Stopped(violation.kind.name()))))
            }
            // It is not for the module to refuse what its text takes.
            Err(RunError::ParamsRefused(_) | RunError::Input(_)) => Ok(Err(Difference::of(Field::Interface))),
            Err(RunError::Cancelled(_)) => Err(Ended::Over),
            Err(_) => Err(Ended::NotNow),
        }
    }

    /// Whether a run was stopped since it had less than the module needs as it is proved, or no time: an executor may
    /// have tighter settings. That says nothing of the module.
    fn is_for_less(&self, violation: &Violation) -> bool {
        match violation.kind {
            ViolationKind::DeadlineExceeded => true,
            ViolationKind::MemoryLimit => violation.memory_limit < self.prepared.manifest.memory_bytes as usize,
            ViolationKind::FuelExhausted => violation.fuel_limit < MOST_FUEL,
            _ => false,
        }
    }

    /// What the module may use is not what is tried here: enough for any rule.
    fn limits_of(&self, rows: u32) -> Limits {
        let limits = Limits { fuel: u64::MAX / 2, deadline: MOST_TIME, chunk_rows: rows, ..Limits::default() };
        self.prepared.limits(&limits, Messages::None)
    }
}

/// The results and the state after them, or in what the run itself is other than it should be.
type Ran = Result<Result<(OutputColumns, Vec<u8>), Difference>, Ended>;

fn truncate(columns: &mut OutputColumns, rows: usize) {
    columns.verdicts.truncate(rows);
    columns.fired.truncate(rows);
    columns.keep.truncate(rows);
    for column in columns.outs.iter_mut().chain(&mut columns.message_values) {
        column.truncate(rows);
    }
}
