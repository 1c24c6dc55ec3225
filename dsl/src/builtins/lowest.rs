//! `lowest(x, n, min: k)`.

use super::Builtin;

/// The lowest of the last n values of x.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "lowest",
    signature: "lowest(x, n, min: k)",
    documentation: "The lowest of the last n values of x.",
    example: r#"rule r(x) { let v = lowest(x, 2, min: 1) if v < x { warn "above the low {v}" } }
test "low" { bar x=4 -> ok bar x=5 -> warn bar x=3 -> ok }"#,
    has_memory: true,
    named: &["min"],
    least: 2,
    most: Some(2),
};
