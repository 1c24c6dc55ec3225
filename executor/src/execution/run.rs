//! Runs rules over bound columns. Synchronous: it belongs on the evaluation pool.

use std::sync::Arc;

use rulebox_abi::Verdict;
use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_dsl::manifest::Action;
use rulebox_sandbox::{Limits, Messages, RunError, RunReport};
use tokio_util::sync::CancellationToken;

use super::bind::missing_column;
use super::prepared::Prepared;
use super::summary::{Code, Summary, Wanted, time_of};
use super::threads::slow_down_if_long;
use crate::domain::bars::Bars;
use crate::domain::evaluation::{CombinedEvent, CombinedRun, Counts, RuleRun, RuleStopped};
use crate::domain::rule::{RuleName, Runnable};

/// A rule, its columns and its params: all that a run needs beside the bars.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The version.
    pub runnable: Runnable,
    /// Its module.
    pub prepared: Arc<Prepared>,
    /// For each input, the index of its column.
    pub columns: Vec<Option<usize>>,
    /// In the order of the manifest.
    pub params: Vec<f64>,
}

impl Bound {
    /// Whether our compiler made the module.
    pub fn compiled(&self) -> bool {
        self.prepared.manifest.cost.is_some()
    }

    /// Hands these bars on as the module takes them.
    pub fn over<T>(&self, bars: &Bars, work: impl FnOnce(&InputColumns<'_>) -> T) -> T {
        let absent = if self.columns.contains(&None) { missing_column(bars.rows) } else { Vec::new() };
        let inputs: Vec<&[f64]> = self
            .columns
            .iter()
            .map(|index| index.and_then(|index| bars.columns.get(index)).map_or(&*absent, |column| &*column.values))
            .collect();
        let time = bars.time.as_deref();
        let local = self.prepared.calendar.as_ref().zip(time).map(|(calendar, time)| (calendar.local(time), time));
        let time = local.as_ref().map(|(local, time)| local.view(time));
        work(&InputColumns { rows: bars.rows, inputs: &inputs, time })
    }
}

/// One rule's results, and what combining needs of them.
#[derive(Debug)]
pub struct Ran {
    /// For the answer.
    pub run: RuleRun,
    /// What was used.
    pub report: RunReport,
    codes: Vec<Code>,
    keeps: Vec<f64>,
}

/// Reads results until somebody says stop.
struct Stoppable<'s, 'a> {
    summary: &'s mut Summary<'a>,
    stop: &'s CancellationToken,
}

impl OutputSink for Stoppable<'_, '_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        self.summary.rows(first_row, rows);
    }

    fn wants_more(&mut self) -> bool {
        slow_down_if_long();
        !self.stop.is_cancelled()
    }
}

/// Runs one rule, until `stop`.
///
/// # Errors
/// As the sandbox says.
pub fn run(
    bound: &Bound,
    bars: &Bars,
    limits: &Limits,
    wanted: Wanted,
    stop: &CancellationToken,
) -> Result<Ran, RunError> {
    let prepared = &*bound.prepared;
    let time = bars.time.as_deref();
    let mut summary = Summary::new(prepared, time, wanted, bars.rows);
    // Texts are read of changes, and of the last bar.
    let limits = prepared.limits(limits, Messages::Changes);
    let mut sink = Stoppable { summary: &mut summary, stop };
    let setup = prepared.setup(&bound.params, &limits);
    let report = bound.over(bars, |columns| prepared.module.run(setup, columns, &mut sink))?;
    let run = RuleRun {
        rule: bound.runnable.rule.clone(),
        version: bound.runnable.version,
        digest: bound.runnable.digest,
        manifest: Arc::clone(&prepared.manifest),
        bars: bars.rows,
        counts: summary.changes.counts,
        first: summary.changes.first,
        events: summary.changes.events,
        events_truncated: summary.changes.events_truncated,
        last: summary.last,
        series: summary.series,
        fuel: bound.prepared.fuel(bars.rows, report.fuel),
    };
    Ok(Ran { run, report, codes: summary.codes, keeps: summary.keeps })
}

/// What one rule adds to the combined verdict.
struct Part<'a> {
    rule: &'a RuleName,
    /// None of a rule that was stopped: a fault on every bar.
    codes: Option<&'a [Code]>,
    keeps: &'a [f64],
}

impl Part<'_> {
    fn code(&self, bar: usize) -> Code {
        match self.codes {
            Some(codes) => codes.get(bar).copied().unwrap_or_default(),
            None => Code::new(Verdict::Fault, None),
        }
    }
}

/// Combines the runs of several rules over the same bars.
pub fn combine(results: Vec<Result<Ran, RuleStopped>>, bars: &Bars, wanted: Wanted) -> CombinedRun {
    let parts: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(ran) => Part { rule: &ran.run.rule, codes: Some(&ran.codes), keeps: &ran.keeps },
            Err(stopped) => Part { rule: &stopped.rule, codes: None, keeps: &[] },
        })
        .collect();
    let mut counts = Counts::default();
    let mut first: Vec<CombinedEvent> = Vec::new();
    let mut events = Vec::new();
    let mut events_truncated = false;
    let mut verdicts = wanted.series.verdict.then(|| Vec::with_capacity(bars.rows));
    let mut before = Code::default();
    for bar in 0..bars.rows {
        let code = parts.iter().fold(Code::default(), |code, part| code.combine(part.code(bar)));
        let verdict = code.verdict();
        counts.add(verdict, 1);
        if let Some(verdicts) = &mut verdicts {
            verdicts.push(verdict);
        }
        if code == before {
            continue;
        }
        before = code;
        if verdict != Verdict::Ok && first.iter().all(|event| event.verdict != verdict) {
            first.push(event(&parts, bars, bar, code));
        }
        if events.len() < wanted.events {
            events.push(event(&parts, bars, bar, code));
        } else {
            events_truncated = true;
        }
    }
    first.sort_by_key(|event| event.verdict);
    let last = bars.rows.checked_sub(1).map(|bar| event(&parts, bars, bar, before));
    let fuel = results.iter().flatten().fold(0_u64, |sum, ran| sum.saturating_add(ran.run.fuel));
    let rules = results.into_iter().map(|result| result.map(|ran| ran.run)).collect();
    CombinedRun { bars: bars.rows, counts, first, events, events_truncated, last, verdicts, rules, fuel }
}

fn event(parts: &[Part<'_>], bars: &Bars, bar: usize, code: Code) -> CombinedEvent {
    let reducing = |part: &&Part<'_>| part.code(bar).action() == Some(Action::Reduce);
    // A fraction that is none is nothing to keep, as `Outcome` reads it.
    let fraction = |part: &Part<'_>| part.keeps.get(bar).copied().filter(|k| (0.0..=1.0).contains(k)).unwrap_or(0.0);
    let smallest = || parts.iter().filter(reducing).map(fraction).fold(1.0, f64::min);
    CombinedEvent {
        bar,
        time: time_of(bars.time.as_deref(), bar),
        verdict: code.verdict(),
        action: code.action(),
        keep: (code.action() == Some(Action::Reduce)).then(smallest),
        rules: match code.verdict() {
            Verdict::Ok => Vec::new(),
            verdict => parts.iter().filter(|p| p.code(bar).verdict() == verdict).map(|p| p.rule.clone()).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_rule_is_a_fault_on_every_bar_and_others_keep_their_actions() {
        let bars = Bars { rows: 3, ..Bars::default() };
        let names = ["a", "b", "c"].map(|name| RuleName::new(name).unwrap());
        let half = [
            Code::default(),
            Code::new(Verdict::Breach, Some(Action::Reduce)),
            Code::new(Verdict::Breach, Some(Action::Reduce)),
        ];
        let third = [Code::default(), Code::default(), Code::new(Verdict::Warn, Some(Action::Reduce))];
        let parts = [
            Part { rule: &names[0], codes: Some(&half), keeps: &[f64::NAN, 0.5, 0.5] },
            Part { rule: &names[1], codes: None, keeps: &[] },
            Part { rule: &names[2], codes: Some(&third), keeps: &[f64::NAN, f64::NAN, 0.3] },
        ];
        let code = |bar| parts.iter().fold(Code::default(), |code, part| code.combine(part.code(bar)));
        let at = |bar| event(&parts, &bars, bar, code(bar));
        assert_eq!((at(0).verdict, at(0).action, at(0).rules.len()), (Verdict::Fault, None, 1));
        assert_eq!((at(1).verdict, at(1).keep), (Verdict::Fault, Some(0.5)));
        assert_eq!((at(2).action, at(2).keep), (Some(Action::Reduce), Some(0.3)));
        assert_eq!(at(2).rules, [names[1].clone()]);
    }
}
