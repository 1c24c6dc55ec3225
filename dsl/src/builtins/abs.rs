//! `abs(x)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "abs",
    signature: "abs(x)",
    documentation: "The size of x without its sign.",
    example: r#"rule exposure(position) {
  if abs(position) > 10 { breach "position {position}" }
}
test "long and short" {
  bar position=11  -> breach
  bar position=-11 -> breach
  bar position=-10 -> ok
}
"#,
    computes: Computes::Plain(Function::Abs),
    named: &[],
    least: 1,
    most: Some(1),
};
