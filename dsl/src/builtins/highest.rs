//! `highest(x, n, min: k)`.

use super::{Builtin, Computes};
use crate::typed::WindowFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "highest",
    signature: "highest(x, n, min: k)",
    documentation: "The highest of the last n values of x, this one included.",
    example: r#"rule below_high(equity) {
  let high = highest(equity, 2, min: 1)
  if equity < high { breach "{equity} is under the high {high}" }
}
test "the high of two bars" {
  bar equity=5 -> ok
  bar equity=3 -> breach
  bar equity=4 -> ok
}
"#,
    computes: Computes::Window(WindowFunction::Highest),
    named: &["min"],
    least: 2,
    most: Some(2),
};
