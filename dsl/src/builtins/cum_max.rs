//! `cum_max(x)`.

use super::Builtin;

/// The highest value of x so far.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "cum_max",
    signature: "cum_max(x)",
    documentation: "The highest value of x so far.",
    example: r#"rule r(x) = x < cum_max(x)
test "below the high" { bar x=1 -> ok bar x=3 -> ok bar x=2 -> breach }"#,
    has_memory: true,
    named: &[],
    least: 1,
    most: Some(1),
};
