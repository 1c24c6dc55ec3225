//! `min(a, b, …)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "min",
    signature: "min(a, b, …)",
    documentation: "The smallest of two or more nums, compared plainly, without tolerance.",
    example: r#"rule smallest(x) {
  let least = min(x, 2, 5)
  if least == 2 { warn "capped at {least}" }
}
test "of three" {
  bar x=3 -> warn
  bar x=1 -> ok
}
"#,
    computes: Computes::Plain(Function::Min),
    named: &[],
    least: 2,
    most: None,
};
