//! `stdev(x, n, min: k, sample: true)`.

use super::{Builtin, Computes};
use crate::typed::WindowFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "stdev",
    signature: "stdev(x, n, min: k, sample: true)",
    documentation: "Standard deviation of the last n values of x, in two passes: of the population, or divided by n - 1 with `sample: true`.",
    example: r#"rule spread(x) {
  let population = stdev(x, 2) ?? 0
  let sample = stdev(x, 2, sample: true) ?? 0
  if population == 1 and sample == sqrt(2) { breach "{population} and {sample}" }
}
test "of 2 and 4" {
  bar x=2 -> ok
  bar x=4 -> breach
}
"#,
    computes: Computes::Window(WindowFunction::Stdev),
    named: &["min", "sample"],
    least: 2,
    most: Some(2),
};
