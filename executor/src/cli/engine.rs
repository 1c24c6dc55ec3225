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
use crate::config::Config;
use crate::execution::prepared;

/// What runs a rule. Both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// The compiled module, in the sandbox.
    Wasm,
    /// The reference interpreter, which is slower.
    Interp,
}

/// What a service lets a module do that was not compiled from a text: one whose settings are the defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfService {
    /// A run of it; the fuel is that of a request.
    pub(super) run: Limits,
    /// Units of fuel of a bar, on average of a request's.
    pub(super) bar_fuel: u64,
}

impl OfService {
    /// By the defaults of the settings, whatever those of this machine are.
    pub(super) fn defaults() -> Result<Self, Failure> {
        let Config { compile, evaluation, .. } = Config::defaults()?;
        let state_bytes = rulebox_dsl::Limits::DEFAULT.state_bytes;
        Ok(Self { run: Limits { state_bytes, ..evaluation.of_run() }, bar_fuel: compile.bar_fuel })
    }

    /// The fuel of so many bars.
    pub(super) fn fuel(&self, bars: usize) -> u64 {
        self.bar_fuel.saturating_mul(bars as u64).min(self.run.fuel)
    }
}

/// A module that was not compiled from a text, and what it may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    /// What a service gives.
    pub(super) service: OfService,
    /// Units of fuel in place of what a service gives.
    pub(super) fuel: Option<u64>,
}

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
    /// In the sandbox; with what it may use, if it was not compiled from a text.
    Wasm(&'r Manifest, Module, Option<Allowed>),
    /// In the interpreter.
    Interp(&'r Compiled),
}

impl<'r> Loaded<'r> {
    /// Puts a rule into an engine.
    pub(super) fn new(engine: Engine, compiled: &'r Compiled) -> Result<Self, Failure> {
        Ok(match engine {
            Engine::Wasm => Self::module(&compiled.manifest, &compiled.module, None)?,
            Engine::Interp => Self::Interp(compiled),
        })
    }

    /// Puts a module into the sandbox, whoever made it.
    pub(super) fn module(manifest: &'r Manifest, module: &[u8], allowed: Option<Allowed>) -> Result<Self, Failure> {
        Ok(Self::Wasm(manifest, sandbox()?.load(module, &ModuleLimits::default())?, allowed))
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
            Self::Wasm(manifest, module, allowed) => {
                let shape = prepared::shape(manifest);
                let limits = limits(manifest, *allowed, input.rows);
                Ok(module.run(&shape, params, input, &limits, sink)?.fuel)
            }
        }
    }

    /// Runs bars from bar 0 and keeps the results.
    pub(super) fn collect(&self, params: &[f64], input: &InputColumns<'_>) -> Result<Ran, RunError> {
        let mut sink = Watched { columns: OutputColumns::default(), progress: Progress::new("running", input.rows) };
        let fuel = self.run(params, input, &mut sink)?;
        let metered = match self {
            Self::Wasm(_, module, _) => Some(Metered { fuel, digest: module.digest() }),
            Self::Interp(_) => None,
        };
        Ok(Ran { columns: sink.columns, metered })
    }
}

/// The fuel that was proved to be enough for this many bars, or else what a service gives. Nobody else waits for this
/// process: its deadline is for a machine that stands still.
fn limits(manifest: &Manifest, allowed: Option<Allowed>, rows: usize) -> Limits {
    let deadline = Duration::from_mins(1);
    match (&manifest.cost, allowed) {
        (Some(cost), _) => {
            let limits = Limits::default();
            let chunk_rows = prepared::rows_a_call(Some(cost), MAX_ROWS);
            Limits {
                fuel: cost.of_run(rows as u64, u64::from(chunk_rows)),
                setup_fuel: cost.setup.max(limits.setup_fuel),
                deadline,
                chunk_rows,
                ..limits
            }
        }
        (None, Some(Allowed { service, fuel })) => {
            let fuel = fuel.unwrap_or_else(|| service.fuel(rows));
            Limits { fuel, deadline, messages: Messages::Flagged, ..service.run }
        }
        (None, None) => Limits { deadline, ..Limits::default() },
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
