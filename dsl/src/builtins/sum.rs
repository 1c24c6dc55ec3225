//! `sum(x, n, min: k)`.

use super::{Builtin, Computes};
use crate::typed::WindowFunction;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "sum",
    signature: "sum(x, n, min: k)",
    documentation: "Sum of the last n values of x, folded afresh from the oldest to the newest, so that nothing of old values is left.",
    example: r#"rule daily_loss(pnl) {
  let week = sum(pnl, 3) ?? 0
  if week <= -100 { breach block "lost {week:.0} in three bars" }
}
test "missing until full" {
  bar pnl=-90 -> ok
  bar pnl=-90 -> ok
  bar pnl=80  -> breach block
  bar pnl=80  -> ok
}
"#,
    computes: Computes::Window(WindowFunction::Sum),
    named: &["min"],
    least: 2,
    most: Some(2),
};
