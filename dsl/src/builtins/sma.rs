//! `sma(x, n, min: k)`.

use super::{Builtin, Computes};
use crate::typed::WindowFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "sma",
    signature: "sma(x, n, min: k)",
    documentation: "Mean of the last n values of x: their sum divided by their count.",
    example: r#"rule under_mean(price) {
  let mean = sma(price, 2, min: 1)
  if price < mean { warn "{price} is under {mean}" }
}
test "a partial window from the first bar" {
  bar price=4 -> ok
  bar price=2 -> warn
  bar price=2 -> ok
}
"#,
    computes: Computes::Window(WindowFunction::Sma),
    named: &["min"],
    least: 2,
    most: Some(2),
};
