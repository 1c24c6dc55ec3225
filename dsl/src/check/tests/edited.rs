//! Sources that are almost rules: whatever is done to one, the answer is a rule, or diagnostics that point into the
//! text, in its order.

use crate::diagnostic::render::render;
use crate::generate::{Choices, generate};
use crate::lexer::lex;
use crate::{Limits, check_source};

/// Takes tokens out of a source, or puts tokens of it into other places.
fn edit(mut source: String, choices: &mut Choices<'_>) -> String {
    for _ in 0..choices.between(1, 5) {
        let tokens: Vec<_> = lex(&source).tokens.iter().map(|t| t.span.start as usize..t.span.end as usize).collect();
        let at = choices.pick(&tokens);
        if choices.chance(1, 2) {
            let token = source[choices.pick(&tokens)].to_owned();
            source.insert_str(at.start, &format!(" {token} "));
        } else {
            source.replace_range(at, " ");
        }
    }
    source
}

#[test]
fn edited_rules_are_rules_or_have_diagnostics() {
    let mut wrong = 0;
    for seed in 0..1_500 {
        let choices = &mut Choices::seeded(seed);
        let source = generate(choices, 12, 1).source;
        let source = edit(source, choices);
        let diagnostics = match check_source(&source, &Limits::DEFAULT) {
            Ok(checked) => checked.warnings,
            Err(diagnostics) => {
                wrong += 1;
                assert!(!diagnostics.0.is_empty(), "{source}");
                assert!(!render(&diagnostics, &source, "r.rule", true).is_empty(), "{source}");
                diagnostics.0
            }
        };
        assert!(diagnostics.is_sorted_by_key(|d| d.labels[0].span), "seed {seed}: {diagnostics:?}\n{source}");
        for label in diagnostics.iter().flat_map(|d| &d.labels) {
            let range = label.span.start as usize..label.span.end as usize;
            assert!(source.get(range).is_some(), "seed {seed}: {label:?}\n{source}");
        }
    }
    assert!(wrong > 1_000, "only {wrong} edited rules are wrong");
}
