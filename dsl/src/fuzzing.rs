//! What holds of every text, for fuzz targets and property tests. Each panics with what does not hold.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "an oracle says what is wrong by a panic"
)]

use std::fmt::Write as _;

use crate::ast::{self, Else, Expr, ExprKind, If, Item, Stmt, StmtKind};
use crate::check_source;
use crate::diagnostic::render::render;
use crate::diagnostic::{Diagnostics, Level};
use crate::format::format;
use crate::generate::Choices;
use crate::lexer::lex;
use crate::limits::Limits;
use crate::parser::parse;
use crate::source;
use crate::span::LineIndex;

const LIMITS: Limits = Limits::DEFAULT;

/// Any bytes: as the text that they are, or as the nearest one.
pub fn lexer_parser(bytes: &[u8]) {
    match source::text(bytes, &LIMITS) {
        Ok(text) => reads(text),
        Err(refused) => {
            assert!(!refused.0.is_empty(), "refused without a word");
            reads(&String::from_utf8_lossy(bytes));
        }
    }
}

/// Any text that the parser takes: it has one layout, which says the same. So has the text with its tokens scattered.
pub fn format_roundtrip(bytes: &[u8]) {
    let Ok(text) = source::text(bytes, &LIMITS) else { return };
    if format(text, &LIMITS).is_err() {
        return;
    }
    keeps_its_tree(text);
    // The text of some other bytes would do as well; these make equal inputs equal runs.
    let scattered = scatter(text, &mut Choices::of_bytes(bytes));
    if scattered.len() <= LIMITS.source_bytes {
        keeps_its_tree(&scattered);
    }
}

/// Of every source, right or wrong: no failure without a word, every place inside the text and in order, no tree too
/// deep, no report too long or with what cannot be seen.
pub(crate) fn reads(source: &str) {
    let (file, diagnostics) = parse(source, &LIMITS);
    assert!(file.is_some() || !diagnostics.is_empty(), "{source:?} is refused without a word");
    for label in diagnostics.iter().flat_map(|d| &d.labels) {
        let (start, end) = (label.span.start as usize, label.span.end as usize);
        assert!(source.get(start..end).is_some(), "{start}..{end} is not in {source:?}");
    }
    let places: Vec<_> = diagnostics.iter().map(|d| d.labels[0].span).collect();
    assert!(places.is_sorted(), "{source:?}");
    if let Some(file) = &file
        && let ast::Body::Block(items) = &file.rule.body
    {
        for item in items {
            if let Item::Stmt(stmt) = item {
                assert!(stmt_depth(stmt) <= LIMITS.nesting + LIMITS.depth + 2, "{source:?}");
            }
        }
    }
    let found = match check_source(source, &LIMITS) {
        Ok(checked) => Diagnostics(checked.warnings),
        Err(found) => {
            assert!(found.0.len() <= LIMITS.diagnostics + 1);
            found
        }
    };
    for label in found.0.iter().flat_map(|d| &d.labels) {
        assert!(source.get(label.span.start as usize..label.span.end as usize).is_some(), "{label:?} of {source:?}");
    }
    let text = render(&found, source, "r.rule", false);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    let lines = LineIndex::new(source);
    for diagnostic in &found.0 {
        assert!(diagnostic.to_report(&lines).spans.iter().all(|span| span.line > 0 && span.column > 0));
    }
}

fn stmt_depth(stmt: &Stmt) -> usize {
    1 + match &stmt.kind {
        StmtKind::Let { value, .. }
        | StmtKind::Var { value, .. }
        | StmtKind::Assign { value, .. }
        | StmtKind::Out { value, .. } => depth(value),
        StmtKind::If(inner) => if_depth(inner),
        StmtKind::Verdict(_) => 0,
    }
}

fn if_depth(stmt: &If) -> usize {
    let most = |stmts: &[Stmt]| stmts.iter().map(stmt_depth).max().unwrap_or(0);
    let otherwise = match &stmt.otherwise {
        Some(Else::Block(stmts)) => most(stmts),
        Some(Else::If(inner)) => 1 + if_depth(&inner.value),
        None => 0,
    };
    depth(&stmt.condition).max(most(&stmt.then)).max(otherwise)
}

fn depth(expr: &Expr) -> usize {
    1 + match &expr.kind {
        ExprKind::Paren(inner) | ExprKind::Unary { operand: inner, .. } => depth(inner),
        ExprKind::Binary { left, right, .. } => depth(left).max(depth(right)),
        ExprKind::If { condition, then, otherwise } => depth(condition).max(depth(then)).max(depth(otherwise)),
        ExprKind::Call { args, .. } => args.iter().map(|arg| depth(&arg.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// The tree of a source without places, which formatting moves.
fn tree(source: &str) -> String {
    let (file, diagnostics) = parse(source, &LIMITS);
    assert!(diagnostics.iter().all(|d| d.level() == Level::Warning), "{diagnostics:?}\n{source}");
    let debug = format!("{:?}", file.unwrap());
    let mut parts = debug.split("Span { start: ");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str(part.split_once('}').unwrap().1);
    }
    text
}

fn comments(source: &str) -> Vec<&str> {
    let lexed = lex(source);
    let texts = lexed.comments.iter().map(|c| source[c.start as usize..c.end as usize].trim_end());
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts
}

/// The layout of a source that the parser takes: its tree and its comments are kept, and it is its own layout.
pub(crate) fn keeps_its_tree(source: &str) -> String {
    let formatted = format(source, &LIMITS).unwrap();
    // What is laid out may be longer than a source may be; then it is no source.
    if formatted.len() <= LIMITS.source_bytes {
        assert_eq!(tree(source), tree(&formatted), "the tree of\n{source}\nis not that of\n{formatted}");
        assert_eq!(comments(source), comments(&formatted), "comments of\n{source}\nin\n{formatted}");
        let again = format(&formatted, &LIMITS).unwrap();
        assert_eq!(formatted, again, "formatting is not idempotent for\n{source}");
    }
    formatted
}

/// Puts comments and line breaks between the tokens of a source.
pub(crate) fn scatter(source: &str, choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    for (at, token) in lex(source).tokens.iter().enumerate() {
        match choices.below(12) {
            0 => writeln!(text, " # note {at}").unwrap(),
            1 => write!(text, "\n# own line {at}\n").unwrap(),
            2 => text.push_str("\n\n\n"),
            3 | 4 => text.push('\n'),
            _ => text.push(' '),
        }
        text.push_str(&source[token.span.start as usize..token.span.end as usize]);
    }
    text
}

#[cfg(test)]
#[path = "../../fuzz/src/seeds.rs"]
mod seeds;

#[cfg(test)]
mod tests {
    use super::seeds;

    #[test]
    fn seeds_of_lexer_parser() {
        seeds::replay("lexer_parser", super::lexer_parser);
    }

    #[test]
    fn seeds_of_format_roundtrip() {
        seeds::replay("format_roundtrip", super::format_roundtrip);
    }
}
