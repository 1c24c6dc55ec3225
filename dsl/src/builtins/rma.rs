//! `rma(x, n)`.

use super::{Builtin, Computes};
use crate::typed::SmoothFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "rma",
    signature: "rma(x, n)",
    documentation: "Wilder's mean: y = (y * (n - 1) + x) / n. The first value, at bar n - 1, is the mean of the first n.",
    example: r#"rule slow_trend(price) {
  let mean = rma(price, 2) ?? 0
  if mean == 2.25 { breach "{mean}" }
}
test "the mean of two, then half way to the price" {
  bar price=1 -> ok
  bar price=2 -> ok
  bar price=3 -> breach
}
"#,
    computes: Computes::Smooth(SmoothFunction::Rma),
    named: &[],
    least: 2,
    most: Some(2),
};
