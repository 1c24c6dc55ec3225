//! `abs(x)`.

use super::Builtin;

/// The size of x without its sign.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "abs",
    signature: "abs(x)",
    documentation: "The size of x without its sign.",
    example: r#"rule r(x) = abs(x) > 1
test "both sides" { bar x=2 -> breach bar x=-2 -> breach bar x=1 -> ok }"#,
    has_memory: false,
    named: &[],
    least: 1,
    most: Some(1),
};
