//! `div(a, b, otherwise)`.

use super::Builtin;

/// a / b, or otherwise where b is 0 or the quotient is not finite. Never a fault.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "div",
    signature: "div(a, b, otherwise)",
    documentation: "a / b, or otherwise where b is 0 or the quotient is not finite. Never a fault.",
    example: r#"rule r(a, b) = div(a, b, 7) == 7
test "by zero" { bar a=1 b=0 -> breach bar a=14 b=2 -> breach bar a=1 b=1 -> ok }"#,
    has_memory: false,
    named: &[],
    least: 3,
    most: Some(3),
};
