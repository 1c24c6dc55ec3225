//! `min(a, b, …)`.

use super::Builtin;

/// The smallest of two or more nums.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "min",
    signature: "min(a, b, …)",
    documentation: "The smallest of two or more nums.",
    example: r#"rule r(x) = min(x, 2, 5) == 2
test "smallest" { bar x=3 -> breach bar x=1 -> ok }"#,
    has_memory: false,
    named: &[],
    least: 2,
    most: None,
};
