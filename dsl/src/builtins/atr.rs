//! `atr(high, low, close, n)`.

use super::{Builtin, Computes};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "atr",
    signature: "atr(high, low, close, n)",
    documentation: "Wilder's mean of the true range, which begins at bar 1; first at bar n.",
    example: r#"rule wild(high, low, close) {
  let range = atr(high, low, close, 1) ?? 0
  if range > 2 { warn "true range {range}" }
}
test "a gap counts" {
  bar high=2 low=1 close=1 -> ok
  bar high=2 low=1 close=2 -> ok
  bar high=6 low=5 close=5 -> warn
}
"#,
    computes: Computes::Atr,
    named: &[],
    least: 4,
    most: Some(4),
};
