//! Step 4: which verdict wins, holds, fractions and messages.

use super::{M, passes, run, run_at};

#[test]
fn the_most_severe_wins_and_every_reason_is_given_in_the_order_of_the_text() {
    let source = "rule r(a: bool, b: bool, c: bool, d: bool, e: bool) {\n  if a { warn liquidate \"A\" }\n  if b { breach \"B\" }\n\
        if c { breach block \"C\" }\n  if d { breach reduce(0.5) \"D\" }\n  if e { breach liquidate \"E\" }\n}";
    for (fired, says, reasons) in [
        ([0.0, 0.0, 0.0, 0.0, 0.0], "ok", ""),
        ([1.0, 0.0, 0.0, 0.0, 0.0], "warn liquidate", "A"),
        ([1.0, 1.0, 0.0, 0.0, 0.0], "breach", "A B"),
        ([0.0, 1.0, 1.0, 0.0, 0.0], "breach block", "B C"),
        ([1.0, 0.0, 1.0, 1.0, 0.0], "breach reduce", "A C D"),
        ([1.0, 1.0, 1.0, 1.0, 1.0], "breach liquidate", "A B C D E"),
    ] {
        let columns: Vec<&[f64]> = fired.iter().map(std::slice::from_ref).collect();
        let ran = run(source, &columns);
        assert_eq!(ran.says(), [says]);
        assert_eq!(ran.reasons(0).join(" "), reasons);
    }
}

#[test]
fn the_first_of_equals_gives_the_fraction_to_keep() {
    let source = "rule r(x, y) {\n  if x >= 0 { breach reduce(x) \"x\" }\n  if y >= 0 { breach reduce(y) \"y\" }\n  warn reduce(0.25) \"w\" }";
    let ran = run(source, &[&[0.75, -1.0, -1.0, -1.0], &[0.5, 0.5, 0.0, -1.0]]);
    let keep: Vec<_> = (0..4).map(|row| ran.outcome(row).keep).collect();
    assert_eq!(keep, [Some(0.75), Some(0.5), Some(0.0), Some(0.25)]);
}

#[test]
fn a_fraction_is_0_to_1_without_tolerance() {
    let source = "rule r(x) { breach reduce(x) \"x\" }";
    assert_eq!(run(source, &[&[0.0, 1.0, -0.0, 1.000_000_000_000_000_2]]).says()[3], "fault");
    let ran = run(source, &[&[-5e-324]]);
    assert_eq!(ran.says(), ["fault"]);
    assert_eq!(ran.fault(0).0, "the fraction to keep is outside 0 to 1");
    // Also of a statement that would not win.
    assert_eq!(run("rule r(x) {\n  breach liquidate \"a\"\n  warn reduce(x) \"b\" }", &[&[2.0]]).says(), ["fault"]);
}

#[test]
fn holds_of_bars_count_from_the_bar_that_last_gave_them() {
    passes(
        "rule r(x) {\n  if x > 0 { breach block for 3 bars \"x {x}\" } }\n\
         test \"that bar and the next two\" {\n bar x=1 -> breach block\n bar x=0 -> breach block\n bar x=0 -> breach block\n\
         bar x=0 -> ok\n bar x=0 -> ok }\n\
         test \"restart\" {\n bar x=1 -> breach block\n bar x=0 -> breach block\n bar x=2 -> breach block\n\
         bar x=0 -> breach block\n bar x=0 -> breach block\n bar x=0 -> ok }",
    );
    passes("rule r(x) {\n  if x > 0 { warn for 1 bars \"x\" } }\ntest \"t\" {\n bar x=1 -> warn\n bar x=0 -> ok }");
}

#[test]
fn a_held_statement_keeps_the_message_and_fraction_of_the_bar_that_gave_it() {
    let source = "rule r(x, y: num?) {\n  if x > 0 { breach reduce(x / 10) for 3 bars \"x {x} {y}\" }\n  if x < 0 { warn \"now {x}\" } }";
    let ran = run(source, &[&[1.0, -5.0, 2.0, -1.0, -1.0, -1.0], &[M, 7.0, 8.0, 9.0, 9.0, 9.0]]);
    assert_eq!(ran.reasons(0), ["x 1 missing"]);
    assert_eq!(ran.reasons(1), ["x 1 missing", "now -5"]);
    assert_eq!(ran.reasons(2), ["x 2 8"]);
    assert_eq!(ran.reasons(3), ["x 2 8", "now -1"]);
    assert_eq!(ran.reasons(4), ["x 2 8", "now -1"]);
    assert_eq!(ran.reasons(5), ["now -1"]);
    let keep: Vec<_> = (0..6).map(|row| ran.outcome(row).keep).collect();
    assert_eq!(keep, [Some(0.1), Some(0.1), Some(0.2), Some(0.2), Some(0.2), None]);
}

#[test]
fn a_held_breach_wins_over_a_new_warning_and_forever_stays() {
    passes(
        "rule r(x) {\n  if x < 0 { warn liquidate \"w\" }\n  if x > 0 { breach forever \"b\" } }\n\
         test \"t\" {\n bar x=-1 -> warn liquidate\n bar x=1 -> breach\n bar x=0 -> breach\n bar x=-1 -> breach\n bar x=0 -> breach }\n\
         test \"reset\" {\n bar x=0 -> ok }",
    );
}

#[test]
fn durations_are_by_time_and_end_for_good() {
    let rule = "rule r(x) {\n  if x > 0 { breach block for 15m \"x\" } }\n";
    passes(&format!(
        "{rule}test \"less than start + 15 minutes\" {{\n bar time=\"2026-03-03T15:00Z\" x=1 -> breach block\n\
         bar time=\"2026-03-03T15:14:59.999Z\" x=0 -> breach block\n bar time=\"2026-03-03T15:15Z\" x=0 -> ok\n\
         bar time=\"2026-03-03T15:15Z\" x=0 -> ok }}\n\
         test \"restart\" {{\n bar time=0 x=1 -> breach block\n bar time=600000 x=1 -> breach block\n\
         bar time=1499999 x=0 -> breach block\n bar time=1500000 x=0 -> ok }}\n\
         test \"fault\" {{\n bar time=0 x=1 -> breach block\n bar x=0 -> fault }}"
    ));
    passes(
        "rule r(x) {\n  if x > 0 { warn for 3d \"x\" } }\n\
         test \"72 hours\" {\n bar time=0 x=1 -> warn\n bar time=259199999 x=0 -> warn\n bar time=259200000 x=0 -> ok }",
    );
    passes(
        "rule r(x) {\n  if x > 0 { warn for 2h \"x\" } }\n\
         test \"2 hours\" {\n bar time=0 x=1 -> warn\n bar time=7199999 x=0 -> warn\n bar time=7200000 x=0 -> ok }",
    );
}

#[test]
fn a_hold_for_the_day_ends_with_the_local_day_and_does_not_come_back() {
    // A day that begins at 01:30 steps back when the hour is repeated: 01:29, 01:30 | 01:00, 01:30.
    let source = "clock \"America/New_York\" day 01:30\nrule r(x) {\n  if x > 0 { breach for day \"x\" } }";
    let times = [
        "2026-11-01T01:29-04:00",
        "2026-11-01T01:30-04:00",
        "2026-11-01T01:45-04:00",
        "2026-11-01T01:00-05:00",
        "2026-11-01T01:30-05:00",
    ];
    assert_eq!(run_at(source, &times, &[&[0.0, 1.0, 0.0, 0.0, 0.0]]).says(), ["ok", "breach", "breach", "ok", "ok"]);
    assert_eq!(
        run_at(source, &times, &[&[0.0, 1.0, 0.0, 1.0, 0.0]]).says(),
        ["ok", "breach", "breach", "breach", "ok"]
    );
}

#[test]
fn outs_of_every_type() {
    let ran = run(
        "rule r(x: num?, b: bool) {\n out n = x ?? 0\n out m = x\n out flag = b\n out maybe = b[1] }",
        &[&[1.5, M], &[1.0, 0.0]],
    );
    ran.has_out("n", &[1.5, 0.0]);
    ran.has_out("m", &[1.5, M]);
    ran.has_out("flag", &[1.0, 0.0]);
    ran.has_out("maybe", &[M, 1.0]);
}

#[test]
fn messages_render_names_of_every_kind() {
    let source = "clock \"Europe/Prague\" day 00:00\nrule r(x, y: num?, b: bool) {\n  param limit: num = 7.1% in 0..1\n\
        var v = 1\n  let l = x * 2\n  v := v + 1\n\
        if new_day { warn \"new\" }\n\
        warn \"{x} {x:.2} {x:.1%} {y} {y:.2} {b} {limit} {v} {l} {time_of_day} {weekday} {bar_index} {new_day} {{x}}\" }";
    let ran = run_at(source, &["2026-01-05T15:00Z", "2026-01-05T23:59Z"], &[&[0.125, 1e22], &[M, -0.5], &[1.0, 0.0]]);
    assert_eq!(ran.reasons(0), ["0.125 0.12 12.5% missing missing true 0.071 2 0.25 16:00 1 0 false {x}"]);
    assert_eq!(
        ran.reasons(1)[1],
        "10000000000000000000000 10000000000000000000000.00 999999999999999983222784.0% -0.5 -0.50 false 0.071 3 \
         20000000000000000000000 00:59 2 1 true {x}"
    );
}
