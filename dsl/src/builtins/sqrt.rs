//! `sqrt(x)`.

use super::Builtin;

/// The square root of x; a negative x is a fault.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "sqrt",
    signature: "sqrt(x)",
    documentation: "The square root of x; a negative x is a fault.",
    example: r#"rule r(x) = sqrt(x) == 3
test "root" { bar x=9 -> breach bar x=4 -> ok bar x=-1 -> fault }"#,
    has_memory: false,
    named: &[],
    least: 1,
    most: Some(1),
};
