//! `rulebox check`: everything that is wrong with rules, at once.

use std::io::{Write, stdout};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rulebox_dsl::diagnostic::Diagnostics;
use serde_json::json;

use super::failure::Failure;
use super::source::RuleFile;

/// Compile rules and report all errors; write nothing
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Rules, `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, on standard error
    Text,
    /// One JSON object a file on standard output: its manifest, or its diagnostics
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut all_right = true;
    for path in &arguments.files {
        let file = RuleFile::read(path)?;
        let right = match arguments.format {
            Format::Text => check_text(&file)?,
            Format::Json => check_json(&file)?,
        };
        all_right &= right;
    }
    if all_right { Ok(()) } else { Err(Failure::Told) }
}

fn check_text(file: &RuleFile) -> Result<bool, Failure> {
    let compiled = match file.compile() {
        Ok(compiled) => compiled,
        Err(diagnostics) => {
            file.tell(&diagnostics);
            return Ok(false);
        }
    };
    file.warn(&compiled.warnings);
    let manifest = &compiled.manifest;
    let bar = manifest.cost.as_ref().map_or(0, |cost| cost.bar);
    let (name, state, tests) = (&file.name, manifest.state_bytes, compiled.rule.tests.len());
    writeln!(
        stdout(),
        "{name}: {} is right; at most {bar} fuel a bar, {state} bytes of state, {tests} {}",
        manifest.name,
        if tests == 1 { "test" } else { "tests" }
    )?;
    Ok(true)
}

fn check_json(file: &RuleFile) -> Result<bool, Failure> {
    let text = file.text().unwrap_or_default();
    let (right, manifest, diagnostics) = match file.compile() {
        Ok(compiled) => (true, Some(compiled.manifest), Diagnostics(compiled.warnings)),
        Err(diagnostics) => (false, None, diagnostics),
    };
    let answer = json!({"file": file.name, "manifest": manifest, "diagnostics": diagnostics.to_reports(text)});
    writeln!(stdout(), "{answer}")?;
    Ok(right)
}
