//! Declarations: inputs, params, their types and ranges. One that is wrong still declares its name.

use super::input::{Input, Parsed, close_list, name, need, not_here, sign, word};
use super::stmt::has;
use super::teach;
use crate::ast::{Input as RuleInput, Literal, LiteralValue, Param, Range, TypeName};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::token::{Sign, TokenKind, Word};

/// `(input, …)`.
pub(super) fn inputs(i: Input<'_>) -> Parsed<'_, Vec<RuleInput>> {
    if !i.is(Sign::Open) {
        let help = "a rule names the inputs that it reads: `rule daily(equity, balance)`";
        return i.fail(i.unexpected("`(`", Some(help)));
    }
    let (mut i, opened) = need(Sign::Open)(i)?;
    let mut inputs = Vec::new();
    loop {
        let (after, input) = input_or_rest(i);
        inputs.extend(input);
        if inputs.len() > after.context.limits.names {
            let message = format!("more than {} inputs", after.context.limits.names);
            return after.fail(Diagnostic::new(Code::TOO_MANY_NAMES, message, after.span(), "too many"));
        }
        i = after;
        if !(i.is(Sign::Comma) || i.is(Sign::Close)) {
            let wrong = close_list(opened)(i);
            let after = skip_input(i);
            if !(after.is(Sign::Comma) || after.is(Sign::Close)) {
                return Err(wrong.err().unwrap_or(nom::Err::Failure(super::input::Problem { diagnostic: None })));
            }
            i.report_problem(wrong.err());
            i = after;
        }
        let Ok((after, comma)) = sign(Sign::Comma)(i) else { break };
        i = after;
        if i.is(Sign::Close) {
            i.report(teach::last_comma(comma, "input"));
            break;
        }
    }
    let (i, _) = close_list(opened)(i)?;
    Ok((i, inputs))
}

/// An input, or, if it is wrong, its name alone, and where to go on.
fn input_or_rest(i: Input<'_>) -> (Input<'_>, Option<RuleInput>) {
    match input(i) {
        Ok((after, input)) => (after, Some(input)),
        Err(problem) => {
            i.report_problem(Some(problem));
            let named = name("an input")(i).ok().map(|(_, name)| {
                let span = name.span;
                RuleInput { name, ty: None, optional: false, range: None, span }
            });
            (skip_input(i), named)
        }
    }
}

/// To the end of an input: its comma, the end of the inputs, or what cannot be in them.
fn skip_input(mut i: Input<'_>) -> Input<'_> {
    while !(i.at_end() || i.is(Sign::Comma) || i.is(Sign::Close) || i.is(Sign::OpenBrace)) {
        i = i.advance();
    }
    i
}

fn input(i: Input<'_>) -> Parsed<'_, RuleInput> {
    let (i, name) = name("the name of an input")(i)?;
    let start = name.span;
    if i.is(Sign::Question) {
        let help = format!("a `?` stands behind a type: `{}: num?`", name.value);
        return i.fail(i.unexpected("`:` and a type", Some(&help)));
    }
    let (i, typed) = has(i, Sign::Colon);
    let (i, ty, optional) = if typed {
        let (i, ty) = type_name(i)?;
        let (i, optional) = has(i, Sign::Question);
        (i, Some(ty), optional)
    } else {
        (i, None, false)
    };
    let (i, range) = match range(i) {
        Ok(parsed) => parsed,
        Err(problem) => {
            i.report_problem(Some(problem));
            (skip_input(i), None)
        }
    };
    Ok((i, RuleInput { name, ty, optional, range, span: i.since(start) }))
}

fn type_name(i: Input<'_>) -> Parsed<'_, Spanned<TypeName>> {
    let word = match i.kind() {
        TokenKind::Word(word) => Some(*word),
        TokenKind::Name => teach::meant_type(i.text(i.span())),
        _ => None,
    };
    let ty = match word {
        Some(Word::Num) => TypeName::Num,
        Some(Word::Bool) => TypeName::Bool,
        Some(Word::Int) => TypeName::Int,
        _ => return i.expected("a type: `num` or `bool` (params: or `int`)"),
    };
    if let (TokenKind::Name, Some(word)) = (i.kind(), word) {
        let help = format!("write `{}`", word.text());
        i.report(i.unexpected("a type: `num` or `bool` (params: or `int`)", Some(&help)));
    }
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

/// A param; not here if there is no `param`.
pub(super) fn param(i: Input<'_>) -> Parsed<'_, Param> {
    let Ok((i, start)) = word(Word::Param)(i) else { return not_here() };
    let (i, name) = name("the name of a param")(i)?;
    if i.is(Sign::Is) {
        let help = format!("a param has a type: `param {}: num = …`", name.value);
        return i.fail(i.unexpected("`:`", Some(&help)));
    }
    let (i, _) = need(Sign::Colon)(i)?;
    let (i, ty) = type_name(i)?;
    if i.is_word(Word::In) {
        return i.fail(i.unexpected("`=`", Some("the default stands before the range: `param n: int = 20 in 5..250`")));
    }
    let (i, _) = need(Sign::Is)(i)?;
    let (i, default) = literal(i)?;
    let (i, range) = range(i)?;
    Ok((i, Param { name, ty, default, range, span: i.since(start) }))
}

/// What a wrong param meant to declare, so that its readers are not wrong too: its name, with a type and a value that
/// fit where such params are read.
pub(super) fn meant_param(i: Input<'_>) -> Option<Param> {
    let (after, name) = name("a name")(word(Word::Param)(i).ok()?.0).ok()?;
    let span = name.span;
    let number = |value| Literal { value: LiteralValue::Num(value), span };
    let named = match (after.kind(), after.advance().kind()) {
        (TokenKind::Sign(Sign::Colon), TokenKind::Word(Word::Bool)) => Some(TypeName::Bool),
        (TokenKind::Sign(Sign::Colon), TokenKind::Word(Word::Int)) => Some(TypeName::Int),
        (TokenKind::Sign(Sign::Colon), TokenKind::Word(Word::Num)) => Some(TypeName::Num),
        _ => None,
    }?;
    let (default, range) = match named {
        TypeName::Bool => (Literal { value: LiteralValue::Bool(false), span }, None),
        TypeName::Int => (number(1.0), Some(Range { lo: number(1.0), hi: number(1.0), span })),
        TypeName::Num => (number(0.0), None),
    };
    Some(Param { name, ty: Spanned::new(named, span), default, range, span: Span::new(i.span().start, span.end) })
}
