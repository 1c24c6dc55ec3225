//! `streak(condition)`.

use super::Builtin;

/// Bars in a row with the condition true, this one included; 0 if it is false now.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "streak",
    signature: "streak(condition)",
    documentation: "Bars in a row with the condition true, this one included; 0 if it is false now.",
    example: r#"rule r(x) = streak(x < 0) >= 2
test "two in a row" { bar x=-1 -> ok bar x=-1 -> breach bar x=1 -> ok bar x=-1 -> ok }"#,
    has_memory: true,
    named: &[],
    least: 1,
    most: Some(1),
};
