//! The one layout of rules. Formatting changes white space alone: the tree, every literal as it is written, and every
//! comment stay. Formatting what is formatted changes nothing.
//!
//! Blocks and tests keep the author's choice of one line or several where one line is short enough; between statements
//! at most one blank line stays.

mod expr;
mod printer;
mod rule;

use crate::diagnostic::{Diagnostics, Level};
use crate::lexer::lex;
use crate::limits::Limits;
use crate::parser;
use printer::Printer;

/// Lays out a source.
///
/// # Errors
/// The errors of the parser: what cannot be read is not laid out.
pub fn format(source: &str, limits: &Limits) -> Result<String, Diagnostics> {
    let (file, diagnostics) = parser::parse(source, limits);
    match file {
        Some(file) if diagnostics.iter().all(|d| d.level() == Level::Warning) => {
            let lexed = lex(source);
            let mut printer = Printer::new(source, &lexed);
            printer.file(&file);
            Ok(printer.finish())
        }
        _ => Err(Diagnostics::errors(diagnostics, limits)),
    }
}

#[cfg(test)]
mod tests;
