//! What is right, and what is only warned of.

use super::{around, errors, rule, warnings};
use crate::typed::Hold;

#[test]
fn right_statements() {
    for body in [
        "let floor = floor(x)  let sum = sum(x, 3) ?? floor",
        "if b { let a = 1 v := a } else { let a = true if a { v := 2 } }  let a = 10:00",
        "out x = x  out v = v  if b { out o = y } else { out w = c }",
        "let a = y ?? x[1] ?? s[2] ?? -1  v := a",
        "let a = y ?? x[1]  v := a ?? 0",
        "let a = if known(y) then y ?? 0 else 1  v := a",
        "let a = b == q and b != (c ?? false)  if a { }",
        "let a = time_of_day  if a >= 09:30 and a == 10:00 and a < (if b then 11:00 else 12:00) { }",
        "let a = weekday[1] ?? weekday  let d = new_day[2] ?? false  let e = bar_index[1] ?? 0",
        "let a = p[1] ?? p  let d = q[1] ?? q  let e = n[1] ?? n",
        "let a = s[1]  let d = a[3] ?? 0",
        "let a = known(sma(s, n))  let d = crosses_above(x, s) and crosses_below(x, x[1] ?? x)",
        "let a = sum(sum(x, n, min: 1), 3)  v := a ?? 0",
        "let a = stdev(x, 3, sample: false, min: 1) + stdev(x, n)  v := a ?? 0",
        "let a = stdev(x, 9, min: 2, sample: true)  v := a ?? 0",
        "let a = count(streak(b) > 2, (3))  v := a ?? 0",
        "if sum(x, n, min: 1) > cum_max(x) + cum_min(x) + cum_sum(x) { }",
        "warn block for 3 bars \"{x} {x:.0} {x:.12%} {{{y:.2}}} {b} {time_of_day} {new_day} {v} {t} {n:.0}\"",
        "breach reduce(p) for 100d \"\"  breach liquidate forever \"}}\"  warn for day \"{{\"",
        "let a = 1 / 0 + sqrt(-1)  v := a",
        "var w per day = x[1] ?? 0  w := w + 1",
        "var f = b  f := f and (c ?? false) == (c[1] ?? true)",
    ] {
        assert_eq!(errors(&around(body)), [""; 0], "{body}");
    }
}

#[test]
fn a_test_may_want_unreadable_times_and_leave_out_inputs() {
    let test = rule(
        "rule r(x, b: bool) = b and x > 1
         test \"t\" { bar -> fault bar time=\"soon\" x=1 -> warn reduce bar time=-5 x=1 b=true -> ok
                     bar time=\"1970-01-01T00:00Z\" b=false x=-1 -> breach }",
    )
    .tests
    .remove(0);
    let times: Vec<_> = test.bars.iter().map(|bar| bar.time).collect();
    assert_eq!(times, [i64::MIN, i64::MIN, -5, 0]);
    assert!(test.bars[0].inputs.iter().all(|x| x.to_bits() == rulebox_abi::MISSING_BITS));
    assert_eq!(test.bars[3].inputs, [-1.0, 0.0]);
}

#[test]
fn params_of_tests_begin_with_defaults() {
    let source = "rule r(x) { param a: num = 7 param q: bool = true param n: int = 2 if q and x > a * n { warn \"\" } }
                  test \"t\" { set q = false set n = -3 bar x=1 -> ok }";
    assert_eq!(rule(source).tests[0].params, [7.0, 0.0, -3.0]);
}

#[test]
fn durations_are_milliseconds() {
    let rule = rule("rule r(x) { warn for 15m \"\" warn for 2h \"\" warn for 3d \"\" warn for 7 bars \"\" }");
    let holds: Vec<_> = rule.statements.iter().map(|s| s.hold.unwrap()).collect();
    let hour = 3_600_000;
    assert_eq!(holds, [Hold::Millis(hour / 4), Hold::Millis(2 * hour), Hold::Millis(72 * hour), Hold::Bars(7)]);
}

#[test]
fn what_is_never_read_is_warned_of() {
    let source = "rule r(unread_input, x) {
      param a: num = 1  let d = x  var w = x  let _quiet = x  w := 2
      if x > 1 { let inner = d }
    }";
    assert_eq!(warnings(source), ["W0001 a", "W0001 w", "W0001 inner"]);
    assert_eq!(warnings("rule r(x) { param n: int = 2 in 1..3 let m = sma(x, n) warn \"{m}\" }"), [""; 0]);
}

#[test]
fn only_reading_time_uses_it() {
    for (uses, source) in [
        (false, "clock \"Europe/Prague\" day 17:00 rule r(x) = x > bar_index"),
        (false, "rule r(x) { breach for 3 bars \"\" breach forever \"\" if x > 1 and 10:00 < 11:00 { warn \"\" } }"),
        (true, "rule r(x) = new_day"),
        (true, "rule r(x) = false and x > weekday"),
        (true, "rule r(x) = time_of_day > 10:00"),
        (true, "rule r(x) = new_day[1] ?? false"),
        (true, "rule r(x) { var v per day = x if v > 1 { warn \"\" } }"),
        (true, "rule r(x) { if x > 1 { warn for 1m \"\" } }"),
        (true, "rule r(x) { if x > 1 { warn for day \"\" } }"),
        (true, "rule r(x) { warn \"{weekday}\" }"),
    ] {
        assert_eq!(rule(source).uses_time(), uses, "{source}");
    }
    let source = "rule r(x) { let a = x  var v per day = a  if v > weekday { warn \"\" } }";
    let rule = rule(source);
    let span = rule.faults[rule.time.unwrap().missing.index()].span;
    assert_eq!(&source[span.start as usize..span.end as usize], "v");
}
