//! `crosses_below(a, b)`.

use super::Builtin;

/// Whether a is below b now and was not on the bar before; false on bar 0.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "crosses_below",
    signature: "crosses_below(a, b)",
    documentation: "Whether a is below b now and was not on the bar before; false on bar 0.",
    example: r#"rule r(a, b) = crosses_below(a, b)
test "once" { bar a=0 b=1 -> ok bar a=1 b=1 -> ok bar a=0 b=1 -> breach bar a=0 b=1 -> ok }"#,
    has_memory: true,
    named: &[],
    least: 2,
    most: Some(2),
};
