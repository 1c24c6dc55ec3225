//! `ema(x, n)`.

use super::Builtin;

/// Exponential mean with alpha 2 / (n + 1). The first value, at bar n - 1, is the mean of the first n.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "ema",
    signature: "ema(x, n)",
    documentation: "Exponential mean with alpha 2 / (n + 1). The first value, at bar n - 1, is the mean of the first n.",
    example: r#"rule r(x) { let v = ema(x, 3) ?? 0 if v == 3 { breach "{v}" } }
test "seed, then half way" { bar x=1 -> ok bar x=2 -> ok bar x=3 -> ok bar x=4 -> breach }"#,
    has_memory: true,
    named: &[],
    least: 2,
    most: Some(2),
};
