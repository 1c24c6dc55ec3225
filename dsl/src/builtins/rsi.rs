//! `rsi(x, n)`.

use super::{Builtin, Computes};
use crate::typed::SmoothFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "rsi",
    signature: "rsi(x, n)",
    documentation: "Wilder's relative strength index, 0 to 100, first at bar n. A flat series is 50.",
    example: r#"rule overbought(price) {
  let strength = rsi(price, 2) ?? 50
  if strength > 70 { warn "strength {strength:.1}" }
}
test "only gains" {
  bar price=1 -> ok
  bar price=2 -> ok
  bar price=3 -> warn
}
test "flat" {
  bar price=1 -> ok
  bar price=1 -> ok
  bar price=1 -> ok
}
"#,
    computes: Computes::Smooth(SmoothFunction::Rsi),
    named: &[],
    least: 2,
    most: Some(2),
};
