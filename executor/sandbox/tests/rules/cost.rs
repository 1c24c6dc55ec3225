//! The proved cost: met where a rule has one path and its inputs are tested one by one, and never exceeded elsewhere.

use rulebox_dsl::bars::Bars;
use rulebox_dsl::generate::Choices;

use crate::harness::Case;
use crate::walk::walk;

/// Fuel of a bar that the proof has and a bar rarely takes: where the inputs of a group of bars are not all good, its bars
/// are done one by one, and where those of a bar are not, each is tested.
const ONE_BY_ONE: u64 = 12;
const EACH_INPUT: u64 = 16;

/// Rules whose bars all take one path: arithmetic, comparisons, `and` and `or` of short operands, functions, `cum_` and
/// `count`, over plain inputs, params and lets; outs; and `if condition { … }` around one verdict without placeholders,
/// `reduce` or a hold. The only branches are tests that fault.
const STRAIGHT: &[&str] = &[
    "rule r(x: num, y: num) = x > 20% or y < 50000",
    "rule r(x: num) { out o = x if x > 1 { warn \"\" } }",
    "rule r(x: num, y: num) { out o = x + y * 2 - x / 3 if x > y * 1.1 { warn \"\" } }",
    "rule r(x: num, y: num) { param p: num = 3 in 1..9 out o = (x - p) * (p + 1) / (abs(y) + p) if p > x { warn \"\" } }",
    "rule r(x: num, y: num) { out a = x < y out b = x >= y if x == y and x != 2 { breach \"\" } }",
    "rule r(x: num, y: num) { let a = x - y let b = a * a out o = sqrt(b) out e = max(a, b, 1) if floor(a) > 2 { warn \"\" } }",
    "rule r(x: num, y: bool) { let q = x > 3 or y out o = q if not q { breach block \"\" } if y { warn \"\" } }",
    "rule r(x: num, y: num) { out h = x - (cum_max(x) - cum_sum(y)) if count(x > y, 3, min: 1) > 2 { warn \"\" } }",
];

#[test]
fn a_rule_of_one_path_uses_about_what_was_proved() {
    for source in STRAIGHT {
        let case = Case::new(source);
        for (rows, chunk) in [(1, 1), (7, 4096), (8, 8), (10, 3), (17, 9), (100, 4096), (4096, 4096)] {
            let bars = walk(&case.compiled.rule, &mut Choices::seeded(rows), usize::try_from(rows).unwrap());
            let ran = case.wasm(&case.defaults(), &bars.view().columns(), chunk);
            let a_bar = ran.proved.checked_sub(ran.fuel).unwrap() / rows;
            println!("{a_bar} of {} a bar in {rows} bars in calls of {chunk}: {source}", ran.proved / rows);
            let rarely = ONE_BY_ONE + EACH_INPUT * case.shape.inputs as u64;
            assert!(a_bar <= rarely, "{a_bar} a bar in {rows} bars in calls of {chunk}: {source}");
        }
    }
}

/// Numbers so large that their sum is none: the inputs of each group, and of each bar, are looked at one by one.
#[test]
fn bars_whose_inputs_are_tested_one_by_one_use_what_was_proved() {
    for source in ["rule r(x: num, y: num) = x > 20% or y < 50000", "rule r(x: num, y: num) { if x > 7 { warn \"\" } }"]
    {
        let case = Case::new(source);
        for rows in [8, 80, 4096] {
            let bars = Bars::new(rows, vec![vec![f64::MAX; rows]; 2]);
            let ran = case.wasm(&case.defaults(), &bars.view().columns(), 4096);
            let unused = ran.proved.checked_sub(ran.fuel).unwrap();
            println!("{unused} of {} in {rows} bars: {source}", ran.proved);
            // What bars share is no whole number for each.
            assert!(unused <= 2 * rows as u64, "{unused} in {rows} bars: {source}");
        }
    }
}

#[test]
fn a_full_window_costs_what_was_proved() {
    let case = Case::new("rule r(x: num) { out s = sum(x, 20) ?? 0 out d = stdev(x, 10) }");
    let bars = walk(&case.compiled.rule, &mut Choices::seeded(1), 100);
    let (view, mut instance) = (bars.view(), case.start(&[], 4096));
    let mut out = rulebox_abi::columns::OutputColumns::default();
    instance.eval(&view.columns(), 0, &mut out).unwrap();
    let warm = instance.report().fuel;
    instance.eval(&view.columns(), 100, &mut out).unwrap();
    assert_eq!(instance.report().fuel - warm, case.cost().of_run(100, 4096));
}

#[test]
fn a_run_that_faults_on_its_last_bar_stays_within_the_proof() {
    for source in STRAIGHT {
        let case = Case::new(source);
        for bad in 0..5 {
            let column = |at: usize| {
                (0..5).map(|row| if row == bad && at == 0 { f64::INFINITY } else { 1.0 }).collect::<Vec<_>>()
            };
            let bars = Bars::new(5, (0..case.shape.inputs).map(column).collect());
            case.agree(&case.defaults(), &bars.view().columns());
        }
    }
}

#[test]
fn the_lines_of_a_rule_of_one_path_add_up_to_its_bar() {
    let source = "rule r(x: num,\n y: num) {\n out a = x * y\n let b = x +\n y * 3\n out c = b < 7\n}";
    let case = Case::new(source);
    let empty = Case::new("rule r(x: num,\n y: num) {\n}\n");
    let of = |case: &Case| case.cost().lines.iter().map(|l| (l.line, l.fuel)).collect::<Vec<_>>();
    assert_eq!(of(&case).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(of(&empty), of(&case)[..2]);
    let sum = |case: &Case| case.cost().lines.iter().map(|l| l.fuel).sum::<u64>();
    assert_eq!(case.cost().bar - sum(&case), empty.cost().bar - sum(&empty), "what belongs to no line is the same");
}
