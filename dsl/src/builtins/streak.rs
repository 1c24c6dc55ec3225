//! `streak(condition)`.

use super::{Builtin, Computes};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "streak",
    signature: "streak(condition)",
    documentation: "Bars in a row with the condition true, this one included; 0 if it is false now.",
    example: r#"rule losing_streak(pnl) {
  let losses = streak(pnl < 0)
  if losses >= 2 { breach "{losses} losses in a row" }
}
test "two in a row" {
  bar pnl=-1 -> ok
  bar pnl=-1 -> breach
  bar pnl=1  -> ok
  bar pnl=-1 -> ok
}
"#,
    computes: Computes::Streak,
    named: &[],
    least: 1,
    most: Some(1),
};
