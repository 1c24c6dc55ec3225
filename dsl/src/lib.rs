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
pub mod boundary;
pub mod builtins;
pub mod calendar;
pub mod check;
pub mod codegen;
pub mod cost;
pub mod diagnostic;
pub mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod generate;
pub mod interp;
pub(crate) mod ir;
pub(crate) mod layout;
pub mod lexer;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod number;
pub mod outcome;
pub mod parser;
pub mod source;
pub mod span;
pub mod testing;
pub mod time;
pub mod token;
pub mod typed;

pub use limits::Limits;

use diagnostic::{Code, Diagnostic, Diagnostics, Level};
use span::Span;

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
    let mut rule = None;
    if let Some(file) = file {
        let (checked, found) = check::check(&file, source, limits);
        diagnostics.extend(found);
        rule = checked;
    }
    let wrong = diagnostics.iter().any(|d| d.level() == Level::Error);
    match rule {
        Some(rule) if !wrong => {
            diagnostics.sort_by_key(|d| d.labels.first().map(|label| label.span));
            Ok(Checked { rule, warnings: diagnostics })
        }
        // What could not be read may be what uses a name, so warnings would mislead.
        _ => Err(Diagnostics::errors(diagnostics, limits)),
    }
}

/// A rule and its module.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The rule.
    pub rule: typed::Rule,
    /// The WebAssembly module, its manifest in a custom section.
    pub module: Vec<u8>,
    /// The same manifest.
    pub manifest: manifest::Manifest,
    /// Warnings, in the order of the text.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks a source, and generates its module.
///
/// # Errors
/// Every error that was found, in the order of the text.
pub fn compile(source: &str, limits: &Limits) -> Result<Compiled, Diagnostics> {
    let Checked { rule, warnings } = check_source(source, limits)?;
    let refused = |message: String| {
        let help = "use fewer or smaller windows, and fewer columns";
        refusal(&rule, Code::TOO_MUCH_STATE, message, help)
    };
    let codegen::Compiled { module, manifest } =
        codegen::generate(&rule, source).map_err(|error| refused(error.to_string()))?;
    if manifest.state_bytes as usize > limits.state_bytes {
        let (kept, most) = (manifest.state_bytes, limits.state_bytes);
        return Err(refused(format!("the rule keeps {kept} bytes from bar to bar, more than {most}")));
    }
    Ok(Compiled { rule, module, manifest, warnings })
}

/// What to tell the author of a rule whose module is refused by the host that was to run it: `detail` says why.
pub fn too_complex(rule: &typed::Rule, detail: &str) -> Diagnostics {
    let message = format!("the rule would take too long to compile: {detail}");
    refusal(
        rule,
        Code::TOO_COMPLEX,
        message,
        "split it into several rules, or give parts that are used twice a name with `let`",
    )
}

/// An error of the rule as a whole.
fn refusal(rule: &typed::Rule, code: Code, message: String, help: &str) -> Diagnostics {
    let place = rule.inputs.first().map_or(Span::default(), |input| input.span);
    Diagnostics(vec![Diagnostic::new(code, message, place, "").help(help)])
}
