//! `floor(x)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "floor",
    signature: "floor(x)",
    documentation: "The largest whole number that is at most x.",
    example: r#"rule lots(size) {
  if floor(size) != size { breach block "{size} is no whole number of lots" }
}
test "whole lots alone" {
  bar size=2   -> ok
  bar size=2.5 -> breach block
}
"#,
    computes: Computes::Plain(Function::Floor),
    named: &[],
    least: 1,
    most: Some(1),
};
