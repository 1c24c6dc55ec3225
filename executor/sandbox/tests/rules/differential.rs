//! The same bits from the module and from the interpreter.

use rulebox_dsl::bars::Bars;
use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::generate::{Choices, at_tolerance, generate};
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::{manifest, testing};

use crate::harness::{Case, SOURCES};
use crate::walk::walk_with;

/// Rules that are generated for one run of the tests.
const GENERATED: u64 = 300;

#[test]
fn examples_pass_their_tests_as_modules() {
    for (name, source) in SOURCES.iter() {
        let case = Case::new(source);
        let rule = &case.compiled.rule;
        let manifest: &manifest::Manifest = &case.compiled.manifest;
        let results = testing::run(rule, manifest, |params, bars, sink| {
            case.module.run(&case.shape, params, bars, &Case::limits(4096), sink).map(|_| ())
        });
        for result in results {
            assert!(result.passed(), "{name}: {:?}", result.describe(&LineIndex::new(source)));
        }
    }
}

#[test]
fn written_rules_agree_bit_for_bit() {
    let mut verdicts = [0; 4];
    for (_, source) in SOURCES.iter() {
        let case = Case::new(source);
        for seed in 0..20 {
            let bars = walk_with(&case.compiled.rule, &mut Choices::seeded(seed), 150, seed % 4 == 0);
            let ran = case.agree(&case.defaults(), &bars.view().columns());
            for verdict in ran.columns.verdicts {
                verdicts[usize::from(verdict)] += 1;
            }
        }
    }
    assert!(verdicts.iter().all(|bars| *bars > 100), "of each verdict: {verdicts:?}");
}

#[test]
fn generated_rules_agree_bit_for_bit() {
    let mut faulted = 0;
    for seed in 0..GENERATED {
        let generated = generate(&mut Choices::seeded(seed), 12, 60);
        let case = Case::new(&generated.source);
        let rule = &case.compiled.rule;
        let bars = Bars::new(generated.bars.rows, generated.bars.inputs.clone());
        let bars = if rule.uses_time() {
            let calendar = Calendar::new(&rule.clock.zone, rule.clock.day_start).unwrap();
            bars.with_time(generated.bars.times.clone(), &calendar)
        } else {
            bars
        };
        let check = std::panic::AssertUnwindSafe(|| case.agree(&generated.params, &bars.view().columns()));
        match std::panic::catch_unwind(check) {
            Ok(ran) => faulted += u64::from(ran.columns.verdicts.contains(&3)),
            Err(panic) => {
                eprintln!("seed {seed}, params {:?}\n{}", generated.params, generated.source);
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(faulted > 0 && faulted < GENERATED, "{faulted} of {GENERATED} faulted");
}

#[test]
fn numbers_that_differ_by_the_tolerance_compare_alike() {
    let outs = ["x > y", "x >= y", "x < y", "x <= y", "x == y", "x != y", "crosses_above(x, y)", "crosses_below(x, y)"];
    let composed = ["x + 0 > y * 1", "y / 1 < x - 0", "max(x, y) > min(x, y)", "(z ?? y) > y"];
    let texts = outs.iter().chain(&composed);
    let outs: Vec<_> = texts.enumerate().map(|(at, text)| format!("out o{at} = {text}")).collect();
    let case = Case::new(&format!("rule r(x, y, z: num?) {{ {} if x > y {{ warn \"x\" }} }}", outs.join(" ")));
    let mut choices = Choices::seeded(9);
    let rows = 50_000;
    let (mut x, mut y) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for _ in 0..rows {
        let (a, b) = at_tolerance(&mut choices);
        let sign = choices.pick(&[1.0, -1.0]);
        let (a, b) = if choices.chance(1, 2) { (a, b) } else { (b, a) };
        x.push(a * sign);
        y.push(b * sign);
    }
    let bars = Bars::new(rows, vec![x.clone(), y, x]);
    let ran = case.agree(&[], &bars.view().columns());
    let warns: u32 = ran.columns.verdicts.iter().map(|verdict| u32::from(*verdict)).sum();
    assert!((2_500..25_000).contains(&warns), "{warns} of {rows} pairs compare as larger");
}
