//! The file: edition, clock, the head of the rule, its items, its tests.

use nom::Parser;
use nom::combinator::opt;
use nom::sequence::preceded;

use super::expr::expr;
use super::input::{Input, Parsed, close, name, need, need_word, not_here, text, whole, word};
use super::stmt::{declared, ends_block, has, recover, skip_statement};
use super::test::test;
use crate::ast::{
    Body, ClockLine, File, Input as RuleInput, Item, Literal, LiteralValue, Param, Range, Rule, Stmt, Test, TypeName,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::token::{Sign, TokenKind, Word};

/// A whole file. None if there is no head of a rule, without which nothing more can be said of names.
pub(super) fn file(i: Input<'_>) -> Option<File> {
    if i.at_end() {
        let example = "write `rule check_custom_rule(equity, drawdown) = drawdown > 20%`";
        i.report(Diagnostic::new(Code::EMPTY_SOURCE, "there is no rule", i.span(), "").help(example));
        return None;
    }
    let (i, edition) = line(i, edition);
    let (i, clock) = line(i, clock);
    let (i, rule) = match rule(i) {
        Ok((after, rule)) => (after, Some(rule)),
        Err(problem) => {
            i.report_problem(problem);
            (to_tests(i.advance()), None)
        }
    };
    let tests = tests(i);
    Some(File { edition, clock, rule: rule?, tests })
}

/// An optional line of the head. One that is wrong is reported and skipped.
fn line<'a, T>(i: Input<'a>, parser: fn(Input<'a>) -> Parsed<'a, T>) -> (Input<'a>, Option<T>) {
    match opt(parser).parse(i) {
        Ok(parsed) => parsed,
        Err(problem) => {
            i.report_problem(problem);
            let mut at = i.advance();
            while !(at.at_end() || at.is_word(Word::Rule) || at.is_word(Word::Clock)) {
                at = at.advance();
            }
            (at, None)
        }
    }
}

fn edition(i: Input<'_>) -> Parsed<'_, Spanned<u64>> {
    preceded(word(Word::Edition), whole("the number of an edition")).parse(i)
}

fn clock(i: Input<'_>) -> Parsed<'_, ClockLine> {
    let (i, start) = word(Word::Clock)(i)?;
    let (i, zone) = text("a zone such as \"America/New_York\"")(i)?;
    let (i, _) = need_word(Word::Day)(i)?;
    let TokenKind::Clock(minute) = *i.kind() else {
        return i.expected("the time when the day begins, such as `00:00`");
    };
    let day = Spanned::new(minute, i.span());
    let i = i.advance();
    Ok((i, ClockLine { zone, day, span: i.since(start) }))
}

fn to_tests(mut i: Input<'_>) -> Input<'_> {
    while !(i.at_end() || (i.is_word(Word::Test) && i.begins_line())) {
        i = i.advance();
    }
    i
}

fn tests(mut i: Input<'_>) -> Vec<Test> {
    let mut tests = Vec::new();
    let mut bars = 0;
    while !i.at_end() {
        match test(i) {
            Ok((after, test)) => {
                bars += test.bars.len();
                tests.push(test);
                i = after;
            }
            Err(problem) => {
                if matches!(problem, nom::Err::Error(_)) {
                    behind_rule(i);
                } else {
                    i.report_problem(problem);
                }
                i = to_tests(i.advance());
            }
        }
        // Enough for the checker to refuse the file.
        if tests.len() > i.context.limits.tests || bars > i.context.limits.test_bars {
            return tests;
        }
    }
    tests
}

/// Something behind the rule that is no test.
fn behind_rule(i: Input<'_>) {
    if *i.kind() == TokenKind::Wrong {
        return;
    }
    let (message, help) = if i.is_word(Word::Rule) {
        ("a file has one rule".to_owned(), "put each rule into a file of its own")
    } else if i.is(Sign::CloseBrace) {
        ("this `}` closes nothing".to_owned(), "remove it")
    } else {
        (format!("expected a test or the end of the file, found {}", i.found()), "the rule has ended before this")
    };
    i.report(Diagnostic::new(Code::UNEXPECTED, message, i.span(), "").help(help));
}

fn rule(i: Input<'_>) -> Parsed<'_, Rule> {
    let (i, start) = need_word(Word::Rule)(i)?;
    let (i, name) = name("the name of the rule")(i)?;
    let (i, inputs) = inputs(i)?;
    if i.is(Sign::Is) {
        let (i, body) = match expr(i.advance()) {
            Ok((after, condition)) => (after, Body::Short(condition)),
            Err(problem) => {
                i.report_problem(problem);
                (to_tests(i), Body::Block(Vec::new()))
            }
        };
        return Ok((i, Rule { name, inputs, body, span: i.since(start) }));
    }
    if !i.is(Sign::OpenBrace) {
        return i.expected("`=` and a condition, or `{`");
    }
    let (i, items) = items(i)?;
    Ok((i, Rule { name, inputs, body: Body::Block(items), span: i.since(start) }))
}

fn inputs(i: Input<'_>) -> Parsed<'_, Vec<RuleInput>> {
    let (mut i, opened) = need(Sign::Open)(i)?;
    let mut inputs = Vec::new();
    loop {
        let (after, input) = input(i)?;
        inputs.push(input);
        if inputs.len() > after.context.limits.names {
            let message = format!("more than {} inputs", after.context.limits.names);
            return after.fail(Diagnostic::new(Code::UNEXPECTED, message, after.span(), "too many"));
        }
        let (after, more) = has(after, Sign::Comma);
        i = after;
        if !more || i.is(Sign::Close) {
            break;
        }
    }
    let (i, _) = close(Sign::Close, opened)(i)?;
    Ok((i, inputs))
}

fn input(i: Input<'_>) -> Parsed<'_, RuleInput> {
    let (i, name) = name("the name of an input")(i)?;
    let start = name.span;
    let (i, typed) = has(i, Sign::Colon);
    let (i, ty, optional) = if typed {
        let (i, ty) = type_name(i)?;
        let (i, optional) = has(i, Sign::Question);
        (i, Some(ty), optional)
    } else {
        (i, None, false)
    };
    let (i, range) = range(i)?;
    Ok((i, RuleInput { name, ty, optional, range, span: i.since(start) }))
}

fn type_name(i: Input<'_>) -> Parsed<'_, Spanned<TypeName>> {
    let ty = match i.kind() {
        TokenKind::Word(Word::Num) => TypeName::Num,
        TokenKind::Word(Word::Bool) => TypeName::Bool,
        TokenKind::Word(Word::Int) => TypeName::Int,
        _ => return i.expected("a type: `num` or `bool` (params: or `int`)"),
    };
    Ok((i.advance(), Spanned::new(ty, i.span())))
}

fn range(i: Input<'_>) -> Parsed<'_, Option<Range>> {
    let Ok((i, _)) = word(Word::In)(i) else { return Ok((i, None)) };
    let (i, lo) = literal(i)?;
    let (i, _) = need(Sign::Range)(i)?;
    let (i, hi) = literal(i)?;
    let span = lo.span.to(hi.span);
    Ok((i, Some(Range { lo, hi, span })))
}

/// `["-"] number`, `true` or `false`.
pub(super) fn literal(i: Input<'_>) -> Parsed<'_, Literal> {
    let start = i.span();
    let (after, negative) = has(i, Sign::Minus);
    let value = match *after.kind() {
        TokenKind::Number { value, .. } => LiteralValue::Num(if negative { -value } else { value }),
        TokenKind::Word(Word::True) if !negative => LiteralValue::Bool(true),
        TokenKind::Word(Word::False) if !negative => LiteralValue::Bool(false),
        _ => return after.expected("a number, `true` or `false`"),
    };
    let after = after.advance();
    Ok((after, Literal { value, span: after.since(start) }))
}

fn items(i: Input<'_>) -> Parsed<'_, Vec<Item>> {
    let (mut i, opened) = need(Sign::OpenBrace)(i)?;
    let mut items = Vec::new();
    loop {
        if ends_block(i) {
            return match close(Sign::CloseBrace, opened)(i) {
                Ok((i, _)) => Ok((i, items)),
                // The rule can be checked as far as it goes.
                Err(problem) => {
                    i.report_problem(problem);
                    Ok((i, items))
                }
            };
        }
        let (after, item) = match param(i) {
            Ok((after, param)) => (after, Some(Item::Param(param))),
            Err(nom::Err::Error(_)) => {
                let (after, stmt) = recover(i);
                (after, stmt.map(Item::Stmt))
            }
            Err(problem) => {
                i.report_problem(problem);
                let span = i.span();
                let after = skip_statement(i.advance());
                (after, declared(i).map(|kind| Item::Stmt(Stmt { kind, span: Span::new(span.start, span.end) })))
            }
        };
        items.extend(item);
        i = after;
    }
}

fn param(i: Input<'_>) -> Parsed<'_, Param> {
    let Ok((i, start)) = word(Word::Param)(i) else { return not_here() };
    let (i, name) = name("the name of a param")(i)?;
    let (i, _) = need(Sign::Colon)(i)?;
    let (i, ty) = type_name(i)?;
    let (i, _) = need(Sign::Is)(i)?;
    let (i, default) = literal(i)?;
    let (i, range) = range(i)?;
    Ok((i, Param { name, ty, default, range, span: i.since(start) }))
}
