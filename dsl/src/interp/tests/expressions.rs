//! Expressions: arithmetic and its faults, missing values, what is evaluated and what is not.

use super::{M, passes, run};

#[test]
fn comparisons_are_tolerant() {
    passes(
        "rule r(start, now) {\n  let loss = 1 - now / start\n  if loss > 5% { breach \"over\" }\n\
         else if loss >= 5% { warn \"at\" }\n}\n\
         test \"exactly five percent\" {\n bar start=100 now=95 -> warn\n bar start=100 now=94.9999 -> breach\n\
         bar start=100 now=95.0001 -> ok }",
    );
    let ran = run(
        "rule r(a, b) {\n out lt = a < b\n out le = a <= b\n out gt = a > b\n out ge = a >= b\n out eq = a == b\n out ne = a != b }",
        &[&[0.3, 1.0, 2.0, 1e15], &[0.1 + 0.2, 2.0, 1.0, 1e15 + 2000.0]],
    );
    ran.has_out("lt", &[0.0, 1.0, 0.0, 1.0]);
    ran.has_out("le", &[1.0, 1.0, 0.0, 1.0]);
    ran.has_out("gt", &[0.0, 0.0, 1.0, 0.0]);
    ran.has_out("ge", &[1.0, 0.0, 1.0, 0.0]);
    ran.has_out("eq", &[1.0, 0.0, 0.0, 0.0]);
    ran.has_out("ne", &[0.0, 1.0, 1.0, 1.0]);
}

#[test]
fn arithmetic_is_ieee_in_the_order_of_the_text() {
    let (x, y, z) = (0.1_f64, 0.7_f64, 3.3_f64);
    let ran = run(
        "rule r(x, y, z) {\n out a = x + y * z - x / y / z\n out b = -(x - y) * -z\n out c = x - y - z\n out d = 7.1%\n\
         out e = x * y + z\n out f = 1e15 + 0.3 }",
        &[&[x], &[y], &[z]],
    );
    ran.has_out("a", &[x + y * z - x / y / z]);
    ran.has_out("b", &[-(x - y) * -z]);
    ran.has_out("c", &[x - y - z]);
    ran.has_out("d", &[0.071]);
    ran.has_out("e", &[x * y + z]);
    ran.has_out("f", &[1e15 + 0.3]);
    // A fused multiply-add would give 0x1p-60 here: 1 + 2^-29 + 2^-60 rounds to 1 + 2^-29.
    let a = 1.0 + f64::powi(2.0, -30);
    run("rule r(a, b) {\n out fused = a * a - b }", &[&[a], &[a * a]]).has_out("fused", &[0.0]);
}

#[test]
fn division_by_zero_and_overflow_are_faults_at_their_place() {
    for (x, y, message, text) in [
        (1.0, 0.0, "division by zero", "1 / y"),
        (1.0, -0.0, "division by zero", "1 / y"),
        (1e308, 1.0, "the result is not finite", "x * 10 - x"),
        (-1e308, 1.0, "the result is not finite", "x * 10 - x"),
    ] {
        let ran = run("rule r(x, y) {\n  out a = 1 / y\n  out b = x * 10 - x }", &[&[x], &[y]]);
        assert_eq!(ran.fault(0), (message, text));
    }
    let ran = run("rule r(x) {\n  out a = sqrt(x) }", &[&[4.0, 0.0, -0.0, -5e-324]]);
    ran.has_out("a", &[2.0, 0.0, -0.0, M]);
    assert_eq!(ran.fault(3), ("square root of a negative number", "sqrt(x)"));
}

#[test]
fn div_divides_without_a_fault() {
    let ran = run(
        "rule r(a, b, o) {\n  out q = div(a, b, o) }",
        &[&[6.0, 6.0, 6.0, 1e308, 0.0], &[3.0, 0.0, -0.0, 1e-10, 0.0], &[9.0, 9.0, 8.0, 7.0, 6.0]],
    );
    ran.has_out("q", &[2.0, 9.0, 8.0, 7.0, 6.0]);
    let ran = run("rule r(a, b) {\n  out q = div(a, b, 1 / b) }", &[&[1.0, 1.0], &[2.0, 0.0]]);
    assert_eq!(ran.says(), ["ok", "fault"]);
}

#[test]
fn plain_functions() {
    let ran = run(
        "rule r(x, y) {\n out lo = min(x, y, 3)\n out hi = max(x, y, -3)\n out a = abs(x)\n out f = floor(x)\n out c = ceil(x)\n\
         out k = clamp(x, -1, 1)\n out inverted = clamp(x, 10, 1) }",
        &[&[1.5, -2.5, -0.0, 0.0, -0.5], &[2.0, -2.0, 0.0, -0.0, 7.0]],
    );
    ran.has_out("lo", &[1.5, -2.5, -0.0, -0.0, -0.5]);
    ran.has_out("hi", &[2.0, -2.0, 0.0, 0.0, 7.0]);
    ran.has_out("a", &[1.5, 2.5, 0.0, 0.0, 0.5]);
    ran.has_out("f", &[1.0, -3.0, -0.0, 0.0, -1.0]);
    ran.has_out("c", &[2.0, -2.0, -0.0, 0.0, -0.0]);
    ran.has_out("k", &[1.0, -1.0, -0.0, 0.0, -0.5]);
    ran.has_out("inverted", &[1.0; 5]);
}

#[test]
fn missing_values_lift_through_arithmetic() {
    let ran = run(
        "rule r(x: num?, y: num?, z) {\n out sum = x + y\n out neg = -x\n out quotient = x / z\n out product = z * y * 2\n\
         out first = x ?? y ?? 9\n out both = x ?? y\n out has = known(x + y)\n out nested = -(x ?? 1) }",
        &[&[M, 1.0, M, 3.0], &[2.0, M, M, 4.0], &[0.0, 1.0, 0.0, 2.0]],
    );
    ran.has_out("sum", &[M, M, M, 7.0]);
    ran.has_out("neg", &[M, -1.0, M, -3.0]);
    // Missing over 0 is missing.
    ran.has_out("quotient", &[M, 1.0, M, 1.5]);
    ran.has_out("product", &[0.0, M, M, 16.0]);
    ran.has_out("first", &[2.0, 1.0, 9.0, 3.0]);
    ran.has_out("both", &[2.0, 1.0, M, 3.0]);
    ran.has_out("has", &[0.0, 0.0, 0.0, 1.0]);
    ran.has_out("nested", &[-1.0, -1.0, -1.0, -3.0]);
    let ran = run("rule r(x: num?, z) {\n out a = (1 / z) + x }", &[&[M, M], &[1.0, 0.0]]);
    assert_eq!(ran.says(), ["ok", "fault"], "both sides are evaluated");
}

#[test]
fn only_what_is_needed_is_evaluated() {
    passes(
        "rule r(x, y: num?) {\n  if x != 0 and 1 / x > 1 { warn \"and\" }\n  if x == 0 or 1 / x < 0 { breach \"or\" }\n\
         let safe = if x == 0 then 0 else 1 / x\n  let dflt = y ?? (1 / x)\n  out a = safe + dflt }\n\
         test \"t\" {\n bar x=0.5 -> warn\n bar x=0 y=1 -> breach\n bar x=-1 -> breach\n bar x=2 -> ok\n bar x=0 -> fault }",
    );
}

#[test]
fn bools_and_conditions() {
    let ran = run(
        "rule r(a: bool, b: bool) {\n out is_and = a and b\n out is_or = a or b\n out is_not = not a\n out is_eq = a == b\n out is_ne = a != b\n\
         out is_precedence = a or not b and a == b }",
        &[&[0.0, 0.0, 1.0, 1.0], &[0.0, 1.0, 0.0, 1.0]],
    );
    ran.has_out("is_and", &[0.0, 0.0, 0.0, 1.0]);
    ran.has_out("is_or", &[0.0, 1.0, 1.0, 1.0]);
    ran.has_out("is_not", &[1.0, 1.0, 0.0, 0.0]);
    ran.has_out("is_eq", &[1.0, 0.0, 0.0, 1.0]);
    ran.has_out("is_ne", &[0.0, 1.0, 1.0, 0.0]);
    ran.has_out("is_precedence", &[1.0, 0.0, 1.0, 1.0]);
}

#[test]
fn a_series_let_is_computed_whatever_the_body_does_and_any_other_let_where_it_stands() {
    // `q` is a series: it faults although nobody reads it.
    let ran = run("rule r(x) {\n  let q = 1 / x }", &[&[1.0, 0.0]]);
    assert_eq!((ran.says(), ran.fault(1)), (vec!["ok".to_owned(), "fault".to_owned()], ("division by zero", "1 / x")));
    // In a block it is computed only if the block runs.
    assert_eq!(run("rule r(x) {\n  if x != 0 { let q = 1 / x } }", &[&[1.0, 0.0]]).says(), ["ok", "ok"]);
    // A let that reads a var is computed where it stands.
    let ran = run(
        "rule r(x) {\n  var v = 0\n  let before = v\n  v := x\n  let after = v\n  out b = before\n out a = after }",
        &[&[1.0, 2.0]],
    );
    ran.has_out("b", &[0.0, 1.0]);
    ran.has_out("a", &[1.0, 2.0]);
}

#[test]
fn history_is_missing_before_bar_0_and_outs_where_their_line_did_not_run() {
    let ran = run(
        "rule r(x, y: num?) {\n  let double = 2 * x\n  out one = x[1]\n  out three = x[3]\n  out d = double[2]\n\
         out y1 = y[1]\n  out i = bar_index[1]\n  if x > 2 { out late = x } }",
        &[&[1.0, 2.0, 3.0, 4.0, 5.0], &[1.0, M, 3.0, M, 5.0]],
    );
    ran.has_out("one", &[M, 1.0, 2.0, 3.0, 4.0]);
    ran.has_out("three", &[M, M, M, 1.0, 2.0]);
    ran.has_out("d", &[M, M, 2.0, 4.0, 6.0]);
    ran.has_out("y1", &[M, 1.0, M, 3.0, M]);
    ran.has_out("i", &[M, 0.0, 1.0, 2.0, 3.0]);
    ran.has_out("late", &[M, M, 3.0, 4.0, 5.0]);
}

#[test]
fn vars_keep_their_value_and_take_the_first_at_their_line() {
    let ran = run(
        "rule r(x) {\n  var high = x\n  if x > high { high := x }\n  var first = high * 10\n  var flag = false\n  out h = high\n\
         out f = first\n  out was = flag\n  flag := x > 2 }",
        &[&[2.0, 1.0, 3.0, 0.0]],
    );
    ran.has_out("h", &[2.0, 2.0, 3.0, 3.0]);
    ran.has_out("f", &[20.0; 4]);
    ran.has_out("was", &[0.0, 0.0, 0.0, 1.0]);
    // The initial value is computed when its line is first reached, and not again.
    assert_eq!(run("rule r(x) {\n  var v = 1 / (1 - bar_index)\n  out v = v }", &[&[1.0; 3]]).says(), ["ok"; 3]);
}

#[test]
fn the_short_form_is_a_breach_with_the_name() {
    let ran = run(
        "rule check_custom_rule(equity, drawdown) = drawdown > 20% or equity < 50000",
        &[&[60_000.0, 60_000.0, 49_999.0, 50_000.0], &[0.1, 0.21, 0.0, 0.2]],
    );
    assert_eq!(ran.says(), ["ok", "breach", "breach", "ok"]);
    assert_eq!(ran.reasons(1), ["check_custom_rule"]);
}
