//! How cost grows: what one more of something costs where there are few, and where there are many.

use std::hint::black_box;

use rulebox_sandbox::Sandbox;

use crate::answer::Answer;
use crate::measure::{Contestant, Sample, float, in_turn, try_nanoseconds_each};
use crate::report::{Figure, Report};
use crate::rows::Rows;
use crate::rules::{R1, R5};
use crate::subject::{Compiled, Subject, load, sandbox};
use crate::{Bench, Error};

/// Each line has the cost of one row, value or condition, and its ratio to that of the line with the fewest: 1 or less
/// is linear or better.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let sandbox = sandbox()?;
    rows(bench, &sandbox, report)?;
    windows(bench, &sandbox, report)?;
    conditions(bench, &sandbox, report)?;
    compilation(bench, &sandbox, report);
    Ok(())
}

fn rows(bench: &Bench, sandbox: &Sandbox, report: &mut Report) -> Result<(), Error> {
    let counts = [10, 100, 1_000, 10_000, 100_000, 1_000_000];
    let series: Vec<_> = counts.into_iter().filter(|count| *count <= bench.rows()).map(Rows::new).collect();
    for rule in [R1, R5] {
        let subject = Subject::load(sandbox, &rule)?;
        let turns = series.iter().map(|rows| turn(bench, &subject, rows));
        let samples = in_turn(bench.rounds(), &mut turns.collect::<Vec<_>>());
        let names = series.iter().map(|rows| format!("{}, {} rows", rule.name, rows.bars()));
        lines(report, "ns/row", names.zip(&samples));
    }
    Ok(())
}

fn windows(bench: &Bench, sandbox: &Sandbox, report: &mut Report) -> Result<(), Error> {
    const SIZES: [usize; 3] = [5, 50, 250];
    let rows = Rows::new(bench.rows() / 20);
    for function in ["sma", "stdev", "highest"] {
        let source = |size| format!("rule r(equity: num) = equity < ({function}(equity, {size}) ?? 0) * 0.5\n");
        let subjects = SIZES.map(|size| Subject::of_source(sandbox, &source(size), false));
        let subjects = subjects.into_iter().collect::<Result<Vec<_>, _>>()?;
        let turns = subjects.iter().map(|subject| turn(bench, subject, &rows));
        let samples = in_turn(bench.rounds(), &mut turns.collect::<Vec<_>>());
        let each = samples.iter().zip(SIZES).map(|(sample, size)| sample.map(|ns| ns / float(size)));
        let each: Vec<_> = each.collect();
        let names = SIZES.iter().map(|size| format!("{function} of {size} bars"));
        lines(report, "ns/value", names.zip(&each));
    }
    Ok(())
}

const CONDITIONS: [usize; 4] = [2, 8, 32, 128];

/// A rule that sums as many conditions, as R6 does.
fn rule_of(conditions: usize) -> String {
    let terms: Vec<_> = (0..conditions).map(|i| format!("(if equity < {} then 1 else 0)", 50_000 + 400 * i)).collect();
    format!("rule r(equity: num) {{\n  if {} > 1 {{ breach \"\" }}\n}}\n", terms.join("\n    + "))
}

fn conditions(bench: &Bench, sandbox: &Sandbox, report: &mut Report) -> Result<(), Error> {
    let rows = Rows::new(bench.rows() / 20);
    let subjects = CONDITIONS.map(|count| Subject::of_source(sandbox, &rule_of(count), false));
    let subjects = subjects.into_iter().collect::<Result<Vec<_>, _>>()?;
    let turns = subjects.iter().map(|subject| turn(bench, subject, &rows));
    let samples = in_turn(bench.rounds(), &mut turns.collect::<Vec<_>>());
    of_each_condition(report, "ns/bar and condition", "", &samples);
    Ok(())
}

fn compilation(bench: &Bench, sandbox: &Sandbox, report: &mut Report) {
    let sources = CONDITIONS.map(rule_of);
    let turns = sources.iter().map(|source| -> Contestant<'_> {
        Box::new(move || {
            try_nanoseconds_each(1_000, || {
                let compiled = Compiled::new(black_box(source))?;
                load(sandbox, &compiled.module).map(drop)
            })
        })
    });
    let samples = in_turn(bench.rounds(), &mut turns.collect::<Vec<_>>());
    of_each_condition(report, "us/condition", "compile ", &samples);
}

fn of_each_condition(report: &mut Report, unit: &'static str, what: &str, samples: &[Sample]) {
    let each = samples.iter().zip(CONDITIONS).map(|(sample, count)| sample.map(|cost| cost / float(count)));
    let each: Vec<_> = each.collect();
    lines(report, unit, CONDITIONS.iter().map(|count| format!("{what}{count} conditions")).zip(&each));
}

/// Runs of a rule, as many as take a while: nanoseconds a bar.
fn turn<'a>(bench: &Bench, subject: &'a Subject, rows: &'a Rows) -> Contestant<'a> {
    let times = (bench.rows() / 5).div_ceil(rows.bars());
    let mut answer = Answer::new(rows.bars());
    Box::new(move || {
        try_nanoseconds_each(times * rows.bars(), || {
            (0..times).try_for_each(|_| subject.run(black_box(rows), black_box(&mut answer)))
        })
    })
}

/// A line for each, beside the first.
fn lines<'a>(report: &mut Report, unit: &'static str, costs: impl Iterator<Item = (String, &'a Sample)>) {
    let mut first: Option<(String, &Sample)> = None;
    for (name, cost) in costs {
        let figure = Figure::new(name.clone(), unit, cost);
        report.add(match &first {
            Some((fewest, least)) => figure.over(fewest.clone(), cost, least),
            None => figure,
        });
        first.get_or_insert((name, cost));
    }
}
