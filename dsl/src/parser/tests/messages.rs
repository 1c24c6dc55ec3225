//! Sources and what people read about them, side by side.

use crate::Limits;
use crate::diagnostic::render::render_all;
use crate::parser::parse;

fn said(source: &str) -> String {
    let (_, diagnostics) = parse(source, &Limits::DEFAULT);
    assert!(!diagnostics.is_empty());
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
    other_languages: "rule r(equity, Drawdown: float in 0..1) {
  const limit = 10
  if equity && !drawdown || equity = 5 { breach 'low' }
  elif equity > 3 { warn \"x\" }
  let a = equity > 1 ? 2 : 3;
  let b: num = .5
  let c = sma(equity, 3)[1] // the one before
  equity += 1
  while true { }
  let d = equity % 3
  return a
}";
    numbers_and_times: "clock \"UTC\" day 9:00
rule r(a in 0..1e999, b in 5...7) {
  param p: num = 1e2%
  let x = 12mm + 5. + 1e309
  if time_of_day > 24:00 { breach \"late\" }
}";
    unterminated_string: "rule r(a) {
  if a > 1 { breach \"above {a} }
  if a > 2 { breach \"above two\" }
}
test \"name {
  bar a=1 -> ok
}";
    hidden_characters: "rule r(a) { # \u{202e}txet
  breach \"\u{1b}[2Jgone\"
  let x\u{a0}= 1
}";
    reserved_words: "rule day(in, a) {
  let bar = 1
  var set = 2
  out ok = clock + 1
  reduce := 3
  param for: num = 1
}";
    comparisons_and_equals: "rule r(a, b) {
  if 0 < a < 1 { warn \"x\" }
  if a => b { warn \"x\" }
  if max(a = b, 1) > 0 { warn \"x\" }
  let x = sum(a, 5, min = 1)
  b = 2
  let y := 3
}";
    unclosed: "rule r(a) {
  let x = max(a, (a + 1)
  if a > 1 {
    let y = a[1
    warn \"x\"
";
    unclosed_before_a_test: "rule r(a) {
  if a > 1 {
    if a > 2 { warn \"x\"
}
test \"t\" { bar a=1 -> ok }";
    blocks: "rule r(a) {
  if a > 1 warn \"one\"
  if a > 2 then { warn \"two\" }
  if a > 3
    let x = a
    warn \"three {x}\"
  }
  else warn \"four\"
  if a > 5 { param p: num = 1 }
  { warn \"six\" }
}";
    values: "rule r(a) {
  let b = 15m
  let c = \"text\"
  let d = 1 + if a > 1 then 2 else 3
  let e = if a > 1 then 2
  let f = if a > 1 { 2 } else { 3 }
  let g = 1 < not a
  let h = a <> 1
  let i = [1, 2]
  let k = max(a, 1,)
  let l = max(a 1)
  let j =
}";
    verdicts: "rule r(a) {
  breach
  breach \"why\" liquidate
  breach for 3 days \"why\"
  breach for 1 bar \"why\"
  breach for day block \"why\"
  breach reduce \"why\"
  breach reduce(0.5 \"why\"
  warn forever block for 3 bars \"why\"
}";
    heads: "clock \"UTC\" day 00:00
edition 1
rule (a, b: text, c d, e?,) -> bool {
  let x = a +
}
rule second(a) = a > 1";
    declarations: "rule r(a) {
  param n = 3
  param m: num
  param k: int in 1..5 = 3
  param l: int = 3.5.2 in 1..5
  let s = sum(a, l)
  var t per month = 1
  let = 2
  input b
}";
    tests_of_a_rule: "rule r(a) = a > 1
test \"t\" {
  bar a=1, b=2 -> ok
  bar a=1 => ok
  bar time=2026-01-05 -> ok
  bar a=1 -> maybe
  bar a=x -> ok
  set p = 1
}
test two { bar a=1 -> ok }
test \"three\" { bar a=1 -> breach }
bar a=1 -> ok";
    too_long: &format!("rule r(a) = a{} > 1", " + a".repeat(256));
    too_deep: &format!("rule r(a) = {}a{} > 1", "(".repeat(65), ")".repeat(65));
    nothing: "# a comment alone\n";
    no_rule: "let x = 1\nwarn \"x\"";
}
