//! Generated rules are right rules: what the generator makes, the compiler takes.

use rulebox_dsl::generate::{Choices, generate};
use rulebox_dsl::{Limits, check_source};

#[test]
fn generated_rules_check() {
    for seed in 0..5_000 {
        let source = generate(&mut Choices::seeded(seed), 12, 1).source;
        if let Err(diagnostics) = check_source(&source, &Limits::DEFAULT) {
            panic!("seed {seed}: {diagnostics}\n{source}");
        }
    }
}
