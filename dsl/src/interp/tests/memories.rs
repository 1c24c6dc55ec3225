//! Calls with memory, on series short enough to be worked out by hand.

use super::{M, run};

const UP: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0];

#[test]
fn windows_are_missing_until_full_and_partial_ones_from_min() {
    let ran = run(
        "rule r(x) {\n out s = sum(x, 3)\n out m = sma(x, 3)\n out p = sum(x, 3, min: 2)\n out q = sma(x, 3, min: 1)\n\
         out one = sum(x, 1)\n out hi = highest(x, 2)\n out lo = lowest(x, 2, min: 1)\n out c = count(x > 2, 3)\n\
         out k = count(x > 2, 3, min: 1) }",
        &[UP],
    );
    ran.has_out("s", &[M, M, 6.0, 9.0, 12.0]);
    ran.has_out("m", &[M, M, 2.0, 3.0, 4.0]);
    ran.has_out("p", &[M, 3.0, 6.0, 9.0, 12.0]);
    ran.has_out("q", &[1.0, 1.5, 2.0, 3.0, 4.0]);
    ran.has_out("one", UP);
    ran.has_out("hi", &[M, 2.0, 3.0, 4.0, 5.0]);
    ran.has_out("lo", &[1.0, 1.0, 2.0, 3.0, 4.0]);
    ran.has_out("c", &[M, M, 1.0, 2.0, 3.0]);
    ran.has_out("k", &[0.0, 0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn window_sizes_are_params_too() {
    let source = "rule r(x) {\n param n: int = 2 in 1..4\n out s = sum(x, n) }";
    run(source, &[UP]).has_out("s", &[M, 3.0, 5.0, 7.0, 9.0]);
}

#[test]
fn sums_are_fresh_folds_without_residue() {
    // A running sum would keep what 1e16 swallowed.
    let ran = run("rule r(x) {\n out s = sum(x, 2)\n out m = sma(x, 2) }", &[&[1e16, 1.0, 1.0, 0.1, 0.2]]);
    ran.has_out("s", &[M, 1e16 + 1.0, 2.0, 1.1, 0.1 + 0.2]);
    ran.has_out("m", &[M, 5e15, 1.0, 0.55, 0.150_000_000_000_000_02]);
    // From 0 and from the oldest on.
    run("rule r(x) {\n out s = sum(x, 3) }", &[&[1e16, 1.0, 1.0]]).has_out("s", &[M, M, 1e16]);
    run("rule r(x) {\n out s = sum(x, 1) }", &[&[-0.0]]).has_out("s", &[0.0]);
}

#[test]
fn extremes_order_zeros() {
    let ran = run("rule r(x) {\n out h = highest(x, 2)\n out l = lowest(x, 2) }", &[&[-0.0, 0.0, -0.0, -1.0]]);
    ran.has_out("h", &[M, 0.0, 0.0, -0.0]);
    ran.has_out("l", &[M, -0.0, -0.0, -1.0]);
}

#[test]
fn standard_deviations_are_two_pass() {
    let ran = run(
        "rule r(x) {\n out p = stdev(x, 4)\n out s = stdev(x, 4, sample: true)\n out q = stdev(x, 4, min: 2, sample: true)\n\
         out one = stdev(x, 1) }",
        &[&[2.0, 4.0, 4.0, 6.0, 6.0]],
    );
    ran.has_out("p", &[M, M, M, 2.0_f64.sqrt(), 1.0]);
    ran.has_out("s", &[M, M, M, (8.0_f64 / 3.0).sqrt(), (4.0_f64 / 3.0).sqrt()]);
    let third = (0.0 + (2.0 - 10.0 / 3.0) * (2.0 - 10.0 / 3.0) + 2.0 * ((4.0 - 10.0 / 3.0) * (4.0 - 10.0 / 3.0))) / 2.0;
    assert!((ran.out("q")[2] - f64::sqrt(third)).abs() < 1e-15);
    assert_eq!(ran.out("q")[1].to_bits(), 2.0_f64.sqrt().to_bits());
    ran.has_out("one", &[0.0; 5]);
    // One pass would lose this: E[x^2] - E[x]^2 is 0 or negative.
    run("rule r(x) {\n out p = stdev(x, 2) }", &[&[1e9, 1e9 + 1.0]]).has_out("p", &[M, 0.5]);
}

#[test]
fn exponential_means_start_from_the_mean_of_the_first() {
    let ran = run(
        "rule r(x) {\n out e = ema(x, 3)\n out r = rma(x, 2)\n out one = ema(x, 1) }",
        &[&[1.0, 2.0, 3.0, 4.0, 9.0]],
    );
    ran.has_out("e", &[M, M, 2.0, 3.0, 6.0]);
    ran.has_out("r", &[M, 1.5, 2.25, 3.125, 6.0625]);
    ran.has_out("one", &[1.0, 2.0, 3.0, 4.0, 9.0]);
}

#[test]
fn rsi_and_atr_start_at_bar_n() {
    let ran = run("rule r(x) {\n out r = rsi(x, 2) }", &[&[10.0, 11.0, 10.0, 12.0, 12.0]]);
    let later = 100.0 * (1.25 / 1.5);
    ran.has_out("r", &[M, M, 50.0, later, later]);
    run("rule r(x) {\n out r = rsi(x, 2) }", &[&[5.0, 5.0, 5.0, 6.0]]).has_out("r", &[M, M, 50.0, 100.0]);
    run("rule r(x) {\n out r = rsi(x, 1) }", &[&[5.0, 4.0, 4.0]]).has_out("r", &[M, 0.0, 50.0]);
    let ran = run(
        "rule r(h, l, c) {\n out a = atr(h, l, c, 2) }",
        &[&[10.0, 11.0, 13.0, 12.0], &[8.0, 9.0, 10.0, 11.0], &[9.0, 10.0, 12.0, 11.0]],
    );
    ran.has_out("a", &[M, M, 2.5, 1.75]);
    // A gap: the close before is outside the bar.
    let ran = run(
        "rule r(h, l, c) {\n out a = atr(h, l, c, 1) }",
        &[&[10.0, 21.0, 3.0], &[8.0, 20.0, 2.0], &[9.0, 20.0, 2.0]],
    );
    ran.has_out("a", &[M, 12.0, 18.0]);
}

#[test]
fn cumulative_functions_streaks_and_bars_since() {
    let ran = run(
        "rule r(x) {\n out hi = cum_max(x)\n out lo = cum_min(x)\n out s = cum_sum(x)\n out run = streak(x > 1)\n\
         out since = bars_since(x > 1) }",
        &[&[1.0, 2.0, 3.0, -1.0, 0.0, 4.0]],
    );
    ran.has_out("hi", &[1.0, 2.0, 3.0, 3.0, 3.0, 4.0]);
    ran.has_out("lo", &[1.0, 1.0, 1.0, -1.0, -1.0, -1.0]);
    ran.has_out("s", &[1.0, 3.0, 6.0, 5.0, 5.0, 9.0]);
    ran.has_out("run", &[0.0, 1.0, 2.0, 0.0, 0.0, 1.0]);
    ran.has_out("since", &[M, 0.0, 0.0, 1.0, 2.0, 0.0]);
}

#[test]
fn crosses_are_tolerant_and_false_on_bar_0() {
    let ran = run(
        "rule r(a, b) {\n out up = crosses_above(a, b)\n out down = crosses_below(a, b) }",
        &[&[5.0, 1.0, 3.0, 3.0, 0.3, 1.0, 2.0], &[1.0, 3.0, 3.0, 2.0, 0.1 + 0.2, 1.0 + 1e-13, 1.0]],
    );
    ran.has_out("up", &[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    ran.has_out("down", &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_window_is_never_skipped_by_an_if() {
    let ran = run(
        "rule r(x) {\n  if x > 3 { out s = sum(x, 3) }\n  out short = x > 3 and count(x > 0, 2, min: 1) == 2 }",
        &[UP],
    );
    ran.has_out("s", &[M, M, M, 9.0, 12.0]);
    ran.has_out("short", &[0.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn a_fault_in_memory_faults_the_bar_even_in_a_branch_that_is_not_taken() {
    let ran = run("rule r(x) {\n  if x < 0 { out s = sum(x, 2) } }", &[&[1e308, 1.0, 1e308, 1e308]]);
    assert_eq!(ran.says(), ["ok", "ok", "ok", "fault"]);
    assert_eq!(ran.fault(3), ("the result is not finite", "sum(x, 2)"));
    let ran = run("rule r(x) {\n  if x < 0 { out s = sum(1 / x, 2) } }", &[&[1.0, 0.0]]);
    assert_eq!(ran.fault(1), ("division by zero", "1 / x"));
}

#[test]
fn every_intermediate_must_be_finite() {
    const BIG: f64 = 1.7e308;
    for (call, x) in [
        ("sma(x, 2)", [BIG, BIG]),
        ("stdev(x, 2)", [BIG, -BIG]),
        ("cum_sum(x)", [BIG, BIG]),
        ("ema(x, 1)", [-BIG, BIG]),
        ("rsi(x, 1)", [-BIG, BIG]),
        ("atr(x, -x, 0, 1)", [1.0, BIG]),
    ] {
        let ran = run(&format!("rule r(x) {{\n out y = {call} }}"), &[&x]);
        assert_eq!(ran.says(), ["ok", "fault"], "{call}");
        assert_eq!(ran.fault(1), ("the result is not finite", call));
    }
    // What a mean is made of is used when it has its first values.
    let ran = run("rule r(x) {\n out y = rsi(x, 3) }", &[&[BIG, -BIG, 0.0, 0.0]]);
    assert_eq!(ran.says(), ["ok", "ok", "ok", "fault"]);
    let ran = run("rule r(h, l) {\n out y = atr(h, l, 0, 3) }", &[&[0.0, -BIG, 0.0, 0.0], &[0.0, BIG, 0.0, 0.0]]);
    assert_eq!(ran.says(), ["ok", "ok", "ok", "fault"]);
    let ran = run("rule r(x) {\n out y = ema(x, 3) }", &[&[BIG, BIG, -BIG]]);
    assert_eq!(ran.says(), ["ok", "ok", "fault"]);
    let ran = run("rule r(x) {\n out y = sum(x, 3) }", &[&[BIG, BIG, -BIG]]);
    assert_eq!(ran.says(), ["ok", "ok", "fault"]);
}

#[test]
fn calls_nest() {
    let ran = run(
        "rule r(x) {\n  let m = sma(x, 2, min: 1)\n  out e = highest(m, 2)\n  out s = sum(streak(x > 1), 2) }",
        &[UP],
    );
    ran.has_out("e", &[M, 1.5, 2.5, 3.5, 4.5]);
    ran.has_out("s", &[M, 1.0, 3.0, 5.0, 7.0]);
}
