//! Time: new days, weekdays, times of day, and times that are wrong.

use super::{M, passes, run, run_at};

#[test]
fn new_day_weekday_and_time_of_day_follow_the_zone() {
    let source = "clock \"America/Chicago\" day 17:00\nrule r(x) {\n out new = new_day\n out wd = weekday\n\
        out late = time_of_day >= 16:59\n out before = weekday[1] }";
    let times =
        ["2026-01-05T22:58:59Z", "2026-01-05T22:59:59Z", "2026-01-05T23:00Z", "2026-01-06T05:59Z", "2026-01-06T06:00Z"];
    let ran = run_at(source, &times, &[&[0.0; 5]]);
    // The trading day begins at 17:00 local; the weekday is that of the calendar date.
    ran.has_out("new", &[0.0, 0.0, 1.0, 0.0, 0.0]);
    ran.has_out("wd", &[1.0, 1.0, 1.0, 1.0, 2.0]);
    ran.has_out("late", &[0.0, 1.0, 1.0, 1.0, 0.0]);
    ran.has_out("before", &[M, 1.0, 1.0, 1.0, 1.0]);
}

#[test]
fn without_a_clock_line_days_are_those_of_utc() {
    let ran =
        run_at("rule r(x) {\n out new = new_day }", &["1969-12-31T23:59:59.999Z", "1970-01-01T00:00Z"], &[&[0.0; 2]]);
    ran.has_out("new", &[0.0, 1.0]);
}

#[test]
fn per_day_takes_the_initial_value_again_at_its_line() {
    let source = "rule r(x) {\n  var a per day = x\n  var n per day = 0\n  n := n + 1\n  out a = a\n  out n = n }";
    let times =
        ["2026-01-05T22:00Z", "2026-01-05T23:00Z", "2026-01-06T00:00Z", "2026-01-06T00:00Z", "2026-01-09T00:00Z"];
    let ran = run_at(source, &times, &[&[1.0, 2.0, 3.0, 4.0, 5.0]]);
    ran.has_out("a", &[1.0, 1.0, 3.0, 3.0, 5.0]);
    ran.has_out("n", &[1.0, 2.0, 1.0, 2.0, 1.0]);
    // Before later lines, after earlier ones.
    let source = "rule r(x) {\n  var total = 0\n  if new_day { total := total + 1 }\n  var seen per day = total\n  out s = seen }";
    run_at(source, &times, &[&[0.0; 5]]).has_out("s", &[0.0, 0.0, 1.0, 1.0, 2.0]);
    // Its initial value is computed on new days alone.
    let source = "rule r(x) {\n  var v per day = 1 / x\n  out v = v }";
    assert_eq!(run_at(source, &times, &[&[1.0, 0.0, 2.0, 0.0, 0.0]]).says(), ["ok", "ok", "ok", "ok", "fault"]);
}

#[test]
fn a_time_that_is_missing_or_goes_backwards_is_a_fault() {
    let source = "rule r(x) {\n  out d = new_day }";
    let ran = run_at(source, &["2026-01-05T22:00Z", "2026-01-05T22:00Z", "2026-01-05T21:59:59.999Z"], &[&[0.0; 3]]);
    assert_eq!(ran.says(), ["ok", "ok", "fault"]);
    assert_eq!(ran.fault(2).0, "the time goes backwards");
    let ran = run_at(source, &["2026-01-05T22:00Z", "2026-01-05T22:00"], &[&[0.0; 2]]);
    assert_eq!(ran.says(), ["ok", "fault"]);
    assert_eq!(ran.fault(1).0, "the time of the bar is missing or cannot be read");
    let ran = run(source, &[&[0.0]]);
    assert_eq!(ran.fault(0).0, "the time of the bar is missing or cannot be read");
    // An input's fault comes first.
    assert_eq!(run(source, &[&[M]]).fault(0).0, "the required input `x` is missing");
}

#[test]
fn a_rule_that_does_not_use_time_ignores_it() {
    let source = "clock \"Europe/Prague\" day 00:00\nrule r(x) = x > 1";
    assert_eq!(run(source, &[&[0.0, 2.0]]).says(), ["ok", "breach"]);
    assert_eq!(run_at(source, &["5", "nonsense", "4"], &[&[0.0, 2.0, 0.0]]).says(), ["ok", "breach", "ok"]);
}

#[test]
fn a_repeated_hour_may_step_the_day_back() {
    passes(
        "clock \"America/New_York\" day 01:30\nrule r(x) {\n  if new_day { warn \"new\" } }\n\
         test \"autumn\" {\n bar time=\"2026-11-01T01:29-04:00\" x=0 -> ok\n bar time=\"2026-11-01T01:30-04:00\" x=0 -> warn\n\
         bar time=\"2026-11-01T01:00-05:00\" x=0 -> warn\n bar time=\"2026-11-01T01:30-05:00\" x=0 -> warn\n\
         bar time=\"2026-11-01T01:31-05:00\" x=0 -> ok }",
    );
}

#[test]
fn times_in_tests_are_text_or_integers() {
    passes(
        "rule r(x) {\n  if time_of_day == 00:01 { warn \"one\" } }\n\
         test \"t\" {\n bar time=-1 x=0 -> ok\n bar time=60000 x=0 -> warn\n bar time=\"119999\" x=0 -> warn\n\
         bar time=\"1970-01-01T00:02:00Z\" x=0 -> ok\n bar time=\"tomorrow\" x=0 -> fault }",
    );
}
