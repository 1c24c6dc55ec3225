//! `lowest(x, n, min: k)`.

use super::{Builtin, Computes};
use crate::typed::WindowFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "lowest",
    signature: "lowest(x, n, min: k)",
    documentation: "The lowest of the last n values of x, this one included.",
    example: r#"rule above_low(spread) {
  let low = lowest(spread, 2, min: 1)
  if spread > 2 * low { warn "{spread} is over twice {low}" }
}
test "the low of two bars" {
  bar spread=1 -> ok
  bar spread=3 -> warn
  bar spread=5 -> ok
}
"#,
    computes: Computes::Window(WindowFunction::Lowest),
    named: &["min"],
    least: 2,
    most: Some(2),
};
