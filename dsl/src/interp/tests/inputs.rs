//! Step 1: inputs and params, and faults in general.

use super::{M, passes, run};

const INF: f64 = f64::INFINITY;

#[test]
fn required_inputs_are_checked_and_optional_ones_may_be_missing() {
    let source = "rule r(x: num in 0..10, y: num?, b: bool, o: bool?) {\n  out seen = y ?? -1\n  out o = o\n}";
    let good = run(source, &[&[0.0, 10.0], &[M, 2.0], &[0.0, 1.0], &[M, 1.0]]);
    assert_eq!(good.says(), ["ok", "ok"]);
    good.has_out("seen", &[-1.0, 2.0]);
    good.has_out("o", &[M, 1.0]);
    for (inputs, message, text) in [
        ([M, 1.0, 1.0, 1.0], "the required input `x` is missing", "x: num in 0..10"),
        ([INF, 1.0, 1.0, 1.0], "the input `x` is not a finite number or a bool", "x: num in 0..10"),
        ([10.000_000_000_000_002, 1.0, 1.0, 1.0], "the input `x` is outside its range 0..10", "x: num in 0..10"),
        ([-5e-324, 1.0, 1.0, 1.0], "the input `x` is outside its range 0..10", "x: num in 0..10"),
        ([1.0, -INF, 1.0, 1.0], "the input `y` is not a finite number or a bool", "y: num?"),
        ([1.0, 1.0, M, 1.0], "the required input `b` is missing", "b: bool"),
        ([1.0, 1.0, 0.5, 1.0], "the input `b` is not a finite number or a bool", "b: bool"),
        ([1.0, 1.0, 1.0, 2.0], "the input `o` is not a finite number or a bool", "o: bool?"),
        // In the order of the declarations.
        ([M, INF, M, 2.0], "the required input `x` is missing", "x: num in 0..10"),
    ] {
        let cells = inputs.map(|x| [x]);
        let columns: Vec<&[f64]> = cells.iter().map(<[f64; 1]>::as_slice).collect();
        let ran = run(source, &columns);
        assert_eq!(ran.says(), ["fault"]);
        assert_eq!(ran.fault(0), (message, text));
    }
}

#[test]
fn every_nan_is_missing_and_an_absent_optional_column_too() {
    let other_nan = f64::from_bits(0xfff8_0000_0000_0123);
    let ran = run("rule r(x, y: num?) {\n  out x = x\n  out y = y\n}", &[&[1.0], &[other_nan]]);
    ran.has_out("y", &[M]);
    run("rule r(x, y: num?) {\n  out y = y\n}", &[&[1.0]]).has_out("y", &[M]);
}

#[test]
fn a_fault_latches_and_outs_are_missing_from_then_on() {
    let ran =
        run("rule r(x) {\n  out inverse = 1 / x\n  if x > 3 { breach block \"over\" }\n}", &[&[4.0, 0.0, 4.0, M]]);
    assert_eq!(ran.says(), ["breach block", "fault", "fault", "fault"]);
    ran.has_out("inverse", &[0.25, M, M, M]);
    assert_eq!(ran.fault(1), ("division by zero", "1 / x"));
    assert_eq!(ran.fault(3), ran.fault(1));
    assert!(ran.reasons(2).is_empty());
}

#[test]
fn params_have_defaults_and_tests_set_them() {
    passes(
        "rule r(x) {\n  param limit: num = 10% in 1%..50%\n  param on: bool = true\n  param n: int = 2 in 1..5\n\
         if on and x >= limit * n { breach \"x\" }\n}\n\
         test \"defaults\" {\n bar x=0.2 -> breach\n bar x=0.19 -> ok }\n\
         test \"limit\" { set limit = 50%\n bar x=1 -> breach\n bar x=0.99 -> ok }\n\
         test \"off\" { set on = false\n bar x=5 -> ok }\n\
         test \"n\" { set n = 5\n set limit = 1%\n bar x=0.05 -> breach\n bar x=0.04 -> ok }",
    );
}

#[test]
fn tests_start_from_a_reset_run_and_leave_out_what_is_missing() {
    passes(
        "rule r(x, y: num?) {\n  if bar_index == 1 { warn \"second\" }\n  else if known(y) { breach \"y\" }\n}\n\
         test \"a\" {\n bar x=1 -> ok\n bar x=1 -> warn\n bar x=1 -> ok }\n\
         test \"b\" {\n bar x=1 y=1 -> breach\n bar x=1 -> warn\n bar y=1 -> fault\n bar x=1 -> fault }",
    );
}
