//! `stdev(x, n, min: k, sample: true)`.

use super::Builtin;

/// Standard deviation of the last n values of x, two-pass: of the population, or with `sample: true` divided by n - 1.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "stdev",
    signature: "stdev(x, n, min: k, sample: true)",
    documentation: "Standard deviation of the last n values of x, two-pass: of the population, or with `sample: true` divided by n - 1.",
    example: r#"rule r(x) { let v = stdev(x, 2) ?? 0 if v == 1 { breach "{v}" } }
test "population" { bar x=2 -> ok bar x=4 -> breach }"#,
    has_memory: true,
    named: &["min", "sample"],
    least: 2,
    most: Some(2),
};
