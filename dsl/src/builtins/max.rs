//! `max(a, b, …)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "max",
    signature: "max(a, b, …)",
    documentation: "The largest of two or more nums, compared plainly, without tolerance.",
    example: r#"rule largest(x) {
  let most = max(x, 2, 1)
  if most == 2 { warn "at least {most}" }
}
test "of three" {
  bar x=3 -> ok
  bar x=1 -> warn
}
"#,
    computes: Computes::Plain(Function::Max),
    named: &[],
    least: 2,
    most: None,
};
