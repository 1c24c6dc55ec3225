//! `clamp(x, lo, hi)`.

use super::Builtin;

/// x, but at least lo and at most hi: min(max(x, lo), hi).
pub(super) const BUILTIN: Builtin = Builtin {
    name: "clamp",
    signature: "clamp(x, lo, hi)",
    documentation: "x, but at least lo and at most hi: min(max(x, lo), hi).",
    example: r#"rule r(x) = clamp(x, 0, 1) == 1
test "inside" { bar x=5 -> breach bar x=0.5 -> ok }"#,
    has_memory: false,
    named: &[],
    least: 3,
    most: Some(3),
};
