//! Whatever the text is: no panic, a word for each failure, places inside the text, and no tree too deep.

use proptest::prelude::*;

use super::grammar;
use crate::ast::{Else, Expr, ExprKind, If, Item, Stmt, StmtKind};
use crate::diagnostic::Diagnostics;
use crate::diagnostic::render::render;
use crate::generate::{Choices, generate};
use crate::lexer::lex;
use crate::limits::Limits;
use crate::parser::parse;
use crate::source;
use crate::token::{Sign, Word};
use crate::{ast, check_source};

/// What holds of every source, right or wrong.
fn check(source: &str) {
    let (file, diagnostics) = parse(source, &Limits::DEFAULT);
    assert!(file.is_some() || !diagnostics.is_empty(), "{source:?} is refused without a word");
    if let Some(right) = grammar::has(source) {
        assert_eq!(right, diagnostics.is_empty(), "{source}\n{diagnostics:?}");
    }
    for label in diagnostics.iter().flat_map(|d| &d.labels) {
        let (start, end) = (label.span.start as usize, label.span.end as usize);
        assert!(source.get(start..end).is_some(), "{start}..{end} is not in {source:?}");
    }
    let places: Vec<_> = diagnostics.iter().map(|d| d.labels[0].span).collect();
    assert!(places.is_sorted(), "{source:?}");
    if let Some(file) = &file {
        let ast::Body::Block(items) = &file.rule.body else { return };
        for item in items {
            if let Item::Stmt(stmt) = item {
                assert!(stmt_depth(stmt) <= Limits::DEFAULT.nesting + Limits::DEFAULT.depth + 2, "{source:?}");
            }
        }
    }
    if let Err(found) = check_source(source, &Limits::DEFAULT) {
        assert!(found.0.len() <= Limits::DEFAULT.diagnostics + 1);
        let text = render(&Diagnostics(found.0), source, "r.rule", false);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
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

/// Words, signs and fragments that come near the grammar more often than bytes do.
fn fragment() -> impl Strategy<Value = String> {
    let words = Word::ALL.iter().map(|word| word.text().to_owned());
    let signs = Sign::ALL.iter().map(|sign| sign.text().to_owned());
    let more = [
        "a",
        "x",
        "1",
        "5%",
        "1e999",
        "15:25",
        "3d",
        "\"s\"",
        "\"open",
        "# c\n",
        "\n",
        "é",
        "$",
        "rule r(a) {",
        "test \"t\" {",
    ];
    proptest::sample::select(words.chain(signs).chain(more.map(str::to_owned)).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = source::text(&bytes, &Limits::DEFAULT) {
            check(text);
        }
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text(text in "\\PC{0,80}") {
        check(&text);
    }

    #[test]
    fn any_tokens(parts in proptest::collection::vec(fragment(), 0..60), in_rule in any::<bool>()) {
        let text = parts.join(" ");
        check(&if in_rule { format!("rule r(a) {{ {text} }}") } else { text });
    }

    /// A right rule with one token lost, doubled or exchanged.
    #[test]
    fn one_token_wrong(seed in any::<u64>(), at in any::<proptest::sample::Index>(), other in fragment(), how in 0..3) {
        let source = generate(&mut Choices::seeded(seed), 8, 1).source;
        let tokens = lex(&source).tokens;
        let span = at.get(&tokens).span;
        let (before, rest) = source.split_at(span.start as usize);
        let (token, after) = rest.split_at((span.end - span.start) as usize);
        check(&match how {
            0 => format!("{before}{after}"),
            1 => format!("{before}{token} {token}{after}"),
            _ => format!("{before}{other}{after}"),
        });
    }
}
