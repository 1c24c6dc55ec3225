//! `sum(x, n, min: k)`.

use super::Builtin;

/// Sum of the last n values of x, folded afresh from the oldest to the newest.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "sum",
    signature: "sum(x, n, min: k)",
    documentation: "Sum of the last n values of x, folded afresh from the oldest to the newest.",
    example: r#"rule r(x) { let v = sum(x, 2) ?? 0 if v == 5 { breach "{v}" } }
test "sum" { bar x=2 -> ok bar x=3 -> breach }"#,
    has_memory: true,
    named: &["min"],
    least: 2,
    most: Some(2),
};
