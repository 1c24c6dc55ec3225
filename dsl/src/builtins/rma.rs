//! `rma(x, n)`.

use super::Builtin;

/// Wilder's mean: (y * (n - 1) + x) / n. The first value, at bar n - 1, is the mean of the first n.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "rma",
    signature: "rma(x, n)",
    documentation: "Wilder's mean: (y * (n - 1) + x) / n. The first value, at bar n - 1, is the mean of the first n.",
    example: r#"rule r(x) { let v = rma(x, 2) ?? 0 if v == 2.25 { breach "{v}" } }
test "seed, then half way" { bar x=1 -> ok bar x=2 -> ok bar x=3 -> breach }"#,
    has_memory: true,
    named: &[],
    least: 2,
    most: Some(2),
};
