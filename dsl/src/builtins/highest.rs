//! `highest(x, n, min: k)`.

use super::Builtin;

/// The highest of the last n values of x.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "highest",
    signature: "highest(x, n, min: k)",
    documentation: "The highest of the last n values of x.",
    example: r#"rule r(x) { let v = highest(x, 2, min: 1) if v > x { breach "below the high {v}" } }
test "high" { bar x=4 -> ok bar x=3 -> breach bar x=2 -> breach bar x=5 -> ok }"#,
    has_memory: true,
    named: &["min"],
    least: 2,
    most: Some(2),
};
