//! `known(x)`.

use super::Builtin;

/// Whether a value that may be missing is there.
pub(super) const BUILTIN: Builtin = Builtin {
    name: "known",
    signature: "known(x)",
    documentation: "Whether a value that may be missing is there.",
    example: r#"rule r(x: num?) = known(x)
test "there" { bar -> ok bar x=0 -> breach }"#,
    has_memory: false,
    named: &[],
    least: 1,
    most: Some(1),
};
