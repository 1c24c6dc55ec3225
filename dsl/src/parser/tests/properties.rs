//! Whatever the text is: no panic, a word for each failure, places inside the text, and no tree too deep.

use proptest::prelude::*;

use super::grammar;
use crate::fuzzing::reads;
use crate::generate::{Choices, generate};
use crate::lexer::lex;
use crate::limits::Limits;
use crate::parser::parse;
use crate::source;
use crate::token::{Sign, Word};

/// What holds of every source, and that it is taken if the grammar has it.
fn check(source: &str) {
    reads(source);
    if let Some(right) = grammar::has(source) {
        let (_, diagnostics) = parse(source, &Limits::DEFAULT);
        assert_eq!(right, diagnostics.is_empty(), "{source}\n{diagnostics:?}");
    }
}

/// Words, signs and fragments that come near the grammar more often than bytes do.
fn fragment() -> impl Strategy<Value = String> {
    let words = Word::ALL.iter().map(|word| word.text().to_owned());
    let signs = Sign::ALL.iter().map(|sign| sign.text().to_owned());
    let more = [
        "a",
        "x",
        "1",
        "5%",
        "1e999",
        "15:25",
        "3d",
        "\"s\"",
        "\"open",
        "# c\n",
        "\n",
        "é",
        "$",
        "rule r(a) {",
        "test \"t\" {",
    ];
    proptest::sample::select(words.chain(signs).chain(more.map(str::to_owned)).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = source::text(&bytes, &Limits::DEFAULT) {
            check(text);
        }
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text(text in "\\PC{0,80}") {
        check(&text);
    }

    #[test]
    fn any_tokens(parts in proptest::collection::vec(fragment(), 0..60), in_rule in any::<bool>()) {
        let text = parts.join(" ");
        check(&if in_rule { format!("rule r(a) {{ {text} }}") } else { text });
    }

    /// A right rule with one token lost, doubled or exchanged.
    #[test]
    fn one_token_wrong(seed in any::<u64>(), at in any::<proptest::sample::Index>(), other in fragment(), how in 0..3) {
        let source = generate(&mut Choices::seeded(seed), 8, 1).source;
        let tokens = lex(&source).tokens;
        let span = at.get(&tokens).span;
        let (before, rest) = source.split_at(span.start as usize);
        let (token, after) = rest.split_at((span.end - span.start) as usize);
        check(&match how {
            0 => format!("{before}{after}"),
            1 => format!("{before}{token} {token}{after}"),
            _ => format!("{before}{other}{after}"),
        });
    }
}
