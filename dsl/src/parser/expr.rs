//! Expressions: operators by how tight they bind, and operands down to names.

use super::input::{Input, Parsed, close, close_list, name, need, need_word, sign, whole};
use super::teach;
use crate::ast::{Arg, BinaryOp, Expr, ExprKind, UnaryOp};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::token::{Sign, TokenKind, Word};

/// An expression and the height of its tree, which is kept under the limit of depth.
struct Tall {
    // In a box, as all but the outermost will be: the parser recurses, and what it carries takes room on the stack.
    expr: Box<Expr>,
    height: usize,
}

impl Tall {
    fn leaf(kind: ExprKind, span: Span) -> Self {
        Self { expr: Box::new(Expr { kind, span }), height: 1 }
    }

    /// A node over others, the highest of which has `below`.
    fn over(i: Input<'_>, kind: ExprKind, span: Span, below: usize) -> Parsed<'_, Self> {
        if below < i.context.limits.depth {
            return Ok((i, Self { expr: Box::new(Expr { kind, span }), height: below + 1 }));
        }
        i.fail(too_deep(i, &kind, span))
    }
}

fn too_deep(i: Input<'_>, kind: &ExprKind, span: Span) -> Diagnostic {
    let most = i.context.limits.depth;
    let message = format!("an expression of more than {most} levels, each of which builds on the one below");
    let (place, help) = if let ExprKind::Binary { op, .. } = kind {
        let sign = i.text(op.span);
        (op.span, format!("break the chain: `let part = …` of what stands before this `{sign}`, then `part {sign} …`"))
    } else {
        (span, "give inner parts a name with `let`".to_owned())
    };
    Diagnostic::new(Code::TOO_DEEP, message, place, "one too many").help(help)
}

/// An expression that must be here.
pub(super) fn expr(i: Input<'_>) -> Parsed<'_, Expr> {
    let (i, tall) = tall(i)?;
    Ok((i, *tall.expr))
}

fn tall(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, tall) = i.nested(|i| if i.is_word(Word::If) { conditional(i) } else { operation(i, Level::Or) })?;
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
    let kind = ExprKind::If { condition: condition.expr, then: then.expr, otherwise: otherwise.expr };
    Tall::over(i, kind, i.since(start), below)
}

/// How tight operators bind, the loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Compare,
    Sum,
    Product,
    Minus,
}

/// A binary operator other than `??`: how tight it binds, and how tight what stands in its right operand does.
const fn operator(kind: &TokenKind) -> Option<(BinaryOp, Level, Level)> {
    Some(match kind {
        TokenKind::Word(Word::Or) => (BinaryOp::Or, Level::Or, Level::And),
        TokenKind::Word(Word::And) => (BinaryOp::And, Level::And, Level::Not),
        TokenKind::Sign(Sign::Lt) => (BinaryOp::Lt, Level::Compare, Level::Sum),
        TokenKind::Sign(Sign::Le) => (BinaryOp::Le, Level::Compare, Level::Sum),
        TokenKind::Sign(Sign::Gt) => (BinaryOp::Gt, Level::Compare, Level::Sum),
        TokenKind::Sign(Sign::Ge) => (BinaryOp::Ge, Level::Compare, Level::Sum),
        TokenKind::Sign(Sign::Eq) => (BinaryOp::Eq, Level::Compare, Level::Sum),
        TokenKind::Sign(Sign::Ne) => (BinaryOp::Ne, Level::Compare, Level::Sum),
        TokenKind::Sign(Sign::Plus) => (BinaryOp::Add, Level::Sum, Level::Product),
        TokenKind::Sign(Sign::Minus) => (BinaryOp::Sub, Level::Sum, Level::Product),
        TokenKind::Sign(Sign::Star) => (BinaryOp::Mul, Level::Product, Level::Minus),
        TokenKind::Sign(Sign::Slash) => (BinaryOp::Div, Level::Product, Level::Minus),
        _ => return None,
    })
}

/// Operands and the operators between them that bind as tight as `least` or tighter, from the left.
fn operation(i: Input<'_>, least: Level) -> Parsed<'_, Tall> {
    let (mut i, mut left) = operand(i, least)?;
    while let Some((op, level, right)) = operator(i.kind()).filter(|(_, level, _)| *level >= least) {
        let op = Spanned::new(op, i.span());
        let (after, right) = operation(i.advance(), right)?;
        (i, left) = binary(after, op, left, right)?;
        if level == Level::Compare && matches!(operator(i.kind()), Some((_, Level::Compare, _))) {
            return i.fail(second_comparison(i, &left.expr));
        }
    }
    Ok((i, left))
}

fn binary(i: Input<'_>, op: Spanned<BinaryOp>, left: Tall, right: Tall) -> Parsed<'_, Tall> {
    let below = left.height.max(right.height);
    let span = left.expr.span.to(right.expr.span);
    Tall::over(i, ExprKind::Binary { op, left: left.expr, right: right.expr }, span, below)
}

/// What to say of a comparison behind another.
fn second_comparison(i: Input<'_>, compared: &Expr) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(Code::CHAINED_COMPARISON, "comparisons do not chain", i.span(), "a second comparison");
    let ExprKind::Binary { op, right, .. } = &compared.kind else { return diagnostic };
    let help = format!("write `… and {} {} …`", i.text(right.span), i.text(i.span()));
    diagnostic.related(op.span, "the first").help(help)
}

/// An operand of operators that bind as tight as `least` or tighter, with the signs before it.
fn operand(i: Input<'_>, least: Level) -> Parsed<'_, Tall> {
    match i.kind() {
        TokenKind::Word(Word::Not) if least <= Level::Not => unary(i, UnaryOp::Not, Level::Not),
        TokenKind::Sign(Sign::Minus) => unary(i, UnaryOp::Neg, Level::Minus),
        _ => default(i),
    }
}

fn unary(i: Input<'_>, op: UnaryOp, level: Level) -> Parsed<'_, Tall> {
    let start = i.span();
    let (i, operand) = i.advance().nested(|i| operation(i, level))?;
    Tall::over(i, ExprKind::Unary { op, operand: operand.expr }, i.since(start), operand.height)
}

/// `primary ["??" unary]`, from the right.
fn default(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, value) = primary(i)?;
    if !i.is(Sign::Default) {
        return Ok((i, value));
    }
    let op = Spanned::new(BinaryOp::Default, i.span());
    let (i, default) = i.advance().nested(|i| operation(i, Level::Minus))?;
    binary(i, op, value, default)
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
        TokenKind::Name if *i.next_kind() == TokenKind::Sign(Sign::Open) => call(i),
        TokenKind::Name => named(i),
        _ => i.fail(teach::no_value(i)),
    }
}

fn paren(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, opened) = need(Sign::Open)(i)?;
    let (i, inner) = tall(i)?;
    let (i, _) = close(Sign::Close, opened)(i)?;
    Tall::over(i, ExprKind::Paren(inner.expr), i.since(opened), inner.height)
}

/// `name` or `name[k]`.
fn named(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, name) = name("a value")(i)?;
    let start = name.span;
    let Ok((after, opened)) = sign(Sign::OpenBracket)(i) else {
        return Ok((i, Tall::leaf(ExprKind::Name(name.value), start)));
    };
    let (i, back) = whole("a number of bars")(after)?;
    let (i, _) = close(Sign::CloseBracket, opened)(i)?;
    Ok((i, Tall::leaf(ExprKind::Index { name, back }, i.since(start))))
}

/// `name(args)`.
fn call(i: Input<'_>) -> Parsed<'_, Tall> {
    let (i, name) = name("a function")(i)?;
    let (mut i, opened) = need(Sign::Open)(i)?;
    let mut args = Vec::new();
    let mut below = 0;
    while !i.is(Sign::Close) {
        let (after, (arg, height)) = argument(i)?;
        args.push(arg);
        below = below.max(height);
        i = after;
        let Ok((after, comma)) = sign(Sign::Comma)(i) else { break };
        i = after;
        if i.is(Sign::Close) {
            i.report(teach::last_comma(comma, "argument"));
        }
    }
    let (i, _) = close_list(opened)(i)?;
    let span = i.since(name.span);
    Tall::over(i, ExprKind::Call { name, args }, span, below)
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
    Ok((i, (Arg { name: label, value: *value.expr }, value.height)))
}
