//! Runs a rule over columns, in either engine.

use std::time::Duration;

use clap::ValueEnum;
use rulebox_abi::MAX_ROWS;
use rulebox_abi::columns::{InputColumns, OutputColumns, OutputRows, OutputSink};
use rulebox_dsl::Compiled;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::{Digest, Limits, Messages, Module, ModuleLimits, RunError, Sandbox, SandboxConfig};

use super::failure::Failure;
use super::terminal::Progress;
use crate::execution::prepared;

/// What runs a rule. Both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// The compiled module, in the sandbox.
    Wasm,
    /// The reference interpreter, which is slower.
    Interp,
}

/// Fuel of a module that has no proved cost: minutes of a machine.
const GUEST_FUEL: u64 = 1_000_000_000_000;

/// What a run gave.
#[derive(Debug)]
pub(super) struct Ran {
    /// The results.
    pub(super) columns: OutputColumns,
    /// What the sandbox says of it.
    pub(super) metered: Option<Metered>,
}

/// What only the sandbox knows of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metered {
    /// Units of fuel used.
    pub(super) fuel: u64,
    /// Of the module.
    pub(super) digest: Digest,
}

/// A sandbox for one command: a pool of one is enough.
pub(super) fn sandbox() -> Result<Sandbox, Failure> {
    Ok(Sandbox::new(SandboxConfig { pool_size: 1, ..SandboxConfig::default() })?)
}

/// A rule in an engine.
pub(super) enum Loaded<'r> {
    /// In the sandbox.
    Wasm(&'r Manifest, Module),
    /// In the interpreter.
    Interp(&'r Compiled),
}

impl<'r> Loaded<'r> {
    /// Puts a rule into an engine.
    pub(super) fn new(engine: Engine, compiled: &'r Compiled) -> Result<Self, Failure> {
        Ok(match engine {
            Engine::Wasm => Self::module(&compiled.manifest, &compiled.module)?,
            Engine::Interp => Self::Interp(compiled),
        })
    }

    /// Puts a module into the sandbox, whoever made it.
    pub(super) fn module(manifest: &'r Manifest, module: &[u8]) -> Result<Self, Failure> {
        Ok(Self::Wasm(manifest, sandbox()?.load(module, &ModuleLimits::default())?))
    }

    /// Runs bars from bar 0.
    pub(super) fn run(
        &self,
        params: &[f64],
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<u64, RunError> {
        match self {
            Self::Interp(compiled) => {
                Interpreter::new(&compiled.rule, params).run(input, 0, sink);
                Ok(0)
            }
            Self::Wasm(manifest, module) => {
                let shape = prepared::shape(manifest);
                Ok(module.run(&shape, params, input, &limits(manifest, input.rows), sink)?.fuel)
            }
        }
    }

    /// Runs bars from bar 0 and keeps the results.
    pub(super) fn collect(&self, params: &[f64], input: &InputColumns<'_>) -> Result<Ran, RunError> {
        let mut sink = Watched { columns: OutputColumns::default(), progress: Progress::new("running", input.rows) };
        let fuel = self.run(params, input, &mut sink)?;
        let metered = match self {
            Self::Wasm(_, module) => Some(Metered { fuel, digest: module.digest() }),
            Self::Interp(_) => None,
        };
        Ok(Ran { columns: sink.columns, metered })
    }
}

/// The fuel that was proved to be enough for this many bars, and what else a run takes by default. Nobody else waits
/// for this process: its deadline is for a machine that stands still.
///
/// What has no proof may use what a large backtest of it could need, and is asked for its texts.
fn limits(manifest: &Manifest, rows: usize) -> Limits {
    let limits = Limits::default();
    match &manifest.cost {
        Some(cost) => {
            let chunk_rows = prepared::rows_a_call(Some(cost), MAX_ROWS);
            Limits {
                fuel: cost.of_run(rows as u64, u64::from(chunk_rows)),
                setup_fuel: cost.setup.max(limits.setup_fuel),
                deadline: Duration::from_mins(1),
                chunk_rows,
                ..limits
            }
        }
        None => Limits { fuel: GUEST_FUEL, deadline: Duration::from_mins(1), messages: Messages::Flagged, ..limits },
    }
}

/// Keeps results and shows how far they are.
struct Watched {
    columns: OutputColumns,
    progress: Progress,
}

impl OutputSink for Watched {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        self.columns.rows(first_row, rows);
        self.progress.at((first_row + rows.rows) as u64);
    }
}
