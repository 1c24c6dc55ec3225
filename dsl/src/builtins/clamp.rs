//! `clamp(x, lo, hi)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "clamp",
    signature: "clamp(x, lo, hi)",
    documentation: "x, but at least lo and at most hi: min(max(x, lo), hi).",
    example: r#"rule scaled(size) {
  let keep = clamp(10 / max(size, 1), 0, 1)
  if keep < 1 { breach reduce(keep) "keep {keep:.0%}" }
}
test "never more than all" {
  bar size=5  -> ok
  bar size=20 -> breach reduce
}
"#,
    computes: Computes::Plain(Function::Clamp),
    named: &[],
    least: 3,
    most: Some(3),
};
