//! `max(a, b, …)`.

use super::Builtin;

/// The largest of two or more nums.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "max",
    signature: "max(a, b, …)",
    documentation: "The largest of two or more nums.",
    example: r#"rule r(x) = max(x, 2, 1) == 2
test "largest" { bar x=3 -> ok bar x=1 -> breach }"#,
    has_memory: false,
    named: &[],
    least: 2,
    most: None,
};
