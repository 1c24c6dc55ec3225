//! What the language reference says, as rules that must behave so.

mod clock;
mod expressions;
mod generated;
mod inputs;
mod memories;
mod verdicts;

use rulebox_abi::MISSING;
use rulebox_abi::columns::OutputColumns;

use super::Interpreter;
use crate::bars::Bars;
use crate::calendar::Calendar;
use crate::limits::Limits;
use crate::manifest::{self, Action, Manifest};
use crate::outcome::Outcome;
use crate::span::LineIndex;
use crate::typed::Rule;
use crate::{check_source, testing, time};

/// A rule that must compile.
fn rule(source: &str) -> Rule {
    check_source(source, &Limits::DEFAULT).unwrap_or_else(|errors| panic!("{errors}\n{source}")).rule
}

/// Runs the tests below a rule; there must be some and they must pass.
fn passes(source: &str) {
    let failures = failures(source);
    assert!(failures.is_empty(), "{}\n{source}", failures.join("\n"));
}

fn failures(source: &str) -> Vec<String> {
    let rule = rule(source);
    let manifest = manifest::describe(&rule, source);
    let results = testing::run(&rule, &manifest, |params, input, sink| {
        Interpreter::new(&rule, params).run(input, 0, sink);
        Ok::<(), String>(())
    });
    assert!(!results.is_empty(), "no tests");
    results.iter().filter_map(|result| result.describe(&LineIndex::new(source))).collect()
}

/// A rule that has run.
struct Ran {
    source: String,
    manifest: Manifest,
    columns: OutputColumns,
}

/// Runs a rule with its default params over columns of inputs.
fn run(source: &str, inputs: &[&[f64]]) -> Ran {
    run_at(source, &[], inputs)
}

/// The same with times; `TIME_MISSING` where one cannot be read.
fn run_at(source: &str, times: &[&str], inputs: &[&[f64]]) -> Ran {
    let rule = rule(source);
    let mut columns = OutputColumns::default();
    let bars = bars(&rule, times, inputs);
    Interpreter::new(&rule, &[]).run(&bars.view().columns(), 0, &mut columns);
    assert_eq!(columns.verdicts.len(), bars.rows());
    Ran { source: source.to_owned(), manifest: manifest::describe(&rule, source), columns }
}

fn bars(rule: &Rule, times: &[&str], inputs: &[&[f64]]) -> Bars {
    let rows = inputs.first().map_or(times.len(), |column| column.len());
    let bars = Bars::new(rows, inputs.iter().map(|column| column.to_vec()).collect());
    if times.is_empty() {
        return bars;
    }
    let calendar = Calendar::new(&rule.clock.zone, rule.clock.day_start).unwrap();
    let times = times.iter().map(|text| time::parse(text).unwrap_or(rulebox_abi::TIME_MISSING)).collect();
    bars.with_time(times, &calendar)
}

impl Ran {
    fn outcome(&self, row: usize) -> Outcome {
        Outcome::of_columns(&self.manifest, &self.columns, row)
    }

    /// Verdict and action of every bar.
    fn says(&self) -> Vec<String> {
        let one = |row| {
            let outcome = self.outcome(row);
            let action = outcome.action.map_or(String::new(), |action| format!(" {}", Action::name(action)));
            format!("{}{action}", outcome.verdict.name())
        };
        (0..self.columns.verdicts.len()).map(one).collect()
    }

    fn reasons(&self, row: usize) -> Vec<String> {
        self.outcome(row).reasons
    }

    /// Message of the fault of a bar and the text where it stands.
    fn fault(&self, row: usize) -> (&str, &str) {
        let fault = &self.manifest.spans[self.outcome(row).fault.unwrap()];
        (&fault.message, &self.source[fault.start as usize..fault.end as usize])
    }

    fn out(&self, name: &str) -> Vec<f64> {
        let column = self.manifest.outs.iter().position(|out| out.name == name).unwrap();
        self.columns.outs[column].iter().map(|&bits| f64::from_bits(bits)).collect()
    }

    /// Asserts the bits of an out.
    fn has_out(&self, name: &str, expected: &[f64]) {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let got = self.out(name);
        assert_eq!(bits(&got), bits(expected), "{name}: {got:?}, expected {expected:?}");
    }
}

/// The missing value, short.
const M: f64 = MISSING;

#[test]
fn a_wrong_test_is_reported_with_its_line_and_what_was_said() {
    let source = "rule r(x) {\n  let y = 1 / x\n  if y > 1 { breach block \"y {y}\" }\n}\n\
        test \"wrong verdict\" {\n  bar x=2 -> ok\n  bar x=0.5 -> warn\n}\n\
        test \"right\" { bar x=0 -> fault }\n\
        test \"wrong action\" { bar x=0.5 -> breach }\n\
        test \"unexpected fault\" { bar x=0 -> breach liquidate }\n";
    assert_eq!(
        failures(source),
        [
            "test \"wrong verdict\", bar 1 (line 7): expected `warn`, got `breach block` (y 2)",
            "test \"wrong action\", bar 0 (line 10): expected `breach`, got `breach block` (y 2)",
            "test \"unexpected fault\", bar 0 (line 11): expected `breach liquidate`, got `fault`: \
             division by zero, at 2:11",
        ]
    );
}

#[test]
fn an_engine_that_fails_or_stops_is_reported() {
    let source = "rule r(x) = x > 1\ntest \"t\" {\n bar x=1 -> ok\n bar x=1 -> ok }";
    let rule = rule(source);
    let manifest = manifest::describe(&rule, source);
    let lines = LineIndex::new(source);
    let failed = testing::run(&rule, &manifest, |_, _, _| Err("out of fuel"));
    assert_eq!(failed[0].describe(&lines).unwrap(), "test \"t\" could not run: out of fuel");
    let stopped = testing::run(&rule, &manifest, |_, _, _| Ok::<(), String>(()));
    assert_eq!(stopped[0].describe(&lines).unwrap(), "test \"t\" stopped after 0 of 2 bars");
}

/// Chunks and saved states change nothing: a clone of an interpreter is a saved run.
#[test]
fn any_split_of_the_bars_gives_the_same_bits() {
    let source = "clock \"Europe/Prague\" day 00:00\nrule r(x: num?, y) {\n  var base per day = y\n  var seen = 0\n\
        let z = x ?? y\n  out e = ema(z, 3)\n  out s = stdev(y, 4, min: 2)\n  out back = x[2]\n  out r = rsi(y, 2)\n\
        if y > base { breach reduce(min(1, 1 / y)) for 3 bars \"{x} {base}\" }\n\
        if crosses_above(y, z) { seen := seen + 1 warn block for 90m \"{seen} {time_of_day}\" }\n}";
    let rule = rule(source);
    let x: Vec<f64> = (0..200).map(|i| if i % 7 == 0 { M } else { f64::from(i * i % 11) }).collect();
    let y: Vec<f64> = (0..200).map(|i| f64::from(i * i * i % 13 + 1)).collect();
    let times: Vec<String> = (0..200).map(|i| (1_700_000_000_000_i64 + i * 1_800_000).to_string()).collect();
    let times: Vec<&str> = times.iter().map(String::as_str).collect();
    let mut whole = OutputColumns::default();
    let all = bars(&rule, &times, &[&x, &y]);
    Interpreter::new(&rule, &[]).run(&all.view().columns(), 0, &mut whole);
    assert!(whole.fired.contains(&3), "the rule is exercised");
    for chunk in [1, 3, 64] {
        let mut parts = OutputColumns::default();
        let mut interpreter = Interpreter::new(&rule, &[]);
        for start in (0..200).step_by(chunk) {
            let part = start..(start + chunk).min(200);
            let some = bars(&rule, &times[part.clone()], &[&x[part.clone()], &y[part]]);
            let mut saved = interpreter.clone();
            interpreter.run(
                &bars(&rule, &["0"], &[&[1.0], &[f64::NAN]]).view().columns(),
                0,
                &mut OutputColumns::default(),
            );
            saved.run(&some.view().columns(), start, &mut parts);
            interpreter = saved;
        }
        assert_eq!(parts, whole, "chunks of {chunk}");
        interpreter.reset();
        let mut again = OutputColumns::default();
        interpreter.run(&all.view().columns(), 0, &mut again);
        assert_eq!(again, whole, "after a reset");
    }
}

#[test]
fn results_come_in_chunks_of_the_abi() {
    struct Sizes(Vec<(usize, usize)>);
    impl rulebox_abi::columns::OutputSink for Sizes {
        fn rows(&mut self, first_row: usize, rows: &rulebox_abi::columns::OutputRows<'_>) {
            assert_eq!((rows.verdicts.len(), rows.fired.len()), (rows.rows, rows.rows * 4));
            self.0.push((first_row, rows.rows));
        }
    }
    let rule = rule("rule r(x) = x > 1");
    let x = vec![0.0; 10_000];
    let mut sizes = Sizes(Vec::new());
    Interpreter::new(&rule, &[]).run(&bars(&rule, &[], &[&x]).view().columns(), 500, &mut sizes);
    assert_eq!(sizes.0, [(500, 4096), (4596, 4096), (8692, 1808)]);
}
