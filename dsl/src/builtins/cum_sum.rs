//! `cum_sum(x)`.

use super::{Builtin, Computes};
use crate::typed::CumulativeFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "cum_sum",
    signature: "cum_sum(x)",
    documentation: "The sum of x so far, this one included.",
    example: r#"rule total_fees(fee) {
  let paid = cum_sum(fee)
  if paid > 2 { breach block "{paid} in fees" }
}
test "adds up" {
  bar fee=2 -> ok
  bar fee=1 -> breach block
}
"#,
    computes: Computes::Cumulative(CumulativeFunction::Sum),
    named: &[],
    least: 1,
    most: Some(1),
};
