//! `crosses_above(a, b)`.

use super::{Builtin, Computes};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "crosses_above",
    signature: "crosses_above(a, b)",
    documentation: "Whether a is above b now and was not on the bar before; false on bar 0.",
    example: r#"rule breakout(price, level) {
  if crosses_above(price, level) { warn "{price} crossed {level}" }
}
test "once, on the bar that crosses" {
  bar price=2 level=1 -> ok
  bar price=1 level=1 -> ok
  bar price=2 level=1 -> warn
  bar price=3 level=1 -> ok
}
"#,
    computes: Computes::Crosses { above: true },
    named: &[],
    least: 2,
    most: Some(2),
};
