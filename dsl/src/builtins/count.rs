//! `count(condition, n, min: k)`.

use super::Builtin;

/// How many of the last n bars have the condition true.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "count",
    signature: "count(condition, n, min: k)",
    documentation: "How many of the last n bars have the condition true.",
    example: r#"rule r(x) { if count(x > 1, 3, min: 1) >= 2 { breach "twice" } }
test "two of three" { bar x=2 -> ok bar x=0 -> ok bar x=2 -> breach bar x=0 -> ok }"#,
    has_memory: true,
    named: &["min"],
    least: 2,
    most: Some(2),
};
