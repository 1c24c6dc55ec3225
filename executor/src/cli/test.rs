//! `rulebox test`: the tests in rule files, in both engines.

use std::io::{Write, stdout};
use std::path::PathBuf;

use clap::Args;
use rulebox_abi::columns::{InputColumns, OutputColumns, OutputRows, OutputSink};
use rulebox_dsl::Compiled;
use rulebox_dsl::outcome::normalise;
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::testing::{self, TestResult};
use rulebox_sandbox::RunError;

use super::engine::{Engine, Loaded};
use super::failure::Failure;
use super::source::RuleFile;
use super::terminal::{Paint, stdout_colors};

/// Run the tests in rule files, in the sandbox and in the interpreter
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Rules, `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut failed = 0;
    for path in &arguments.files {
        let file = RuleFile::read(path)?;
        failed += match file.compile() {
            Ok(compiled) => test(&file, &compiled)?,
            Err(diagnostics) => {
                file.tell(&diagnostics);
                1
            }
        };
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Told) }
}

/// Runs the tests of one file and says how they went; how many failed.
fn test(file: &RuleFile, compiled: &Compiled) -> Result<usize, Failure> {
    let (wasm, wasm_bits) = run_in(Engine::Wasm, compiled)?;
    let (interp, interp_bits) = run_in(Engine::Interp, compiled)?;
    let lines = LineIndex::new(file.text().unwrap_or_default());
    let paint = Paint { colors: stdout_colors() };
    let mut out = stdout().lock();
    let mut failed = 0;
    for (i, (wasm, interp)) in wasm.iter().zip(&interp).enumerate() {
        let wrong = wasm.describe(&lines).or_else(|| interp.describe(&lines));
        let wrong = wrong.or_else(|| {
            let same = wasm_bits.get(i) == interp_bits.get(i);
            (!same)
                .then(|| format!("test \"{}\": sandbox and interpreter disagree; please report this rule", wasm.name))
        });
        match wrong {
            None => writeln!(out, "{}: {} \"{}\" ({} bars)", file.name, paint.good("passed"), wasm.name, wasm.bars)?,
            Some(wrong) => {
                failed += 1;
                writeln!(out, "{}: {} {wrong}", file.name, paint.bad("failed"))?;
            }
        }
    }
    if wasm.is_empty() {
        writeln!(out, "{}: has no tests", file.name)?;
    }
    Ok(failed)
}

/// The results of the tests in one engine, and everything that it gave for each.
fn run_in(engine: Engine, compiled: &Compiled) -> Result<(Vec<TestResult<RunError>>, Vec<OutputColumns>), Failure> {
    let loaded = Loaded::new(engine, compiled)?;
    let mut kept = Vec::new();
    let run_one = |params: &[f64], input: &InputColumns<'_>, sink: &mut dyn OutputSink| {
        let mut tee = Tee { columns: OutputColumns::default(), sink };
        let ran = loaded.run(params, input, &mut tee);
        normalise(&mut tee.columns, &compiled.manifest);
        kept.push(tee.columns);
        ran.map(|_| ())
    };
    let results = testing::run(&compiled.rule, &compiled.manifest, run_one);
    Ok((results, kept))
}

/// Passes results on and keeps them.
struct Tee<'a> {
    columns: OutputColumns,
    sink: &'a mut dyn OutputSink,
}

impl OutputSink for Tee<'_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        self.columns.rows(first_row, rows);
        self.sink.rows(first_row, rows);
    }
}
