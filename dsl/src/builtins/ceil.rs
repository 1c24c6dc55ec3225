//! `ceil(x)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "ceil",
    signature: "ceil(x)",
    documentation: "The smallest whole number that is at least x.",
    example: r#"rule days(hours) {
  let started = ceil(hours / 24)
  if started > 2 { warn "day {started}" }
}
test "a started day counts" {
  bar hours=48 -> ok
  bar hours=49 -> warn
}
"#,
    computes: Computes::Plain(Function::Ceil),
    named: &[],
    least: 1,
    most: Some(1),
};
