//! Tests below a rule.

use super::declare::literal;
use super::input::{Input, Parsed, close, name, need, not_here, text, word};
use crate::ast::{ActionWord, Expected, Literal, Name, Severity, Test, TestBar, TestValue};
use crate::span::Spanned;
use crate::token::{Sign, TokenKind, Word};

/// A test; not here if there is no `test`.
pub(super) fn test(i: Input<'_>) -> Parsed<'_, Test> {
    let Ok((i, start)) = word(Word::Test)(i) else { return not_here() };
    let (i, name) = text("the name of the test, a string")(i)?;
    let (mut i, opened) = need(Sign::OpenBrace)(i)?;
    let mut sets = Vec::new();
    let mut bars = Vec::new();
    while i.is_word(Word::Set) {
        let (after, set) = set(i.advance())?;
        sets.push(set);
        i = after;
    }
    while i.is_word(Word::Bar) {
        i = match bar(i) {
            Ok((after, bar)) => {
                bars.push(bar);
                after
            }
            Err(problem) => {
                i.report_problem(Some(problem));
                next_bar(i.advance())
            }
        };
    }
    if i.is_word(Word::Set) {
        return i.expected("`bar …`: `set` lines come first");
    }
    if !i.is(Sign::CloseBrace) && !i.at_end() {
        return i.expected("`bar …`, or `}` at the end of the test");
    }
    let (i, _) = close(Sign::CloseBrace, opened)(i)?;
    Ok((i, Test { name, sets, bars, span: i.since(start) }))
}

fn next_bar(mut i: Input<'_>) -> Input<'_> {
    while !(i.at_end() || i.is(Sign::CloseBrace) || i.is_word(Word::Bar) || (i.is_word(Word::Test) && i.begins_line()))
    {
        i = i.advance();
    }
    i
}

fn set(i: Input<'_>) -> Parsed<'_, (Name, Literal)> {
    let (i, name) = name("the name of a param")(i)?;
    let (i, _) = need(Sign::Is)(i)?;
    let (i, value) = literal(i)?;
    Ok((i, (name, value)))
}

fn bar(i: Input<'_>) -> Parsed<'_, TestBar> {
    let start = i.span();
    let mut i = i.advance();
    let mut values = Vec::new();
    while *i.kind() == TokenKind::Name {
        let (after, name) = name("the name of an input")(i)?;
        let (after, _) = need(Sign::Is)(after)?;
        let (after, value) = if after.kind() == &TokenKind::Text {
            let (after, text) = text("a time")(after)?;
            (after, TestValue::Text(text))
        } else {
            let (after, value) = literal(after)?;
            (after, TestValue::Literal(value))
        };
        values.push((name, value));
        i = after;
    }
    if !i.is(Sign::Arrow) {
        let help = match i.kind() {
            TokenKind::Sign(Sign::Comma) => Some("values are separated by spaces"),
            TokenKind::Sign(Sign::Is) => Some("a verdict stands behind `->`"),
            TokenKind::Sign(Sign::Minus) | TokenKind::Clock(_) => {
                Some("a time is a string: `time=\"2026-01-05T15:00Z\"`")
            }
            _ => None,
        };
        return i.fail(i.unexpected("`name=value`, or `->` and a verdict", help));
    }
    let (i, expected) = expected(i.advance())?;
    Ok((i, TestBar { values, expected, span: i.since(start) }))
}

fn expected(i: Input<'_>) -> Parsed<'_, Spanned<Expected>> {
    let start = i.span();
    let (after, expected) = match i.kind() {
        TokenKind::Word(Word::Ok) => (i.advance(), Expected::Ok),
        TokenKind::Word(Word::Fault) => (i.advance(), Expected::Fault),
        TokenKind::Word(Word::Warn) => action(i.advance(), Severity::Warn),
        TokenKind::Word(Word::Breach) => action(i.advance(), Severity::Breach),
        _ => return i.expected("a verdict: ok, warn, breach or fault"),
    };
    Ok((after, Spanned::new(expected, after.since(start))))
}

fn action(i: Input<'_>, severity: Severity) -> (Input<'_>, Expected) {
    let action = match i.kind() {
        TokenKind::Word(Word::Block) => ActionWord::Block,
        TokenKind::Word(Word::Reduce) => ActionWord::Reduce,
        TokenKind::Word(Word::Liquidate) => ActionWord::Liquidate,
        _ => return (i, Expected::Verdict(severity, None)),
    };
    (i.advance(), Expected::Verdict(severity, Some(action)))
}
