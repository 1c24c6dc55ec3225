//! `div(a, b, otherwise)`.

use super::{Builtin, Computes};
use crate::typed::Function;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "div",
    signature: "div(a, b, otherwise)",
    documentation: "a / b, or otherwise where b is 0 or the quotient is not finite: never a fault.",
    example: r#"rule win_rate(wins, trades) {
  let rate = div(wins, trades, 1)
  if rate < 50% { warn "{rate:.0%} of {trades} trades won" }
}
test "no trades yet" {
  bar wins=0 trades=0 -> ok
  bar wins=1 trades=4 -> warn
}
"#,
    computes: Computes::Plain(Function::Div),
    named: &[],
    least: 3,
    most: Some(3),
};
