//! `known(x)`.

use super::{Builtin, Computes};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "known",
    signature: "known(x)",
    documentation: "Whether a value that may be missing is there.",
    example: r#"rule quoted(price: num?) {
  if not known(price) { breach block "no price" }
}
test "an empty cell" {
  bar price=1 -> ok
  bar         -> breach block
}
"#,
    computes: Computes::Known,
    named: &[],
    least: 1,
    most: Some(1),
};
