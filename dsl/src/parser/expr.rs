//! Expressions, by precedence: one function a level, from `if` down to names.

use super::input::{Input, Parsed, close, name, need, need_word, sign, whole, word};
use super::teach;
use crate::ast::{Arg, BinaryOp, Expr, ExprKind, UnaryOp};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::token::{Sign, TokenKind, Word};

/// An expression and the height of its tree, which is kept under the limit of nesting.
struct Tall {
    expr: Expr,
    height: usize,
}

impl Tall {
    const fn leaf(kind: ExprKind, span: Span) -> Self {
        Self { expr: Expr { kind, span }, height: 1 }
    }

    /// A node over others, the highest of which has `below`.
    fn over(i: Input<'_>, kind: ExprKind, span: Span, below: usize) -> Parsed<'_, Self> {
        if below >= i.context.limits.nesting {
            return i.too_deep(span);
        }
        Ok((i, Self { expr: Expr { kind, span }, height: below + 1 }))
    }
}

/// An expression that must be here.
pub(super) fn expr(i: Input<'_>) -> Parsed<'_, Expr> {
    let (i, tall) = tall(i)?;
    Ok((i, tall.expr))
}

fn tall(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, tall) = i.nested(|i| if i.is_word(Word::If) { conditional(i) } else { or(i) })?;
    match teach::behind_value(i) {
        Some(diagnostic) => i.fail(diagnostic),
        None => Ok((i, tall)),
    }
}

fn conditional(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, start) = need_word(Word::If)(i)?;
    let (i, condition) = tall(i)?;
    if i.is(Sign::OpenBrace) {
        let message = "an if expression is written with `then` and `else`";
        return i.fail(
            Diagnostic::new(Code::IF_NEEDS_ELSE, message, i.span(), "expected `then`")
                .help("write `if a then b else c`; the statement `if a { … }` stands alone"),
        );
    }
    let (i, _) = need_word(Word::Then)(i)?;
    let (i, then) = tall(i)?;
    if !i.is_word(Word::Else) {
        let message = format!("an if expression needs an `else`, found {}", i.found());
        return i.fail(
            Diagnostic::new(Code::IF_NEEDS_ELSE, message, i.span(), "expected `else`")
                .help("write `if a then b else c`: it always gives a value"),
        );
    }
    let (i, otherwise) = tall(i.advance())?;
    let below = condition.height.max(then.height).max(otherwise.height);
    let kind = ExprKind::If {
        condition: Box::new(condition.expr),
        then: Box::new(then.expr),
        otherwise: Box::new(otherwise.expr),
    };
    Tall::over(i, kind, i.since(start), below)
}

/// `operand {op operand}`, from the left.
fn chain<'a>(
    i: Input<'a>,
    operand: fn(Input<'a>) -> Parsed<'a, Tall>,
    op: fn(&TokenKind) -> Option<BinaryOp>,
) -> Parsed<'a, Tall> {
    let (mut i, mut left) = operand(i)?;
    while let Some(found) = op(i.kind()) {
        let (after, joined) = join(i, found, left, operand)?;
        (i, left) = (after, joined);
    }
    Ok((i, left))
}

/// The operator here and its right operand.
fn join<'a>(i: Input<'a>, op: BinaryOp, left: Tall, operand: fn(Input<'a>) -> Parsed<'a, Tall>) -> Parsed<'a, Tall> {
    let at = i.span();
    let (i, right) = operand(i.advance())?;
    let below = left.height.max(right.height);
    let span = left.expr.span.to(right.expr.span);
    let kind = ExprKind::Binary { op: Spanned::new(op, at), left: Box::new(left.expr), right: Box::new(right.expr) };
    Tall::over(i, kind, span, below)
}

fn or(i: Input<'_>) -> Parsed<'_, Tall> {
    chain(i, and, |kind| (*kind == TokenKind::Word(Word::Or)).then_some(BinaryOp::Or))
}

fn and(i: Input<'_>) -> Parsed<'_, Tall> {
    chain(i, not, |kind| (*kind == TokenKind::Word(Word::And)).then_some(BinaryOp::And))
}

fn not(i: Input<'_>) -> Parsed<'_, Tall> {
    let Ok((after, start)) = word(Word::Not)(i) else { return comparison(i) };
    let (i, operand) = after.nested(not)?;
    let kind = ExprKind::Unary { op: UnaryOp::Not, operand: Box::new(operand.expr) };
    Tall::over(i, kind, i.since(start), operand.height)
}

const fn comparison_sign(kind: &TokenKind) -> Option<BinaryOp> {
    match kind {
        TokenKind::Sign(Sign::Lt) => Some(BinaryOp::Lt),
        TokenKind::Sign(Sign::Le) => Some(BinaryOp::Le),
        TokenKind::Sign(Sign::Gt) => Some(BinaryOp::Gt),
        TokenKind::Sign(Sign::Ge) => Some(BinaryOp::Ge),
        TokenKind::Sign(Sign::Eq) => Some(BinaryOp::Eq),
        TokenKind::Sign(Sign::Ne) => Some(BinaryOp::Ne),
        _ => None,
    }
}

fn comparison(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, left) = sum(i)?;
    let Some(op) = comparison_sign(i.kind()) else { return Ok((i, left)) };
    let first = i.span();
    let (i, compared) = join(i, op, left, sum)?;
    if comparison_sign(i.kind()).is_none() {
        return Ok((i, compared));
    }
    let middle = match &compared.expr.kind {
        ExprKind::Binary { right, .. } => i.text(right.span),
        _ => "",
    };
    let help = format!("write `… and {middle} {} …`", i.text(i.span()));
    i.fail(
        Diagnostic::new(Code::CHAINED_COMPARISON, "comparisons do not chain", i.span(), "a second comparison")
            .related(first, "the first")
            .help(help),
    )
}

fn sum(i: Input<'_>) -> Parsed<'_, Tall> {
    chain(i, product, |kind| match kind {
        TokenKind::Sign(Sign::Plus) => Some(BinaryOp::Add),
        TokenKind::Sign(Sign::Minus) => Some(BinaryOp::Sub),
        _ => None,
    })
}

fn product(i: Input<'_>) -> Parsed<'_, Tall> {
    chain(i, unary, |kind| match kind {
        TokenKind::Sign(Sign::Star) => Some(BinaryOp::Mul),
        TokenKind::Sign(Sign::Slash) => Some(BinaryOp::Div),
        _ => None,
    })
}

fn unary(i: Input<'_>) -> Parsed<'_, Tall> {
    let Ok((after, start)) = sign(Sign::Minus)(i) else { return default(i) };
    let (i, operand) = after.nested(unary)?;
    let kind = ExprKind::Unary { op: UnaryOp::Neg, operand: Box::new(operand.expr) };
    Tall::over(i, kind, i.since(start), operand.height)
}

/// `primary ["??" unary]`, from the right.
fn default(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, value) = primary(i)?;
    if !i.is(Sign::Default) {
        return Ok((i, value));
    }
    join(i, BinaryOp::Default, value, |i| i.nested(unary))
}

fn primary(i: Input<'_>) -> Parsed<'_, Tall> {
    let leaf = |kind| Ok((i.advance(), Tall::leaf(kind, i.span())));
    match *i.kind() {
        TokenKind::Number { value, .. } => leaf(ExprKind::Num(value)),
        TokenKind::Clock(minute) => leaf(ExprKind::Clock(minute)),
        TokenKind::Word(Word::True) => leaf(ExprKind::Bool(true)),
        TokenKind::Word(Word::False) => leaf(ExprKind::Bool(false)),
        // Reported by the lexer; the expression goes on around it.
        TokenKind::Wrong => leaf(ExprKind::Error),
        TokenKind::Sign(Sign::Open) => paren(i),
        TokenKind::Name => named(i),
        _ => i.fail(teach::no_value(i)),
    }
}

fn paren(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, opened) = need(Sign::Open)(i)?;
    let (i, inner) = tall(i)?;
    let (i, _) = close(Sign::Close, opened)(i)?;
    Tall::over(i, ExprKind::Paren(Box::new(inner.expr)), i.since(opened), inner.height)
}

/// `name`, `name[k]` or `name(args)`.
fn named(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, name) = name("a value")(i)?;
    let start = name.span;
    if let Ok((after, opened)) = sign(Sign::OpenBracket)(i) {
        let (i, back) = whole("a number of bars")(after)?;
        let (i, _) = close(Sign::CloseBracket, opened)(i)?;
        return Ok((i, Tall::leaf(ExprKind::Index { name, back }, i.since(start))));
    }
    let Ok((mut i, opened)) = sign(Sign::Open)(i) else {
        return Ok((i, Tall::leaf(ExprKind::Name(name.value), start)));
    };
    let mut args = Vec::new();
    let mut below = 0;
    if !i.is(Sign::Close) {
        loop {
            let (after, (arg, height)) = argument(i)?;
            args.push(arg);
            below = below.max(height);
            i = after;
            let Ok((after, comma)) = sign(Sign::Comma)(i) else { break };
            i = after;
            if i.is(Sign::Close) {
                i.report(teach::last_comma(comma, "argument"));
                break;
            }
        }
    }
    let (i, _) = close(Sign::Close, opened)(i)?;
    Tall::over(i, ExprKind::Call { name, args }, i.since(start), below)
}

fn argument(i: Input<'_>) -> Parsed<'_, (Arg, usize)> {
    let named = *i.kind() == TokenKind::Name && *i.next_kind() == TokenKind::Sign(Sign::Colon);
    let (i, label) = if named {
        let (i, label) = name("an argument")(i)?;
        (i.advance(), Some(label))
    } else {
        (i, None)
    };
    let (i, value) = tall(i)?;
    Ok((i, (Arg { name: label, value: value.expr }, value.height)))
}
