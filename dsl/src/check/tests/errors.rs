//! Every error of the language, by what it points at.

use super::{around, errors};

fn table(rows: &[(&str, &[&str])], source: impl Fn(&str) -> String) {
    for (text, expected) in rows {
        let found = errors(&source(text));
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn names() {
    table(
        &[
            ("let a = z", &["E0301 z"]),
            ("let a = a", &["E0301 a"]),
            ("let a = later let later = x", &["E0301 later"]),
            ("if b { let a = x } let d = a", &["E0301 a"]),
            ("if b { let a = x } else if a > 1 { } else { v := a }", &["E0301 a", "E0301 a"]),
            ("out o = x let a = o", &["E0301 o"]),
            ("let a = time", &["E0301 time"]),
            ("let a = time[1]", &["E0301 time"]),
            ("z := 1", &["E0301 z"]),
            ("z := zz", &["E0301 z", "E0301 zz"]),
            ("let a = floor", &["E0301 floor"]),
            ("warn \"{z}\"", &["E0301 z"]),
            ("let x = 1", &["E0302 x"]),
            ("let n = 1", &["E0302 n"]),
            ("var v = 1", &["E0302 v"]),
            ("if b { let s = 1 }", &["E0302 s"]),
            ("if b { let a = 1 let a = true if a { } }", &["E0302 a"]),
            ("param x: num = 1", &["E0302 x"]),
            ("let time = 1", &["E0303 time"]),
            ("var new_day = true if new_day { }", &["E0303 new_day"]),
            ("let weekday = true if weekday { }", &["E0303 weekday"]),
            ("out time_of_day = 1", &["E0303 time_of_day"]),
            ("param bar_index: num = 1", &["E0303 bar_index"]),
            ("let a = foo(x)", &["E0304 foo"]),
            ("let a = foo(z, baz(x))", &["E0304 foo", "E0301 z", "E0304 baz"]),
            ("let a = x(1)", &["E0304 x"]),
            ("x := 1", &["E0311 x"]),
            ("s := 1", &["E0311 s"]),
            ("p := 1", &["E0311 p"]),
            ("weekday := 1", &["E0311 weekday"]),
            ("if b { var a = 1 }", &["E0313 a"]),
            ("out o = x out o = x", &["E0314 o"]),
            ("if b { out o = x } else { out o = x }", &["E0314 o"]),
            ("out o = z out o = x", &["E0301 z", "E0314 o"]),
        ],
        around,
    );
    for (source, expected) in [
        ("rule r(time) = time > 1", &["E0303 time"][..]),
        ("rule r(a, a) = a > 1", &["E0302 a"]),
        ("rule r(a) = b > 1 and c > 1", &["E0301 b", "E0301 c"]),
        ("edition 2 rule r(a) = a > 1", &["E0411 2"]),
        ("edition 0 rule r(a) = a > 1", &["E0411 0"]),
        ("clock \"Mars/Base\" day 00:00 rule r(a) = a > 1", &["E0410 \"Mars/Base\""]),
    ] {
        assert_eq!(errors(source), expected, "{source}");
    }
}

#[test]
fn types() {
    table(
        &[
            ("let a = x + b", &["E0306 b"]),
            ("let a = b * true", &["E0306 b", "E0306 true"]),
            ("let a = -b", &["E0306 b"]),
            ("let a = not x", &["E0306 x"]),
            ("let a = x and b", &["E0306 x"]),
            ("let a = b or 1", &["E0306 1"]),
            ("let a = 10:00 + 1", &["E0306 10:00"]),
            ("let a = time_of_day - 10:00", &["E0306 time_of_day", "E0306 10:00"]),
            ("if x { }", &["E0306 x"]),
            ("let a = if x then 1 else 2", &["E0306 x"]),
            ("breach reduce(b) \"m\"", &["E0306 b"]),
            ("v := b", &["E0306 b"]),
            ("v := 10:00", &["E0306 10:00"]),
            ("var a = 10:00", &["E0306 10:00"]),
            ("out a = time_of_day", &["E0306 time_of_day"]),
            ("let a = abs(b)", &["E0306 b"]),
            ("let a = min(b, 10:00, z)", &["E0306 b", "E0306 10:00", "E0301 z"]),
            ("let a = sum(b, 3)", &["E0306 b"]),
            ("let a = count(x, 3)", &["E0306 x"]),
            ("let a = streak(x)", &["E0306 x"]),
            ("let a = x == b", &["E0307 b"]),
            ("let a = time_of_day < x", &["E0307 x"]),
            ("let a = weekday == 10:00", &["E0307 10:00"]),
            ("let a = if b then x else b", &["E0307 b"]),
            ("let a = y ?? false", &["E0307 false"]),
            ("let a = b < true", &["E0308 b < true"]),
            ("let a = (b) >= q", &["E0308 (b) >= q"]),
        ],
        around,
    );
    // One error each: what is made of a wrong value is not wrong once more.
    for body in ["let a = z  if a { v := a } out o = a + 1", "var a = b + 1  a := 2  if a > b { }"] {
        assert_eq!(errors(&around(body)).len(), 1, "{body}");
    }
}

#[test]
fn missing_values() {
    table(
        &[
            ("if y > 1 { }", &["E0312 y"]),
            ("if x[1] < x { }", &["E0312 x[1]"]),
            ("if (x[1]) < y { }", &["E0312 x[1]", "E0312 y"]),
            ("if c { }", &["E0312 c"]),
            ("if not c { }", &["E0312 c"]),
            ("if b and c { }", &["E0312 c"]),
            ("if c or b { }", &["E0312 c"]),
            ("if b[1] == b { }", &["E0312 b[1]"]),
            ("let a = if c then 1 else 2", &["E0312 c"]),
            ("v := y", &["E0312 y"]),
            ("var a = x[1]", &["E0312 x[1]"]),
            ("breach reduce(y) \"m\"", &["E0312 y"]),
            ("let a = abs(y)", &["E0312 y"]),
            ("let a = max(x, x + y, 1)", &["E0312 x + y"]),
            ("let a = div(x, y, 1)", &["E0312 y"]),
            ("let a = sma(y, 3)", &["E0312 y"]),
            ("let a = count(c, 3)", &["E0312 c"]),
            ("let a = bars_since(b) > 3", &["E0312 bars_since(b)"]),
            ("let a = sma(x, 3) > 3", &["E0312 sma(x, 3)"]),
            ("let a = sum(x, 1) > 3", &["E0312 sum(x, 1)"]),
            ("let a = y ?? y  if a > 1 { }", &["E0312 a"]),
            ("let a = if b then y else 1  if a > 1 { }", &["E0312 a"]),
            ("let a = -y  if a > 1 { }", &["E0312 a"]),
            ("let a = y[2] ?? 1  let d = x ?? 1", &["E0310 x"]),
            ("let a = known(x)", &["E0310 x"]),
            ("let a = known(s + p)", &["E0310 s + p"]),
            ("let a = sum(x, 3, min: 1) ?? 0", &["E0310 sum(x, 3, min: 1)"]),
            ("let a = y ?? 1 ?? 2", &["E0310 1"]),
        ],
        around,
    );
}

#[test]
fn series_and_history() {
    table(
        &[
            ("let a = sum(v, 3)", &["E0309 v"]),
            ("let a = sum(t, 3)", &["E0309 t"]),
            ("let a = sum(x + abs(t), 3)", &["E0309 t"]),
            ("let a = streak(known(y) and v > 0)", &["E0309 v"]),
            ("if b { let a = x let d = ema(a, 3) }", &["E0309 a"]),
            ("let a = v[1]", &["E0315 v"]),
            ("let a = t[1]", &["E0315 t"]),
            ("let a = time_of_day[1]", &["E0315 time_of_day"]),
            ("let a = time_of_day let d = a[1]", &["E0315 a"]),
            ("if b { let a = x let d = a[1] }", &["E0315 a"]),
            ("let a = x[0]", &["E0316 0"]),
            ("let a = x[10001]", &["E0403 10001"]),
            ("let a = x[99999999999999999999]", &["E0403 99999999999999999999"]),
            ("let a = z[0]", &["E0301 z", "E0316 0"]),
        ],
        around,
    );
}

#[test]
fn calls_and_windows() {
    table(
        &[
            ("let a = abs()", &["E0305 abs()"]),
            ("let a = abs(x, x)", &["E0305 abs(x, x)"]),
            ("let a = min(x)", &["E0305 min(x)"]),
            ("let a = sum(x)", &["E0305 sum(x)"]),
            ("let a = sum(z)", &["E0305 sum(z)", "E0301 z"]),
            ("let a = sum(x, 3, 1)", &["E0305 sum(x, 3, 1)"]),
            ("let a = sum(x, min: 1, 3)", &["E0305 3"]),
            ("let a = sum(x, 3, min: 1, min: 1)", &["E0305 min"]),
            ("let a = sum(x, 3, sample: true)", &["E0305 sample"]),
            ("let a = ema(x, 3, min: 1)", &["E0305 min"]),
            ("let a = rsi(x, 3, min: 1)", &["E0305 min"]),
            ("let a = atr(x, x, x, 3, min: 1)", &["E0305 min"]),
            ("let a = abs(x, min: 1)", &["E0305 min"]),
            ("let a = sum(x, 0)", &["E0401 0"]),
            ("let a = sum(x, 1.5)", &["E0401 1.5"]),
            ("let a = sum(x, 300%)", &["E0401 300%"]),
            ("let a = sum(x, -3)", &["E0401 -3"]),
            ("let a = sum(x, n + 1)", &["E0401 n + 1"]),
            ("let a = sum(x, x)", &["E0401 x"]),
            ("let a = sum(x, p)", &["E0401 p"]),
            ("let a = sum(x, m)", &["E0401 m"]),
            ("let a = sum(x, q)", &["E0401 q"]),
            ("let a = sum(x, z)", &["E0301 z"]),
            ("param k: int = 3 in 0..9  let a = sum(x, k)", &["E0401 k"]),
            ("param k: int = 3 in 9..1  let a = sum(x, k)", &["E0317 9..1"]),
            ("param k: int = 3 in 1..10001  let a = sum(x, k)", &["E0403 k"]),
            ("param k: int = 3 in 1..1e300  let a = sum(x, k)", &["E0403 k"]),
            ("let a = sum(x, 10001)", &["E0403 10001"]),
            ("let a = sum(x, 99999999999)", &["E0403 99999999999"]),
            ("let a = sum(x, 3, min: 0)", &["E0402 0"]),
            ("let a = sum(x, 3, min: 4)", &["E0402 4"]),
            ("let a = sum(x, 3, min: 1.5)", &["E0402 1.5"]),
            ("let a = sum(x, 3, min: n)", &["E0402 n"]),
            ("let a = sum(x, n, min: 2)", &["E0402 2"]),
            ("let a = stdev(x, 3, sample: x)", &["E0402 x"]),
            ("let a = stdev(x, 1, sample: true)", &["E0402 1"]),
            ("let a = stdev(x, n, sample: true)", &["E0402 n"]),
            ("let a = stdev(x, 3, min: 1, sample: true)", &["E0402 1"]),
        ],
        around,
    );
}

#[test]
fn declarations_messages_and_holds() {
    table(
        &[
            ("param k: num = 1 in 2..3", &["E0317 1"]),
            ("param k: num = 1 in 3..2", &["E0317 3..2"]),
            ("param k: num = 1 in true..2", &["E0317 true..2"]),
            ("param k: bool = true in 0..1", &["E0317 0..1"]),
            ("param k: int = 2 in 1.5..3", &["E0317 1.5..3"]),
            ("param k: num = true", &["E0318 true"]),
            ("param k: int = 1.5", &["E0318 1.5"]),
            ("param k: bool = 1", &["E0318 1"]),
            ("warn \"{x} {\"", &["E0320 {"]),
            ("warn \"}\"", &["E0320 }"]),
            ("warn \"{}\"", &["E0320 "]),
            ("warn \"{x + 1}\"", &["E0320 x + 1"]),
            ("warn \"{x[1]}\"", &["E0320 x[1]"]),
            ("warn \"{ x }\"", &["E0320  x "]),
            ("warn \"{x:2}\"", &["E0320 x:2"]),
            ("warn \"{x:.}\"", &["E0320 x:."]),
            ("warn \"{x:.%}\"", &["E0320 x:.%"]),
            ("warn \"{x:.-1}\"", &["E0320 x:.-1"]),
            ("warn \"{x:.13}\"", &["E0320 x:.13"]),
            ("warn \"{x:.999999999999}\"", &["E0320 x:.999999999999"]),
            ("warn \"é {zé} {z}\"", &["E0320 zé", "E0301 z"]),
            ("warn \"{b:.1}\"", &["E0321 b:.1"]),
            ("warn \"{time_of_day:.1%}\"", &["E0321 time_of_day:.1%"]),
            ("warn for 0 bars \"m\"", &["E0322 for 0 bars"]),
            ("warn for 0m \"m\"", &["E0322 for 0m"]),
            ("warn for 99999999999 bars \"m\"", &["E0322 for 99999999999 bars"]),
            ("warn for 99999999999999999999d \"m\"", &["E0322 for 99999999999999999999d"]),
        ],
        around,
    );
    assert_eq!(errors("rule r(a: int) = a > 1"), ["E0319 int"]);
    assert_eq!(errors("rule r(a: bool in 0..1) = a"), ["E0317 0..1"]);
    assert_eq!(errors("rule r(a in 1..0) = a > 1"), ["E0317 1..0"]);
}

#[test]
fn tests_below_a_rule() {
    let source = |test: &str| {
        format!(
            "rule r(x, b: bool) {{ param n: int = 3 in 1..9 param q: bool = true if q and b and x > n {{ warn \"\" }} }} test \"t\" {{ {test} }}"
        )
    };
    table(
        &[
            ("set z = 1", &["E0501 z"]),
            ("set x = 1", &["E0501 x"]),
            ("set n = 1 set n = 2", &["E0501 n"]),
            ("set n = 10", &["E0502 10"]),
            ("set n = -1", &["E0502 -1"]),
            ("set n = 1.5", &["E0502 1.5"]),
            ("set n = true", &["E0502 true"]),
            ("set q = 1", &["E0502 1"]),
            ("bar z=1 -> ok", &["E0501 z"]),
            ("bar n=1 -> ok", &["E0501 n"]),
            ("bar x=1 x=1 -> ok", &["E0501 x"]),
            ("bar time=1 time=1 -> ok", &["E0501 time"]),
            ("bar x=true -> ok", &["E0502 true"]),
            ("bar x=\"1\" -> ok", &["E0502 \"1\""]),
            ("bar b=1 -> ok", &["E0502 1"]),
            ("bar time=1.5 -> ok", &["E0502 1.5"]),
            ("bar time=true -> ok", &["E0502 true"]),
            ("bar time=1e300 -> ok", &["E0502 1e300"]),
        ],
        source,
    );
}

#[test]
fn every_error_is_reported_at_once_in_the_order_of_the_text() {
    let source = "clock \"Nowhere\" day 00:00
rule r(x, x, flag: int) {
  let a = sma(x, 0) + missing
  if x[1] > x { out o = a  q := 1 }
  breach for 0m \"{none}\"
}
test \"t\" { set z = 1 bar w=1 -> ok }";
    let found = errors(source);
    let codes: Vec<_> = found.iter().map(|f| &f[..5]).collect();
    assert_eq!(
        codes,
        ["E0410", "E0302", "E0319", "E0401", "E0301", "E0301", "E0322", "E0301", "E0501", "E0501"],
        "{found:?}"
    );
}

#[test]
fn what_cannot_be_read_is_reported_once() {
    table(
        &[
            ("let a = (x + ) let d = a + 1 v := d", &["E0201 )"]),
            ("param k: num 1\n if x > k { }", &["E0201 1"]),
            ("var w == 1\n w := w + 1", &["E0201 =="]),
            ("var w per = 1\n w := w + 1", &["E0201 ="]),
            ("let a = 1e999\n if a { v := a }", &["E0105 1e999"]),
            ("if x = 1 { let a = z }", &["E0206 =", "E0301 z"]),
            ("breach reduce() \"{z}\"\n v := 1", &["E0201 )"]),
            ("warn \"open\n v := b", &["E0104 \"open", "E0306 b"]),
        ],
        around,
    );
    let source = "rule r(x) { param k: num 1\n if x > k { } } test \"t\" { set k = 2 bar x=1 -> ok }";
    assert_eq!(errors(source), ["E0201 1"]);
}
