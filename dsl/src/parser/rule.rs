//! The file: edition, clock, the head of the rule, its items, its tests.

use nom::Parser;
use nom::combinator::opt;
use nom::sequence::preceded;

use super::declare::{inputs, meant_param, param};
use super::expr::expr;
use super::input::{Input, Parsed, name, need, need_word, text, whole, word};
use super::stmt::{declared, end_block, ends_block, recover, skip_statement};
use super::test::test;
use crate::ast::{Body, ClockLine, File, Item, Name, Rule, Stmt, Test};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Spanned;
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
    let i = to_rule(i);
    let (i, rule) = match rule(i) {
        Ok((after, rule)) => (after, Some(rule)),
        Err(problem) => {
            i.report_problem(Some(problem));
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
            i.report_problem(Some(problem));
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

/// To the rule, past what cannot stand before it. Stays if there is none.
fn to_rule(i: Input<'_>) -> Input<'_> {
    let mut at = i;
    while !at.is_word(Word::Rule) {
        if at.at_end() {
            return i;
        }
        at = at.advance();
    }
    if !i.is_word(Word::Rule) {
        let help = i.is_word(Word::Edition).then_some("the edition line comes first, and once");
        i.report_problem(i.fail::<()>(i.unexpected("`rule`", help)).err());
    }
    at
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
                    i.report_problem(Some(problem));
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
    if *i.kind() == TokenKind::Wrong || (i.is(Sign::CloseBrace) && i.context.string_unterminated) {
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
    let (i, name) = rule_name(i)?;
    let (i, inputs) = inputs(i)?;
    if i.is(Sign::Is) {
        let (i, body) = match expr(i.advance()) {
            Ok((after, condition)) => (after, Body::Short(condition)),
            Err(problem) => {
                i.report_problem(Some(problem));
                (to_tests(i), Body::Block(Vec::new()))
            }
        };
        return Ok((i, Rule { name, inputs, body, span: i.since(start) }));
    }
    let (i, ()) = if i.is(Sign::OpenBrace) { (i, ()) } else { to_body(i)? };
    let (i, items) = items(i)?;
    Ok((i, Rule { name, inputs, body: Body::Block(items), span: i.since(start) }))
}

/// The name of the rule. One that cannot be does not hide what is wrong with the rest.
fn rule_name(i: Input<'_>) -> Parsed<'_, Name> {
    match name("the name of the rule")(i) {
        Ok(parsed) => Ok(parsed),
        Err(problem) => {
            let missing = i.is(Sign::Open);
            if !(missing || *i.next_kind() == TokenKind::Sign(Sign::Open)) {
                return Err(problem);
            }
            i.report_problem(Some(problem));
            let name = Spanned::new("rule".to_owned(), i.span());
            Ok((if missing { i } else { i.advance() }, name))
        }
    }
}

/// To the `{` of the body, past what cannot stand before it.
fn to_body(i: Input<'_>) -> Parsed<'_, ()> {
    let mut at = i;
    while !at.is(Sign::OpenBrace) {
        if at.at_end() || (at.is_word(Word::Test) && at.begins_line()) {
            return i.expected("`=` and a condition, or `{`");
        }
        at = at.advance();
    }
    i.report_problem(i.expected::<()>("`=` and a condition, or `{`").err());
    Ok((at, ()))
}

fn items(i: Input<'_>) -> Parsed<'_, Vec<Item>> {
    let (mut i, opened) = need(Sign::OpenBrace)(i)?;
    let mut items = Vec::new();
    loop {
        if ends_block(i) {
            return Ok((end_block(i, opened), items));
        }
        let (after, item) = match param(i) {
            Ok((after, param)) => (after, Some(Item::Param(param))),
            Err(nom::Err::Error(_)) => {
                let (after, stmt) = recover(i);
                (after, stmt.map(Item::Stmt))
            }
            Err(problem) => {
                i.report_problem(Some(problem));
                let meant = meant_param(i).map(Item::Param);
                let stmt = || declared(i).map(|kind| Item::Stmt(Stmt { kind, span: i.span() }));
                (skip_statement(i.advance()), meant.or_else(stmt))
            }
        };
        items.extend(item);
        i = after;
    }
}
