//! Sources of the longest size that repeat one thing: the work stays in proportion to the length, what is said stays
//! short, and nothing is refused without a word.

use crate::check_source;
use crate::diagnostic::Diagnostics;
use crate::diagnostic::render::render;
use crate::format::format;
use crate::lexer::{MOST_MISTAKES, lex};
use crate::limits::Limits;
use crate::parser::input::{Context, Input};
use crate::parser::rule;

const LIMITS: Limits = Limits::DEFAULT;

/// A source as long as a source may be: a beginning, one thing again and again, an end. `$` is a number that counts.
fn filled(head: &str, part: &str, tail: &str) -> String {
    let mut source = head.to_owned();
    for i in 0.. {
        let part = part.replace('$', &i.to_string());
        if source.len() + part.len() + tail.len() > LIMITS.source_bytes {
            break;
        }
        source.push_str(&part);
    }
    source + tail
}

/// Beginnings of which each puts the parser into another place.
const BODY: &str = "rule r(a, b: bool) {\nvar v = 0\n";
const SHORT: &str = "rule r(a, b: bool) = ";
const INPUTS: &str = "rule r(";
const TEST: &str = "rule r(a) = a > 1\ntest \"t\" {\n";

const HEADS: &[(&str, &str)] = &[
    ("", " "),
    ("", "\n"),
    ("", "#\n"),
    ("", "\0"),
    ("", "é "),
    ("", "\u{202e}"),
    ("", "edition 1 "),
    ("", "clock \"UTC\" day 00:00 "),
    ("", "rule "),
    ("", "rule r(a) = a > 1\n"),
    ("", "rule r(a) {\n"),
    ("", "test \"t\" {\n"),
    (INPUTS, "a, "),
    (INPUTS, "a$, "),
    (INPUTS, ", "),
    (INPUTS, "a: num in 0.."),
    (INPUTS, "a b "),
];

const EXPRESSIONS: &[(&str, &str)] = &[
    ("rule r(a) = a > 1\n", "#\n"),
    ("rule r(a) = a > 1", "\n"),
    ("rule r(a) = a", "\n"),
    (SHORT, "# why\n"),
    (SHORT, "(a + # why\n"),
    (SHORT, "("),
    (SHORT, "-"),
    (SHORT, "not "),
    (SHORT, "a? "),
    (SHORT, "a ?? "),
    (SHORT, "a + "),
    (SHORT, "b and "),
    (SHORT, "a < "),
    (SHORT, "a = "),
    (SHORT, "a["),
    (SHORT, "a[1] "),
    (SHORT, "a[1] ?? "),
    (SHORT, "min("),
    (SHORT, "min(a, "),
    (SHORT, "a, "),
    (SHORT, "f$(a) + "),
    (SHORT, "if b then a else "),
    (SHORT, "if "),
    (SHORT, "1."),
    (SHORT, "1"),
    (SHORT, "1e"),
    (SHORT, "'"),
    (SHORT, "' "),
    (SHORT, "''"),
    (SHORT, "a//\n"),
    (SHORT, "\"\n"),
    (SHORT, "\"\""),
    ("rule r(a) = min(", "a, "),
    ("rule r(a) = min(a", ", x$"),
    ("rule r(a) = sum(a", ", min: 1"),
    (SHORT, "b[1] and "),
    (SHORT, "not (b[1] and "),
];

const STATEMENTS: &[(&str, &str)] = &[
    (BODY, "if a\n"),
    (BODY, "if a "),
    (BODY, "if a > 1\n{ "),
    (BODY, "if a > 1 {\n"),
    (BODY, "if a > 1 { }\n"),
    (BODY, "if a > 1 { let x = a }\n"),
    (BODY, "if a > 1 warn \"x\"\n"),
    (BODY, "if a > 1 warn \"x\" "),
    (BODY, "if a\nlet x$ = a\n"),
    (BODY, "if a = 1 {\n"),
    (BODY, "if a > 1 { } else "),
    (BODY, "if a > 1 { } else\n"),
    (BODY, "if a > 1 { let x = } else\n"),
    (BODY, "if { }\n"),
    (BODY, "else "),
    (BODY, "else { }\n"),
    (BODY, "{"),
    (BODY, "{ "),
    (BODY, "}"),
    (BODY, "} {"),
    (BODY, "let "),
    (BODY, "let let\n"),
    (BODY, "let x = y\n"),
    (BODY, "let x$ = y$\n"),
    (BODY, "let x$ = x\n"),
    (BODY, "let abcdefghijklmnopqrstuvwxyz$ = abcdefghijklmnopqrstuvwxzy$\n"),
    (BODY, "let x$ = a\n"),
    (BODY, "let x = { let x = "),
    (BODY, "let x = (\n"),
    (BODY, "let x$ = sum(a, 10000)\n"),
    (BODY, "let x$ = a[1] > 1 and "),
    (BODY, "param p$: num = 1\n"),
    (BODY, "param p: num in\n"),
    (BODY, "out o$ = a\n"),
    (BODY, "v := z$\n"),
    (BODY, "v := v # why\n"),
    (BODY, "v = \n"),
    (BODY, "v += 1\n"),
    (BODY, "warn\n"),
    (BODY, "warn \"{a}{q$}{{{\"\n"),
    (BODY, "warn \"{"),
    (BODY, "warn \"{\n"),
    (BODY, "breach for "),
    (BODY, "breach reduce(\n"),
    (BODY, "for x in y { }\n"),
    (BODY, "; "),
    (BODY, "EQUITY "),
    (BODY, "é"),
    (BODY, "%"),
    (BODY, "let x$ = not b[1] # why\n"),
];

const TESTS: &[(&str, &str)] = &[
    (TEST, "bar a=1 -> ok\n"),
    (TEST, "bar a=1 -> warn # why\n"),
    (TEST, "bar a=\n"),
    (TEST, "bar "),
    (TEST, "bar z$=1 -> ok\n"),
    (TEST, "set p$ = 1\n"),
    (TEST, "bar a=1 -> ok\n}\ntest \"t\" {\n"),
    (TEST, "}\ntest \"t\" {\n"),
    (TEST, "test \"t\" {\n"),
    (TEST, "test \"t\" { bar "),
    (TEST, "}\n"),
    ("rule r(a) = a > 1\ntest \"t\" { bar ", "a=1 "),
    ("rule r(a) = a > 1\ntest \"t\" { bar ", "z$=1 "),
];

/// Closed with a brace, these can be read, so that the later stages have their turn.
const READABLE: &[(&str, &str)] = &[
    (BODY, "v := 1 "),
    (BODY, "v := v #\n"),
    (BODY, "#\nv := a "),
    (BODY, "if b { } "),
    (BODY, "if b { # why\nv := a }\n"),
    (BODY, "if b { v := a } else { v := 1 # why\n}\n"),
    (BODY, "v := a + a - a * a / a + a - a * a / a + a - a * a / a\n"),
    (BODY, "v := max(max(max(max(a, a), a), a), a)\n"),
    (BODY, "let x$ = sum(a, 10)\nv := x$[1]\n"),
    (BODY, "v := not b[1]                                        \n"),
    (BODY, "v := abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz$\n"),
    (BODY, "let abcdefghijklmnopqrstuvwxyz$ = abcdefghijklmnopqrstuvwxzy$\n"),
    (BODY, "q$ := a\n"),
    (BODY, "warn \"{a}{b}{q$}{{}}\"\n"),
    (TEST, "bar -> ok\n"),
    (TEST, "bar a=1 -> warn # why\n"),
    (TEST, "bar z$=1 -> ok\n"),
    (TEST, "}\ntest \"t\" {\n"),
];

/// Holds each shape to its bounds.
fn hold(shapes: &[(&str, &str)], tail: &str) {
    for &(head, part) in shapes {
        let source = filled(head, part, tail);
        let lexed = lex(&source);
        let context = Context::new(&source, &LIMITS, lexed.diagnostics);
        let read = rule::file(Input::new(&lexed.tokens, &context));
        let (steps, tokens) = (context.steps.get(), lexed.tokens.len());
        assert!(steps <= 4 * tokens + 16, "{head}{part}: {steps} steps over {tokens} tokens");
        let said = context.into_diagnostics().len();
        assert!(read.is_some() || said > 0, "{head}{part}");
        assert!(said <= LIMITS.diagnostics + MOST_MISTAKES + 1, "{head}{part}: {said} diagnostics");

        let checked = check_source(&source, &LIMITS).map(|checked| Diagnostics(checked.warnings));
        let laid_out = format(&source, &LIMITS);
        if let Ok(text) = &laid_out {
            // Every token on a line of its own, as far to the right as blocks go.
            assert!(text.len() <= (2 * LIMITS.nesting + 2) * source.len(), "{head}{part}: {} bytes", text.len());
        } else {
            assert!(checked.is_err(), "{head}{part} is a rule that cannot be laid out");
        }
        for found in [checked.as_ref().unwrap_or_else(|e| e), laid_out.as_ref().err().unwrap_or(&Diagnostics(vec![]))] {
            let count = found.0.len();
            assert!(count <= LIMITS.diagnostics + 1 || checked.is_ok(), "{head}{part}: {count} diagnostics");
            let (text, reports) = (render(found, &source, "r.rule", false), found.to_reports(&source));
            let json = serde_json::to_string(&reports).unwrap();
            assert!(text.len() <= 2_000 * count, "{head}{part}: {} bytes of text of {count}", text.len());
            assert!(json.len() <= 2_000 * count + 2, "{head}{part}: {} bytes of JSON of {count}", json.len());
        }
    }
}

#[test]
fn heads() {
    hold(HEADS, "");
}

#[test]
fn expressions() {
    hold(EXPRESSIONS, "");
}

#[test]
fn statements() {
    hold(STATEMENTS, "");
}

#[test]
fn tests() {
    hold(TESTS, "");
}

#[test]
fn what_can_be_read() {
    hold(READABLE, "}");
    assert!(READABLE.iter().all(|(head, part)| format(&filled(head, part, "}"), &LIMITS).is_ok()));
}
