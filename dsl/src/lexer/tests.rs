use super::*;

fn kinds(source: &str) -> Vec<TokenKind> {
    let lexed = lex(source);
    assert!(lexed.diagnostics.is_empty(), "{source}: {:?}", lexed.diagnostics);
    lexed.tokens.into_iter().map(|t| t.kind).filter(|k| *k != TokenKind::End).collect()
}

fn number_of(source: &str) -> f64 {
    match kinds(source)[..] {
        [TokenKind::Number { value, .. }] => value,
        ref other => panic!("{source}: {other:?}"),
    }
}

fn codes(source: &str) -> Vec<&'static str> {
    lex(source).diagnostics.iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn numbers_are_the_nearest_doubles() {
    for (text, value) in [
        ("7.1%", 0.071),
        ("10%", 0.1),
        ("0.1%", 0.001),
        ("12", 12.0),
        ("1e6", 1e6),
        ("1E-3", 1e-3),
        ("0.5", 0.5),
        ("1.7976931348623157e308", f64::MAX),
        ("4.9e-324", 5e-324),
        ("33.3%", 0.333),
        ("007", 7.0),
    ] {
        assert_eq!(number_of(text).to_bits(), value.to_bits(), "{text}");
    }
    // Dividing would be one unit in the last place away.
    assert_ne!((0.7_f64 / 100.0).to_bits(), number_of("0.7%").to_bits());
}

#[test]
fn ranges_times_and_durations_are_told_apart() {
    let number = |value, whole| TokenKind::Number { value, whole };
    let range = TokenKind::Sign(Sign::Range);
    assert_eq!(kinds("0..1e15"), [number(0.0, Some(0)), range.clone(), number(1e15, None)]);
    assert_eq!(kinds("1%..50%"), [number(0.01, None), range, number(0.5, None)]);
    assert_eq!(kinds("15:25"), [TokenKind::Clock(925)]);
    assert_eq!(
        kinds("15m 2h 3d"),
        [
            TokenKind::Duration(15, DurationUnit::Minutes),
            TokenKind::Duration(2, DurationUnit::Hours),
            TokenKind::Duration(3, DurationUnit::Days),
        ]
    );
    assert_eq!(kinds("3 bars"), [number(3.0, Some(3)), TokenKind::Word(Word::Bars)]);
    assert_eq!(kinds("min: 3").len(), 3);
    assert_eq!(kinds("a->b").len(), 3);
    assert_eq!(kinds("a--1").len(), 4);
}

#[test]
fn what_is_no_token_is_reported_and_skipped() {
    assert_eq!(codes("a && b"), ["E0103"]);
    assert_eq!(codes("\"open"), ["E0104"]);
    assert_eq!(codes("\"open\nrule"), ["E0104"]);
    assert_eq!(codes("1e999"), ["E0105"]);
    assert_eq!(codes("5. 1e2% 3x 12mm"), ["E0106"; 4]);
    assert_eq!(codes("9:30 24:00 12:60 123:00"), ["E0107"; 4]);
    assert_eq!(codes("\u{1b}[31m \0 日本 EQUITY"), ["E0103"; 4]);
    assert_eq!(lex("a # b \"c\n# d").comments.len(), 2);
    assert_eq!(lex("x 日本 y").tokens.len(), 4);
    assert_eq!(codes("\"a\u{1b}b\" # \u{202e}\n\"\u{9b}\" \"tab\t is fine\" # so is é 日 🙂"), ["E0108"; 3]);
    assert_eq!(codes(&"$ ".repeat(100_000)).len(), MOST_MISTAKES);
}

/// The tokens that a source is read as, whatever is wrong with it, as the source that would give them.
fn meant(source: &str) -> String {
    let lexed = lex(source);
    assert!(!lexed.diagnostics.is_empty(), "{source}");
    let text = |token: &Token| match &token.kind {
        TokenKind::Word(word) => word.text().to_owned(),
        TokenKind::Sign(sign) => sign.text().to_owned(),
        TokenKind::Number { value, .. } => value.to_string(),
        TokenKind::End => String::new(),
        TokenKind::Wrong => "?".to_owned(),
        _ => source[token.span.start as usize..token.span.end as usize].to_owned(),
    };
    lexed.tokens.iter().map(text).collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

#[test]
fn what_was_meant_is_read_on() {
    for (source, tokens) in [
        ("a && b || !c", "a and b or not c"),
        ("a & b | c", "a and b or c"),
        ("x ≤ 1 ≠ y × 2", "x <= 1 != y * 2"),
        (".5 5. .25% 1..2", "0.5 5 0.0025 1 .. 2"),
        ("let x = 1; // why\nlet y", "let x = 1 let y"),
        ("AND True Equity", "and true Equity"),
        ("'one' 'two", "'one' ? two"),
        ("5 % 2 ^ 3", "5 ? 2 ? 3"),
        ("\"open }\n}", "? } }"),
        ("\"open {a} }", "? }"),
        ("test \"open {\nbar", "test ? { bar"),
        ("1e999 3x 1e2% 9:30", "? ? ? ?"),
        ("a.b", "a ? b"),
    ] {
        assert_eq!(meant(source), tokens, "{source}");
    }
    let marked = lex("\u{feff}rule");
    assert!(marked.diagnostics.is_empty() && marked.tokens.len() == 2);
    assert_eq!(codes("rule \u{feff}"), ["E0103"]);
}

#[test]
fn words_of_the_grammar_are_no_names() {
    for word in Word::ALL {
        assert_eq!(kinds(word.text()), [TokenKind::Word(*word)]);
        assert_eq!(
            kinds(&format!("{}_ _{} {}1", word.text(), word.text(), word.text())),
            [TokenKind::Name, TokenKind::Name, TokenKind::Name]
        );
    }
    assert_eq!(Word::ALL.len(), 34);
}
