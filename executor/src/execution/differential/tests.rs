use std::path::Path;

use rulebox_dsl::Limits as CompilerLimits;
use rulebox_sandbox::{Digest, Limits, ModuleLimits, Sandbox, SandboxConfig};
use tokio_util::sync::CancellationToken;

use super::sample::{Sample, Sampling};
use super::*;
use crate::domain::bars::{Bars, Column};
use crate::domain::evaluation::SeriesWanted;
use crate::domain::rule::{RuleName, Runnable};
use crate::execution::prepared::Prepared;
use crate::execution::run::{Bound, run};
use crate::execution::summary::Wanted;

const LIMITS: CompilerLimits = CompilerLimits::DEFAULT;

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxConfig { pool_size: 4, ..SandboxConfig::default() }).unwrap()
}

/// The module of one text with the manifest of another.
fn prepared(sandbox: &Sandbox, manifest: &str, module: &str) -> Prepared {
    let compile = |source: &str| rulebox_dsl::compile(source, &LIMITS).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let loaded = sandbox.load(&compile(module).module, &ModuleLimits::default()).unwrap();
    Prepared::new(Arc::new(loaded), compile(manifest).manifest).unwrap()
}

fn check(sandbox: &Sandbox, source: &str, module: &str) -> Verdict {
    let prepared = prepared(sandbox, source, module);
    boundary::check(source, &LIMITS, &prepared, &CancellationToken::new())
}

/// Rules of a folder, by their names.
fn rules(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rules = files.filter(|path| path.extension().is_some_and(|extension| extension == "rule"));
    rules.map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn examples_and_rules_with_every_construct_say_the_same_at_their_boundaries() {
    let sandbox = sandbox();
    let (mut least, mut bars, mut verdicts) = (usize::MAX, 0, 0);
    for (name, source) in rules("../dsl/examples").into_iter().chain(rules("sandbox/tests/rules/sources")) {
        let began = std::time::Instant::now();
        match check(&sandbox, &source, &source) {
            Verdict::Same(tried) => {
                println!("{name}: {tried} bars, {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
                (least, bars, verdicts) = (least.min(tried), bars + tried, verdicts + 1);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    println!("{verdicts} rules, {bars} bars, {least} at least");
    assert!(verdicts > 40 && least >= 32, "{verdicts} rules, {least} bars");
}

/// A text, and one that differs from it a little: a module of the second is found out by bars at the boundaries of the
/// first.
const CHANGED: [(&str, &str, &str); 11] = [
    ("a number by one bit", "out o = x + 0.1", "out o = x + 0.10000000000000002"),
    ("a limit by a part of a million million", "if x > 5000000 { warn \"\" }", "if x > 5000000.00002 { warn \"\" }"),
    ("the end of it", "if x >= 20% { breach \"\" }", "if x > 20% { breach \"\" }"),
    ("a sign of zero", "out o = 0 * x", "out o = 0 * x + 0"),
    ("a window", "out o = sma(x, 20) ?? 0", "out o = sma(x, 21) ?? 0"),
    ("a default", "out o = x[1] ?? 3", "out o = x[1] ?? 4"),
    ("a hold", "if x > 7 { warn for 3 bars \"\" }", "if x > 7 { warn for 4 bars \"\" }"),
    ("a hold by the clock", "if x > 7 { warn for 2h \"\" }", "if x > 7 { warn for 119m \"\" }"),
    ("a time of day", "if time_of_day > 15:25 { warn \"\" }", "if time_of_day >= 15:25 { warn \"\" }"),
    ("an order", "out o = (x + 1e16) + 1", "out o = x + (1e16 + 1)"),
    ("a fault", "out o = div(1, x, 1 / x)", "out o = div(1, x, 1)"),
];

#[test]
fn a_module_that_differs_from_its_text_is_found_out() {
    let sandbox = sandbox();
    for (what, text, changed) in CHANGED {
        let rule = |body: &str| format!("rule r(x) {{ {body} if x == 1234 {{ breach \"b\" }} }}");
        let (text, changed) = (rule(text), rule(changed));
        assert!(matches!(check(&sandbox, &text, &text), Verdict::Same(bars) if bars >= 64), "{what}");
        let found = check(&sandbox, &text, &changed);
        let Verdict::Different(difference) = found else { panic!("{what}: {found:?}") };
        println!("{what}: {}", difference.detail("upload"));
    }
}

#[test]
fn a_module_of_another_rule_is_found_out_before_it_is_run() {
    let sandbox = sandbox();
    let text = "rule r(x) = x > 1";
    for other in ["rule r(y) = y > 1", "rule r(x: num in 0..2) = x > 1", "rule r(x) { if x > 1 { warn \"\" } }"] {
        let prepared = prepared(&sandbox, other, other);
        let found = boundary::check(text, &LIMITS, &prepared, &CancellationToken::new());
        assert_eq!(found, Verdict::Different(Difference::of(Field::Interface)), "{other}");
    }
    // One that takes other params than its manifest says does not even start.
    let found = check(&sandbox, "rule r(x) = x > 1", "rule r(x) { param p: num = 1 if x > p { breach \"\" } }");
    assert!(matches!(found, Verdict::Different(_)), "{found:?}");
}

#[test]
fn what_cannot_be_tried_is_no_difference() {
    let sandbox = sandbox();
    let text = "rule r(x) = x > 1";
    let prepared = prepared(&sandbox, text, text);
    let stop = CancellationToken::new();
    let check = |source: &str| boundary::check(source, &LIMITS, &prepared, &stop);
    assert!(matches!(check("rule r(x"), Verdict::Skipped(_)));
    stop.cancel();
    assert!(matches!(check(text), Verdict::Skipped(_)));

    // One bar would take the interpreter longer than it may: it is not said to be the same.
    let mut compiled = rulebox_dsl::compile(text, &LIMITS).unwrap();
    compiled.manifest.cost.as_mut().unwrap().bar = 30_000_000;
    let loaded = sandbox.load(&compiled.module, &ModuleLimits::default()).unwrap();
    let prepared = Prepared::new(Arc::new(loaded), compiled.manifest).unwrap();
    let checked = boundary::check(text, &LIMITS, &prepared, &CancellationToken::new());
    assert!(matches!(checked, Verdict::Skipped(why) if why.contains("cost")), "{checked:?}");
    let runnable = Runnable { rule: RuleName::new("r").unwrap(), version: 1, digest: Digest([0; 32]) };
    let bound = Bound { runnable, prepared: Arc::new(prepared), columns: vec![Some(0)], params: Vec::new() };
    let (bars, stop) = (columns(&[1.0]), CancellationToken::new());
    let ran = run(&bound, &bars, &Limits { fuel: u64::MAX / 2, ..Limits::default() }, ALL, &stop);
    let sample = Sampling::one_in(1).of_run(&bound, &bars, ALL, &ran).unwrap();
    let checked = sample.check(text, &LIMITS, &Limits::default(), &stop);
    assert!(matches!(checked, Verdict::Skipped(why) if why.contains("bar")), "{checked:?}");
}

fn bound(sandbox: &Sandbox, text: &str, module: &str, inputs: usize) -> Bound {
    let prepared = Arc::new(prepared(sandbox, text, module));
    let params = prepared.manifest.params.iter().map(|param| param.default).collect();
    let runnable = Runnable { rule: RuleName::new("r").unwrap(), version: 1, digest: Digest([0; 32]) };
    Bound { runnable, prepared, columns: (0..inputs).map(Some).collect(), params }
}

fn columns(values: &[f64]) -> Bars {
    let column = Column { name: "x".to_owned(), values: values.to_vec(), first_bool: None };
    Bars { rows: values.len(), columns: vec![column], time: None, single: values.len() == 1 }
}

const ALL: Wanted = Wanted { series: SeriesWanted { verdict: true, out: true }, events: 100, combine: false };

/// What comes of a sample of a run of a module.
fn sampled(sandbox: &Sandbox, text: &str, module: &str, values: &[f64], wanted: Wanted) -> Verdict {
    let (bound, bars, stop) = (bound(sandbox, text, module, 1), columns(values), CancellationToken::new());
    let ran = run(&bound, &bars, &Limits::default(), wanted, &stop);
    let sample: Sample = Sampling::one_in(1).of_run(&bound, &bars, wanted, &ran).unwrap();
    sample.check(text, &LIMITS, &Limits::default(), &stop)
}

const TEXT: &str = "rule r(x) { param p: num = 2 out o = x * 0.1 if x > p { breach \"{x:.2} over {p}\" } }";

#[test]
fn an_answer_is_held_against_the_text() {
    let sandbox = sandbox();
    let values: Vec<f64> = (0..50).map(|n| f64::from(n % 7) - 1.0).collect();
    let none = Wanted { series: SeriesWanted::default(), events: 3, combine: true };
    for wanted in [ALL, none] {
        for values in [&values[..], &values[..1], &[f64::NAN], &[1.0, f64::INFINITY, 2.0]] {
            let same = sampled(&sandbox, TEXT, TEXT, values, wanted);
            assert_eq!(same, Verdict::Same(values.len()));
        }
    }
    // One bit of an out that nobody asked for but the last bar's.
    let changed = TEXT.replace("0.1", "0.10000000000000002");
    for wanted in [ALL, none] {
        let found = sampled(&sandbox, TEXT, &changed, &[3.0, 1.0], wanted);
        assert!(matches!(found, Verdict::Different(Difference { field: Field::Out(0, _), .. })), "{found:?}");
    }
    let changed = TEXT.replace("x > p", "x >= p");
    let found = sampled(&sandbox, TEXT, &changed, &[1.0, 2.0, 1.0], none);
    let field = Field::Verdict { module: rulebox_abi::Verdict::Breach, interpreter: rulebox_abi::Verdict::Ok };
    assert!(matches!(found, Verdict::Different(_)), "{found:?} {field:?}");
    let changed = TEXT.replace("if x > p", "if x > p + 1000");
    assert!(matches!(sampled(&sandbox, TEXT, &changed, &[1.0, 3.0], none), Verdict::Different(_)));
}

#[test]
fn a_large_call_is_held_against_its_first_bars_and_a_sample_is_bounded() {
    let sandbox = sandbox();
    let values: Vec<f64> = (0..100_000).map(|n| f64::from(n % 5)).collect();
    let wanted = Wanted { events: 1_000_000, ..ALL };
    let Verdict::Same(bars) = sampled(&sandbox, TEXT, TEXT, &values, wanted) else { panic!() };
    assert!((100..=1_024).contains(&bars), "{bars}");
    // As much as its messages have room for.
    let long = format!("rule r(x) {{ if x > 2 {{ breach \"{}\" }} }}", "m".repeat(990));
    let Verdict::Same(bars) = sampled(&sandbox, &long, &long, &values, wanted) else { panic!() };
    assert!((10..=400).contains(&bars), "{bars}");
    // And what is not in it is not looked at.
    let late = "rule r(x) { out o = if bar_index > 2000 then 1 else 0 if x > 9 { warn \"\" } }";
    assert!(matches!(sampled(&sandbox, late, &late.replace("2000", "3000"), &values, wanted), Verdict::Same(_)));
    assert!(matches!(sampled(&sandbox, late, &late.replace("2000", "3"), &values, wanted), Verdict::Different(_)));
}

#[test]
fn one_in_so_many_is_sampled_and_none_if_it_is_0() {
    let sandbox = sandbox();
    let (bound, bars, stop) = (bound(&sandbox, TEXT, TEXT, 1), columns(&[1.0]), CancellationToken::new());
    let ran = run(&bound, &bars, &Limits::default(), ALL, &stop);
    let count = |one_in: u64, tries: usize| {
        let sampling = Sampling::one_in(one_in);
        (0..tries).filter(|_| sampling.of_run(&bound, &bars, ALL, &ran).is_some()).count()
    };
    assert_eq!((count(0, 1_000), count(1, 1_000)), (0, 1_000));
    // Twelve standard deviations on both sides.
    let hundredth = count(100, 100_000);
    assert!((600..1_400).contains(&hundredth), "{hundredth}");
}
