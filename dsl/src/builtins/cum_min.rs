//! `cum_min(x)`.

use super::Builtin;

/// The lowest value of x so far.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "cum_min",
    signature: "cum_min(x)",
    documentation: "The lowest value of x so far.",
    example: r#"rule r(x) = x > cum_min(x)
test "above the low" { bar x=2 -> ok bar x=1 -> ok bar x=2 -> breach }"#,
    has_memory: true,
    named: &[],
    least: 1,
    most: Some(1),
};
