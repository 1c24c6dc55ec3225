//! `rsi(x, n)`.

use super::Builtin;

/// Wilder's relative strength index, 0 to 100, first at bar n; a flat series is 50.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "rsi",
    signature: "rsi(x, n)",
    documentation: "Wilder's relative strength index, 0 to 100, first at bar n; a flat series is 50.",
    example: r#"rule r(x) { let v = rsi(x, 2) ?? 50 if v > 70 { warn "{v:.1}" } }
test "only gains" { bar x=1 -> ok bar x=2 -> ok bar x=3 -> warn }"#,
    has_memory: true,
    named: &[],
    least: 2,
    most: Some(2),
};
