//! `count(condition, n, min: k)`.

use super::{Builtin, Computes};
use crate::typed::WindowFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "count",
    signature: "count(condition, n, min: k)",
    documentation: "How many of the last n bars have the condition true, this one included.",
    example: r#"rule losing_streaks(pnl) {
  let losses = count(pnl < 0, 3, min: 1)
  if losses >= 2 { breach block "{losses} losing bars of three" }
}
test "two of three" {
  bar pnl=-1 -> ok
  bar pnl=1  -> ok
  bar pnl=-1 -> breach block
  bar pnl=1  -> ok
}
"#,
    computes: Computes::Window(WindowFunction::Count),
    named: &["min"],
    least: 2,
    most: Some(2),
};
