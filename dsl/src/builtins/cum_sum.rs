//! `cum_sum(x)`.

use super::Builtin;

/// The sum of x so far.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "cum_sum",
    signature: "cum_sum(x)",
    documentation: "The sum of x so far.",
    example: r#"rule r(x) = cum_sum(x) >= 3
test "adds up" { bar x=1 -> ok bar x=2 -> breach bar x=-1 -> ok }"#,
    has_memory: true,
    named: &[],
    least: 1,
    most: Some(1),
};
