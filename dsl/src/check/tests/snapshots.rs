//! Sources and what people read about them, side by side.

use crate::diagnostic::render::render_all;
use crate::{Limits, check_source};

/// What people read about a source.
fn said(source: &str) -> String {
    let diagnostics = match check_source(source, &Limits::DEFAULT) {
        Ok(checked) => checked.warnings,
        Err(diagnostics) => diagnostics.0,
    };
    format!("{source}\n\n{}", render_all(&diagnostics, source, "r.rule", false))
}

macro_rules! snapshots {
    ($($name:ident: $source:expr;)*) => {$(
        #[test]
        fn $name() {
            // The snapshot itself begins with the source.
            insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(said($source)) });
        }
    )*};
}

snapshots! {
    missing_values: "rule daily(equity, price: num?, flag: bool?) {
  param n: int = 20 in 5..250
  if equity[1] < equity { warn \"fell\" }
  if 1 - (price + 1) / 2 > 3 or not flag { warn \"odd\" }
  if sma(equity, n) > equity and (rsi(equity, 14)) > 70 { warn \"high\" }
  let since = max(bars_since(equity > 5), equity[3])
  var high = price
  if bars_since(equity > 9) > 2 {
    warn \"{since} {high}\"
  }
}";
    always_there: "rule r(equity) {
  let a = equity ?? 0
  let b = known(equity * 2)
}";
    unknown_names: "rule r(equity, drawdown) {
  if drawdwon > later { let inner = 1 }
  let later = inner + max + time
  out room = equity
  let again = again + room + weekdya
  hihg := flor(equity) + equity(1) + smma(equity, 3) + average(equity)
}";
    names_declared_again: "rule r(equity, equity) {
  let floor = 1
  let floor = 2
  var weekday = 3
  if floor > 0 { let equity = 4 }
  floor := 5
}";
    not_a_series: "rule r(equity) {
  var high = equity
  let fall = equity - high
  let mean = sma(fall, 3)
  let top = cum_max(high)
  if equity > 1 {
    let inner = equity
    let sums = sum(inner, 3)
    let before = inner[1]
  }
  let back = (high[1] ?? 0) + (fall[2] ?? 0)
}";
    window_sizes: "rule r(x) {
  param n: int = 3
  param m: int = 3 in 0..9
  param k: num = 3 in 1..9
  let a = sum(x, n)
  let b = sum(x, m)
  let c = sum(x, k)
  let d = sum(x, 2 * 3)
  let e = sum(x, 0)
  let f = sum(x, 20000)
  let g = sum(x, 5, min: 6)
  let h = stdev(x, 5, min: 1, sample: true)
  let i = ema(x, 5, min: 1)
  let j = atr(x, 5)
}";
    types: "rule r(x, b: bool) {
  if x { warn \"a number\" }
  let a = b + 1
  let c = x == b
  let d = b < true
  let e = if b then x else 10:00
  var f = time_of_day
  var g = 1
  g := b
  out h = 10:00
  x := 1
  if b { var i = 1 }
  out j = 1
  out j = 2
}";
    declarations: "edition 3
clock \"america/new_yrok\" day 00:00
rule r(a: int, b: bool in 0..1, c in 5..1) {
  param d: num = 9 in 1..5
  param e: int = 1.5
  param f: int = 2 in 0.5..3
  if b and a + c + d + e + f > 1 { warn \"\" }
}";
    messages_and_holds: "rule r(x, b: bool) {
  warn \"{x} {nobody:.2} {x:2} {b:.2} {x + 1} {\"
  breach for 0 bars \"}\"
  breach for 99999999d \"long\"
}";
    tests: "rule r(equity, b: bool) {
  param limit: int = 3 in 1..9
  if b and equity > limit { warn \"\" }
}
test \"wrong\" {
  set limt = 1
  set limit = 12
  set limit = true
  bar equty=1 b=1 -> ok
  bar equity=1 equity=2 time=1.5 -> ok
}";
    unused: "rule r(equity) {
  param limit: num = 1
  let floor = equity
  var high = equity
  high := 2
  let _note = 1
}";
}
