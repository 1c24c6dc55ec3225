mod accepted;
mod edited;
mod errors;
mod limits;
mod shape;
mod snapshots;

use crate::diagnostic::{Diagnostic, Level};
use crate::{Limits, check_source, typed};

/// What is wrong with a source: each code and the text that it points at.
fn errors(source: &str) -> Vec<String> {
    match check_source(source, &Limits::DEFAULT) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.0.iter().map(|d| shown(source, d)).collect(),
    }
}

fn shown(source: &str, diagnostic: &Diagnostic) -> String {
    let span = diagnostic.labels[0].span;
    format!("{} {}", diagnostic.code.as_str(), &source[span.start as usize..span.end as usize])
}

/// A rule that has no error.
fn rule(source: &str) -> typed::Rule {
    check_source(source, &Limits::DEFAULT).unwrap_or_else(|d| panic!("{d}\n{source}")).rule
}

fn warnings(source: &str) -> Vec<String> {
    let checked = check_source(source, &Limits::DEFAULT).unwrap_or_else(|d| panic!("{d}\n{source}"));
    assert!(checked.warnings.iter().all(|d| d.level() == Level::Warning));
    checked.warnings.iter().map(|d| shown(source, d)).collect()
}

/// The statements of a body, in a rule with an input of every type, a param of every kind, and a var.
fn around(body: &str) -> String {
    format!(
        "rule r(x, y: num?, b: bool, c: bool?) {{
           param n: int = 3 in 1..9  param m: int = 3  param p: num = 1 in 0..1  param q: bool = true
           var v = 0  let s = x + 1  let t = x + v
           {body} }}"
    )
}
