//! Tokens to the syntax tree, with recovery: one wrong statement does not hide the errors of the next.
//!
//! Parsers are nom functions over [`input::Input`]. `Err::Error` means "not here" and lets another alternative try;
//! `Err::Failure` means "this is it, and it is wrong": it carries the diagnostic to the nearest place that knows where
//! to go on (a statement, a block, a test).
//!
//! No tree that leaves here has more than [`Limits::nesting`] blocks inside each other, nor an expression deeper than
//! [`Limits::depth`], so what walks it may recurse. The parser itself recurses only where there is nesting.

mod declare;
mod expr;
mod input;
mod rule;
mod stmt;
mod teach;
mod test;

use crate::ast::File;
use crate::diagnostic::Diagnostic;
use crate::lexer::lex;
use crate::limits::Limits;
use crate::source;
use input::{Context, Input};

/// Reads a source. There is no file if its head could not be read; there may be one beside errors, with
/// [`crate::ast::ExprKind::Error`] where something could not.
pub fn parse(source: &str, limits: &Limits) -> (Option<File>, Vec<Diagnostic>) {
    if source.len() > limits.source_bytes {
        return (None, vec![source::too_long(source.len(), limits)]);
    }
    let lexed = lex(source);
    let context = Context::new(source, limits, lexed.diagnostics);
    let file = rule::file(Input::new(&lexed.tokens, &context));
    (file, context.into_diagnostics())
}

#[cfg(test)]
mod tests;
