//! `bars_since(condition)`.

use super::Builtin;

/// Bars since the condition was last true, 0 on such a bar; missing before the first.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "bars_since",
    signature: "bars_since(condition)",
    documentation: "Bars since the condition was last true, 0 on such a bar; missing before the first.",
    example: r#"rule r(x) = (bars_since(x > 0) ?? 99) < 2
test "for two bars" { bar x=0 -> ok bar x=1 -> breach bar x=0 -> breach bar x=0 -> ok }"#,
    has_memory: true,
    named: &[],
    least: 1,
    most: Some(1),
};
