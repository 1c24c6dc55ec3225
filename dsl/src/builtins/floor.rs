//! `floor(x)`.

use super::Builtin;

/// The largest whole number that is at most x.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "floor",
    signature: "floor(x)",
    documentation: "The largest whole number that is at most x.",
    example: r#"rule r(x) = floor(x) == -2
test "down" { bar x=-1.5 -> breach bar x=-1 -> ok }"#,
    has_memory: false,
    named: &[],
    least: 1,
    most: Some(1),
};
