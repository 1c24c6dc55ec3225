//! `cum_max(x)`.

use super::{Builtin, Computes};
use crate::typed::CumulativeFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "cum_max",
    signature: "cum_max(x)",
    documentation: "The highest value of x so far, this one included.",
    example: r#"rule drawdown(equity: num in 1..1e15) {
  let fall = 1 - equity / cum_max(equity)
  if fall >= 10% { breach liquidate "{fall:.1%} under the high" }
}
test "from the highest so far" {
  bar equity=100 -> ok
  bar equity=200 -> ok
  bar equity=180 -> breach liquidate
}
"#,
    computes: Computes::Cumulative(CumulativeFunction::Max),
    named: &[],
    least: 1,
    most: Some(1),
};
