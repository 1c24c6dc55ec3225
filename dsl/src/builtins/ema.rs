//! `ema(x, n)`.

use super::{Builtin, Computes};
use crate::typed::SmoothFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "ema",
    signature: "ema(x, n)",
    documentation: "Exponential mean with alpha 2 / (n + 1). The first value, at bar n - 1, is the mean of the first n.",
    example: r#"rule trend(price) {
  let mean = ema(price, 3) ?? 0
  if mean == 3 { breach "{mean}" }
}
test "the mean of three, then half way to the price" {
  bar price=1 -> ok
  bar price=2 -> ok
  bar price=3 -> ok
  bar price=4 -> breach
}
"#,
    computes: Computes::Smooth(SmoothFunction::Ema),
    named: &[],
    least: 2,
    most: Some(2),
};
