//! `crosses_below(a, b)`.

use super::{Builtin, Computes};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "crosses_below",
    signature: "crosses_below(a, b)",
    documentation: "Whether a is below b now and was not on the bar before; false on bar 0.",
    example: r#"rule breakdown(price, level) {
  if crosses_below(price, level) { warn "{price} crossed {level}" }
}
test "once, on the bar that crosses" {
  bar price=0 level=1 -> ok
  bar price=1 level=1 -> ok
  bar price=0 level=1 -> warn
  bar price=0 level=1 -> ok
}
"#,
    computes: Computes::Crosses { above: false },
    named: &[],
    least: 2,
    most: Some(2),
};
