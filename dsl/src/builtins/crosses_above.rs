//! `crosses_above(a, b)`.

use super::Builtin;

/// Whether a is above b now and was not on the bar before; false on bar 0.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "crosses_above",
    signature: "crosses_above(a, b)",
    documentation: "Whether a is above b now and was not on the bar before; false on bar 0.",
    example: r#"rule r(a, b) = crosses_above(a, b)
test "once" { bar a=2 b=1 -> ok bar a=1 b=1 -> ok bar a=2 b=1 -> breach bar a=3 b=1 -> ok }"#,
    has_memory: true,
    named: &[],
    least: 2,
    most: Some(2),
};
