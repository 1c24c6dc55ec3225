//! What holds for every rule.

use rulebox_abi::columns::OutputColumns;
use rulebox_abi::{MISSING_BITS, Verdict};

use super::super::Interpreter;
use super::rule;
use crate::bars::Bars;
use crate::calendar::Calendar;
use crate::generate::{Choices, Generated, generate};
use crate::manifest::{self, Action};
use crate::outcome::{self, Outcome};
use crate::typed::Rule;

const ROWS: usize = 60;

fn each(seeds: std::ops::Range<u64>, check: impl Fn(&Generated, &Rule, &Calendar)) {
    for seed in seeds {
        let generated = generate(&mut Choices::seeded(seed), 10, ROWS);
        let rule = rule(&generated.source);
        let calendar = Calendar::new(&rule.clock.zone, rule.clock.day_start).unwrap();
        check(&generated, &rule, &calendar);
    }
}

fn some_bars(generated: &Generated, calendar: &Calendar, rows: std::ops::Range<usize>) -> Bars {
    let inputs = generated.bars.inputs.iter().map(|column| column[rows.clone()].to_vec()).collect();
    Bars::new(rows.len(), inputs).with_time(generated.bars.times[rows].to_vec(), calendar)
}

fn run_whole(generated: &Generated, rule: &Rule, calendar: &Calendar) -> OutputColumns {
    let mut columns = OutputColumns::default();
    let bars = some_bars(generated, calendar, 0..ROWS);
    Interpreter::new(rule, &generated.params).run(&bars.view().columns(), 0, &mut columns);
    columns
}

#[test]
fn any_split_and_any_saved_state_gives_the_same_bits() {
    each(0..200, |generated, rule, calendar| {
        let whole = run_whole(generated, rule, calendar);
        for chunk in [1, 7] {
            let mut parts = OutputColumns::default();
            let mut interpreter = Interpreter::new(rule, &generated.params);
            for start in (0..ROWS).step_by(chunk) {
                let mut saved = interpreter.clone();
                // What runs after a state is saved does not change it.
                let other = some_bars(generated, calendar, ROWS - 3..ROWS);
                interpreter.run(&other.view().columns(), 0, &mut OutputColumns::default());
                let part = some_bars(generated, calendar, start..(start + chunk).min(ROWS));
                saved.run(&part.view().columns(), start, &mut parts);
                interpreter = saved;
            }
            assert_eq!(parts, whole, "chunks of {chunk}\n{}", generated.source);
        }
    });
}

#[test]
fn results_are_what_the_abi_allows() {
    each(200..1000, |generated, rule, calendar| {
        let columns = run_whole(generated, rule, calendar);
        let manifest = manifest::describe(rule, &generated.source);
        let source = &generated.source;
        for column in columns.outs.iter().chain(&columns.message_values) {
            assert!(column.iter().all(|&bits| bits == MISSING_BITS || f64::from_bits(bits).is_finite()), "{source}");
        }
        let mut latched = None;
        for row in 0..ROWS {
            let outcome = Outcome::of_columns(&manifest, &columns, row);
            let fired = columns.fired[row];
            match outcome.verdict {
                Verdict::Ok => assert_eq!(fired, 0, "{source}"),
                Verdict::Fault => {
                    assert!(outcome.fault.is_some(), "{source}");
                    assert_eq!(*latched.get_or_insert(fired), fired, "{source}");
                    assert!(columns.outs.iter().all(|column| column[row] == MISSING_BITS), "{source}");
                }
                Verdict::Warn | Verdict::Breach => {
                    assert!(fired != 0 && u64::from(fired) >> rule.statements.len() == 0, "{source}");
                    assert_eq!(outcome.reasons.len(), fired.count_ones() as usize, "{source}");
                    let keep = columns.keep.get(row).map(|&bits| f64::from_bits(bits)).filter(|keep| !keep.is_nan());
                    assert_eq!(keep, outcome.keep, "{source}");
                    assert_eq!(keep.is_some(), outcome.action == Some(Action::Reduce), "{source}");
                }
            }
            assert!(latched.is_none() || outcome.verdict == Verdict::Fault, "{source}");
        }
        // Nothing that is unspecified is left for normalising to change.
        let mut normal = columns.clone();
        outcome::normalise(&mut normal, &manifest);
        assert_eq!(normal, columns, "{source}");
    });
}
