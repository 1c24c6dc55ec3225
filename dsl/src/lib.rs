//! The Rulebox rule language, edition 1: source text to diagnostics, or to a WebAssembly module and its manifest.
//!
//! ```text
//! text -> tokens -> ast -> typed tree -> ir -> module
//!                              `-> interp: the oracle for everything after the typed tree
//! ```
//!
//! The crate is pure: no files, no clock, no network, and nothing that runs a module.

#![forbid(unsafe_code)]

pub mod ast;
pub mod bars;
pub mod builtins;
pub mod calendar;
pub mod check;
pub mod diagnostic;
pub mod generate;
pub mod interp;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod number;
pub mod outcome;
pub mod parser;
pub mod span;
pub mod testing;
pub mod time;
pub mod typed;

pub use limits::Limits;

use diagnostic::{Diagnostic, Diagnostics, Level};

/// A rule that is right, and what there is to say of it all the same.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The rule.
    pub rule: typed::Rule,
    /// Warnings, in the order of the text.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks a source.
///
/// # Errors
/// Every error that was found, in the order of the text.
pub fn check_source(source: &str, limits: &Limits) -> Result<Checked, Diagnostics> {
    let (file, mut diagnostics) = parser::parse(source, limits);
    let readable = diagnostics.iter().all(|d| d.level() == Level::Warning);
    let mut rule = None;
    if let Some(file) = file {
        let (checked, found) = check::check(&file, source, limits);
        diagnostics.extend(found);
        rule = checked.filter(|_| readable);
    }
    diagnostics.sort_by_key(|d| d.labels.first().map(|label| label.span));
    match rule {
        Some(rule) => Ok(Checked { rule, warnings: diagnostics }),
        None => {
            diagnostics.truncate(limits.diagnostics);
            Err(Diagnostics(diagnostics))
        }
    }
}
