//! Statements and blocks, and where to go on after one that is wrong.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, opt, value};
use nom::sequence::{preceded, terminated};

use super::expr::expr;
use super::input::{Input, Parsed, Problem, close, name, need, need_word, sign, text, whole, word};
use super::teach;
use crate::ast::{Action, Else, Expr, ExprKind, Hold, If, Severity, Stmt, StmtKind, VerdictStmt};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::token::{Sign, TokenKind, Word};

/// Words that begin a statement and nothing else.
const STARTS: [Word; 6] = [Word::Let, Word::Var, Word::Out, Word::Warn, Word::Breach, Word::Param];

/// Past what could not be read: to the next statement of this block, its end, or what ends the rule.
pub(super) fn skip_statement(mut i: Input<'_>) -> Input<'_> {
    let mut open = 0_usize;
    let mut behind_else = false;
    loop {
        match i.kind() {
            TokenKind::End => return i,
            TokenKind::Sign(Sign::OpenBrace) => open += 1,
            TokenKind::Sign(Sign::CloseBrace) if open == 0 => return i,
            TokenKind::Sign(Sign::CloseBrace) => open -= 1,
            TokenKind::Word(Word::Test | Word::Rule) if i.begins_line() => return i,
            _ if open == 0 && starts_statement(i) => return i,
            TokenKind::Word(Word::If) if open == 0 && i.begins_line() && !behind_else => return i,
            _ => {}
        }
        behind_else = i.is_word(Word::Else);
        i = i.advance();
    }
}

/// `{ statements }`. A block that was opened always gives one, whatever is in it.
pub(super) fn block(i: Input<'_>) -> Parsed<'_, Vec<Stmt>> {
    i.nested(|i| {
        let (mut i, opened) = need(Sign::OpenBrace)(i)?;
        let mut stmts = Vec::new();
        loop {
            if ends_block(i) {
                return Ok((end_block(i, opened), stmts));
            }
            let (after, stmt) = recover(i);
            stmts.extend(stmt);
            i = after;
        }
    })
}

/// Whether a block has no more statements: its end, or what can only stand behind it.
pub(super) fn ends_block(i: Input<'_>) -> bool {
    i.at_end() || i.is(Sign::CloseBrace) || (i.begins_line() && (i.is_word(Word::Test) || i.is_word(Word::Rule)))
}

/// Past the `}` of a block. One that is missing is reported: what the block has can be checked all the same.
pub(super) fn end_block(i: Input<'_>, opened: Span) -> Input<'_> {
    match close(Sign::CloseBrace, opened)(i) {
        Ok((after, _)) => after,
        Err(problem) => {
            i.report_problem(Some(problem));
            i
        }
    }
}

/// A statement, or, if it is wrong, what can be kept of it and where to go on.
pub(super) fn recover(i: Input<'_>) -> (Input<'_>, Option<Stmt>) {
    match statement(i) {
        Ok((after, stmt)) => (after, Some(stmt)),
        Err(problem) => skip_wrong(i, problem),
    }
}

fn skip_wrong(i: Input<'_>, problem: nom::Err<Problem>) -> (Input<'_>, Option<Stmt>) {
    i.report_problem(Some(problem));
    // At least the first token is past, or this would not end.
    let after = skip_statement(i.advance());
    (after, declared(i).map(|kind| Stmt { kind, span: after.since(i.span()) }))
}

/// The name that a wrong statement meant to declare, so that its readers are not wrong too.
pub(super) fn declared(i: Input<'_>) -> Option<StmtKind> {
    if ![Word::Let, Word::Var, Word::Param].iter().any(|&w| i.is_word(w)) {
        return None;
    }
    let (_, name) = name("a name")(i.advance()).ok()?;
    let value = Expr { kind: ExprKind::Error, span: name.span };
    Some(StmtKind::Let { name, value })
}

fn statement(i: Input<'_>) -> Parsed<'_, Stmt> {
    if !i.is_word(Word::If) {
        return simple(i);
    }
    let start = i.span();
    let (i, stmt) = if_(i)?;
    Ok((i, Stmt { kind: StmtKind::If(stmt), span: i.since(start) }))
}

/// A statement without blocks.
fn simple(i: Input<'_>) -> Parsed<'_, Stmt> {
    let start = i.span();
    let (i, kind) = match i.kind() {
        TokenKind::Word(Word::Let) => {
            let (i, (name, value)) = given(i.advance(), "the name of a let")?;
            (i, StmtKind::Let { name, value })
        }
        TokenKind::Word(Word::Out) => {
            let (i, (name, value)) = given(i.advance(), "the name of an out")?;
            (i, StmtKind::Out { name, value })
        }
        TokenKind::Word(Word::Var) => var(i)?,
        TokenKind::Word(Word::Warn | Word::Breach) => map(verdict, StmtKind::Verdict).parse(i)?,
        TokenKind::Word(Word::Param) => {
            return i.fail(
                Diagnostic::new(Code::PARAM_PLACE, "params are declared at the top level", i.span(), "inside a block")
                    .help("move it to the beginning of the rule"),
            );
        }
        TokenKind::Word(Word::Else) => {
            return i.fail(Diagnostic::new(Code::UNEXPECTED, "this `else` belongs to no `if`", i.span(), ""));
        }
        TokenKind::Name => assign(i)?,
        _ => return i.fail(teach::no_statement(i)),
    };
    Ok((i, Stmt { kind, span: i.since(start) }))
}

/// `name = expr`, after its word.
fn given<'a>(i: Input<'a>, what: &str) -> Parsed<'a, (crate::ast::Name, Expr)> {
    let (i, name) = name(what)(i)?;
    if i.is(Sign::Assign) || i.is(Sign::Eq) {
        let message = format!("a value is given with `=`, not `{}`", i.text(i.span()));
        return i.fail(Diagnostic::new(Code::UNEXPECTED, message, i.span(), "write `=`"));
    }
    if i.is(Sign::Colon) {
        return i.fail(
            i.unexpected("`=`", Some("a type is written for inputs and params alone; here it follows from the value")),
        );
    }
    let (i, _) = need(Sign::Is)(i)?;
    let (i, value) = expr(i)?;
    Ok((i, (name, value)))
}

fn var(i: Input<'_>) -> Parsed<'_, StmtKind> {
    let (i, name) = name("the name of a var")(i.advance())?;
    let (i, per) = opt(word(Word::Per)).parse(i)?;
    let (i, _) = if per.is_some() { map(need_word(Word::Day), Some).parse(i)? } else { (i, None) };
    let (i, _) = need(Sign::Is)(i)?;
    let (i, value) = expr(i)?;
    Ok((i, StmtKind::Var { name, per_day: per.is_some(), value }))
}

fn assign(i: Input<'_>) -> Parsed<'_, StmtKind> {
    let (after, name) = name("a name")(i)?;
    if after.is(Sign::Assign) {
        let (i, value) = expr(after.advance())?;
        return Ok((i, StmtKind::Assign { name, value }));
    }
    if after.is(Sign::Is) {
        let help = format!("write `let {0} = …` for a new value, `{0} := …` to change a var", name.value);
        return after.fail(
            Diagnostic::new(Code::SINGLE_EQUALS, "a statement does not begin with `name =`", after.span(), "")
                .help(help),
        );
    }
    let sign = i.text(after.span());
    if matches!(sign, "+" | "-" | "*" | "/") && *after.next_kind() == TokenKind::Sign(Sign::Is) {
        let help = format!("write `{0} := {0} {sign} …`", name.value);
        return after.fail(after.unexpected("`:=`", Some(&help)));
    }
    i.fail(teach::no_statement(i))
}

/// `if condition { … } [else …]`. A condition that is wrong does not hide its blocks.
fn if_(i: Input<'_>) -> Parsed<'_, If> {
    let (i, start) = need_word(Word::If)(i)?;
    let (i, condition) = condition(i, start)?;
    let (i, then) = if i.is(Sign::OpenBrace) { block(i)? } else { unopened(i)? };
    let (i, otherwise) = if i.is_word(Word::Else) { otherwise(i)? } else { (i, None) };
    Ok((i, If { condition, then, otherwise }))
}

fn otherwise(i: Input<'_>) -> Parsed<'_, Option<Else>> {
    let i = i.advance();
    if !i.is_word(Word::If) {
        let (i, stmts) = block(i)?;
        return Ok((i, Some(Else::Block(stmts))));
    }
    let start = i.span();
    let (i, inner) = i.nested(if_)?;
    Ok((i, Some(Else::If(Box::new(Spanned::new(inner, i.since(start)))))))
}

/// A condition, up to the block behind it or to a statement that should stand in one; the latter has been reported.
fn condition(i: Input<'_>, start: Span) -> Parsed<'_, Expr> {
    let wrong: Parsed<'_, Expr> = match expr(i) {
        Ok((after, condition)) if after.is(Sign::OpenBrace) => return Ok((after, condition)),
        Ok((after, condition)) if after.is_word(Word::Then) => {
            let help = "write `if a { … } else { … }`; `if a then b else c` is a value";
            let said = Diagnostic::new(Code::UNEXPECTED, "an if statement has a block", after.span(), "").help(help);
            if *after.next_kind() == TokenKind::Sign(Sign::OpenBrace) {
                after.report(said);
                return Ok((after.advance(), condition));
            }
            after.fail(said)
        }
        Ok((after, condition)) if starts_statement(after) => {
            let help = "the statements behind a condition stand in braces: `if a > b { … }`";
            after.report(after.unexpected("`{`", Some(help)));
            return Ok((after, condition));
        }
        Ok((after, _)) => after.expected("`{` or an operator"),
        Err(problem) => Err(problem),
    };
    let mut at = i;
    while !at.is(Sign::OpenBrace) {
        if at.at_end() || at.is(Sign::CloseBrace) || starts_statement(at) || (at.is_word(Word::If) && at.begins_line())
        {
            return wrong;
        }
        at = at.advance();
    }
    if let Err(problem) = wrong {
        at.report_problem(Some(problem));
    }
    Ok((at, Expr { kind: ExprKind::Error, span: start }))
}

/// Whether a statement other than an `if` begins here, whatever stands before it.
fn starts_statement(i: Input<'_>) -> bool {
    match i.kind() {
        TokenKind::Word(word) => STARTS.contains(word),
        TokenKind::Name => *i.next_kind() == TokenKind::Sign(Sign::Assign),
        _ => false,
    }
}

/// The statements of a block whose `{` is missing: those of this line, or, if none is, those up to a `}`.
fn unopened(i: Input<'_>) -> Parsed<'_, Vec<Stmt>> {
    i.nested(|mut i| {
        let this_line = !i.begins_line();
        let mut stmts = Vec::new();
        while !(ends_block(i) || (this_line && i.begins_line())) {
            let (after, stmt) = recover(i);
            stmts.extend(stmt);
            i = after;
        }
        let (closed, braced) = has(i, Sign::CloseBrace);
        Ok((if braced && !(this_line && i.begins_line()) { closed } else { i }, stmts))
    })
}

fn verdict(i: Input<'_>) -> Parsed<'_, VerdictStmt> {
    let severity = if i.is_word(Word::Warn) { Severity::Warn } else { Severity::Breach };
    let i = i.advance();
    let start = i.span();
    let (i, action) = opt(action).parse(i)?;
    let action = action.map(|action| Spanned::new(action, i.since(start)));
    let start = i.span();
    let (i, hold) = opt(hold).parse(i)?;
    let hold = hold.map(|hold| Spanned::new(hold, i.since(start)));
    if !matches!(i.kind(), TokenKind::Text | TokenKind::Wrong) {
        return i.fail(teach::no_message(i, hold.is_some()));
    }
    let (i, message) = text("a message")(i)?;
    Ok((i, VerdictStmt { severity, action, hold, message }))
}

fn action(i: Input<'_>) -> Parsed<'_, Action> {
    alt((
        value(Action::Block, word(Word::Block)),
        value(Action::Liquidate, word(Word::Liquidate)),
        map(preceded(word(Word::Reduce), fraction), Action::Reduce),
    ))
    .parse(i)
}

/// `(fraction to keep)`.
fn fraction(i: Input<'_>) -> Parsed<'_, Expr> {
    if !i.is(Sign::Open) {
        return i.fail(i.unexpected("`(`", Some("write the fraction to keep: `reduce(0.5)`")));
    }
    let (i, opened) = need(Sign::Open)(i)?;
    terminated(expr, close(Sign::Close, opened)).parse(i)
}

fn hold(i: Input<'_>) -> Parsed<'_, Hold> {
    alt((value(Hold::Forever, word(Word::Forever)), preceded(word(Word::For), how_long))).parse(i)
}

fn how_long(i: Input<'_>) -> Parsed<'_, Hold> {
    match *i.kind() {
        TokenKind::Word(Word::Day) => Ok((i.advance(), Hold::Day)),
        TokenKind::Duration(count, unit) => Ok((i.advance(), Hold::Duration(count, unit))),
        TokenKind::Number { whole: Some(_), .. } => {
            let (i, count) = whole("a number of bars")(i)?;
            if !i.is_word(Word::Bars) {
                let help = "a hold is `for 3 bars`, `for 15m`, `for 2h`, `for 3d`, `for day` or `forever`";
                return i.fail(i.unexpected("`bars`", Some(help)));
            }
            Ok((i.advance(), Hold::Bars(count.value)))
        }
        _ => i.expected("`day`, `3 bars` or a duration such as `15m`"),
    }
}

/// Whether an optional sign is here; past it if so.
pub(super) fn has(i: Input<'_>, wanted: Sign) -> (Input<'_>, bool) {
    match sign(wanted)(i) {
        Ok((after, _)) => (after, true),
        Err(_) => (i, false),
    }
}
