//! `cum_min(x)`.

use super::{Builtin, Computes};
use crate::typed::CumulativeFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "cum_min",
    signature: "cum_min(x)",
    documentation: "The lowest value of x so far, this one included.",
    example: r#"rule run_up(price) {
  let low = cum_min(price)
  if price >= 2 * low { warn "twice the low {low}" }
}
test "from the lowest so far" {
  bar price=100 -> ok
  bar price=60  -> ok
  bar price=120 -> warn
}
"#,
    computes: Computes::Cumulative(CumulativeFunction::Min),
    named: &[],
    least: 1,
    most: Some(1),
};
