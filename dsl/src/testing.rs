//! Runs the `test` blocks of a rule over any engine.

use std::fmt;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_abi::{MAX_ROWS, Verdict};

use crate::ast::{ActionWord, Expected, Severity};
use crate::bars::Bars;
use crate::calendar::{Calendar, UnknownZone};
use crate::manifest::{Action, FaultInfo, Manifest};
use crate::outcome::Outcome;
use crate::span::{LineIndex, Span};
use crate::typed::{Rule, Test};

/// How a test went. `E` is what the engine fails with.
#[derive(Clone, Debug, PartialEq)]
pub struct TestResult<E> {
    /// Name of the test.
    pub name: String,
    /// The test in the text.
    pub span: Span,
    /// Number of its bars.
    pub bars: usize,
    /// The first thing that was not as expected.
    pub result: Result<(), Failure<E>>,
}

impl<E> TestResult<E> {
    /// Whether everything was as expected.
    pub const fn passed(&self) -> bool {
        self.result.is_ok()
    }
}

/// Why a test failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure<E> {
    /// A bar was not as expected.
    Bar(Box<WrongBar>),
    /// The engine did not run all bars.
    Engine(E),
    /// The engine gave this many bars and stopped, without an error.
    Short(usize),
    /// The zone of the rule's clock is not in the database.
    Zone(UnknownZone),
}

/// A bar that was not as expected.
#[derive(Clone, Debug, PartialEq)]
pub struct WrongBar {
    /// The bar, from 0.
    pub bar: usize,
    /// Its line in the text.
    pub span: Span,
    /// What the test expects.
    pub expected: Expected,
    /// What the rule said.
    pub got: Outcome,
    /// Of a fault: what went wrong and where.
    pub fault: Option<FaultInfo>,
}

/// Runs every test of a rule, each from a reset run.
///
/// `engine` runs bars with params from bar 0 and gives the results to the sink, in order.
pub fn run<E>(
    rule: &Rule,
    manifest: &Manifest,
    mut engine: impl FnMut(&[f64], &InputColumns<'_>, &mut dyn OutputSink) -> Result<(), E>,
) -> Vec<TestResult<E>> {
    let calendar = Calendar::new(&rule.clock.zone, rule.clock.day_start);
    let run_one = |test: &Test| {
        let calendar = calendar.as_ref().map_err(|e| Failure::Zone(e.clone()))?;
        let bars = bars(rule, test, calendar);
        let mut comparison = Comparison { manifest, test, seen: 0, wrong: None };
        engine(&test.params, &bars.view().columns(), &mut comparison).map_err(Failure::Engine)?;
        match comparison {
            Comparison { wrong: Some(wrong), .. } => Err(Failure::Bar(wrong)),
            Comparison { seen, .. } if seen < test.bars.len() => Err(Failure::Short(seen)),
            Comparison { .. } => Ok(()),
        }
    };
    let results: Vec<_> = rule.tests.iter().map(run_one).collect();
    let named = rule.tests.iter().zip(results).map(|(test, result)| TestResult {
        name: test.name.clone(),
        span: test.span,
        bars: test.bars.len(),
        result,
    });
    named.collect()
}

/// The bars of a test as columns.
pub fn bars(rule: &Rule, test: &Test, calendar: &Calendar) -> Bars {
    let column =
        |input| test.bars.iter().map(move |bar| bar.inputs.get(input).copied().unwrap_or(rulebox_abi::MISSING));
    let bars = Bars::new(test.bars.len(), (0..rule.inputs.len()).map(|input| column(input).collect()).collect());
    if rule.uses_time() { bars.with_time(test.bars.iter().map(|bar| bar.time).collect(), calendar) } else { bars }
}

/// Compares results as they come and keeps the first bar that is wrong.
struct Comparison<'a> {
    manifest: &'a Manifest,
    test: &'a Test,
    seen: usize,
    wrong: Option<Box<WrongBar>>,
}

impl OutputSink for Comparison<'_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        debug_assert!(rows.rows <= MAX_ROWS as usize, "engines give at most MAX_ROWS rows at once");
        for row in 0..rows.rows {
            let bar = first_row + row;
            let Some(expected) = self.test.bars.get(bar) else { continue };
            self.seen = self.seen.max(bar + 1);
            if self.wrong.is_some() {
                continue;
            }
            let got = Outcome::read(self.manifest, rows, row);
            if !as_expected(expected.expected, &got) {
                let fault = got.fault.and_then(|place| self.manifest.spans.get(place)).cloned();
                let (span, expected) = (expected.span, expected.expected);
                self.wrong = Some(Box::new(WrongBar { bar, span, expected, got, fault }));
            }
        }
    }
}

fn as_expected(expected: Expected, got: &Outcome) -> bool {
    let (verdict, action) = match expected {
        Expected::Ok => (Verdict::Ok, None),
        Expected::Fault => (Verdict::Fault, None),
        Expected::Verdict(Severity::Warn, action) => (Verdict::Warn, action),
        Expected::Verdict(Severity::Breach, action) => (Verdict::Breach, action),
    };
    let action = action.map(|word| match word {
        ActionWord::Block => Action::Block,
        ActionWord::Reduce => Action::Reduce,
        ActionWord::Liquidate => Action::Liquidate,
    });
    got.verdict == verdict && got.action == action
}

impl<E: fmt::Display> TestResult<E> {
    /// What went wrong, for people, with lines of the source; `None` if nothing did.
    pub fn describe(&self, source: &LineIndex<'_>) -> Option<String> {
        let name = &self.name;
        Some(match self.result.as_ref().err()? {
            Failure::Bar(wrong) => format!("test \"{name}\", {}", wrong.describe(source)),
            Failure::Engine(error) => format!("test \"{name}\" could not run: {error}"),
            Failure::Short(seen) => format!("test \"{name}\" stopped after {seen} of {} bars", self.bars),
            Failure::Zone(error) => format!("test \"{name}\" could not run: {error}"),
        })
    }
}

impl WrongBar {
    fn describe(&self, source: &LineIndex<'_>) -> String {
        let line = source.position(self.span.start).line;
        let mut text = format!(
            "bar {} (line {line}): expected {}, got {}",
            self.bar,
            words(expected_words(self.expected)),
            words((self.got.verdict.name(), self.got.action.map(Action::name)))
        );
        if !self.got.reasons.is_empty() {
            text = format!("{text} ({})", self.got.reasons.join("; "));
        }
        if let Some(fault) = &self.fault {
            text = format!("{text}: {}, at {}:{}", fault.message, fault.line, fault.column);
        }
        text
    }
}

fn expected_words(expected: Expected) -> (&'static str, Option<&'static str>) {
    match expected {
        Expected::Ok => ("ok", None),
        Expected::Fault => ("fault", None),
        Expected::Verdict(severity, action) => {
            let verdict = match severity {
                Severity::Warn => "warn",
                Severity::Breach => "breach",
            };
            let action = action.map(|word| match word {
                ActionWord::Block => "block",
                ActionWord::Reduce => "reduce",
                ActionWord::Liquidate => "liquidate",
            });
            (verdict, action)
        }
    }
}

fn words((verdict, action): (&str, Option<&str>)) -> String {
    match action {
        Some(action) => format!("`{verdict} {action}`"),
        None => format!("`{verdict}`"),
    }
}
