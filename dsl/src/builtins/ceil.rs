//! `ceil(x)`.

use super::Builtin;

/// The smallest whole number that is at least x.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "ceil",
    signature: "ceil(x)",
    documentation: "The smallest whole number that is at least x.",
    example: r#"rule r(x) = ceil(x) == 2
test "up" { bar x=1.5 -> breach bar x=1 -> ok }"#,
    has_memory: false,
    named: &[],
    least: 1,
    most: Some(1),
};
