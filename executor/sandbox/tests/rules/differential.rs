//! The same bits from the module and from the interpreter.

use rulebox_dsl::bars::Bars;
use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::generate::{Choices, at_tolerance, generate};
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::typed::{Base, Rule};
use rulebox_dsl::{manifest, testing};

use crate::harness::{Case, SOURCES};

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

/// Bars for a rule: a walk around 100 that comes back to equal values, with gaps where they may be; times from Friday
/// on, hours and minutes apart, over a change of the clocks.
pub fn walk(rule: &Rule, choices: &mut Choices<'_>, rows: usize) -> Bars {
    walk_with(rule, choices, rows, false)
}

/// The same, with values on some bars that most rules fault on.
pub fn walk_with(rule: &Rule, choices: &mut Choices<'_>, rows: usize, bad: bool) -> Bars {
    let column = |choices: &mut Choices<'_>, input: &rulebox_dsl::typed::Input| {
        let mut value: f64 = 100.0;
        let (lo, hi) = input.range.unwrap_or((f64::MIN, f64::MAX));
        (0..rows)
            .map(|_| {
                if input.ty.optional && choices.chance(1, 5) {
                    return f64::NAN;
                }
                if input.ty.base == Base::Bool {
                    return f64::from(u8::from(choices.chance(1, 2)));
                }
                if bad && choices.chance(1, 100) {
                    return choices.pick(&[f64::INFINITY, f64::NAN, 1e308, -1e308, 0.0]);
                }
                value = match choices.below(8) {
                    0 => 100.0,
                    1 => value,
                    2 => value * (1.0 - 1e-13),
                    _ => value + (choices.fraction() - 0.5) * 6.0,
                };
                value.clamp(lo, hi)
            })
            .collect::<Vec<_>>()
    };
    let inputs = rule.inputs.iter().map(|input| column(choices, input)).collect();
    let bars = Bars::new(rows, inputs);
    if !rule.uses_time() {
        return bars;
    }
    // 2026-03-27T12:00Z.
    let mut time = 1_774_612_800_000;
    let times = (0..rows).map(|_| {
        time += i64::from(choices.pick(&[0_u32, 60_000, 300_000, 900_000, 3_600_000, 20_000_000]));
        time
    });
    let calendar = Calendar::new(&rule.clock.zone, rule.clock.day_start).unwrap();
    bars.with_time(times.collect(), &calendar)
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
