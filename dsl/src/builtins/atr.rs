//! `atr(high, low, close, n)`.

use super::Builtin;

/// Wilder's mean of the true range, first at bar n: the true range begins at bar 1.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "atr",
    signature: "atr(high, low, close, n)",
    documentation: "Wilder's mean of the true range, first at bar n: the true range begins at bar 1.",
    example: r#"rule r(h, l, c) { let v = atr(h, l, c, 1) ?? 0 if v > 2 { warn "{v}" } }
test "gap" { bar h=2 l=1 c=1 -> ok bar h=2 l=1 c=2 -> ok bar h=6 l=5 c=5 -> warn }"#,
    has_memory: true,
    named: &[],
    least: 4,
    most: Some(4),
};
