//! `bars_since(condition)`.

use super::{Builtin, Computes};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "bars_since",
    signature: "bars_since(condition)",
    documentation: "Bars since the condition was last true, 0 on such a bar; missing before the first.",
    example: r#"rule cooldown(stop_exits) {
  let since = bars_since(stop_exits > 0) ?? 99
  if since < 2 { breach block "stopped out {since} bars ago" }
}
test "for two bars" {
  bar stop_exits=0 -> ok
  bar stop_exits=1 -> breach block
  bar stop_exits=0 -> breach block
  bar stop_exits=0 -> ok
}
"#,
    computes: Computes::BarsSince,
    named: &[],
    least: 1,
    most: Some(1),
};
