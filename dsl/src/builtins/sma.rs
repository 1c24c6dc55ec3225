//! `sma(x, n, min: k)`.

use super::Builtin;

/// Mean of the last n values of x: their sum divided by their count.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "sma",
    signature: "sma(x, n, min: k)",
    documentation: "Mean of the last n values of x: their sum divided by their count.",
    example: r#"rule r(x) { let v = sma(x, 2) ?? 0 if v == 2.5 { breach "{v}" } }
test "mean" { bar x=2 -> ok bar x=3 -> breach }"#,
    has_memory: true,
    named: &["min"],
    least: 2,
    most: Some(2),
};
