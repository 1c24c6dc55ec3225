//! `sqrt(x)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "sqrt",
    signature: "sqrt(x)",
    documentation: "The square root of x. The root of a negative number is a fault.",
    example: r#"rule root(x) {
  if sqrt(x) >= 3 { warn "the root of {x}" }
}
test "of nine, and of what has none" {
  bar x=9  -> warn
  bar x=4  -> ok
  bar x=-1 -> fault
}
"#,
    computes: Computes::Plain(Function::Sqrt),
    named: &[],
    least: 1,
    most: Some(1),
};
